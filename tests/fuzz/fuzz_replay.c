// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * clang -g -O1 -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -Iinclude -Iuser
 *	tests/fuzz/fuzz_replay.c user/stream/codec.c user/stream/record.c user/stream/replay.c
 *	user/base/buf.c
 *
 * The first byte chooses: even, the rest is a file as it stands; odd, its check values are put
 * right first, so that the fuzzer gets past them.
 */
#include <stdlib.h>
#include <string.h>

#include "stream/codec.h"
#include "stream/record.h"
#include "stream/replay.h"

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
			return;
		lt_codec_seal(data + at, whole);
	}
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
	uint8_t *copy;
	FILE *file;

	if (size < 2)
		return 0;
	copy = malloc(size - 1);
	memcpy(copy, data + 1, size - 1);
	if (data[0] & 1)
		seal(copy, size - 1);
	if (lt_recorder_open(&recorder, open_memstream(&output, &written)))
		abort();
	file = fmemopen(copy, size - 1, "r");
	if (lt_replay_file(file, sink, recorder, &result) && !result.error[0])
		abort();
	fclose(file);
	lt_recorder_close(recorder);
	free(output);
	free(copy);
	return 0;
}
