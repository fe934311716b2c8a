/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The format of a recording, major version 1.  docs/RECORD_FORMAT.md has the payloads.
 *
 * All integers are little-endian; nothing is aligned or padded.  A string is a u16 length, that
 * many bytes (none of them 0), and a 0 byte, so that a reader may use it where it lies.
 *
 *	file    magic[8]  u16 major  u16 minor  u32 length  u32 check  u32 zero  body[length]
 *	body    u16 n, n * { u8 value, string name, string unit }    the kinds
 *	        u16 n, n * { string name }                           the counters, in recorded order
 *	record  u32 length  u32 check  u16 type  u8 kind  u8 flags  u32 tgid  u64 time_ns
 *	        payload[length]
 *
 * type is enum lt_event_type, kind one of the body's values or 0, flags enum lt_wire_flags.
 *
 * Versions: the meaning of what is there never changes within a major version.  A new record type,
 * a new flag, or a new field at the end of a payload raises the minor version; a reader passes over
 * them in files of a newer minor than its own, and refuses them as corrupt in all others.  New
 * kinds and counters raise nothing: the body names them.
 */
#ifndef LT_STREAM_RECORD_FORMAT_H
#define LT_STREAM_RECORD_FORMAT_H

#include "leaktrace/limits.h"
#include "stream/event.h"

/*
 * As in PNG: the line feed shows a transfer in text mode, ^Z stops "type" on a terminal, the zero
 * byte marks the file as binary.  The string's own terminator is the eighth byte.
 */
#define LT_RECORD_MAGIC "LTREC\n\x1a"

#define LT_RECORD_MAJOR 1
#define LT_RECORD_MINOR 3

#define LT_RECORD_FILE_HEADER 24
#define LT_RECORD_HEADER      24

#define LT_RECORD_MAX_BODY     (1 << 16) /* bytes of names in the file header */
#define LT_RECORD_MAX_COUNTERS 1024      /* counters that a file may name */
/* Paths from /proc reach PATH_MAX and a " (deleted)"; names LT_MAX_NAME. */
#define LT_RECORD_MAX_STRING (LT_MAX_NAME + 64)
#define LT_RECORD_MAX        (1 << 20) /* bytes of one payload */

/*
 * The largest payloads: of a symbol, whose source frames have two strings, a line and a flag, and
 * of a census, whose items have an id, a time and a kind.
 */
_Static_assert(16 + LT_MAX_INLINE_DEPTH * (2 * (LT_RECORD_MAX_STRING + 3) + 5) <= LT_RECORD_MAX,
	       "what may be written can be read");
_Static_assert(32 + LT_CENSUS_ITEMS * 17 <= LT_RECORD_MAX, "what may be written can be read");

#endif
