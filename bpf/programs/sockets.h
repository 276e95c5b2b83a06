/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Addresses: from the kernel's socket where it has them, else from the call's argument. */
#pragma once

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define S_IFMT 0170000
#define S_IFSOCK 0140000

static __always_inline struct sock *socket_of(struct task_struct *task, int fd)
{
	struct file *file = file_of(task, fd);
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
	if (at > DATA_MAX - 128)
		return;
	if (bpf_probe_read_kernel(space(s, at), length, &address->name[0].sun_path))
		return;
	s->event.lengths[SLOT_PATH_ARGUMENT] = length;
	s->used = at + length;
	s->event.facts |= FACT_ADDRESS | FACT_ADDRESS_KERNEL;
}

/* What the kernel's own socket says: family, type, both ends. */
static __always_inline void append_socket(struct scratch *s, struct sock *sk, bool peer_of_unix)
{
	struct event *e = &s->event;
	e->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	e->socket_type = BPF_CORE_READ(sk, sk_type);
	e->protocol = BPF_CORE_READ(sk, sk_protocol);
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
		struct unix_sock *named = peer_of_unix ? (struct unix_sock *)BPF_CORE_READ(own, peer) : own;
		struct unix_address *address = named ? BPF_CORE_READ(named, addr) : NULL;
		if (address)
			append_unix_name(s, address);
		return;
	} else {
		return;
	}
	e->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	e->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (e->remote_port || !peer_of_unix)
		e->facts |= FACT_ADDRESS | FACT_ADDRESS_KERNEL;
}

/* What the call's argument says; used only where the kernel has no object that would. */
static __always_inline void append_address_argument(struct scratch *s, const void *from, __u32 length)
{
	struct event *e = &s->event;
	struct {
		__u16 family;
		__u16 port;
		__u8 rest[24];
	} address = {};
	if (length < 2 || !from)
		return;
	if (bpf_probe_read_user(&address.family, sizeof(address.family), from)) {
		e->errors |= ERROR_UNREADABLE(SLOT_PATH_ARGUMENT);
		return;
	}
	e->family = address.family;
	if (address.family == AF_UNIX) {
		__u32 at = s->used;
		barrier_var(at);
		if (at > DATA_MAX - 128)
			return;
		length -= 2;
		barrier_var(length);
		if (length > 108)
			length = 108;
		if (bpf_probe_read_user(space(s, at), length, from + 2))
			return;
		e->lengths[SLOT_PATH_ARGUMENT] = length;
		s->used = at + length;
		e->facts |= FACT_ADDRESS;
	} else if (address.family == AF_INET) {
		bpf_probe_read_user(&address, 16, from);
		e->remote_port = bpf_ntohs(address.port);
		__builtin_memcpy(e->remote_addr, address.rest, 4);
		e->facts |= FACT_ADDRESS;
	} else if (address.family == AF_INET6) {
		bpf_probe_read_user(&address, 28, from);
		e->remote_port = bpf_ntohs(address.port);
		/* The flow label lies between port and address. */
		__builtin_memcpy(e->remote_addr, address.rest + 4, 16);
		e->facts |= FACT_ADDRESS;
	}
}
