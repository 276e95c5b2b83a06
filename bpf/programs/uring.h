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
	OP_FALLOCATE = 17,
	OP_OPENAT = 18,
	OP_CLOSE = 19,
	OP_READ = 22,
	OP_WRITE = 23,
	OP_SEND = 26,
	OP_RECV = 27,
	OP_OPENAT2 = 28,
	OP_SPLICE = 30,
	OP_TEE = 33,
	OP_RENAMEAT = 35,
	OP_UNLINKAT = 36,
	OP_MKDIRAT = 37,
	OP_SYMLINKAT = 38,
	OP_LINKAT = 39,
	OP_FSETXATTR = 41,
	OP_SETXATTR = 42,
	OP_SOCKET = 45,
	OP_SEND_ZC = 47,
	OP_SENDMSG_ZC = 48,
	OP_READ_MULTISHOT = 49,
	OP_FTRUNCATE = 55,
	OP_BIND = 56,
	OP_LISTEN = 57,
	OP_RECV_ZC = 58,
	OP_READV_FIXED = 60,
	OP_WRITEV_FIXED = 61,
	OP_PIPE = 62,
	OPS_KNOWN, /* what later kernels add */
};

#define SPLICE_F_FD_IN_FIXED (1u << 31)
#define IOSQE_FIXED_FILE 1
#define IORING_RECV_MULTISHOT 2
#define IORING_FILE_INDEX_ALLOC (~0u)
/* The lowest bits of a file's address in the ring's table are flags. */
#define FIXED_FILE_FLAGS 7ul

static __always_inline void *command_of(struct io_kiocb *request)
{
	return (void *)request + bpf_core_field_offset(struct io_kiocb, cmd);
}

/* A file in the ring's own table, which has no descriptor. */
static __always_inline struct file *fixed_file(struct io_kiocb *request, __u32 slot)
{
	struct io_ring_ctx *ring = BPF_CORE_READ(request, ctx);
	unsigned long file = 0;
	if (bpf_core_field_exists(ring->file_table.files)) {
		struct io_fixed_file *files = BPF_CORE_READ(ring, file_table.files);
		if (files && slot < BPF_CORE_READ(ring, nr_user_files))
			file = BPF_CORE_READ(files + slot, file_ptr);
	} else if (slot < BPF_CORE_READ(ring, file_table.data.nr)) {
		struct io_rsrc_node **nodes = BPF_CORE_READ(ring, file_table.data.nodes), *node = NULL;
		bpf_probe_read_kernel(&node, sizeof(node), nodes + slot);
		if (node)
			file = BPF_CORE_READ(node, file_ptr);
	}
	return (struct file *)(file & ~FIXED_FILE_FLAGS);
}

/* What a request made: behind a descriptor, or in a slot of the ring's table, counted from 1, that it named or left to
 * the kernel. */
static __always_inline struct file *made_file(struct task_struct *task, struct io_kiocb *request, __u32 slot,
					      __s32 result)
{
	if (result < 0)
		return NULL;
	if (!slot)
		return file_of(task, result);
	return fixed_file(request, slot == IORING_FILE_INDEX_ALLOC ? result : slot - 1);
}

/* What a request that was not issued yet is about. */
static __always_inline struct file *asked_file(struct task_struct *task, struct io_kiocb *request)
{
	int fd = BPF_CORE_READ(request, cqe.fd);
	return BPF_CORE_READ(request, flags) & IOSQE_FIXED_FILE ? fixed_file(request, fd) : file_of(task, fd);
}

/* Which ways a request moves bytes that no result of its own counts: again and again, or as nobody knows yet. */
static __always_inline __u32 uncounted_ways(struct io_kiocb *request, __u32 op)
{
	struct io_sr_msg *message = command_of(request);
	switch (op) {
	case OP_RECV:
	case OP_RECVMSG:
		return BPF_CORE_READ(message, flags) & IORING_RECV_MULTISHOT ? ERROR_UNCOUNTED_IN : 0;
	case OP_READ_MULTISHOT:
	case OP_RECV_ZC:
		return ERROR_UNCOUNTED_IN;
	}
	return op >= OPS_KNOWN ? ERROR_UNCOUNTED_IN | ERROR_UNCOUNTED_OUT : 0;
}

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

/* Requests that name an address to send to, until they complete. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u32);
} addressed SEC(".maps");

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

static __noinline int append_copied_address(struct scratch *s, const void *from, __u32 length)
{
	if (!s)
		return 0;
	struct address *address = &s->address;
	__builtin_memset(address, 0, sizeof(*address));
	if (length > sizeof(*address))
		length = sizeof(*address);
	barrier_var(length);
	if (length > sizeof(*address) || bpf_probe_read_kernel(address, length, from))
		return 0;
	append_address(s, address, length);
	s->event.facts |= FACT_ADDRESS_KERNEL;
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

/* The address that a request sends to, if it names one. Linux 6.10 and later have copied it by now. */
static __noinline int record_sent_to(struct io_kiocb *request)
{
	struct task_struct *task = bpf_get_current_task_btf();
	if (!request)
		return 0;
	struct io_sr_msg *message = command_of(request);
	struct {
		const void *at;
		__u32 length;
	} name = {};
	__u32 op = BPF_CORE_READ(request, opcode);
	bool copied = !bpf_core_field_exists(message->addr);
	if (copied) {
		struct io_async_msghdr *data = BPF_CORE_READ(request, async_data);
		if (data) {
			name.at = BPF_CORE_READ(data, msg.msg_name);
			name.length = BPF_CORE_READ(data, msg.msg_namelen);
		}
	} else if (op == OP_SEND || op == OP_SEND_ZC) {
		name.at = BPF_CORE_READ(message, addr);
		name.length = BPF_CORE_READ(message, addr_len);
	} else {
		bpf_probe_read_user(&name, 12, BPF_CORE_READ(message, umsg));
	}
	if (!name.at || !name.length)
		return 0;
	struct scratch *s = begin(EVENT_SEND, task);
	if (!s)
		return 0;
	if (copied)
		append_copied_address(s, name.at, name.length);
	else
		append_request_address(s, name.at, name.length);
	s->event.facts |= FACT_BYTES;
	__u64 key = (__u64)request;
	__u32 one = 1;
	bpf_map_update_elem(&addressed, &key, &one, BPF_ANY);
	submit_request(s, request);
	return 0;
}

static __always_inline int on_request(struct io_kiocb *request)
{
	struct task_struct *task = bpf_get_current_task_btf();
	if (!ring_owner_followed(task))
		return 0;
	void *command = command_of(request);
	struct scratch *s = NULL;
	__u32 op = BPF_CORE_READ(request, opcode);
	switch (op) {
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
	case OP_SEND:
	case OP_SEND_ZC:
	case OP_SENDMSG:
	case OP_SENDMSG_ZC:
		return record_sent_to(request);
	case OP_CLOSE: {
		/* What is about to be closed is there only now. */
		struct io_close *close = command;
		__u32 slot = BPF_CORE_READ(close, file_slot);
		struct file *closed = slot ? fixed_file(request, slot - 1) : file_of(task, BPF_CORE_READ(close, fd));
		if (closed)
			end_use(task, closed);
		return 0;
	}
	case OP_FALLOCATE:
		s = begin(EVENT_TRUNCATE, task);
		break;
	case OP_SETXATTR: {
		struct io_xattr *attribute = command;
		s = begin(EVENT_SETXATTR, task);
		if (!s)
			return 0;
		append_filename(s, SLOT_PATH_BASE, AT_FDCWD, BPF_CORE_READ(attribute, filename));
		break;
	}
	case OP_FSETXATTR:
		s = begin(EVENT_SETXATTR, task);
		break;
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
	default: {
		__u32 ways = uncounted_ways(request, op);
		if (ways)
			use_uncounted(asked_file(task, request), ways);
		return 0;
	}
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
	void *command = command_of(request);
	struct io_sr_msg *message = command;
	switch (op) {
	case OP_READV:
	case OP_READ_FIXED:
	case OP_READ:
	case OP_READV_FIXED:
		if (result > 0)
			count_call(file, result, 0);
		return 0;
	case OP_RECVMSG:
	case OP_RECV: {
		if (result < 0)
			return 0;
		__u64 given = (__u64)BPF_CORE_READ(message, umsg);
		__u32 flags = BPF_CORE_READ(message, msg_flags);
		__u64 room = ~0ULL;
		if (flags & MSG_TRUNC)
			room = op == OP_RECV ? (__u32)BPF_CORE_READ(message, len) : room_of(given);
		count_received(file, flags, result, room);
		if (op == OP_RECVMSG)
			record_passing(EVENT_FD_RECEIVE, given);
		return 0;
	}
	case OP_WRITEV:
	case OP_WRITE_FIXED:
	case OP_WRITE:
	case OP_WRITEV_FIXED:
		if (result > 0)
			count_call(file, 0, result);
		return 0;
	case OP_SPLICE:
	case OP_TEE: {
		/* The request's own file is what is written to. */
		struct io_splice *splice = command;
		if (result <= 0)
			return 0;
		count_call(file, 0, result);
		int from = BPF_CORE_READ(splice, splice_fd_in);
		bool fixed = BPF_CORE_READ(splice, flags) & SPLICE_F_FD_IN_FIXED;
		count_call(fixed ? fixed_file(request, from) : file_of(task, from), result, 0);
		return 0;
	}
	case OP_SEND:
	case OP_SEND_ZC:
	case OP_SENDMSG:
	case OP_SENDMSG_ZC: {
		if (result > 0)
			count_call(file, 0, result);
		if (result >= 0 && (op == OP_SENDMSG || op == OP_SENDMSG_ZC))
			record_passing(EVENT_FD_SEND, (__u64)BPF_CORE_READ(message, umsg));
		__u64 key = (__u64)request;
		if (bpf_map_delete_elem(&addressed, &key))
			return 0;
		break;
	}
	case OP_SOCKET: {
		struct io_socket *socket = command;
		own_socket(task, sock_of(made_file(task, request, BPF_CORE_READ(socket, file_slot), result)));
		return 0;
	}
	case OP_PIPE: {
		struct io_pipe *pipe = command;
		int end = -1;
		if (!bpf_core_type_exists(struct io_pipe))
			return 0;
		if (result >= 0)
			bpf_probe_read_user(&end, sizeof(end), BPF_CORE_READ(pipe, fds));
		file = made_file(task, request, BPF_CORE_READ(pipe, file_slot), end);
		record_file(EVENT_PIPE, file, result, 0);
		return 0;
	}
	case OP_OPENAT:
	case OP_OPENAT2: {
		struct io_open *open = command;
		file = made_file(task, request, BPF_CORE_READ(open, file_slot), result);
		break;
	}
	case OP_ACCEPT: {
		struct io_accept *accept = command;
		file = made_file(task, request, BPF_CORE_READ(accept, file_slot), result);
		break;
	}
	case OP_CONNECT:
	case OP_BIND:
	case OP_LISTEN:
	case OP_FTRUNCATE:
	case OP_FALLOCATE:
	case OP_FSETXATTR:
		break;
	case OP_SETXATTR:
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
	struct sock *sk = sock_of(file);
	bool sends = op == OP_SEND || op == OP_SEND_ZC || op == OP_SENDMSG || op == OP_SENDMSG_ZC;
	/* As of a call: the bytes are summed, and are not part of what is said. */
	e->ret = sends && result > 0 ? 0 : result;
	e->bytes_out = sends && result > 0 ? result : 0;
	e->facts |= FACT_BYTES;
	if (sk) {
		append_socket(s, sk, op == OP_CONNECT);
		/* The socket's own peer is not whom a message was sent to. */
		if (sends)
			e->facts &= ~(FACT_ADDRESS | FACT_ADDRESS_KERNEL);
		if (op == OP_CONNECT || (op == OP_ACCEPT && result >= 0))
			own_connection(task, sk, op == OP_ACCEPT);
	} else if (file) {
		append_opened(s, file, 0);
	}
	submit(s);
	return 0;
}
