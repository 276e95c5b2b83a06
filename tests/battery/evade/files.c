/* Files: named, raced for, far away, very long, and reached by calls that few programs make. */
#include "evade.h"
#include <linux/aio_abi.h>
#include <sys/xattr.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>

/* Another thread rewrites the name all the time. */
static char raced[4096];
static volatile int racing = 1;

static void *rewrite(void *unused)
{
	const char *names[] = { in("race-real"), in("race-fake") };
	for (unsigned n = 0; racing; n++)
		strcpy(raced, names[n & 1]);
	return unused;
}

static void race(void)
{
	pthread_t thread;
	char *real = in("race-real"), *fake = in("race-fake");
	make(real);
	make(fake);
	strcpy(raced, real);
	pthread_create(&thread, 0, rewrite, 0);
	/* Until both were deleted, by whichever name the kernel took. */
	for (int deleted = 0; deleted < 2;)
		deleted += unlink(raced) == 0;
	racing = 0;
	pthread_join(thread, 0);
}

/* The name lies in a file's page that was never touched. */
static void unread_page(void)
{
	char *names = in("names"), *victim = in("unread");
	int file = MUST(open(names, O_CREAT | O_RDWR, 0600));
	MUST(pwrite(file, victim, strlen(victim) + 1, 4096));
	fsync(file);
	posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
	char *page = mmap(0, 8192, PROT_READ, MAP_PRIVATE, file, 0);
	make(victim);
	MUST(unlink(page + 4096));
}

/* Files are changed by the names of links to them, and once by their own. */
static void links(void)
{
	char *kept = in("links/kept"), *led = in("links/led"), *plain = in("links/plain");
	MUST(mkdir(in("links"), 0700));
	make(kept);
	make(plain);
	MUST(symlink("kept", led));
	MUST(truncate(led, 100));
	MUST(chmod(led, 0640));
	MUST(chown(led, 65534, 65534));
	setxattr(led, "user.argus", "1", 1, 0);
	MUST(lchown(led, 65534, 65534));
	MUST(chmod(plain, 0640));
}

static void rare_calls(void)
{
	char *a = in("rare-a"), *b = in("rare-b"), *linked = in("rare-linked");
	struct open_how how = { .flags = O_CREAT | O_WRONLY, .mode = 0600 };
	close(MUST(syscall(SYS_openat2, AT_FDCWD, a, &how, sizeof(how))));
	close(MUST(creat(b, 0600)));
	MUST(syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE));
	int file = MUST(open(a, O_RDWR));
	char self[64];
	sprintf(self, "/proc/self/fd/%d", file);
	MUST(linkat(AT_FDCWD, self, AT_FDCWD, linked, AT_SYMLINK_FOLLOW));
	MUST(write(file, "0123456789", 10));
	MUST(ftruncate(file, 5));
	MUST(truncate(b, 3));
	int other = MUST(open(b, O_RDWR));
	loff_t from = 0, to = 0;
	MUST(copy_file_range(file, &from, other, &to, 5, 0));
	MUST(fchmod(file, 0640));
	MUST(mknod(in("rare-fifo"), S_IFIFO | 0600, 0));
	if (fork() == 0) {
		int image = open("/bin/true", O_RDONLY);
		char *arguments[] = { "fexecved", 0 };
		fexecve(image, arguments, environ);
		_exit(1);
	}
	wait(0);
}

static void memory_program(void)
{
	int memory = MUST(memfd_create("hidden", 0)), image = MUST(open("/bin/true", O_RDONLY));
	char buffer[65536];
	for (long n; (n = read(image, buffer, sizeof(buffer))) > 0;)
		MUST(write(memory, buffer, n));
	if (fork() == 0) {
		char *arguments[] = { "from-memory", 0 };
		fexecve(memory, arguments, environ);
		_exit(1);
	}
	wait(0);
}

/* One file by every kind of path: each open must name the file, its device and its inode. */
static void paths(void)
{
	char *real = in("real"), *file = in("real/file");
	MUST(mkdir(real, 0700));
	make(file);
	MUST(symlink("real", in("link")));
	close(MUST(open(in("link/file"), O_RDONLY)));
	close(MUST(open(in("link/../real/./file"), O_RDONLY)));
	int held = MUST(open(real, O_RDONLY | O_DIRECTORY));
	close(MUST(openat(held, "file", O_RDONLY)));
	MUST(unshare(CLONE_NEWNS));
	MUST(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
	/* A bound folder. */
	MUST(mkdir(in("bound"), 0700));
	MUST(mount(real, in("bound"), 0, MS_BIND, 0));
	close(MUST(open(in("bound/file"), O_RDWR)));
	make(in("bound/gone"));
	MUST(unlink(in("bound/gone")));
	/* A tree that hangs nowhere. */
	int tree = syscall(SYS_open_tree, AT_FDCWD, real, 1 /* OPEN_TREE_CLONE */);
	if (tree >= 0) {
		close(MUST(openat(tree, "file", O_RDWR)));
		make(in("real/lost"));
		MUST(unlinkat(tree, "lost", 0));
	}
	/* A folder that is the root. */
	if (fork() == 0) {
		MUST(chroot(real));
		MUST(chdir("/"));
		close(MUST(open("/file", O_RDWR)));
		make("/jailed");
		MUST(rename("/jailed", "/freed"));
		MUST(unlink("/../freed"));
		_exit(0);
	}
	int status;
	wait(&status);
	if (status)
		exit(1);
	printf("%lu %lu\n", ({
		       struct stat s;
		       MUST(stat(file, &s));
		       s.st_dev;
	       }),
	       ({
		       struct stat s;
		       MUST(stat(file, &s));
		       s.st_ino;
	       }));
}

/* A file in a lower layer, changed through the upper one. */
static void overlay(void)
{
	char options[3 * 4096];
	char *base = in("layers");
	MUST(mkdir(base, 0700));
	MUST(unshare(CLONE_NEWNS));
	MUST(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
	MUST(mount("argus-test", base, "tmpfs", 0, 0));
	for (const char **name = (const char *[]){ "lower", "upper", "work", "merged", 0 }; *name; name++) {
		sprintf(options, "%s/%s", base, *name);
		MUST(mkdir(options, 0700));
	}
	make(in("layers/lower/file"));
	sprintf(options, "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", base, base, base);
	if (mount("argus-test", in("layers/merged"), "overlay", 0, options))
		exit(77);
	int file = MUST(open(in("layers/merged/file"), O_WRONLY));
	MUST(write(file, "12345", 5));
	MUST(unlink(in("layers/merged/file")));
}

/* Calls by the table of 32-bit programs, which any program can make. */
static long call32(long number, long one, long two, long three)
{
	long result;
	asm volatile("int $0x80"
		     : "=a"(result)
		     : "a"(number), "b"(one), "c"(two), "d"(three)
		     : "memory", "r8", "r9", "r10", "r11");
	if ((int)result < 0) {
		errno = -(int)result;
		perror("int $0x80");
		exit(errno == ENOSYS ? 77 : 1);
	}
	return (int)result;
}

static void old_calls(void)
{
	int prot = PROT_READ | PROT_WRITE;
	char *low = mmap(0, 3 * 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	char *a = low, *b = low + 4096, *rest = low + 8192;
	strcpy(a, in("old-a"));
	strcpy(b, in("old-b"));
	strcpy(rest, "12345");
	int file = call32(5, (long)a, O_CREAT | O_WRONLY, 0600);
	call32(4, file, (long)rest, 5);
	call32(94, file, 0640, 0);
	call32(38, (long)a, (long)b, 0);
	call32(10, (long)b, 0, 0);
	/* socketcall(connect): its own table, its arguments in memory. */
	int stream = MUST(socket(AF_INET, SOCK_STREAM, 0));
	struct sockaddr_in peer = loopback();
	memcpy(rest, &peer, sizeof(peer));
	unsigned *arguments = (unsigned *)(rest + 64);
	arguments[0] = stream;
	arguments[1] = (unsigned)(long)rest;
	arguments[2] = sizeof(peer);
	call32(102, 3, (long)arguments, 0);
}

/* Names as long as they can be, and longer; names that a terminal would obey. */
static void large(void)
{
	char part[201], *hostile = in("esc\033]0;owned\007\nline\xff\xfe");
	memset(part, 'd', 200);
	part[200] = 0;
	make(hostile);
	MUST(unlink(hostile));
	/* 4,095 bytes from the root. */
	char path[4096];
	strcpy(path, folder);
	while (strlen(path) + 202 < 4095) {
		sprintf(path + strlen(path), "/%s", part);
		MUST(mkdir(path, 0700));
	}
	size_t length = strlen(path);
	path[length] = '/';
	memset(path + length + 1, 'f', 4095 - length - 1);
	path[4095] = 0;
	if (4095 - length - 1 <= 255)
		make(path);
	/* Further than a path can say: its own folder is 8,000 bytes away. */
	MUST(chdir(folder));
	part[199] = 'e';
	for (int deep = 0; deep < 40; deep++) {
		MUST(mkdir(part, 0700));
		MUST(chdir(part));
	}
	make("deepest");
	MUST(unlink("deepest"));
	/* Of 128 KiB, and 10,000. */
	for (int many = 0; many < 2; many++) {
		if (fork() == 0) {
			int words = many ? 10000 : 1;
			char **arguments = calloc(words + 2, sizeof(char *)), *long_one = malloc(131072);
			memset(long_one, 'a', 131071);
			long_one[131071] = 0;
			arguments[0] = many ? "many" : "long";
			for (int n = 0; n < words; n++)
				arguments[n + 1] = many ? "x" : long_one;
			execv("/bin/true", arguments);
			_exit(1);
		}
		int status;
		wait(&status);
		if (status)
			exit(1);
	}
}

/* What a file holds is replaced without a write; what protects it is changed. */
static void contents(void)
{
	char *holed = in("holed"), *cloned = in("cloned");
	int file = MUST(open(holed, O_CREAT | O_RDWR, 0600)), other = MUST(open(cloned, O_CREAT | O_RDWR, 0600));
	MUST(write(file, "0123456789", 10));
	MUST(fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 4096));
	/* Few file systems can; that it was tried is what counts. */
	ioctl(other, FICLONE, file);
	int flags = 0;
	ioctl(file, FS_IOC_SETFLAGS, &flags);
}

/* Content that the kernel copies from one descriptor to another, while standard input is a file that takes no part. */
static void copying(void)
{
	char content[1000] = "content";
	int from = MUST(open(in("copied-from"), O_CREAT | O_RDWR, 0600)), through[2], pair[2];
	MUST(write(from, content, sizeof(content)));
	make(in("standard-input"));
	MUST(dup2(MUST(open(in("standard-input"), O_RDONLY)), 0));
	MUST(pipe(through));
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	struct sockaddr_in peer = loopback();
	int datagrams = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	MUST(connect(datagrams, (void *)&peer, sizeof(peer)));

	off_t start = 0;
	MUST(sendfile(MUST(open(in("sent-to"), O_CREAT | O_WRONLY, 0600)), from, &start, 10));
	start = 0;
	MUST(sendfile(datagrams, from, &start, 20));
	start = 0;
	MUST(sendfile(pair[0], from, &start, 30));
	start = 0;
	MUST(splice(from, &start, through[1], 0, 40, 0));
	MUST(splice(through[0], 0, MUST(open(in("spliced-to"), O_CREAT | O_WRONLY, 0600)), 0, 40, 0));
	start = 0;
	MUST(copy_file_range(from, &start, MUST(open(in("copied-to"), O_CREAT | O_WRONLY, 0600)), 0, 50, 0));
	printf("%lu\n", (unsigned long)sizeof(content));
}

static long submit(aio_context_t context, int fd, int operation, void *from, long length)
{
	struct iocb order = { .aio_fildes = fd,
			      .aio_lio_opcode = operation,
			      .aio_buf = (long)from,
			      .aio_nbytes = length },
		    *orders[] = { &order };
	struct io_event done;
	MUST(syscall(SYS_io_submit, context, 1, orders));
	MUST(syscall(SYS_io_getevents, context, 1, 1, &done, 0));
	return MUST(done.res);
}

/* Asynchronous reads and writes, memory that is spliced out of a pipe, and what is looked at before it is taken. */
static void uncounted(void)
{
	char content[4096] = {};
	aio_context_t context = 0;
	MUST(syscall(SYS_io_setup, 8, &context));
	int written = MUST(open(in("submitted"), O_CREAT | O_WRONLY, 0600)), through[2], pair[2];
	submit(context, written, IOCB_CMD_PWRITE, content, sizeof(content));
	MUST(mkfifo(in("ordered"), 0600));
	int fifo = MUST(open(in("ordered"), O_RDWR));
	MUST(write(fifo, "orders", 6));
	submit(context, fifo, IOCB_CMD_PREAD, content, sizeof(content));
	MUST(pipe(through));
	MUST(write(through[1], "1234567", 7));
	struct iovec all = { content, sizeof(content) };
	MUST(vmsplice(through[0], &all, 1, 0));
	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	MUST(write(pair[1], "123456789", 9));
	for (int n = 0; n < 3; n++)
		MUST(recv(pair[0], content, 9, MSG_PEEK));
	all.iov_len = 4;
	struct msghdr message = { .msg_iov = &all, .msg_iovlen = 1 };
	if (MUST(recvmsg(pair[0], &message, MSG_TRUNC)) != 9)
		exit(1);
}

const struct way file_ways[] = {
	{ "race", race },
	{ "unread_page", unread_page },
	{ "links", links },
	{ "rare_calls", rare_calls },
	{ "memory_program", memory_program },
	{ "paths", paths },
	{ "overlay", overlay },
	{ "old_calls", old_calls },
	{ "large", large },
	{ "contents", contents },
	{ "copying", copying },
	{ "uncounted", uncounted },
	{},
};
