/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the recorder asks for from time to time and at the end: what threads that do nothing more still hold back. */
#pragma once

SEC("iter/task")
int sweep_folds(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	if (!task)
		return 0;
	struct fold *fold = bpf_task_storage_get(&folds, task, 0, 0);
	if (!fold || !fold->count || __sync_lock_test_and_set(&fold->busy, 1))
		return 0;
	flush_fold(fold);
	fold->busy = 0;
	return 0;
}

/* TCP connections that have not ended, whoever holds them: what went through so far. */
static long connection_step(void *map, __u64 *key, struct connection *connection, void *unused)
{
	struct connection taken = *connection;
	__u64 gone = *key;
	if (bpf_map_delete_elem(&connections, &gone))
		return 0;
	struct scratch *s = scratch_of(&sweep_scratches);
	if (s)
		s->event.errors |= ERROR_STILL_OPEN;
	fill_connection(s, (struct sock *)gone, &taken);
	__sync_fetch_and_sub(&open_connections, 1);
	return 0;
}

SEC("iter/task_file")
int sweep_uses(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	/* Once, after the last file. */
	if (!task)
		bpf_for_each_map_elem(&connections, connection_step, NULL, 0);
	if (!task || !file)
		return 0;
	struct file_use use;
	if (!take_use(task, file, &use))
		return 0;
	struct scratch *s = begin_in(&sweep_scratches, EVENT_CLOSE, task);
	if (s)
		s->event.errors |= ERROR_STILL_OPEN;
	fill_use(s, &use, file);
	return 0;
}
