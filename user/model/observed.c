// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/observed.h"

#include "model/lives.h"

/* Events that are this close to each other are of one look. */
#define LOOK_NS UINT64_C(500000000)

/* So large a sum is none; sums over all sites must not overflow. */
#define SUM_LIMIT (UINT64_C(1) << 56)

void lt_observed_look(struct lt_observed *observed, uint64_t time_ns, uint32_t now_s)
{
	bool first = !observed->look_ns;

	if (!first && time_ns < observed->look_ns + LOOK_NS)
		return;
	observed->look_ns = time_ns ? time_ns : 1;
	observed->first_s = observed->last_s;
	observed->last_s = first ? 0 : now_s;
}

static uint64_t raised(uint64_t last, uint64_t told)
{
	return told > last && told < SUM_LIMIT ? told : last;
}

static uint64_t lower(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* What is told, as far as it can be true. */
static struct lt_observed_sums believed(const struct lt_observed_sums *last,
					const struct lt_event_observe *told)
{
	struct lt_observed_sums sums = {
		.acquired_count = raised(last->acquired_count, told->acquired_count),
		.acquired_size = raised(last->acquired_size, told->acquired_size),
	};

	sums.released_count = lower(raised(last->released_count, told->released_count),
				    sums.acquired_count);
	sums.released_size = lower(raised(last->released_size, told->released_size),
				   sums.acquired_size);
	return sums;
}

static void count_lives(struct lt_model_totals *totals, struct lt_site *site, uint64_t came,
			uint64_t went)
{
	site->acquired_count += came;
	site->released_count += went;
	site->live_count += came - went;
	totals->acquired_count += came;
	totals->released_count += went;
	totals->live_count += came - went;
}

/* What the size was in between is not known, nor is its peak. */
static void count_sizes(struct lt_model_totals *totals, struct lt_site *site, uint64_t came,
			uint64_t went)
{
	site->acquired_size += came;
	site->released_size += went;
	site->live_size += came - went;
	if (site->live_size > site->peak_size)
		site->peak_size = site->live_size;
	totals->live_size += came - went;
}

void lt_observed_apply(struct lt_observed *observed, struct lt_model_totals *totals,
		       struct lt_site *site, const struct lt_event *event, uint32_t now_s)
{
	const struct lt_observed_sums last = site->observed_sums;
	const struct lt_observed_sums sums = believed(&last, &event->observe);
	uint64_t came = sums.acquired_count - last.acquired_count;
	uint64_t went = sums.released_count - last.released_count;

	site->observed = true;
	site->observed_sums = sums;
	site->sampled = event->observe.sampled;
	if (came || went)
		lt_observed_look(observed, event->time_ns, now_s);
	if (came)
		lt_lives_stamp(site, event->time_ns);
	count_lives(totals, site, came, went);
	count_sizes(totals, site, sums.acquired_size - last.acquired_size,
		    sums.released_size - last.released_size);
	if (came > went)
		lt_cohorts_born_between(&site->cohorts, observed->first_s, observed->last_s, now_s,
					came - went);
	else
		lt_cohorts_youngest_died(&site->cohorts, now_s, went - came);
}
