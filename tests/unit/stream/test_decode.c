/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "stream/decode.h"

#define HEADER(wire_type, wire_kind)                                                               \
	{                                                                                          \
		.version = LT_WIRE_VERSION, .type = (wire_type), .kind = (wire_kind),              \
		.process = 4711, .time_ns = 123456789                                              \
	}

union wire {
	struct lt_wire_header header;
	struct lt_wire_acquire acquire;
	struct lt_wire_release release;
	struct lt_wire_range range;
	struct lt_wire_stack stack;
	uint64_t words[sizeof(struct lt_wire_stack) / 8 + LT_MAX_FRAMES + 2];
};

/* Decodes from memory of exactly this size, so that the sanitizer sees a read beyond it. */
static int decode(const void *wire, size_t size, struct lt_event *event)
{
	void *exact = malloc(size ? size : 1);
	int err;

	memcpy(exact, wire, size);
	err = lt_decode_wire(exact, size, event);
	free(exact);
	return err;
}

static void refused(const void *wire, size_t size)
{
	struct lt_event event, before;

	memset(&event, 0x5a, sizeof(event));
	memcpy(&before, &event, sizeof(event));
	assert_int_equal(decode(wire, size, &event), -EBADMSG);
	assert_memory_equal(&event, &before, sizeof(event));
}

static void test_acquire(void **state)
{
	union wire wire = { .acquire = { HEADER(LT_WIRE_ACQUIRE, LT_KIND_HEAP), 0x1000, 77, 99 } };
	struct lt_event event = { 0 };

	wire.header.flags = LT_WIRE_F_REALLOC;
	assert_int_equal(decode(&wire, sizeof(wire.acquire), &event), 0);
	assert_int_equal(event.type, LT_EVENT_ACQUIRE);
	assert_int_equal(event.kind, LT_KIND_HEAP);
	assert_int_equal(event.flags, LT_WIRE_F_REALLOC);
	assert_int_equal(event.tgid, 4711);
	assert_int_equal(event.time_ns, 123456789);
	assert_int_equal(event.acquire.id, 0x1000);
	assert_int_equal(event.acquire.size, 77);
	assert_int_equal(event.acquire.stack_id, 99);
}

static void test_release_and_restore(void **state)
{
	static const uint8_t types[][2] = { { LT_WIRE_RELEASE, LT_EVENT_RELEASE },
					    { LT_WIRE_RESTORE, LT_EVENT_RESTORE } };

	for (size_t i = 0; i < 2; i++) {
		union wire wire = { .release = { HEADER(types[i][0], LT_KIND_HEAP), 0x2000 } };
		struct lt_event event = { 0 };

		assert_int_equal(decode(&wire, sizeof(wire.release), &event), 0);
		assert_int_equal(event.type, types[i][1]);
		assert_int_equal(event.release.id, 0x2000);
	}
}

static void test_ranges(void **state)
{
	static const uint8_t types[][2] = { { LT_WIRE_RANGE_RELEASE, LT_EVENT_RELEASE },
					    { LT_WIRE_RANGE_RESTORE, LT_EVENT_RESTORE } };
	union wire wire = { .acquire = { HEADER(LT_WIRE_ACQUIRE, LT_KIND_MMAP), 0x1000, 77, 99 } };
	struct lt_event event = { 0 };

	wire.header.flags = LT_WIRE_F_RANGE | LT_WIRE_CLASS_FLAG(LT_RANGE_RESERVED);
	assert_int_equal(decode(&wire, sizeof(wire.acquire), &event), 0);
	assert_int_equal(LT_WIRE_CLASS(event.flags), LT_RANGE_RESERVED);
	for (size_t i = 0; i < 2; i++) {
		wire = (union wire){ .range = { HEADER(types[i][0], LT_KIND_MMAP), 0x2000, 0x3000,
						i * 0x4000 } };
		refused(&wire, sizeof(wire.range)); /* without its flag */
		wire.header.flags = LT_WIRE_F_RANGE;
		refused(&wire, sizeof(wire.release));
		assert_int_equal(decode(&wire, sizeof(wire.range), &event), 0);
		assert_int_equal(event.type, types[i][1]);
		assert_int_equal(event.flags, LT_WIRE_F_RANGE);
		assert_int_equal(event.release.id, 0x2000);
		assert_int_equal(event.release.size, 0x3000);
		assert_int_equal(event.release.target, i * 0x4000);
		wire.header.flags = LT_WIRE_F_RANGE | LT_WIRE_F_REALLOC;
		assert_int_equal(decode(&wire, sizeof(wire.range), &event), 0);
		wire.header.flags |= LT_WIRE_F_PROTECT;
		refused(&wire, sizeof(wire.range));
		wire.header.flags = LT_WIRE_F_RANGE;
	}
	wire.header.type = LT_WIRE_RANGE_RELEASE;
	refused(&wire, sizeof(wire.range)); /* goes nowhere, but has a target */
	wire.header.type = LT_WIRE_RELEASE;
	refused(&wire, sizeof(wire.release)); /* a range, but how long? */
}

/* Kinds that the kernel lists by number: dup2 and close_range have flags of their own. */
static void test_listed_kinds(void **state)
{
	static const uint8_t kinds[] = { LT_KIND_SOCKET, LT_KIND_FD, LT_KIND_THREAD,
					 LT_KIND_GOROUTINE };
	const uint8_t restore[] = { LT_WIRE_RELEASE, LT_WIRE_RESTORE };
	struct lt_event event = { 0 };

	for (size_t i = 0; i < sizeof(kinds); i++) {
		union wire wire = { .acquire = { HEADER(LT_WIRE_ACQUIRE, kinds[i]), 7, 1, 99 } };

		for (unsigned int flags = 0; flags < 256; flags++) {
			wire.header.flags = (uint8_t)flags;
			if (flags & ~(unsigned int)LT_WIRE_F_REALLOC) {
				refused(&wire, sizeof(wire.acquire));
				continue;
			}
			assert_int_equal(decode(&wire, sizeof(wire.acquire), &event), 0);
			assert_int_equal(event.kind, kinds[i]);
			assert_int_equal(event.flags, flags);
			assert_int_equal(event.acquire.id, 7);
		}
		for (size_t k = 0; k < 2; k++) {
			wire = (union wire){ .release = { HEADER(restore[k], kinds[i]), 8 } };
			wire.header.flags = LT_WIRE_F_REALLOC;
			assert_int_equal(decode(&wire, sizeof(wire.release), &event), 0);
			assert_int_equal(event.flags, LT_WIRE_F_REALLOC);
			assert_int_equal(event.release.id, 8);
		}
	}
}

static void test_descriptor_ranges(void **state)
{
	const uint64_t numbers = UINT64_C(1) << 32;
	const struct {
		uint8_t type, kind, flags;
		uint64_t id, size, target;
		bool good;
	} cases[] = {
		{ LT_WIRE_RANGE_RELEASE, LT_KIND_FD, LT_WIRE_F_RANGE, 3, numbers - 3, 0, true },
		{ LT_WIRE_RANGE_RELEASE, LT_KIND_FD, LT_WIRE_F_RANGE, 0, numbers, 0, true },
		{ LT_WIRE_RANGE_RELEASE, LT_KIND_FD, LT_WIRE_F_RANGE, numbers - 1, 1, 0, true },
		{ LT_WIRE_RANGE_RELEASE, LT_KIND_FD, LT_WIRE_F_RANGE, 3, 0, 0, false },
		{ LT_WIRE_RANGE_RELEASE, LT_KIND_FD, LT_WIRE_F_RANGE, 3, numbers - 2, 0, false },
		{ LT_WIRE_RANGE_RELEASE, LT_KIND_FD, LT_WIRE_F_RANGE, 0, numbers + 1, 0, false },
		{ LT_WIRE_RANGE_RELEASE, LT_KIND_FD, LT_WIRE_F_RANGE, 0, UINT64_MAX, 0, false },
		{ LT_WIRE_RANGE_RELEASE, LT_KIND_FD, LT_WIRE_F_RANGE, UINT64_MAX, 1, 0, false },
		{ LT_WIRE_RANGE_RELEASE, LT_KIND_FD, LT_WIRE_F_RANGE, 3, 4, 5, false },
		{ LT_WIRE_RANGE_RELEASE, LT_KIND_FD, LT_WIRE_F_RANGE | LT_WIRE_F_REALLOC, 3, 4, 0,
		  false },
		{ LT_WIRE_RANGE_RELEASE, LT_KIND_SOCKET, LT_WIRE_F_RANGE, 3, 4, 0, false },
		{ LT_WIRE_RANGE_RELEASE, LT_KIND_THREAD, LT_WIRE_F_RANGE, 3, 4, 0, false },
		{ LT_WIRE_RANGE_RELEASE, LT_KIND_GOROUTINE, LT_WIRE_F_RANGE, 3, 4, 0, false },
		{ LT_WIRE_RANGE_RESTORE, LT_KIND_FD, LT_WIRE_F_RANGE, 3, 4, 0, false },
		{ LT_WIRE_RANGE_RESTORE, LT_KIND_FD, LT_WIRE_F_RANGE, 3, 4, 5, false },
		{ LT_WIRE_RANGE_RESTORE, LT_KIND_SOCKET, LT_WIRE_F_RANGE, 3, 4, 0, false },
		{ LT_WIRE_RANGE_RESTORE, LT_KIND_THREAD, LT_WIRE_F_RANGE, 3, 4, 0, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		union wire wire = { .range = { HEADER(cases[i].type, cases[i].kind), cases[i].id,
					       cases[i].size, cases[i].target } };
		struct lt_event event = { 0 };

		wire.header.flags = cases[i].flags;
		if (!cases[i].good) {
			refused(&wire, sizeof(wire.range));
			continue;
		}
		assert_int_equal(decode(&wire, sizeof(wire.range), &event), 0);
		assert_int_equal(event.type, LT_EVENT_RELEASE);
		assert_int_equal(event.flags, LT_WIRE_F_RANGE);
		assert_int_equal(event.release.id, cases[i].id);
		assert_int_equal(event.release.size, cases[i].size);
	}
}

static void test_stack(void **state)
{
	union wire wire = { .stack = { HEADER(LT_WIRE_STACK, LT_KIND_HEAP), .stack_id = 5 } };
	const size_t header = sizeof(struct lt_wire_stack);
	struct lt_event event;

	for (uint16_t count = 0; count <= LT_MAX_FRAMES + 1; count++) {
		wire.stack.frame_count = count;
		wire.stack.end = count % LT_STACK_END_COUNT;
		for (size_t i = 0; i < count; i++)
			wire.stack.frames[i] = 0x400000 + i;
		if (count < 1 || count > LT_MAX_FRAMES) {
			refused(&wire, header + 8 * count);
			continue;
		}
		refused(&wire, header + 8 * count - 8);
		refused(&wire, header + 8 * count - 1);
		refused(&wire, header + 8 * count + 8);
		assert_int_equal(lt_decode_wire(&wire, header + 8 * count, &event), 0);
		assert_int_equal(event.type, LT_EVENT_STACK);
		assert_int_equal(event.stack.stack_id, 5);
		assert_int_equal(event.stack.frame_count, count);
		assert_int_equal(event.stack.end, count % LT_STACK_END_COUNT);
		assert_ptr_equal(event.stack.frames, wire.stack.frames);
	}
	wire.stack.frame_count = 1;
	wire.stack.end = LT_STACK_END_COUNT;
	refused(&wire, header + 8);
	wire.stack.end = 0;
	wire.stack.reserved = 1;
	refused(&wire, header + 8);
	wire.stack.reserved = 0;
	wire.header.flags = LT_WIRE_F_REALLOC;
	refused(&wire, header + 8);
	wire.header.flags = 0;
	assert_int_equal(decode(&wire, header + 8, &event), 0);
}

/* What probes in Go programs tell; words of their stacks may be marks. */
static void test_kinds_of_go(void **state)
{
	static const uint8_t kinds[] = { LT_KIND_GOROUTINE, LT_KIND_GO_HEAP, LT_KIND_HTTP_BODY,
					 LT_KIND_TICKER, LT_KIND_CONTEXT };
	const uint64_t words[] = { LT_MARK_STARTED, 0x401000, LT_MARK_CREATED_STACK, 77 };
	union wire wire;
	struct lt_event event = { 0 };

	for (size_t i = 0; i < sizeof(kinds); i++) {
		wire = (union wire){ .acquire = { HEADER(LT_WIRE_ACQUIRE, kinds[i]), 7, 1, 99 } };
		assert_int_equal(decode(&wire, sizeof(wire.acquire), &event), 0);
		assert_int_equal(event.type, LT_EVENT_ACQUIRE);
		assert_int_equal(event.kind, kinds[i]);
		wire = (union wire){ .release = { HEADER(LT_WIRE_RELEASE, kinds[i]), 7 } };
		assert_int_equal(decode(&wire, sizeof(wire.release), &event), 0);
		assert_int_equal(event.type, LT_EVENT_RELEASE);
		assert_int_equal(event.kind, kinds[i]);
		wire = (union wire){ .stack = { HEADER(LT_WIRE_STACK, kinds[i]), .stack_id = 5,
						.frame_count = 4 } };
		memcpy(wire.stack.frames, words, sizeof(words));
		assert_int_equal(lt_decode_wire(&wire, sizeof(wire.stack) + sizeof(words), &event),
				 0);
		assert_memory_equal(event.stack.frames, words, sizeof(words));
	}
}

static void test_header(void **state)
{
	union wire good = { .acquire = { HEADER(LT_WIRE_ACQUIRE, LT_KIND_HEAP), 1, 2, 3 } };
	union wire wire;

	for (size_t size = 0; size < 64; size++)
		if (size != sizeof(good.acquire))
			refused(&good, size);
	for (unsigned int value = 0; value < 256; value++) {
		wire = good;
		wire.header.version = (uint8_t)value;
		if (value != LT_WIRE_VERSION)
			refused(&wire, sizeof(wire.acquire));
		wire = good;
		wire.header.type = (uint8_t)value;
		if (value != LT_WIRE_ACQUIRE)
			refused(&wire, sizeof(wire.acquire));
		wire = good;
		wire.header.kind = (uint8_t)value;
		if (!lt_decode_kind_known((uint8_t)value))
			refused(&wire, sizeof(wire.acquire));
		wire = good;
		wire.header.flags = (uint8_t)value;
		if (value & LT_WIRE_F_RANGE ? value & 0xe1 : value & ~LT_WIRE_F_REALLOC)
			refused(&wire, sizeof(wire.acquire));
	}
	assert_false(lt_decode_kind_known(LT_KIND_NONE));
	assert_true(lt_decode_kind_known(LT_KIND_HEAP));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_acquire),
		cmocka_unit_test(test_release_and_restore),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_stack),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_listed_kinds),
		cmocka_unit_test(test_descriptor_ranges),
		cmocka_unit_test(test_kinds_of_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
