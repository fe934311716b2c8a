// SPDX-License-Identifier: GPL-2.0-or-later
#include "trend/observed.h"

#include <math.h>

#define DEVIATIONS   4.0 /* releases must differ by so many from what lives would tell */
#define NORMAL_95    1.65
#define NORMAL_99    2.33
#define EVEN_MIN     0.5    /* of the part kept in the later half, the earlier half's at least */
#define ENDS         8      /* points at the start, the middle and the end of a window */
#define FADE_MAX     0.2054 /* tanh(20 / 96): the pace fades by a factor e in a window */
#define LOOKS_MIN    10
#define MIDDLE_START ((LT_HISTORY_POINTS - ENDS) / 2)

static double alive(const struct lt_point *point)
{
	return point->acquired_count > point->released_count
		       ? (double)(point->acquired_count - point->released_count)
		       : 0;
}

uint64_t lt_observed_looks(const struct lt_point points[LT_HISTORY_POINTS])
{
	uint64_t looks = 0;

	for (size_t i = 1; i < LT_HISTORY_POINTS; i++)
		if (points[i].acquired_count != points[i - 1].acquired_count ||
		    points[i].released_count != points[i - 1].released_count)
			looks |= UINT64_C(1) << i;
	return looks;
}

unsigned int lt_observed_idle(const struct lt_point points[LT_HISTORY_POINTS], uint64_t looks,
			      size_t from)
{
	unsigned int idle = 0;

	for (size_t i = from ? from : 1; i < LT_HISTORY_POINTS; i++)
		idle += looks >> i & 1 && points[i].live_size_min == points[i - 1].live_size_min;
	return idle;
}

/* Half of the time between the first look of a window and the last one. */
struct half {
	double lived; /* how many, times how long */
	double came, released;
};

static void divide(const struct lt_point points[LT_HISTORY_POINTS], uint64_t looks, double unit,
		   struct half halves[2])
{
	size_t first = LT_HISTORY_POINTS, last = 0, before;

	for (size_t i = LT_HISTORY_POINTS; i-- > 0;)
		if (looks >> i & 1) {
			first = i;
			last = last ? last : i;
		}
	before = first;
	for (size_t i = first + 1; i <= last; i++) {
		const struct lt_point *now = &points[i], *then = &points[before];
		struct half *half = &halves[2 * i > first + last];

		if (!(looks >> i & 1))
			continue;
		half->lived += (alive(then) + alive(now)) / 2 * (double)(i - before) / unit;
		half->came += (double)(now->acquired_count - then->acquired_count) / unit;
		half->released += (double)(now->released_count - then->released_count) / unit;
		before = i;
	}
}

/*
 * If anyone who lives may be released, as from a cache that fills, or sessions under more and more
 * load, the later half, in which more live, has more of the releases.
 */
static bool follows_alive(const struct half halves[2], double dispersion)
{
	double released = halves[0].released + halves[1].released;
	double share = halves[1].lived / (halves[0].lived + halves[1].lived);
	double lack = released * share - halves[1].released;
	double deviation = sqrt(dispersion * released * share * (1 - share));

	return !(lack > DEVIATIONS * deviation); /* also if nothing lived */
}

/* Something was kept in both halves: the load did not just rise, with the releases yet to come. */
static bool is_even(const struct half halves[2])
{
	double early = halves[0].came - halves[0].released;
	double late = halves[1].came - halves[1].released;

	return early * halves[1].came >= EVEN_MIN * late * halves[0].came;
}

static double mean_alive(const struct lt_point *points, double unit)
{
	double sum = 0;

	for (size_t i = 0; i < ENDS; i++)
		sum += alive(&points[i]);
	return sum / ENDS / unit;
}

/* May the pace fade, as of a cache of which most has no other life than garbage? */
static bool may_fade(const struct lt_point points[LT_HISTORY_POINTS], double unit,
		     double dispersion)
{
	double middle = mean_alive(&points[MIDDLE_START], unit);
	double early = middle - mean_alive(points, unit);
	double late = mean_alive(&points[LT_HISTORY_POINTS - ENDS], unit) - middle;
	double rise = early + late, fade = early - late;
	double deviation = sqrt(dispersion * fmax(rise, 0));

	return !(rise > 0 && fade <= NORMAL_99 * deviation &&
		 fade + NORMAL_95 * deviation <= FADE_MAX * rise);
}

bool lt_observed_accrues(const struct lt_point points[LT_HISTORY_POINTS], uint64_t looks,
			 double unit, double dispersion)
{
	struct half halves[2] = { 0 };

	if (__builtin_popcountll(looks) < LOOKS_MIN)
		return false;
	divide(points, looks, unit, halves);
	return is_even(halves) && !follows_alive(halves, dispersion) &&
	       !may_fade(points, unit, dispersion);
}
