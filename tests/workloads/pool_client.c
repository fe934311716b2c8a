// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A client with a pool of connections that grows with what is asked of it, up to a limit, and never
 * shrinks.
 *
 *	pool_client PORT LIMIT FILL-SECONDS
 *
 * Once a second it asks over so many connections at once as there are to be by then.  What the
 * server closes, as servers do after some number of requests, is replaced.
 */
#include "net.h"

#define MOST        4096
#define LEAST_SHARE 2 /* once full, between a half and all of them are in use */

enum { SITE_pool_connect, SITE_COUNT };
static const char *const site_names[] = { "pool_connect" };

static unsigned int port;
static int idle[MOST]; /* a ring: the longest unused is taken first */
static size_t first, count;

SITE static int pool_connect(void)
{
	struct sockaddr_in address = net_loopback(port);
	int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* SOCKET */

	if (connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof(address)))
		net_die("connect");
	net_be_patient(connection);
	truth_acquire(SITE_pool_connect, 1);
	return connection;
}

static int pool_get(void)
{
	count--;
	return idle[first++ % MOST];
}

static void pool_put(int connection)
{
	idle[(first + count++) % MOST] = connection;
}

static void pool_fill(size_t wanted)
{
	while (count < wanted)
		pool_put(pool_connect());
}

static void pool_drop(int connection)
{
	close(connection);
	truth_release(SITE_pool_connect, 1);
}

static void ask(size_t wanted)
{
	static int busy[MOST];
	char head[NET_HEAD_SIZE];
	size_t beyond;

	for (size_t i = 0; i < wanted; i++) {
		busy[i] = pool_get();
		if (!net_send(busy[i], "GET /pool HTTP/1.1\r\nHost: localhost\r\n\r\n"))
			net_die("send");
	}
	for (size_t i = 0; i < wanted; i++) {
		if (!net_read_head(busy[i], head, &beyond))
			net_die("answer");
		if (strstr(head, "Connection: close"))
			pool_drop(busy[i]);
		else
			pool_put(busy[i]);
	}
}

int main(int argc, char **argv)
{
	size_t limit = argument(argc, argv, 2, 500), fill_s = argument(argc, argv, 3, 60);
	size_t second = 0, size = 0, wanted = 0;
	uint64_t random = random_seed(3);

	port = (unsigned int)argument(argc, argv, 1, 0);
	if (limit > MOST || !fill_s)
		return 2;
	ready_and_go();
	while (!net_stopped(1000)) {
		ask(wanted);
		second++;
		wanted = second <= fill_s ? limit * second / fill_s
					  : limit - random_below(&random, limit / LEAST_SHARE);
		if (size < wanted)
			size = wanted;
		pool_fill(size);
	}
	truth_print(site_names, SITE_COUNT);
	wait_for("quit");
	return 0;
}
