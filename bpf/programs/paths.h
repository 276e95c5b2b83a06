/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* From a kernel path object to its components, leaf first; user space turns them round. */
#pragma once

/* A path of 4,096 bytes has at most 2,048 components; mounts crossed on the way take steps too. */
#define WALK_STEPS 2176
#define NAME_MAX_BYTES 255
#define AT_FDCWD -100
/* The inode of a mount namespace that is only a tree in the making, since Linux 6.18; before, it is 0. */
#define MNT_NS_ANON_INO 0xeffffff7u

struct walk {
	struct scratch *scratch;
	struct dentry *dentry;
	struct mount *mount;
	struct dentry *mount_root;
	__u32 slot;
	__u32 end; /* reached the root, or gave up with the error noted */
	__u32 unattached;
};

static __always_inline int append_component(struct scratch *s, __u32 slot, struct dentry *dentry)
{
	struct qstr name = BPF_CORE_READ(dentry, d_name);
	__u32 at = s->used;
	barrier_var(at);
	if (at > DATA_MAX - (NAME_MAX_BYTES + 1)) {
		s->event.errors |= ERROR_CUT(slot);
		return 0;
	}
	__u32 length = name.len;
	barrier_var(length);
	if (length > NAME_MAX_BYTES)
		length = NAME_MAX_BYTES;
	if (bpf_probe_read_kernel(space(s, at), length, name.name)) {
		s->event.errors |= ERROR_UNREADABLE(slot);
		return 0;
	}
	*space(s, at + length) = 0;
	s->used = at + length + 1;
	return 1;
}

static long walk_step(__u32 index, void *context)
{
	struct walk *w = context;
	struct dentry *dentry = w->dentry;
	struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
	if (dentry == w->mount_root) {
		struct mount *mount = w->mount;
		struct mount *above = BPF_CORE_READ(mount, mnt_parent);
		if (above == mount) {
			/* A mount that is nowhere in a tree: what is beneath it is named as its file system names it.
			 */
			__u32 tree = BPF_CORE_READ(mount, mnt_ns, ns.inum);
			if (tree == 0 || tree == MNT_NS_ANON_INO) {
				w->scratch->event.errors |= ERROR_UNATTACHED;
				w->unattached = 1;
				w->mount_root = NULL;
				return 0;
			}
			w->end = 1;
			return 1;
		}
		w->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		w->mount = above;
		w->mount_root = BPF_CORE_READ(above, mnt.mnt_root);
		return 0;
	}
	if (dentry == parent) {
		w->end = 1;
		if (w->unattached)
			return 1;
		/* Not beneath any mount's root: a memfd, a pipe, or a tree that was unmounted lazily. */
		append_component(w->scratch, w->slot, dentry);
		w->scratch->event.facts |= FACT_DETACHED;
		return 1;
	}
	if (!append_component(w->scratch, w->slot, dentry)) {
		w->end = 1;
		return 1;
	}
	w->dentry = parent;
	return 0;
}

static __noinline int append_path(struct scratch *s, __u32 slot, struct vfsmount *vfsmount, struct dentry *dentry)
{
	__u32 before = s->used;
	if (!dentry || !vfsmount) {
		s->event.errors |= ERROR_UNREADABLE(slot);
		return 0;
	}
	struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
	struct walk w = {
		.scratch = s,
		.dentry = dentry,
		.mount = mount,
		.mount_root = BPF_CORE_READ(vfsmount, mnt_root),
		.slot = slot,
		.end = 0,
		.unattached = 0,
	};
	bpf_loop(WALK_STEPS, walk_step, &w, 0);
	if (!w.end)
		s->event.errors |= ERROR_CUT(slot);
	if (slot < SLOTS)
		s->event.lengths[slot] = s->used - before;
	return 0;
}

static __always_inline struct file *file_of(struct task_struct *task, int fd)
{
	if (fd < 0)
		return NULL;
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	if ((__u32)fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	struct file **slots = BPF_CORE_READ(table, fd);
	struct file *file = NULL;
	bpf_probe_read_kernel(&file, sizeof(file), slots + fd);
	return file;
}

static __always_inline void append_inode(struct scratch *s, struct inode *inode)
{
	s->event.inode = BPF_CORE_READ(inode, i_ino);
	s->event.dev = BPF_CORE_READ(inode, i_sb, s_dev);
	s->event.mode = BPF_CORE_READ(inode, i_mode);
	s->event.facts |= FACT_INODE | FACT_MODE;
}

static __always_inline int append_file(struct scratch *s, __u32 slot, struct file *file)
{
	append_path(s, slot, BPF_CORE_READ(file, f_path.mnt), BPF_CORE_READ(file, f_path.dentry));
	append_inode(s, BPF_CORE_READ(file, f_inode));
	return 0;
}

static __always_inline void append_cwd(struct scratch *s, struct task_struct *task)
{
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	append_path(s, SLOT_CWD_BASE, BPF_CORE_READ(fs, pwd.mnt), BPF_CORE_READ(fs, pwd.dentry));
}

/* The folder that a name is relative to, given the name's first byte. */
static __noinline int append_folder(struct scratch *s, struct task_struct *task, __u32 slot, int dirfd, int first)
{
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct vfsmount *mount;
	struct dentry *dentry;
	if (first == '/') {
		mount = BPF_CORE_READ(fs, root.mnt);
		dentry = BPF_CORE_READ(fs, root.dentry);
	} else if (dirfd == AT_FDCWD) {
		mount = BPF_CORE_READ(fs, pwd.mnt);
		dentry = BPF_CORE_READ(fs, pwd.dentry);
	} else {
		struct file *folder = file_of(task, dirfd);
		mount = BPF_CORE_READ(folder, f_path.mnt);
		dentry = BPF_CORE_READ(folder, f_path.dentry);
	}
	append_path(s, slot, mount, dentry);
	return 0;
}

/*
 * A name that has no kernel object left (or never had one): the folder that it is relative to is read from the
 * kernel, the name itself from user memory.
 */
static __always_inline void append_argument(struct scratch *s, struct task_struct *task, __u32 base_slot, int dirfd,
					    const void *name)
{
	char first = 0;
	bpf_probe_read_user(&first, 1, name);
	append_folder(s, task, base_slot, dirfd, first);
	append_user_text(s, base_slot + 1, name);
}

/* The same for a name that the kernel has copied already, so that nobody can change it any more. */
static __always_inline void append_kernel_argument(struct scratch *s, struct task_struct *task, __u32 base_slot,
						   int dirfd, const void *name)
{
	char first = 0;
	bpf_probe_read_kernel(&first, 1, name);
	append_folder(s, task, base_slot, dirfd, first);
	append_kernel_text(s, base_slot + 1, name);
}
