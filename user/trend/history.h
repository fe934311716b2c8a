/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The past of one series, in a bounded size: level L keeps the last 48 points at a spacing of 4^L
 * s, so that windows of 48 s, 192 s, 12.8 min, 51 min, 3.4 h, 13.6 h, 2.3 d and 9 d are always at
 * hand, whatever the report interval.  Fed once a second of event time.  Pure; not thread-safe.
 * Points cost memory from the first sample on that holds something (a size, survivors); until then
 * all have the counts of the latest sample.
 */
#ifndef LT_TREND_HISTORY_H
#define LT_TREND_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LT_HISTORY_LEVELS 8
#define LT_HISTORY_POINTS 48

/* What one sample of a site says; alive/released above level L as in model/cohorts.h. */
struct lt_sample {
	uint64_t live_size;
	uint64_t alive_above[LT_HISTORY_LEVELS];
	uint64_t released_above[LT_HISTORY_LEVELS]; /* cumulative */
	uint32_t born_max_s[LT_HISTORY_LEVELS];     /* of those: latest birth ... */
	uint32_t age_max_s[LT_HISTORY_LEVELS];      /* ... and greatest age at the release */
	uint64_t acquired_count;                    /* cumulative */
	uint64_t released_count;                    /* likewise, of any age */
};

struct lt_point {
	uint64_t live_size_min; /* smallest live size of the point's seconds */
	uint64_t alive_above;   /* of this level, at the end of the point */
	uint64_t released_above;
	uint64_t acquired_count;
	uint64_t released_count;
};

struct lt_history;

int lt_history_new(struct lt_history **history);
void lt_history_free(struct lt_history *history);
/*
 * One sample for second now_s (since the attach), strictly increasing; skipped seconds repeat the
 * last sample; seconds before the first sample count as zeros.  -ENOMEM leaves it unchanged.
 */
int lt_history_sample(struct lt_history *history, uint32_t now_s, const struct lt_sample *sample);
/* Copies the points of a level, oldest first; returns how many (0..48). */
size_t lt_history_points(const struct lt_history *history, unsigned int level,
			 struct lt_point points[LT_HISTORY_POINTS]);
/* The latest sample; zeros before the first. */
const struct lt_sample *lt_history_last(const struct lt_history *history);
/* From here on (seconds since the attach), the live size has been what it is now. */
uint32_t lt_history_still_since(const struct lt_history *history);
size_t lt_history_memory(const struct lt_history *history);

#endif
