/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Following what runs already. The kernel walks over all tasks, and those that were asked for are followed from then
 * on: a process with all that descends from it, or a control group with all beneath it. The walk is repeated until it
 * finds no more, since a task can be visited before its parent is, and can fork meanwhile. Who is put into the group
 * later is followed from that moment on.
 */
#pragma once

#define PF_EXITING 0x00000004
/* Control groups are nested no deeper than a path is long. */
#define GROUPS_DEEP 64

/* What was asked for: a process, or else the id of a control group. */
__s32 attach_process = 0;
__u64 attach_group = 0;
/* Tasks that were found, in all. */
__u64 attached = 0;
/* Processes that were put into the group since. Their other threads are found by walking again. */
__u64 joined = 0;

/* Whether a control group is the one that was asked for, or beneath it. */
static __always_inline bool is_beneath(struct cgroup *group)
{
	for (int i = 0; i < GROUPS_DEEP && group; i++) {
		if (BPF_CORE_READ(group, kn, id) == attach_group)
			return true;
		group = BPF_CORE_READ(group, self.parent, cgroup);
	}
	return false;
}

static __always_inline bool in_group(struct task_struct *task)
{
	return is_beneath(BPF_CORE_READ(task, cgroups, dfl_cgrp));
}

static __always_inline bool asked_for(struct task_struct *task)
{
	if (attach_group)
		return in_group(task);
	if (task->tgid == attach_process)
		return true;
	struct task_struct *leader = task->group_leader;
	if (!leader)
		return false;
	if (followed(bpf_task_storage_get(&threads, leader, 0, 0)))
		return true;
	struct task_struct *parent = leader->real_parent;
	return parent && followed(bpf_task_storage_get(&threads, parent, 0, 0));
}

static __noinline int fill_existing(struct scratch *s, struct task_struct *task)
{
	if (!s || !task)
		return 0;
	struct event *e = &s->event;
	e->cgroup_id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	append_credentials(e, task);
	e->target_pid = BPF_CORE_READ(task, real_parent, tgid);
	e->target_start_ns = BPF_CORE_READ(task, real_parent, group_leader, start_boottime);
	e->facts |= FACT_TARGET;
	struct file *image = BPF_CORE_READ(task, mm, exe_file);
	if (image) {
		append_file(s, SLOT_PATH_BASE, image);
		e->facts |= FACT_PATH_KERNEL;
		append_cwd(s, task);
	}
	submit(s);
	return 0;
}

/* From now on; false where it cannot be, or is already. */
static __noinline int follow_existing(struct task_struct *task)
{
	if (!task || task->tgid == recorder || task->flags & PF_EXITING || bpf_task_storage_get(&threads, task, 0, 0))
		return 0;
	struct thread_state *own = bpf_task_storage_get(&threads, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!own) {
		count_loss(LOSS_NOT_INHERITED);
		return 0;
	}
	own->flags = THREAD_EXISTING;
	__sync_fetch_and_add(&attached, 1);
	__sync_fetch_and_add(&live, task->pid == task->tgid ? 2 : 1);
	return 1;
}

SEC("iter/task")
int attach_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	if (!task || !(attach_process || attach_group) || !asked_for(task))
		return 0;
	if (follow_existing(task) && task->pid == task->tgid)
		fill_existing(begin_in(&sweep_scratches, EVENT_EXISTING, task), task);
	return 0;
}

/* A process is put into a control group; of one with several threads, only the leader is told of. The kernel's lock is
 * held and interrupts are off, so that nothing else fills this scratch meanwhile. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_joined, struct cgroup *group, const char *path, struct task_struct *task, bool whole)
{
	if (!attach_group || !is_beneath(group))
		return 0;
	if (follow_existing(task)) {
		fill_existing(begin_in(&interrupt_scratches, EVENT_EXISTING, task), task);
		__sync_fetch_and_add(&joined, 1);
	}
	return 0;
}

/* A process is begun inside the group by one that is outside of it (CLONE_INTO_CGROUP). */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_begun_inside, struct task_struct *parent, struct task_struct *child)
{
	if (!attach_group || state_of(parent) || !in_group(child))
		return 0;
	if (follow_existing(child))
		fill_existing(begin_in(&scratches, EVENT_EXISTING, child), child);
	return 0;
}
