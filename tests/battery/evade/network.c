/* Sockets: of every family, raced for, handed on, and made by somebody else. */
#include "evade.h"
#include <linux/if_ether.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netpacket/packet.h>

static void datagrams(void)
{
	struct sockaddr_in peer = loopback();
	int fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	for (int n = 0; n < 1000; n++)
		MUST(sendto(fd, "0123456789", 10, 0, (void *)&peer, sizeof(peer)));
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
	int six = socket(AF_INET6, SOCK_DGRAM, 0);
	if (six >= 0)
		MUST(sendto(six, "six", 3, 0, (void *)&mapped, sizeof(mapped)));
}

/* Each byte is of one peer, and once: with an address, without one, and with one that begins a connection. */
static void counted(void)
{
	struct sockaddr_in peer = loopback();
	int fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	struct iovec parts[] = { { "0123456789", 10 }, { "01234", 5 } };
	struct msghdr message = { .msg_name = &peer, .msg_namelen = sizeof(peer), .msg_iov = parts, .msg_iovlen = 2 };
	MUST(sendmsg(fd, &message, 0));
	MUST(connect(fd, (void *)&peer, sizeof(peer)));
	MUST(sendto(fd, "abc", 3, 0, (void *)&peer, sizeof(peer)));
	/* Where nobody listens, the one after the first is refused for it. */
	while (send(fd, "abcdefg", 7, 0) < 0)
		;
	int fast = MUST(socket(AF_INET, SOCK_STREAM, 0));
	MUST(sendto(fast, "fast", 4, MSG_FASTOPEN, (void *)&peer, sizeof(peer)));
}

/* A connection that outlives the program which made it, until its other end is closed. */
static void left_open(void)
{
	int fd = connection();
	MUST(send(fd, "0123456789", 10, 0));
	if (MUST(fork()))
		return;
	close(1);
	close(2);
	recv(fd, &(char){ 0 }, 1, 0);
}

/* For the other ways to connect to; it accepts nobody. */
static void wait_for_others(void)
{
	struct sockaddr_in here = loopback();
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
	MUST(bind(fd, (void *)&here, sizeof(here)));
	MUST(listen(fd, 64));
	printf("ready\n");
	fflush(stdout);
	pause();
}

/* Stops the recorder, fills what it would read with opens of many names, and then makes one connection. */
static void flood(void)
{
	char path[64];
	const char *wanted = getenv("EVADE_OPENS");
	long count = wanted ? atol(wanted) : 400000;
	MUST(kill(getppid(), SIGSTOP));
	for (long n = 0; n < count; n++) {
		/* Each thrice: repeats are told together, and lost together. */
		sprintf(path, "/nowhere/%ld", n / 3);
		open(path, O_RDONLY);
	}
	connection();
	MUST(kill(getppid(), SIGCONT));
}

/* Two places to send to, and an address that another thread turns from one to the other all the time. */
static struct sockaddr_in places[2], raced;
static int receivers[2];
static volatile int racing = 1;

static void *rewrite(void *unused)
{
	for (unsigned n = 0; racing; n++)
		__atomic_store_n(&raced.sin_port, places[n & 1].sin_port, __ATOMIC_RELAXED);
	return unused;
}

/* Says how often each place was really sent to and connected to. */
static void race_address(void)
{
	int sent[2] = {}, connected[2] = {};
	for (int n = 0; n < 2; n++) {
		socklen_t length = sizeof(places[n]);
		receivers[n] = MUST(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
		places[n] = loopback();
		places[n].sin_port = 0;
		MUST(bind(receivers[n], (void *)&places[n], length));
		MUST(getsockname(receivers[n], (void *)&places[n], &length));
	}
	raced = places[0];
	pthread_t thread;
	pthread_create(&thread, 0, rewrite, 0);
	int sender = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	for (int n = 0; n < 2000; n++) {
		MUST(sendto(sender, "x", 1, 0, (void *)&raced, sizeof(raced)));
		for (int place = 0; place < 2; place++)
			sent[place] += recv(receivers[place], (char[1]){}, 1, 0) == 1;
	}
	for (int n = 0; n < 500; n++) {
		struct sockaddr_in peer;
		socklen_t length = sizeof(peer);
		int fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));
		MUST(connect(fd, (void *)&raced, sizeof(raced)));
		MUST(getpeername(fd, (void *)&peer, &length));
		connected[peer.sin_port == places[1].sin_port]++;
		close(fd);
	}
	racing = 0;
	pthread_join(thread, 0);
	for (int n = 0; n < 2; n++)
		printf("%d %d %d ", ntohs(places[n].sin_port), sent[n], connected[n]);
}

/* One message to itself over a socket of any kind; 0 where the kernel does not have that kind. */
static int speaks(int family, int type, int protocol, void *address, socklen_t length)
{
	int fd = socket(family, type, protocol);
	if (fd < 0 && (errno == EAFNOSUPPORT || errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT))
		return 0;
	MUST(fd);
	if (sendto(fd, "12345678", 8, 0, address, length) < 0) {
		if (errno == ENODEV || errno == ENETUNREACH || errno == EADDRNOTAVAIL || errno == EOPNOTSUPP)
			return 0;
		perror("sendto");
		exit(1);
	}
	close(fd);
	return 1;
}

/* A stream to a listener of its own, with five bytes there and three back. */
static int streams(int family, void *address, socklen_t length)
{
	int server = socket(family, SOCK_STREAM, 0);
	if (server < 0 && errno == EAFNOSUPPORT)
		return 0;
	MUST(server);
	if (bind(server, address, length)) {
		if (errno == EADDRNOTAVAIL)
			return 0;
		perror("bind");
		exit(1);
	}
	MUST(listen(server, 1));
	if (family != AF_UNIX)
		MUST(getsockname(server, address, &length));
	int client = MUST(socket(family, SOCK_STREAM, 0));
	if (connect(client, address, length)) {
		if (family == AF_VSOCK)
			return 0;
		perror("connect");
		exit(1);
	}
	int peer = MUST(accept(server, 0, 0));
	MUST(write(client, "12345", 5));
	MUST(read(peer, (char[5]){}, 5));
	MUST(write(peer, "123", 3));
	MUST(read(client, (char[3]){}, 3));
	close(client);
	close(peer);
	close(server);
	return 1;
}

/* Says which kinds this kernel has, each with its port where it has one. */
static void families(void)
{
	struct sockaddr_in here = loopback();
	here.sin_port = 0;
	if (streams(AF_INET, &here, sizeof(here)))
		printf("tcp=%d ", ntohs(here.sin_port));
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	if (streams(AF_INET6, &six, sizeof(six)))
		printf("tcp6=%d ", ntohs(six.sin6_port));
	six = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &six.sin6_addr);
	if (streams(AF_INET6, &six, sizeof(six)))
		printf("mapped=%d ", ntohs(six.sin6_port));
	struct sockaddr_un path = { .sun_family = AF_UNIX }, hidden = { .sun_family = AF_UNIX };
	strncpy(path.sun_path, in("socket"), sizeof(path.sun_path) - 1);
	strcpy(hidden.sun_path + 1, "argus-abstract");
	if (streams(AF_UNIX, &path, sizeof(path)))
		printf("unix=0 ");
	if (streams(AF_UNIX, &hidden, 2 + 1 + strlen("argus-abstract")))
		printf("abstract=0 ");
	struct sockaddr_vm machine = { .svm_family = AF_VSOCK, .svm_port = 7070, .svm_cid = VMADDR_CID_LOCAL };
	if (streams(AF_VSOCK, &machine, sizeof(machine)))
		printf("vsock=7070 ");
	struct sockaddr_in datagram = loopback();
	if (speaks(AF_INET, SOCK_DGRAM, 0, &datagram, sizeof(datagram)))
		printf("udp=%d ", port);
	/* An echo request to itself; the kernel answers. */
	datagram.sin_port = 0;
	if (speaks(AF_INET, SOCK_RAW, 1, &datagram, sizeof(datagram)))
		printf("raw=0 ");
	struct sockaddr_ll frame = { .sll_family = AF_PACKET,
				     .sll_protocol = htons(0x88b5),
				     .sll_ifindex = if_nametoindex("lo"),
				     .sll_halen = 6 };
	if (speaks(AF_PACKET, SOCK_DGRAM, htons(0x88b5), &frame, sizeof(frame)))
		printf("packet=%d ", frame.sll_ifindex);
	/* Asks for the interfaces. */
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct {
		struct nlmsghdr head;
		struct rtgenmsg ask;
	} request = { { sizeof(request), RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0 }, { AF_UNSPEC } };
	int fd = MUST(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
	MUST(sendto(fd, &request, sizeof(request), 0, (void *)&kernel, sizeof(kernel)));
	printf("netlink=0\n");
}

/* One block of a message's ancillary data; where the next one goes. */
static char *put_block(char *at, int type, const void *content, size_t length)
{
	*(struct cmsghdr *)at = (struct cmsghdr){ CMSG_LEN(length), SOL_SOCKET, type };
	memcpy(CMSG_DATA((struct cmsghdr *)at), content, length);
	return at + CMSG_SPACE(length);
}

/* A descriptor in a second block, and one behind more credentials than anybody needs. */
static void pass_behind_others(int fd)
{
	char control[512] = {}, *end = control;
	int first = MUST(open(in("passed"), O_RDONLY)),
	    second = MUST(open(in("passed-second"), O_CREAT | O_RDONLY, 0600));
	end = put_block(end, SCM_RIGHTS, &first, sizeof(first));
	end = put_block(end, SCM_RIGHTS, &second, sizeof(second));
	struct iovec vector = { "x", 1 };
	struct msghdr message = {
		.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = end - control
	};
	MUST(sendmsg(fd, &message, 0));
	struct ucred own = { getpid(), getuid(), getgid() };
	int behind = MUST(open(in("passed-behind"), O_CREAT | O_RDONLY, 0600));
	end = control;
	for (int n = 0; n < 5; n++)
		end = put_block(end, SCM_CREDENTIALS, &own, sizeof(own));
	end = put_block(end, SCM_RIGHTS, &behind, sizeof(behind));
	message.msg_controllen = end - control;
	MUST(sendmsg(fd, &message, 0));
}

/* A descriptor handed through a Unix socket, and messages of several addresses in one call. */
static void passing(void)
{
	int pair[2], file = MUST(open(in("passed"), O_CREAT | O_WRONLY, 0600));
	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec vector = { "x", 1 };
	struct msghdr message = {
		.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	*head = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(head), &file, sizeof(file));
	MUST(sendmsg(pair[0], &message, 0));
	vector.iov_base = (char[1]){};
	MUST(recvmsg(pair[1], &message, 0));
	int taken;
	memcpy(&taken, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(taken));
	close(file);
	MUST(write(taken, "12345", 5));
	pass_behind_others(pair[0]);
	struct sockaddr_in peers[2] = { loopback(), loopback() };
	peers[1].sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	struct iovec part = { "abc", 3 };
	struct mmsghdr both[2] = { { { &peers[0], sizeof(peers[0]), &part, 1 } },
				   { { &peers[1], sizeof(peers[1]), &part, 1 } } };
	MUST(sendmmsg(MUST(socket(AF_INET, SOCK_DGRAM, 0)), both, 2, 0));
}

/* Standard input is a connection that somebody outside had made. */
static void inherited(void)
{
	MUST(write(0, "smuggled", 8));
	close(0);
}

/* While one thread waits for an answer on a socket, another puts a harmless file in the place of its descriptor. */
static int swapped;

static void *swap(void *unused)
{
	int harmless = MUST(open(in("harmless"), O_CREAT | O_RDWR, 0600));
	usleep(50000);
	MUST(dup2(harmless, swapped));
	return unused;
}

static void swapped_descriptor(void)
{
	int pair[2];
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	swapped = pair[0];
	pthread_t thread;
	pthread_create(&thread, 0, swap, 0);
	if (fork() == 0) {
		usleep(200000);
		MUST(write(pair[1], "an answer", 9));
		_exit(0);
	}
	MUST(read(pair[0], (char[9]){}, 9));
	pthread_join(thread, 0);
	wait(0);
}

const struct way network_ways[] = {
	{ "datagrams", datagrams },
	{ "listen", wait_for_others },
	{ "flood", flood },
	{ "counted", counted },
	{ "left_open", left_open },
	{ "race_address", race_address },
	{ "families", families },
	{ "passing", passing },
	{ "inherited", inherited },
	{ "swapped_descriptor", swapped_descriptor },
	{},
};
