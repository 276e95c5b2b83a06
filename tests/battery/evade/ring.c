/* io_uring: what no system call shows. */
#include "evade.h"
#include <linux/io_uring.h>

static int ring;
static struct io_uring_params params;
static char *submission, *completion;
static struct io_uring_sqe *entries;

static void ring_setup(unsigned flags)
{
	params.flags = flags;
	ring = MUST(syscall(SYS_io_uring_setup, 8, &params));
	int prot = PROT_READ | PROT_WRITE, map = MAP_SHARED | MAP_POPULATE;
	submission = mmap(0, params.sq_off.array + params.sq_entries * 4, prot, map, ring, IORING_OFF_SQ_RING);
	completion = mmap(0, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe), prot, map, ring,
			  IORING_OFF_CQ_RING);
	entries = mmap(0, params.sq_entries * sizeof(*entries), prot, map, ring, IORING_OFF_SQES);
}

static int ring_try(struct io_uring_sqe entry)
{
	unsigned *tail = (void *)(submission + params.sq_off.tail), at = *tail;
	unsigned mask = *(unsigned *)(submission + params.sq_off.ring_mask);
	entries[at & mask] = entry;
	((unsigned *)(submission + params.sq_off.array))[at & mask] = at & mask;
	__atomic_store_n(tail, at + 1, __ATOMIC_RELEASE);
	unsigned flags = IORING_ENTER_GETEVENTS | (params.flags & IORING_SETUP_SQPOLL ? IORING_ENTER_SQ_WAKEUP : 0);
	MUST(syscall(SYS_io_uring_enter, ring, 1, 1, flags, 0, 0));
	unsigned *head = (void *)(completion + params.cq_off.head);
	unsigned *end = (void *)(completion + params.cq_off.tail);
	mask = *(unsigned *)(completion + params.cq_off.ring_mask);
	struct io_uring_cqe *results = (void *)(completion + params.cq_off.cqes), result;
	/* Beside the result there may be a note that the memory of what was sent is free again. */
	do {
		while (*head == __atomic_load_n(end, __ATOMIC_ACQUIRE))
			sched_yield();
		result = results[*head & mask];
		__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	} while (result.flags & IORING_CQE_F_NOTIF);
	return result.res;
}

static int ring_do(struct io_uring_sqe entry)
{
	int value = ring_try(entry);
	if (value < 0) {
		fprintf(stderr, "operation %d: %s\n", entry.opcode, strerror(-value));
		exit(1);
	}
	return value;
}

static void io_uring(unsigned setup, unsigned char flags)
{
	ring_setup(setup);
	char *a = in("ring-a"), *b = in("ring-b");
	struct sockaddr_in peer = loopback();
	int stream = MUST(socket(AF_INET, SOCK_STREAM, 0));
	int file = ring_do((struct io_uring_sqe){ .opcode = IORING_OP_OPENAT,
						  .flags = flags,
						  .fd = AT_FDCWD,
						  .addr = (long)a,
						  .len = 0600,
						  .open_flags = O_CREAT | O_RDWR });
	ring_do((struct io_uring_sqe){
		.opcode = IORING_OP_WRITE, .flags = flags, .fd = file, .addr = (long)"hello", .len = 5 });
	ring_do((struct io_uring_sqe){ .opcode = IORING_OP_RENAMEAT,
				       .flags = flags,
				       .fd = AT_FDCWD,
				       .addr = (long)a,
				       .len = AT_FDCWD,
				       .addr2 = (long)b });
	ring_do((struct io_uring_sqe){ .opcode = IORING_OP_UNLINKAT, .flags = flags, .fd = AT_FDCWD, .addr = (long)b });
	ring_do((struct io_uring_sqe){
		.opcode = IORING_OP_CONNECT, .flags = flags, .fd = stream, .addr = (long)&peer, .off = sizeof(peer) });
	ring_do((struct io_uring_sqe){
		.opcode = IORING_OP_SEND, .flags = flags, .fd = stream, .addr = (long)"hello", .len = 5 });
}

static void ring_inline(void)
{
	io_uring(0, 0);
}

static void ring_worker(void)
{
	io_uring(0, IOSQE_ASYNC);
}

static void ring_poll(void)
{
	io_uring(IORING_SETUP_SQPOLL, 0);
}

/* Requests of rarer kinds: a datagram to an address, a hole in a file, its content moved, an attribute set, and bytes
 * written to a file that only the ring still holds. */
static void ring_rare(void)
{
	ring_setup(0);
	struct sockaddr_in peer = loopback();
	int datagrams = MUST(socket(AF_INET, SOCK_DGRAM, 0)), moved[2];
	ring_do((struct io_uring_sqe){ .opcode = IORING_OP_SEND_ZC,
				       .fd = datagrams,
				       .addr = (long)"secret",
				       .len = 6,
				       .addr2 = (long)&peer,
				       .addr_len = sizeof(peer) });
	char *holed = in("ring-holed"), *kept = in("ring-kept"), *spliced = in("ring-spliced");
	int file = MUST(open(in("ring-closed"), O_CREAT | O_WRONLY, 0600));
	ring_do((struct io_uring_sqe){ .opcode = IORING_OP_WRITE, .fd = file, .addr = (long)"12345678", .len = 8 });
	ring_do((struct io_uring_sqe){ .opcode = IORING_OP_CLOSE, .fd = file });
	file = MUST(open(holed, O_CREAT | O_RDWR, 0600));
	MUST(write(file, "0123456789", 10));
	ring_do((struct io_uring_sqe){ .opcode = IORING_OP_FALLOCATE, .fd = file, .off = 0, .addr = 4096, .len = 0 });
	MUST(pipe(moved));
	MUST(write(moved[1], "through", 7));
	int target = MUST(open(spliced, O_CREAT | O_WRONLY, 0600));
	ring_do((struct io_uring_sqe){ .opcode = IORING_OP_SPLICE,
				       .fd = target,
				       .off = -1,
				       .splice_fd_in = moved[0],
				       .splice_off_in = -1,
				       .len = 7 });
	int held = MUST(open(kept, O_CREAT | O_WRONLY, 0600));
	MUST(syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, &held, 1));
	close(held);
	ring_do((struct io_uring_sqe){
		.opcode = IORING_OP_WRITE, .flags = IOSQE_FIXED_FILE, .fd = 0, .addr = (long)"hidden", .len = 6 });
}

/* Files without a descriptor, while the descriptors of their numbers are other ones; a descriptor that is passed, a
 * pipe, and one request that receives again and again. */
static void ring_direct(void)
{
	ring_setup(0);
	int none[4] = { -1, -1, -1, -1 }, pair[2];
	MUST(syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, none, 4));
	MUST(dup2(MUST(open(in("ring-decoy"), O_CREAT | O_RDWR, 0600)), 0));
	struct io_uring_sqe opens = { .opcode = IORING_OP_OPENAT,
				      .fd = AT_FDCWD,
				      .addr = (long)in("ring-slot"),
				      .len = 0600,
				      .open_flags = O_CREAT | O_RDWR,
				      .file_index = 3 };
	ring_do(opens);
	ring_do((struct io_uring_sqe){
		.opcode = IORING_OP_WRITE, .flags = IOSQE_FIXED_FILE, .fd = 2, .addr = (long)"direct", .len = 6 });
	opens.addr = (long)in("ring-chosen");
	opens.file_index = IORING_FILE_INDEX_ALLOC;
	ring_do(opens);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	int file = MUST(open(in("ring-passed"), O_CREAT | O_WRONLY, 0600));
	char control[CMSG_SPACE(sizeof(int))] = {}, byte = 'x';
	struct iovec content = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &content, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	*head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS,
				  .cmsg_len = CMSG_LEN(sizeof(file)) };
	memcpy(CMSG_DATA(head), &file, sizeof(file));
	ring_do((struct io_uring_sqe){ .opcode = IORING_OP_SENDMSG, .fd = pair[0], .addr = (long)&message, .len = 1 });
	ring_do((struct io_uring_sqe){ .opcode = IORING_OP_RECVMSG, .fd = pair[1], .addr = (long)&message, .len = 1 });
	/* Which kernels know from 6.16 on. */
	int ends[2];
	printf("%d\n", ring_try((struct io_uring_sqe){ .opcode = 62 /* IORING_OP_PIPE */, .addr = (long)ends }));
	/* With no buffer to receive into, this one ends at once. */
	MUST(write(pair[0], "again", 5));
	ring_try((struct io_uring_sqe){ .opcode = IORING_OP_RECV,
					.flags = IOSQE_BUFFER_SELECT,
					.ioprio = 2 /* IORING_RECV_MULTISHOT */,
					.fd = pair[1],
					.buf_group = 1 });
}

const struct way ring_ways[] = {
	{ "io_uring", ring_inline },	{ "io_uring_worker", ring_worker }, { "io_uring_poll", ring_poll },
	{ "io_uring_rare", ring_rare }, { "io_uring_direct", ring_direct }, {},
};
