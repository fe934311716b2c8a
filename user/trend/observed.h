/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Of an observed site (struct lt_verdict_input) nobody says who was released: the youngest, as
 * garbage is, or the oldest, as from a cache?  But it shows in time what releases depend on: on what
 * comes, or on what lives.  Pure functions of the points of one level; docs/VERDICT.md has the
 * reasons.
 */
#ifndef LT_TREND_OBSERVED_H
#define LT_TREND_OBSERVED_H

#include "trend/history.h"

/* The points at which something new was told of the site: a bit each, the first one's is bit 0. */
uint64_t lt_observed_looks(const struct lt_point points[LT_HISTORY_POINTS]);
/* Of the looks (of all sites) from this point on, how many showed the same size as before. */
unsigned int lt_observed_idle(const struct lt_point points[LT_HISTORY_POINTS], uint64_t looks,
			      size_t from);
/*
 * Does the site keep a part of all that comes, and lets go of none of it?  unit: for how many each
 * that was sampled stands; dispersion: how many of those come together.
 */
bool lt_observed_accrues(const struct lt_point points[LT_HISTORY_POINTS], uint64_t looks,
			 double unit, double dispersion);

#endif
