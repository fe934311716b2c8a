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

static void write_sites(struct lt_buf *out, const struct lt_report *report)
{
	_lt_free_ struct lt_report_site *sites = calloc(report->site_count + 1, sizeof(*sites));
	size_t count;

	if (!sites) {
		out->error = -ENOMEM;
		return;
	}
	count = distinct_sites(report, sites);
	for (size_t i = 0; i < sizeof(site_families) / sizeof(site_families[0]); i++) {
		const struct site_family *family = &site_families[i];

		write_family(out, family->name, family->counter ? "counter" : "gauge",
			     family->help);
		write_site_family(out, report, family, sites, count, false);
		/* The others' counters would fall whenever one of them becomes a site of its own.
		 */
		if (!family->counter)
			write_site_family(out, report, family, report->others, report->other_count,
					  true);
	}
	write_family(out, "site_verdict", "gauge", "The present verdict of this site: always 1.");
	for (size_t i = 0; i < count; i++) {
		begin_series(out, "site_verdict", report);
		write_site_labels(out, &sites[i], false);
		write_label(out, "verdict", lt_verdict_name(sites[i].evidence.verdict));
		end_series(out, 1);
	}
}

static void write_single(struct lt_buf *out, const struct lt_report *report)
{
	const struct {
		const char *name, *type, *help;
		double value; /* NaN: unknown, no series */
	} families[] = {
		{ "report_timestamp_seconds", "gauge", "Unix time of the report behind this file.",
		  report->realtime_s },
		{ "watched_seconds", "gauge", "Time since the attach.", report->elapsed_s },
		{ "rss_bytes", "gauge", "Resident set size of the target.",
		  or_nan(report->rss_bytes) },
		{ "memory_limit_bytes", "gauge", "The nearest memory limit of the target.",
		  or_nan(report->limit_bytes) },
		{ "memory_available_bytes", "gauge", "Memory left until that limit.",
		  or_nan(report->available_bytes) },
		{ "explained_ratio", "gauge",
		  "Tracked live bytes over the growth of the resident set since the attach.",
		  report->explained_ratio },
		{ "leaking_growth_bytes_per_second", "gauge",
		  "Growth of the live bytes of all leaking sites together.",
		  report->leaking_growth_per_hour / SECONDS_PER_HOUR },
		{ "live_objects", "gauge", "Resources acquired since the attach and not released.",
		  (double)report->totals.live_count },
		{ "acquired_total", "counter", "Resources acquired since the attach.",
		  (double)report->totals.acquired_count },
		{ "released_total", "counter", "Resources acquired since the attach and released.",
		  (double)report->totals.released_count },
		{ "unknown_released_total", "counter",
		  "Releases of resources from before the attach.",
		  (double)report->totals.unknown_released },
		{ "collector_cpu_seconds_total", "counter", "CPU time of leaktrace itself.",
		  or_nan(report->collector_cpu_ns) / NS_PER_S },
		{ "collector_rss_bytes", "gauge", "Resident set size of leaktrace itself.",
		  or_nan(report->collector_rss_bytes) },
	};

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		write_family(out, families[i].name, families[i].type, families[i].help);
		if (isnan(families[i].value))
			continue;
		begin_series(out, families[i].name, report);
		end_series(out, families[i].value);
	}
}

static void write_info(struct lt_buf *out, const struct lt_report *report)
{
	write_family(out, "build_info", "gauge", "The version of leaktrace: always 1.");
	begin_series(out, "build_info", report);
	write_label(out, "version", LT_VERSION);
	end_series(out, 1);
	write_family(out, "target_info", "gauge", "What the target is: always 1.");
	begin_series(out, "target_info", report);
	lt_buf_printf(out, ",ns_pid=\"%" PRIu32 "\"", report->target.ns_pid);
	write_label(out, "comm", report->target.comm);
	write_label(out, "exe", report->target.exe);
	write_label(out, "allocator", report->target.allocator);
	end_series(out, 1);
}

static void write_counters(struct lt_buf *out, const struct lt_report *report, const char *name,
			   const char *help, bool notes)
{
	write_family(out, name, "counter", help);
	for (size_t i = 0; i < LT_COUNTER_COUNT; i++) {
		if ((lt_counter_infos[i].class == LT_COUNTER_CLASS_NOTE) != notes)
			continue;
		begin_series(out, name, report);
		write_label(out, "name", lt_counter_infos[i].name);
		end_series(out, (double)report->counters[i]);
	}
}

void lt_export_prometheus(const struct lt_report *report, struct lt_buf *out)
{
	write_info(out, report);
	write_single(out, report);
	write_counters(out, report, "lost_events_total", "What leaktrace could not see, by name.",
		       false);
	write_counters(out, report, "noted_events_total", "Oddities without any loss, by name.",
		       true);
	write_family(out, "sites", "gauge", "Sites with this verdict.");
	for (int verdict = 0; verdict <= LT_VERDICT_LEAKING; verdict++) {
		begin_series(out, "sites", report);
		write_label(out, "verdict", lt_verdict_name((enum lt_verdict)verdict));
		end_series(out, (double)report->verdict_counts[verdict]);
	}
	write_sites(out, report);
}
