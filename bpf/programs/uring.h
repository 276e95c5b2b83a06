/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What is asked of the kernel through io_uring, which no system call shows. A request is recorded when it is submitted,
 * by then with names that the kernel has copied, and its result when it completes; user space joins the two.
 */
#pragma once

enum {
	OP_READV = 1,
	OP_WRITEV = 2,
	OP_READ_FIXED = 4,
	OP_WRITE_FIXED = 5,
	OP_SENDMSG = 9,
	OP_RECVMSG = 10,
	OP_ACCEPT = 13,
	OP_CONNECT = 16,
	OP_OPENAT = 18,
	OP_CLOSE = 19,
	OP_READ = 22,
	OP_WRITE = 23,
	OP_SEND = 26,
	OP_RECV = 27,
	OP_OPENAT2 = 28,
	OP_RENAMEAT = 35,
	OP_UNLINKAT = 36,
	OP_MKDIRAT = 37,
	OP_SYMLINKAT = 38,
	OP_LINKAT = 39,
	OP_SOCKET = 45,
	OP_SEND_ZC = 47,
	OP_SENDMSG_ZC = 48,
	OP_FTRUNCATE = 55,
	OP_BIND = 56,
	OP_LISTEN = 57,
	OP_READV_FIXED = 60,
	OP_WRITEV_FIXED = 61,
};

/* Workers and submission threads are made past the fork tracepoint; they are threads of the ring's owner. */
static __always_inline bool ring_owner_followed(struct task_struct *task)
{
	struct thread_state *own = state_of(task);
	if (!own && task->flags & PF_IO_WORKER)
		own = state_of_leader(task);
	return followed(own);
}

static __noinline int append_filename(struct scratch *s, __u32 slot, int dirfd, struct filename *name)
{
	append_kernel_argument(s, bpf_get_current_task_btf(), slot, dirfd, BPF_CORE_READ(name, name));
	return 0;
}

static __noinline int append_request_address(struct scratch *s, const void *from, __u32 length)
{
	struct address *address = &s->address;
	__builtin_memset(address, 0, sizeof(*address));
	__u32 bytes = copy_address(address, from, length);
	if (bytes)
		append_address(s, address, bytes);
	else
		s->event.errors |= ERROR_UNREADABLE(SLOT_PATH_ARGUMENT);
	return 0;
}

static __noinline int submit_request(struct scratch *s, struct io_kiocb *request)
{
	if (!s)
		return 0;
	s->event.request = (__u64)request;
	s->event.facts |= FACT_SUBMITTED;
	submit(s);
	return 0;
}

static __always_inline int on_request(struct io_kiocb *request)
{
	struct task_struct *task = bpf_get_current_task_btf();
	if (!ring_owner_followed(task))
		return 0;
	void *command = (void *)request + bpf_core_field_offset(struct io_kiocb, cmd);
	struct scratch *s = NULL;
	switch (BPF_CORE_READ(request, opcode)) {
	case OP_OPENAT:
	case OP_OPENAT2: {
		struct io_open *open = command;
		s = begin(EVENT_OPEN, task);
		if (!s)
			return 0;
		append_filename(s, SLOT_PATH_BASE, BPF_CORE_READ(open, dfd), BPF_CORE_READ(open, filename));
		s->event.flags = BPF_CORE_READ(open, how.flags);
		s->event.facts |= FACT_FLAGS;
		break;
	}
	case OP_UNLINKAT: {
		struct io_unlink *unlink = command;
		bool directory = BPF_CORE_READ(unlink, flags) & AT_REMOVEDIR;
		s = begin(directory ? EVENT_RMDIR : EVENT_DELETE, task);
		if (!s)
			return 0;
		append_filename(s, SLOT_PATH_BASE, BPF_CORE_READ(unlink, dfd), BPF_CORE_READ(unlink, filename));
		break;
	}
	case OP_RENAMEAT: {
		struct io_rename *rename = command;
		s = begin(EVENT_RENAME, task);
		if (!s)
			return 0;
		append_filename(s, SLOT_PATH_BASE, BPF_CORE_READ(rename, old_dfd), BPF_CORE_READ(rename, oldpath));
		append_filename(s, SLOT_PATH2_BASE, BPF_CORE_READ(rename, new_dfd), BPF_CORE_READ(rename, newpath));
		break;
	}
	case OP_MKDIRAT: {
		struct io_mkdir *mkdir = command;
		s = begin(EVENT_MKDIR, task);
		if (!s)
			return 0;
		append_filename(s, SLOT_PATH_BASE, BPF_CORE_READ(mkdir, dfd), BPF_CORE_READ(mkdir, filename));
		s->event.mode = BPF_CORE_READ(mkdir, mode);
		s->event.facts |= FACT_MODE;
		break;
	}
	case OP_SYMLINKAT: {
		struct io_link *link = command;
		s = begin(EVENT_SYMLINK, task);
		if (!s)
			return 0;
		append_filename(s, SLOT_PATH_BASE, BPF_CORE_READ(link, new_dfd), BPF_CORE_READ(link, newpath));
		append_kernel_text(s, SLOT_PATH2_ARGUMENT, BPF_CORE_READ(link, oldpath, name));
		s->event.facts |= FACT_PATH2_TEXT;
		break;
	}
	case OP_LINKAT: {
		struct io_link *link = command;
		s = begin(EVENT_LINK, task);
		if (!s)
			return 0;
		append_filename(s, SLOT_PATH_BASE, BPF_CORE_READ(link, old_dfd), BPF_CORE_READ(link, oldpath));
		append_filename(s, SLOT_PATH2_BASE, BPF_CORE_READ(link, new_dfd), BPF_CORE_READ(link, newpath));
		break;
	}
	case OP_CONNECT: {
		struct io_connect *connect = command;
		s = begin(EVENT_CONNECT, task);
		if (!s)
			return 0;
		append_request_address(s, BPF_CORE_READ(connect, addr), BPF_CORE_READ(connect, addr_len));
		break;
	}
	case OP_SENDMSG:
	case OP_SENDMSG_ZC: {
		struct io_sr_msg *message = command;
		struct {
			__u64 name;
			__u32 length;
		} header = {};
		const void *user = BPF_CORE_READ(message, umsg);
		if (bpf_probe_read_user(&header.name, 8, user) || bpf_probe_read_user(&header.length, 4, user + 8) ||
		    !header.name || !header.length)
			return 0;
		s = begin(EVENT_SEND, task);
		if (!s)
			return 0;
		append_request_address(s, (const void *)header.name, header.length);
		s->event.facts |= FACT_BYTES;
		break;
	}
	case OP_BIND:
		s = begin(EVENT_BIND, task);
		break;
	case OP_LISTEN:
		s = begin(EVENT_LISTEN, task);
		break;
	case OP_ACCEPT:
		s = begin(EVENT_ACCEPT, task);
		break;
	case OP_FTRUNCATE:
		s = begin(EVENT_TRUNCATE, task);
		break;
	default:
		return 0;
	}
	submit_request(s, request);
	return 0;
}

/* Linux 6.4 and later, and before; one of them is loaded. */
SEC("?tp_btf/io_uring_submit_req")
int BPF_PROG(on_uring_request, struct io_kiocb *request)
{
	return on_request(request);
}

SEC("?tp_btf/io_uring_submit_sqe")
int BPF_PROG(on_uring_entry, struct io_kiocb *request)
{
	return on_request(request);
}

/* Later kernels tell fewer arguments; the request is the second one in all. */
SEC("?tp_btf/io_uring_complete")
int BPF_PROG(on_uring_result, void *ring_context, struct io_kiocb *request)
{
	struct task_struct *task = bpf_get_current_task_btf();
	if (!request || !ring_owner_followed(task))
		return 0;
	__s32 result = BPF_CORE_READ(request, cqe.res);
	__u32 op = BPF_CORE_READ(request, opcode);
	struct file *file = BPF_CORE_READ(request, file);
	switch (op) {
	case OP_READV:
	case OP_READ_FIXED:
	case OP_READ:
	case OP_READV_FIXED:
	case OP_RECVMSG:
	case OP_RECV:
		if (result > 0 && !used_tcp(sock_of(file)))
			count_bytes(task, file, result, 0);
		return 0;
	case OP_WRITEV:
	case OP_WRITE_FIXED:
	case OP_WRITE:
	case OP_WRITEV_FIXED:
	case OP_SEND:
	case OP_SEND_ZC:
		if (result > 0 && !used_tcp(sock_of(file)))
			count_bytes(task, file, 0, result);
		return 0;
	case OP_SOCKET:
		if (result >= 0)
			own_socket(task, sock_of(file_of(task, result)));
		return 0;
	case OP_OPENAT:
	case OP_OPENAT2:
	case OP_ACCEPT:
		file = result >= 0 ? file_of(task, result) : NULL;
		break;
	case OP_CONNECT:
	case OP_BIND:
	case OP_LISTEN:
	case OP_FTRUNCATE:
		break;
	case OP_SENDMSG:
	case OP_SENDMSG_ZC:
	case OP_UNLINKAT:
	case OP_RENAMEAT:
	case OP_MKDIRAT:
	case OP_SYMLINKAT:
	case OP_LINKAT:
		file = NULL;
		break;
	default:
		return 0;
	}
	struct scratch *s = begin(EVENT_COMPLETED, task);
	if (!s)
		return 0;
	struct event *e = &s->event;
	e->request = (__u64)request;
	e->ret = result;
	struct sock *sk = sock_of(file);
	if (sk) {
		append_socket(s, sk, op == OP_CONNECT);
		if (op == OP_CONNECT || (op == OP_ACCEPT && result >= 0))
			own_connection(task, sk, op == OP_ACCEPT);
	} else if (file) {
		append_opened(s, file, 0);
	}
	submit(s);
	return 0;
}
