/*
 * stress FOLDER LOGS OPERATIONS: processes with several threads each do random things to names, as fast as they can,
 * and each thread writes down what it did and what came of it: a line of `kind ret path path2`, in order, into a file
 * named by its thread id.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 3
#define THREADS 3
#define NAMES 6

static const char *folder, *logs;
static int operations;

static long result(long value)
{
	return value < 0 ? -errno : value;
}

static void *work(void *unused)
{
	char own[600], log[600], one[700], two[700];
	unsigned seed = gettid();
	sprintf(own, "%s/%d", folder, gettid());
	sprintf(log, "%s/%d", logs, gettid());
	if (mkdir(own, 0700))
		exit(1);
	int held = open(own, O_RDONLY | O_DIRECTORY);
	FILE *lines = fopen(log, "w");
	setvbuf(lines, malloc(1 << 24), _IOFBF, 1 << 24);
	fprintf(lines, "mkdir 0 %s -\nopen %d %s -\nopen %d %s -\n", own, held, own, fileno(lines), log);
	for (int n = 0; n < operations; n++) {
		unsigned random = rand_r(&seed) >> 4;
		/* Symbolic links have names of their own, which nothing is opened, cut or changed by. */
		int first = random % NAMES, second = random / NAMES % NAMES, relative = random / 64 % 2,
		    what = random / 128 % 12;
		const char *kind = "", *stem = what == 11 ? "s" : "n";
		long ret = 0;
		sprintf(one, "%s/%s%d", own, stem, first);
		sprintf(two, "%s/%s%d", own, stem, second);
		int from = relative ? held : AT_FDCWD;
		const char *name = relative ? one + strlen(own) + 1 : one,
			   *other = relative ? two + strlen(own) + 1 : two;
		int has_two = 0;
		switch (what) {
		case 0:
		case 1:
			kind = "open";
			ret = result(openat(from, name, what ? O_RDONLY : O_CREAT | O_EXCL | O_WRONLY, 0600));
			if (ret >= 0)
				close(ret);
			break;
		case 2:
			kind = "rename";
			has_two = 1;
			ret = result(renameat(from, name, from, other));
			break;
		case 3:
			kind = "delete";
			ret = result(unlinkat(from, name, 0));
			break;
		case 4:
			kind = "mkdir";
			ret = result(mkdirat(from, name, 0700));
			break;
		case 5:
			kind = "rmdir";
			ret = result(unlinkat(from, name, AT_REMOVEDIR));
			break;
		case 6:
			kind = "link";
			has_two = 1;
			ret = result(linkat(from, name, from, other, 0));
			break;
		case 7:
			kind = "chmod";
			ret = result(fchmodat(from, name, 0600, 0));
			break;
		case 8:
			kind = "truncate";
			ret = result(truncate(one, 10));
			break;
		case 9:
			/* Repeats, which are folded. */
			kind = "open";
			for (int times = 0; times < 5; times++) {
				sprintf(one, "%s/nowhere/at/all", own);
				ret = result(openat(from, relative ? "nowhere/at/all" : one, O_RDONLY));
				if (times < 4)
					fprintf(lines, "open %ld %s -\n", ret, one);
			}
			break;
		case 10:
			kind = "chown";
			ret = result(fchownat(from, name, -1, -1, 0));
			break;
		case 11:
			kind = random & 1 ? "symlink" : "delete";
			ret = result(random & 1 ? symlinkat("nowhere", from, name) : unlinkat(from, name, 0));
			if (random & 1) {
				has_two = 1;
				strcpy(two, "nowhere");
			}
			break;
		}
		fprintf(lines, "%s %ld %s %s\n", kind, ret, one, has_two ? two : "-");
	}
	fclose(lines);
	close(held);
	return NULL;
}

int main(int count, char **arguments)
{
	if (count != 4)
		return 2;
	folder = arguments[1];
	logs = arguments[2];
	operations = atoi(arguments[3]);
	for (int n = 0; n < PROCESSES; n++) {
		if (fork() == 0) {
			pthread_t threads[THREADS];
			for (int thread = 0; thread < THREADS; thread++)
				pthread_create(&threads[thread], 0, work, 0);
			for (int thread = 0; thread < THREADS; thread++)
				pthread_join(threads[thread], 0);
			exit(0);
		}
	}
	int failed = 0;
	for (int status; wait(&status) > 0;)
		failed |= status;
	return failed != 0;
}
