/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events ↔ bytes of a recording (record_format.h).  One description of each payload serves both
 * directions, and the same checks: what the encoder refuses, the decoder calls corrupt.  Pure.
 */
#ifndef LT_STREAM_CODEC_H
#define LT_STREAM_CODEC_H

#include <stddef.h>

#include "stream/event.h"
#include "stream/record_format.h"

#define LT_CODEC_WORDS                                                                             \
	(LT_MAX_FRAMES > (int)LT_COUNTER_COUNT ? LT_MAX_FRAMES : (int)LT_COUNTER_COUNT)

/* What a file's header says, in terms of this build. */
struct lt_codec_file {
	bool newer; /* of a newer minor version: may hold what this build does not know */
	bool kind_listed[UINT8_MAX + 1];
	uint8_t kind[UINT8_MAX + 1]; /* 0: a kind that this build does not know */
	uint16_t counter_count;
	uint16_t counter[LT_RECORD_MAX_COUNTERS]; /* enum lt_counter; LT_COUNTER_COUNT: unknown */
};

/* Where a decoded event's arrays live. */
struct lt_codec_scratch {
	uint64_t words[LT_CODEC_WORDS];
	struct lt_source_frame source_frames[LT_MAX_INLINE_DEPTH];
	struct lt_listed listed[LT_CENSUS_ITEMS];
};

/* The file header into to.  Returns its size, or -EMSGSIZE. */
int lt_codec_encode_file(uint8_t *to, size_t room);
/*
 * One record into to.  Returns its size, -EMSGSIZE when the room is too small, -EINVAL for an event
 * that breaks the contract of event.h.
 */
int lt_codec_encode(uint8_t *to, size_t room, const struct lt_event *event);

/* The length of the body or payload that follows a header. */
uint32_t lt_codec_file_length(const uint8_t header[LT_RECORD_FILE_HEADER]);
uint32_t lt_codec_length(const uint8_t header[LT_RECORD_HEADER]);

/* -EPROTONOSUPPORT or -EBADMSG, with *why, when the fixed part is of no recording we can read. */
int lt_codec_check_file(const uint8_t header[LT_RECORD_FILE_HEADER], const char **why);
/* The whole file header.  0, or -EBADMSG with *why and *file undefined. */
int lt_codec_decode_file(uint8_t *data, size_t size, struct lt_codec_file *file, const char **why);
/*
 * One whole record.  0 and *event, which borrows from data and scratch; 1 for a well-formed record
 * that this build does not know; -EBADMSG with *why.  *event is undefined unless 0.
 */
int lt_codec_decode(uint8_t *data, size_t size, const struct lt_codec_file *file,
		    struct lt_codec_scratch *scratch, struct lt_event *event, const char **why);

/*
 * The check value over the bytes behind a header's check field.  Finds torn and flipped bytes, not
 * forgeries.  seed holds what stands before the check field.
 */
uint32_t lt_codec_check(uint64_t seed, const uint8_t *bytes, size_t size);
/* Writes the right check values into a whole header or record: for tests and fuzzers. */
void lt_codec_seal_file(uint8_t *data, size_t size);
void lt_codec_seal(uint8_t *data, size_t size);

#endif
