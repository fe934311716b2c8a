// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * clang -g -O1 -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -Iinclude -Iuser
 *	tests/fuzz/fuzz_replay.c user/stream/codec.c user/stream/record.c user/stream/replay.c
 *	user/base/buf.c user/base/kind.c
 *
 * The first byte chooses: even, the rest is a file as it stands; odd, its check values are put
 * right first, and the last length, so that the fuzzer gets past them.  With 2, it is one record
 * behind our own file header: type, kind, flags and payload.  With 4 that is of a newer version.
 */
#include <stdlib.h>
#include <string.h>

#include "stream/codec.h"
#include "stream/record.h"
#include "stream/replay.h"

#define MINOR 10 /* where its low byte is, in a file */
#define TYPE  8  /* likewise, in a record; behind it are kind and flags */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seal(uint8_t *data, size_t size)
{
	size_t at = 0, whole;

	if (size < LT_RECORD_FILE_HEADER)
		return;
	whole = LT_RECORD_FILE_HEADER + (size_t)lt_codec_file_length(data);
	if (whole > size)
		return;
	lt_codec_seal_file(data, whole);
	for (at = whole; size - at >= LT_RECORD_HEADER; at += whole) {
		whole = LT_RECORD_HEADER + (size_t)lt_codec_length(data + at);
		if (whole > size - at)
			whole = size - at;
		lt_codec_seal(data + at, whole);
	}
}

/* Our file header, and the start of a record whose length seal() fills in. */
static size_t put_front(uint8_t *to, size_t room, const uint8_t *data, bool newer)
{
	size_t size = (size_t)lt_codec_encode_file(to, room);
	uint8_t *record = to + size;

	to[MINOR] += newer;
	memset(record, 0, LT_RECORD_HEADER);
	memset(record, 0xff, 4);
	record[TYPE] = data[0] % 32;
	record[TYPE + 2] = data[1];
	record[TYPE + 3] = data[2];
	return size + LT_RECORD_HEADER;
}

/* Whatever the reader lets through, the writer must take: both have the same checks. */
static int sink(void *context, const struct lt_event *event)
{
	if (lt_recorder_write(context, event))
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lt_recorder *recorder = NULL;
	struct lt_replay_result result;
	size_t written = 0;
	char *output = NULL;
	uint8_t header[8192] = { 0 }, *copy;
	FILE *file;
	size_t front = 0;
	uint8_t choice;

	if (size < 4)
		return 0;
	choice = *data++;
	size--;
	if (choice & 2) {
		front = put_front(header, sizeof(header), data, choice & 4);
		data += 3;
		size -= 3;
	}
	copy = malloc(front + size);
	memcpy(copy, header, front);
	memcpy(copy + front, data, size);
	size += front;
	if (choice & 3)
		seal(copy, size);
	if (lt_recorder_open(&recorder, open_memstream(&output, &written)))
		abort();
	file = fmemopen(copy, size, "r");
	if (lt_replay_file(file, sink, recorder, &result) && !result.error[0])
		abort();
	fclose(file);
	lt_recorder_close(recorder);
	free(output);
	free(copy);
	return 0;
}
