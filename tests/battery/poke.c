/*
 * poke victim FILE: says its pid and the address of a number, and makes FILE-written once that is 1, FILE-traced once it is 2.
 * poke write PID ADDRESS: makes it 1, by process_vm_writev. poke trace PID ADDRESS: makes it 2, by ptrace.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile long told;

static void make(const char *path, const char *ending)
{
	char whole[4096];
	snprintf(whole, sizeof(whole), "%s-%s", path, ending);
	close(open(whole, O_CREAT | O_WRONLY, 0600));
	puts(ending);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "victim")) {
		printf("%d %lu\n", getpid(), (unsigned long)&told);
		fflush(stdout);
		while (told < 1)
			sched_yield();
		make(argv[2], "written");
		while (told < 2)
			sched_yield();
		make(argv[2], "traced");
		return 0;
	}
	if (argc != 4)
		return 2;
	pid_t pid = atoi(argv[2]);
	void *address = (void *)strtoul(argv[3], NULL, 10);
	if (!strcmp(argv[1], "write")) {
		long one = 1;
		struct iovec from = { &one, sizeof(one) }, to = { address, sizeof(one) };
		return process_vm_writev(pid, &from, 1, &to, 1, 0) != sizeof(one);
	}
	return ptrace(PTRACE_ATTACH, pid, 0, 0) || waitpid(pid, NULL, 0) != pid ||
	       ptrace(PTRACE_POKEDATA, pid, address, 2L) || ptrace(PTRACE_DETACH, pid, 0, 0);
}
