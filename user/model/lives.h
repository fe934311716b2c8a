/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the life of a resource is counted, at its site and in the totals, whatever keeps it: blocks
 * (model.c), ranges (mappings.c), handles.  Size and life are counted apart, for a range may lose
 * or gain bytes while it lives.  Inline: millions of blocks a second pass here.
 */
#ifndef LT_MODEL_LIVES_H
#define LT_MODEL_LIVES_H

#include "model/model.h"

/* An acquire of the site at this time; call before it is counted. */
static inline void lt_lives_stamp(struct lt_site *site, uint64_t time_ns)
{
	if (!site->acquired_count)
		site->first_ns = time_ns;
	if (time_ns > site->last_ns)
		site->last_ns = time_ns;
}

static inline void lt_lives_grow(struct lt_model_totals *totals, struct lt_site *site,
				 uint64_t size)
{
	site->acquired_size += size;
	site->live_size += size;
	if (site->live_size > site->peak_size)
		site->peak_size = site->live_size;
	totals->live_size += size;
}

static inline void lt_lives_shrink(struct lt_model_totals *totals, struct lt_site *site,
				   uint64_t size)
{
	site->released_size += size;
	site->live_size -= size;
	totals->live_size -= size;
}

/* As if it had never shrunk. */
static inline void lt_lives_regrow(struct lt_model_totals *totals, struct lt_site *site,
				   uint64_t size)
{
	site->released_size -= size;
	site->live_size += size;
	totals->live_size += size;
}

/* birth_s is now_s, or earlier for what was found later. */
static inline void lt_lives_born(struct lt_model_totals *totals, struct lt_site *site,
				 uint32_t birth_s, uint32_t now_s)
{
	site->acquired_count++;
	site->live_count++;
	lt_cohorts_born(&site->cohorts, birth_s, now_s);
	totals->acquired_count++;
	totals->live_count++;
}

static inline void lt_lives_died(struct lt_model_totals *totals, struct lt_site *site,
				 uint32_t birth_s, uint32_t now_s)
{
	site->released_count++;
	site->live_count--;
	lt_cohorts_died(&site->cohorts, birth_s, now_s);
	totals->released_count++;
	totals->live_count--;
}

/* So many of one unit each came and went: none of them lived at a time that was looked at. */
static inline void lt_lives_passed(struct lt_model_totals *totals, struct lt_site *site,
				   uint64_t count, uint32_t now_s)
{
	site->acquired_size += count;
	site->released_size += count;
	site->acquired_count += count;
	site->released_count += count;
	lt_cohorts_passed(&site->cohorts, now_s, count);
	totals->acquired_count += count;
	totals->released_count += count;
}

/* One that lives leaves a site for another one, where it is new: in all, nothing has changed. */
static inline void lt_lives_moved(struct lt_model_totals *totals, struct lt_site *from,
				  struct lt_site *to, uint32_t birth_s, uint32_t now_s)
{
	lt_lives_shrink(totals, from, 1);
	lt_lives_died(totals, from, birth_s, now_s);
	lt_lives_grow(totals, to, 1);
	lt_lives_born(totals, to, now_s, now_s);
	totals->acquired_count--;
	totals->released_count--;
	totals->moved++;
}

/* As if it had not died at died_s. */
static inline void lt_lives_revived(struct lt_model_totals *totals, struct lt_site *site,
				    uint32_t birth_s, uint32_t died_s, uint32_t now_s)
{
	site->released_count--;
	site->live_count++;
	lt_cohorts_revived(&site->cohorts, birth_s, died_s, now_s);
	totals->released_count--;
	totals->live_count++;
}

#endif
