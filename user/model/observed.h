/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sites of which only sums are told, now and then (struct lt_event_observe): how their cohorts are
 * kept, though nobody says when one resource came, and which ones went.
 *
 * What a look shows to have come since the look before was born evenly in between.  What went are the
 * youngest: most things that are freed are, and of those that came and went between two looks nothing
 * is to be seen.  So survivors are at least as many as it takes for the numbers told; who judges them
 * has to bear in mind that they may be others.
 */
#ifndef LT_MODEL_OBSERVED_H
#define LT_MODEL_OBSERVED_H

#include "model/model.h"

/*
 * A garbage-collected heap shows something new with each collection only (RUNTIME tells how many
 * there were): such looks count.  All 0 before the first.
 */
struct lt_observed {
	uint64_t collections;
	uint64_t look_ns;         /* the latest */
	uint32_t first_s, last_s; /* what it shows came since then, until then (since the attach) */
};

/* A look of which is known that it would have shown what was new, though nothing was told. */
void lt_observed_look(struct lt_observed *observed, uint64_t time_ns, uint32_t now_s);
/*
 * One OBSERVE of the site.  What decreases, or is beyond reason, is taken for unchanged.  What the
 * first look of all shows was there at the attach.
 */
void lt_observed_apply(struct lt_observed *observed, struct lt_model_totals *totals,
		       struct lt_site *site, const struct lt_event *event, uint32_t now_s);

#endif
