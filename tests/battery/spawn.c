/*
 * spawn WAY FILE: starts touch(1) on FILE by vfork, posix_spawn or clone3, by clone_parent as its parent's child and not
 * its own, or becomes it by thread_exec, from a thread that is not its first; and waits for it.
 */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void *become(void *command)
{
	execv("/usr/bin/touch", command);
	_exit(127);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	char *command[] = { "touch", argv[2], NULL };
	pid_t child = -1;
	if (!strcmp(argv[1], "thread_exec")) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, become, command))
			return 1;
		pthread_join(thread, NULL);
		return 1;
	}
	if (!strcmp(argv[1], "clone_parent")) {
		/* Not its own to wait for: its end is the end of the pipe. */
		int ends[2];
		char none;
		struct clone_args how = { .flags = CLONE_PARENT };
		if (pipe(ends))
			return 1;
		child = syscall(SYS_clone3, &how, sizeof(how));
		if (child == 0)
			become(command);
		close(ends[1]);
		return child < 0 || read(ends[0], &none, 1) != 0;
	}
	if (!strcmp(argv[1], "vfork")) {
		child = vfork();
		if (child == 0) {
			execv("/usr/bin/touch", command);
			_exit(127);
		}
	} else if (!strcmp(argv[1], "posix_spawn")) {
		if (posix_spawn(&child, "/usr/bin/touch", NULL, NULL, command, environ))
			return 1;
	} else if (!strcmp(argv[1], "clone3")) {
		struct clone_args how = { .exit_signal = SIGCHLD };
		child = syscall(SYS_clone3, &how, sizeof(how));
		if (child == 0) {
			execv("/usr/bin/touch", command);
			_exit(127);
		}
	}
	int status;
	if (child < 0 || waitpid(child, &status, 0) != child) {
		perror(argv[1]);
		return 1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
