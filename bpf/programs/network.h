/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Sockets: made, connected, listened on, and what goes through them. */
#pragma once

#define SOL_SOCKET 1
#define SCM_RIGHTS 1
/* SCM_MAX_FD: the kernel passes no more in one message. */
#define PASSED_MAX 253
/* Blocks of a message's ancillary data: more than a socket takes without a change of the system's (optmem_max). */
#define BLOCKS_MAX 8192
/* UIO_MAXIOV: the kernel takes no longer vector. */
#define VECTOR_MAX 1024
#define MSG_PEEK 0x2
#define MSG_TRUNC 0x20

/* Copies a call's address, as far as it can be read. */
static __always_inline __u32 copy_address(struct address *to, const void *from, __u64 length)
{
	if (!from)
		return 0;
	__u32 bytes = length < sizeof(*to) ? length : sizeof(*to);
	barrier_var(bytes);
	if (bytes > sizeof(*to))
		bytes = sizeof(*to);
	return bpf_probe_read_user(to, bytes, from) ? 0 : bytes;
}

/* The address of the first, often only, message of a call; NULL where it names none. */
static __always_inline const void *address_argument(struct thread_state *own, __u64 *length)
{
	const void *at = NULL;
	*length = 0;
	if (own->syscall == NR_sendto) {
		*length = (__u32)own->args[5];
		return (const void *)own->args[4];
	}
	if (own->syscall != NR_sendmsg && own->syscall != NR_sendmmsg) {
		*length = (__u32)own->args[2];
		return (const void *)own->args[1];
	}
	__u32 bytes = 0;
	const char *message = (const char *)own->args[1];
	if (bpf_probe_read_user(&at, sizeof(at), message) || bpf_probe_read_user(&bytes, sizeof(bytes), message + 8))
		return NULL;
	*length = bytes;
	return at;
}

/* At the start of a call that names an address. */
static __noinline int draft_address(struct thread_state *own)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 length;
	const void *at = address_argument(own, &length);
	if (!at || !length)
		return 0;
	struct draft *draft = bpf_task_storage_get(&drafts, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!draft)
		return 0;
	__builtin_memset(&draft->address, 0, sizeof(draft->address));
	draft->used = copy_address(&draft->address, at, length);
	draft->valid = draft->used > 0;
	draft->resolved = 0;
	draft->call = own->calls;
	return 0;
}

/* What the argument says; where it said something else at the call's start, that, and then what it says now. */
static __noinline int append_address_argument(struct scratch *s, const void *from, __u64 length, int first)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread_state *own = state_of(task);
	struct draft *draft = first ? bpf_task_storage_get(&drafts, task, 0, 0) : NULL;
	if (draft && (!own || !draft->valid || draft->call != own->calls))
		draft = NULL;
	if (draft)
		draft->valid = 0;
	if (draft && draft->resolved) {
		append_address(s, &draft->address, draft->used);
		s->event.facts |= FACT_ADDRESS_KERNEL;
		return 0;
	}
	struct address *now = &s->address;
	__builtin_memset(now, 0, sizeof(*now));
	__u32 bytes = copy_address(now, from, length);
	if (!bytes) {
		s->event.errors |= ERROR_UNREADABLE(SLOT_PATH_ARGUMENT);
		return 0;
	}
	if (!draft) {
		/* Of the further messages of a call, none was read at its start. */
		if (first)
			s->event.errors |= ERROR_UNSEEN_START;
		append_address(s, now, bytes);
		return 0;
	}
	struct address *before = &draft->address;
	/* Both are zero behind their ends. Without a branch: there would be more ways through than a verifier walks. */
	__u64 differs = draft->used ^ bytes;
#pragma unroll
	for (int i = 0; i < ADDRESS_MAX / 8; i++)
		differs |= ((__u64 *)before)[i] ^ ((__u64 *)now)[i];
	append_address(s, before, draft->used);
	if (differs) {
		s->event.errors |= ERROR_CHANGED;
		__u32 at = s->used;
		barrier_var(at);
		if (at < DATA_MAX - ADDRESS_MAX) {
			__builtin_memcpy(space(s, at), now, sizeof(*now));
			s->event.lengths[SLOT_LATER] = sizeof(*now);
			s->used = at + sizeof(*now);
		}
	}
	return 0;
}

static __noinline int record_socket(struct thread_state *own, const struct call *call, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	bool accepts = call->kind == EVENT_ACCEPT, connects = call->kind == EVENT_CONNECT;
	if (accepts && ret < 0)
		return 0;
	struct file *file = accepts ? file_of(task, (int)ret) : (struct file *)own->file;
	struct sock *sk = sock_of(file);
	if (sk && (accepts || connects))
		own_connection(task, sk, accepts);
	if (sk && accepts && BPF_CORE_READ(sk, __sk_common.skc_family) == AF_VSOCK)
		note_accepted(task, file);
	if (connects)
		own_socket(task, sk);
	struct scratch *s = begin(call->kind, task);
	if (!s)
		return 0;
	s->event.ret = ret;
	if (sk)
		append_socket(s, sk, connects);
	bool named = connects || call->kind == EVENT_BIND;
	if (named && !(s->event.facts & FACT_ADDRESS)) {
		s->event.facts &= ~FACT_ADDRESS_KERNEL;
		append_address_argument(s, (const void *)own->args[1], (__u32)own->args[2], true);
	}
	submit(s);
	return 0;
}

/* One datagram to an address of its own. Without one it went through a connected socket, whose connect told the peer.
 * Returns whether this row tells its bytes, which are then not counted as used by the socket as well. */
static __noinline int record_send(struct file *file, const void *address, __u32 length, long ret, int first)
{
	if (!address || !length)
		return 0;
	struct task_struct *task = bpf_get_current_task_btf();
	struct sock *sk = sock_of(file);
	if (sk && leads_to_recorder(sk))
		return 0;
	struct scratch *s = begin(EVENT_SEND, task);
	if (!s)
		return 0;
	struct event *e = &s->event;
	/* The bytes are summed when repeats are folded, so they are not part of what is said. */
	e->ret = ret < 0 ? ret : 0;
	/* TCP counts its own. */
	bool counts = !sk || !is_tcp(sk);
	if (counts) {
		e->bytes_out = ret < 0 ? 0 : ret;
		e->facts |= FACT_BYTES;
	}
	if (sk)
		append_socket(s, sk, true);
	e->facts &= ~(FACT_ADDRESS_KERNEL | FACT_ADDRESS);
	e->lengths[SLOT_PATH_ARGUMENT] = 0;
	s->used = 0;
	append_address_argument(s, address, length, first);
	submit_or_fold(s);
	return counts;
}

/* The descriptors that a message carries, sent or received, while its ancillary data is walked over. */
struct passing {
	__u64 at; /* of the next descriptor, in user memory */
	__u64 count;
	__u64 block;  /* the next block */
	__u64 length; /* of the blocks from there on */
	__u32 kind;
	__u32 zero;
};

/* Nothing, as far as anybody knows but us: verifiers before Linux 6.7 look at a loop's first step only, and take what
 * could not be reached in that one for dead code. */
volatile __u64 none_yet;

/* One descriptor, or the head of one block: there may be several with descriptors, and others in between. */
static long passing_step(__u32 index, void *context)
{
	struct passing *passing = context;
	if (passing->count) {
		int fd = -1;
		bpf_probe_read_user(&fd, sizeof(fd), (const void *)passing->at);
		passing->at += sizeof(fd);
		passing->count--;
		record_file(passing->kind, file_of(bpf_get_current_task_btf(), fd), 0, 0);
		return 0;
	}
	struct {
		__u64 length;
		__s32 level, type;
	} header = {};
	if (passing->length < sizeof(header) ||
	    bpf_probe_read_user(&header, sizeof(header), (const void *)passing->block) ||
	    header.length < sizeof(header) || header.length > passing->length)
		return 1;
	if (header.level == SOL_SOCKET && header.type == SCM_RIGHTS) {
		passing->at = passing->block + sizeof(header);
		passing->count = (header.length - sizeof(header)) / sizeof(int);
	}
	__u64 step = (header.length + 7) & ~7ULL;
	passing->block += step;
	passing->length = step < passing->length ? passing->length - step : 0;
	return 0;
}

__noinline int record_passing(__u32 kind, __u64 message)
{
	struct passing passing = { .kind = kind, .count = none_yet };
	/* struct user_msghdr: name, its length, vector, its length, then the blocks and their length. */
	if (!bpf_probe_read_user(&passing.block, 2 * sizeof(__u64), (const void *)(message + 32)) && passing.block)
		bpf_loop(PASSED_MAX + BLOCKS_MAX, passing_step, &passing, 0);
	return 0;
}

struct room {
	__u64 vector;
	__u64 bytes;
};

static long room_step(__u32 index, void *context)
{
	struct room *room = context;
	__u64 length = 0;
	bpf_probe_read_user(&length, sizeof(length), (const void *)(room->vector + (__u64)index * 16 + 8));
	room->bytes += length;
	return 0;
}

/* How much a message can take: the lengths of its vector. */
__noinline __u64 room_of(__u64 message)
{
	struct room room = {};
	__u64 count = 0;
	bpf_probe_read_user(&room.vector, sizeof(room.vector), (const void *)(message + 16));
	bpf_probe_read_user(&count, sizeof(count), (const void *)(message + 24));
	bpf_loop(count < VECTOR_MAX ? count : VECTOR_MAX, room_step, &room, 0);
	return room.bytes;
}

/* What is peeked at stays there, and is counted when it is taken; with MSG_TRUNC, a call returns the length of a
 * datagram of which only a part had room. */
static __always_inline void count_received(struct file *file, __u64 flags, __u64 bytes, __u64 room)
{
	if (!bytes)
		return;
	if (flags & MSG_PEEK)
		use_uncounted(file, ERROR_UNCOUNTED_IN);
	else
		count_call(file, bytes < room ? bytes : room, 0);
}

/* Of struct mmsghdr: a struct user_msghdr, which begins with the address and its length, then what was moved. */
#define MESSAGE_BYTES 64
#define MESSAGE_MOVED 56
/* UIO_MAXIOV: the kernel takes no more in one call. */
#define MESSAGES_MAX 1024

struct messages {
	__u64 vector;
	__s64 result; /* of the call as a whole, where it speaks for every message; else 0 */
	__u64 file;
	__u32 flags; /* of receiving */
	__u32 receives;
};

static long message_step(__u32 index, void *context)
{
	struct messages *messages = context;
	__u64 message = messages->vector + (__u64)index * MESSAGE_BYTES;
	__s64 result = messages->result;
	__u32 moved = 0;
	if (!result) {
		bpf_probe_read_user(&moved, sizeof(moved), (const void *)(message + MESSAGE_MOVED));
		result = moved;
	}
	if (messages->receives) {
		if (result >= 0) {
			__u64 room = messages->flags & MSG_TRUNC ? room_of(message) : ~0ULL;
			count_received((struct file *)messages->file, messages->flags, result, room);
			record_passing(EVENT_FD_RECEIVE, message);
		}
		return 0;
	}
	const void *address = NULL;
	__u32 length = 0;
	bpf_probe_read_user(&address, sizeof(address), (const void *)message);
	bpf_probe_read_user(&length, sizeof(length), (const void *)(message + 8));
	bool told = record_send((struct file *)messages->file, address, length, result, index == 0);
	if (result >= 0) {
		if (!told)
			count_call((struct file *)messages->file, 0, result);
		record_passing(EVENT_FD_SEND, message);
	}
	return 0;
}

static __always_inline int record_messages(struct thread_state *own, long ret, int receives)
{
	__u32 call = own->syscall;
	struct file *file = (struct file *)own->file;
	if (call == NR_sendto || call == NR_recvfrom) {
		bool told = !receives && record_send(file, (const void *)own->args[4], own->args[5], ret, true);
		if (ret > 0 && receives)
			count_received(file, own->args[3], ret, own->args[2]);
		else if (ret > 0 && !told)
			count_call(file, 0, ret);
		return 0;
	}
	bool one = call == NR_sendmsg || call == NR_recvmsg;
	struct messages messages = {
		.vector = own->args[1],
		.result = ret < 0 || one ? ret : 0,
		.file = own->file,
		.flags = call == NR_recvmsg ? own->args[2] : own->args[3],
		.receives = receives,
	};
	if (receives && ret < 0)
		return 0;
	/* Of a call that failed, the first message is the one that did. */
	__u32 count = one || ret < 0 ? 1 : ret;
	bpf_loop(count < MESSAGES_MAX ? count : MESSAGES_MAX, message_step, &messages, 0);
	return 0;
}

/* What went through a connection, by TCP's own counts. */
static __noinline int fill_connection(struct scratch *s, struct sock *sk, struct connection *connection)
{
	if (!s || !sk || !connection)
		return 0;
	struct event *e = &s->event;
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	__u32 port = BPF_CORE_READ(sk, __sk_common.skc_num);
	e->bytes_in = BPF_CORE_READ(tcp, bytes_received);
	e->bytes_out = BPF_CORE_READ(tcp, bytes_sent) - BPF_CORE_READ(tcp, bytes_retrans);
	/* The peer's FIN counts as a byte (tcp_rcv_nxt_update), and tcp_fin sets this flag for it. */
	if (e->bytes_in && BPF_CORE_READ(sk, __sk_common.skc_flags) & SOCK_DONE)
		e->bytes_in--;
	bool same = connection->local_port == 0 || connection->local_port == port || port == 0;
	if (!same || !(e->bytes_in || e->bytes_out)) {
		drop(s);
		return 0;
	}
	e->kind = EVENT_CLOSE;
	name_actor(e, &connection->actor);
	append_socket(s, sk, true);
	/* By now the kernel may have given the port back. */
	if (!e->local_port)
		e->local_port = connection->local_port;
	e->flags = connection->accepted;
	e->facts |= FACT_BYTES | FACT_FLAGS;
	e->first_ns = connection->since_ns;
	e->last_ns = connection->last_ns;
	submit(s);
	return 0;
}

/* A TCP connection of a followed process begins, or any of those that are watched ends. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_tcp_state, struct sock *sk, int from, int to)
{
	if (to == TCP_SYN_SENT) {
		struct task_struct *task = bpf_get_current_task_btf();
		if (followed(state_of(task))) {
			own_connection(task, sk, false);
			own_socket(task, sk);
		}
		return 0;
	}
	if (from == TCP_SYN_RECV && to == TCP_ESTABLISHED) {
		/* No call made this socket, so that it has no number yet that its events could share. */
		bpf_get_socket_cookie(sk);
		return 0;
	}
	if (to != TCP_CLOSE)
		return 0;
	__u64 key = (__u64)sk;
	struct connection *connection = bpf_map_lookup_elem(&connections, &key);
	if (!connection)
		return 0;
	/* Of this and the sweep at the capture's end, the one that takes it out tells of it. */
	struct connection ended = *connection;
	if (bpf_map_delete_elem(&connections, &key))
		return 0;
	fill_connection(scratch_of(&interrupt_scratches), sk, &ended);
	__sync_fetch_and_sub(&open_connections, 1);
	return 0;
}
