/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The per-request context of both servers. */
#ifndef DEMO_SESSION_STORE_H
#define DEMO_SESSION_STORE_H

#include "server.h"

static SERVER_NOINLINE struct session *session_store_put(const char *request)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	snprintf(session->path, sizeof(session->path), "%.*s", (int)strcspn(request, "\r\n"),
		 request);
	session->expired = strstr(request, "Session: expired") != NULL;
	return session;
}

static SERVER_NOINLINE void session_store_drop(struct session *session)
{
	free(session);
}

#endif
