/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Do two series rise in step?  Pure.
 */
#ifndef LT_TREND_STEP_H
#define LT_TREND_STEP_H

#include "trend/history.h"

struct lt_step {
	double correlation; /* Pearson's; NaN: too few points, or one of them does not rise */
	/* Of the increases between points, which tells chance from cause; else both rise evenly, and
	   it is that of the sizes. */
	bool of_increases;
};

/*
 * Over the points that both have at this level: 8 at least.  What one or two points alone would
 * show counts for nothing.
 */
struct lt_step lt_step_compare(const struct lt_history *a, const struct lt_history *b,
			       unsigned int level);

#endif
