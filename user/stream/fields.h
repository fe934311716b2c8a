/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fields of a recording's payloads, each described once for both directions.  For
 * payload.c and codec.c.
 */
#ifndef LT_STREAM_FIELDS_H
#define LT_STREAM_FIELDS_H

#include <endian.h>
#include <string.h>

#include "stream/codec.h"

/*
 * A place in a payload.  Every code_*() below goes both ways: it writes the value, or, with a
 * scratch, reads it.
 */
struct codec {
	uint8_t *at, *end;
	struct lt_codec_scratch *scratch;
	const struct lt_codec_file *file; /* when reading records */
	const char *error;                /* the first */
	bool full;                        /* that error is the lack of room */
	bool unknown;                     /* a newer leaktrace wrote it: nothing to hand on */
};

static inline bool reading(const struct codec *codec)
{
	return codec->scratch;
}

static inline bool check(struct codec *codec, bool good, const char *error)
{
	if (__builtin_expect(!good && !codec->error, 0))
		codec->error = error;
	return good;
}

static inline uint8_t *take(struct codec *codec, size_t size)
{
	uint8_t *at = codec->at;

	if (__builtin_expect(codec->error != NULL, 0))
		return NULL;
	if (__builtin_expect((size_t)(codec->end - at) < size, 0)) {
		codec->full = true;
		codec->error = "a field reaches beyond the end";
		return NULL;
	}
	codec->at += size;
	return at;
}

#define le8toh(value) (value)
#define htole8(value) (value)
#define CODE_INTEGER(bits)                                                                         \
	static inline void code_u##bits(struct codec *codec, uint##bits##_t *value)                \
	{                                                                                          \
		uint8_t *bytes = take(codec, sizeof(*value));                                      \
		uint##bits##_t raw;                                                                \
                                                                                                   \
		if (!bytes)                                                                        \
			return;                                                                    \
		if (reading(codec)) {                                                              \
			memcpy(&raw, bytes, sizeof(raw));                                          \
			*value = le##bits##toh(raw);                                               \
		} else {                                                                           \
			raw = htole##bits(*value);                                                 \
			memcpy(bytes, &raw, sizeof(raw));                                          \
		}                                                                                  \
	}
CODE_INTEGER(8)
CODE_INTEGER(16)
CODE_INTEGER(32)
CODE_INTEGER(64)

static inline void code_bool(struct codec *codec, bool *value)
{
	uint8_t byte = *value;

	code_u8(codec, &byte);
	if (check(codec, byte <= 1, "a flag is neither 0 nor 1"))
		*value = byte;
}

static inline void code_bytes(struct codec *codec, const uint8_t **bytes, size_t size)
{
	uint8_t *at = take(codec, size);

	if (!at)
		return;
	if (reading(codec))
		*bytes = at;
	else if (size)
		memcpy(at, *bytes, size);
}

static inline void code_string(struct codec *codec, const char **text)
{
	uint16_t len = reading(codec) ? 0 : (uint16_t)strnlen(*text, LT_RECORD_MAX_STRING + 1);
	const uint8_t *bytes = (const uint8_t *)*text;

	code_u16(codec, &len);
	if (!check(codec, len <= LT_RECORD_MAX_STRING, "a string is too long"))
		return;
	code_bytes(codec, &bytes, (size_t)len + 1);
	if (!codec->error && bytes &&
	    check(codec, memchr(bytes, 0, (size_t)len + 1) == bytes + len,
		  "a string does not end where its length says"))
		*text = (const char *)bytes;
}

/* Fields that came with a later minor version end a payload: older files lack them all. */
static inline bool has_more(const struct codec *codec)
{
	return !reading(codec) || codec->at < codec->end;
}

#endif
