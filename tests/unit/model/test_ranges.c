/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "leaktrace/limits.h"
#include "model/ranges.h"

#define BYTES 4096 /* addresses that the random test uses */

static char owners[8];

static int setup(void **state)
{
	return lt_ranges_new((struct lt_ranges **)state);
}

static int teardown(void **state)
{
	lt_ranges_free(*state);
	return 0;
}

static int insert(struct lt_ranges *ranges, uint64_t start, uint64_t end, int owner)
{
	return lt_ranges_insert(ranges, &(struct lt_range){ start, end, &owners[owner] });
}

struct removed {
	uint64_t bytes, last;
	size_t pieces;
};

static void note(void *context, const struct lt_range *piece)
{
	struct removed *removed = context;

	assert_true(piece->start < piece->end);
	assert_true(piece->start >= removed->last);
	removed->last = piece->end;
	removed->bytes += piece->end - piece->start;
	removed->pieces++;
}

static struct removed take(struct lt_ranges *ranges, uint64_t start, uint64_t end)
{
	struct removed removed = { 0 };

	assert_int_equal(lt_ranges_remove(ranges, start, end, note, &removed), 0);
	return removed;
}

static void expect(const struct lt_ranges *ranges, uint64_t address, uint64_t start, uint64_t end,
		   int owner)
{
	struct lt_range range;

	assert_true(lt_ranges_next(ranges, address, &range));
	assert_int_equal(range.start, start);
	assert_int_equal(range.end, end);
	assert_ptr_equal(range.owner, &owners[owner]);
}

static void test_parts(void **state)
{
	struct lt_ranges *ranges = *state;
	struct lt_range range;

	assert_false(lt_ranges_next(ranges, 0, &range));
	assert_int_equal(take(ranges, 0, UINT64_MAX).pieces, 0);
	assert_int_equal(insert(ranges, 100, 200, 0), 0);
	assert_int_equal(insert(ranges, 150, 160, 0), -EEXIST);
	assert_int_equal(insert(ranges, 50, 101, 1), -EEXIST);
	assert_int_equal(insert(ranges, 199, 300, 1), -EEXIST);
	assert_int_equal(insert(ranges, 200, 300, 1), 0);
	assert_int_equal(insert(ranges, 50, 100, 1), 0);
	expect(ranges, 99, 50, 100, 1);
	expect(ranges, 100, 100, 200, 0);
	assert_int_equal(take(ranges, 120, 130).bytes, 10); /* middle */
	assert_int_equal(lt_ranges_count(ranges), 4);
	assert_int_equal(take(ranges, 100, 105).bytes, 5); /* head */
	assert_int_equal(take(ranges, 195, 200).bytes, 5); /* tail */
	expect(ranges, 100, 105, 120, 0);
	expect(ranges, 120, 130, 195, 0);
	assert_int_equal(take(ranges, 60, 250).pieces, 4); /* several, with holes */
	assert_int_equal(lt_ranges_count(ranges), 2);
	expect(ranges, 0, 50, 60, 1);
	expect(ranges, 60, 250, 300, 1);
	assert_false(lt_ranges_next(ranges, 300, &range));
}

static void test_neighbours_of_one_owner_are_one(void **state)
{
	struct lt_ranges *ranges = *state;

	assert_int_equal(insert(ranges, 10, 20, 0), 0);
	assert_int_equal(insert(ranges, 20, 30, 0), 0);
	assert_int_equal(insert(ranges, 40, 50, 0), 0);
	assert_int_equal(lt_ranges_count(ranges), 2);
	assert_int_equal(insert(ranges, 30, 40, 0), 0);
	assert_int_equal(lt_ranges_count(ranges), 1);
	expect(ranges, 0, 10, 50, 0);
	assert_int_equal(insert(ranges, 5, 10, 0), 0);
	assert_int_equal(insert(ranges, 50, 60, 1), 0);
	expect(ranges, 0, 5, 50, 0);
	assert_int_equal(lt_ranges_count(ranges), 2);
}

static void test_bound(void **state)
{
	struct lt_ranges *ranges = *state;
	struct removed removed = { 0 };

	/* Downwards, as the kernel hands out addresses. */
	for (uint64_t i = LT_MAX_RANGES; i; i--)
		assert_int_equal(insert(ranges, 100 * i, 100 * i + 50, 0), 0);
	assert_int_equal(lt_ranges_count(ranges), LT_MAX_RANGES);
	assert_int_equal(insert(ranges, 10, 20, 0), -ENOSPC);
	assert_int_equal(insert(ranges, 150, 160, 0), 0); /* needs no room */
	/* No room for the end of what is cut in two: it is handed out, too. */
	assert_int_equal(lt_ranges_remove(ranges, 110, 120, note, &removed), -ENOSPC);
	assert_int_equal(removed.bytes, 50);
	expect(ranges, 0, 100, 110, 0);
	/* All but every 200th, then the rest: sparse chunks become few. */
	for (uint64_t i = 1; i <= LT_MAX_RANGES; i++)
		if (i % 200)
			take(ranges, 100 * i, 100 * i + 100);
	assert_int_equal(lt_ranges_count(ranges), LT_MAX_RANGES / 200);
	assert_true(lt_ranges_memory(ranges) < 2 << 20);
	take(ranges, 0, UINT64_MAX);
	assert_int_equal(lt_ranges_count(ranges), 0);
}

/* What a map of single addresses says. */
static void compare(const struct lt_ranges *ranges, const char *plain)
{
	struct lt_range range = { 0 };
	uint64_t at = 0;

	while (lt_ranges_next(ranges, range.end, &range)) {
		for (; at < range.start; at++)
			assert_int_equal(plain[at], 0);
		for (; at < range.end; at++)
			assert_int_equal(plain[at], 1 + ((char *)range.owner - owners));
	}
	for (; at < BYTES; at++)
		assert_int_equal(plain[at], 0);
}

static void test_random(void **state)
{
	struct lt_ranges *ranges = *state;
	uint64_t random = 88172645463325252ULL;
	char plain[BYTES] = { 0 };

	for (int round = 0; round < 200000; round++) {
		uint64_t start, end, bytes = 0;
		int owner;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		start = random % BYTES;
		/* Many small ones fill chunks; a few large ones empty them. */
		end = start + 1 + (random >> 20) % (round % 1000 ? 4 : BYTES);
		if (end > BYTES)
			end = BYTES;
		owner = (int)(random >> 40) % 8;
		for (uint64_t i = start; i < end; i++)
			bytes += plain[i] != 0;
		assert_int_equal(take(ranges, start, end).bytes, bytes);
		memset(plain + start, 0, end - start);
		if (random >> 60 && round % 1000) {
			assert_int_equal(insert(ranges, start, end, owner), 0);
			memset(plain + start, 1 + owner, end - start);
		}
		if (round % 500 == 0)
			compare(ranges, plain);
	}
	compare(ranges, plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_neighbours_of_one_owner_are_one, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
