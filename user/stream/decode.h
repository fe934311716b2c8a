/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes of one ring record → event.  The bytes are hostile: length, version, type, kind, counts
 * and reserved fields are all checked; nothing outside [data, data + size) is read.  Pure.
 */
#ifndef LT_STREAM_DECODE_H
#define LT_STREAM_DECODE_H

#include <stddef.h>

#include "stream/event.h"

/*
 * 0 and *event filled (it borrows from data), or -EBADMSG with *event untouched.
 * data needs no alignment beyond 8, which ring buffers give.
 */
int lt_decode_wire(const void *data, size_t size, struct lt_event *event);

#endif
