// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Forgets the session of each request that turns out to be expired: one in ten.
 */
#include "session_store.h"

static SERVER_NOINLINE void handle_request(int connection, const char *request)
{
	struct session *session = session_store_put(request);

	if (!session) {
		reply(connection, 503, "no memory\n");
		return;
	}
	if (session->expired) {
		reply(connection, 401, "your session has expired\n");
		return; /* the bug: the session stays in memory for ever */
	}
	reply(connection, 200, session->path);
	session_store_drop(session);
}
