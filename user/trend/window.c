// SPDX-License-Identifier: GPL-2.0-or-later
/* docs/VERDICT.md has the reasons. */
#include "trend/window.h"

#include <math.h>

#include "trend/observed.h"

#define OUTLIVED_AGES 2 /* as old as that times the oldest released: rather not released */
#define ACCRUE_LEVEL  1 /* observed: in less time, nothing is seen to fade */

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Everyone who ever became a survivor, alive or not: never decreases. */
static uint64_t matured_of(const struct lt_point *point)
{
	return point->alive_above + point->released_above;
}

bool lt_window_is_flat(const double minima[LT_BLOCKS])
{
	for (size_t i = 1; i < LT_BLOCKS; i++)
		if (minima[i] != minima[0])
			return false;
	return true;
}

void lt_window_minima(const struct lt_point *points, double minima[LT_BLOCKS])
{
	for (size_t i = 0; i < LT_HISTORY_POINTS; i++) {
		double value = (double)points[i].live_size_min;

		if (i % LT_BLOCK_POINTS == 0 || value < minima[i / LT_BLOCK_POINTS])
			minima[i / LT_BLOCK_POINTS] = value;
	}
}

/* The share of acquires that reached maturity: those of the last 32 points that could by now. */
static double survival_of(const struct lt_point *points, uint32_t complete)
{
	const struct lt_point *last = &points[LT_HISTORY_POINTS - 1];
	const struct lt_point *first = last -
				       (LT_HISTORY_POINTS - LT_MATURITY_POINTS - LT_MATURITY_GRAIN);
	size_t age = LT_MATURITY_POINTS + complete % LT_MATURITY_GRAIN;
	uint64_t acquired = less((last - age)->acquired_count, (first - age)->acquired_count);
	uint64_t survived = less(matured_of(last), matured_of(first));

	if (!acquired)
		return NAN;
	return survived < acquired ? (double)survived / (double)acquired : 1;
}

static uint64_t unknown_released(const struct lt_verdict_input *input, unsigned int level)
{
	struct lt_point points[LT_HISTORY_POINTS];

	if (!input->unknown || lt_history_points(input->unknown, level, points) < LT_HISTORY_POINTS)
		return 0;
	return less(points[LT_HISTORY_POINTS - 1].acquired_count,
		    points[LT_HISTORY_POINTS / 2 - 1].acquired_count);
}

/* Could a lost release have made a survivor of this window? */
static bool lossy(const struct lt_verdict_context *context, const struct lt_verdict_input *input,
		  unsigned int level)
{
	double reach_s = lt_window_s(level) +
			 (LT_MATURITY_POINTS + LT_MATURITY_GRAIN) * lt_window_span_s(level);

	return input->last_loss_s != UINT32_MAX &&
	       (double)input->last_loss_s + reach_s > context->now_s;
}

bool lt_window_can_mature(const struct lt_window *window, size_t block)
{
	uint32_t end = window->complete - LT_HISTORY_POINTS +
		       LT_BLOCK_POINTS * (uint32_t)(block + 1);

	return end >= LT_MATURITY_POINTS + LT_MATURITY_GRAIN;
}

/*
 * How many survivors come or go together, at least 1: the variance of their number per block over
 * its mean, from successive differences (a load that drifts is no dispersion), without the largest
 * one (nor is one step).  The first block lacks those of its first point.
 */
double lt_window_dispersion(const struct lt_window *window)
{
	double sum = 0, largest = 0, mean = 0, square;
	size_t blocks = 0;

	for (size_t i = 1; i < LT_BLOCKS; i++) {
		if (!lt_window_can_mature(window, i))
			continue;
		mean += (double)window->in[i];
		if (blocks++) {
			square = (double)window->in[i] - (double)window->in[i - 1];
			square *= square;
			sum += square;
			largest = fmax(largest, square);
		}
	}
	mean *= window->unit / (double)blocks;
	return mean > 0 ? fmax(1, (sum - largest) / (2 * ((double)blocks - 2)) / mean) : 1;
}

static double unit_of(const struct lt_verdict_input *input)
{
	return input->sampled ? fmax(1, (double)input->live_count / (double)input->sampled) : 1;
}

/* Released in four windows, or since it was first told of: what lived on then is not forgotten. */
static uint64_t died_long(const struct lt_verdict_input *input, unsigned int level)
{
	unsigned int coarser = level + 1 < LT_HISTORY_LEVELS ? level + 1 : level;
	struct lt_point points[LT_HISTORY_POINTS];
	size_t count = lt_history_points(input->history, coarser, points), first = 0;

	while (first < count && !points[first].acquired_count)
		first++;
	return first < count ? less(lt_history_last(input->history)->released_count,
				    points[first].released_count)
			     : 0;
}

/* What else is to be said of an observed site. */
static void observe(const struct lt_verdict_input *input, const struct lt_point *points,
		    uint64_t looks, struct lt_window *window)
{
	window->observed = true;
	window->unit = unit_of(input);
	window->died = less(points[LT_HISTORY_POINTS - 1].released_count, points[0].released_count);
	window->died_long = died_long(input, window->level);
	window->looks = (unsigned int)__builtin_popcountll(looks);
	window->idle_looks = lt_observed_idle(
		points, looks, LT_HISTORY_POINTS - (LT_LATEST_BLOCKS + 1) * LT_BLOCK_POINTS);
	window->accrues = window->level >= ACCRUE_LEVEL &&
			  lt_observed_accrues(points, looks, window->unit,
					      lt_window_dispersion(window));
}

struct lt_window lt_window_look(const struct lt_verdict_context *context,
				const struct lt_verdict_input *input, unsigned int level,
				uint64_t looks)
{
	struct lt_point points[LT_HISTORY_POINTS] = { 0 };
	const struct lt_point *first = &points[0], *last = &points[LT_HISTORY_POINTS - 1];
	struct lt_window window = { .level = level,
				    .complete = context->now_s >> (2 * level),
				    .live_count = input->live_count,
				    .unit = 1 };
	const struct lt_sample *last_sample = lt_history_last(input->history);
	uint64_t before;

	(void)lt_history_points(input->history, level, points);
	lt_window_minima(points, window.minima);
	if (!lt_window_is_flat(window.minima))
		window.slope = lt_robust_slope(window.minima, LT_BLOCKS);
	before = matured_of(first);
	for (size_t i = 0; i < LT_HISTORY_POINTS; i++) {
		uint64_t matured = matured_of(&points[i]);

		window.in[i / LT_BLOCK_POINTS] += less(matured, before);
		window.exposure += (double)less(matured, matured_of(first)) / LT_HISTORY_POINTS;
		before = matured;
		if (i && points[i].live_size_min == points[i - 1].live_size_min) {
			window.quiet++;
			continue;
		}
		window.pause = window.quiet > window.pause ? window.quiet : window.pause;
		window.quiet = 0;
	}
	window.matured = less(matured_of(last), matured_of(first));
	window.released = less(last->released_above, first->released_above);
	window.ever_matured = matured_of(last);
	window.ever_released = last->released_above;
	/* The growth must last as long as well: after a pause, there is nothing that outlived. */
	window.outlived = lt_window_s(level) >= last_sample->age_max_s[level] &&
			  context->now_s >=
				  (uint64_t)last_sample->born_max_s[level] +
					  OUTLIVED_AGES * (uint64_t)last_sample->age_max_s[level];
	window.survivors_grew = last->alive_above > first->alive_above;
	window.unknown = unknown_released(input, level);
	window.survival = survival_of(points, window.complete);
	window.lossy = lossy(context, input, level);
	if (input->observed)
		observe(input, points, looks, &window);
	return window;
}
