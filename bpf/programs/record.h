/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Maps, and how one event is begun, filled and handed over. */
#pragma once

#define DATA_MAX 65536
#define PATH_TEXT_MAX 4096
#define ARGV_MAX 32768
#define CPUS_MAX 1024

/* One event under construction; one for each CPU, since syscall tracepoints run with preemption off. */
struct scratch {
	__u64 seq;
	__u32 busy;
	__u32 used;
	struct event event;
	char data[DATA_MAX + ARGV_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CPUS_MAX);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024 * 1024);
} ring SEC(".maps");

/* A followed thread. It is inherited at fork inside the kernel, so nothing is missed between fork and user space. */
#define THREAD_SEED 1u	/* the recorder itself: its children are followed, it is not */
#define THREAD_QUIET 2u /* forked by the recorder, its program not yet executed */

struct thread_state {
	__u32 flags;
	__u32 pending;
	__u32 syscall;
	__u64 args[6];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread_state);
} threads SEC(".maps");

__u64 live_threads = 0;
__u64 losses[LOSS_CAUSES] = {};

static __always_inline void count_loss(enum loss_cause cause)
{
	__sync_fetch_and_add(&losses[cause], 1);
}

/* Keeps the compiler from forgetting a bound that the verifier needs to see. */
#define barrier_var(var) asm volatile("" : "+r"(var))

/* Where the next text goes. Masked at the very use, and never stored: the verifier of Linux 6.1 forgets a bound that
 * was checked earlier and lay on the stack meanwhile. Behind DATA_MAX there is room for the longest text, ARGV_MAX. */
static __always_inline char *space(struct scratch *s, __u32 at)
{
	barrier_var(at);
	at &= DATA_MAX - 1;
	return &s->data[at];
}

static __always_inline struct scratch *begin(enum event_kind kind, struct task_struct *task)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct scratch *s = bpf_map_lookup_elem(&scratches, &cpu);
	if (!s) {
		count_loss(LOSS_SCRATCH_BUSY);
		return NULL;
	}
	if (s->busy) {
		count_loss(LOSS_SCRATCH_BUSY);
		s->seq++;
		return NULL;
	}
	s->busy = 1;
	s->used = 0;
	struct event *e = &s->event;
	__builtin_memset(e, 0, sizeof(*e));
	e->boot_ns = bpf_ktime_get_boot_ns();
	e->cpu = cpu;
	e->cpu_seq = s->seq++;
	e->kind = kind;
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	e->start_ns = BPF_CORE_READ(leader, start_boottime);
	__u64 ids = bpf_get_current_pid_tgid();
	e->pid = ids >> 32;
	e->tid = (__u32)ids;
	__u64 users = bpf_get_current_uid_gid();
	e->uid = (__u32)users;
	e->gid = users >> 32;
	e->cgroup_id = bpf_get_current_cgroup_id();
	e->mnt_ns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	struct pid *pid = BPF_CORE_READ(leader, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level);
	struct upid upid = {};
	bpf_core_read(&upid, sizeof(upid), &pid->numbers[level & 31]);
	e->ns_pid = upid.nr;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	return s;
}

static __always_inline void submit(struct scratch *s)
{
	__u32 used = s->used;
	barrier_var(used);
	if (used > DATA_MAX)
		used = DATA_MAX;
	if (bpf_ringbuf_output(&ring, &s->event, sizeof(s->event) + used, 0))
		count_loss(LOSS_RING_FULL);
	s->busy = 0;
}

/* Appends at most `max` bytes of a NUL-terminated text in user memory, without the NUL. */
static __always_inline void append_user_text(struct scratch *s, enum event_slot slot, const void *from, __u32 max)
{
	__u32 at = s->used;
	barrier_var(at);
	if (at > DATA_MAX - PATH_TEXT_MAX) {
		s->event.errors |= ERROR_CUT(slot);
		return;
	}
	long n = bpf_probe_read_user_str(space(s, at), max, from);
	if (n <= 0) {
		s->event.errors |= ERROR_UNREADABLE(slot);
		return;
	}
	if (n >= max)
		s->event.errors |= ERROR_CUT(slot);
	s->event.lengths[slot] = n - 1;
	s->used = at + (n - 1);
}

static __always_inline void append_kernel_text(struct scratch *s, enum event_slot slot, const void *from)
{
	__u32 at = s->used;
	barrier_var(at);
	if (at > DATA_MAX - PATH_TEXT_MAX) {
		s->event.errors |= ERROR_CUT(slot);
		return;
	}
	long n = bpf_probe_read_kernel_str(space(s, at), PATH_TEXT_MAX, from);
	if (n <= 0) {
		s->event.errors |= ERROR_UNREADABLE(slot);
		return;
	}
	s->event.lengths[slot] = n - 1;
	s->used = at + (n - 1);
}
