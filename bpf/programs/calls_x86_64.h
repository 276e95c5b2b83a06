/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The system calls that are recorded, by their x86-64 numbers, and where their arguments lie. */
#pragma once

#define TS_COMPAT 0x2 /* arch/x86/include/asm/thread_info.h: this call came through a 32-bit gate */
#define X32_BIT 0x40000000
#define CLOSE_RANGE_CLOEXEC 4

enum {
	NR_open = 2,
	NR_creat = 85,
	NR_openat = 257,
	NR_openat2 = 437,
	NR_open_by_handle_at = 304,
	NR_sendto = 44,
	NR_sendmsg = 46,
	NR_sendmmsg = 307,
	NR_recvfrom = 45,
	NR_recvmsg = 47,
	NR_recvmmsg = 299,
	NR_unlinkat = 263,
	NR_mmap = 9,
	NR_shmat = 30,
	NR_ioctl = 16,
	NR_fcntl = 72,
	NR_setgroups = 116,
	NR_kill = 62,
	NR_prctl = 157,
	NR_ptrace = 101,
	NR_process_vm_readv = 310,
	NR_unshare = 272,
	NR_setns = 308,
	NR_finit_module = 313,
	NR_bpf = 321,
	NR_socketpair = 53,
	NR_vmsplice = 278,
	NR_io_submit = 209,
	NR_tgkill = 234,
	NR_rt_tgsigqueueinfo = 297,
	NR_pidfd_send_signal = 424,
	NR_fsconfig = 431,
	NR_memfd_secret = 447,
	CALLS = 480,
};

#define AT_REMOVEDIR 0x200
#define AT_EMPTY_PATH 0x1000

/* What is done with a call. */
enum action {
	IGNORE,
	OPEN,
	NAMES,	/* names are read from user memory, at the call's start and end */
	OBJECT, /* the object is a descriptor */
	EXECUTE,
	SOCKET, /* connect, bind, listen, accept */
	NEW_SOCKET,
	SEND,
	RECEIVE,
	READ,
	WRITE,
	COPY,	/* from one descriptor to another */
	SUBMIT, /* asynchronous reads and writes */
	CLOSE,
	CLOSE_RANGE,
	REPLACE, /* dup2: what the second descriptor was is closed */
	PIPE,
	TAKE_FD, /* a descriptor out of another process */
	URING,
	SIGNAL,
	CONTROL, /* ioctl, fcntl and fsconfig: of some requests */
	PTRACE,
	MEMORY, /* another process's */
	SETID,
	NAMESPACE,
	KERNEL, /* eBPF, modules: what reaches into the kernel itself */
	MEMFD,
	MAP,
};

/* How a call names its files: which argument is the folder's descriptor (NONE: the working directory), which the
 * name, and the same for a second name; which are the mode and the flags. Of OBJECT and the byte counts, `dirfd` and
 * `dirfd2` are the descriptors themselves. */
#define NONE (-1)

struct call {
	__u8 action, kind;
	__s8 dirfd, name, dirfd2, name2, mode, flags;
};

#define ONE_NAME(kind, dirfd, name, mode, flags)                  \
	{                                                         \
		NAMES, kind, dirfd, name, NONE, NONE, mode, flags \
	}
#define TWO_NAMES(kind, dirfd, name, dirfd2, name2, flags)           \
	{                                                            \
		NAMES, kind, dirfd, name, dirfd2, name2, NONE, flags \
	}
#define BY_FD(action, kind, fd, mode)                          \
	{                                                      \
		action, kind, fd, NONE, NONE, NONE, mode, NONE \
	}
#define PLAIN(action, kind)                                      \
	{                                                        \
		action, kind, NONE, NONE, NONE, NONE, NONE, NONE \
	}

static const struct call calls[CALLS] = {
	[0] = BY_FD(READ, 0, 0, NONE),	/* read */
	[1] = BY_FD(WRITE, 0, 0, NONE), /* write */
	[NR_open] = { OPEN, EVENT_OPEN, NONE, 0, NONE, NONE, NONE, 1 },
	[3] = BY_FD(CLOSE, 0, 0, NONE), /* close */
	[NR_mmap] = PLAIN(MAP, EVENT_MMAP_EXEC),
	[10] = PLAIN(MAP, EVENT_MMAP_EXEC), /* mprotect */
	[NR_ioctl] = PLAIN(CONTROL, 0),
	[17] = BY_FD(READ, 0, 0, NONE),		 /* pread64 */
	[18] = BY_FD(WRITE, 0, 0, NONE),	 /* pwrite64 */
	[19] = BY_FD(READ, 0, 0, NONE),		 /* readv */
	[20] = BY_FD(WRITE, 0, 0, NONE),	 /* writev */
	[22] = BY_FD(PIPE, EVENT_PIPE, 0, NONE), /* pipe */
	[NR_shmat] = PLAIN(MAP, EVENT_MMAP_EXEC),
	[33] = BY_FD(REPLACE, 0, 1, NONE),		  /* dup2 */
	[40] = { COPY, 0, 1, NONE, 0, NONE, NONE, NONE }, /* sendfile(out, in) */
	[41] = PLAIN(NEW_SOCKET, 0),			  /* socket */
	[42] = PLAIN(SOCKET, EVENT_CONNECT),		  /* connect */
	[43] = PLAIN(SOCKET, EVENT_ACCEPT),		  /* accept */
	[NR_sendto] = PLAIN(SEND, EVENT_SEND),
	[NR_recvfrom] = PLAIN(RECEIVE, 0),
	[NR_sendmsg] = PLAIN(SEND, EVENT_SEND),
	[NR_recvmsg] = PLAIN(RECEIVE, 0),
	[49] = PLAIN(SOCKET, EVENT_BIND),   /* bind */
	[50] = PLAIN(SOCKET, EVENT_LISTEN), /* listen */
	[NR_socketpair] = BY_FD(PIPE, EVENT_PIPE, 3, NONE),
	[59] = { EXECUTE, EVENT_EXEC, NONE, 0, NONE, NONE, NONE, NONE }, /* execve */
	[NR_kill] = PLAIN(SIGNAL, EVENT_SIGNAL),
	[NR_fcntl] = PLAIN(CONTROL, 0),
	[76] = ONE_NAME(EVENT_TRUNCATE, NONE, 0, NONE, NONE),	/* truncate */
	[77] = BY_FD(OBJECT, EVENT_TRUNCATE, 0, NONE),		/* ftruncate */
	[82] = TWO_NAMES(EVENT_RENAME, NONE, 0, NONE, 1, NONE), /* rename */
	[83] = ONE_NAME(EVENT_MKDIR, NONE, 0, 1, NONE),		/* mkdir */
	[84] = ONE_NAME(EVENT_RMDIR, NONE, 0, NONE, NONE),	/* rmdir */
	[NR_creat] = { OPEN, EVENT_OPEN, NONE, 0, NONE, NONE, NONE, NONE },
	[86] = TWO_NAMES(EVENT_LINK, NONE, 0, NONE, 1, NONE),	 /* link */
	[87] = ONE_NAME(EVENT_DELETE, NONE, 0, NONE, NONE),	 /* unlink */
	[88] = TWO_NAMES(EVENT_SYMLINK, NONE, 1, NONE, 0, NONE), /* symlink(target, path) */
	[90] = ONE_NAME(EVENT_CHMOD, NONE, 0, 1, NONE),		 /* chmod */
	[91] = BY_FD(OBJECT, EVENT_CHMOD, 0, 1),		 /* fchmod */
	[92] = ONE_NAME(EVENT_CHOWN, NONE, 0, NONE, NONE),	 /* chown */
	[93] = BY_FD(OBJECT, EVENT_CHOWN, 0, NONE),		 /* fchown */
	[94] = ONE_NAME(EVENT_CHOWN, NONE, 0, NONE, NONE),	 /* lchown */
	[NR_ptrace] = PLAIN(PTRACE, EVENT_PTRACE),
	[105] = PLAIN(SETID, EVENT_SETID), /* setuid */
	[106] = PLAIN(SETID, EVENT_SETID), /* setgid */
	[113] = PLAIN(SETID, EVENT_SETID), /* setreuid */
	[114] = PLAIN(SETID, EVENT_SETID), /* setregid */
	[NR_setgroups] = PLAIN(SETID, EVENT_SETID),
	[117] = PLAIN(SETID, EVENT_SETID), /* setresuid */
	[119] = PLAIN(SETID, EVENT_SETID), /* setresgid */
	[122] = PLAIN(SETID, EVENT_SETID), /* setfsuid */
	[123] = PLAIN(SETID, EVENT_SETID), /* setfsgid */
	[126] = PLAIN(SETID, EVENT_SETID), /* capset */
	[NR_prctl] = PLAIN(SETID, EVENT_SETID),
	[129] = PLAIN(SIGNAL, EVENT_SIGNAL),			 /* rt_sigqueueinfo */
	[133] = ONE_NAME(EVENT_MKNOD, NONE, 0, 1, NONE),	 /* mknod */
	[155] = TWO_NAMES(EVENT_CHROOT, NONE, 0, NONE, 1, NONE), /* pivot_root */
	[161] = ONE_NAME(EVENT_CHROOT, NONE, 0, NONE, NONE),	 /* chroot */
	[165] = TWO_NAMES(EVENT_MOUNT, NONE, 1, NONE, 0, 3),	 /* mount(source, target, type, flags) */
	[166] = ONE_NAME(EVENT_UNMOUNT, NONE, 0, NONE, 1),	 /* umount2 */
	[175] = PLAIN(KERNEL, EVENT_MODULE),			 /* init_module */
	[188] = ONE_NAME(EVENT_SETXATTR, NONE, 0, NONE, NONE),	 /* setxattr */
	[189] = ONE_NAME(EVENT_SETXATTR, NONE, 0, NONE, NONE),	 /* lsetxattr */
	[190] = BY_FD(OBJECT, EVENT_SETXATTR, 0, NONE),		 /* fsetxattr */
	[197] = ONE_NAME(EVENT_SETXATTR, NONE, 0, NONE, NONE),	 /* removexattr */
	[198] = ONE_NAME(EVENT_SETXATTR, NONE, 0, NONE, NONE),	 /* lremovexattr */
	[199] = BY_FD(OBJECT, EVENT_SETXATTR, 0, NONE),		 /* fremovexattr */
	[200] = PLAIN(SIGNAL, EVENT_SIGNAL),			 /* tkill */
	[NR_io_submit] = PLAIN(SUBMIT, 0),
	[NR_tgkill] = PLAIN(SIGNAL, EVENT_SIGNAL),
	[NR_openat] = { OPEN, EVENT_OPEN, 0, 1, NONE, NONE, NONE, 2 },
	[258] = ONE_NAME(EVENT_MKDIR, 0, 1, 2, NONE),		  /* mkdirat */
	[259] = ONE_NAME(EVENT_MKNOD, 0, 1, 2, NONE),		  /* mknodat */
	[260] = ONE_NAME(EVENT_CHOWN, 0, 1, NONE, NONE),	  /* fchownat */
	[NR_unlinkat] = ONE_NAME(EVENT_DELETE, 0, 1, NONE, NONE), /* or EVENT_RMDIR, by its flags */
	[264] = TWO_NAMES(EVENT_RENAME, 0, 1, 2, 3, NONE),	  /* renameat */
	[265] = TWO_NAMES(EVENT_LINK, 0, 1, 2, 3, NONE),	  /* linkat */
	[266] = TWO_NAMES(EVENT_SYMLINK, 1, 2, NONE, 0, NONE),	  /* symlinkat(target, dirfd, path) */
	[268] = ONE_NAME(EVENT_CHMOD, 0, 1, 2, NONE),		  /* fchmodat */
	[NR_unshare] = PLAIN(NAMESPACE, EVENT_NAMESPACE),
	[275] = { COPY, 0, 0, NONE, 2, NONE, NONE, NONE }, /* splice(in, , out) */
	[276] = { COPY, 0, 0, NONE, 1, NONE, NONE, NONE }, /* tee(in, out) */
	[NR_vmsplice] = BY_FD(WRITE, 0, 0, NONE),
	[285] = BY_FD(OBJECT, EVENT_TRUNCATE, 0, NONE), /* fallocate */
	[288] = PLAIN(SOCKET, EVENT_ACCEPT),		/* accept4 */
	[292] = BY_FD(REPLACE, 0, 1, NONE),		/* dup3 */
	[293] = BY_FD(PIPE, EVENT_PIPE, 0, NONE),	/* pipe2 */
	[295] = BY_FD(READ, 0, 0, NONE),		/* preadv */
	[296] = BY_FD(WRITE, 0, 0, NONE),		/* pwritev */
	[NR_rt_tgsigqueueinfo] = PLAIN(SIGNAL, EVENT_SIGNAL),
	[NR_recvmmsg] = PLAIN(RECEIVE, 0),
	[NR_open_by_handle_at] = { OPEN, EVENT_OPEN, 0, NONE, NONE, NONE, NONE, 2 },
	[NR_sendmmsg] = PLAIN(SEND, EVENT_SEND),
	[NR_setns] = PLAIN(NAMESPACE, EVENT_NAMESPACE),
	[NR_process_vm_readv] = PLAIN(MEMORY, EVENT_VM_READ),
	[311] = PLAIN(MEMORY, EVENT_VM_WRITE),		/* process_vm_writev */
	[316] = TWO_NAMES(EVENT_RENAME, 0, 1, 2, 3, 4), /* renameat2 */
	[NR_finit_module] = PLAIN(KERNEL, EVENT_MODULE),
	[319] = PLAIN(MEMFD, EVENT_MEMFD), /* memfd_create */
	[NR_bpf] = PLAIN(KERNEL, EVENT_BPF),
	[322] = { EXECUTE, EVENT_EXEC, 0, 1, NONE, NONE, NONE, NONE }, /* execveat */
	[326] = { COPY, 0, 0, NONE, 2, NONE, NONE, NONE },	       /* copy_file_range(in, , out) */
	[327] = BY_FD(READ, 0, 0, NONE),			       /* preadv2 */
	[328] = BY_FD(WRITE, 0, 0, NONE),			       /* pwritev2 */
	[329] = PLAIN(MAP, EVENT_MMAP_EXEC),			       /* pkey_mprotect */
	[NR_pidfd_send_signal] = PLAIN(SIGNAL, EVENT_SIGNAL),
	[425] = PLAIN(URING, EVENT_IO_URING),		  /* io_uring_setup */
	[429] = TWO_NAMES(EVENT_MOUNT, 2, 3, 0, 1, NONE), /* move_mount(from, , to, ) */
	[NR_fsconfig] = PLAIN(CONTROL, 0),
	[436] = PLAIN(CLOSE_RANGE, 0), /* close_range */
	[NR_openat2] = { OPEN, EVENT_OPEN, 0, 1, NONE, NONE, NONE, NONE },
	[438] = PLAIN(TAKE_FD, EVENT_FD_RECEIVE),	 /* pidfd_getfd */
	[442] = ONE_NAME(EVENT_MOUNT, 0, 1, NONE, NONE), /* mount_setattr */
	[NR_memfd_secret] = PLAIN(MEMFD, EVENT_MEMFD),
	[452] = ONE_NAME(EVENT_CHMOD, 0, 1, 2, NONE),	    /* fchmodat2 */
	[463] = ONE_NAME(EVENT_SETXATTR, 0, 1, NONE, NONE), /* setxattrat */
	[466] = ONE_NAME(EVENT_SETXATTR, 0, 1, NONE, NONE), /* removexattrat */
	[469] = ONE_NAME(EVENT_SETXATTR, 0, 1, NONE, NONE), /* file_setattr */
};
