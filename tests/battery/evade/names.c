/* Names of addresses, asked for in every way, of a name server of its own at 127.0.0.1:53. */
#include "evade.h"
#include <netdb.h>
#include <netinet/tcp.h>

/* NAME.example is 127.0.1.N; others are not there. */
static const char *const known[] = { "libc", "raw", "stream" };

static int answer(const unsigned char *query, int length, unsigned char *reply)
{
	int end = 12, number = 0;
	for (unsigned n = 0; n < 3; n++)
		if (query[12] == strlen(known[n]) && !memcmp(query + 13, known[n], query[12]))
			number = n + 1;
	while (query[end])
		end += query[end] + 1;
	int one = number && query[end + 2] == 1;
	end += 5;
	if (end > length)
		exit(1);
	memcpy(reply, query, end);
	memcpy(reply + 2, number ? "\x81\x80\0\1\0\0\0\0\0" : "\x81\x83\0\1\0\0\0\0\0", 10);
	reply[7] = one;
	if (one) {
		memcpy(reply + end, "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\1", 15);
		reply[end + 15] = number;
		end += 16;
	}
	return end;
}

static int datagrams, listener;

static void *serve_datagrams(void *unused)
{
	unsigned char query[512], reply[512];
	struct sockaddr_in peer;
	for (socklen_t size = sizeof(peer);; size = sizeof(peer)) {
		int length = recvfrom(datagrams, query, sizeof(query), 0, (void *)&peer, &size);
		MUST(sendto(datagrams, reply, answer(query, length, reply), 0, (void *)&peer, size));
	}
	return unused;
}

static void *serve_streams(void *unused)
{
	unsigned char query[512], reply[514];
	int client = MUST(accept(listener, 0, 0));
	MUST(recv(client, query, 2, MSG_WAITALL));
	int length = MUST(recv(client, query, query[0] << 8 | query[1], MSG_WAITALL));
	length = answer(query, length, reply + 2);
	reply[0] = length >> 8;
	reply[1] = length;
	/* In two parts, as TCP may cut it. */
	MUST(send(client, reply, 7, 0));
	MUST(send(client, reply + 7, length - 5, 0));
	close(client);
	return unused;
}

static void reach(const void *four)
{
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons(443) };
	memcpy(&peer.sin_addr, four, 4);
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
	connect(fd, (void *)&peer, sizeof(peer));
	close(fd);
}

static int question(const char *name, unsigned char *query)
{
	memcpy(query, "\0\7\1\0\0\1\0\0\0\0\0\0", 12);
	query[12] = strlen(name);
	strcpy((char *)query + 13, name);
	unsigned char *rest = query + 13 + strlen(name);
	memcpy(rest, "\7example\0\0\1\0\1", 13);
	return rest + 13 - query;
}

/* A ClientHello with nothing in it but the name, in pieces of which none tells what it is. */
static void hello(void)
{
	static const char name[] = "tls.example";
	unsigned char record[256] = { 0x16, 3, 1 }, *at = record + 9;
	*at++ = 3;
	*at++ = 3;
	at += 32;  /* random */
	*at++ = 0; /* no session */
	memcpy(at, "\0\2\x13\1\1\0", 6);
	at += 6;
	int size = strlen(name);
	unsigned char extension[] = { 0, size + 9, 0, 0, 0, size + 5, 0, size + 3, 0, 0, size };
	memcpy(at, extension, sizeof(extension));
	memcpy(at + sizeof(extension), name, size);
	at += sizeof(extension) + size;
	record[4] = at - record - 5;
	record[5] = 1;
	record[8] = at - record - 9;
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons(443) };
	inet_pton(AF_INET, "127.0.2.1", &peer.sin_addr);
	int server = MUST(socket(AF_INET, SOCK_STREAM, 0)), client = MUST(socket(AF_INET, SOCK_STREAM, 0));
	MUST(bind(server, (void *)&peer, sizeof(peer)));
	MUST(listen(server, 1));
	MUST(connect(client, (void *)&peer, sizeof(peer)));
	MUST(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)));
	for (unsigned char *piece = record; piece < at; piece += 3)
		MUST(send(client, piece, at - piece < 3 ? at - piece : 3, 0));
	MUST(recv(MUST(accept(server, 0, 0)), record, at - record, MSG_WAITALL));
}

static void names(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET,
				    .sin_port = htons(53),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	datagrams = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	listener = MUST(socket(AF_INET, SOCK_STREAM, 0));
	MUST(bind(datagrams, (void *)&here, sizeof(here)));
	MUST(bind(listener, (void *)&here, sizeof(here)));
	MUST(listen(listener, 1));
	pthread_t thread;
	pthread_create(&thread, 0, serve_datagrams, 0);
	pthread_create(&thread, 0, serve_streams, 0);

	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found;
	int failed = getaddrinfo("libc.example", 0, &hints, &found);
	if (failed) {
		fprintf(stderr, "libc.example: %s\n", gai_strerror(failed));
		exit(1);
	}
	reach(&((struct sockaddr_in *)found->ai_addr)->sin_addr);
	getaddrinfo("nowhere.example", 0, &hints, &found);

	unsigned char packet[514];
	int asker = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	MUST(sendto(asker, packet, question("raw", packet), 0, (void *)&here, sizeof(here)));
	int length = MUST(recv(asker, packet, sizeof(packet), 0));
	reach(packet + length - 4);

	int stream = MUST(socket(AF_INET, SOCK_STREAM, 0));
	MUST(connect(stream, (void *)&here, sizeof(here)));
	length = question("stream", packet + 2);
	packet[0] = 0;
	packet[1] = length;
	MUST(send(stream, packet, length + 2, 0));
	MUST(recv(stream, packet, 2, MSG_WAITALL));
	length = MUST(recv(stream, packet + 2, packet[0] << 8 | packet[1], MSG_WAITALL));
	reach(packet + 2 + length - 4);
	hello();
}

const struct way name_ways[] = {
	{ "names", names },
	{},
};
