/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Processes and threads come, become other programs, and go. */
#pragma once

#define CLONE_VM 0x00000100
#define CLONE_FS 0x00000200
#define CLONE_FILES 0x00000400
#define CLONE_PARENT 0x00008000
#define CLONE_THREAD 0x00010000
#define CLONE_NEWNS 0x00020000
#define CLONE_NEWCGROUP 0x02000000
#define CLONE_NEWUTS 0x04000000
#define CLONE_NEWIPC 0x08000000
#define CLONE_NEWUSER 0x10000000
#define CLONE_NEWPID 0x20000000
#define CLONE_NEWNET 0x40000000

/* Which namespaces of `other` are not those of `one`. */
static __always_inline __u64 new_namespaces(struct task_struct *one, struct task_struct *other)
{
	struct nsproxy *a = BPF_CORE_READ(one, nsproxy), *b = BPF_CORE_READ(other, nsproxy);
	__u64 flags = 0;
	if (BPF_CORE_READ(one, cred, user_ns) != BPF_CORE_READ(other, cred, user_ns))
		flags |= CLONE_NEWUSER;
	if (a == b)
		return flags;
	if (BPF_CORE_READ(a, mnt_ns) != BPF_CORE_READ(b, mnt_ns))
		flags |= CLONE_NEWNS;
	if (BPF_CORE_READ(a, uts_ns) != BPF_CORE_READ(b, uts_ns))
		flags |= CLONE_NEWUTS;
	if (BPF_CORE_READ(a, ipc_ns) != BPF_CORE_READ(b, ipc_ns))
		flags |= CLONE_NEWIPC;
	if (BPF_CORE_READ(a, pid_ns_for_children) != BPF_CORE_READ(b, pid_ns_for_children))
		flags |= CLONE_NEWPID;
	if (BPF_CORE_READ(a, net_ns) != BPF_CORE_READ(b, net_ns))
		flags |= CLONE_NEWNET;
	if (BPF_CORE_READ(a, cgroup_ns) != BPF_CORE_READ(b, cgroup_ns))
		flags |= CLONE_NEWCGROUP;
	return flags;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct thread_state *own = state_of(parent);
	if (!own)
		return 0;
	__u32 flags = own->flags & ~THREAD_EXISTING;
	bool thread = child->tgid == parent->tgid;
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
		__sync_fetch_and_add(&live, thread ? 1 : 2);
	}

	struct scratch *s = begin(EVENT_FORK, parent);
	if (!s)
		return 0;
	struct event *e = &s->event;
	e->child_tid = child->pid;
	struct pid *number = BPF_CORE_READ(child, thread_pid);
	e->child_ns_tid = number_at(number, BPF_CORE_READ(number, level));
	e->child_pid = child->tgid;
	e->child_start_ns = BPF_CORE_READ(child, group_leader, start_boottime);
	/* Read from what the kernel made, not from the call's arguments, which the caller could rewrite. */
	__u64 clone = new_namespaces(parent, child);
	if (thread)
		clone |= CLONE_THREAD;
	if (BPF_CORE_READ(child, mm) == BPF_CORE_READ(parent, mm))
		clone |= CLONE_VM;
	if (BPF_CORE_READ(child, files) == BPF_CORE_READ(parent, files))
		clone |= CLONE_FILES;
	if (BPF_CORE_READ(child, fs) == BPF_CORE_READ(parent, fs))
		clone |= CLONE_FS;
	if (!thread && BPF_CORE_READ(child, real_parent, tgid) != parent->tgid)
		clone |= CLONE_PARENT;
	e->clone_flags = clone;
	submit(s);
	return 0;
}

/* Looks into the new program's environment, which the kernel has just laid down: for TRACEPARENT, and whether it still
 * says where the capture takes spans. */
struct environment_scan {
	struct scratch *scratch;
	unsigned long at;
	unsigned long end;
	__u32 inside; /* the text before was longer than the buffer: what follows is its rest, not a variable */
	__u32 done;
};

#define ENVIRONMENT_VARIABLES 8192
#define TRACEPARENT_MAX 128

/* `name` is a constant with its `=`; what is compared lies in a buffer that is longer than any. */
#define BEGINS_WITH(text, name)                                                                                       \
	({                                                                                                            \
		bool same = true;                                                                                     \
		_Pragma("unroll") for (__u32 i = 0; i < sizeof(name) - 1; i++) same = same && (text)[i] == (name)[i]; \
		same;                                                                                                 \
	})

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
	if (!scan->inside && BEGINS_WITH(text, "TRACEPARENT=") && !s->event.lengths[SLOT_TRACEPARENT]) {
		__u32 length = n - 1;
		if (length > TRACEPARENT_MAX) {
			length = TRACEPARENT_MAX;
			s->event.errors |= ERROR_CUT(SLOT_TRACEPARENT);
		}
		s->event.lengths[SLOT_TRACEPARENT] = length;
		s->used = at + length;
	} else if (!scan->inside && (BEGINS_WITH(text, "ARGUS_SOCKET=") || BEGINS_WITH(text, "ARGUS_SPAN_LOG="))) {
		s->event.facts |= FACT_CAPTURE_NAMED;
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

static __always_inline void append_credentials(struct event *e, struct task_struct *task)
{
	const struct cred *cred = task->cred;
	e->euid = BPF_CORE_READ(cred, euid.val);
	bpf_core_read(&e->capabilities, sizeof(e->capabilities), &cred->cap_effective);
	e->facts |= FACT_CREDENTIALS;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct thread_state *own = state_of(task);
	if (!own || own->flags & THREAD_SEED)
		return 0;
	own->flags &= ~THREAD_QUIET;
	/* The call that led here reports nothing more: this is its success. */
	own->pending = 0;
	struct scratch *s = begin(EVENT_EXEC, task);
	if (!s)
		return 0;
	append_credentials(&s->event, task);
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct file *image = BPF_CORE_READ(mm, exe_file);
	append_file(s, SLOT_PATH_BASE, image);
	s->event.facts |= FACT_PATH_KERNEL;
	/* The name that was asked for: of a script, it is the script, where the image is its interpreter. */
	append_kernel_text(s, SLOT_PATH2_ARGUMENT, BPF_CORE_READ(bprm, filename));
	append_cwd(s, task);

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
	struct thread_state *own = state_of(task);
	/* Of threads that end together, several can find none alive; the first one ends the process. */
	struct thread_state *leader = state_of_leader(task);
	bool last = BPF_CORE_READ(task, signal, live.counter) == 0 &&
		    !(leader && __sync_lock_test_and_set(&leader->ended, 1));
	/* The kernel's own threads for io_uring were never seen to begin; but one may be the last of its process. */
	bool unseen = !own;
	if (unseen)
		own = last ? leader : NULL;
	if (!own || own->flags & THREAD_SEED)
		return 0;
	if (!(own->flags & THREAD_QUIET)) {
		if (!unseen)
			flush_fold(bpf_task_storage_get(&folds, task, 0, 0));
		if (last) {
			end_uses(0, ~0ULL);
			end_leftovers(task);
		}
		struct scratch *s = begin(EVENT_EXIT, task);
		if (s) {
			s->event.exit_code = BPF_CORE_READ(task, group_leader, exit_code);
			if (!unseen)
				s->event.exit_code = BPF_CORE_READ(task, exit_code);
			if (last)
				s->event.facts |= FACT_LAST_THREAD;
			submit(s);
		}
	}
	/* After the event: who sees none alive has every event in the ring. */
	__sync_fetch_and_sub(&live, !unseen + (last && leader));
	return 0;
}
