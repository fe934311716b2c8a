// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A server of ten services, each at a port of its own.  Each accepts, answers GET and refuses
 * anything else; path_6 forgets to close what it has refused.
 */
#include "net.h"

#define PATHS 10

static bool is_good(int client)
{
	char head[NET_HEAD_SIZE];
	size_t beyond;

	net_be_patient(client);
	return net_read_head(client, head, &beyond) && !strncmp(head, "GET ", 4);
}

/* One line each, so that a line is a service. */
#define SERVICE(n, close_refused)                                                                  \
	SITE static void path_##n(int listener)                                                    \
	{                                                                                          \
		int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);                          \
                                                                                                   \
		if (client < 0)                                                                    \
			return;                                                                    \
		truth_acquire(n, 1);                                                               \
		if (!is_good(client)) {                                                            \
			net_send(client, "HTTP/1.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n"); \
			close_refused;                                                             \
			return;                                                                    \
		}                                                                                  \
		net_send(client, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");                \
		truth_release(n, 1);                                                               \
		close(client);                                                                     \
	}
#define CLOSED(n)    SERVICE(n, (truth_release(n, 1), close(client)))
#define FORGOTTEN(n) SERVICE(n, (void)0)

CLOSED(0)
CLOSED(1)
CLOSED(2)
CLOSED(3)
CLOSED(4)
CLOSED(5)
FORGOTTEN(6) /* LEAK */
CLOSED(7)
CLOSED(8)
CLOSED(9)

static void (*const services[PATHS])(int listener) = { path_0, path_1, path_2, path_3, path_4,
						       path_5, path_6, path_7, path_8, path_9 };
static const char *const names[PATHS] = { "path_0", "path_1", "path_2", "path_3", "path_4",
					  "path_5", "path_6", "path_7", "path_8", "path_9" };

int main(void)
{
	struct pollfd wanted[1 + PATHS] = { { .fd = STDIN_FILENO, .events = POLLIN } };

	ready_and_go();
	for (unsigned int i = 0; i < PATHS; i++) {
		char port[16];

		wanted[1 + i] = (struct pollfd){ .fd = net_listen(), .events = POLLIN };
		snprintf(port, sizeof(port), "%u%c", net_port(wanted[1 + i].fd),
			 i + 1 < PATHS ? ' ' : '\n');
		say(port);
	}
	while (poll(wanted, 1 + PATHS, -1) > 0) {
		if (wanted[0].revents && net_stopped(0))
			break;
		for (unsigned int i = 0; i < PATHS; i++)
			if (wanted[1 + i].revents)
				services[i](wanted[1 + i].fd);
	}
	truth_print(names, PATHS);
	wait_for("quit");
	return 0;
}
