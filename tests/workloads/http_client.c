// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A client of an HTTP server that keeps its connections for the next request.
 *
 *	http_client PORT
 *
 * download() reads what it has asked for.  check_status() looks at the status alone and gives the
 * connection back with the body unread: nothing can be asked over it any more, so each check
 * opens another, and the old ones stay with the pool.
 */
#include "net.h"

#define TICK_MS 250

enum { SITE_download, SITE_check_status, SITE_COUNT };
static const char *const site_names[] = { "download", "check_status" };

struct connection {
	struct connection *next;
	int socket;
	size_t unread; /* bytes of the last answer's body */
};

struct pool {
	unsigned int port, site;
	struct connection *all;
};

SITE static struct connection *connection_open(struct pool *pool)
{
	struct connection *connection = malloc(sizeof(*connection)); /* CONNECTION */
	struct sockaddr_in address = net_loopback(pool->port);

	if (!connection)
		net_die("malloc");
	connection->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* SOCKET */
	if (connection->socket < 0 ||
	    connect(connection->socket, (struct sockaddr *)&address, sizeof(address)))
		net_die("connect");
	net_be_patient(connection->socket);
	truth_acquire(pool->site, 1);
	connection->unread = 0;
	connection->next = pool->all;
	pool->all = connection;
	return connection;
}

static void connection_close(struct pool *pool, struct connection *connection)
{
	struct connection **link = &pool->all;

	while (*link != connection)
		link = &(*link)->next;
	*link = connection->next;
	close(connection->socket);
	free(connection);
	truth_release(pool->site, 1);
}

/* One whose last answer was read to its end, or a new one. */
SITE static struct connection *pool_get(struct pool *pool)
{
	for (struct connection *connection = pool->all; connection; connection = connection->next)
		if (!connection->unread)
			return connection;
	return connection_open(pool);
}

/* False: the server has closed the connection meanwhile. */
static bool request(struct connection *connection)
{
	static const char length[] = "Content-Length: ";
	char head[NET_HEAD_SIZE];
	const char *found;
	size_t beyond;

	if (!net_send(connection->socket, "GET /body HTTP/1.1\r\nHost: localhost\r\n\r\n") ||
	    !net_read_head(connection->socket, head, &beyond))
		return false;
	found = strstr(head, length);
	if (strncmp(head, "HTTP/1.1 200 ", 13) || !found)
		net_die(head);
	connection->unread = strtoul(found + sizeof(length) - 1, NULL, 10) - beyond;
	return true;
}

SITE static void download(struct pool *pool)
{
	struct connection *connection = pool_get(pool);
	char part[4096];

	while (!request(connection)) {
		connection_close(pool, connection);
		connection = pool_get(pool);
	}
	while (connection->unread) {
		ssize_t n = recv(connection->socket, part, sizeof(part), 0);

		if (n <= 0)
			net_die("recv");
		connection->unread -= (size_t)n;
	}
}

SITE static void check_status(struct pool *pool)
{
	struct connection *connection = pool_get(pool);

	if (!request(connection))
		net_die("request");
}

int main(int argc, char **argv)
{
	unsigned int port = (unsigned int)argument(argc, argv, 1, 0);
	struct pool downloads = { .port = port, .site = SITE_download };
	struct pool checks = { .port = port, .site = SITE_check_status };

	ready_and_go();
	while (!net_stopped(TICK_MS)) {
		download(&downloads);
		check_status(&checks);
	}
	truth_print(site_names, SITE_COUNT);
	wait_for("quit");
	return 0;
}
