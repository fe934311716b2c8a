/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The recording: a versioned, self-describing, append-only file of events (format: the comment in
 * record_format.h).  After a crash it is readable up to the last whole record.  One writer, one
 * thread.
 */
#ifndef LT_STREAM_RECORD_H
#define LT_STREAM_RECORD_H

#include <stdio.h>

#include "stream/event.h"

struct lt_recorder;

/*
 * Takes over file (closed by lt_recorder_close; on failure it stays the caller's).  Writes the
 * header at once.  0 or -errno.
 */
int lt_recorder_open(struct lt_recorder **recorder, FILE *file);
/*
 * Appends one event.  -errno on a failed write (-ENOSPC, ...); later calls repeat it.  -EINVAL for
 * an event that breaks the contract of event.h: it is left out and the recording goes on.
 */
int lt_recorder_write(struct lt_recorder *recorder, const struct lt_event *event);
/* Hands what is buffered to the kernel, so that a crash loses nothing before this point. */
int lt_recorder_flush(struct lt_recorder *recorder);
/* Flushes, closes, frees; returns the first error.  NULL is fine. */
int lt_recorder_close(struct lt_recorder *recorder);

#endif
