/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "stream/codec.h"

#include "unit/stream/recording.h"

#define SEED UINT64_C(0x9e3779b97f4a7c15)

/* One recording, its text, and where each of its records ends. */
struct sample {
	char *data;
	size_t size;
	struct lt_buf text;
	size_t header, count, ends[2 * ALL_TYPES];
	size_t line_ends[2 * ALL_TYPES];
};

static int make_sample(void **state)
{
	struct sample *sample = calloc(1, sizeof(*sample));
	struct maker maker = { .random = SEED };
	struct lt_recorder *recorder;
	FILE *file = open_memstream(&sample->data, &sample->size);

	assert_int_equal(lt_recorder_open(&recorder, file), 0);
	fflush(file);
	sample->header = sample->size;
	for (size_t i = 0; i < ALL_TYPES; i++) {
		struct lt_event event = make_event(&maker, all_types[i], 3);

		assert_int_equal(lt_recorder_write(recorder, &event), 0);
		assert_int_equal(lt_recorder_flush(recorder), 0);
		fflush(file);
		describe(&sample->text, &event);
		sample->ends[i] = sample->size;
		sample->line_ends[i] = sample->text.len;
		sample->count++;
	}
	assert_int_equal(lt_recorder_close(recorder), 0);
	*state = sample;
	return 0;
}

static int free_sample(void **state)
{
	struct sample *sample = *state;

	free(sample->data);
	lt_buf_free(&sample->text);
	free(sample);
	return 0;
}

static void test_round_trip(void **state)
{
	struct lt_buf expected = { 0 }, got = { 0 };
	struct maker maker = { .random = SEED };
	struct lt_replay_result result;
	struct lt_recorder *recorder;
	size_t size, events = 0;
	char *data;

	assert_int_equal(lt_recorder_open(&recorder, open_memstream(&data, &size)), 0);
	for (int round = 0; round < 500; round++) {
		for (size_t i = 0; i < ALL_TYPES; i++, events++) {
			struct lt_event event = make_event(&maker, all_types[i], LT_MAX_FRAMES);

			assert_int_equal(lt_recorder_write(recorder, &event), 0);
			describe(&expected, &event);
		}
	}
	assert_int_equal(lt_recorder_close(recorder), 0);
	assert_true(size > 2 * (256 << 10)); /* so the buffer went out more than once */
	assert_int_equal(replay_bytes(data, size, &got, &result), 0);
	assert_int_equal(result.events, events);
	assert_int_equal(result.unknown_records, 0);
	assert_false(result.truncated);
	assert_string_equal(result.error, "");
	assert_string_equal(got.data, expected.data);
	lt_buf_free(&expected);
	lt_buf_free(&got);
	free(data);
}

/* The bounds themselves are legal, also all at once. */
static void test_largest(void **state)
{
	static uint8_t bytes[LT_RECORD_HEADER + LT_RECORD_MAX];
	struct lt_source_frame frames[LT_MAX_INLINE_DEPTH];
	struct lt_event event = { .type = LT_EVENT_SYMBOL,
				  .symbol = { 1, frames, LT_MAX_INLINE_DEPTH } };
	char *text = malloc(LT_RECORD_MAX_STRING + 2);

	memset(text, 'x', LT_RECORD_MAX_STRING + 1);
	text[LT_RECORD_MAX_STRING + 1] = '\0';
	for (size_t i = 0; i < LT_MAX_INLINE_DEPTH; i++)
		frames[i] = (struct lt_source_frame){ text + 1, text + 1, 1, true };
	assert_true(lt_codec_encode(bytes, sizeof(bytes), &event) > 0);
	frames[5].file = text;
	assert_int_equal(lt_codec_encode(bytes, sizeof(bytes), &event), -EINVAL);
	event = (struct lt_event){ .type = LT_EVENT_DESCRIBE,
				   .describe = { LT_LISTING_DESCRIPTORS, 1, 2, text + 1, text + 1,
						 text + 1, text + 1 } };
	assert_true(lt_codec_encode(bytes, sizeof(bytes), &event) > 0);
	event.describe.state = text;
	assert_int_equal(lt_codec_encode(bytes, sizeof(bytes), &event), -EINVAL);
	event = (struct lt_event){ .type = LT_EVENT_RUNTIME, .runtime.version = text + 1 };
	assert_true(lt_codec_encode(bytes, sizeof(bytes), &event) > 0);
	event.runtime.version = text;
	assert_int_equal(lt_codec_encode(bytes, sizeof(bytes), &event), -EINVAL);
	free(text);
}

/* What the largest census holds comes back, up to the largest id. */
static void test_largest_census(void **state)
{
	static struct lt_listed items[LT_CENSUS_ITEMS + 1];
	struct lt_event event = { .type = LT_EVENT_CENSUS,
				  .census = { LT_LISTING_THREADS, LT_CENSUS_ITEMS, 5, 0, UINT64_MAX,
					      items } };
	struct lt_buf expected = { 0 }, got = { 0 };
	struct lt_replay_result result;
	struct lt_recorder *recorder;
	size_t size;
	char *data;

	for (uint64_t i = 0; i <= LT_CENSUS_ITEMS; i++)
		items[i] = (struct lt_listed){ UINT64_MAX - LT_CENSUS_ITEMS + 1 + i, i,
					       LT_KIND_THREAD };
	items[0].id = 0;
	assert_int_equal(lt_recorder_open(&recorder, open_memstream(&data, &size)), 0);
	assert_int_equal(lt_recorder_write(recorder, &event), 0);
	describe(&expected, &event);
	event.census.count++;
	assert_int_equal(lt_recorder_write(recorder, &event), -EINVAL);
	assert_int_equal(lt_recorder_close(recorder), 0);
	assert_int_equal(replay_bytes(data, size, &got, &result), 0);
	assert_int_equal(result.events, 1);
	assert_string_equal(got.data, expected.data);
	lt_buf_free(&expected);
	lt_buf_free(&got);
	free(data);
}

static void test_every_prefix(void **state)
{
	const struct sample *sample = *state;
	struct lt_replay_result result;
	struct lt_buf got = { 0 };
	size_t whole = 0;

	assert_int_equal(replay_bytes(sample->data, 0, &got, &result), -EBADMSG);
	assert_non_null(strstr(result.error, "empty"));
	for (size_t size = 1; size <= sample->size; size++) {
		while (whole < sample->count && sample->ends[whole] <= size)
			whole++;
		assert_int_equal(replay_bytes(sample->data, size, &got, &result), 0);
		assert_int_equal(result.events, whole);
		assert_int_equal(result.truncated,
				 size != sample->header &&
					 (!whole || size != sample->ends[whole - 1]));
		assert_int_equal(got.len, whole ? sample->line_ends[whole - 1] : 0);
		assert_memory_equal(got.data ? got.data : "", sample->text.data, got.len);
	}
	lt_buf_free(&got);
}

/* A flipped byte is an error or, in a length, looks like a torn end; never a wrong event. */
static void test_every_byte_corrupt(void **state)
{
	static const uint8_t masks[] = { 0x01, 0x80, 0xff };
	const struct sample *sample = *state;
	struct lt_replay_result result;
	struct lt_buf got = { 0 };

	for (size_t at = 0; at < sample->size; at++) {
		for (size_t mask = 0; mask < sizeof(masks); mask++) {
			char *data = malloc(sample->size);
			int err;

			memcpy(data, sample->data, sample->size);
			data[at] ^= (char)masks[mask];
			err = replay_bytes(data, sample->size, &got, &result);
			free(data);
			if (err == 0) {
				assert_true(result.truncated);
			} else {
				assert_true(err == -EBADMSG || err == -EPROTONOSUPPORT);
				assert_non_null(strstr(result.error, "byte "));
				assert_null(strchr(result.error, '\n'));
			}
			assert_true(got.len < sample->text.len);
			assert_memory_equal(got.data ? got.data : "", sample->text.data, got.len);
		}
	}
	lt_buf_free(&got);
}

/* Edits the payload of one event's record, seals it again and replays: what does the reader say? */
static int replay_edited(const struct lt_event *event, size_t offset, const void *bytes,
			 size_t count, int grow, struct lt_replay_result *result)
{
	uint8_t data[8192] = { 0 };
	int header = lt_codec_encode_file(data, sizeof(data));
	int size = lt_codec_encode(data + header, sizeof(data) - (size_t)header, event);

	assert_true(header > 0 && size > 0);
	memcpy(data + header + offset, bytes, count);
	lt_codec_seal(data + header, (size_t)(size + grow));
	return replay_bytes(data, (size_t)(header + size + grow), NULL, result);
}

static void test_nonsense(void **state)
{
	struct maker maker = { .random = SEED };
	const size_t payload = LT_RECORD_HEADER;
	const struct {
		uint8_t type;
		size_t offset;
		uint32_t value;
		size_t count;
		const char *why;
	} cases[] = {
		{ LT_EVENT_STACK, payload + 8, 0, 2, "no frames" },
		{ LT_EVENT_STACK, payload + 8, LT_MAX_FRAMES + 1, 2, "no frames or too many" },
		{ LT_EVENT_STACK, payload + 8, LT_MAX_FRAMES, 2, "beyond the end" },
		{ LT_EVENT_STACK, payload + 10, LT_STACK_END_COUNT, 2, "unknown end" },
		{ LT_EVENT_MODULE, payload, LT_MAX_MODULES, 4, "number is too large" },
		{ LT_EVENT_SYMBOL, payload + 8, LT_MAX_INLINE_DEPTH + 1, 4, "too many" },
		{ LT_EVENT_TARGET, payload + 28, 65535, 2, "too long" },
		{ LT_EVENT_TARGET, payload + 28, 1, 2, "does not end" },
		{ LT_EVENT_COUNTERS, payload, LT_COUNTER_COUNT + 1, 2, "more counters" },
		{ LT_EVENT_PROCESS, payload + 48, LT_RESIDENT_COUNT + 1, 2, "too many kinds" },
		{ LT_EVENT_REPORT, payload, 2, 1, "neither 0 nor 1" },
		{ LT_EVENT_END, payload, LT_END_TRUNCATED + 1, 4, "reason" },
		{ LT_EVENT_SAMPLE, 8, 999, 2, "type" },
		{ LT_EVENT_SAMPLE, 8, 0, 2, "type" },
		{ LT_EVENT_SAMPLE, 10, LT_KIND_HEAP, 1, "kind" },
		{ LT_EVENT_ACQUIRE, 10, 0, 1, "kind" },
		{ LT_EVENT_ACQUIRE, 10, 200, 1, "kind" },
		{ LT_EVENT_ACQUIRE, 11, 0x80, 1, "flags" },
		{ LT_EVENT_SAMPLE, 11, 1, 1, "flags" },
		{ LT_EVENT_CENSUS, payload, LT_LISTING_NOWHERE, 4, "no list" },
		{ LT_EVENT_CENSUS, payload, LT_LISTINGS, 4, "no list" },
		{ LT_EVENT_CENSUS, payload + 4, LT_CENSUS_ITEMS + 1, 4, "too many items" },
		{ LT_EVENT_CENSUS, payload + 4, LT_CENSUS_ITEMS, 4, "beyond the end" },
		{ LT_EVENT_CENSUS, 10, LT_KIND_FD, 1, "kind" },
		{ LT_EVENT_DESCRIBE, payload, LT_LISTING_NOWHERE, 4, "no list" },
		{ LT_EVENT_DESCRIBE, payload, LT_LISTINGS, 4, "no list" },
		{ LT_EVENT_DESCRIBE, payload + 20, 65535, 2, "too long" },
		{ LT_EVENT_DESCRIBE, payload + 20, 1, 2, "does not end" },
		{ LT_EVENT_LIMIT, payload, LT_LIMITS, 4, "limit" },
		{ LT_EVENT_MOVE, 10, LT_KIND_HEAP, 1, "moves" },
		{ LT_EVENT_MOVE, 10, 0, 1, "kind" },
		{ LT_EVENT_MOVE, 11, 1, 1, "flags" },
		{ LT_EVENT_PASSED, 10, LT_KIND_HEAP, 1, "passed" },
		{ LT_EVENT_PASSED, 11, 1, 1, "flags" },
		{ LT_EVENT_PASSED, payload + 8, 0, 8, "nothing passed" },
		{ LT_EVENT_OBSERVE, 10, LT_KIND_GOROUTINE, 1, "observed" },
		{ LT_EVENT_OBSERVE, payload + 8, 0, 8, "more was released" },
		{ LT_EVENT_OBSERVE, payload + 16, 0, 8, "more was released" },
		{ LT_EVENT_RUNTIME, payload, 65535, 2, "too long" },
		{ LT_EVENT_RUNTIME, payload + 11, LT_RUNTIME_HEAPS, 4, "heap" },
		{ LT_EVENT_RUNTIME, payload + 15, 2, 4, "neither 0 nor 1" },
		{ LT_EVENT_RUNTIME, 10, LT_KIND_GO_HEAP, 1, "kind" },
	};
	struct lt_replay_result result;
	char place[64];

	snprintf(place, sizeof(place), "byte %d", lt_codec_encode_file((uint8_t[4096]){ 0 }, 4096));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lt_event event = make_event(&maker, cases[i].type, 3);
		uint64_t value = cases[i].value;

		if (event.type == LT_EVENT_RUNTIME)
			event.runtime.version = "go1.22.1";
		if (event.type == LT_EVENT_TARGET)
			event.target.comm = "comm";
		if (event.type == LT_EVENT_DESCRIBE)
			event.describe.type = "type";
		assert_int_equal(
			replay_edited(&event, cases[i].offset, &value, cases[i].count, 0, &result),
			-EBADMSG);
		assert_non_null(strstr(result.error, cases[i].why));
		assert_non_null(strstr(result.error, place));
		assert_int_equal(result.events, 0);
	}
	for (size_t i = 0; i < ALL_TYPES; i++) { /* longer and shorter than its type */
		struct lt_event event = make_event(&maker, all_types[i], 3);

		assert_int_equal(replay_edited(&event, 0, "", 0, 1, &result), -EBADMSG);
		if (event.type != LT_EVENT_SAMPLE)
			assert_int_equal(replay_edited(&event, 0, "", 0, -1, &result), -EBADMSG);
	}
}

/* Two descriptors in a list of [4, 9]: what is not in order, not in it, or not of it. */
static void test_listed_nonsense(void **state)
{
	const struct lt_listed items[] = { { 4, 77, LT_KIND_FD }, { 9, 0, LT_KIND_SOCKET } };
	const struct lt_event event = { .type = LT_EVENT_CENSUS,
					.census = { LT_LISTING_DESCRIPTORS, 2, 1, 4, 9, items } };
	const size_t low = LT_RECORD_HEADER + 16, high = low + 8, first = high + 8;
	const struct {
		size_t offset;
		uint64_t value;
		size_t count;
		const char *why; /* NULL: good */
	} cases[] = {
		{ low, 4, 8, NULL },
		{ low, 0, 8, NULL },
		{ low, 5, 8, "order" },
		{ low, 10, 8, "before it starts" },
		{ high, UINT64_MAX, 8, NULL },
		{ high, 8, 8, "order" },
		{ first, 8, 8, NULL },
		{ first, 9, 8, "order" },
		{ first, 10, 8, "order" },
		{ first, UINT64_MAX, 8, "order" },
		{ first + 16, LT_KIND_SOCKET, 1, NULL },
		{ first + 16, LT_KIND_THREAD, 1, "another list" },
		{ first + 16, LT_KIND_HEAP, 1, "another list" },
		{ first + 16, LT_KIND_NONE, 1, "kind" },
		{ first + 16, 200, 1, "kind" },
		{ first + 17, 4, 8, "order" },
		{ first + 17, 0, 8, "order" },
		{ LT_RECORD_HEADER, LT_LISTING_THREADS, 4, "another list" },
	};
	struct lt_replay_result result;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(replay_edited(&event, cases[i].offset, &cases[i].value,
					       cases[i].count, 0, &result),
				 cases[i].why ? -EBADMSG : 0);
		assert_int_equal(result.events, !cases[i].why);
		assert_non_null(strstr(result.error, cases[i].why ? cases[i].why : ""));
	}
}

/* Lists and limits that only a newer leaktrace knows are passed over in its files. */
static void test_newer_lists(void **state)
{
	const struct lt_listed item = { 4, 77, LT_KIND_FD };
	const struct lt_event events[] = {
		{ .type = LT_EVENT_CENSUS,
		  .census = { LT_LISTING_DESCRIPTORS, 1, 1, 0, 9, &item } },
		{ .type = LT_EVENT_DESCRIBE,
		  .describe = { LT_LISTING_DESCRIPTORS, 4, 0, "t", "n", "l", "s" } },
		{ .type = LT_EVENT_LIMIT, .limit = { LT_LIMIT_DESCRIPTORS, 5, 6 } },
		{ .type = LT_EVENT_RUNTIME, .runtime = { .version = "" } },
	};
	struct lt_replay_result result;
	uint8_t data[8192] = { 0 };

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		int header = lt_codec_encode_file(data, sizeof(data));
		int size = lt_codec_encode(data + header, sizeof(data) - (size_t)header,
					   &events[i]);

		assert_true(size > 0);
		data[10]++;
		lt_codec_seal_file(data, (size_t)header);
		assert_int_equal(replay_bytes(data, (size_t)(header + size), NULL, &result), 0);
		assert_int_equal(result.events, 1);
		/* Of a runtime, behind its name. */
		data[header + LT_RECORD_HEADER +
		     (events[i].type == LT_EVENT_RUNTIME ? sizeof(uint16_t) + 1 : 0)] = 9;
		lt_codec_seal(data + header, (size_t)size);
		assert_int_equal(replay_bytes(data, (size_t)(header + size), NULL, &result), 0);
		assert_int_equal(result.events, 0);
		assert_int_equal(result.unknown_records, 1);
	}
}

static void test_module_and_build_id(void **state)
{
	struct lt_event event = { .type = LT_EVENT_MODULE,
				  .module = { 0, 0x1000, 0x2000, 0, "/x", NULL, 0 } };
	struct lt_replay_result result;
	uint64_t end = 0x1000;
	uint32_t len = LT_MAX_BUILD_ID + 1;

	assert_int_equal(replay_edited(&event, LT_RECORD_HEADER + 12, &end, 8, 0, &result),
			 -EBADMSG);
	assert_non_null(strstr(result.error, "ends before it starts"));
	assert_int_equal(
		replay_edited(&event, LT_RECORD_HEADER + 28 + 2 + 2 + 1, &len, 4, 64, &result),
		-EBADMSG);
	assert_non_null(strstr(result.error, "build-id"));
	assert_int_equal(replay_edited(&event, 0, "", 0, 0, &result), 0);
}

static void test_huge_length(void **state)
{
	const struct sample *sample = *state;
	uint8_t data[4096];
	int header = lt_codec_encode_file(data, sizeof(data));
	struct lt_replay_result result;

	memset(data + header, 0xff, LT_RECORD_HEADER);
	assert_int_equal(replay_bytes(data, (size_t)header + LT_RECORD_HEADER, NULL, &result),
			 -EBADMSG);
	assert_non_null(strstr(result.error, "length"));
	memcpy(data, sample->data, 24);
	memset(data + 12, 0xff, 4);
	assert_int_equal(replay_bytes(data, 24, NULL, &result), -EBADMSG);
}

static void test_not_a_recording(void **state)
{
	static const char *const others[] = { "\x7f"
					      "ELF and so on, and on, and on, and on",
					      "x", "LTREX",
					      "LTREC\n\x1a\x01, and something behind it all" };
	struct lt_replay_result result;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(replay_bytes(others[i], strlen(others[i]), NULL, &result),
				 -EBADMSG);
		assert_non_null(strstr(result.error, "not a recording"));
	}
}

static void test_versions(void **state)
{
	const struct sample *sample = *state;
	struct maker maker = { .random = SEED };
	struct lt_event event = make_event(&maker, LT_EVENT_END, 3);
	uint8_t data[8192];
	struct lt_replay_result result;
	struct lt_buf got = { 0 };
	int header, size;

	memcpy(data, sample->data, sample->size);
	data[8]++;
	assert_int_equal(replay_bytes(data, sample->size, NULL, &result), -EPROTONOSUPPORT);
	assert_non_null(strstr(result.error, "format"));

	/* A newer minor: longer payloads, new types and new flags are passed over. */
	header = lt_codec_encode_file(data, sizeof(data));
	data[10]++;
	lt_codec_seal_file(data, (size_t)header);
	size = header;
	for (int i = 0; i < 2; i++) {
		int record = lt_codec_encode(data + size, sizeof(data) - (size_t)size, &event);

		memset(data + size + record, 0x77, 5);
		data[size + 11] = 0x40;  /* flags */
		data[size + 8 + i] += i; /* type of the second */
		lt_codec_seal(data + size, (size_t)record + 5);
		size += record + 5;
	}
	assert_int_equal(replay_bytes(data, (size_t)size, &got, &result), 0);
	assert_int_equal(result.events, 1);
	assert_int_equal(result.unknown_records, 1);
	describe(&got, &event);
	assert_memory_equal(got.data, got.data + got.len / 2, got.len / 2);
	lt_buf_free(&got);
}

/* What minor version 1 appended is not in files of version 0: unknown, which is 0. */
static void test_older_minor(void **state)
{
	const struct lt_event_process process = { .rss_bytes = 4096,
						  .collector_rss_bytes = 7,
						  .swap_bytes = 3,
						  .resident_count = 2,
						  .resident = { 11, 22 } };
	struct lt_event events[] = {
		{ .type = LT_EVENT_TARGET,
		  .target = { .comm = "a", .exe = "b", .allocator = "c", .pid = 5, .shares = 6 } },
		{ .type = LT_EVENT_PROCESS, .process = process },
	};
	static const size_t appended[] = { 12, 8 + 2 + 2 * 8 };
	struct lt_replay_result result;
	struct lt_buf got = { 0 }, expected = { 0 };
	uint8_t data[8192];
	int size = lt_codec_encode_file(data, sizeof(data));

	data[10] = 0;
	lt_codec_seal_file(data, (size_t)size);
	for (size_t i = 0; i < 2; i++) {
		int record = lt_codec_encode(data + size, sizeof(data) - (size_t)size, &events[i]);

		assert_true(record > 0);
		record -= (int)appended[i];
		lt_codec_seal(data + size, (size_t)record);
		size += record;
	}
	events[0].target.pid = events[0].target.shares = 0;
	events[1].process.swap_bytes = events[1].process.resident_count = 0;
	memset(events[1].process.resident, 0, sizeof(events[1].process.resident));
	for (size_t i = 0; i < 2; i++)
		describe(&expected, &events[i]);
	assert_int_equal(replay_bytes(data, (size_t)size, &got, &result), 0);
	assert_string_equal(got.data, expected.data);
	lt_buf_free(&got);
	lt_buf_free(&expected);
}

/* A newer leaktrace may tell more kinds of resident memory apart. */
static void test_newer_resident(void **state)
{
	struct lt_event event = { .type = LT_EVENT_PROCESS,
				  .process = { .resident_count = LT_RESIDENT_COUNT } };
	struct lt_replay_result result;
	struct lt_buf got = { 0 }, expected = { 0 };
	uint8_t data[8192] = { 0 };
	int header = lt_codec_encode_file(data, sizeof(data)), record;

	event.process.resident[LT_RESIDENT_COUNT - 1] = 77;
	record = lt_codec_encode(data + header, sizeof(data) - (size_t)header, &event);
	assert_true(record > 0);
	data[header + LT_RECORD_HEADER + 48] += 2;
	lt_codec_seal(data + header, (size_t)record + 16);
	assert_int_equal(replay_bytes(data, (size_t)(header + record) + 16, &got, &result),
			 -EBADMSG);
	data[10]++;
	lt_codec_seal_file(data, (size_t)header);
	assert_int_equal(replay_bytes(data, (size_t)(header + record) + 16, &got, &result), 0);
	describe(&expected, &event);
	assert_string_equal(got.data, expected.data);
	lt_buf_free(&got);
	lt_buf_free(&expected);
}

static void put_name(struct lt_buf *out, const char *name)
{
	lt_buf_append(out, (uint8_t[]){ (uint8_t)strlen(name), 0 }, 2);
	lt_buf_append(out, name, strlen(name) + 1);
}

static int counters_sink(void *context, const struct lt_event *event)
{
	uint64_t *values = context;

	assert_int_equal(event->type, LT_EVENT_COUNTERS);
	assert_int_equal(event->counters.count, LT_COUNTER_COUNT);
	memcpy(values, event->counters.values, sizeof(*values) * LT_COUNTER_COUNT);
	return 0;
}

/* A file of another build: its own kinds, and its own counters in its own order. */
static void test_foreign_names(void **state)
{
	struct lt_event counters = { .type = LT_EVENT_COUNTERS,
				     .counters = { (uint64_t[]){ 11, 22, 33 }, 3 } };
	struct lt_event acquire = { .type = LT_EVENT_ACQUIRE, .kind = LT_KIND_HEAP };
	uint64_t values[LT_COUNTER_COUNT];
	struct lt_replay_result result;
	struct lt_buf file = { 0 };
	uint8_t record[256];
	FILE *stream;
	int size;

	assert_true(lt_codec_encode_file(record, sizeof(record)) < 0); /* too small is an error */
	lt_buf_append(&file, "LTREC\n\x1a\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
		      LT_RECORD_FILE_HEADER);
	lt_buf_append(&file, "\2\0\x63", 3);
	put_name(&file, "flux");
	put_name(&file, "gauss");
	lt_buf_append(&file, "\x07", 1);
	put_name(&file, "heap");
	put_name(&file, "bytes");
	lt_buf_append(&file, "\3\0", 2);
	put_name(&file, "bad_event");
	put_name(&file, "gone_since");
	put_name(&file, "release_ring_full");
	lt_codec_seal_file((uint8_t *)file.data, file.len);

	size = lt_codec_encode(record, sizeof(record), &counters);
	assert_true(size > 0);
	lt_buf_append(&file, record, (size_t)size);
	stream = fmemopen(file.data, file.len, "r");
	assert_int_equal(lt_replay_file(stream, counters_sink, values, &result), 0);
	fclose(stream);
	assert_int_equal(result.events, 1);
	for (int i = 0; i < LT_COUNTER_COUNT; i++)
		assert_int_equal(values[i], i == LT_COUNTER_BAD_EVENT           ? 11
					    : i == LT_COUNTER_RELEASE_RING_FULL ? 33
										: 0);

	for (int i = 0; i < 2; i++) { /* heap is 7 there, and 0x63 is a kind unknown here */
		size = lt_codec_encode(record, sizeof(record), &acquire);
		record[10] = i ? 0x63 : 0x07;
		lt_codec_seal(record, (size_t)size);
		lt_buf_append(&file, record, (size_t)size);
	}
	struct lt_buf got = { 0 };

	assert_int_equal(replay_bytes(file.data, file.len, &got, &result), 0);
	assert_int_equal(result.events, 2);
	assert_int_equal(result.unknown_records, 1);
	assert_non_null(strstr(got.data, "\n1 1 0 0 0 0 0 0\n"));
	lt_buf_free(&got);
	lt_buf_free(&file);
}

/* Kinds of what is listed go by the names of the file, too; what is of unknown ones is left out. */
static void test_foreign_listed(void **state)
{
	const struct lt_listed items[] = { { 4, 77, LT_KIND_FD },
					   { 5, 78, LT_KIND_FD },
					   { 6, 79, LT_KIND_SOCKET } };
	const struct lt_listed kept[] = { { 4, 77, LT_KIND_SOCKET }, { 6, 79, LT_KIND_FD } };
	struct lt_event event = { .type = LT_EVENT_CENSUS,
				  .census = { LT_LISTING_DESCRIPTORS, 3, 1, 0, 9, items } };
	const int first_kind = LT_RECORD_HEADER + 32 + 16;
	struct lt_buf file = { 0 }, got = { 0 }, expected = { 0 };
	struct lt_replay_result result;
	uint8_t record[256];
	int size = lt_codec_encode(record, sizeof(record), &event);

	lt_buf_append(&file, "LTREC\n\x1a\0\1\0\2\0\0\0\0\0\0\0\0\0\0\0\0", LT_RECORD_FILE_HEADER);
	lt_buf_append(&file, "\3\0\x63", 3);
	put_name(&file, "flux");
	put_name(&file, "");
	lt_buf_append(&file, "\3", 1);
	put_name(&file, "fd");
	put_name(&file, "");
	lt_buf_append(&file, "\4", 1);
	put_name(&file, "socket");
	put_name(&file, "");
	lt_buf_append(&file, "\0\0", 2);
	lt_codec_seal_file((uint8_t *)file.data, file.len);
	assert_true(size > 0);
	record[first_kind + 17] = 0x63;
	lt_codec_seal(record, (size_t)size);
	lt_buf_append(&file, record, (size_t)size);
	assert_int_equal(replay_bytes(file.data, file.len, &got, &result), 0);
	assert_int_equal(result.events, 1);
	event.census.items = kept;
	event.census.count = 2;
	describe(&expected, &event);
	assert_string_equal(got.data, expected.data);
	lt_buf_free(&file);
	lt_buf_free(&got);
	lt_buf_free(&expected);
}

static int stopping_sink(void *context, const struct lt_event *event)
{
	int *left = context;

	return --*left ? 0 : -ECANCELED;
}

static void test_sink_stops(void **state)
{
	const struct sample *sample = *state;
	FILE *file = fmemopen(sample->data, sample->size, "r");
	struct lt_replay_result result;
	int left = 4;

	assert_int_equal(lt_replay_file(file, stopping_sink, &left, &result), -ECANCELED);
	assert_int_equal(result.events, 4);
	fclose(file);
}

static void test_recorder_refuses(void **state)
{
	uint64_t words[LT_MAX_FRAMES + 1] = { 0 };
	const struct lt_event bad[] = {
		{ .type = 0 },
		{ .type = 99 },
		{ .type = LT_EVENT_ACQUIRE },
		{ .type = LT_EVENT_ACQUIRE, .kind = 200 },
		{ .type = LT_EVENT_ACQUIRE, .kind = LT_KIND_HEAP, .flags = 0x80 },
		{ .type = LT_EVENT_ACQUIRE, .kind = LT_KIND_MMAP, .flags = LT_WIRE_F_PROTECT },
		{ .type = LT_EVENT_RELEASE, .kind = LT_KIND_MMAP, .flags = LT_WIRE_F_PROTECT },
		{ .type = LT_EVENT_SAMPLE, .kind = LT_KIND_HEAP },
		{ .type = LT_EVENT_STACK, .kind = LT_KIND_HEAP, .stack = { 1, words, 0, 0 } },
		{ .type = LT_EVENT_STACK,
		  .kind = LT_KIND_HEAP,
		  .stack = { 1, words, LT_MAX_FRAMES + 1, 0 } },
		{ .type = LT_EVENT_MODULE, .module = { 0, 2, 2, 0, "", NULL, 0 } },
		{ .type = LT_EVENT_COUNTERS, .counters = { words, LT_COUNTER_COUNT + 65536 } },
		{ .type = LT_EVENT_CENSUS, .census = { LT_LISTING_NOWHERE, 0, 0, 0, 0, NULL } },
		{ .type = LT_EVENT_CENSUS, .census = { LT_LISTINGS, 0, 0, 0, 0, NULL } },
		{ .type = LT_EVENT_CENSUS, .census = { LT_LISTING_THREADS, 0, 0, 1, 0, NULL } },
		{ .type = LT_EVENT_CENSUS,
		  .census = { LT_LISTING_THREADS, 1, 0, 0, 1, &(struct lt_listed){ 1, 0, 0 } } },
		{ .type = LT_EVENT_CENSUS, /* an id above the largest */
		  .census = { LT_LISTING_THREADS, 2, 0, UINT64_MAX, UINT64_MAX,
			      (struct lt_listed[]){ { UINT64_MAX, 0, LT_KIND_THREAD },
						    { 0, 0, LT_KIND_THREAD } } } },
		{ .type = LT_EVENT_LIMIT, .limit = { LT_LIMITS, 1, 1 } },
		{ .type = LT_EVENT_MOVE, .kind = LT_KIND_GO_HEAP },
		{ .type = LT_EVENT_MOVE },
		{ .type = LT_EVENT_PASSED, .kind = LT_KIND_GO_HEAP, .passed = { 1, 1 } },
		{ .type = LT_EVENT_PASSED, .kind = LT_KIND_GOROUTINE, .passed = { 1, 0 } },
		{ .type = LT_EVENT_OBSERVE, .kind = LT_KIND_FD },
		{ .type = LT_EVENT_OBSERVE,
		  .kind = LT_KIND_GO_HEAP,
		  .observe = { 1, 4, 4, 5, 4, 0 } },
		{ .type = LT_EVENT_OBSERVE,
		  .kind = LT_KIND_GO_HEAP,
		  .observe = { 1, 4, 4, 4, 5, 0 } },
		{ .type = LT_EVENT_RUNTIME,
		  .runtime = { .version = "", .heap = LT_RUNTIME_HEAPS } },
		{ .type = LT_EVENT_RUNTIME, .runtime = { .version = "", .probes = 2 } },
		{ .type = LT_EVENT_ACQUIRE, .kind = LT_KIND_FD, .flags = LT_WIRE_F_RANGE },
		{ .type = LT_EVENT_RELEASE,
		  .kind = LT_KIND_SOCKET,
		  .flags = LT_WIRE_F_RANGE,
		  .release = { 3, 4, 0 } },
		{ .type = LT_EVENT_RESTORE,
		  .kind = LT_KIND_FD,
		  .flags = LT_WIRE_F_RANGE,
		  .release = { 3, 4, 0 } },
	};
	const struct lt_event good = { .type = LT_EVENT_END };
	struct lt_replay_result result;
	struct lt_recorder *recorder;
	size_t size;
	char *data;

	assert_int_equal(lt_recorder_open(&recorder, open_memstream(&data, &size)), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(lt_recorder_write(recorder, &bad[i]), -EINVAL);
	assert_int_equal(lt_recorder_write(recorder, &good), 0);
	assert_int_equal(lt_recorder_close(recorder), 0);
	assert_int_equal(replay_bytes(data, size, NULL, &result), 0);
	assert_int_equal(result.events, 1);
	free(data);
}

static void test_disk_full(void **state)
{
	struct lt_recorder *recorder = NULL;
	FILE *file = fopen("/dev/full", "w");

	assert_non_null(file);
	assert_int_equal(lt_recorder_open(&recorder, file), -ENOSPC);
	assert_null(recorder);
	fclose(file);
	assert_int_equal(lt_recorder_close(NULL), 0);
}

/* Full after the start: the error comes at the write that met it, and stays. */
static void test_disk_full_later(void **state)
{
	const struct lt_event event = { .type = LT_EVENT_SAMPLE };
	struct lt_recorder *recorder;
	char room[4096];
	int err = 0, writes = 0;

	assert_int_equal(lt_recorder_open(&recorder, fmemopen(room, sizeof(room), "w")), 0);
	while (!err && writes++ < 100000)
		err = lt_recorder_write(recorder, &event);
	assert_true(err < 0);
	assert_int_equal(lt_recorder_write(recorder, &event), err);
	assert_int_equal(lt_recorder_flush(recorder), err);
	assert_int_equal(lt_recorder_close(recorder), err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_largest),
		cmocka_unit_test(test_every_prefix),   cmocka_unit_test(test_every_byte_corrupt),
		cmocka_unit_test(test_nonsense),       cmocka_unit_test(test_module_and_build_id),
		cmocka_unit_test(test_huge_length),    cmocka_unit_test(test_not_a_recording),
		cmocka_unit_test(test_versions),       cmocka_unit_test(test_older_minor),
		cmocka_unit_test(test_newer_resident), cmocka_unit_test(test_foreign_names),
		cmocka_unit_test(test_sink_stops),     cmocka_unit_test(test_recorder_refuses),
		cmocka_unit_test(test_disk_full),      cmocka_unit_test(test_disk_full_later),
		cmocka_unit_test(test_largest_census), cmocka_unit_test(test_listed_nonsense),
		cmocka_unit_test(test_newer_lists),    cmocka_unit_test(test_foreign_listed),
	};

	return cmocka_run_group_tests(tests, make_sample, free_sample);
}
