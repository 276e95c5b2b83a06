/* What the ways have in common. Each does for real what a recorder might miss; what it did is for the test to know. */
#pragma once

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern const char *folder;
extern int port;

/* Every call must do what the test says it did; where the kernel does not offer it, the way ends with 77. */
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
char *in(const char *name);
/* An empty file. */
void make(const char *path);
/* The port that others listen on. */
struct sockaddr_in loopback(void);
/* A connection to it. */
int connection(void);

struct way {
	const char *name;
	void (*go)(void);
};
extern const struct way file_ways[], network_ways[], process_ways[], ring_ways[], name_ways[];
