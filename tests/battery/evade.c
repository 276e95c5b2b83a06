/*
 * Does by unusual ways what a recorder might miss: evade WAY FOLDER PORT. What it did is for the test to know; where
 * the kernel does not offer a way, it exits with 77.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *folder;
static int port;

/* Every call must do what the test says it did. */
#define MUST(what)                                                               \
	({                                                                       \
		long result = (long)(what);                                      \
		if (result < 0) {                                                \
			perror(#what);                                           \
			exit(errno == ENOSYS || errno == EAFNOSUPPORT ? 77 : 1); \
		}                                                                \
		result;                                                          \
	})

/* A path in the folder, in memory of its own. */
static char *in(const char *name)
{
	char *path = malloc(strlen(folder) + strlen(name) + 2);
	sprintf(path, "%s/%s", folder, name);
	return path;
}

static void make(const char *path)
{
	close(MUST(open(path, O_CREAT | O_WRONLY, 0600)));
}

static struct sockaddr_in loopback(void)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int ring;
static struct io_uring_params params;
static char *submission, *completion;
static struct io_uring_sqe *entries;

static void ring_setup(unsigned flags)
{
	params.flags = flags;
	ring = MUST(syscall(SYS_io_uring_setup, 8, &params));
	int prot = PROT_READ | PROT_WRITE, map = MAP_SHARED | MAP_POPULATE;
	submission = mmap(0, params.sq_off.array + params.sq_entries * 4, prot, map, ring, IORING_OFF_SQ_RING);
	completion = mmap(0, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe), prot, map, ring,
			  IORING_OFF_CQ_RING);
	entries = mmap(0, params.sq_entries * sizeof(*entries), prot, map, ring, IORING_OFF_SQES);
}

static int ring_do(struct io_uring_sqe entry)
{
	unsigned *tail = (void *)(submission + params.sq_off.tail), at = *tail;
	unsigned mask = *(unsigned *)(submission + params.sq_off.ring_mask);
	entries[at & mask] = entry;
	((unsigned *)(submission + params.sq_off.array))[at & mask] = at & mask;
	__atomic_store_n(tail, at + 1, __ATOMIC_RELEASE);
	unsigned flags = IORING_ENTER_GETEVENTS | (params.flags & IORING_SETUP_SQPOLL ? IORING_ENTER_SQ_WAKEUP : 0);
	MUST(syscall(SYS_io_uring_enter, ring, 1, 1, flags, 0, 0));
	unsigned *head = (void *)(completion + params.cq_off.head);
	unsigned *end = (void *)(completion + params.cq_off.tail);
	while (*head == __atomic_load_n(end, __ATOMIC_ACQUIRE))
		sched_yield();
	mask = *(unsigned *)(completion + params.cq_off.ring_mask);
	struct io_uring_cqe *result = (void *)(completion + params.cq_off.cqes);
	int value = result[*head & mask].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	if (value < 0) {
		fprintf(stderr, "operation %d: %s\n", entry.opcode, strerror(-value));
		exit(1);
	}
	return value;
}

static void io_uring(unsigned setup, unsigned char flags)
{
	ring_setup(setup);
	char *a = in("ring-a"), *b = in("ring-b");
	struct sockaddr_in peer = loopback();
	int stream = MUST(socket(AF_INET, SOCK_STREAM, 0));
	int file = ring_do((struct io_uring_sqe){ .opcode = IORING_OP_OPENAT,
						  .flags = flags,
						  .fd = AT_FDCWD,
						  .addr = (long)a,
						  .len = 0600,
						  .open_flags = O_CREAT | O_RDWR });
	ring_do((struct io_uring_sqe){
		.opcode = IORING_OP_WRITE, .flags = flags, .fd = file, .addr = (long)"hello", .len = 5 });
	ring_do((struct io_uring_sqe){ .opcode = IORING_OP_RENAMEAT,
				       .flags = flags,
				       .fd = AT_FDCWD,
				       .addr = (long)a,
				       .len = AT_FDCWD,
				       .addr2 = (long)b });
	ring_do((struct io_uring_sqe){ .opcode = IORING_OP_UNLINKAT, .flags = flags, .fd = AT_FDCWD, .addr = (long)b });
	ring_do((struct io_uring_sqe){
		.opcode = IORING_OP_CONNECT, .flags = flags, .fd = stream, .addr = (long)&peer, .off = sizeof(peer) });
	ring_do((struct io_uring_sqe){
		.opcode = IORING_OP_SEND, .flags = flags, .fd = stream, .addr = (long)"hello", .len = 5 });
}

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

static void others(void)
{
	static char target[16];
	pid_t child = fork();
	if (child == 0)
		for (;;)
			pause();
	struct iovec local = { "written", 8 }, remote = { target, 8 };
	MUST(process_vm_writev(child, &local, 1, &remote, 1, 0));
	MUST(process_vm_readv(child, &local, 0, &remote, 1, 0));
	MUST(ptrace(PTRACE_SEIZE, child, 0, 0));
	printf("%d\n", child);
	fflush(stdout);
	MUST(kill(child, SIGKILL));
	waitpid(child, 0, 0);
}

static void rights(void)
{
	char *place = in("mounted");
	MUST(mkdir(place, 0700));
	MUST(unshare(CLONE_NEWNS));
	MUST(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
	MUST(mount("argus-test", place, "tmpfs", 0, 0));
	MUST(umount(place));
	MUST(setresuid(65534, 65534, 65534));
	if (setuid(0) == 0)
		exit(1);
}

static void datagrams(void)
{
	struct sockaddr_in peer = loopback();
	int fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	for (int n = 0; n < 1000; n++)
		MUST(sendto(fd, "0123456789", 10, 0, (void *)&peer, sizeof(peer)));
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
	int six = socket(AF_INET6, SOCK_DGRAM, 0);
	if (six >= 0)
		MUST(sendto(six, "six", 3, 0, (void *)&mapped, sizeof(mapped)));
}

/* For the other ways to connect to; it accepts nobody. */
static void wait_for_others(void)
{
	struct sockaddr_in here = loopback();
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
	MUST(bind(fd, (void *)&here, sizeof(here)));
	MUST(listen(fd, 64));
	printf("ready\n");
	fflush(stdout);
	pause();
}

/* Stops the recorder, fills what it would read with opens of many names, and then makes one connection. */
static void flood(void)
{
	char path[64];
	MUST(kill(getppid(), SIGSTOP));
	for (int n = 0; n < 400000; n++) {
		sprintf(path, "/nowhere/%d", n);
		open(path, O_RDONLY);
	}
	struct sockaddr_in peer = loopback();
	MUST(connect(MUST(socket(AF_INET, SOCK_STREAM, 0)), (void *)&peer, sizeof(peer)));
	MUST(kill(getppid(), SIGCONT));
}

int main(int count, char **arguments)
{
	if (count != 4)
		return 2;
	const char *way = arguments[1];
	folder = arguments[2];
	port = atoi(arguments[3]);
	if (!strcmp(way, "io_uring"))
		io_uring(0, 0);
	else if (!strcmp(way, "io_uring_worker"))
		io_uring(0, IOSQE_ASYNC);
	else if (!strcmp(way, "io_uring_poll"))
		io_uring(IORING_SETUP_SQPOLL, 0);
	else if (!strcmp(way, "race"))
		race();
	else if (!strcmp(way, "unread_page"))
		unread_page();
	else if (!strcmp(way, "rare_calls"))
		rare_calls();
	else if (!strcmp(way, "memory_program"))
		memory_program();
	else if (!strcmp(way, "others"))
		others();
	else if (!strcmp(way, "rights"))
		rights();
	else if (!strcmp(way, "datagrams"))
		datagrams();
	else if (!strcmp(way, "listen"))
		wait_for_others();
	else if (!strcmp(way, "flood"))
		flood();
	else
		return 2;
	return 0;
}
