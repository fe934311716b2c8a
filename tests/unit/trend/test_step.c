// SPDX-License-Identifier: GPL-2.0-or-later
/* Series with known causes.  Random ones have fixed seeds. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "trend/step.h"

#define POINTS      LT_HISTORY_POINTS
#define SAME        0.9  /* where findings begin (report/findings.c) ... */
#define SAME_AT_ALL 0.95 /* ... without a common caller */

static uint64_t seed;

static double uniform(void)
{
	seed += 0x9e3779b97f4a7c15; /* splitmix64 */
	return (double)(lt_mix64(seed) >> 11) / (double)(UINT64_C(1) << 53);
}

static uint64_t poisson(double mean)
{
	double limit = exp(-mean), product = uniform();
	uint64_t count = 0;

	while (product > limit) {
		product *= uniform();
		count++;
	}
	return count;
}

/* Of what came in each second. */
static struct lt_history *history_of(const uint64_t *increases, uint32_t count)
{
	struct lt_history *history;
	struct lt_sample sample = { 0 };

	assert_int_equal(lt_history_new(&history), 0);
	for (uint32_t i = 0; i < count; i++) {
		sample.live_size += increases[i];
		assert_int_equal(lt_history_sample(history, i + 1, &sample), 0);
	}
	return history;
}

static struct lt_step compare_counts(const uint64_t *a, uint32_t count_a, const uint64_t *b,
				     uint32_t count_b, unsigned int level)
{
	struct lt_history *first = history_of(a, count_a), *second = history_of(b, count_b);
	struct lt_step step = lt_step_compare(first, second, level);
	struct lt_step other = lt_step_compare(second, first, level);

	assert_true(fabs(step.correlation - other.correlation) < 1e-9 ||
		    (isnan(step.correlation) && isnan(other.correlation)));
	assert_int_equal(step.of_increases, other.of_increases);
	lt_history_free(first);
	lt_history_free(second);
	return step;
}

static struct lt_step compare(const uint64_t *a, const uint64_t *b)
{
	return compare_counts(a, POINTS, b, POINTS, 0);
}

static void the_same_events(void **state)
{
	static const double means[] = { 0.2, 1, 5, 50 };
	uint64_t count[POINTS], bytes[POINTS], late[POINTS];
	unsigned int of_increases = 0, runs = 0;

	for (size_t m = 0; m < sizeof(means) / sizeof(means[0]); m++)
		for (seed = 1; seed < 1 + (UINT64_C(100) << 32); seed += UINT64_C(1) << 32) {
			struct lt_step step;

			for (int i = 0; i < POINTS; i++) {
				count[i] = poisson(means[m]);
				bytes[i] = count[i] * 4096;
			}
			step = compare(count, bytes);
			assert_true(step.correlation > 0.999 || !step.of_increases);
			assert_true(step.correlation > SAME);
			of_increases += step.of_increases;
			runs++;
			/* The other resource of the same event comes after the sample in 1 of 50. */
			for (int i = 0; i < POINTS; i++)
				late[i] = count[i];
			for (int i = 0; i + 1 < POINTS; i++)
				if (late[i] && uniform() < 0.02) {
					late[i]--;
					late[i + 1]++;
				}
			if (means[m] >= 1)
				assert_true(compare(count, late).correlation > SAME);
		}
	assert_true(of_increases > runs * 0.95);
}

/* The same rate, at different times: 2000 pairs of each. */
static void independent_events(void **state)
{
	static const double means[] = { 0.2, 0.5, 1, 5, 50 };
	double greatest = -1;

	for (size_t m = 0; m < sizeof(means) / sizeof(means[0]); m++) {
		seed = m << 40;
		for (int run = 0; run < 2000; run++) {
			uint64_t a[POINTS], b[POINTS];
			struct lt_step step;

			for (int i = 0; i < POINTS; i++) {
				a[i] = poisson(means[m]);
				b[i] = poisson(means[m]);
			}
			step = compare(a, b);
			if (isnan(step.correlation) || !step.of_increases)
				continue;
			if (step.correlation > greatest)
				greatest = step.correlation;
		}
	}
	print_message("greatest correlation of independent events: %.2f\n", greatest);
	assert_true(greatest < 0.5);
}

/* Independent arrivals are taken for two even ones in a few of 10,000. */
static void independent_events_are_seldom_even(void **state)
{
	unsigned int even = 0;

	seed = 7;
	for (int run = 0; run < 2000; run++) {
		uint64_t a[POINTS], b[POINTS];

		for (int i = 0; i < POINTS; i++) {
			a[i] = poisson(3);
			b[i] = poisson(3);
		}
		even += !compare(a, b).of_increases;
	}
	assert_true(even <= 4);
}

/* Timers that have nothing to do with each other: only a common caller makes them one. */
static void even_series(void **state)
{
	enum { SERIES = 7 };
	uint64_t series[SERIES][POINTS];

	for (uint64_t i = 0; i < POINTS; i++) {
		series[0][i] = 3;
		series[1][i] = 4096;
		series[2][i] = i % 2;
		series[3][i] = i % 3 == 0;
		series[4][i] = (i + 1) * 5 / 2 - i * 5 / 2; /* 2, 3, 2, 3 */
		series[5][i] = 1000 + (lt_mix64(i) & 15);
		series[6][i] = 4 - (i == 11) + (i == 12); /* a timer that was late once */
	}
	for (int i = 0; i < SERIES; i++)
		for (int j = 0; j < SERIES; j++) {
			struct lt_step step = compare(series[i], series[j]);

			assert_false(step.of_increases);
			assert_true(step.correlation > 0.99);
		}
}

/* A few points are too few to tell that they are even. */
static void short_series(void **state)
{
	static const uint64_t increases[] = { 0, 2, 0, 5, 1, 3, 0, 4, 2 };
	struct lt_step step = compare_counts(increases, 9, increases, 9, 0);

	assert_true(step.of_increases);
	assert_true(step.correlation > 0.999);
}

static void even_beside_random(void **state)
{
	uint64_t even[POINTS], random[POINTS];
	struct lt_step step;

	seed = 3;
	for (int i = 0; i < POINTS; i++) {
		even[i] = 3;
		random[i] = poisson(3);
	}
	step = compare(even, random);
	assert_true(step.of_increases);
	assert_true(step.correlation == 0);
}

static void one_does_not_rise(void **state)
{
	uint64_t rising[POINTS], flat[POINTS] = { 0 }, once[POINTS] = { 7 };

	for (int i = 0; i < POINTS; i++)
		rising[i] = 1 + (uint64_t)i % 3;
	assert_true(isnan(compare(rising, flat).correlation));
	assert_true(isnan(compare(flat, flat).correlation));
	assert_true(isnan(compare(rising, once).correlation)); /* before the first point */
	once[0] = 0;
	once[20] = 7;
	assert_true(compare(rising, once).correlation < 0.5);
}

/* The size of a series without events is not asked for. */
static void an_empty_history(void **state)
{
	struct lt_history *empty;
	uint64_t rising[POINTS];
	struct lt_history *history;

	for (int i = 0; i < POINTS; i++)
		rising[i] = 1;
	history = history_of(rising, POINTS);
	assert_int_equal(lt_history_new(&empty), 0);
	assert_true(isnan(lt_step_compare(history, empty, 0).correlation));
	assert_true(isnan(lt_step_compare(history, history, LT_HISTORY_LEVELS).correlation));
	lt_history_free(empty);
	lt_history_free(history);
}

/* Of three bursts that come together, one may be left out; a single one says nothing. */
static void bursts(void **state)
{
	static const int at[] = { 5, 9, 22, 31, 40 };
	uint64_t sockets[POINTS], threads[POINTS];

	for (int count = 1; count <= 5; count++) {
		struct lt_step step;

		for (int i = 0; i < POINTS; i++)
			sockets[i] = threads[i] = 0;
		for (int i = 0; i < count; i++) {
			sockets[at[i]] = 100 + 10 * (uint64_t)i;
			threads[at[i]] = 50 + 5 * (uint64_t)i;
		}
		step = compare(sockets, threads);
		assert_true(step.of_increases);
		if (count <= 2)
			assert_true(step.correlation == 0);
		else
			assert_true(step.correlation > SAME_AT_ALL);
	}
	/* Bursts of the same size at other times. */
	for (int i = 0; i < POINTS; i++)
		threads[i] = sockets[(i + 3) % POINTS];
	assert_true(compare(sockets, threads).correlation < 0.5);
}

/* Independent events, and once or twice something happened to both. */
static void shared_outliers(void **state)
{
	for (seed = 1; seed < 1 + (UINT64_C(100) << 32); seed += UINT64_C(1) << 32) {
		uint64_t a[POINTS], b[POINTS];
		struct lt_step step;

		for (int i = 0; i < POINTS; i++) {
			a[i] = poisson(3);
			b[i] = poisson(3);
		}
		a[11] += 1000;
		b[11] += 500;
		step = compare(a, b);
		assert_true(step.of_increases && step.correlation < 0.5);
		a[30] += 300;
		b[30] += 200;
		step = compare(a, b);
		assert_true(step.of_increases && step.correlation < 0.5);
	}
}

/* At level 1, and with one history older than the other: ends meet. */
static void levels_and_lengths(void **state)
{
	enum { LONG = 400, SHORT = 100 };
	uint64_t old[LONG], young[LONG];
	struct lt_step step;

	seed = 5;
	for (int i = 0; i < LONG; i++)
		old[i] = poisson(1);
	for (int i = 0; i < LONG; i++)
		young[i] = old[i];
	step = compare_counts(old, LONG, young, LONG, 1);
	assert_true(step.of_increases && step.correlation > 0.999);
	for (int i = 0; i < SHORT; i++)
		young[i] = old[LONG - SHORT + i];
	step = compare_counts(old, LONG, young, SHORT, 1);
	assert_true(step.of_increases && step.correlation > 0.999);
	assert_true(isnan(compare_counts(old, LONG, young, 31, 1).correlation)); /* 7 points */
	assert_false(isnan(compare_counts(old, LONG, young, 32, 1).correlation));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_events),
		cmocka_unit_test(independent_events),
		cmocka_unit_test(independent_events_are_seldom_even),
		cmocka_unit_test(even_series),
		cmocka_unit_test(short_series),
		cmocka_unit_test(even_beside_random),
		cmocka_unit_test(one_does_not_rise),
		cmocka_unit_test(an_empty_history),
		cmocka_unit_test(bursts),
		cmocka_unit_test(shared_outliers),
		cmocka_unit_test(levels_and_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
