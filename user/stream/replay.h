/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a recording and feeds its events to a sink.  The file is hostile: corrupt, truncated,
 * huge, made by an enemy.  Memory is bounded by the largest legal record.
 */
#ifndef LT_STREAM_REPLAY_H
#define LT_STREAM_REPLAY_H

#include <stddef.h>
#include <stdio.h>

#include "stream/event.h"

struct lt_replay_result {
	uint64_t events;          /* delivered */
	uint64_t unknown_records; /* well-formed records of a newer type or kind, skipped */
	bool truncated;           /* ended inside a record; meaningful when the result is 0 */
	char error[160];          /* one line, when the result is -EBADMSG or -EPROTONOSUPPORT */
};

/*
 * 0 at the end of file (truncated or not: what is whole was delivered), -EBADMSG for a corrupt
 * record or not a recording, -EPROTONOSUPPORT for a newer major version, -errno of read, or what
 * the sink returned.  result is always filled.
 */
int lt_replay_file(FILE *file, lt_event_sink sink, void *context, struct lt_replay_result *result);

#endif
