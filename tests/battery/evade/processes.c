/* Processes: what reaches into others, what changes one's own rights, and very many of them. */
#include "evade.h"
#include <linux/bpf.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/time.h>

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
	/* BPF_MAP_CREATE, of one word; the rest is zero. */
	union bpf_attr map = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };
	close(MUST(syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map))));
	MUST(setresuid(65534, 65534, 65534));
	if (setuid(0) == 0)
		exit(1);
}

/* How many more are made: few where the machine is an emulated one. */
static int many(int here, int emulated)
{
	return getenv("EVADE_FEW") ? emulated : here;
}

static void done(pid_t child)
{
	int status;
	if (MUST(waitpid(child, &status, 0)) != child || status)
		exit(1);
}

/* Each forks two more, as fast as it can. */
static void bomb_level(int levels)
{
	pid_t children[2];
	for (int n = 0; levels && n < 2; n++) {
		children[n] = MUST(fork());
		if (!children[n]) {
			bomb_level(levels - 1);
			_exit(0);
		}
	}
	for (int n = 0; levels && n < 2; n++)
		done(children[n]);
}

static void fork_bomb(void)
{
	int levels = many(11, 7);
	bomb_level(levels);
	printf("%d\n", (2 << levels) - 2);
}

static void short_lived(void)
{
	int count = many(100000, 2000);
	for (int n = 0; n < count; n++) {
		pid_t child = vfork();
		if (!child)
			_exit(0);
		done(MUST(child));
	}
	printf("%d\n", count);
}

/* A signal that the kernel is told to send, one that interrupts a call, rights given up, and a descriptor taken. */
static void on_alarm(int signal)
{
}

static void orders(void)
{
	int pair[2], ends[2];
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid_t child = MUST(fork());
	if (!child)
		for (;;)
			pause();
	printf("%d\n", child);
	fflush(stdout);
	MUST(fcntl(pair[0], F_SETOWN, child));
	int handle = MUST(syscall(SYS_pidfd_open, child, 0));
	close(MUST(syscall(SYS_pidfd_getfd, handle, pair[1], 0)));
	MUST(kill(child, SIGKILL));
	waitpid(child, 0, 0);
	/* An open that waits for a writer, and is interrupted. */
	char *fifo = in("waits");
	MUST(mkfifo(fifo, 0600));
	struct sigaction action = { .sa_handler = on_alarm };
	sigaction(SIGALRM, &action, 0);
	struct itimerval soon = { .it_value.tv_usec = 20000, .it_interval.tv_usec = 20000 };
	setitimer(ITIMER_REAL, &soon, 0);
	if (open(fifo, O_RDONLY) >= 0 || errno != EINTR)
		exit(1);
	soon = (struct itimerval){};
	setitimer(ITIMER_REAL, &soon, 0);
	MUST(pipe(ends));
	MUST(write(ends[1], "piped", 5));
	MUST(read(ends[0], (char[5]){}, 5));
	for (int capability = 30; capability < 38; capability++)
		MUST(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0));
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = {};
	MUST(syscall(SYS_capset, &head, data));
}

/* A process that shares its descriptors closes what the other one wrote to. */
static int closes(void *fd)
{
	close(*(int *)fd);
	return 0;
}

static void shared_table(void)
{
	static char stack[65536];
	int file = MUST(open(in("shared"), O_CREAT | O_WRONLY, 0600));
	MUST(write(file, "0123456", 7));
	done(MUST(clone(closes, stack + sizeof(stack), CLONE_FILES | SIGCHLD, &file)));
	/* dup2 over a descriptor in use, a copy by fcntl, close_range that closes nothing. */
	int one = MUST(open(in("copied"), O_CREAT | O_WRONLY, 0600)), two = MUST(fcntl(one, F_DUPFD_CLOEXEC, 100));
	MUST(write(one, "123", 3));
	MUST(syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */));
	MUST(write(two, "45", 2));
	MUST(dup3(two, 50, 0));
	close(one);
	close(two);
	MUST(write(50, "6", 1));
}

/* The recorder: whoever started this. */
static void trace_recorder(void)
{
	pid_t recorder = getppid();
	MUST(ptrace(PTRACE_SEIZE, recorder, 0, 0));
	MUST(ptrace(PTRACE_INTERRUPT, recorder, 0, 0));
	int status;
	MUST(waitpid(recorder, &status, __WALL));
	make(in("while-traced"));
	MUST(ptrace(PTRACE_DETACH, recorder, 0, 0));
	printf("%d\n", recorder);
}

/* Signals whose senders claim that they come from elsewhere, to children that only a signal ends. */
static pid_t waits(void)
{
	pid_t child = MUST(fork());
	if (!child)
		for (;;)
			pause();
	printf("%d\n", child);
	return child;
}

static void forged_signals(void)
{
	siginfo_t info = { .si_code = -60 };
	pid_t one = waits();
	MUST(syscall(SYS_rt_sigqueueinfo, one, SIGTERM, &info));
	waitpid(one, 0, 0);
	pid_t two = waits();
	info = (siginfo_t){ .si_signo = SIGKILL, .si_code = SI_TIMER };
	MUST(syscall(SYS_pidfd_send_signal, MUST(syscall(SYS_pidfd_open, two, 0)), SIGKILL, &info, 0));
	waitpid(two, 0, 0);
	/* No process group has this number. */
	if (kill(-4194305, SIGTERM) == 0)
		exit(1);
}

/* A file system is made read-only through a handle on it, and a descriptor that is none is changed. */
static void reconfigured(void)
{
	char *place = in("reconfigured");
	MUST(mkdir(place, 0700));
	MUST(unshare(CLONE_NEWNS));
	MUST(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
	MUST(mount("argus-test", place, "tmpfs", 0, 0));
	struct stat root;
	MUST(stat(place, &root));
	int handle = MUST(syscall(SYS_fspick, AT_FDCWD, place, 0));
	MUST(syscall(SYS_fsconfig, handle, 0 /* FSCONFIG_SET_FLAG */, "ro", 0, 0));
	MUST(syscall(SYS_fsconfig, handle, 7 /* FSCONFIG_CMD_RECONFIGURE */, 0, 0, 0));
	printf("%llu\n", (unsigned long long)root.st_dev);
	MUST(umount(place));
	fchmod(999, 0600);
	ftruncate(999, 0);
}

/* Memory that can be executed without anybody having asked for that by name. */
static void executable(void)
{
	MUST(personality(READ_IMPLIES_EXEC));
	MUST(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
	MUST(personality(0));
	int segment = MUST(shmget(IPC_PRIVATE, 4096, 0700 | IPC_CREAT));
	MUST(shmat(segment, 0, SHM_EXEC) == (void *)-1 ? -1 : 0);
	MUST(shmctl(segment, IPC_RMID, 0));
	/* Not every kernel keeps such secrets. */
	printf("%d\n", syscall(SYS_memfd_secret, 0) >= 0);
}

static void kill_recorder(void)
{
	make(in("before"));
	/* As long as the recorder keeps in memory what it has not written yet. */
	sleep(2);
	MUST(kill(getppid(), SIGKILL));
}

const struct way process_ways[] = {
	{ "others", others },
	{ "rights", rights },
	{ "fork_bomb", fork_bomb },
	{ "short_lived", short_lived },
	{ "orders", orders },
	{ "shared_table", shared_table },
	{ "trace_recorder", trace_recorder },
	{ "kill_recorder", kill_recorder },
	{ "forged_signals", forged_signals },
	{ "reconfigured", reconfigured },
	{ "executable", executable },
	{},
};
