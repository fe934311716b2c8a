// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/format.h"
#include "base/utf8.h"
#include "export/caller.h"
#include "export/export.h"
#include "report/counters.h"

#define MAX_LABEL        120 /* bytes of a label value that comes from the target */
#define SECONDS_PER_HOUR 3600.0
#define NS_PER_S         1e9

/* A label value: valid UTF-8, bounded, escaped as the text format wants it. */
static void write_value(struct lt_buf *out, const char *text)
{
	_lt_buf_ struct lt_buf clean = { 0 };
	size_t size;
	uint32_t code;

	lt_utf8_clean(&clean, text);
	if (clean.error)
		out->error = clean.error;
	for (size_t at = 0; at < clean.len; at += size) {
		size = lt_utf8_next(clean.data + at, clean.len - at, &code);
		if (at + size > MAX_LABEL) {
			lt_buf_str(out, "…");
			return;
		}
		if (code == '"' || code == '\\')
			lt_buf_char(out, '\\');
		lt_buf_append(out, clean.data + at, size);
	}
}

static void write_label(struct lt_buf *out, const char *name, const char *value)
{
	lt_buf_printf(out, ",%s=\"", name);
	write_value(out, value);
	lt_buf_char(out, '"');
}

static void write_family(struct lt_buf *out, const char *name, const char *type, const char *help)
{
	lt_buf_printf(out, "# HELP leaktrace_%s %s\n# TYPE leaktrace_%s %s\n", name, help, name,
		      type);
}

/* One process of the exposition. */
struct process {
	const struct lt_report *report;
	struct lt_report_site *sites; /* owned; distinct */
	size_t site_count;
};

/* Everything that one file is made from. */
struct exposition {
	struct lt_buf *out;
	struct process *processes;
	size_t count;
	const struct lt_total *total; /* NULL: of one process */
};

/* The series' name and its first label; the others and end_series follow. */
static void begin_series(struct lt_buf *out, const char *name, const struct lt_report *report)
{
	lt_buf_printf(out, "leaktrace_%s{pid=\"%" PRIu32 "\"", name, report->target.pid);
}

static void end_series(struct lt_buf *out, double value)
{
	lt_buf_printf(out, "} %s\n", lt_format_number(value).text);
}

static double or_nan(uint64_t value)
{
	return value ? (double)value : NAN;
}

static double live_objects(const struct lt_report_site *site)
{
	return (double)site->live_count;
}

static double acquired(const struct lt_report_site *site)
{
	return (double)site->acquired_count;
}

static double released(const struct lt_report_site *site)
{
	return (double)site->released_count;
}

static bool in_bytes(const struct lt_report_site *site)
{
	return !strcmp(site->unit, "bytes");
}

static double live_bytes(const struct lt_report_site *site)
{
	return in_bytes(site) ? (double)site->live_size : NAN;
}

static double acquired_bytes(const struct lt_report_site *site)
{
	return in_bytes(site) ? (double)site->acquired_size : NAN;
}

static double released_bytes(const struct lt_report_site *site)
{
	return in_bytes(site) ? (double)site->released_size : NAN;
}

static double growth_bytes(const struct lt_report_site *site)
{
	return in_bytes(site) ? site->evidence.growth_per_hour / SECONDS_PER_HOUR : NAN;
}

static double growth_objects(const struct lt_report_site *site)
{
	return in_bytes(site) ? NAN : site->evidence.growth_per_hour / SECONDS_PER_HOUR;
}

static double survival(const struct lt_report_site *site)
{
	return site->evidence.survival;
}

static double oldest_age(const struct lt_report_site *site)
{
	return site->oldest_age_s;
}

static double time_to_limit(const struct lt_report_site *site)
{
	return site->seconds_to_limit;
}

/* HELP texts are part of the interface: another text for the same name, in the file of another
 * target, would lose one of the two (TRAPS 26). */
static const struct site_family {
	const char *name, *help;
	bool counter;
	double (*value)(const struct lt_report_site *site); /* NaN: no series */
} site_families[] = {
	{ "site_live_bytes", "Bytes acquired at this site and not released.", false, live_bytes },
	{ "site_live_objects", "Resources acquired at this site and not released.", false,
	  live_objects },
	{ "site_acquired_total", "Resources acquired at this site since the attach.", true,
	  acquired },
	{ "site_released_total", "Resources acquired at this site since the attach and released.",
	  true, released },
	{ "site_acquired_bytes_total", "Bytes acquired at this site since the attach.", true,
	  acquired_bytes },
	{ "site_released_bytes_total", "Bytes acquired at this site since the attach and released.",
	  true, released_bytes },
	{ "site_growth_bytes_per_second", "Robust slope of the live bytes of this site.", false,
	  growth_bytes },
	{ "site_growth_objects_per_second", "Robust slope of the live resources of this site.",
	  false, growth_objects },
	{ "site_survival_ratio", "Share of the acquires of this site that grew old.", false,
	  survival },
	{ "site_oldest_age_seconds", "Age of the oldest live resource of this site.", false,
	  oldest_age },
	{ "site_time_to_limit_seconds",
	  "Time until this site alone reaches the memory limit at its present growth.", false,
	  time_to_limit },
};

/* What a person would recognise the site by; of nameless code the place, to be looked up. */
static void write_function(struct lt_buf *out, const struct lt_report_site *site)
{
	const struct lt_report_frame *caller = lt_caller_find(site);
	_lt_buf_ struct lt_buf address = { 0 };

	if (caller && !caller->function[0])
		lt_caller_address(&address, caller, false);
	if (address.error)
		out->error = address.error;
	write_label(out, "function", address.data ? address.data : caller ? caller->function : "");
}

static void write_site_labels(struct lt_buf *out, const struct lt_report_site *site, bool other)
{
	write_label(out, "kind", site->kind);
	if (other)
		write_label(out, "stack", "other");
	else
		lt_buf_printf(out, ",stack=\"%016" PRIx64 "\"", site->stack_id);
	write_function(out, site);
}

static void write_site_family(struct lt_buf *out, const struct lt_report *report,
			      const struct site_family *family, const struct lt_report_site *sites,
			      size_t count, bool other)
{
	for (size_t i = 0; i < count; i++) {
		double value = family->value(&sites[i]);

		if (isnan(value))
			continue;
		begin_series(out, family->name, report);
		write_site_labels(out, &sites[i], other);
		end_series(out, value);
	}
}

/*
 * Two sites can have one stable stack id (a library that was unloaded and loaded elsewhere), but a
 * series may come only once: the graver one takes the other in.
 */
static void fold(struct lt_report_site *into, const struct lt_report_site *site)
{
	into->live_count += site->live_count;
	into->live_size += site->live_size;
	into->acquired_count += site->acquired_count;
	into->acquired_size += site->acquired_size;
	into->released_count += site->released_count;
	into->released_size += site->released_size;
	into->oldest_age_s = fmax(into->oldest_age_s, site->oldest_age_s); /* ignores a NaN */
	if (!isnan(site->evidence.growth_per_hour))
		into->evidence.growth_per_hour = isnan(into->evidence.growth_per_hour)
							 ? site->evidence.growth_per_hour
							 : into->evidence.growth_per_hour +
								   site->evidence.growth_per_hour;
}

static size_t distinct_sites(const struct lt_report *report, struct lt_report_site *sites)
{
	size_t count = 0, at;

	for (size_t i = 0; i < report->site_count; i++) {
		const struct lt_report_site *site = &report->sites[i];

		for (at = 0; at < count; at++)
			if (sites[at].stack_id == site->stack_id &&
			    !strcmp(sites[at].kind, site->kind))
				break;
		if (at < count)
			fold(&sites[at], site);
		else
			sites[count++] = *site;
	}
	return count;
}

static void write_sites(const struct exposition *all)
{
	struct lt_buf *out = all->out;

	for (size_t i = 0; i < sizeof(site_families) / sizeof(site_families[0]); i++) {
		const struct site_family *family = &site_families[i];

		write_family(out, family->name, family->counter ? "counter" : "gauge",
			     family->help);
		for (size_t j = 0; j < all->count; j++) {
			const struct process *process = &all->processes[j];

			write_site_family(out, process->report, family, process->sites,
					  process->site_count, false);
			/* The others' counters would fall whenever one of them becomes a site of
			 * its own. */
			if (!family->counter)
				write_site_family(out, process->report, family,
						  process->report->others,
						  process->report->other_count, true);
		}
	}
}

static void write_verdicts(const struct exposition *all)
{
	struct lt_buf *out = all->out;

	write_family(out, "site_verdict", "gauge", "The present verdict of this site: always 1.");
	for (size_t i = 0; i < all->count; i++)
		for (size_t j = 0; j < all->processes[i].site_count; j++) {
			const struct lt_report_site *site = &all->processes[i].sites[j];

			begin_series(out, "site_verdict", all->processes[i].report);
			write_site_labels(out, site, false);
			write_label(out, "verdict", lt_verdict_name(site->evidence.verdict));
			end_series(out, 1);
		}
	write_family(out, "sites", "gauge", "Sites with this verdict.");
	for (size_t i = 0; i < all->count; i++)
		for (int verdict = 0; verdict <= LT_VERDICT_LEAKING; verdict++) {
			const struct lt_report *report = all->processes[i].report;

			begin_series(out, "sites", report);
			write_label(out, "verdict", lt_verdict_name((enum lt_verdict)verdict));
			end_series(out, (double)report->verdict_counts[verdict]);
		}
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
			"Tracked live bytes over the growth of the resident set since the "
			"attach." },
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
	};

	return values[which];
}

static void write_processes(const struct exposition *all)
{
	for (int which = 0; which < PROCESS_VALUES; which++) {
		const struct family *family = &process_families[which];

		write_family(all->out, family->name, family->type, family->help);
		for (size_t i = 0; i < all->count; i++) {
			const struct lt_report *report = all->processes[i].report;
			double value = process_value(report, (enum process_value)which);

			if (isnan(value))
				continue;
			begin_series(all->out, family->name, report);
			end_series(all->out, value);
		}
	}
}

static void write_memory(const struct exposition *all, const char *name, const char *help,
			 bool explained)
{
	write_family(all->out, name, "gauge", help);
	for (size_t i = 0; i < all->count; i++)
		for (int part = 0; part < LT_MEMORY_PARTS; part++) {
			const struct lt_report *report = all->processes[i].report;

			if (lt_memory_parts[part].explained != explained ||
			    isnan(report->memory.parts[part]))
				continue;
			begin_series(all->out, name, report);
			write_label(all->out, "part", lt_memory_parts[part].name);
			end_series(all->out, report->memory.parts[part]);
		}
}

static void write_info(const struct exposition *all)
{
	struct lt_buf *out = all->out;

	write_family(out, "build_info", "gauge", "The version of leaktrace: always 1.");
	for (size_t i = 0; i < all->count; i++) {
		begin_series(out, "build_info", all->processes[i].report);
		write_label(out, "version", LT_VERSION);
		end_series(out, 1);
	}
	write_family(out, "target_info", "gauge", "What the target is: always 1.");
	for (size_t i = 0; i < all->count; i++) {
		const struct lt_report_target *target = &all->processes[i].report->target;

		begin_series(out, "target_info", all->processes[i].report);
		lt_buf_printf(out, ",ns_pid=\"%" PRIu32 "\"", target->ns_pid);
		if (target->parent_pid)
			lt_buf_printf(out, ",parent_pid=\"%" PRIu32 "\"", target->parent_pid);
		write_label(out, "comm", target->comm);
		write_label(out, "exe", target->exe);
		write_label(out, "allocator", target->allocator);
		end_series(out, 1);
	}
}

static void write_counters(const struct exposition *all, const char *name, const char *help,
			   bool notes)
{
	write_family(all->out, name, "counter", help);
	for (size_t i = 0; i < all->count; i++)
		for (size_t j = 0; j < LT_COUNTER_COUNT; j++) {
			const struct lt_report *report = all->processes[i].report;

			if ((lt_counter_infos[j].class == LT_COUNTER_CLASS_NOTE) != notes)
				continue;
			begin_series(all->out, name, report);
			write_label(all->out, "name", lt_counter_infos[j].name);
			end_series(all->out, (double)report->counters[j]);
		}
}

/* A figure of the session, which may have many processes: once, in their total's name. */
static void write_session_value(const struct exposition *all, const struct family *family,
				double value)
{
	write_family(all->out, family->name, family->type, family->help);
	if (isnan(value))
		return;
	if (all->total)
		lt_buf_printf(all->out, "leaktrace_%s{session=\"%" PRIu32 "\"", family->name,
			      all->total->session);
	else
		begin_series(all->out, family->name, all->processes[0].report);
	end_series(all->out, value);
}

static void write_collector(const struct exposition *all)
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

static void write_total(const struct exposition *all)
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

static void write_all(const struct exposition *all)
{
	write_info(all);
	write_processes(all);
	write_collector(all);
	write_memory(all, "rss_growth_explained_bytes",
		     "Growth of the resident set since the attach that is tracked, by part.", true);
	write_memory(all, "rss_growth_rest_bytes",
		     "The rest of the growth of the resident set since the attach, by part.",
		     false);
	write_counters(all, "lost_events_total", "What leaktrace could not see, by name.", false);
	write_counters(all, "noted_events_total", "Oddities without any loss, by name.", true);
	write_sites(all);
	write_verdicts(all);
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

static void free_processes(const struct exposition *all)
{
	for (size_t i = 0; i < all->count; i++)
		free(all->processes[i].sites);
	free(all->processes);
}

void lt_export_prometheus_all(const struct lt_report *const *reports, size_t count,
			      const struct lt_total *total, struct lt_buf *out)
{
	_lt_cleanup_(free_processes) struct exposition all = {
		.out = out,
		.processes = calloc(count + 1, sizeof(*all.processes)),
		.total = total,
	};

	for (size_t i = 0; all.processes && i < count; i++) {
		struct process *process = &all.processes[all.count];

		if (has_later(reports, count, i))
			continue;
		process->report = reports[i];
		process->sites = calloc(reports[i]->site_count + 1, sizeof(*process->sites));
		all.count++;
		if (!process->sites) {
			out->error = -ENOMEM;
			return;
		}
		process->site_count = distinct_sites(reports[i], process->sites);
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
