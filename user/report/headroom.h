/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How far a process is from its limits, and how long it takes to get there as it leaks. */
#ifndef LT_REPORT_HEADROOM_H
#define LT_REPORT_HEADROOM_H

#include "report/arena.h"
#include "report/report.h"

/*
 * Fills headroom and exhausted: one row for each limit that is known, the one that is reached first
 * before the others, then by the share that is used.  The report has its kinds and sums of growth
 * already.  0 or -ENOMEM.
 */
int lt_headroom_build(const struct lt_report_input *input, struct lt_arena *arena,
		      struct lt_report *report);

/*
 * When a site of a kind of that index meets the nearest of the kind's limits, by its growth alone.
 * NaN: none is known, or it has none; INFINITY: no growth.
 */
double lt_headroom_seconds(const struct lt_report_input *input, const struct lt_report *report,
			   size_t kind, const struct lt_evidence *evidence);

/*
 * Is a limit of that listing nearly full (LT_NEARLY_FULL), and by this process to a good part?
 * alive: so many it has of what is listed.
 */
bool lt_headroom_fills(const struct lt_report_input *input, uint8_t listing, uint64_t alive);

#endif
