/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small HTTP server on a loopback port of the kernel's choice, with a client thread inside that
 * keeps it busy.  What is done with a request is up to the program that includes this.
 *
 * It ends by itself after MAX_SECONDS, so that a forgotten one does not fill the memory.
 */
#ifndef DEMO_SERVER_H
#define DEMO_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_SECONDS     600
#define REQUESTS_PER_S  200
#define MAX_REQUEST     512
#define EXPIRED_ONE_IN  10 /* requests that come with an expired session */
#define SERVER_NOINLINE __attribute__((noinline))
#define SESSION_SCRATCH 700

struct session {
	char path[128];
	int expired;
	char scratch[SESSION_SCRATCH];
};

/* Answers one request on the connection. */
static void handle_request(int connection, const char *request);

static SERVER_NOINLINE void reply(int connection, int status, const char *text)
{
	char *response;
	int len = asprintf(&response, "HTTP/1.0 %d\r\nContent-Length: %zu\r\n\r\n%s", status,
			   strlen(text), text);

	if (len < 0)
		return;
	if (send(connection, response, (size_t)len, MSG_NOSIGNAL) < 0)
		perror("send");
	free(response);
}

static SERVER_NOINLINE void serve_connection(int connection)
{
	char request[MAX_REQUEST + 1];
	ssize_t len = recv(connection, request, MAX_REQUEST, 0);

	if (len > 0) {
		request[len] = '\0';
		handle_request(connection, request);
	}
	close(connection);
}

static void *accept_loop(void *listener)
{
	for (;;) {
		int connection = accept(*(int *)listener, NULL, NULL);

		if (connection >= 0)
			serve_connection(connection);
	}
	return NULL;
}

static void ask(const struct sockaddr_in *address, unsigned long number)
{
	char text[MAX_REQUEST];
	int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connection < 0)
		return;
	snprintf(text, sizeof(text), "GET /item/%lu HTTP/1.0\r\nSession: %s\r\n\r\n", number,
		 number % EXPIRED_ONE_IN ? "valid" : "expired");
	if (connect(connection, (const struct sockaddr *)address, sizeof(*address)) == 0 &&
	    send(connection, text, strlen(text), MSG_NOSIGNAL) > 0)
		while (recv(connection, text, sizeof(text), 0) > 0)
			;
	close(connection);
}

int main(void)
{
	static const struct timespec pause = { 0, 1000000000L / REQUESTS_PER_S };
	static int listener;
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	pthread_t thread;

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) ||
	    listen(listener, 16) || getsockname(listener, (struct sockaddr *)&address, &size) ||
	    pthread_create(&thread, NULL, accept_loop, &listener)) {
		perror("cannot listen");
		return 1;
	}
	printf("pid %d serves http://127.0.0.1:%d/\n", (int)getpid(), ntohs(address.sin_port));
	fflush(stdout);
	for (unsigned long i = 0; i < MAX_SECONDS * REQUESTS_PER_S; i++) {
		ask(&address, i);
		nanosleep(&pause, NULL);
	}
	return 0;
}

#endif
