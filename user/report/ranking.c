// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/ranking.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/headroom.h"

#define FILLERS 3 /* of a limit */

/* A kind without a row (none can be) counts as the first. */
static size_t kind_index(uint8_t kind)
{
	for (size_t i = 0; i < LT_KINDS; i++)
		if (lt_kind_infos[i].value == kind)
			return i;
	return 0;
}

bool lt_ranking_in_bytes(size_t kind)
{
	return !strcmp(lt_kind_infos[kind].unit, "bytes");
}

static int descending(double a, double b)
{
	if (isnan(a) || isnan(b))
		return isnan(a) - isnan(b); /* unknown: last */
	return (a < b) - (a > b);
}

/* The greater, the earlier it is told. */
static int gravity(const struct lt_ranked *site)
{
	enum lt_verdict verdict = site->evidence->verdict;

	if (site->fills && verdict < LT_VERDICT_WARMING)
		verdict = LT_VERDICT_WARMING;
	return 4 * (int)verdict + 2 * site->fills + (site->site->live_count > 0);
}

static int by_gravity(const struct lt_ranked *a, const struct lt_ranked *b)
{
	return gravity(b) - gravity(a);
}

static int by_unit(const struct lt_ranked *a, const struct lt_ranked *b)
{
	return lt_ranking_in_bytes(b->kind) - lt_ranking_in_bytes(a->kind);
}

/* Gravest, fastest growth, most alive; then anything that never changes between runs. */
static int compare_within_unit(const void *left, const void *right)
{
	const struct lt_ranked *a = left, *b = right;
	int order = by_gravity(a, b);

	if (!order)
		order = by_unit(a, b);
	if (!order)
		order = descending(a->evidence->growth_per_hour, b->evidence->growth_per_hour);
	if (!order)
		order = (a->site->live_size < b->site->live_size) -
			(a->site->live_size > b->site->live_size);
	if (!order)
		order = (a->site->stack_id > b->site->stack_id) -
			(a->site->stack_id < b->site->stack_id);
	return order ? order
		     : (a->site->index > b->site->index) - (a->site->index < b->site->index);
}

static int compare_in_turns(const void *left, const void *right)
{
	const struct lt_ranked *a = left, *b = right;
	int order = by_gravity(a, b);

	if (!order)
		order = (a->place > b->place) - (a->place < b->place);
	return order ? order : by_unit(a, b);
}

/* The sites of a listing that hold most of the alive ones, each a tenth of them at least. */
static void mark_largest(struct lt_ranked *ranking, size_t count, uint8_t listing, uint64_t alive)
{
	struct lt_ranked *largest[FILLERS] = { NULL }, *one;

	for (size_t i = 0; i < count; i++) {
		if (lt_kind_infos[ranking[i].kind].listing != listing ||
		    !ranking[i].site->live_count || ranking[i].site->live_count < alive / 10)
			continue;
		one = &ranking[i];
		for (size_t at = 0; at < FILLERS && one; at++)
			if (!largest[at] || one->site->live_count > largest[at]->site->live_count) {
				struct lt_ranked *next = largest[at];

				largest[at] = one;
				one = next;
			}
	}
	for (size_t at = 0; at < FILLERS && largest[at]; at++)
		largest[at]->fills = true;
}

static void mark_fills(const struct lt_report_input *input, struct lt_ranked *ranking, size_t count)
{
	uint64_t alive[LT_LISTINGS] = { 0 };

	for (size_t i = 0; i < count; i++)
		alive[lt_kind_infos[ranking[i].kind].listing] += ranking[i].site->live_count;
	for (int listing = LT_LISTING_NOWHERE + 1; listing < LT_LISTINGS; listing++)
		if (lt_headroom_fills(input, (uint8_t)listing, alive[listing]))
			mark_largest(ranking, count, (uint8_t)listing, alive[listing]);
}

int lt_ranking_make(const struct lt_report_input *input, struct lt_ranked **ranking, size_t *count)
{
	size_t sites = lt_model_site_count(input->model);
	struct lt_ranked *made = calloc(sites + 1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	for (size_t i = 0; i < sites; i++) {
		made[i].site = lt_model_site(input->model, i);
		made[i].evidence = &input->evidence[i];
		made[i].kind = kind_index(made[i].site->kind);
	}
	mark_fills(input, made, sites);
	qsort(made, sites, sizeof(*made), compare_within_unit);
	for (size_t i = 1; i < sites; i++)
		if (!by_gravity(&made[i - 1], &made[i]) && !by_unit(&made[i - 1], &made[i]))
			made[i].place = made[i - 1].place + 1;
	qsort(made, sites, sizeof(*made), compare_in_turns);
	*ranking = made;
	*count = sites;
	return 0;
}

size_t lt_ranking_shown(const struct lt_report_input *input, size_t count)
{
	return count < input->top ? count : input->top;
}
