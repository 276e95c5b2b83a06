/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The `objects` plan: where the kernel lets its own functions be traced, the names and addresses of a call are read
 * from what the kernel resolved and copied them to, at the moment when it decides on them, and not from user memory.
 * They go into the call's draft; the row is written at the call's end, by the same program under both plans.
 */
#pragma once

/* These programs can be preempted, so what they fill is not what the others fill. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CPUS_MAX);
	__type(key, __u32);
	__type(value, struct scratch);
} object_scratches SEC(".maps");

/* The thread's state, if it is in a recorded call that does this. */
static __always_inline struct thread_state *in_call(enum action action, __u32 kind)
{
	struct thread_state *own = state_of(bpf_get_current_task_btf());
	if (!followed(own) || !own->pending || own->syscall >= CALLS)
		return NULL;
	const struct call *call = &calls[own->syscall];
	/* An unlink may remove a directory; it is told by the function that the kernel calls for it. */
	__u32 expected = kind == EVENT_RMDIR ? EVENT_DELETE : kind;
	return call->action == action && (call->kind == kind || call->kind == expected) ? own : NULL;
}

/* NULL where another one is at work on this processor: the names that the call's argument gave stay then. */
static __always_inline struct scratch *begin_objects(struct thread_state *own)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct scratch *s = own ? bpf_map_lookup_elem(&object_scratches, &cpu) : NULL;
	if (!s || __sync_lock_test_and_set(&s->busy, 1))
		return NULL;
	s->used = 0;
	__builtin_memset(&s->event, 0, sizeof(s->event));
	return s;
}

static __noinline int end_objects(struct scratch *s, struct thread_state *own)
{
	struct task_struct *task = bpf_get_current_task_btf();
	if (!s || !own)
		return 0;
	struct draft *draft = bpf_task_storage_get(&drafts, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (draft) {
		keep_draft(draft, s, own);
		draft->resolved = draft->valid;
	}
	s->busy = 0;
	return 0;
}

/* A name that the kernel resolved: its folder's mount, and itself. */
static __noinline int append_resolved(struct scratch *s, __u32 slot, struct vfsmount *mount, struct dentry *dentry)
{
	if (!s)
		return 0;
	append_path(s, slot, mount, dentry);
	if (slot == SLOT_PATH2_BASE) {
		s->event.facts |= FACT_PATH2_KERNEL;
		return 0;
	}
	s->event.facts |= FACT_PATH_KERNEL;
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);
	if (inode)
		append_inode(s, inode);
	return 0;
}

static __noinline int resolve(__u32 kind, struct vfsmount *mount, struct dentry *dentry, struct vfsmount *mount2,
			      struct dentry *dentry2)
{
	struct thread_state *own = in_call(NAMES, kind);
	struct scratch *s = begin_objects(own);
	if (!s)
		return 0;
	append_resolved(s, SLOT_PATH_BASE, mount, dentry);
	if (dentry2)
		append_resolved(s, SLOT_PATH2_BASE, mount2, dentry2);
	end_objects(s, own);
	return 0;
}

/* With a text beside the name: what a symbolic link points to, what is mounted. */
static __noinline int resolve_with_text(__u32 kind, struct vfsmount *mount, struct dentry *dentry, const char *text)
{
	struct thread_state *own = in_call(NAMES, kind);
	struct scratch *s = begin_objects(own);
	if (!s)
		return 0;
	append_resolved(s, SLOT_PATH_BASE, mount, dentry);
	if (text)
		append_kernel_text(s, SLOT_PATH2_ARGUMENT, text);
	s->event.facts |= FACT_PATH2_TEXT;
	end_objects(s, own);
	return 0;
}

#define ONE_OBJECT(program, function, kind, path)                          \
	SEC("?fentry/" #function)                                          \
	int BPF_PROG(program, const struct path *path)                     \
	{                                                                  \
		return resolve(kind, path->mnt, path->dentry, NULL, NULL); \
	}
#define ONE_NAME_IN_FOLDER(program, function, kind)                             \
	SEC("?fentry/" #function)                                               \
	int BPF_PROG(program, const struct path *folder, struct dentry *dentry) \
	{                                                                       \
		return resolve(kind, folder->mnt, dentry, NULL, NULL);          \
	}

ONE_NAME_IN_FOLDER(object_unlink, security_path_unlink, EVENT_DELETE)
ONE_NAME_IN_FOLDER(object_rmdir, security_path_rmdir, EVENT_RMDIR)
ONE_NAME_IN_FOLDER(object_mkdir, security_path_mkdir, EVENT_MKDIR)
ONE_NAME_IN_FOLDER(object_mknod, security_path_mknod, EVENT_MKNOD)
ONE_OBJECT(object_truncate, security_path_truncate, EVENT_TRUNCATE, path)
ONE_OBJECT(object_chmod, security_path_chmod, EVENT_CHMOD, path)
ONE_OBJECT(object_chown, security_path_chown, EVENT_CHOWN, path)
ONE_OBJECT(object_chroot, security_path_chroot, EVENT_CHROOT, path)

SEC("?fentry/security_path_symlink")
int BPF_PROG(object_symlink, const struct path *folder, struct dentry *dentry, const char *target)
{
	return resolve_with_text(EVENT_SYMLINK, folder->mnt, dentry, target);
}

SEC("?fentry/security_path_link")
int BPF_PROG(object_link, struct dentry *dentry, const struct path *folder, struct dentry *linked)
{
	/* A hard link stays on its mount. */
	return resolve(EVENT_LINK, folder->mnt, dentry, folder->mnt, linked);
}

SEC("?fentry/security_path_rename")
int BPF_PROG(object_rename, const struct path *folder, struct dentry *dentry, const struct path *folder2,
	     struct dentry *dentry2)
{
	return resolve(EVENT_RENAME, folder->mnt, dentry, folder2->mnt, dentry2);
}

SEC("?fentry/security_sb_mount")
int BPF_PROG(object_mount, const char *source, const struct path *path)
{
	return resolve_with_text(EVENT_MOUNT, path->mnt, path->dentry, source);
}

SEC("?fentry/security_move_mount")
int BPF_PROG(object_move_mount, const struct path *from, const struct path *to)
{
	return resolve(EVENT_MOUNT, to->mnt, to->dentry, from->mnt, from->dentry);
}

SEC("?fentry/security_sb_umount")
int BPF_PROG(object_unmount, struct vfsmount *mount)
{
	return resolve(EVENT_UNMOUNT, mount, mount->mnt_root, NULL, NULL);
}

SEC("?fentry/security_sb_pivotroot")
int BPF_PROG(object_pivot_root, const struct path *old, const struct path *root)
{
	return resolve(EVENT_CHROOT, root->mnt, root->dentry, old->mnt, old->dentry);
}

/* An opened file, before any other thread can close its descriptor. */
SEC("?fentry/fd_install")
int BPF_PROG(object_open, unsigned int fd, struct file *file)
{
	struct thread_state *own = in_call(OPEN, EVENT_OPEN);
	struct scratch *s = begin_objects(own);
	if (!s)
		return 0;
	append_opened(s, file, 0);
	return end_objects(s, own);
}

static __noinline int resolve_address(struct thread_state *own, const void *address, __u32 length)
{
	struct task_struct *task = bpf_get_current_task_btf();
	if (!own || !address || !length)
		return 0;
	struct draft *draft = bpf_task_storage_get(&drafts, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!draft)
		return 0;
	__builtin_memset(&draft->address, 0, sizeof(draft->address));
	if (length > sizeof(draft->address))
		length = sizeof(draft->address);
	barrier_var(length);
	if (length > sizeof(draft->address) || bpf_probe_read_kernel(&draft->address, length, address))
		return 0;
	draft->used = length;
	draft->call = own->calls;
	draft->valid = draft->resolved = 1;
	return 0;
}

SEC("?fentry/security_socket_connect")
int BPF_PROG(object_connect, struct socket *socket, struct sockaddr *address, int length)
{
	return resolve_address(in_call(SOCKET, EVENT_CONNECT), address, length);
}

SEC("?fentry/security_socket_bind")
int BPF_PROG(object_bind, struct socket *socket, struct sockaddr *address, int length)
{
	return resolve_address(in_call(SOCKET, EVENT_BIND), address, length);
}

/* Of a call that sends one message. */
SEC("?fentry/security_socket_sendmsg")
int BPF_PROG(object_send, struct socket *socket, struct msghdr *message)
{
	struct thread_state *own = in_call(SEND, EVENT_SEND);
	if (!own || own->syscall == NR_sendmmsg)
		return 0;
	return resolve_address(own, BPF_CORE_READ(message, msg_name), BPF_CORE_READ(message, msg_namelen));
}
