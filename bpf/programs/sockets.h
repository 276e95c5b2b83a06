/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Addresses: from the kernel's socket where it has them, else from the call's argument. And who talks over them. */
#pragma once

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define AF_PACKET 17
#define AF_VSOCK 40
#define VMADDR_CID_ANY (~0u)
#define SOCK_STREAM 1
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define SOCK_DONE (1ul << 1)
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_CLOSE 7
#define PROTOCOL_TCP 6

static __always_inline struct sock *sock_of(struct file *file)
{
	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	struct socket *socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

static __always_inline void append_unix_name(struct scratch *s, struct unix_address *address)
{
	__u32 length = BPF_CORE_READ(address, len);
	length -= sizeof(unsigned short);
	barrier_var(length);
	if (length > 108)
		return;
	__u32 at = s->used;
	barrier_var(at);
	if (at > DATA_MAX - ADDRESS_MAX)
		return;
	if (bpf_probe_read_kernel(space(s, at), length, &address->name[0].sun_path))
		return;
	s->event.lengths[SLOT_PATH_ARGUMENT] = length;
	s->used = at + length;
	s->event.facts |= FACT_ADDRESS | FACT_ADDRESS_KERNEL;
}

/* The process with a pid object, in the first pid namespace. */
static __always_inline __s32 number_of(struct pid *pid)
{
	return number_at(pid, 0);
}

/* Whether what is written here reaches the recorder. */
static __always_inline bool leads_to_recorder(struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_family) == AF_UNIX && recorder &&
	       number_of(BPF_CORE_READ(sk, sk_peer_pid)) == recorder;
}

/* A kernel that has vsock as a module describes it once that is loaded. */
static __always_inline void append_vsock_peer(struct event *e, struct vsock_sock *socket)
{
	__u32 machine = BPF_CORE_READ(socket, remote_addr.svm_cid);
	if (machine == VMADDR_CID_ANY)
		return;
	__builtin_memcpy(e->remote_addr, &machine, sizeof(machine));
	e->vsock_port = BPF_CORE_READ(socket, remote_addr.svm_port);
	e->facts |= FACT_ADDRESS | FACT_ADDRESS_KERNEL;
}

/* What the kernel's own socket says: family, type, both ends. */
static __noinline int append_socket(struct scratch *s, struct sock *sk, int peer_of_unix)
{
	struct event *e = &s->event;
	e->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	e->net_ns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	e->socket_type = BPF_CORE_READ(sk, sk_type);
	e->protocol = BPF_CORE_READ(sk, sk_protocol);
	e->socket = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	if (e->family == AF_INET) {
		__u32 address = BPF_CORE_READ(sk, __sk_common.skc_daddr);
		__builtin_memcpy(e->remote_addr, &address, 4);
		address = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
		__builtin_memcpy(e->local_addr, &address, 4);
	} else if (e->family == AF_INET6) {
		BPF_CORE_READ_INTO(&e->remote_addr, sk, __sk_common.skc_v6_daddr);
		BPF_CORE_READ_INTO(&e->local_addr, sk, __sk_common.skc_v6_rcv_saddr);
	} else if (e->family == AF_UNIX) {
		struct unix_sock *own = (struct unix_sock *)sk;
		struct unix_sock *peer = (struct unix_sock *)BPF_CORE_READ(own, peer);
		struct unix_sock *named = peer_of_unix ? peer : own;
		struct unix_address *address = named ? BPF_CORE_READ(named, addr) : NULL;
		if (address)
			append_unix_name(s, address);
		e->target_pid = number_of(BPF_CORE_READ(sk, sk_peer_pid));
		if (e->target_pid)
			e->facts |= FACT_TARGET;
		return 0;
	} else {
		if (e->family == AF_VSOCK && bpf_core_type_exists(struct vsock_sock))
			append_vsock_peer(e, (struct vsock_sock *)sk);
		return 0;
	}
	e->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	e->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (e->remote_port || !peer_of_unix)
		e->facts |= FACT_ADDRESS | FACT_ADDRESS_KERNEL;
	return 0;
}

static __noinline int append_address(struct scratch *s, const struct address *address, __u32 length)
{
	struct event *e = &s->event;
	if (!address || length < 2)
		return 0;
	const __u8 *rest = address->rest;
	e->family = address->family;
	if (e->family == AF_UNIX) {
		__u32 at = s->used;
		barrier_var(at);
		if (at > DATA_MAX - ADDRESS_MAX)
			return 0;
		length -= 2;
		barrier_var(length);
		if (length > 108)
			length = 108;
		if (bpf_probe_read_kernel(space(s, at), length, rest))
			return 0;
		e->lengths[SLOT_PATH_ARGUMENT] = length;
		s->used = at + length;
	} else if (e->family == AF_INET) {
		e->remote_port = rest[0] << 8 | rest[1];
		__builtin_memcpy(e->remote_addr, rest + 2, 4);
	} else if (e->family == AF_INET6) {
		e->remote_port = rest[0] << 8 | rest[1];
		/* The flow label lies between port and address. */
		__builtin_memcpy(e->remote_addr, rest + 6, 16);
	} else if (e->family == AF_NETLINK) {
		/* nl_pid, nl_groups */
		__builtin_memcpy(e->remote_addr, rest + 2, 8);
	} else if (e->family == AF_VSOCK) {
		__builtin_memcpy(&e->vsock_port, rest + 2, 4);
		__builtin_memcpy(e->remote_addr, rest + 6, 4);
	} else if (e->family == AF_PACKET) {
		/* sll_protocol, sll_ifindex */
		__builtin_memcpy(e->remote_addr, rest, 6);
	} else {
		return 0;
	}
	e->facts |= FACT_ADDRESS;
	return 0;
}

/* Whose a TCP connection is, until it ends: the kernel closes it at a time of its own. */
struct connection {
	struct actor actor;
	__u64 since_ns;
	__u64 last_ns; /* of sending or receiving; the kernel closes later, at a time of its own */
	__u32 local_port;
	__u32 accepted;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, struct connection);
} connections SEC(".maps");

/* Of the protocols that offer streams, TCP alone has the counters that are read at a connection's end. */
static __always_inline bool is_tcp(struct sock *sk)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	return (family == AF_INET || family == AF_INET6) && BPF_CORE_READ(sk, sk_type) == SOCK_STREAM &&
	       BPF_CORE_READ(sk, sk_protocol) == PROTOCOL_TCP;
}

static __noinline int own_connection(struct task_struct *task, struct sock *sk, int accepted)
{
	if (!sk)
		return 0;
	if (!is_tcp(sk) || BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_CLOSE)
		return 0;
	struct connection connection = {};
	read_actor(&connection.actor, task);
	connection.since_ns = connection.last_ns = bpf_ktime_get_boot_ns();
	connection.accepted = accepted;
	connection.local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	__u64 key = (__u64)sk;
	bool known = bpf_map_lookup_elem(&connections, &key);
	if (bpf_map_update_elem(&connections, &key, &connection, BPF_ANY))
		count_lost(LOSS_MAP_FULL, EVENT_CLOSE);
	else if (!known)
		__sync_fetch_and_add(&open_connections, 1);
	return 0;
}

/* TCP counts the bytes of a connection itself; what is noted is until when it was used. Of one that somebody else made,
 * its own counts would tell of others as well. */
static __always_inline bool used_tcp(struct sock *sk)
{
	if (!sk || !is_tcp(sk))
		return false;
	__u64 key = (__u64)sk;
	struct connection *connection = bpf_map_lookup_elem(&connections, &key);
	if (connection)
		connection->last_ns = bpf_ktime_get_boot_ns();
	return connection || BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_CLOSE;
}

/* Whether a connection was made by its own side: its port is then one that connect chose, which the kernel keeps apart
 * from those that were bound (inet_hash_connect). */
static __always_inline bool chose_its_port(struct sock *sk)
{
	struct inet_bind_bucket *bucket = BPF_CORE_READ((struct inet_connection_sock *)sk, icsk_bind_hash);
	return bucket && BPF_CORE_READ(bucket, fastreuse) == -1;
}
