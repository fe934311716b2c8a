// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A server with a thread for each connection.
 *
 *	thread_server join|detach|forget|hang
 *
 * join joins those that have ended, detach detaches all, forget does neither.  hang joins as well,
 * but its threads never come back from GET /slow, and so never close their connections.
 */
#include <stdatomic.h>

#include "net.h"

#define STACK_SIZE  (256 << 10) /* as servers with many threads do */
#define CONNECTIONS 4096

enum { SITE_open_connection, SITE_COUNT };
static const char *const site_names[] = { "open_connection" };

struct connection {
	int socket;
	pthread_t thread;
	atomic_bool hangs, ended;
};

static struct connection *open_ones[CONNECTIONS];
static bool join, detach, hang;

/* Waits for what never comes. */
SITE static void answer_slowly(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;

	pthread_mutex_lock(&lock);
	for (;;)
		pthread_cond_wait(&answered, &lock);
}

static void *serve_connection(void *argument)
{
	struct connection *connection = argument;
	char head[NET_HEAD_SIZE];
	size_t beyond;

	net_be_patient(connection->socket);
	if (net_read_head(connection->socket, head, &beyond)) {
		if (hang && !strncmp(head, "GET /slow ", 10)) {
			atomic_store(&connection->hangs, true);
			answer_slowly();
		}
		net_send(connection->socket, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
	}
	close(connection->socket);
	truth_release(SITE_open_connection, 1);
	truth_flush();
	if (join)
		atomic_store(&connection->ended, true);
	else
		free(connection);
	return NULL;
}

static void keep(struct connection *connection)
{
	for (unsigned int i = 0; i < CONNECTIONS; i++) {
		if (!open_ones[i]) {
			open_ones[i] = connection;
			return;
		}
	}
	net_die("too many connections");
}

/* How many others still work. */
static unsigned int join_ended(void)
{
	unsigned int working = 0;

	for (unsigned int i = 0; i < CONNECTIONS; i++) {
		struct connection *connection = open_ones[i];

		if (!connection)
			continue;
		if (atomic_load(&connection->ended)) {
			pthread_join(connection->thread, NULL);
			free(connection);
			open_ones[i] = NULL;
		} else if (!atomic_load(&connection->hangs)) {
			working++;
		}
	}
	return working;
}

SITE static void open_connection(int listener, const pthread_attr_t *attributes)
{
	struct connection *connection = malloc(sizeof(*connection)); /* CONNECTION */
	pthread_t thread;
	int error;

	if (!connection)
		net_die("malloc");
	*connection = (struct connection){ 0 };
	connection->socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC); /* SOCKET */
	if (connection->socket < 0)
		net_die("accept4");
	truth_acquire(SITE_open_connection, 1);
	error = pthread_create(&thread, attributes, serve_connection, connection); /* THREAD */
	if (error)
		net_die("pthread_create");
	if (join) {
		connection->thread = thread; /* it is not freed before it is joined */
		keep(connection);
	}
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	struct pollfd wanted[2] = { { .fd = STDIN_FILENO, .events = POLLIN } };
	pthread_attr_t attributes;
	char port[16];

	hang = !strcmp(mode, "hang");
	join = hang || !strcmp(mode, "join");
	detach = !strcmp(mode, "detach");
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	if (detach)
		pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	ready_and_go();
	wanted[1] = (struct pollfd){ .fd = net_listen(), .events = POLLIN };
	snprintf(port, sizeof(port), "%u\n", net_port(wanted[1].fd));
	say(port);
	while (poll(wanted, 2, -1) > 0) {
		if (wanted[0].revents && net_stopped(0))
			break;
		if (wanted[1].revents)
			open_connection(wanted[1].fd, &attributes);
		join_ended();
	}
	while (join_ended())
		usleep(1000);
	truth_print(site_names, SITE_COUNT);
	wait_for("quit");
	return 0;
}
