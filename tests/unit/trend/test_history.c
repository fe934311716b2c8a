/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Histories against a plain array of every second. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "trend/history.h"

static struct lt_sample make(uint64_t value)
{
	struct lt_sample sample = { .live_size = lt_mix64(value) % 1000,
				    .acquired_count = value,
				    .released_count = value / 3 };

	for (unsigned int level = 0; level < LT_HISTORY_LEVELS; level++) {
		sample.alive_above[level] = value * 10 + level;
		sample.released_above[level] = value * 100 + level;
	}
	return sample;
}

static void check(const struct lt_history *history, const struct lt_sample *seconds, uint32_t now_s)
{
	struct lt_point points[LT_HISTORY_POINTS];

	for (unsigned int level = 0; level < LT_HISTORY_LEVELS; level++) {
		uint32_t span = UINT32_C(1) << (2 * level), complete = now_s / span;
		uint32_t count = complete < LT_HISTORY_POINTS ? complete : LT_HISTORY_POINTS;

		assert_int_equal(lt_history_points(history, level, points), count);
		for (uint32_t i = 0; i < count; i++) {
			uint32_t end_s = (complete - count + i + 1) * span;
			uint64_t lowest = UINT64_MAX;

			for (uint32_t s = end_s - span + 1; s <= end_s; s++)
				if (seconds[s].live_size < lowest)
					lowest = seconds[s].live_size;
			assert_int_equal(points[i].live_size_min, lowest);
			assert_int_equal(points[i].alive_above, seconds[end_s].alive_above[level]);
			assert_int_equal(points[i].released_above,
					 seconds[end_s].released_above[level]);
			assert_int_equal(points[i].acquired_count, seconds[end_s].acquired_count);
			assert_int_equal(points[i].released_count, seconds[end_s].released_count);
		}
	}
	assert_int_equal(lt_history_points(history, LT_HISTORY_LEVELS, points), 0);
}

static void run(uint32_t first_s, uint32_t gap_max_s, uint32_t end_s)
{
	struct lt_sample *seconds = calloc((size_t)end_s + 1, sizeof(*seconds));
	struct lt_history *history;
	uint32_t now_s = first_s, before_s;

	assert_non_null(seconds);
	assert_int_equal(lt_history_new(&history), 0);
	for (size_t n = 0;; n++) {
		struct lt_sample sample = make(now_s + 1);

		assert_int_equal(lt_history_sample(history, now_s, &sample), 0);
		seconds[now_s] = sample;
		if (n % 16 == 0 || gap_max_s > 100)
			check(history, seconds, now_s);
		before_s = now_s;
		now_s += 1 + (uint32_t)(lt_mix64(n) % gap_max_s);
		if (now_s > end_s)
			break;
		for (uint32_t s = before_s + 1; s < now_s; s++)
			seconds[s] = sample;
	}
	assert_true(lt_history_memory(history) <=
		    1024 + LT_HISTORY_LEVELS * LT_HISTORY_POINTS * sizeof(struct lt_point));
	lt_history_free(history);
	free(seconds);
}

static void test_every_second(void **state)
{
	run(0, 1, 5000);
	run(1, 1, 5000);
}

static void test_late_and_gaps(void **state)
{
	run(700, 1, 1500);
	run(3, 7, 8000);
	run(1000, 2000, 100000);
}

static void test_empty(void **state)
{
	struct lt_point points[LT_HISTORY_POINTS];
	struct lt_history *history;

	assert_int_equal(lt_history_new(&history), 0);
	assert_int_equal(lt_history_points(history, 0, points), 0);
	struct lt_sample sample = make(1);

	/* A hostile jump in time costs no more than any other. */
	assert_int_equal(lt_history_sample(history, UINT32_MAX, &sample), 0);
	assert_int_equal(lt_history_points(history, 0, points), LT_HISTORY_POINTS);
	assert_int_equal(points[0].live_size_min, 0);
	assert_int_equal(points[LT_HISTORY_POINTS - 1].live_size_min, sample.live_size);
	lt_history_free(history);
}

/* What holds nothing costs nothing; what then holds something has the past it had. */
static void test_nothing_held(void **state)
{
	static struct lt_sample seconds[1501];
	struct lt_point points[LT_HISTORY_POINTS];
	struct lt_sample sample = { 0 };
	struct lt_history *history;
	size_t memory;

	assert_int_equal(lt_history_new(&history), 0);
	memory = lt_history_memory(history);
	for (uint32_t s = 1; s <= 1500; s++) {
		if (s > 700)
			sample = seconds[s] = make(s / 3);
		assert_int_equal(lt_history_sample(history, s, &sample), 0);
		if (s <= 700)
			assert_int_equal(lt_history_memory(history), memory);
		if (s == 1 || s % 30 == 0 || s > 690)
			check(history, seconds, s);
		assert_memory_equal(lt_history_last(history), &sample, sizeof(sample));
		if (s <= 700)
			assert_int_equal(lt_history_still_since(history), 0);
		else if (s >= 705 && seconds[s].live_size != seconds[s - 1].live_size)
			assert_int_equal(lt_history_still_since(history), s);
	}
	assert_true(lt_history_memory(history) > memory);
	lt_history_free(history);

	/* Acquired and gone again between samples. */
	assert_int_equal(lt_history_new(&history), 0);
	sample = (struct lt_sample){ .acquired_count = 7 };
	assert_int_equal(lt_history_sample(history, 100, &sample), 0);
	assert_int_equal(lt_history_points(history, 1, points), 25);
	assert_int_equal(points[24].acquired_count, 7);
	assert_int_equal(points[24].live_size_min, 0);
	sample.alive_above[0] = 1; /* of size 0 */
	assert_int_equal(lt_history_sample(history, 101, &sample), 0);
	assert_true(lt_history_memory(history) > memory);
	lt_history_free(history);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_second),
		cmocka_unit_test(test_late_and_gaps),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_nothing_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
