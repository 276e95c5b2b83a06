/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Names of addresses: what name servers answer, and which name a TLS client asks for. Both are read at the packet, so
 * that it does not matter which resolver or library asked; user space takes the packets apart.
 */
#pragma once

#define PORT_DNS 53
#define PROTOCOL_UDP 17
#define TLS_HANDSHAKE 0x16
#define TLS_CLIENT_HELLO 1
/* A TLS record's header, and the type of the message in it. */
#define TLS_HEAD 6
/* The longest TLS record. */
#define TLS_RECORD_MAX (16384 + TLS_HEAD - 1)
/* struct sock_common has 136 bytes. */
#define SOCKET_HEAD 136
/* What is kept of one packet. A DNS answer that fits into a datagram, and a ClientHello, are smaller. */
#define PAYLOAD_MAX 4096

/* Who made a socket, or used it last. The key is the socket's cookie. */
struct socket_owner {
	struct actor actor;
	__u32 hello; /* bytes of a ClientHello that are still to be sent */
	__u32 zero;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, struct socket_owner);
} sockets SEC(".maps");

/* Where followed processes answer as name servers: the address that they answer from, in its network. */
struct server {
	__u8 address[16];
	__u32 net_ns;
	__u32 zero;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct server);
	__type(value, __u8);
} servers SEC(".maps");

struct packet {
	struct event event;
	char payload[PAYLOAD_MAX];
};

/* What the heads of a packet say. Addresses and ports as in the packet. */
struct segment {
	__u32 payload; /* where it begins */
	__u32 sequence;
	__u16 family;
	__u16 source_port, target_port;
	__u8 protocol;
	__u8 source[16], target[16];
	__u32 net_ns;
};

/* A socket of a followed process. It has a cookie by on_new_socket, or where something else asked for one. */
static __noinline int own_socket(struct task_struct *task, struct sock *sk)
{
	if (!task || !sk)
		return 0;
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	__u64 cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	if (!cookie || (family != AF_INET && family != AF_INET6))
		return 0;
	struct socket_owner *known = bpf_map_lookup_elem(&sockets, &cookie);
	if (known) {
		read_actor(&known->actor, task);
		return 0;
	}
	struct socket_owner owner = {};
	read_actor(&owner.actor, task);
	bpf_map_update_elem(&sockets, &cookie, &owner, BPF_ANY);
	return 0;
}

/* False for what carries neither UDP nor TCP, and for the later fragments of a packet. */
static __always_inline bool read_segment(struct __sk_buff *skb, struct segment *segment)
{
	__u8 head[40];
	__u32 at;
	if (bpf_skb_load_bytes(skb, 0, head, 20))
		return false;
	if (head[0] >> 4 == 4) {
		if (head[6] & 0x1f || head[7])
			return false;
		segment->family = AF_INET;
		segment->protocol = head[9];
		__builtin_memcpy(segment->source, head + 12, 4);
		__builtin_memcpy(segment->target, head + 16, 4);
		at = (head[0] & 15) * 4;
	} else if (head[0] >> 4 == 6) {
		if (bpf_skb_load_bytes(skb, 0, head, 40))
			return false;
		segment->family = AF_INET6;
		segment->protocol = head[6];
		__builtin_memcpy(segment->source, head + 8, 16);
		__builtin_memcpy(segment->target, head + 24, 16);
		at = 40;
	} else {
		return false;
	}
	__u32 length = segment->protocol == PROTOCOL_TCP ? 13 : 8;
	if (segment->protocol != PROTOCOL_TCP && segment->protocol != PROTOCOL_UDP)
		return false;
	if (bpf_skb_load_bytes(skb, at, head, 8) || (length == 13 && bpf_skb_load_bytes(skb, at, head, 13)))
		return false;
	segment->source_port = head[0] << 8 | head[1];
	segment->target_port = head[2] << 8 | head[3];
	segment->sequence = (__u32)head[4] << 24 | head[5] << 16 | head[6] << 8 | head[7];
	segment->payload = at + (length == 13 ? (head[12] >> 4) * 4 : 8);
	return segment->payload < skb->len;
}

/* The network namespace of a packet's socket. The socket's head is copied as a whole, since a program for packets may
 * not reckon with its pointer. */
static __always_inline __u32 network_of(struct __sk_buff *skb)
{
	char head[SOCKET_HEAD] __attribute__((aligned(8))) = {};
	struct bpf_sock *sk = skb->sk;
	__u64 at = bpf_core_field_offset(struct sock, __sk_common.skc_net);
	if (!sk || at > sizeof(head) - sizeof(struct net *) || bpf_probe_read_kernel(head, sizeof(head), sk))
		return 0;
	struct net *net = *(struct net **)(head + at);
	return BPF_CORE_READ(net, ns.inum);
}

static __always_inline struct server server_of(const struct segment *segment)
{
	struct server server = { .net_ns = segment->net_ns };
	__builtin_memcpy(server.address, segment->source, sizeof(server.address));
	return server;
}

static __noinline int record_packet(struct __sk_buff *skb, struct segment *segment, struct socket_owner *owner)
{
	if (!segment)
		return 0;
	bool answer = segment->source_port == PORT_DNS;
	__u32 kind = answer ? EVENT_DNS : EVENT_TLS_NAME;
	if (!has_room(kind, 0))
		return 0;
	/* Straight into the ring: what is filled for a system call may be what this packet interrupts. */
	struct packet *packet = bpf_ringbuf_reserve(&ring, sizeof(*packet), 0);
	if (!packet) {
		count_lost(LOSS_RING_FULL, kind);
		return 0;
	}
	struct event *e = &packet->event;
	__builtin_memset(e, 0, sizeof(*e));
	if (owner)
		name_actor(e, &owner->actor);
	e->kind = kind;
	/* Not numbered: several packets make one row, or none. */
	e->cpu = bpf_get_smp_processor_id();
	e->boot_ns = bpf_ktime_get_boot_ns();
	e->count = 1;
	e->socket = bpf_get_socket_cookie(skb);
	e->net_ns = segment->net_ns;
	e->family = segment->family;
	e->protocol = segment->protocol;
	e->socket_type = segment->protocol == PROTOCOL_TCP ? 1 : 2;
	e->request = segment->sequence;
	__builtin_memcpy(e->remote_addr, answer ? segment->source : segment->target, 16);
	__builtin_memcpy(e->local_addr, answer ? segment->target : segment->source, 16);
	e->remote_port = answer ? segment->source_port : segment->target_port;
	e->local_port = answer ? segment->target_port : segment->source_port;
	e->facts = FACT_ADDRESS | FACT_ADDRESS_KERNEL;
	if (answer) {
		struct server server = server_of(segment);
		if (bpf_map_lookup_elem(&servers, &server))
			e->errors |= ERROR_FOLLOWED_SERVER;
	}
	__u32 length = skb->len - segment->payload;
	if (length > PAYLOAD_MAX) {
		length = PAYLOAD_MAX;
		e->errors |= ERROR_CUT(SLOT_PAYLOAD);
	}
	/* In these words, since the verifier of Linux 6.1 does not conclude from `!= 0` that it is at least 1. */
	__u32 last = length - 1;
	barrier_var(last);
	if (last >= PAYLOAD_MAX || bpf_skb_load_bytes(skb, segment->payload, packet->payload, last + 1))
		e->errors |= ERROR_UNREADABLE(SLOT_PAYLOAD);
	else
		e->lengths[SLOT_PAYLOAD] = last + 1;
	bpf_ringbuf_submit(packet, 0);
	return 0;
}

/* Gives every socket of the machine a cookie while there is one to be asked for. */
SEC("?cgroup/sock_create")
int on_new_socket(void *ctx)
{
	bpf_get_socket_cookie(ctx);
	return 1;
}

/* Answers to whomever: a service outside the subtree may ask for a process in it. User space keeps those for a while,
 * and writes only what a followed process then talks to. */
SEC("?cgroup_skb/ingress")
int on_packet_in(struct __sk_buff *skb)
{
	struct segment segment = {};
	if (!read_segment(skb, &segment) || segment.source_port != PORT_DNS)
		return 1;
	segment.net_ns = network_of(skb);
	__u64 cookie = bpf_get_socket_cookie(skb);
	record_packet(skb, &segment, bpf_map_lookup_elem(&sockets, &cookie));
	return 1;
}

SEC("?cgroup_skb/egress")
int on_packet_out(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct socket_owner *owner = bpf_map_lookup_elem(&sockets, &cookie);
	struct segment segment = {};
	if (!owner || !read_segment(skb, &segment))
		return 1;
	segment.net_ns = network_of(skb);
	if (segment.source_port == PORT_DNS) {
		struct server server = server_of(&segment);
		__u8 answers = 1;
		bpf_map_update_elem(&servers, &server, &answers, BPF_ANY);
	}
	if (segment.protocol != PROTOCOL_TCP)
		return 1;
	__u32 length = skb->len - segment.payload;
	__u8 head[TLS_HEAD] = {};
	if (!bpf_skb_load_bytes(skb, segment.payload, head, TLS_HEAD)) {
		if (head[0] == TLS_HANDSHAKE && head[1] == 3 && head[5] == TLS_CLIENT_HELLO)
			owner->hello = (head[3] << 8 | head[4]) + TLS_HEAD - 1;
	} else if (!owner->hello && !bpf_skb_load_bytes(skb, segment.payload, head, 1) && head[0] == TLS_HANDSHAKE) {
		/* Too short a piece to tell how much follows: user space puts the pieces together. */
		owner->hello = TLS_RECORD_MAX;
	}
	if (!owner->hello)
		return 1;
	owner->hello = length < owner->hello ? owner->hello - length : 0;
	record_packet(skb, &segment, owner);
	return 1;
}
