/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a record of each type holds behind its header (docs/RECORD_FORMAT.md): described once, for writing
 * and for reading (stream/fields.h).  For codec.c.  Pure.
 */
#ifndef LT_STREAM_PAYLOAD_H
#define LT_STREAM_PAYLOAD_H

#include "stream/fields.h"

struct lt_payload {
	void (*code)(struct codec *codec, struct lt_event *event);
	bool has_kind;
	uint8_t flags; /* that may be set */
};

/* NULL: no record has such a type. */
const struct lt_payload *lt_payload_of(uint16_t type);

#endif
