/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Bytes read and written, by process and open file: counted in the kernel, and written as one event when the process
 * closes the file, executes another program or ends. TCP counts its own bytes; see sockets.h.
 */
#pragma once

#define USES_MAX 65536
/* Descriptors of a process that are looked at when it ends. */
#define DESCRIPTORS_MAX 65536

/* Which side had made a connection. ACCEPTED was seen, the others are told by the connection's port. */
enum { SEEN, MADE_HERE, MADE_THERE, ACCEPTED };

struct use_key {
	__u64 file;
	__u32 pid;
	__u32 zero;
};

struct file_use {
	__u64 first_ns, last_ns;
	__u64 bytes_in, bytes_out;
	__u64 inode; /* tells whether the kernel has given the file's memory to another one since */
	__u32 tid;
	__u32 epoch;
	__u32 calls;
	__u16 several_threads;
	__u16 made; /* of a TCP connection that somebody outside had made: by which side */
	__u32 dev;
	__u32 uncounted; /* which ways it is used without being counted: bits of an event's errors */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, USES_MAX);
	__type(key, struct use_key);
	__type(value, struct file_use);
} uses SEC(".maps");

/* `file`: NULL where it is gone. */
static __noinline int fill_use(struct scratch *s, struct file_use *use, struct file *file)
{
	if (!s || !use)
		return 0;
	struct event *e = &s->event;
	if (file) {
		struct sock *sk = sock_of(file);
		if (sk)
			append_socket(s, sk, 1);
		else
			append_file(s, SLOT_PATH_BASE, file);
		e->facts |= FACT_PATH_KERNEL;
	}
	e->inode = use->inode;
	e->dev = use->dev;
	e->facts |= FACT_BYTES | FACT_INODE;
	e->first_ns = use->first_ns;
	e->last_ns = use->last_ns;
	e->bytes_in = use->bytes_in;
	e->bytes_out = use->bytes_out;
	if (!use->several_threads)
		e->tid = use->tid;
	if (use->several_threads)
		e->facts |= FACT_SEVERAL_THREADS;
	e->errors |= use->uncounted;
	/* A port that was bound is a listener's, or that of a program which bound it and then connected. */
	if (use->made == MADE_THERE)
		e->errors |= ERROR_DIRECTION;
	if (use->made == MADE_THERE || use->made == ACCEPTED) {
		e->flags = 1;
		e->facts |= FACT_FLAGS;
	}
	submit_many(s, use->calls);
	return 0;
}

static __always_inline void record_use(struct task_struct *task, struct file_use *use, struct file *file)
{
	fill_use(begin(EVENT_CLOSE, task), use, file);
}

/*
 * `ways`: those in which bytes go through that cannot be counted, or not when they do (bits of an event's errors). That
 * is told at once, and stays true from then on: what waits in the kernel for more needs no descriptor any longer.
 */
static __noinline int count_bytes(struct task_struct *task, struct file *file, __u64 in, __u64 out, __u32 ways)
{
	struct thread_state *leader = state_of_leader(task);
	if (!leader || !file)
		return 0;
	struct use_key key = { .file = (__u64)file, .pid = task->tgid, .zero = 0 };
	struct file_use *use = bpf_map_lookup_elem(&uses, &key);
	__u64 inode = BPF_CORE_READ(file, f_inode, i_ino);
	__u32 dev = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
	__u64 now = bpf_ktime_get_boot_ns();
	__u32 tid = task->flags & PF_IO_WORKER ? task->tgid : task->pid;
	if (!use) {
		struct file_use fresh = {
			.first_ns = now,
			.inode = inode,
			.dev = dev,
			.tid = tid,
			.epoch = leader->epoch,
		};
		struct sock *sk = sock_of(file);
		if (sk && is_tcp(sk))
			fresh.made = chose_its_port(sk) ? MADE_HERE : MADE_THERE;
		if (bpf_map_update_elem(&uses, &key, &fresh, BPF_ANY)) {
			count_lost(LOSS_MAP_FULL, EVENT_CLOSE);
			return 0;
		}
		__sync_fetch_and_add(&leader->uses, 1);
		use = bpf_map_lookup_elem(&uses, &key);
		if (!use)
			return 0;
	}
	bool same = use->inode == inode, begins = same && ways & ~use->uncounted;
	if (begins) {
		use->uncounted |= ways;
		use->last_ns = now;
	}
	if (begins || !same || use->epoch != leader->epoch) {
		record_use(task, use, same ? file : NULL);
		use->first_ns = now;
		use->bytes_in = use->bytes_out = 0;
		use->calls = use->several_threads = 0;
		use->tid = tid;
		use->epoch = leader->epoch;
	}
	if (!same) {
		use->inode = inode;
		use->dev = dev;
		use->uncounted = 0;
	}
	use->last_ns = now;
	__sync_fetch_and_add(&use->bytes_in, in);
	__sync_fetch_and_add(&use->bytes_out, out);
	__sync_fetch_and_add(&use->calls, 1);
	if (use->tid != tid)
		use->several_threads = 1;
	return 0;
}

/*
 * The bytes of one call on one file. Like other functions that are not static, a verifier walks it once for a program
 * and not anew for every call; so it takes numbers alone.
 */
__noinline int count_use(__u64 address, __u64 in, __u64 out, __u32 ways)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *file = (struct file *)address;
	if (!file)
		return 0;
	struct sock *sk = sock_of(file);
	if (used_tcp(sk))
		return 0;
	if (sk && leads_to_recorder(sk)) {
		/* A mark may have been among it: from here on, the thread may work for another call. */
		struct thread_state *leader = state_of_leader(task);
		if (leader)
			__sync_fetch_and_add(&leader->epoch, 1);
		return 0;
	}
	count_bytes(task, file, in, out, ways);
	return 0;
}

static __always_inline void count_call(struct file *file, __u64 in, __u64 out)
{
	count_use((__u64)file, in, out, 0);
}

static __always_inline void use_uncounted(struct file *file, __u32 ways)
{
	count_use((__u64)file, 0, 0, ways);
}

/* include/uapi/linux/aio_abi.h; user space may order as many as there are, 65536 without a change of the system's. */
#define SUBMISSIONS_MAX 65536
enum { IOCB_PREAD = 0, IOCB_PWRITE = 1, IOCB_PREADV = 7, IOCB_PWRITEV = 8 };

static long submitted_step(__u32 index, void *context)
{
	const __u64 *orders = *(const __u64 **)context;
	__u64 order = 0;
	struct {
		__u16 operation, priority;
		__s32 fd;
	} what = {};
	/* Of struct iocb: before these are 16 bytes of which nothing is asked. */
	if (bpf_probe_read_user(&order, sizeof(order), orders + index) ||
	    bpf_probe_read_user(&what, sizeof(what), (const void *)(order + 16)))
		return 0;
	__u32 ways = 0;
	if (what.operation == IOCB_PREAD || what.operation == IOCB_PREADV)
		ways = ERROR_UNCOUNTED_IN;
	if (what.operation == IOCB_PWRITE || what.operation == IOCB_PWRITEV)
		ways = ERROR_UNCOUNTED_OUT;
	struct task_struct *task = bpf_get_current_task_btf();
	if (ways)
		use_uncounted(file_of(task, what.fd), ways);
	return 0;
}

/* Asynchronous reads and writes: what becomes of them is told to the program alone. */
static __noinline int note_submitted(struct thread_state *own, long ret)
{
	const __u64 *orders = (const __u64 *)own->args[2];
	if (ret > 0)
		bpf_loop(ret < SUBMISSIONS_MAX ? ret : SUBMISSIONS_MAX, submitted_step, &orders, 0);
	return 0;
}

/* Of a connection that counts its bytes here and not itself. */
static __always_inline int note_accepted(struct task_struct *task, struct file *file)
{
	if (!task || !file)
		return 0;
	count_bytes(task, file, 0, 0, 0);
	struct use_key key = { .file = (__u64)file, .pid = task->tgid, .zero = 0 };
	struct file_use *use = bpf_map_lookup_elem(&uses, &key);
	if (use)
		use->made = ACCEPTED;
	return 0;
}

/* Takes a use out of the map; of two that try it at once, one gets it. */
static __always_inline bool take_use(struct task_struct *task, struct file *file, struct file_use *taken)
{
	struct use_key key = { .file = (__u64)file, .pid = task->tgid, .zero = 0 };
	struct file_use *use = bpf_map_lookup_elem(&uses, &key);
	if (!use)
		return false;
	*taken = *use;
	return bpf_map_delete_elem(&uses, &key) == 0;
}

/* The process lets go of a file. */
static __noinline int end_use(struct task_struct *task, struct file *file)
{
	struct file_use use;
	if (!take_use(task, file, &use))
		return 0;
	record_use(task, &use, use.inode == BPF_CORE_READ(file, f_inode, i_ino) ? file : NULL);
	struct thread_state *leader = state_of_leader(task);
	if (leader)
		__sync_fetch_and_sub(&leader->uses, 1);
	return 0;
}

struct descriptors {
	__u64 first;
};

static long descriptor_step(__u32 index, void *context)
{
	struct descriptors *range = context;
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread_state *leader = state_of_leader(task);
	if (!leader || !leader->uses)
		return 1;
	struct file *file = file_of(task, range->first + index);
	if (file)
		end_use(task, file);
	return 0;
}

/* Of the current task: all of a range of descriptors. */
static __noinline int end_uses(__u64 first, __u64 last)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread_state *leader = state_of_leader(task);
	if (!leader || !leader->uses)
		return 0;
	__u64 count = BPF_CORE_READ(task, files, fdt, max_fds);
	if (last < count)
		count = last + 1;
	if (first >= count)
		return 0;
	struct descriptors range = { .first = first };
	count -= first;
	bpf_loop(count < DESCRIPTORS_MAX ? count : DESCRIPTORS_MAX, descriptor_step, &range, 0);
	return 0;
}

/* Whether anybody still holds a file. The counter's form is another one since Linux 6.13, where 0 is one holder. */
static __always_inline bool is_held(struct file *file)
{
	if (bpf_core_field_exists(file->f_count))
		return BPF_CORE_READ(file, f_count.counter) > 0;
	return BPF_CORE_READ(file, f_ref.refcnt.counter) >= 0;
}

struct leftovers {
	__u32 pid;
	__u32 zero;
};

static long leftover_step(void *map, struct use_key *key, struct file_use *use, struct leftovers *of)
{
	if (key->pid != of->pid)
		return 0;
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *file = (struct file *)key->file;
	struct file_use taken = *use;
	struct use_key gone = *key;
	if (bpf_map_delete_elem(&uses, &gone))
		return 0;
	bool same = is_held(file) && BPF_CORE_READ(file, f_inode, i_ino) == taken.inode;
	record_use(task, &taken, same ? file : NULL);
	return 0;
}

/* At a process's end: what it used and no descriptor of its own leads to any more. An io_uring keeps files without one,
 * and a process that shares the descriptors can have closed them. */
static __noinline int end_leftovers(struct task_struct *task)
{
	struct thread_state *leader = state_of_leader(task);
	if (!leader || (__s32)leader->uses <= 0)
		return 0;
	struct leftovers of = { .pid = task->tgid };
	bpf_for_each_map_elem(&uses, leftover_step, &of, 0);
	return 0;
}
