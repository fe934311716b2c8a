// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "export/prometheus_series.h"
#include "report/runtime.h"

#define NS_PER_S 1e9

static double heap_inuse(const struct lt_event_runtime *runtime)
{
	return lt_runtime_figure(runtime->heap_inuse_bytes);
}

static double heap_idle(const struct lt_event_runtime *runtime)
{
	return lt_runtime_figure(runtime->heap_idle_bytes);
}

static double heap_released(const struct lt_event_runtime *runtime)
{
	return lt_runtime_figure(runtime->heap_released_bytes);
}

static double stacks_inuse(const struct lt_event_runtime *runtime)
{
	return lt_runtime_figure(runtime->stacks_inuse_bytes);
}

static double next_gc(const struct lt_event_runtime *runtime)
{
	return lt_runtime_figure(runtime->next_gc_bytes);
}

static double gc_cycles(const struct lt_event_runtime *runtime)
{
	return lt_runtime_figure(runtime->gc_count);
}

static double gc_pause(const struct lt_event_runtime *runtime)
{
	return lt_runtime_figure(runtime->gc_pause_total_ns) / NS_PER_S;
}

static double goroutines(const struct lt_event_runtime *runtime)
{
	return lt_runtime_figure(runtime->goroutines);
}

static double runtime_goroutines(const struct lt_event_runtime *runtime)
{
	return lt_runtime_figure(runtime->runtime_goroutines);
}

static const struct {
	const char *name, *type, *help;
	double (*value)(const struct lt_event_runtime *runtime); /* NaN: no series */
} families[] = {
	{ "go_heap_inuse_bytes", "gauge", "Heap spans of the Go runtime that hold objects.",
	  heap_inuse },
	{ "go_heap_idle_bytes", "gauge", "Heap spans of the Go runtime that hold none.",
	  heap_idle },
	{ "go_heap_released_bytes", "gauge",
	  "Of the idle spans, what was given back to the kernel.", heap_released },
	{ "go_stacks_inuse_bytes", "gauge", "Stacks of goroutines.", stacks_inuse },
	{ "go_next_gc_bytes", "gauge", "Heap size at which the next collection is to end.",
	  next_gc },
	{ "go_gc_cycles_total", "counter", "Collections since the process began.", gc_cycles },
	{ "go_gc_pause_seconds_total", "counter", "Time for which collections stopped the process.",
	  gc_pause },
	{ "go_goroutines", "gauge", "Goroutines of the program.", goroutines },
	{ "go_runtime_goroutines", "gauge", "Goroutines of the Go runtime itself.",
	  runtime_goroutines },
};

static void write_info(const struct lt_prom *all)
{
	lt_prom_family(all->out, "go_info", "gauge", "The version of Go: always 1.");
	for (size_t i = 0; i < all->count; i++) {
		const struct lt_report *report = all->processes[i].report;

		if (!report->has_runtime)
			continue;
		lt_prom_begin(all->out, "go_info", report);
		lt_prom_label(all->out, "version", report->runtime.version);
		lt_prom_end(all->out, 1);
	}
}

void lt_prom_go(const struct lt_prom *all)
{
	bool any = false;

	for (size_t i = 0; i < all->count; i++)
		any = any || all->processes[i].report->has_runtime;
	if (!any)
		return;
	write_info(all);
	for (size_t which = 0; which < sizeof(families) / sizeof(families[0]); which++) {
		lt_prom_family(all->out, families[which].name, families[which].type,
			       families[which].help);
		for (size_t i = 0; i < all->count; i++) {
			const struct lt_report *report = all->processes[i].report;
			double value = report->has_runtime ? families[which].value(&report->runtime)
							   : NAN;

			if (isnan(value))
				continue;
			lt_prom_begin(all->out, families[which].name, report);
			lt_prom_end(all->out, value);
		}
	}
}
