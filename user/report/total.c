// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/total.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "report/arena.h"

/* The total and the memory behind everything it points to. */
struct owned_total {
	struct lt_total total; /* first: lt_total_free gets its address */
	struct lt_arena arena;
};

static double add_known(double sum, double value)
{
	return isnan(value) ? sum : isnan(sum) ? value : sum + value;
}

/* Other kinds are counted in bytes, too, but of addresses: nobody knows how much is resident. */
static void sum_memory(const struct lt_report *report, struct lt_total_process *process)
{
	process->growth_per_hour = NAN;
	for (size_t i = 0; i < LT_KINDS; i++) {
		const struct lt_report_kind *kind = &report->kinds[i];

		process->kinds[i] = *kind;
		if (!lt_kind_infos[i].memory)
			continue;
		process->live_bytes += kind->live_size;
		process->growth_per_hour = add_known(process->growth_per_hour,
						     kind->growth_per_hour);
		process->leaking_growth_per_hour += kind->leaking_per_hour;
	}
}

static struct lt_total_process describe(const struct lt_report *report)
{
	struct lt_total_process process = {
		.pid = report->target.pid,
		.ns_pid = report->target.ns_pid,
		.parent_pid = report->target.parent_pid,
		.comm = report->target.comm,
		.rss_bytes = report->rss_bytes,
		.leaking = report->verdict_counts[LT_VERDICT_LEAKING],
	};

	sum_memory(report, &process);
	for (int verdict = 0; verdict <= LT_VERDICT_LEAKING; verdict++)
		if (report->verdict_counts[verdict]) {
			process.has_sites = true;
			process.verdict = (enum lt_verdict)verdict; /* graver ones come later */
		}
	return process;
}

static int descending(double a, double b)
{
	if (isnan(a) || isnan(b))
		return isnan(a) - isnan(b); /* unknown: last */
	return (a < b) - (a > b);
}

static int gravity(const struct lt_total_process *process)
{
	return process->has_sites ? (int)process->verdict : -1;
}

/* Gravest verdict, fastest leak, fastest growth, most alive; then what never changes. */
static int compare_processes(const void *left, const void *right)
{
	const struct lt_total_process *a = left, *b = right;
	int order = gravity(b) - gravity(a);

	if (!order)
		order = descending(a->leaking_growth_per_hour, b->leaking_growth_per_hour);
	if (!order)
		order = descending(a->growth_per_hour, b->growth_per_hour);
	if (!order)
		order = (a->live_bytes < b->live_bytes) - (a->live_bytes > b->live_bytes);
	return order ? order : (a->pid > b->pid) - (a->pid < b->pid);
}

static void add_report(struct lt_total *total, const struct lt_report *report)
{
	const struct lt_model_totals *counts = &report->totals;
	struct lt_total_process process = describe(report);

	total->rss_bytes += report->rss_bytes;
	total->rss_growth_bytes = add_known(total->rss_growth_bytes, report->rss_growth_bytes);
	total->live_bytes += process.live_bytes;
	for (size_t i = 0; i < LT_KINDS; i++) {
		total->kinds[i].sites += report->kinds[i].sites;
		total->kinds[i].live_count += report->kinds[i].live_count;
		total->kinds[i].live_size += report->kinds[i].live_size;
		total->kinds[i].leaking_per_hour += report->kinds[i].leaking_per_hour;
		total->kinds[i].growth_per_hour = add_known(total->kinds[i].growth_per_hour,
							    report->kinds[i].growth_per_hour);
	}
	total->live_count += counts->live_count;
	total->acquired_count += counts->acquired_count;
	total->released_count += counts->released_count;
	total->unknown_released += counts->unknown_released;
	total->growth_per_hour = add_known(total->growth_per_hour, process.growth_per_hour);
	total->leaking_growth_per_hour += process.leaking_growth_per_hour;
	total->exhausted_processes += report->exhausted;
	total->leaking_processes += report->verdict_counts[LT_VERDICT_LEAKING] > 0;
	for (int verdict = 0; verdict <= LT_VERDICT_LEAKING; verdict++)
		total->verdict_counts[verdict] += report->verdict_counts[verdict];
	/* Of one collector, seen at slightly different times. */
	if (report->collector_cpu_ns > total->collector_cpu_ns)
		total->collector_cpu_ns = report->collector_cpu_ns;
	if (report->collector_rss_bytes > total->collector_rss_bytes)
		total->collector_rss_bytes = report->collector_rss_bytes;
}

static int rank_processes(const struct lt_total_input *input, struct owned_total *owned)
{
	_lt_free_ struct lt_total_process *ranking = calloc(input->count + 1, sizeof(*ranking));
	size_t shown = input->count < input->top ? input->count : input->top;
	struct lt_total_process *kept = lt_arena_alloc(&owned->arena, shown, sizeof(*kept));

	if (!ranking || !kept)
		return -ENOMEM;
	for (size_t i = 0; i < input->count; i++)
		ranking[i] = describe(input->reports[i]);
	qsort(ranking, input->count, sizeof(*ranking), compare_processes);
	for (size_t i = 0; i < shown; i++) {
		kept[i] = ranking[i];
		kept[i].comm = lt_arena_strdup(&owned->arena, ranking[i].comm);
		if (!kept[i].comm)
			return -ENOMEM;
	}
	owned->total.processes = kept;
	owned->total.shown_count = shown;
	return 0;
}

int lt_total_build(const struct lt_total_input *input, struct lt_total **total)
{
	struct owned_total *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	made->total = (struct lt_total){
		.final = input->final,
		.session = input->session,
		.sequence = input->sequence,
		.realtime_s = input->realtime_s,
		.elapsed_s = input->elapsed_s,
		.interval_s = input->interval_s,
		.process_count = input->count,
		.rss_growth_bytes = NAN,
		.growth_per_hour = NAN,
		.ended = input->ended,
	};
	for (size_t i = 0; i < LT_KINDS; i++)
		made->total.kinds[i].growth_per_hour = NAN;
	for (size_t i = 0; i < input->count; i++)
		add_report(&made->total, input->reports[i]);
	if (rank_processes(input, made)) {
		lt_total_free(&made->total);
		return -ENOMEM;
	}
	*total = &made->total;
	return 0;
}

void lt_total_free(struct lt_total *total)
{
	struct owned_total *owned = (struct owned_total *)total;

	if (!owned)
		return;
	lt_arena_free(&owned->arena);
	free(owned);
}
