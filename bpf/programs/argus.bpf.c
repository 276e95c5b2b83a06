/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The kernel half of Argus. Processes come and go by the scheduler's tracepoints; what they do is read when a system
 * call returns, from the object that the call made or used, and from user memory only where no object is left. What
 * needs more of the kernel than tracepoints (objects.h) is added where the kernel allows it.
 */
#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
#include "event.h"
#include "record.h"
#include "calls_x86_64.h"
#include "calls_i386.h"
#include "paths.h"
#include "sockets.h"
#include "names.h"
#include "uses.h"
#include "files.h"
#include "network.h"
#include "processes.h"
#include "control.h"
#include "sweep.h"
#include "attach.h"
#include "uring.h"
#include "objects.h"

#define EINTR 4
#define ERESTARTSYS 512
#define ERESTART_RESTARTBLOCK 516

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/sys_enter")
int BPF_PROG(on_sys_enter, struct pt_regs *regs, long id)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread_state *own = state_of(task);
	if (!followed(own))
		return 0;
	own->pending = 0;
	__u32 nr = id;
	bool compat = task->thread_info.status & TS_COMPAT;
	if (compat) {
		nr = read_compat(own, regs, nr);
	} else if (nr & X32_BIT) {
		count_loss(LOSS_COMPAT_SYSCALL);
		return 0;
	}
	if (nr >= CALLS)
		return 0;
	const struct call *call = &calls[nr];
	if (call->action == IGNORE)
		return 0;
	if (!compat) {
		own->args[0] = regs->di;
		own->args[1] = regs->si;
		own->args[2] = regs->dx;
		own->args[3] = regs->r10;
		own->args[4] = regs->r8;
		own->args[5] = regs->r9;
	}
	own->syscall = nr;
	own->calls++;
	own->pending = 1;
	switch (call->action) {
	case NAMES:
		draft_names(own, call);
		break;
	case OBJECT:
	case READ:
	case WRITE:
	case RECEIVE:
		own->file = (__u64)file_of(task, (int)own->args[0]);
		break;
	case COPY:
		own->file = (__u64)file_of(task, (int)argument(own, call->dirfd));
		own->file2 = (__u64)file_of(task, (int)argument(own, call->dirfd2));
		break;
	case CONTROL:
		own->file = (__u64)file_of(task, (int)own->args[0]);
		own->pending = controlled(own) != 0;
		break;
	case SOCKET:
		own->file = (__u64)file_of(task, (int)own->args[0]);
		if (call->kind == EVENT_CONNECT || call->kind == EVENT_BIND)
			draft_address(own);
		break;
	case SEND:
		own->file = (__u64)file_of(task, (int)own->args[0]);
		draft_address(own);
		break;
	/* What is about to be closed is there only now. */
	case CLOSE:
		own->pending = 0;
		end_uses((__u32)own->args[0], (__u32)own->args[0]);
		break;
	case REPLACE:
		own->pending = 0;
		if (own->args[0] != own->args[1])
			end_uses((__u32)own->args[1], (__u32)own->args[1]);
		break;
	case CLOSE_RANGE:
		own->pending = 0;
		if (!(own->args[2] & CLOSE_RANGE_CLOEXEC))
			end_uses((__u32)own->args[0], (__u32)own->args[1]);
		break;
	case EXECUTE:
		/* Descriptors that close on it are gone before it is recorded. */
		end_uses(0, ~0ULL);
		break;
	case SETID:
		own->pending = changes_rights(own);
		if (own->pending)
			note_credentials(own, task);
		break;
	}
	return 0;
}

/* A call that a signal interrupted is begun anew, or fails: the program knows of EINTR alone. */
static __always_inline long result(long ret)
{
	return ret <= -ERESTARTSYS && ret >= -ERESTART_RESTARTBLOCK ? -EINTR : ret;
}

/*
 * What happens at a call's end is a program of its own for each theme, which the first one jumps to: a verifier walks
 * every way through a program, and of one that did it all there would be too many.
 */
#define AT_CALLS_END(name)                                                                          \
	static __always_inline void name##_body(struct task_struct *task, struct thread_state *own, \
						const struct call *call, long ret);                 \
	SEC("tp_btf/sys_exit")                                                                      \
	int BPF_PROG(name, struct pt_regs *regs, long ret)                                          \
	{                                                                                           \
		struct task_struct *task = bpf_get_current_task_btf();                              \
		struct thread_state *own = state_of(task);                                          \
		if (!own)                                                                           \
			return 0;                                                                   \
		__u32 nr = own->syscall;                                                            \
		if (nr >= CALLS)                                                                    \
			return 0;                                                                   \
		name##_body(task, own, &calls[nr], result(ret));                                    \
		return 0;                                                                           \
	}                                                                                           \
	static __always_inline void name##_body(struct task_struct *task, struct thread_state *own, \
						const struct call *call, long ret)

AT_CALLS_END(end_open)
{
	record_open(own, call, ret, ret >= 0 ? file_of(task, ret) : NULL);
}

AT_CALLS_END(end_names)
{
	/* The success of an execve was recorded where it happened. */
	if (call->action != EXECUTE || ret < 0)
		record_names(own, call, ret);
}

AT_CALLS_END(end_object)
{
	record_object(own, call, call->kind, ret);
}

AT_CALLS_END(end_socket)
{
	record_socket(own, call, ret);
}

AT_CALLS_END(end_messages)
{
	record_messages(own, ret, call->action == RECEIVE);
}

AT_CALLS_END(end_bytes)
{
	if (ret <= 0)
		return;
	struct file *file = (struct file *)own->file;
	/* vmsplice moves bytes the way that its end of the pipe is open for. */
	bool reads = own->syscall == NR_vmsplice ? !(BPF_CORE_READ(file, f_flags) & O_ACCMODE) : call->action == READ;
	if (call->action == READ || call->action == WRITE)
		count_call(file, reads ? ret : 0, reads ? 0 : ret);
	if (call->action == COPY) {
		count_call(file, ret, 0);
		count_call((struct file *)own->file2, 0, ret);
	}
}

AT_CALLS_END(end_file)
{
	switch (call->action) {
	case PIPE:
		record_pipe(own, call, ret);
		break;
	case TAKE_FD:
		record_file(EVENT_FD_RECEIVE, ret >= 0 ? file_of(task, ret) : NULL, ret, 0);
		break;
	case NEW_SOCKET:
		own_socket(task, sock_of(file_of(task, ret)));
		break;
	case SUBMIT:
		note_submitted(own, ret);
		break;
	case URING:
		record_file(EVENT_IO_URING, ret >= 0 ? file_of(task, ret) : NULL, ret, 0);
		break;
	case NAMESPACE:
		record_namespace(own, ret);
		break;
	case MEMFD:
		record_memfd(own, ret);
		break;
	case KERNEL:
		record_kernel(own, call->kind, ret);
		break;
	}
}

AT_CALLS_END(end_map)
{
	record_map(own, ret);
}

AT_CALLS_END(end_control)
{
	switch (call->action) {
	case SIGNAL:
		record_refused_signal(own, ret);
		break;
	case CONTROL:
		if (controlled(own) == EVENT_SIGNAL)
			record_ordered_signal(own, ret);
		else
			record_object(own, call, controlled(own), ret);
		break;
	case PTRACE:
		record_ptrace(own, ret);
		break;
	case MEMORY:
		record_memory(own, call, ret);
		break;
	case SETID:
		record_setid(own, ret);
		break;
	}
}

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 32);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} ends SEC(".maps") = {
	.values = {
		[OPEN] = (void *)&end_open,
		[NAMES] = (void *)&end_names,
		[EXECUTE] = (void *)&end_names,
		[OBJECT] = (void *)&end_object,
		[SOCKET] = (void *)&end_socket,
		[SEND] = (void *)&end_messages,
		[RECEIVE] = (void *)&end_messages,
		[READ] = (void *)&end_bytes,
		[WRITE] = (void *)&end_bytes,
		[COPY] = (void *)&end_bytes,
		[PIPE] = (void *)&end_file,
		[TAKE_FD] = (void *)&end_file,
		[NEW_SOCKET] = (void *)&end_file,
		[SUBMIT] = (void *)&end_file,
		[URING] = (void *)&end_file,
		[NAMESPACE] = (void *)&end_file,
		[KERNEL] = (void *)&end_file,
		[MEMFD] = (void *)&end_file,
		[MAP] = (void *)&end_map,
		[SIGNAL] = (void *)&end_control,
		[CONTROL] = (void *)&end_control,
		[PTRACE] = (void *)&end_control,
		[MEMORY] = (void *)&end_control,
		[SETID] = (void *)&end_control,
	},
};

SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread_state *own = state_of(task);
	if (!own || !own->pending)
		return 0;
	own->pending = 0;
	__u32 nr = own->syscall;
	if (nr < CALLS)
		bpf_tail_call(ctx, &ends, calls[nr].action);
	return 0;
}
