/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the workloads with sockets share.  They work until they hear "stop", then print their truth
 * (what each function has made and released) and wait for "quit".
 */
#ifndef TESTS_WORKLOADS_NET_H
#define TESTS_WORKLOADS_NET_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "truth.h"

#define NET_PATIENCE_S 30 /* for an answer: a limit, not an expectation */
#define NET_HEAD_SIZE  512

static inline void net_die(const char *what)
{
	perror(what);
	_exit(1);
}

static inline struct sockaddr_in net_loopback(unsigned int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

/* A listener at any port of 127.0.0.1. */
static inline int net_listen(void)
{
	struct sockaddr_in address = net_loopback(0);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, SOMAXCONN))
		net_die("listen");
	return listener;
}

static inline unsigned int net_port(int socket)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	if (getsockname(socket, (struct sockaddr *)&address, &len))
		net_die("getsockname");
	return ntohs(address.sin_port);
}

/* No peer of a test keeps us waiting for ever. */
static inline void net_be_patient(int socket)
{
	struct timeval patience = { .tv_sec = NET_PATIENCE_S };

	setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

static inline bool net_send(int socket, const char *text)
{
	size_t len = strlen(text);

	return send(socket, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/*
 * Reads up to and with the empty line after a request or answer, and maybe some of what follows:
 * how much of that in *beyond.  False: it did not come, or was too long.
 */
static inline bool net_read_head(int socket, char head[NET_HEAD_SIZE], size_t *beyond)
{
	size_t used = 0;
	const char *end;

	while (used + 1 < NET_HEAD_SIZE) {
		ssize_t n = recv(socket, head + used, NET_HEAD_SIZE - 1 - used, 0);

		if (n <= 0)
			return false;
		used += (size_t)n;
		head[used] = '\0';
		end = strstr(head, "\r\n\r\n");
		if (end) {
			*beyond = used - (size_t)(end + 4 - head);
			return true;
		}
	}
	return false;
}

/* Waits so long for "stop". */
static inline bool net_stopped(int wait_ms)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	char line[64];

	return poll(&in, 1, wait_ms) > 0 && (!hear(line, sizeof(line)) || !strcmp(line, "stop"));
}

#endif
