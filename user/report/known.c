// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/known.h"

#include <stddef.h>
#include <string.h>

/* Of one stack the first row counts. */
static const struct {
	const char *function; /* anywhere among the frames; "" any */
	enum lt_mark state;
	const char *what;
} shapes[] = {
	/* net/http/transport.go: as long as the caller has not read or closed the body */
	{ "net/http.(*persistConn).readLoop", LT_MARK_SELECT,
	  "responses of an HTTP client whose body nobody closed, or is still reading" },
	{ "net/http.(*persistConn).readLoop", LT_MARK_IO_WAIT,
	  "connections of an HTTP client that are idle, or wait for a response" },
	{ "net/http.(*persistConn).writeLoop", LT_MARK_SELECT,
	  "one for each connection of an HTTP client" },
	{ "net/http.(*http2clientConnReadLoop).run", LT_MARK_IO_WAIT,
	  "one for each connection of an HTTP/2 client" },
	{ "golang.org/x/net/http2.(*clientConnReadLoop).run", LT_MARK_IO_WAIT,
	  "one for each connection of an HTTP/2 client" },
	{ "net/http/internal/http2.(*clientConnReadLoop).run", LT_MARK_IO_WAIT,
	  "one for each connection of an HTTP/2 client" }, /* Go 1.27 */
	/* google.golang.org/grpc/internal/transport/http2_client.go */
	{ "google.golang.org/grpc/internal/transport.(*http2Client).reader", LT_MARK_IO_WAIT,
	  "one for each connection of gRPC clients that are not closed" },
	/* database/sql/sql.go */
	{ "database/sql.(*DB).conn", LT_MARK_SELECT,
	  "they wait for a connection: all that the pool may have are in use" },
	{ "database/sql.(*DB).connectionOpener", LT_MARK_SELECT,
	  "one for each sql.DB that is not closed" },
	{ "database/sql.(*Rows).awaitDone", LT_MARK_SELECT,
	  "one for each result (sql.Rows) that is not closed" },
	{ "database/sql.(*Tx).awaitDone", LT_MARK_CHAN_RECEIVE,
	  "one for each transaction that is neither committed nor rolled back" },
	{ "time.Sleep", LT_MARK_SLEEP, "they go on by themselves" },
	/* By the language. */
	{ "", LT_MARK_SELECT_NO_CASES, "nothing can ever wake them" },
	{ "", LT_MARK_CHAN_RECEIVE_NIL, "nothing can ever wake them" },
	{ "", LT_MARK_CHAN_SEND_NIL, "nothing can ever wake them" },
	{ "", LT_MARK_LEAKED, "the garbage collector found that nothing can wake them" },
};

static bool has(const struct lt_report_frame *frames, uint32_t count, const char *function)
{
	for (uint32_t i = 0; i < count; i++)
		if (!strcmp(frames[i].function, function))
			return true;
	return !function[0];
}

const char *lt_known_shape(uint64_t state, const struct lt_report_frame *frames, uint32_t count)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (shapes[i].state == state && has(frames, count, shapes[i].function))
			return shapes[i].what;
	return NULL;
}
