/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rank statistics that no outlier and no distribution can fool.  Pure functions.
 */
#ifndef LT_TREND_ROBUST_H
#define LT_TREND_ROBUST_H

#include <stddef.h>

#define LT_ROBUST_MAX       48 /* values of one series */
#define LT_ROBUST_EXACT_MAX 12

/* The permutation distribution of count values: the share of orders with at most k falling pairs.
 */
struct lt_rising {
	size_t count;
	double at_most[LT_ROBUST_EXACT_MAX * (LT_ROBUST_EXACT_MAX - 1) / 2 + 1];
};

struct lt_rising lt_robust_rising(size_t count); /* 2..LT_ROBUST_EXACT_MAX */

/*
 * Mann-Kendall, one-sided: how likely are exchangeable values, as many as the distribution is of,
 * to rise as steadily as these?  Exact; with ties, the true probability is smaller still.
 */
double lt_robust_rising_in(const struct lt_rising *rising, const double *values);
double lt_robust_rising_p(const double *values, size_t count); /* the same, for one series */

struct lt_slope {
	double median;    /* Theil-Sen: per step of the series */
	double low, high; /* 95 % interval; NaN below 8 values */
};

/* Of count (2..LT_ROBUST_MAX) equally spaced values. */
struct lt_slope lt_robust_slope(const double *values, size_t count);

/* Benjamini-Hochberg: adjusted[i] <= q selects with a false discovery rate of q.  -ENOMEM. */
int lt_robust_adjust(const double *p_values, size_t count, double *adjusted);

#endif
