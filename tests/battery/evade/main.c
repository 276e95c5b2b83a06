/* Does by unusual ways what a recorder might miss: evade WAY FOLDER PORT. */
#include "evade.h"

const char *folder;
int port;

char *in(const char *name)
{
	char *path = malloc(strlen(folder) + strlen(name) + 2);
	sprintf(path, "%s/%s", folder, name);
	return path;
}

void make(const char *path)
{
	close(MUST(open(path, O_CREAT | O_WRONLY, 0600)));
}

struct sockaddr_in loopback(void)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

int connection(void)
{
	struct sockaddr_in peer = loopback();
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
	MUST(connect(fd, (void *)&peer, sizeof(peer)));
	return fd;
}

int main(int count, char **arguments)
{
	if (count != 4)
		return 2;
	folder = arguments[2];
	port = atoi(arguments[3]);
	const struct way *themes[] = { file_ways, network_ways, process_ways, ring_ways, name_ways };
	for (unsigned theme = 0; theme < sizeof(themes) / sizeof(*themes); theme++) {
		for (const struct way *way = themes[theme]; way->name; way++) {
			if (!strcmp(way->name, arguments[1])) {
				way->go();
				return 0;
			}
		}
	}
	return 2;
}
