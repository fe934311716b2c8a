/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes of one ring record → event.  The bytes are hostile: length, version, type, kind, counts
 * and reserved fields are all checked; nothing outside [data, data + size) is read.  Pure.
 */
#ifndef LT_STREAM_DECODE_H
#define LT_STREAM_DECODE_H

#include <stddef.h>

#include "base/kind.h"
#include "stream/event.h"

static inline bool lt_decode_kind_known(uint8_t kind)
{
	static const bool known[UINT8_MAX + 1] = {
#define LT_KIND(symbol, value, name, unit, memory, listing, help) [value] = true,
#include "leaktrace/kinds.def"
#undef LT_KIND
	};

	return known[kind];
}

/*
 * Whether flags may stand together in an acquire of this kind: what tells of a range needs one, and
 * what the kernel lists by number is none.
 */
static inline bool lt_decode_acquire_flags(uint8_t kind, uint8_t flags)
{
	return flags & LT_WIRE_F_RANGE
		       ? lt_kind_listing(kind) == LT_LISTING_NOWHERE &&
				 !(flags & ~(LT_WIRE_F_RANGE | LT_WIRE_F_PROTECT | LT_WIRE_F_CLASS))
		       : !(flags & ~LT_WIRE_F_REALLOC);
}

/*
 * Whether such a RELEASE or RESTORE may have this range.  Of what the kernel lists by number only
 * descriptors are released so, and never restored: close_range(2) takes two unsigned ints, of
 * which the second is part of the range.
 */
static inline bool lt_decode_range(uint8_t type, uint8_t kind, uint8_t flags,
				   const struct lt_event_release *range)
{
	const uint64_t numbers = UINT64_C(1) << 32;

	if (range->target && type != LT_EVENT_RESTORE)
		return false;
	return lt_kind_listing(kind) == LT_LISTING_NOWHERE ||
	       (kind == LT_KIND_FD && type == LT_EVENT_RELEASE && flags == LT_WIRE_F_RANGE &&
		range->size >= 1 && range->size <= numbers && range->id <= numbers - range->size);
}

/*
 * 0 and *event filled (it borrows from data), or -EBADMSG with *event untouched.
 * data is aligned to 8, as ring buffers give it.  The exit of the process comes as LT_EVENT_END.
 */
int lt_decode_wire(const void *data, size_t size, struct lt_event *event);

#endif
