/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drains the rings of a tracer: bytes → decoder → sink.  One thread.
 */
#ifndef LT_STREAM_LIVE_H
#define LT_STREAM_LIVE_H

#include <stddef.h>

#include "stream/event.h"

struct lt_live;

/* rings: map fds, borrowed for the life of the reader. */
int lt_live_new(struct lt_live **live, const int *rings, size_t count, lt_event_sink sink,
		void *context);
void lt_live_free(struct lt_live *live);

/* An epoll fd, readable when a ring passed its wake level.  Owned by the reader. */
int lt_live_fd(const struct lt_live *live);
/*
 * Reads every ring until it is empty or its turn is over, so that a fast target cannot keep the
 * caller here.  1: more is waiting; 0: drained; or a negative value from the sink.
 */
int lt_live_drain(struct lt_live *live);
/* Records that the decoder refused so far. */
uint64_t lt_live_bad_events(const struct lt_live *live);

#endif
