/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The kernel half of Argus under the `syscalls` plan: BTF raw tracepoints only, which load under lockdown too.
 * Processes come and go by the scheduler's tracepoints; everything else is read when its system call returns, from
 * the object that the call made or used, and from user memory only where no object is left.
 */
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
#include "event.h"
#include "record.h"
#include "paths.h"
#include "sockets.h"
#include "calls_x86_64.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define CLONE_VM 0x00000100
#define CLONE_FS 0x00000200
#define CLONE_FILES 0x00000400
#define CLONE_PARENT 0x00008000
#define CLONE_THREAD 0x00010000

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct thread_state *own = bpf_task_storage_get(&threads, parent, 0, 0);
	if (!own)
		return 0;
	__u32 flags = own->flags;
	bool thread = BPF_CORE_READ(child, tgid) == BPF_CORE_READ(parent, tgid);
	if (flags & THREAD_SEED) {
		if (thread)
			return 0;
		flags = THREAD_QUIET;
	}
	struct thread_state *inherited = bpf_task_storage_get(&threads, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!inherited) {
		count_loss(LOSS_NOT_INHERITED);
	} else {
		inherited->flags = flags;
		__sync_fetch_and_add(&live_threads, 1);
	}

	struct scratch *s = begin(EVENT_FORK, parent);
	if (!s)
		return 0;
	struct event *e = &s->event;
	e->child_tid = BPF_CORE_READ(child, pid);
	e->child_pid = BPF_CORE_READ(child, tgid);
	e->child_start_ns = BPF_CORE_READ(child, group_leader, start_boottime);
	/* Read from what the kernel made, not from the call's arguments, which the caller could rewrite. */
	__u64 clone = 0;
	if (thread)
		clone |= CLONE_THREAD;
	if (BPF_CORE_READ(child, mm) == BPF_CORE_READ(parent, mm))
		clone |= CLONE_VM;
	if (BPF_CORE_READ(child, files) == BPF_CORE_READ(parent, files))
		clone |= CLONE_FILES;
	if (BPF_CORE_READ(child, fs) == BPF_CORE_READ(parent, fs))
		clone |= CLONE_FS;
	if (!thread && BPF_CORE_READ(child, real_parent, tgid) != BPF_CORE_READ(parent, tgid))
		clone |= CLONE_PARENT;
	e->clone_flags = clone;
	submit(s);
	return 0;
}

/* Looks for TRACEPARENT in the new program's environment, which the kernel has just laid down. */
struct environment_scan {
	struct scratch *scratch;
	unsigned long at;
	unsigned long end;
	__u32 inside; /* the text before was longer than the buffer: what follows is its rest, not a variable */
	__u32 done;
};

#define ENVIRONMENT_VARIABLES 8192
#define TRACEPARENT_MAX 128

static long scan_step(__u32 index, void *context)
{
	struct environment_scan *scan = context;
	struct scratch *s = scan->scratch;
	if (scan->at >= scan->end) {
		scan->done = 1;
		return 1;
	}
	__u32 at = s->used;
	barrier_var(at);
	if (at > DATA_MAX - PATH_TEXT_MAX)
		return 1;
	char *text = space(s, at);
	long n = bpf_probe_read_user_str(text, PATH_TEXT_MAX, (const void *)scan->at);
	if (n <= 0) {
		s->event.errors |= ERROR_UNREADABLE(SLOT_TRACEPARENT);
		scan->done = 1;
		return 1;
	}
	if (!scan->inside && n > 12 && text[0] == 'T' && text[1] == 'R' && text[2] == 'A' && text[3] == 'C' &&
	    text[4] == 'E' && text[5] == 'P' && text[6] == 'A' && text[7] == 'R' && text[8] == 'E' && text[9] == 'N' &&
	    text[10] == 'T' && text[11] == '=') {
		__u32 length = n - 1;
		if (length > TRACEPARENT_MAX) {
			length = TRACEPARENT_MAX;
			s->event.errors |= ERROR_CUT(SLOT_TRACEPARENT);
		}
		s->event.lengths[SLOT_TRACEPARENT] = length;
		s->used = at + length;
		scan->done = 1;
		return 1;
	}
	if (n == PATH_TEXT_MAX) {
		/* Full: either it ended just here, or it goes on. Step back over the NUL that the helper put. */
		scan->inside = 1;
		scan->at += n - 1;
	} else {
		scan->inside = 0;
		scan->at += n;
	}
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct thread_state *own = bpf_task_storage_get(&threads, task, 0, 0);
	if (!own || own->flags & THREAD_SEED)
		return 0;
	own->flags &= ~THREAD_QUIET;
	struct scratch *s = begin(EVENT_EXEC, task);
	if (!s)
		return 0;
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct file *image = BPF_CORE_READ(mm, exe_file);
	append_file(s, SLOT_PATH_BASE, image);
	s->event.facts |= FACT_PATH_KERNEL;
	/* The name that was asked for: of a script, it is the script, where the image is its interpreter. */
	append_kernel_text(s, SLOT_PATH2_ARGUMENT, BPF_CORE_READ(bprm, filename));
	append_cwd(s, SLOT_CWD_BASE, task);

	unsigned long from = BPF_CORE_READ(mm, arg_start);
	__u64 length = BPF_CORE_READ(mm, arg_end) - from;
	__u32 at = s->used;
	barrier_var(at);
	if (at <= DATA_MAX - ARGV_MAX) {
		barrier_var(length);
		if (length > ARGV_MAX) {
			length = ARGV_MAX;
			s->event.errors |= ERROR_CUT(SLOT_ARGV);
		}
		if (bpf_probe_read_user(space(s, at), length, (const void *)from)) {
			s->event.errors |= ERROR_UNREADABLE(SLOT_ARGV);
		} else {
			s->event.lengths[SLOT_ARGV] = length;
			s->used = at + length;
		}
	}

	struct environment_scan scan = {
		.scratch = s,
		.at = BPF_CORE_READ(mm, env_start),
		.end = BPF_CORE_READ(mm, env_end),
		.inside = 0,
		.done = 0,
	};
	bpf_loop(ENVIRONMENT_VARIABLES, scan_step, &scan, 0);
	if (!scan.done)
		s->event.errors |= ERROR_ENVIRONMENT_CUT;
	submit(s);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct thread_state *own = bpf_task_storage_get(&threads, task, 0, 0);
	if (!own || own->flags & THREAD_SEED)
		return 0;
	if (!(own->flags & THREAD_QUIET)) {
		struct scratch *s = begin(EVENT_EXIT, task);
		if (s) {
			s->event.exit_code = BPF_CORE_READ(task, exit_code);
			if (BPF_CORE_READ(task, signal, live.counter) == 0)
				s->event.facts |= FACT_LAST_THREAD;
			submit(s);
		}
	}
	/* After the event: who sees no live thread has every event in the ring. */
	__sync_fetch_and_sub(&live_threads, 1);
	return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_sys_enter, struct pt_regs *regs, long id)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread_state *own = bpf_task_storage_get(&threads, task, 0, 0);
	if (!own || own->flags)
		return 0;
	own->pending = 0;
	__u64 flags = BPF_CORE_READ(regs, dx);
	__u64 args[3] = { 0, 0, flags };
	if (!call_of(id, args).kind)
		return 0;
	if (BPF_CORE_READ(task, thread_info.status) & TS_COMPAT) {
		count_loss(LOSS_COMPAT_SYSCALL);
		return 0;
	}
	own->args[0] = BPF_CORE_READ(regs, di);
	own->args[1] = BPF_CORE_READ(regs, si);
	own->args[2] = flags;
	own->args[3] = BPF_CORE_READ(regs, r10);
	own->args[4] = BPF_CORE_READ(regs, r8);
	own->args[5] = BPF_CORE_READ(regs, r9);
	own->syscall = id;
	own->pending = 1;
	return 0;
}

static __always_inline void record_open(struct task_struct *task, struct thread_state *own, struct call call, long ret)
{
	struct scratch *s = begin(EVENT_OPEN, task);
	if (!s)
		return;
	struct event *e = &s->event;
	e->ret = ret;
	struct file *file = ret >= 0 ? file_of(task, ret) : NULL;
	if (file) {
		append_file(s, SLOT_PATH_BASE, file);
		e->flags = BPF_CORE_READ(file, f_flags);
		e->facts |= FACT_PATH_KERNEL | FACT_FLAGS;
		/* The kernel drops these from the file once they have done their work; they tell whether it was made
		 * or cut. */
		__u64 asked = 0;
		if (own->syscall == NR_open)
			asked = own->args[1];
		else if (own->syscall == NR_openat)
			asked = own->args[2];
		else if (own->syscall == NR_creat)
			asked = 01 | 0100 | 01000;
		else
			bpf_probe_read_user(&asked, sizeof(asked), (const void *)own->args[2]);
		e->flags |= asked & (0100 | 0200 | 01000);
	} else {
		int dirfd = call.dirfd == NONE ? AT_FDCWD : (int)own->args[0];
		append_argument(s, task, SLOT_PATH_BASE, dirfd, (const void *)own->args[call.dirfd == NONE ? 0 : 1]);
		if (own->syscall == NR_open)
			e->flags = own->args[1];
		else if (own->syscall == NR_openat)
			e->flags = own->args[2];
		else if (own->syscall == NR_creat)
			e->flags = 01 | 0100 | 01000;
		else
			bpf_probe_read_user(&e->flags, sizeof(e->flags), (const void *)own->args[2]);
		e->facts |= FACT_FLAGS;
	}
	submit(s);
}

static __always_inline void record_socket(struct task_struct *task, struct thread_state *own, __u32 kind, long ret)
{
	struct scratch *s = begin(kind, task);
	if (!s)
		return;
	s->event.ret = ret;
	struct sock *sk = socket_of(task, kind == EVENT_ACCEPT ? (int)ret : (int)own->args[0]);
	if (sk)
		append_socket(s, sk, kind == EVENT_CONNECT);
	bool named = kind == EVENT_CONNECT || kind == EVENT_BIND;
	if (named && !(s->event.facts & FACT_ADDRESS)) {
		s->event.facts &= ~FACT_ADDRESS_KERNEL;
		append_address_argument(s, (const void *)own->args[1], own->args[2]);
	}
	submit(s);
}

/* One datagram to an address of its own. Without one it went through a connected socket, whose connect told the peer.
 */
static __always_inline void record_send(int fd, const void *address, __u32 length, long ret)
{
	if (!address || !length)
		return;
	struct task_struct *task = bpf_get_current_task_btf();
	struct scratch *s = begin(EVENT_SEND, task);
	if (!s)
		return;
	s->event.ret = ret;
	struct sock *sk = socket_of(task, fd);
	if (sk)
		append_socket(s, sk, true);
	s->event.facts &= ~FACT_ADDRESS_KERNEL;
	append_address_argument(s, address, length);
	submit(s);
}

/* Of struct mmsghdr: a struct user_msghdr, which begins with the address and its length, then what was sent. */
#define MESSAGE_BYTES 64
#define MESSAGE_SENT 56
/* UIO_MAXIOV: the kernel takes no more in one call. */
#define MESSAGES_MAX 1024

struct messages {
	__u64 vector;
	__s64 result; /* of the call as a whole, where it speaks for every message; else 0 */
	__u64 fd;
};

static long message_step(__u32 index, void *context)
{
	struct messages *messages = context;
	const char *message = (const char *)(messages->vector + (__u64)index * MESSAGE_BYTES);
	__s64 result = messages->result;
	int fd = messages->fd;
	const void *address = NULL;
	__u32 length = 0, sent = 0;
	bpf_probe_read_user(&address, sizeof(address), message);
	bpf_probe_read_user(&length, sizeof(length), message + sizeof(address));
	bpf_probe_read_user(&sent, sizeof(sent), message + MESSAGE_SENT);
	record_send(fd, address, length, result ? result : sent);
	return 0;
}

static __always_inline void record_sends(struct thread_state *own, long ret)
{
	if (own->syscall == NR_sendto) {
		record_send(own->args[0], (const void *)own->args[4], own->args[5], ret);
		return;
	}
	struct messages messages = {
		.vector = own->args[1],
		.result = ret < 0 || own->syscall == NR_sendmsg ? ret : 0,
		.fd = own->args[0],
	};
	/* Of a call that failed, the first message is the one that did. */
	__u32 count = own->syscall == NR_sendmsg || ret < 0 ? 1 : ret;
	bpf_loop(count < MESSAGES_MAX ? count : MESSAGES_MAX, message_step, &messages, 0);
}

static __always_inline void record_names(struct task_struct *task, struct thread_state *own, struct call call, long ret)
{
	struct scratch *s = begin(call.kind, task);
	if (!s)
		return;
	struct event *e = &s->event;
	e->ret = ret;
	int dirfd = call.dirfd == NONE ? AT_FDCWD : (int)own->args[call.dirfd & 3];
	append_argument(s, task, SLOT_PATH_BASE, dirfd, (const void *)own->args[call.name & 3]);
	if (call.kind == EVENT_SYMLINK) {
		append_user_text(s, SLOT_PATH2_ARGUMENT, (const void *)own->args[0], PATH_TEXT_MAX);
		e->facts |= FACT_PATH2_TEXT;
	} else if (call.name2 != NONE) {
		dirfd = call.dirfd2 == NONE ? AT_FDCWD : (int)own->args[call.dirfd2 & 3];
		append_argument(s, task, SLOT_PATH2_BASE, dirfd, (const void *)own->args[call.name2 & 3]);
	}
	if (call.kind == EVENT_CHMOD || call.kind == EVENT_MKDIR) {
		e->mode = own->args[(call.name + 1) & 3];
		e->facts |= FACT_MODE;
	}
	submit(s);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread_state *own = bpf_task_storage_get(&threads, task, 0, 0);
	if (!own || !own->pending)
		return 0;
	own->pending = 0;
	struct call call = call_of(own->syscall, own->args);
	switch (call.kind) {
	case EVENT_OPEN:
		record_open(task, own, call, ret);
		break;
	case EVENT_CONNECT:
	case EVENT_BIND:
	case EVENT_LISTEN:
		record_socket(task, own, call.kind, ret);
		break;
	case EVENT_SEND:
		record_sends(own, ret);
		break;
	case EVENT_ACCEPT:
		if (ret >= 0)
			record_socket(task, own, call.kind, ret);
		break;
	case EVENT_EXEC:
		/* A success was recorded where it happened. */
		if (ret < 0)
			record_names(task, own, call, ret);
		break;
	case EVENT_IO_URING: {
		struct scratch *s = begin(EVENT_IO_URING, task);
		if (s) {
			s->event.ret = ret;
			submit(s);
		}
		break;
	}
	default:
		record_names(task, own, call, ret);
	}
	return 0;
}
