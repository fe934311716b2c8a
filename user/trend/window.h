/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one window of a site's history says; trend/verdict.c judges it.  Pure functions. */
#ifndef LT_TREND_WINDOW_H
#define LT_TREND_WINDOW_H

#include "trend/robust.h"
#include "trend/verdict.h"

#define LT_BLOCKS          12
#define LT_BLOCK_POINTS    4  /* LT_HISTORY_POINTS / LT_BLOCKS */
#define LT_MATURITY_POINTS 12 /* model/cohorts.h: "above level L" begins at 12·4^L s ... */
#define LT_MATURITY_GRAIN  4  /* ... and is reached in steps of 4·4^L s */
#define LT_LATEST_BLOCKS   2

struct lt_window {
	unsigned int level;
	uint32_t complete; /* points since the attach */
	double minima[LT_BLOCKS];
	struct lt_slope slope;      /* of the minima, per block */
	uint64_t in[LT_BLOCKS];     /* resources that became survivors */
	uint64_t matured, released; /* survivors: came in the window, released in it */
	uint64_t ever_matured, ever_released;
	uint64_t unknown; /* unknown releases in the second half */
	double rise;      /* how many more connections and threads at once; not for their own */
	double exposure;  /* windows lived through by the window's survivors */
	double survival;
	uint64_t live_count;
	unsigned int quiet; /* points at the end during which the size stood still ... */
	unsigned int pause; /* ... and the most of any such time before */
	/* Of observed sites; of others, unit is 1 and the rest is not asked for. */
	double unit; /* for how many each that was sampled stands */
	uint64_t died,
		died_long; /* released in the window, survivors or not, and in four of them */
	unsigned int looks;
	unsigned int idle_looks; /* lately: at a size that stood still */
	bool observed;
	bool accrues; /* lt_observed_accrues */
	bool survivors_grew;
	bool outlived; /* all that are young outlived what was ever released */
	bool lossy;
};

static inline double lt_window_span_s(unsigned int level)
{
	return (double)(UINT64_C(1) << (2 * level));
}

static inline double lt_window_s(unsigned int level)
{
	return LT_HISTORY_POINTS * lt_window_span_s(level);
}

/* Equal minima are a certain "no growth", without any chance: they take no part in a test. */
bool lt_window_is_flat(const double minima[LT_BLOCKS]);
void lt_window_minima(const struct lt_point *points, double minima[LT_BLOCKS]);
/* rise is left for the caller to fill.  looks: as of lt_observed_looks, of all observed sites. */
struct lt_window lt_window_look(const struct lt_verdict_context *context,
				const struct lt_verdict_input *input, unsigned int level,
				uint64_t looks);
/* Can a survivor be old enough in this block? */
bool lt_window_can_mature(const struct lt_window *window, size_t block);
/* How many survivors come or go together, at least 1. */
double lt_window_dispersion(const struct lt_window *window);

#endif
