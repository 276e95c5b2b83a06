/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * One event as it crosses the ring buffer: this fixed head, then the texts of its slots, one after the other, each as
 * long as `lengths` says. The Rust mirror is src/layout.rs; a test compares the two through the object's BTF.
 */
#pragma once

enum event_kind {
	EVENT_FORK = 1,
	EVENT_EXEC = 2,
	EVENT_EXIT = 3,
	EVENT_OPEN = 4,
	EVENT_DELETE = 5,
	EVENT_RENAME = 6,
	EVENT_LINK = 7,
	EVENT_SYMLINK = 8,
	EVENT_MKDIR = 9,
	EVENT_RMDIR = 10,
	EVENT_TRUNCATE = 11,
	EVENT_CHMOD = 12,
	EVENT_CHOWN = 13,
	EVENT_CONNECT = 14,
	EVENT_BIND = 15,
	EVENT_LISTEN = 16,
	EVENT_ACCEPT = 17,
	EVENT_SEND = 18,
	EVENT_IO_URING = 19,
	EVENT_CLOSE = 20,
	EVENT_MKNOD = 21,
	EVENT_MOUNT = 22,
	EVENT_UNMOUNT = 23,
	EVENT_CHROOT = 24,
	EVENT_NAMESPACE = 25,
	EVENT_SIGNAL = 26,
	EVENT_PTRACE = 27,
	EVENT_VM_READ = 28,
	EVENT_VM_WRITE = 29,
	EVENT_SETID = 30,
	EVENT_MEMFD = 31,
	EVENT_MMAP_EXEC = 32,
	EVENT_PIPE = 33,
	EVENT_FD_SEND = 34,
	EVENT_FD_RECEIVE = 35,
	EVENT_SETXATTR = 36,
	EVENT_DNS = 37,
	EVENT_TLS_NAME = 38,
	EVENT_EXISTING = 39,
	EVENT_BPF = 40,
	EVENT_MODULE = 41,
	EVENT_KINDS = 42,
	/* Not a row of its own: the result of an io_uring request whose row was sent when it was submitted. */
	EVENT_COMPLETED = 63,
};

/* The texts. A base is a list of path components from the leaf up, each ended by a NUL, read from kernel dentries. */
enum event_slot {
	SLOT_PATH_BASE,
	SLOT_PATH_ARGUMENT,
	SLOT_PATH2_BASE,
	SLOT_PATH2_ARGUMENT,
	SLOT_CWD_BASE,
	SLOT_ARGV,
	SLOT_PAYLOAD = SLOT_ARGV, /* of a packet, which has no arguments */
	SLOT_TRACEPARENT,
	/* What the argument said when the call returned, where that is not what it said when the call began. */
	SLOT_LATER,
	SLOTS,
};

/* What went wrong while the event was put together: bit (slot) for unreadable, bit (slot + 10) for cut off. */
#define ERROR_UNREADABLE(slot) (1u << (slot))
#define ERROR_CUT(slot) (1u << ((slot) + 10))
#define ERROR_ENVIRONMENT_CUT (1u << 20)
#define ERROR_CHANGED (1u << 21)
#define ERROR_TARGET_NAMESPACED (1u << 22)
#define ERROR_UNATTACHED (1u << 23)
#define ERROR_DIRECTION (1u << 24)
#define ERROR_STILL_OPEN (1u << 25)
#define ERROR_UNSEEN_START (1u << 26)
#define ERROR_LINK_FOLLOWED (1u << 27)
#define ERROR_FOLLOWED_SERVER (1u << 28)
/* More may be read or written from then on than is counted. */
#define ERROR_UNCOUNTED_IN (1u << 29)
#define ERROR_UNCOUNTED_OUT (1u << 30)

/* Which facts the event holds. */
#define FACT_PATH_KERNEL (1u << 0)
#define FACT_ADDRESS_KERNEL (1u << 1)
#define FACT_INODE (1u << 2)
#define FACT_FLAGS (1u << 3)
#define FACT_MODE (1u << 4)
#define FACT_ADDRESS (1u << 5)
#define FACT_DETACHED (1u << 6)
#define FACT_LAST_THREAD (1u << 7)
#define FACT_PATH2_TEXT (1u << 8)
#define FACT_SUBMITTED (1u << 9) /* an io_uring request; its result comes as EVENT_COMPLETED */
#define FACT_SEVERAL_THREADS (1u << 10)
#define FACT_TARGET (1u << 11)
#define FACT_CREDENTIALS (1u << 12)
#define FACT_BYTES (1u << 13)
#define FACT_PATH2_KERNEL (1u << 14)
#define FACT_CAPTURE_NAMED (1u << 15) /* the environment says where the capture takes spans */

struct event {
	__u64 boot_ns;
	__u64 cpu_seq;
	__u64 first_ns; /* of folded repeats and of uses; 0: boot_ns */
	__u64 last_ns;
	__u64 bytes_out;
	__u64 bytes_in;
	__u64 request; /* of io_uring: which completion belongs to which submission; of TCP: the segment's sequence
			  number */
	__u32 cpu;
	__u32 count;
	/* From here on, two events with the same content say the same: they can be folded. */
	__u64 start_ns;
	__u64 cgroup_id;
	__s64 ret;
	__u64 inode;
	__u64 dev;
	__u64 flags;
	__u64 socket;
	__u64 child_start_ns;
	__u64 clone_flags;
	__u64 target_start_ns;
	__u64 capabilities;
	__s32 pid;
	__s32 tid;
	__s32 ns_pid;
	__u32 uid;
	__u32 gid;
	__u32 euid;
	__u32 mnt_ns;
	__u32 mode;
	__s32 child_pid;
	__s32 child_tid;
	__s32 target_pid;
	__u32 exit_code;
	__u32 errors;
	__u32 facts;
	__u16 kind;
	__u16 family;
	__u16 socket_type;
	__u16 protocol;
	__u16 local_port;
	__u16 remote_port;
	__u32 vsock_port;   /* vsock ports have 32 bits */
	__u32 net_ns;	    /* of a socket */
	__s32 child_ns_tid; /* of a thread that was made, as its own pid namespace numbers it */
	__u8 local_addr[16];
	__u8 remote_addr[16];
	char comm[16];
	__u32 lengths[SLOTS];
};

/* Why something was not recorded; each has a counter in `losses`. */
enum loss_cause {
	LOSS_RING_FULL,
	LOSS_RESERVE,
	LOSS_SCRATCH_BUSY,
	LOSS_NOT_INHERITED,
	LOSS_COMPAT_SYSCALL,
	LOSS_MAP_FULL,
	LOSS_REPEATS, /* of folds that were lost: all repeats but the one that their number stands for */
	LOSS_CAUSES,
};
