// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "export/export.h"
#include "export/prometheus_series.h"
#include "export/words.h"
#include "report/counters.h"

#define SECONDS_PER_HOUR 3600.0
#define NS_PER_S         1e9

static double or_nan(uint64_t value)
{
	return value ? (double)value : NAN;
}

enum process_value {
	TIMESTAMP,
	WATCHED,
	RSS,
	RSS_GROWTH,
	LIMIT,
	AVAILABLE,
	EXPLAINED,
	GROWTH,
	LEAKING_GROWTH,
	LIVE,
	ACQUIRED,
	RELEASED,
	UNKNOWN_RELEASED,
	FINDINGS,
	PROCESS_VALUES
};

struct family {
	const char *name, *type, *help;
};

static const struct family process_families[PROCESS_VALUES] = {
	[TIMESTAMP] = { "report_timestamp_seconds", "gauge",
			"Unix time of the report behind this file." },
	[WATCHED] = { "watched_seconds", "gauge", "Time since the attach." },
	[RSS] = { "rss_bytes", "gauge", "Resident set size of the target." },
	[RSS_GROWTH] = { "rss_growth_bytes", "gauge",
			 "Growth of the resident set since the attach." },
	[LIMIT] = { "memory_limit_bytes", "gauge", "The nearest memory limit of the target." },
	[AVAILABLE] = { "memory_available_bytes", "gauge", "Memory left until that limit." },
	[EXPLAINED] = { "explained_ratio", "gauge",
			"Share of the growth of the resident set since the attach that blocks, "
			"mappings and thread stacks explain." },
	[GROWTH] = { "growth_bytes_per_second", "gauge",
		     "Growth of the live bytes of all sites together." },
	[LEAKING_GROWTH] = { "leaking_growth_bytes_per_second", "gauge",
			     "Growth of the live bytes of all leaking sites together." },
	[LIVE] = { "live_objects", "gauge",
		   "Resources acquired since the attach and not released." },
	[ACQUIRED] = { "acquired_total", "counter", "Resources acquired since the attach." },
	[RELEASED] = { "released_total", "counter",
		       "Resources acquired since the attach and released." },
	[UNKNOWN_RELEASED] = { "unknown_released_total", "counter",
			       "Releases of resources from before the attach." },
	[FINDINGS] = { "findings", "gauge",
		       "Groups of sites of different kinds that grow in step." },
};

/* NaN: unknown, no series. */
static double process_value(const struct lt_report *report, enum process_value which)
{
	const double values[PROCESS_VALUES] = {
		[TIMESTAMP] = report->realtime_s,
		[WATCHED] = report->elapsed_s,
		[RSS] = or_nan(report->rss_bytes),
		[RSS_GROWTH] = report->rss_growth_bytes,
		[LIMIT] = or_nan(report->limit_bytes),
		[AVAILABLE] = or_nan(report->available_bytes),
		[EXPLAINED] = report->explained_ratio,
		[GROWTH] = report->growth_per_hour / SECONDS_PER_HOUR,
		[LEAKING_GROWTH] = report->leaking_growth_per_hour / SECONDS_PER_HOUR,
		[LIVE] = (double)report->totals.live_count,
		[ACQUIRED] = (double)report->totals.acquired_count,
		[RELEASED] = (double)report->totals.released_count,
		[UNKNOWN_RELEASED] = (double)report->totals.unknown_released,
		[FINDINGS] = (double)report->finding_count,
	};

	return values[which];
}

static void write_processes(const struct lt_prom *all)
{
	for (int which = 0; which < PROCESS_VALUES; which++) {
		const struct family *family = &process_families[which];

		lt_prom_family(all->out, family->name, family->type, family->help);
		for (size_t i = 0; i < all->count; i++) {
			const struct lt_report *report = all->processes[i].report;
			double value = process_value(report, (enum process_value)which);

			if (isnan(value))
				continue;
			lt_prom_begin(all->out, family->name, report);
			lt_prom_end(all->out, value);
		}
	}
}

static void write_memory(const struct lt_prom *all, const char *name, const char *help,
			 bool explained)
{
	lt_prom_family(all->out, name, "gauge", help);
	for (size_t i = 0; i < all->count; i++)
		for (int part = 0; part < LT_MEMORY_PARTS; part++) {
			const struct lt_report *report = all->processes[i].report;

			if (lt_memory_parts[part].explained != explained ||
			    isnan(report->memory.parts[part]))
				continue;
			lt_prom_begin(all->out, name, report);
			lt_prom_label(all->out, "part", lt_memory_parts[part].name);
			lt_prom_end(all->out, report->memory.parts[part]);
		}
}

static double listed(const struct lt_model_listing *listing)
{
	return (double)listing->listed;
}

static double difference(const struct lt_model_listing *listing)
{
	return (double)listing->unknown + (double)listing->vanished;
}

static void write_listings(const struct lt_prom *all, const char *name, const char *help,
			   double (*value)(const struct lt_model_listing *listing))
{
	lt_prom_family(all->out, name, "gauge", help);
	for (size_t i = 0; i < all->count; i++)
		for (size_t which = LT_LISTING_NOWHERE + 1; which < LT_LISTINGS; which++) {
			const struct lt_report *report = all->processes[i].report;

			if (!report->listings[which].taken)
				continue;
			lt_prom_begin(all->out, name, report);
			lt_prom_label(all->out, "listing", lt_listing_names[which]);
			lt_prom_end(all->out, value(&report->listings[which]));
		}
}

static double used(const struct lt_report_headroom *limit)
{
	return (double)limit->used;
}

static double maximum(const struct lt_report_headroom *limit)
{
	return (double)limit->max;
}

static double seconds_left(const struct lt_report_headroom *limit)
{
	return limit->seconds_left;
}

static void write_headroom(const struct lt_prom *all, const char *name, const char *help,
			   double (*value)(const struct lt_report_headroom *limit))
{
	lt_prom_family(all->out, name, "gauge", help);
	for (size_t i = 0; i < all->count; i++)
		for (size_t j = 0; j < all->processes[i].report->headroom_count; j++) {
			const struct lt_report *report = all->processes[i].report;
			const struct lt_report_headroom *limit = &report->headroom[j];

			if (isnan(value(limit)))
				continue;
			lt_prom_begin(all->out, name, report);
			lt_prom_label(all->out, "what", limit->what);
			lt_prom_label(all->out, "limit", limit->limit);
			lt_prom_end(all->out, value(limit));
		}
}

static void write_limits(const struct lt_prom *all)
{
	write_listings(all, "listed", "Resources of the target that the kernel lists.", listed);
	write_listings(all, "listing_difference",
		       "Resources that only kernel or leaktrace knows: looked at again.",
		       difference);
	write_headroom(all, "headroom_used", "What counts towards this limit; of memory, bytes.",
		       used);
	write_headroom(all, "headroom_limit", "This limit; of memory, bytes.", maximum);
	write_headroom(all, "headroom_seconds",
		       "Time until this limit is reached as all leaking sites grow together.",
		       seconds_left);
}

static void write_info(const struct lt_prom *all)
{
	struct lt_buf *out = all->out;

	lt_prom_family(out, "build_info", "gauge", "The version of leaktrace: always 1.");
	for (size_t i = 0; i < all->count; i++) {
		lt_prom_begin(out, "build_info", all->processes[i].report);
		lt_prom_label(out, "version", LT_VERSION);
		lt_prom_end(out, 1);
	}
	lt_prom_family(out, "target_info", "gauge", "What the target is: always 1.");
	for (size_t i = 0; i < all->count; i++) {
		const struct lt_report_target *target = &all->processes[i].report->target;

		lt_prom_begin(out, "target_info", all->processes[i].report);
		lt_buf_printf(out, ",ns_pid=\"%" PRIu32 "\"", target->ns_pid);
		if (target->parent_pid)
			lt_buf_printf(out, ",parent_pid=\"%" PRIu32 "\"", target->parent_pid);
		lt_prom_label(out, "comm", target->comm);
		lt_prom_label(out, "exe", target->exe);
		lt_prom_label(out, "allocator", target->allocator);
		lt_prom_end(out, 1);
	}
}

static void write_counters(const struct lt_prom *all, const char *name, const char *help,
			   bool notes)
{
	lt_prom_family(all->out, name, "counter", help);
	for (size_t i = 0; i < all->count; i++)
		for (size_t j = 0; j < LT_COUNTER_COUNT; j++) {
			const struct lt_report *report = all->processes[i].report;

			if ((lt_counter_infos[j].class == LT_COUNTER_CLASS_NOTE) != notes)
				continue;
			lt_prom_begin(all->out, name, report);
			lt_prom_label(all->out, "name", lt_counter_infos[j].name);
			lt_prom_end(all->out, (double)report->counters[j]);
		}
}

/* A figure of the session, which may have many processes: once, in their total's name. */
static void write_session_value(const struct lt_prom *all, const struct family *family,
				double value)
{
	lt_prom_family(all->out, family->name, family->type, family->help);
	if (isnan(value))
		return;
	if (all->total)
		lt_buf_printf(all->out, "leaktrace_%s{session=\"%" PRIu32 "\"", family->name,
			      all->total->session);
	else
		lt_prom_begin(all->out, family->name, all->processes[0].report);
	lt_prom_end(all->out, value);
}

static void write_collector(const struct lt_prom *all)
{
	static const struct family cpu = { "collector_cpu_seconds_total", "counter",
					   "CPU time of leaktrace itself." };
	static const struct family rss = { "collector_rss_bytes", "gauge",
					   "Resident set size of leaktrace itself." };
	uint64_t cpu_ns, rss_bytes;

	if (!all->total && !all->count)
		return;
	cpu_ns = all->total ? all->total->collector_cpu_ns
			    : all->processes[0].report->collector_cpu_ns;
	rss_bytes = all->total ? all->total->collector_rss_bytes
			       : all->processes[0].report->collector_rss_bytes;
	write_session_value(all, &cpu, or_nan(cpu_ns) / NS_PER_S);
	write_session_value(all, &rss, or_nan(rss_bytes));
}

static void write_total(const struct lt_prom *all)
{
	const struct lt_total *total = all->total;
	const struct {
		struct family family;
		double value;
	} values[] = {
		{ { "processes", "gauge", "Processes that are watched." },
		  (double)total->process_count },
		{ { "leaking_processes", "gauge", "Processes with a leaking site." },
		  (double)total->leaking_processes },
		{ { "ended_processes_total", "counter",
		    "Processes that ended while they were watched." },
		  (double)total->ended.processes },
		{ { "ended_acquired_total", "counter",
		    "Resources acquired by processes that ended." },
		  (double)total->ended.acquired_count },
		{ { "ended_released_total", "counter",
		    "Resources acquired and released by processes that ended." },
		  (double)total->ended.released_count },
		{ { "ended_held_bytes_total", "counter",
		    "Bytes that processes held when they ended." },
		  (double)total->ended.live_at_end_size },
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		write_session_value(all, &values[i].family, values[i].value);
}

static void write_all(const struct lt_prom *all)
{
	write_info(all);
	write_processes(all);
	write_collector(all);
	write_memory(all, "rss_growth_explained_bytes",
		     "Growth of the resident set since the attach that is tracked, by part.", true);
	write_memory(all, "rss_growth_rest_bytes",
		     "The rest of the growth of the resident set since the attach, by part.",
		     false);
	write_limits(all);
	write_counters(all, "lost_events_total", "What leaktrace could not see, by name.", false);
	write_counters(all, "noted_events_total", "Oddities without any loss, by name.", true);
	lt_prom_go(all);
	lt_prom_sites(all);
	if (all->total)
		write_total(all);
}

static bool has_later(const struct lt_report *const *reports, size_t count, size_t at)
{
	for (size_t i = at + 1; i < count; i++)
		if (reports[i]->target.pid == reports[at]->target.pid)
			return true;
	return false;
}

static void free_processes(const struct lt_prom *all)
{
	for (size_t i = 0; i < all->count; i++)
		free(all->processes[i].sites);
	free(all->processes);
}

void lt_export_prometheus_all(const struct lt_report *const *reports, size_t count,
			      const struct lt_total *total, struct lt_buf *out)
{
	_lt_cleanup_(free_processes) struct lt_prom all = {
		.out = out,
		.processes = calloc(count + 1, sizeof(*all.processes)),
		.total = total,
	};

	for (size_t i = 0; all.processes && i < count; i++) {
		struct lt_prom_process *process = &all.processes[all.count];

		if (has_later(reports, count, i))
			continue;
		process->report = reports[i];
		process->sites = calloc(reports[i]->site_count + 1, sizeof(*process->sites));
		all.count++;
		if (!process->sites) {
			out->error = -ENOMEM;
			return;
		}
		process->site_count = lt_prom_distinct(reports[i], process->sites);
	}
	if (all.processes)
		write_all(&all);
	else
		out->error = -ENOMEM;
}

void lt_export_prometheus(const struct lt_report *report, struct lt_buf *out)
{
	lt_export_prometheus_all(&report, 1, NULL, out);
}
