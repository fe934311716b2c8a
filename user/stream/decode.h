/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes of one ring record → event.  The bytes are hostile: length, version, type, kind, counts
 * and reserved fields are all checked; nothing outside [data, data + size) is read.  Pure.
 */
#ifndef LT_STREAM_DECODE_H
#define LT_STREAM_DECODE_H

#include <stddef.h>

#include "stream/event.h"

static inline bool lt_decode_kind_known(uint8_t kind)
{
	static const bool known[UINT8_MAX + 1] = {
#define LT_KIND(symbol, value, name, unit, memory) [value] = true,
#include "leaktrace/kinds.def"
#undef LT_KIND
	};

	return known[kind];
}

/* Whether flags may stand together in an acquire: what tells of a range needs one. */
static inline bool lt_decode_acquire_flags(uint8_t flags)
{
	return flags & LT_WIRE_F_RANGE
		       ? !(flags & ~(LT_WIRE_F_RANGE | LT_WIRE_F_PROTECT | LT_WIRE_F_CLASS))
		       : !(flags & ~LT_WIRE_F_REALLOC);
}

/*
 * 0 and *event filled (it borrows from data), or -EBADMSG with *event untouched.
 * data is aligned to 8, as ring buffers give it.  The exit of the process comes as LT_EVENT_END.
 */
int lt_decode_wire(const void *data, size_t size, struct lt_event *event);

#endif
