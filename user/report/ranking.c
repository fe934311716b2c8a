// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/ranking.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

static int by_verdict(const struct lt_ranked *a, const struct lt_ranked *b)
{
	return (a->evidence->verdict < b->evidence->verdict) -
	       (a->evidence->verdict > b->evidence->verdict);
}

static int by_unit(const struct lt_ranked *a, const struct lt_ranked *b)
{
	return lt_ranking_in_bytes(b->kind) - lt_ranking_in_bytes(a->kind);
}

/* Gravest verdict, fastest growth, most alive; then anything that never changes between runs. */
static int compare_within_unit(const void *left, const void *right)
{
	const struct lt_ranked *a = left, *b = right;
	int order = by_verdict(a, b);

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
	int order = by_verdict(a, b);

	if (!order)
		order = (a->place > b->place) - (a->place < b->place);
	return order ? order : by_unit(a, b);
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
	qsort(made, sites, sizeof(*made), compare_within_unit);
	for (size_t i = 1; i < sites; i++)
		if (!by_verdict(&made[i - 1], &made[i]) && !by_unit(&made[i - 1], &made[i]))
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
