/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "trend/robust.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define MAX_PAIRS    (LT_ROBUST_MAX * (LT_ROBUST_MAX - 1) / 2)
#define EXACT_PAIRS  (LT_ROBUST_EXACT_MAX * (LT_ROBUST_EXACT_MAX - 1) / 2)
#define INTERVAL_MIN 8 /* with fewer values, the interval's normal approximation is poor */
#define NORMAL_95    1.959964

/* Kendall's S: rising pairs less falling pairs. */
static int kendall(const double *values, size_t count)
{
	int score = 0;

	for (size_t i = 0; i < count; i++)
		for (size_t j = i + 1; j < count; j++)
			score += (values[j] > values[i]) - (values[j] < values[i]);
	return score;
}

struct lt_rising lt_robust_rising(size_t count)
{
	/*
	 * orders[k]: how many orders of the values so far have k falling pairs (Mahonian numbers).
	 * A further value falls below 0..n of its n predecessors; so each sum over n + 1 neighbours
	 * follows from the one before.  12! fits easily.
	 */
	uint64_t orders[EXACT_PAIRS + 1] = { 1 }, all = 1, sum = 0;
	struct lt_rising rising = { .count = count };
	int pairs = (int)(count * (count - 1) / 2);

	for (int n = 1; n < (int)count; n++) {
		uint64_t next[EXACT_PAIRS + 1];

		sum = 0;
		for (int k = 0; k <= pairs; k++) {
			sum += orders[k] - (k > n ? orders[k - n - 1] : 0);
			next[k] = sum;
		}
		memcpy(orders, next, ((size_t)pairs + 1) * sizeof(orders[0]));
		all *= (uint64_t)n + 1;
	}
	sum = 0;
	for (int k = 0; k <= pairs; k++) {
		sum += orders[k];
		rising.at_most[k] = (double)sum / (double)all;
	}
	return rising;
}

double lt_robust_rising_in(const struct lt_rising *rising, const double *values)
{
	int pairs = (int)(rising->count * (rising->count - 1) / 2);

	return rising->at_most[(pairs - kendall(values, rising->count)) / 2];
}

double lt_robust_rising_p(const double *values, size_t count)
{
	struct lt_rising rising = lt_robust_rising(count);

	return lt_robust_rising_in(&rising, values);
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct lt_slope lt_robust_slope(const double *values, size_t count)
{
	double slopes[MAX_PAIRS];
	struct lt_slope slope = { .low = NAN, .high = NAN };
	size_t pairs = 0;

	for (size_t i = 0; i < count; i++)
		for (size_t j = i + 1; j < count; j++)
			slopes[pairs++] = (values[j] - values[i]) / (double)(j - i);
	qsort(slopes, pairs, sizeof(slopes[0]), compare_doubles);
	slope.median = (slopes[(pairs - 1) / 2] + slopes[pairs / 2]) / 2;
	if (count >= INTERVAL_MIN) {
		/* Sen 1968: ranks (N -/+ C)/2 with C from the variance of S; rounded outwards. */
		double n = (double)count, variance = n * (n - 1) * (2 * n + 5) / 18;
		double reach = NORMAL_95 * sqrt(variance);
		double low = floor(((double)pairs - reach) / 2) - 1;
		double high = ceil(((double)pairs + reach) / 2);

		slope.low = slopes[low > 0 ? (size_t)low : 0];
		slope.high = slopes[high < (double)pairs ? (size_t)high : pairs - 1];
	}
	return slope;
}

struct ranked {
	double p;
	size_t index;
};

static int compare_ranked(const void *a, const void *b)
{
	return compare_doubles(&((const struct ranked *)a)->p, &((const struct ranked *)b)->p);
}

int lt_robust_adjust(const double *p_values, size_t count, double *adjusted)
{
	_lt_free_ struct ranked *ranked = calloc(count ? count : 1, sizeof(*ranked));
	double lowest = 1;

	if (!ranked)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		ranked[i] = (struct ranked){ .p = p_values[i], .index = i };
	qsort(ranked, count, sizeof(*ranked), compare_ranked);
	for (size_t rank = count; rank > 0; rank--) {
		double value = ranked[rank - 1].p * (double)count / (double)rank;

		lowest = value < lowest ? value : lowest;
		adjusted[ranked[rank - 1].index] = lowest;
	}
	return 0;
}
