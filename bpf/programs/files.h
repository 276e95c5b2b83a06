/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Files: opened, named, changed through descriptors, mapped, handed over. */
#pragma once

#define O_CREAT_EXCL_TRUNC (0100 | 0200 | 01000)
#define O_ACCMODE 03
#define PROT_EXEC 4
#define PROT_READ 1
#define READ_IMPLIES_EXEC 0x0400000
#define MAP_ANONYMOUS 0x20
#define SHM_EXEC 0100000
#define AT_SYMLINK_NOFOLLOW 0x100

/* Of the calls that name a file whose permissions or attributes they change, those that need not follow a link. */
enum {
	NR_lchown = 94,
	NR_lsetxattr = 189,
	NR_lremovexattr = 198,
	NR_fchownat = 260,
	NR_fchmodat2 = 452,
	NR_setxattrat = 463,
	NR_removexattrat = 466,
	NR_file_setattr = 469,
};

/* The names of a call as they were at its start, while another thread may be rewriting them. */
#define DRAFT_MAX 8192

struct draft {
	__u32 valid;
	__u32 resolved; /* read from the kernel's own objects, which nobody can rewrite */
	__u32 used;
	__u32 errors;
	__u32 facts;
	__u32 call; /* which of the thread's calls it is of */
	__u32 mode;
	__u64 inode, dev, flags;
	__u32 lengths[SLOTS];
	struct address address;
	char data[DRAFT_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct draft);
} drafts SEC(".maps");

static __always_inline __u64 argument(const struct thread_state *own, int index)
{
	switch (index) {
	case 0:
		return own->args[0];
	case 1:
		return own->args[1];
	case 2:
		return own->args[2];
	case 3:
		return own->args[3];
	case 4:
		return own->args[4];
	case 5:
		return own->args[5];
	}
	return 0;
}

static __always_inline int folder_of(const struct thread_state *own, int index)
{
	return index == NONE ? AT_FDCWD : (int)argument(own, index);
}

static __noinline int append_names(struct scratch *s, struct thread_state *own, const struct call *call)
{
	struct task_struct *task = bpf_get_current_task_btf();
	append_argument(s, task, SLOT_PATH_BASE, folder_of(own, call->dirfd), (void *)argument(own, call->name));
	if (call->name2 == NONE)
		return 0;
	const void *name2 = (const void *)argument(own, call->name2);
	/* What a symbolic link points to and what is mounted are texts, not names. */
	if (call->kind == EVENT_SYMLINK || (call->kind == EVENT_MOUNT && call->dirfd2 == NONE)) {
		s->event.facts |= FACT_PATH2_TEXT;
		if (name2)
			append_user_text(s, SLOT_PATH2_ARGUMENT, name2);
		return 0;
	}
	append_argument(s, task, SLOT_PATH2_BASE, folder_of(own, call->dirfd2), name2);
	return 0;
}

static __noinline int keep_draft(struct draft *draft, struct scratch *s, struct thread_state *own)
{
	if (!draft || !s || !own)
		return 0;
	draft->valid = 0;
	__u32 used = s->used;
	barrier_var(used);
	if (used > DRAFT_MAX - 8)
		return 0;
	__builtin_memset(space(s, used), 0, 8);
	bpf_probe_read_kernel(draft->data, (used + 8) & (2 * DRAFT_MAX - 1), s->data);
	struct event *e = &s->event;
	draft->used = used;
	draft->errors = e->errors;
	draft->facts = e->facts;
	draft->inode = e->inode;
	draft->dev = e->dev;
	draft->mode = e->mode;
	draft->flags = e->flags;
	__builtin_memcpy(draft->lengths, e->lengths, sizeof(draft->lengths));
	draft->call = own->calls;
	draft->valid = 1;
	return 0;
}

/* Puts a draft's names into an event, in the place of what is there. */
static __noinline int restore_draft(struct scratch *s, struct draft *draft)
{
	if (!s || !draft)
		return 0;
	__u32 used = draft->used;
	barrier_var(used);
	if (used > DRAFT_MAX)
		return 0;
	bpf_probe_read_kernel(s->data, used, draft->data);
	struct event *e = &s->event;
	s->used = used;
	e->errors = draft->errors;
	e->facts |= draft->facts;
	__builtin_memcpy(e->lengths, draft->lengths, sizeof(draft->lengths));
	return 0;
}

/* What the kernel itself resolved during this call, if it did and could be watched at it (objects.h). */
static __noinline int restore_resolved(struct scratch *s, struct thread_state *own)
{
	struct draft *draft = bpf_task_storage_get(&drafts, bpf_get_current_task_btf(), 0, 0);
	if (!s || !own || !draft || !draft->valid || !draft->resolved || draft->call != own->calls)
		return 0;
	draft->valid = 0;
	restore_draft(s, draft);
	s->event.inode = draft->inode;
	s->event.dev = draft->dev;
	s->event.mode = draft->mode;
	s->event.flags = draft->flags;
	return 1;
}

/* At the start of a call. */
static __noinline int draft_names(struct thread_state *own, const struct call *call)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct draft *draft = bpf_task_storage_get(&drafts, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!draft)
		return 0;
	draft->valid = draft->resolved = 0;
	struct scratch *s = scratch_of(&scratches);
	if (!s)
		return 0;
	append_names(s, own, call);
	keep_draft(draft, s, own);
	drop(s);
	return 0;
}

static long draft_step(__u32 index, void *context)
{
	struct comparison *c = context;
	__u64 at = ((__u64)index * 8) & (DRAFT_MAX - 8);
	if (*(__u64 *)(c->one + at) != *(__u64 *)(c->other + at)) {
		c->differs = 1;
		return 1;
	}
	return 0;
}

/* At the end: the event holds the names as they are now. Where they were others at the start, it is to hold those,
 * since the kernel read them next, and to say what they became. */
static __noinline int compare_with_draft(struct scratch *s, struct thread_state *own, const struct call *call)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct draft *draft = bpf_task_storage_get(&drafts, task, 0, 0);
	/* Of a page that was not in memory yet, or of more than a draft holds: the call itself brought it in, and what
	 * is read now is all there is. It may have been another name while the kernel read it. */
	bool seen = draft && draft->valid && draft->call == own->calls && !(draft->errors & ~ERROR_UNATTACHED);
	if (draft)
		draft->valid = 0;
	if (!seen) {
		s->event.errors |= ERROR_UNSEEN_START;
		return 0;
	}
	__u32 used = s->used;
	barrier_var(used);
	if (used == draft->used && used <= DRAFT_MAX - 8) {
		__builtin_memset(space(s, used), 0, 8);
		struct comparison c = { .one = s->data, .other = draft->data, .differs = 0 };
		bpf_loop((used + 7) / 8, draft_step, &c, 0);
		if (!c.differs)
			return 0;
	}
	restore_draft(s, draft);
	s->event.errors |= ERROR_CHANGED;
	append_user_text(s, SLOT_LATER, (const void *)argument(own, call->name));
	return 0;
}

/* Whether the kernel follows a symbolic link that a call's name leads to. */
static __always_inline bool follows_link(const struct thread_state *own, const struct call *call)
{
	switch (call->kind) {
	case EVENT_TRUNCATE:
	case EVENT_CHMOD:
	case EVENT_CHOWN:
	case EVENT_SETXATTR:
		break;
	default:
		return false;
	}
	switch (own->syscall) {
	case NR_lchown:
	case NR_lsetxattr:
	case NR_lremovexattr:
		return false;
	case NR_fchownat:
	case NR_file_setattr:
		return !(own->args[4] & AT_SYMLINK_NOFOLLOW);
	case NR_fchmodat2:
		return !(own->args[3] & AT_SYMLINK_NOFOLLOW);
	case NR_setxattrat:
	case NR_removexattrat:
		return !(own->args[2] & AT_SYMLINK_NOFOLLOW);
	}
	return true;
}

static __noinline int record_names(struct thread_state *own, const struct call *call, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct scratch *s = begin(call->kind, task);
	if (!s)
		return 0;
	struct event *e = &s->event;
	e->ret = ret;
	if (own->syscall == NR_unlinkat && own->args[2] & AT_REMOVEDIR)
		e->kind = EVENT_RMDIR;
	if (call->action != NAMES || !restore_resolved(s, own)) {
		append_names(s, own, call);
		if (call->action == NAMES)
			compare_with_draft(s, own, call);
		if (follows_link(own, call))
			e->errors |= ERROR_LINK_FOLLOWED;
	}
	if (call->mode != NONE) {
		e->mode = argument(own, call->mode);
		e->facts |= FACT_MODE;
	}
	if (call->flags != NONE) {
		e->flags = argument(own, call->flags);
		e->facts |= FACT_FLAGS;
	}
	submit(s);
	return 0;
}

/* The kernel drops some flags from the file once they have done their work; they tell whether it was made or cut. */
static __always_inline __u64 asked_flags(struct thread_state *own, const struct call *call)
{
	__u64 asked = 0;
	if (own->syscall == NR_creat)
		return 01 | 0100 | 01000;
	if (own->syscall == NR_openat2)
		bpf_probe_read_user(&asked, sizeof(asked), (const void *)own->args[2]);
	else
		asked = (__u32)argument(own, call->flags);
	return asked;
}

static __noinline int append_opened(struct scratch *s, struct file *file, __u64 asked)
{
	append_file(s, SLOT_PATH_BASE, file);
	s->event.flags = BPF_CORE_READ(file, f_flags) | (asked & O_CREAT_EXCL_TRUNC);
	s->event.facts |= FACT_PATH_KERNEL | FACT_FLAGS;
	return 0;
}

static __noinline int record_open(struct thread_state *own, const struct call *call, long ret, struct file *file)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct scratch *s = begin(EVENT_OPEN, task);
	if (!s)
		return 0;
	s->event.ret = ret;
	__u64 asked = asked_flags(own, call);
	if (file && restore_resolved(s, own)) {
		s->event.flags |= asked & O_CREAT_EXCL_TRUNC;
	} else if (file) {
		append_opened(s, file, asked);
	} else {
		s->event.flags = asked;
		s->event.facts |= FACT_FLAGS;
		if (call->name != NONE)
			append_names(s, own, call);
	}
	submit_or_fold(s);
	return 0;
}

/* An event on a file that is at hand. */
static __always_inline struct scratch *begin_file(__u32 kind, struct file *file, long ret, __u64 flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct scratch *s = begin(kind, task);
	if (!s)
		return NULL;
	struct event *e = &s->event;
	e->ret = ret;
	if (file) {
		struct sock *sk = sock_of(file);
		if (sk)
			append_socket(s, sk, 1);
		append_file(s, SLOT_PATH_BASE, file);
		e->facts |= FACT_PATH_KERNEL;
	}
	e->flags = flags;
	e->facts |= FACT_FLAGS;
	return s;
}

/* Not static, and so walked once by a verifier. */
__noinline int record_at(__u32 kind, __u64 file, __s64 ret, __u64 flags)
{
	struct scratch *s = begin_file(kind, (struct file *)file, ret, flags);
	if (s)
		submit(s);
	return 0;
}

static __always_inline void record_file(__u32 kind, struct file *file, long ret, __u64 flags)
{
	record_at(kind, (__u64)file, ret, flags);
}

static __noinline int record_object(struct thread_state *own, const struct call *call, __u32 kind, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *file = (struct file *)own->file;
	struct scratch *s = begin(kind, task);
	if (!s)
		return 0;
	struct event *e = &s->event;
	e->ret = ret;
	if (file) {
		append_file(s, SLOT_PATH_BASE, file);
		e->facts |= FACT_PATH_KERNEL;
	} else {
		e->errors |= ERROR_UNREADABLE(SLOT_PATH_ARGUMENT);
	}
	if (call->mode != NONE) {
		e->mode = argument(own, call->mode);
		e->facts |= FACT_MODE;
	}
	/* What is changed is the file system that the descriptor stands for. */
	if (file && own->syscall == NR_fsconfig) {
		struct fs_context *context = BPF_CORE_READ(file, private_data);
		struct inode *root = BPF_CORE_READ(context, root, d_inode);
		if (root)
			append_inode(s, root);
	}
	/* Which request of an ioctl it was. */
	if (call->action == CONTROL) {
		e->flags = (__u32)own->args[1];
		e->facts |= FACT_FLAGS;
	}
	submit(s);
	return 0;
}

/* The protection that a call maps memory with, or gives it. */
static __always_inline __u32 mapped_protection(const struct thread_state *own, struct task_struct *task)
{
	__u32 protection = own->args[2];
	if (own->syscall == NR_shmat)
		protection = PROT_READ | (own->args[2] & SHM_EXEC ? PROT_EXEC : 0);
	/* What old programs are promised, and any program can ask for. */
	if (protection & PROT_READ && task->personality & READ_IMPLIES_EXEC)
		protection |= PROT_EXEC;
	return protection;
}

static __noinline int record_map(struct thread_state *own, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 protection = mapped_protection(own, task);
	if (!(protection & PROT_EXEC))
		return 0;
	struct file *file = NULL;
	if (own->syscall == NR_mmap && !(own->args[3] & MAP_ANONYMOUS)) {
		/* A system call's descriptor is 32 bits. */
		file = file_of(task, (int)own->args[4]);
		if (!file)
			return 0;
	}
	/* An address is a result that says nothing, and would keep repeats from being seen as such. */
	struct scratch *s = begin_file(EVENT_MMAP_EXEC, file, ret < 0 && ret > -4096 ? ret : 0, protection);
	if (s)
		submit_or_fold(s);
	return 0;
}

static __noinline int record_memfd(struct thread_state *own, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct scratch *s = begin(EVENT_MEMFD, task);
	if (!s)
		return 0;
	s->event.ret = ret;
	struct file *file = file_of(task, ret);
	if (file) {
		append_file(s, SLOT_PATH_BASE, file);
		s->event.facts |= FACT_PATH_KERNEL;
	} else {
		if (own->syscall != NR_memfd_secret)
			append_user_text(s, SLOT_PATH_ARGUMENT, (const void *)own->args[0]);
	}
	s->event.flags = own->syscall == NR_memfd_secret ? own->args[0] : own->args[1];
	s->event.facts |= FACT_FLAGS;
	submit(s);
	return 0;
}

static __noinline int record_pipe(struct thread_state *own, const struct call *call, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	int ends[2] = { -1, -1 };
	if (ret == 0)
		bpf_probe_read_user(ends, sizeof(ends), (const void *)argument(own, call->dirfd));
	record_file(EVENT_PIPE, file_of(task, ends[0]), ret, 0);
	/* The ends of a pipe are one inode; those of a pair of sockets are two. */
	if (own->syscall == NR_socketpair && ret == 0)
		record_file(EVENT_PIPE, file_of(task, ends[1]), ret, 0);
	return 0;
}
