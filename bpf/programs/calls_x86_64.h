/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The system calls that are recorded, by their x86-64 numbers, and where their arguments lie. */
#pragma once

#define TS_COMPAT 0x2 /* arch/x86/include/asm/thread_info.h: this call came through a 32-bit gate */

enum {
	NR_open = 2,
	NR_connect = 42,
	NR_accept = 43,
	NR_sendto = 44,
	NR_sendmsg = 46,
	NR_bind = 49,
	NR_listen = 50,
	NR_execve = 59,
	NR_truncate = 76,
	NR_rename = 82,
	NR_mkdir = 83,
	NR_rmdir = 84,
	NR_creat = 85,
	NR_link = 86,
	NR_unlink = 87,
	NR_symlink = 88,
	NR_chmod = 90,
	NR_chown = 92,
	NR_lchown = 94,
	NR_openat = 257,
	NR_mkdirat = 258,
	NR_fchownat = 260,
	NR_unlinkat = 263,
	NR_renameat = 264,
	NR_linkat = 265,
	NR_symlinkat = 266,
	NR_fchmodat = 268,
	NR_accept4 = 288,
	NR_sendmmsg = 307,
	NR_renameat2 = 316,
	NR_execveat = 322,
	NR_io_uring_setup = 425,
	NR_openat2 = 437,
	NR_fchmodat2 = 452,
};

#define AT_REMOVEDIR 0x200

/* How a call names its files: which argument is the folder's descriptor (NONE: the working directory), which the
 * name, and the same for a second name. */
#define NONE (-1)

struct call {
	__s8 kind; /* 0: not recorded */
	__s8 dirfd, name;
	__s8 dirfd2, name2;
};

static __always_inline struct call call_of(__u32 nr, const __u64 *args)
{
	switch (nr) {
	case NR_open:
	case NR_creat:
		return (struct call){ EVENT_OPEN, NONE, 0, NONE, NONE };
	case NR_openat:
	case NR_openat2:
		return (struct call){ EVENT_OPEN, 0, 1, NONE, NONE };
	case NR_unlink:
		return (struct call){ EVENT_DELETE, NONE, 0, NONE, NONE };
	case NR_unlinkat:
		return (struct call){ (args[2] & AT_REMOVEDIR) ? EVENT_RMDIR : EVENT_DELETE, 0, 1, NONE, NONE };
	case NR_rmdir:
		return (struct call){ EVENT_RMDIR, NONE, 0, NONE, NONE };
	case NR_rename:
		return (struct call){ EVENT_RENAME, NONE, 0, NONE, 1 };
	case NR_renameat:
	case NR_renameat2:
		return (struct call){ EVENT_RENAME, 0, 1, 2, 3 };
	case NR_link:
		return (struct call){ EVENT_LINK, NONE, 0, NONE, 1 };
	case NR_linkat:
		return (struct call){ EVENT_LINK, 0, 1, 2, 3 };
	case NR_symlink:
		return (struct call){ EVENT_SYMLINK, NONE, 1, NONE, 0 };
	case NR_symlinkat:
		return (struct call){ EVENT_SYMLINK, 1, 2, NONE, 0 };
	case NR_mkdir:
		return (struct call){ EVENT_MKDIR, NONE, 0, NONE, NONE };
	case NR_mkdirat:
		return (struct call){ EVENT_MKDIR, 0, 1, NONE, NONE };
	case NR_truncate:
		return (struct call){ EVENT_TRUNCATE, NONE, 0, NONE, NONE };
	case NR_chmod:
		return (struct call){ EVENT_CHMOD, NONE, 0, NONE, NONE };
	case NR_fchmodat:
	case NR_fchmodat2:
		return (struct call){ EVENT_CHMOD, 0, 1, NONE, NONE };
	case NR_chown:
	case NR_lchown:
		return (struct call){ EVENT_CHOWN, NONE, 0, NONE, NONE };
	case NR_fchownat:
		return (struct call){ EVENT_CHOWN, 0, 1, NONE, NONE };
	case NR_execve:
		return (struct call){ EVENT_EXEC, NONE, 0, NONE, NONE };
	case NR_execveat:
		return (struct call){ EVENT_EXEC, 0, 1, NONE, NONE };
	case NR_connect:
		return (struct call){ EVENT_CONNECT, NONE, NONE, NONE, NONE };
	case NR_bind:
		return (struct call){ EVENT_BIND, NONE, NONE, NONE, NONE };
	case NR_listen:
		return (struct call){ EVENT_LISTEN, NONE, NONE, NONE, NONE };
	case NR_accept:
	case NR_accept4:
		return (struct call){ EVENT_ACCEPT, NONE, NONE, NONE, NONE };
	case NR_sendto:
	case NR_sendmsg:
	case NR_sendmmsg:
		return (struct call){ EVENT_SEND, NONE, NONE, NONE, NONE };
	case NR_io_uring_setup:
		return (struct call){ EVENT_IO_URING, NONE, NONE, NONE, NONE };
	}
	return (struct call){ 0, NONE, NONE, NONE, NONE };
}
