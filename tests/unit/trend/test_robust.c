/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "trend/robust.h"

/* Of all orders of count values, the share that rises at least as steadily: by enumeration. */
static void permute(double *values, size_t fixed, size_t count, int score, size_t *hits,
		    size_t *all)
{
	if (fixed == count) {
		int own = 0;

		for (size_t i = 0; i < count; i++)
			for (size_t j = i + 1; j < count; j++)
				own += values[j] > values[i] ? 1 : -1;
		*hits += own >= score;
		++*all;
		return;
	}
	for (size_t i = fixed; i < count; i++) {
		double swapped = values[i];

		values[i] = values[fixed];
		values[fixed] = swapped;
		permute(values, fixed + 1, count, score, hits, all);
		values[fixed] = values[i];
		values[i] = swapped;
	}
}

static void test_rising_enumerated(void **state)
{
	const double series[][7] = {
		{ 1, 2, 3, 4, 5, 6, 7 }, { 7, 6, 5, 4, 3, 2, 1 }, { 1, 3, 2, 4, 5, 7, 6 },
		{ 4, 1, 7, 2, 6, 3, 5 }, { 2, 1, 3, 4, 6, 5, 7 },
	};

	for (size_t s = 0; s < sizeof(series) / sizeof(series[0]); s++) {
		for (size_t count = 2; count <= 7; count++) {
			double values[7];
			size_t hits = 0, all = 0;
			int score = 0;

			for (size_t i = 0; i < count; i++) {
				values[i] = series[s][i];
				for (size_t j = 0; j < i; j++)
					score += series[s][i] > series[s][j] ? 1 : -1;
			}
			permute(values, 0, count, score, &hits, &all);
			assert_true(fabs(lt_robust_rising_p(series[s], count) -
					 (double)hits / (double)all) < 1e-12);
		}
	}
}

static void test_rising_known(void **state)
{
	double values[LT_ROBUST_EXACT_MAX], flat[LT_ROBUST_EXACT_MAX] = { 0 };

	for (int i = 0; i < LT_ROBUST_EXACT_MAX; i++)
		values[i] = i;
	assert_true(fabs(lt_robust_rising_p(values, 12) * 479001600 - 1) < 1e-6); /* 1 / 12! */
	assert_true(lt_robust_rising_p(flat, 12) > 0.5); /* ties: never significant */
	values[3] = values[4];                           /* a tie is weaker evidence than a rise */
	assert_true(lt_robust_rising_p(values, 12) * 479001600 > 0.999);
}

static void test_slope(void **state)
{
	double values[12];
	struct lt_slope slope;

	for (int i = 0; i < 12; i++)
		values[i] = 5 + 3 * i;
	slope = lt_robust_slope(values, 12);
	assert_true(slope.median == 3 && slope.low == 3 && slope.high == 3);
	values[11] = 1e9; /* outliers do not move it far */
	values[0] = -1e9;
	slope = lt_robust_slope(values, 12);
	assert_true(slope.median == 3 && slope.low == 3);
	values[0] = 5;
	values[4] += 1;
	values[7] -= 2;
	slope = lt_robust_slope(values, 12);
	assert_true(slope.low <= slope.median && slope.median <= slope.high);
	assert_true(slope.low < slope.high);
	slope = lt_robust_slope(values, 4);
	assert_true(slope.median == 3 && isnan(slope.low) && isnan(slope.high));
}

static void test_adjust(void **state)
{
	/* Worked by hand: p·n/rank, made monotone from the largest down. */
	const double p_values[] = { 0.04, 0.01, 0.03, 0.005, 0.9 };
	const double expected[] = { 0.05, 0.025, 0.05, 0.025, 0.9 };
	double adjusted[5];

	assert_int_equal(lt_robust_adjust(p_values, 5, adjusted), 0);
	for (int i = 0; i < 5; i++)
		assert_true(fabs(adjusted[i] - expected[i]) < 1e-12);
	assert_int_equal(lt_robust_adjust(p_values, 0, adjusted), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rising_enumerated),
		cmocka_unit_test(test_rising_known),
		cmocka_unit_test(test_slope),
		cmocka_unit_test(test_adjust),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
