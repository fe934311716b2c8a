// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/runtime.h"

#include <math.h>

#define SETTLED_S 10.0 /* watched for less, a rate says nothing */
#define NS_PER_S  1e9

double lt_runtime_figure(uint64_t figure)
{
	return figure == LT_UNKNOWN_FIGURE ? NAN : (double)figure;
}

static double per_second(const struct lt_report *report, uint64_t first, uint64_t now)
{
	if (!report->has_runtime || report->elapsed_s < SETTLED_S)
		return NAN;
	return (lt_runtime_figure(now) - lt_runtime_figure(first)) / report->elapsed_s;
}

double lt_runtime_gc_per_second(const struct lt_report *report)
{
	return per_second(report, report->runtime_first.gc_count, report->runtime.gc_count);
}

double lt_runtime_pause_share(const struct lt_report *report)
{
	return per_second(report, report->runtime_first.gc_pause_total_ns,
			  report->runtime.gc_pause_total_ns) /
	       NS_PER_S;
}

double lt_runtime_memory_share(const struct lt_report *report)
{
	if (!report->has_runtime || !report->limit_bytes)
		return NAN;
	return (lt_runtime_figure(report->runtime.heap_inuse_bytes) +
		lt_runtime_figure(report->runtime.stacks_inuse_bytes)) /
	       (double)report->limit_bytes;
}
