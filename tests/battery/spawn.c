/* spawn vfork|posix_spawn|clone3 FILE: starts touch(1) on FILE in that way, and waits for it. */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	char *command[] = { "touch", argv[2], NULL };
	pid_t child = -1;
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
