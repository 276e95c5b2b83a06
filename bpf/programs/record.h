/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Maps, and how one event is begun, filled and handed over. */
#pragma once

#define DATA_MAX 65536
#define PATH_TEXT_MAX 4096
#define ARGV_MAX 32768
#define CPUS_MAX 1024
#define RING_BYTES (32 * 1024 * 1024)

/* O_WRONLY, O_RDWR, O_CREAT, O_TRUNC: flags of an open that can change something. */
#define OPEN_CHANGES (01 | 02 | 0100 | 01000)

#define ADDRESS_MAX 128

/* An address as the call gives it: copied first, so that what is parsed is what is compared later. */
struct address {
	__u16 family;
	__u8 rest[ADDRESS_MAX - 2];
} __attribute__((aligned(8)));

/* One event under construction; one for each CPU, since syscall tracepoints run with preemption off. */
struct scratch {
	__u32 busy;
	__u32 used;
	struct address address;
	struct event event;
	char data[DATA_MAX + ARGV_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CPUS_MAX);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* For what may interrupt the filling of the other: packets and sockets that change their state in a soft interrupt. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CPUS_MAX);
	__type(key, __u32);
	__type(value, struct scratch);
} interrupt_scratches SEC(".maps");

/* For what the recorder itself asks for, which can be preempted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CPUS_MAX);
	__type(key, __u32);
	__type(value, struct scratch);
} sweep_scratches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CPUS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} sequences SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES);
} ring SEC(".maps");

/* A followed thread. It is inherited at fork inside the kernel, so nothing is missed between fork and user space. */
#define THREAD_SEED 1u	   /* the recorder itself: its children are followed, it is not */
#define THREAD_QUIET 2u	   /* forked by the recorder, its program not yet executed */
#define THREAD_EXISTING 4u /* began before it was followed */

struct thread_state {
	__u32 flags;
	__u32 pending; /* a recorded system call is under way */
	__u32 syscall;
	__u32 calls;		    /* counts the recorded calls */
	__u32 uid, euid, gid, egid; /* at the start of a call that changes them */
	__u32 fsuid;
	__u64 capabilities;
	__u64 args[6];
	/* Of a call's descriptors at its start: what the kernel uses, whatever becomes of the descriptors. The second
	 * one is what a call copies to. */
	__u64 file, file2;
	/* Of a thread group's leader only. */
	__u32 epoch; /* counts what the process told the recorder: no fold or use reaches across */
	__u32 uses;  /* its entries in the map of uses */
	__u32 ended; /* its last thread's end was seen */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread_state);
} threads SEC(".maps");

/* Followed threads that are alive, and one more for each process, which the kernel's own threads may outlive. */
__u64 live = 0;
/* TCP connections whose end is still to come, and with it their counts of bytes. */
__u64 open_connections = 0;
__u64 losses[LOSS_CAUSES] = {};
/* By kind, of LOSS_RING_FULL and LOSS_RESERVE: what cannot have been lost need not be doubted. */
__u64 lost_kinds[EVENT_KINDS] = {};
/* The recorder's own process, as the first pid namespace numbers it. */
__s32 recorder = 0;
__u64 ring_bytes = RING_BYTES;

static __always_inline void count_loss(enum loss_cause cause)
{
	__sync_fetch_and_add(&losses[cause], 1);
}

static __always_inline void count_lost(enum loss_cause cause, __u32 kind)
{
	count_loss(cause);
	if (kind < EVENT_KINDS)
		__sync_fetch_and_add(&lost_kinds[kind], 1);
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

static __always_inline struct thread_state *state_of(struct task_struct *task)
{
	return bpf_task_storage_get(&threads, task, 0, 0);
}

static __always_inline struct thread_state *state_of_leader(struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;
	return leader ? bpf_task_storage_get(&threads, leader, 0, 0) : NULL;
}

/* Whether it is recorded: neither the recorder nor its child before it has become the command. */
static __always_inline bool followed(const struct thread_state *own)
{
	return own && !(own->flags & (THREAD_SEED | THREAD_QUIET));
}

static __always_inline struct scratch *scratch_of(void *map)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct scratch *s = bpf_map_lookup_elem(map, &cpu);
	if (!s || s->busy) {
		count_loss(LOSS_SCRATCH_BUSY);
		return NULL;
	}
	s->busy = 1;
	s->used = 0;
	__builtin_memset(&s->event, 0, sizeof(s->event));
	return s;
}

static __always_inline void drop(struct scratch *s)
{
	s->busy = 0;
}

#define PF_IO_WORKER 0x00000010

/* The number of a process in the pid namespace at a level. How far numbers lie apart is the kernel's to say: its struct
 * has more fields than the one that is declared here.
 */
static __always_inline __s32 number_at(struct pid *pid, __u32 level)
{
	int number = 0;
	if (pid)
		bpf_core_read(&number, sizeof(number),
			      (void *)&pid->numbers[0].nr + (level & 31) * bpf_core_type_size(struct upid));
	return number;
}

/* Who does something: a process and its thread. */
struct actor {
	__u64 start_ns;
	__u64 cgroup_id;
	__s32 pid, tid, ns_pid;
	__u32 uid, gid, mnt_ns;
	char comm[16];
};

static __noinline int read_actor(struct actor *a, struct task_struct *task)
{
	if (!a || !task)
		return 0;
	struct task_struct *leader = task->group_leader;
	a->start_ns = leader->start_boottime;
	a->cgroup_id = bpf_get_current_cgroup_id();
	a->pid = task->tgid;
	/* The threads that the kernel makes for io_uring are nobody's but the process's. */
	a->tid = task->flags & PF_IO_WORKER ? task->tgid : task->pid;
	const struct cred *cred = task->cred;
	a->uid = BPF_CORE_READ(cred, uid.val);
	a->gid = BPF_CORE_READ(cred, gid.val);
	a->mnt_ns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	struct pid *pid = BPF_CORE_READ(leader, thread_pid);
	a->ns_pid = number_at(pid, BPF_CORE_READ(pid, level));
	bpf_probe_read_kernel(a->comm, sizeof(a->comm), task->comm);
	return 0;
}

static __always_inline void name_actor(struct event *e, const struct actor *a)
{
	e->start_ns = a->start_ns;
	e->cgroup_id = a->cgroup_id;
	e->pid = a->pid;
	e->tid = a->tid;
	e->ns_pid = a->ns_pid;
	e->uid = a->uid;
	e->gid = a->gid;
	e->mnt_ns = a->mnt_ns;
	__builtin_memcpy(e->comm, a->comm, sizeof(e->comm));
}

static __always_inline struct scratch *begin_in(void *map, enum event_kind kind, struct task_struct *task)
{
	struct scratch *s = scratch_of(map);
	if (!s)
		return NULL;
	struct event *e = &s->event;
	e->kind = kind;
	struct actor actor = {};
	read_actor(&actor, task);
	name_actor(e, &actor);
	return s;
}

static __always_inline struct scratch *begin(enum event_kind kind, struct task_struct *task)
{
	return begin_in(&scratches, kind, task);
}

/*
 * How much of the ring an event may fill. What a program does by the million must leave room for what it does once: the
 * last quarter is closed to opens for reading, packets and their like, the last eighth to processes and to opens that
 * can change something as well.
 */
static __always_inline __u64 allowance(__u32 kind, __u64 flags)
{
	__u64 all = ring_bytes;
	switch (kind) {
	case EVENT_OPEN:
		return all - all / (flags & OPEN_CHANGES ? 8 : 4);
	case EVENT_CLOSE:
	case EVENT_MMAP_EXEC:
	case EVENT_DNS:
	case EVENT_TLS_NAME:
		return all - all / 4;
	case EVENT_FORK:
	case EVENT_EXIT:
	case EVENT_EXEC:
	case EVENT_DELETE:
	case EVENT_MKDIR:
	case EVENT_PIPE:
		return all - all / 8;
	}
	return all;
}

/* Whether the ring has room for an event of this kind; where it has none, the loss is counted. */
static __always_inline bool has_room(__u32 kind, __u64 flags)
{
	__u64 allowed = allowance(kind, flags);
	if (allowed == ring_bytes || bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) <= allowed)
		return true;
	count_lost(LOSS_RESERVE, kind);
	return false;
}

/* Numbers the event and puts it into the ring; its texts lie right behind it. False where it was lost. */
static __always_inline bool put(struct event *e, __u64 bytes)
{
	__u32 cpu = bpf_get_smp_processor_id();
	e->cpu = cpu;
	if (e->kind != EVENT_COMPLETED) {
		__u64 *sequence = bpf_map_lookup_elem(&sequences, &cpu);
		if (!sequence)
			return false;
		e->cpu_seq = __sync_fetch_and_add(sequence, 1);
	}
	if (!has_room(e->kind, e->flags))
		return false;
	if (bpf_ringbuf_output(&ring, e, bytes, 0)) {
		count_lost(LOSS_RING_FULL, e->kind);
		return false;
	}
	return true;
}

static __always_inline void submit_many(struct scratch *s, __u32 count)
{
	__u32 used = s->used;
	barrier_var(used);
	if (used > DATA_MAX)
		used = DATA_MAX;
	s->event.boot_ns = bpf_ktime_get_boot_ns();
	s->event.count = count;
	put(&s->event, sizeof(s->event) + used);
	s->busy = 0;
}

static __always_inline void submit(struct scratch *s)
{
	submit_many(s, 1);
}

/* Appends at most `max` bytes of a NUL-terminated text in user memory, without the NUL. */
static __noinline int append_user_text(struct scratch *s, __u32 slot, const void *from)
{
	__u32 at = s->used;
	barrier_var(at);
	if (at > DATA_MAX - PATH_TEXT_MAX) {
		s->event.errors |= ERROR_CUT(slot);
		return 0;
	}
	long n = bpf_probe_read_user_str(space(s, at), PATH_TEXT_MAX, from);
	if (n <= 0) {
		s->event.errors |= ERROR_UNREADABLE(slot);
		return 0;
	}
	if (n >= PATH_TEXT_MAX)
		s->event.errors |= ERROR_CUT(slot);
	if (slot < SLOTS)
		s->event.lengths[slot] = n - 1;
	s->used = at + (n - 1);
	return 0;
}

static __noinline int append_kernel_text(struct scratch *s, __u32 slot, const void *from)
{
	__u32 at = s->used;
	barrier_var(at);
	if (at > DATA_MAX - PATH_TEXT_MAX) {
		s->event.errors |= ERROR_CUT(slot);
		return 0;
	}
	long n = bpf_probe_read_kernel_str(space(s, at), PATH_TEXT_MAX, from);
	if (n <= 0) {
		s->event.errors |= ERROR_UNREADABLE(slot);
		return 0;
	}
	if (slot < SLOTS)
		s->event.lengths[slot] = n - 1;
	s->used = at + (n - 1);
	return 0;
}

/*
 * Repeats. Of events that say the same on one thread, the first is sent at once and the rest as one: when the thread
 * does something else that could be folded, after a second, or when the process told the recorder something, since the
 * calls of its agent may have changed by that.
 */
#define FOLD_DATA 1024
#define FOLD_NS 1000000000ULL

struct fold {
	__u32 busy;
	__u32 valid;
	__u32 count;
	__u32 epoch;
	__u32 used;
	__u32 zero;
	__u64 first_ns, last_ns;
	__u64 bytes_out, bytes_in;
	struct event event;
	char data[FOLD_DATA];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct fold);
} folds SEC(".maps");

static __noinline int flush_fold(struct fold *fold)
{
	if (!fold)
		return 0;
	if (fold->valid && fold->count) {
		struct event *e = &fold->event;
		e->boot_ns = bpf_ktime_get_boot_ns();
		e->first_ns = fold->first_ns;
		e->last_ns = fold->last_ns;
		e->count = fold->count;
		e->bytes_out = fold->bytes_out;
		e->bytes_in = fold->bytes_in;
		__u32 used = fold->used;
		barrier_var(used);
		if (used > FOLD_DATA)
			used = FOLD_DATA;
		if (!put(e, sizeof(*e) + used))
			__sync_fetch_and_add(&losses[LOSS_REPEATS], fold->count - 1);
	}
	fold->count = 0;
	fold->valid = 0;
	return 0;
}

#define IDENTITY_FROM (__builtin_offsetof(struct event, start_ns))
#define IDENTITY_WORDS ((sizeof(struct event) - IDENTITY_FROM) / 8)

struct comparison {
	const char *one;
	const char *other;
	__u32 words;
	__u32 differs;
};

static long compare_step(__u32 index, void *context)
{
	struct comparison *c = context;
	__u64 at = ((__u64)index * 8) & (FOLD_DATA - 8);
	if (*(__u64 *)(c->one + at) != *(__u64 *)(c->other + at)) {
		c->differs = 1;
		return 1;
	}
	return 0;
}

static __always_inline int says_the_same(struct scratch *s, struct fold *fold)
{
	const __u64 *one = (const __u64 *)((const char *)&s->event + IDENTITY_FROM);
	const __u64 *other = (const __u64 *)((const char *)&fold->event + IDENTITY_FROM);
#pragma unroll
	for (int i = 0; i < IDENTITY_WORDS; i++)
		if (one[i] != other[i])
			return 0;
	struct comparison c = { .one = s->data, .other = fold->data, .differs = 0 };
	bpf_loop((fold->used + 7) / 8, compare_step, &c, 0);
	return !c.differs;
}

static __noinline int submit_or_fold(struct scratch *s)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fold *fold = bpf_task_storage_get(&folds, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	struct thread_state *leader = state_of_leader(task);
	if (!fold || !leader || __sync_lock_test_and_set(&fold->busy, 1)) {
		submit(s);
		return 0;
	}
	__u32 used = s->used;
	barrier_var(used);
	if (used > FOLD_DATA - 8) {
		flush_fold(fold);
		submit(s);
		fold->busy = 0;
		return 0;
	}
	/* The comparison goes by words: the rest of the last one is to be the same. */
	__builtin_memset(space(s, used), 0, 8);
	__u64 now = bpf_ktime_get_boot_ns();
	if (fold->valid && fold->used == used && fold->epoch == leader->epoch && now - fold->first_ns < FOLD_NS &&
	    says_the_same(s, fold)) {
		if (!fold->count)
			fold->first_ns = now;
		fold->count++;
		fold->last_ns = now;
		fold->bytes_out += s->event.bytes_out;
		fold->bytes_in += s->event.bytes_in;
		drop(s);
		fold->busy = 0;
		return 0;
	}
	flush_fold(fold);
	fold->event = s->event;
	bpf_probe_read_kernel(fold->data, (used + 8) & (FOLD_DATA - 1), s->data);
	fold->used = used;
	fold->epoch = leader->epoch;
	fold->first_ns = now;
	fold->bytes_out = fold->bytes_in = 0;
	fold->valid = 1;
	submit(s);
	fold->busy = 0;
	return 0;
}
