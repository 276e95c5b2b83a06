/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What reaches into other processes, and what changes the rights and the world of one's own. */
#pragma once

#define F_SETOWN 8
#define F_SETOWN_EX 15
#define FIOSETOWN 0x8901
#define SIOCSPGRP 0x8902
#define FICLONE 0x40049409
#define FICLONERANGE 0x4020940d
#define FS_IOC_SETFLAGS 0x40086602
#define FS_IOC32_SETFLAGS 0x40046602
#define FS_IOC_FSSETXATTR 0x401c5820
#define SIGIO 29
#define F_OWNER_PGRP 2
#define FSCONFIG_CMD_RECONFIGURE 7
#define PTRACE_TRACEME 0
#define PTRACE_POKETEXT 4
#define PTRACE_POKEDATA 5
#define PTRACE_POKEUSR 6
#define PTRACE_SETREGS 13
#define PTRACE_SETFPREGS 15
#define PTRACE_ATTACH 16
#define PTRACE_SETREGSET 0x4205
#define PTRACE_SEIZE 0x4206

/* kill, tkill, rt_sigqueueinfo(pid, signal); tgkill, rt_tgsigqueueinfo(tgid, tid, signal);
 * pidfd_send_signal(pidfd, signal) */
static __always_inline __u32 signal_argument(const struct thread_state *own)
{
	return own->syscall == NR_tgkill || own->syscall == NR_rt_tgsigqueueinfo ? own->args[2] : own->args[1];
}

/* Whether the thread is in a call that sends this signal. What the signal itself says of its origin is the sender's
 * word: rt_sigqueueinfo takes the codes of timers and queues as well, and those that nobody uses. */
static __always_inline bool sends_signal(const struct thread_state *own, int signal)
{
	return own->pending && own->syscall < CALLS && calls[own->syscall].action == SIGNAL &&
	       signal_argument(own) == (__u32)signal;
}

/* A signal that was delivered, to each process that it went to. */
SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal, int signal, struct kernel_siginfo *info, struct task_struct *target, int group, int result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread_state *own = state_of(task);
	if (!followed(own) || target->tgid == task->tgid)
		return 0;
	/* SEND_SIG_NOINFO is 0: a signal of the thread's, by the way of something else. The others that no call sends
	 * are the kernel's own. */
	if (info && !sends_signal(own, signal))
		return 0;
	struct scratch *s = begin(EVENT_SIGNAL, task);
	if (!s)
		return 0;
	struct event *e = &s->event;
	e->exit_code = signal;
	e->target_pid = target->tgid;
	e->target_start_ns = BPF_CORE_READ(target, group_leader, start_boottime);
	e->facts |= FACT_TARGET;
	submit(s);
	return 0;
}

/* A process that is named by a number of the caller's own pid namespace. */
static __always_inline void name_target(struct event *e, struct task_struct *task, __s32 pid)
{
	e->target_pid = pid;
	e->facts |= FACT_TARGET;
	struct pid *own = BPF_CORE_READ(task, thread_pid);
	if (BPF_CORE_READ(own, level))
		e->errors |= ERROR_TARGET_NAMESPACED;
}

/* The number of a process in its own pid namespace. */
static __always_inline __s32 own_number(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, group_leader, thread_pid);
	return number_at(pid, BPF_CORE_READ(pid, level));
}

/* Only of a call that failed: what succeeded was recorded where it was delivered. */
static __noinline int record_refused_signal(struct thread_state *own, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	if (ret >= 0)
		return 0;
	struct scratch *s = begin(EVENT_SIGNAL, task);
	if (!s)
		return 0;
	s->event.ret = ret;
	s->event.exit_code = signal_argument(own);
	if (own->syscall != NR_pidfd_send_signal)
		name_target(&s->event, task, own->args[0]);
	submit(s);
	return 0;
}

static __noinline int record_ptrace(struct thread_state *own, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	switch (own->args[0]) {
	case PTRACE_TRACEME:
	case PTRACE_POKETEXT:
	case PTRACE_POKEDATA:
	case PTRACE_POKEUSR:
	case PTRACE_SETREGS:
	case PTRACE_SETFPREGS:
	case PTRACE_ATTACH:
	case PTRACE_SETREGSET:
	case PTRACE_SEIZE:
		break;
	default:
		return 0;
	}
	struct scratch *s = begin(EVENT_PTRACE, task);
	if (!s)
		return 0;
	struct event *e = &s->event;
	e->ret = ret;
	e->flags = own->args[0];
	e->facts |= FACT_FLAGS;
	if (own->args[0] == PTRACE_TRACEME) {
		struct task_struct *parent = BPF_CORE_READ(task, real_parent);
		e->target_pid = BPF_CORE_READ(parent, tgid);
		e->target_start_ns = BPF_CORE_READ(parent, group_leader, start_boottime);
		e->facts |= FACT_TARGET;
	} else {
		name_target(e, task, own->args[1]);
	}
	submit_or_fold(s);
	return 0;
}

static __noinline int record_memory(struct thread_state *own, const struct call *call, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	/* One's own memory is no other process's. */
	if (own_number(task) == (__s32)own->args[0])
		return 0;
	struct scratch *s = begin(call->kind, task);
	if (!s)
		return 0;
	struct event *e = &s->event;
	e->ret = ret < 0 ? ret : 0;
	if (ret > 0 && call->kind == EVENT_VM_READ)
		e->bytes_in = ret;
	else if (ret > 0)
		e->bytes_out = ret;
	e->facts |= FACT_BYTES;
	name_target(e, task, own->args[0]);
	submit_or_fold(s);
	return 0;
}

/* include/uapi/linux/prctl.h */
#define PR_SET_KEEPCAPS 8
#define PR_CAPBSET_DROP 24
#define PR_SET_SECUREBITS 28
#define PR_CAP_AMBIENT 47
#define PR_CAP_AMBIENT_IS_SET 1

/* Whether a call may change whose rights a thread acts with; of prctl, few requests can: what it keeps over a change of
 * user or over execve, and what it may ever have. */
static __always_inline bool changes_rights(const struct thread_state *own)
{
	if (own->syscall != NR_prctl)
		return true;
	switch ((__u32)own->args[0]) {
	case PR_SET_KEEPCAPS:
	case PR_CAPBSET_DROP:
	case PR_SET_SECUREBITS:
		return true;
	case PR_CAP_AMBIENT:
		return own->args[1] != PR_CAP_AMBIENT_IS_SET;
	}
	return false;
}

static __always_inline void note_credentials(struct thread_state *own, struct task_struct *task)
{
	const struct cred *cred = task->cred;
	own->uid = BPF_CORE_READ(cred, uid.val);
	own->euid = BPF_CORE_READ(cred, euid.val);
	own->gid = BPF_CORE_READ(cred, gid.val);
	own->egid = BPF_CORE_READ(cred, egid.val);
	own->fsuid = BPF_CORE_READ(cred, fsuid.val);
	bpf_core_read(&own->capabilities, sizeof(own->capabilities), &cred->cap_effective);
}

static __noinline int record_setid(struct thread_state *own, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	const struct cred *cred = task->cred;
	__u64 capabilities = 0;
	bpf_core_read(&capabilities, sizeof(capabilities), &cred->cap_effective);
	if (ret >= 0 && own->syscall != NR_setgroups && own->syscall != NR_prctl &&
	    own->uid == BPF_CORE_READ(cred, uid.val) && own->euid == BPF_CORE_READ(cred, euid.val) &&
	    own->gid == BPF_CORE_READ(cred, gid.val) && own->egid == BPF_CORE_READ(cred, egid.val) &&
	    own->fsuid == BPF_CORE_READ(cred, fsuid.val) && own->capabilities == capabilities)
		return 0;
	struct scratch *s = begin(EVENT_SETID, task);
	if (!s)
		return 0;
	/* setfsuid and setfsgid return what was before, whatever became of it. */
	s->event.ret = ret < 0 ? ret : 0;
	append_credentials(&s->event, task);
	if (own->syscall == NR_prctl) {
		/* A sandbox drops every capability in a row: `flags` is the request, and the repeats are folded. */
		s->event.flags = own->args[0];
		s->event.facts |= FACT_FLAGS;
		submit_or_fold(s);
		return 0;
	}
	submit(s);
	return 0;
}

static __noinline int record_namespace(struct thread_state *own, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	if (own->syscall == NR_setns)
		record_file(EVENT_NAMESPACE, file_of(task, (int)own->args[0]), ret, own->args[1]);
	else if (own->args[0] & (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
				 CLONE_NEWPID | CLONE_NEWNET))
		record_file(EVENT_NAMESPACE, NULL, ret, own->args[0]);
	return 0;
}

/* What reaches into the kernel itself: who can, can reach into what records it. `flags` is the command of bpf(2). */
static __noinline int record_kernel(struct thread_state *own, __u32 kind, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *file = own->syscall == NR_finit_module ? file_of(task, (int)own->args[0]) : NULL;
	/* A descriptor as a result says nothing, and would keep repeats from being seen as such. */
	struct scratch *s = begin_file(kind, file, ret < 0 ? ret : 0, kind == EVENT_BPF ? (__u32)own->args[0] : 0);
	if (s)
		submit_or_fold(s);
	return 0;
}

/* What an ioctl, fcntl or fsconfig does that is recorded: 0 is nothing. */
static __always_inline __u32 controlled(const struct thread_state *own)
{
	__u32 request = own->args[1];
	if (own->syscall == NR_fcntl)
		return request == F_SETOWN || request == F_SETOWN_EX ? EVENT_SIGNAL : 0;
	if (own->syscall == NR_fsconfig)
		return request == FSCONFIG_CMD_RECONFIGURE ? EVENT_MOUNT : 0;
	switch (request) {
	case FICLONE:
	case FICLONERANGE:
		return EVENT_TRUNCATE;
	case FS_IOC_SETFLAGS:
	case FS_IOC32_SETFLAGS:
	case FS_IOC_FSSETXATTR:
		return EVENT_SETXATTR;
	case FIOSETOWN:
	case SIOCSPGRP:
		return EVENT_SIGNAL;
	}
	return 0;
}

/* The kernel is told to send signals to somebody, later, when there is something to read: at that time nothing tells
 * who caused it. `flags` is the request. A group of processes is a negative number. */
static __noinline int record_ordered_signal(struct thread_state *own, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__s32 whom = own->args[2];
	if (own->syscall == NR_ioctl) {
		bpf_probe_read_user(&whom, sizeof(whom), (const void *)own->args[2]);
	} else if (own->args[1] == F_SETOWN_EX) {
		struct {
			__s32 type, number;
		} owner = {};
		bpf_probe_read_user(&owner, sizeof(owner), (const void *)own->args[2]);
		whom = owner.type == F_OWNER_PGRP ? -owner.number : owner.number;
	}
	if (!whom || whom == own_number(task))
		return 0;
	struct scratch *s = begin(EVENT_SIGNAL, task);
	if (!s)
		return 0;
	s->event.ret = ret;
	s->event.exit_code = SIGIO;
	s->event.flags = own->args[1];
	s->event.facts |= FACT_FLAGS;
	name_target(&s->event, task, whom);
	submit(s);
	return 0;
}
