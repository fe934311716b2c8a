// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/cleanup.h"
#include "export/caller.h"
#include "export/prometheus_series.h"
#include "export/words.h"

#define SECONDS_PER_HOUR 3600.0

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

static double live_bytes(const struct lt_report_site *site)
{
	return lt_word_in_bytes(site->unit) ? (double)site->live_size : NAN;
}

static double acquired_bytes(const struct lt_report_site *site)
{
	return lt_word_in_bytes(site->unit) ? (double)site->acquired_size : NAN;
}

static double released_bytes(const struct lt_report_site *site)
{
	return lt_word_in_bytes(site->unit) ? (double)site->released_size : NAN;
}

static double growth_bytes(const struct lt_report_site *site)
{
	return lt_word_in_bytes(site->unit) ? site->evidence.growth_per_hour / SECONDS_PER_HOUR
					    : NAN;
}

static double growth_objects(const struct lt_report_site *site)
{
	return lt_word_in_bytes(site->unit) ? NAN
					    : site->evidence.growth_per_hour / SECONDS_PER_HOUR;
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

/* HELP texts are part of the interface: of a family that has another text in the file of another
 * target, node_exporter drops one of the two. */
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
	  "Time until this site alone reaches a limit of its kind at its present growth.", false,
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
	lt_prom_label(out, "function",
		      address.data ? address.data
		      : caller     ? caller->function
				   : "");
}

static void write_site_labels(struct lt_buf *out, const struct lt_report_site *site, bool other)
{
	lt_prom_label(out, "kind", site->kind);
	if (other)
		lt_prom_label(out, "stack", "other");
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
		lt_prom_begin(out, family->name, report);
		write_site_labels(out, &sites[i], other);
		lt_prom_end(out, value);
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

size_t lt_prom_distinct(const struct lt_report *report, struct lt_report_site *sites)
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

static void write_values(const struct lt_prom *all)
{
	struct lt_buf *out = all->out;

	for (size_t i = 0; i < sizeof(site_families) / sizeof(site_families[0]); i++) {
		const struct site_family *family = &site_families[i];

		lt_prom_family(out, family->name, family->counter ? "counter" : "gauge",
			       family->help);
		for (size_t j = 0; j < all->count; j++) {
			const struct lt_prom_process *process = &all->processes[j];

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

static void write_verdicts(const struct lt_prom *all)
{
	struct lt_buf *out = all->out;

	lt_prom_family(out, "site_verdict", "gauge", "The present verdict of this site: always 1.");
	for (size_t i = 0; i < all->count; i++)
		for (size_t j = 0; j < all->processes[i].site_count; j++) {
			const struct lt_report_site *site = &all->processes[i].sites[j];

			lt_prom_begin(out, "site_verdict", all->processes[i].report);
			write_site_labels(out, site, false);
			lt_prom_label(out, "verdict", lt_verdict_name(site->evidence.verdict));
			lt_prom_end(out, 1);
		}
	lt_prom_family(out, "sites", "gauge", "Sites with this verdict.");
	for (size_t i = 0; i < all->count; i++)
		for (int verdict = 0; verdict <= LT_VERDICT_LEAKING; verdict++) {
			const struct lt_report *report = all->processes[i].report;

			lt_prom_begin(out, "sites", report);
			lt_prom_label(out, "verdict", lt_verdict_name((enum lt_verdict)verdict));
			lt_prom_end(out, (double)report->verdict_counts[verdict]);
		}
}

void lt_prom_sites(const struct lt_prom *all)
{
	write_values(all);
	write_verdicts(all);
}
