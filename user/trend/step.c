// SPDX-License-Identifier: GPL-2.0-or-later
#include "trend/step.h"

#include <math.h>
#include <string.h>

#define POINTS_MIN 8
/*
 * What happens once to everyone (a reload, a burst of load) is no common cause: the correlation is
 * the least of that of all points and those without the one, and the two, that add most to it.
 */
#define OUTLIERS 2
/*
 * A series rises evenly if what comes in 4 points varies by hardly more than what comes in one, as
 * with a timer: of independent arrivals it would vary 4 times as much.  With 11 such blocks (all
 * points of a history) those are taken for even in 2 % of cases (chi-squared, 10 degrees of
 * freedom).
 */
#define BLOCK_POINTS    4
#define BLOCKS_MIN      6
#define EVEN_DISPERSION 0.3
#define EVEN_VARIATION  0.02 /* or it varies by so little of its mean that this may be anything */

#define INCREASES_MAX (LT_HISTORY_POINTS - 1)

struct series {
	double sizes[LT_HISTORY_POINTS], increases[INCREASES_MAX];
};

struct moments {
	double mean_x, mean_y, xx, yy, xy; /* sums of products of deviations */
};

static struct moments moments_of(const double *x, const double *y, size_t count)
{
	struct moments m = { 0 };

	for (size_t i = 0; i < count; i++) {
		m.mean_x += x[i];
		m.mean_y += y[i];
	}
	m.mean_x /= (double)count; /* at the end: exact where all are equal */
	m.mean_y /= (double)count;
	for (size_t i = 0; i < count; i++) {
		m.xx += (x[i] - m.mean_x) * (x[i] - m.mean_x);
		m.yy += (y[i] - m.mean_y) * (y[i] - m.mean_y);
		m.xy += (x[i] - m.mean_x) * (y[i] - m.mean_y);
	}
	return m;
}

/* What does not vary tells nothing of the other. */
static double correlation(const struct moments *m)
{
	return m->xx > 0 && m->yy > 0 ? m->xy / sqrt(m->xx * m->yy) : 0;
}

static double robust_correlation(const struct series *a, const struct series *b, size_t count)
{
	double x[INCREASES_MAX], y[INCREASES_MAX], least;
	struct moments m = moments_of(a->increases, b->increases, count);

	memcpy(x, a->increases, sizeof(x));
	memcpy(y, b->increases, sizeof(y));
	least = correlation(&m);
	for (int outlier = 0; outlier < OUTLIERS; outlier++) {
		size_t most = 0;

		for (size_t i = 1; i < count; i++)
			if ((x[i] - m.mean_x) * (y[i] - m.mean_y) >
			    (x[most] - m.mean_x) * (y[most] - m.mean_y))
				most = i;
		count--;
		x[most] = x[count];
		y[most] = y[count];
		m = moments_of(x, y, count);
		least = fmin(least, correlation(&m));
	}
	return least;
}

/* But for the points that a single delay touches, it is always the same. */
static bool is_constant(const double *increases, size_t count)
{
	double rest[INCREASES_MAX];
	struct moments m = moments_of(increases, increases, count);

	memcpy(rest, increases, count * sizeof(*rest));
	for (int outlier = 0; outlier < OUTLIERS; outlier++) {
		size_t most = 0;

		for (size_t i = 1; i < count; i++)
			if (fabs(rest[i] - m.mean_x) > fabs(rest[most] - m.mean_x))
				most = i;
		rest[most] = rest[--count];
		m = moments_of(rest, rest, count);
	}
	return m.mean_x > 0 && sqrt(m.xx / (double)count) <= EVEN_VARIATION * m.mean_x;
}

static bool is_even(const double *increases, size_t count)
{
	double sums[INCREASES_MAX / BLOCK_POINTS] = { 0 };
	size_t blocks = count / BLOCK_POINTS;
	struct moments each = moments_of(increases, increases, count), blocked;
	double variance = each.xx / (double)count;

	if (is_constant(increases, count))
		return true;
	if (blocks < BLOCKS_MIN)
		return false;
	for (size_t i = 0; i < blocks * BLOCK_POINTS; i++)
		sums[i / BLOCK_POINTS] += increases[i];
	blocked = moments_of(sums, sums, blocks);
	return blocked.xx / (double)blocks <= EVEN_DISPERSION * BLOCK_POINTS * variance;
}

/* False if they do not rise. */
static bool load(const struct lt_point *points, size_t count, struct series *series)
{
	for (size_t i = 0; i < count; i++)
		series->sizes[i] = (double)points[i].live_size_min;
	for (size_t i = 0; i + 1 < count; i++)
		series->increases[i] = series->sizes[i + 1] - series->sizes[i];
	return series->sizes[count - 1] > series->sizes[0];
}

struct lt_step lt_step_compare(const struct lt_history *a, const struct lt_history *b,
			       unsigned int level)
{
	struct lt_point points_a[LT_HISTORY_POINTS], points_b[LT_HISTORY_POINTS];
	size_t count_a = lt_history_points(a, level, points_a);
	size_t count_b = lt_history_points(b, level, points_b);
	size_t count = count_a < count_b ? count_a : count_b;
	struct lt_step step = { .correlation = NAN };
	struct series of_a = { 0 }, of_b = { 0 };
	struct moments m;

	if (count < POINTS_MIN || !load(points_a + count_a - count, count, &of_a) ||
	    !load(points_b + count_b - count, count, &of_b))
		return step;
	step.of_increases = !is_even(of_a.increases, count - 1) ||
			    !is_even(of_b.increases, count - 1);
	if (step.of_increases) {
		step.correlation = robust_correlation(&of_a, &of_b, count - 1);
	} else {
		m = moments_of(of_a.sizes, of_b.sizes, count);
		step.correlation = correlation(&m);
	}
	return step;
}
