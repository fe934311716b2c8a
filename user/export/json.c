// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "export/export.h"
#include "export/json_parts.h"
#include "export/words.h"
#include "report/counters.h"

/* Raised when a key changes its meaning or goes away; new keys do not raise it. */
#define SCHEMA 1

static const char *const end_reasons[] = {
	[LT_END_DETACHED] = "detached",   [LT_END_EXITED] = "exited",
	[LT_END_KILLED] = "killed",       [LT_END_EXEC] = "exec",
	[LT_END_TRUNCATED] = "truncated",
};

static const char *const range_classes[LT_RANGE_CLASSES] = {
	[LT_RANGE_PLAIN] = "plain",
	[LT_RANGE_ALLOCATOR] = "allocator",
	[LT_RANGE_STACK] = "stack",
	[LT_RANGE_RESERVED] = "reserved",
};

static const char *or_null(const char *text)
{
	return text[0] ? text : NULL;
}

/* 0 says unknown in the kernel's view. */
static double or_nan(uint64_t value)
{
	return value ? (double)value : NAN;
}

static void write_target(struct lt_json *json, const struct lt_report_target *target)
{
	lt_json_open(json, "target", '{');
	lt_json_uint(json, "pid", target->pid);
	lt_json_uint(json, "ns_pid", target->ns_pid);
	lt_json_string(json, "comm", or_null(target->comm));
	lt_json_string(json, "exe", or_null(target->exe));
	lt_json_string(json, "allocator", or_null(target->allocator));
	lt_json_double(json, "parent_pid", or_nan(target->parent_pid));
	lt_json_close(json, '}');
}

static void write_parts(struct lt_json *json, const struct lt_report_memory *memory, bool explained)
{
	lt_json_open(json, explained ? "explained" : "rest", '{');
	for (int part = 0; part < LT_MEMORY_PARTS; part++)
		if (lt_memory_parts[part].explained == explained)
			lt_json_double(json, lt_memory_parts[part].name, memory->parts[part]);
	lt_json_close(json, '}');
}

static void write_memory(struct lt_json *json, const struct lt_report *report)
{
	lt_json_open(json, "memory", '{');
	lt_json_double(json, "explained_bytes", report->memory.explained);
	write_parts(json, &report->memory, true);
	lt_json_double(json, "rest_bytes", report->memory.rest);
	write_parts(json, &report->memory, false);
	lt_json_double(json, "swap_growth_bytes", report->memory.swap_growth);
	lt_json_open(json, "mapped", '{');
	for (int i = 0; i < LT_RANGE_CLASSES; i++)
		lt_json_double(json, range_classes[i],
			       report->memory.maps_tracked ? (double)report->totals.mapped_size[i]
							   : NAN);
	lt_json_close(json, '}');
	lt_json_close(json, '}');
}

static void write_counters(struct lt_json *json, const char *key, const uint64_t *counters,
			   bool notes)
{
	lt_json_open(json, key, '{');
	for (size_t i = 0; i < LT_COUNTER_COUNT; i++)
		if ((lt_counter_infos[i].class == LT_COUNTER_CLASS_NOTE) == notes)
			lt_json_uint(json, lt_counter_infos[i].name, counters[i]);
	lt_json_close(json, '}');
}

static void write_frame(struct lt_json *json, const char *key, const struct lt_report_frame *frame)
{
	lt_json_open(json, key, '{');
	if (frame->mark) {
		lt_json_string(json, "mark", frame->mark->text);
		lt_json_close(json, '}');
		return;
	}
	lt_json_string(json, "func", or_null(frame->function));
	lt_json_string(json, "file", or_null(frame->file));
	if (frame->line)
		lt_json_uint(json, "line", frame->line);
	else
		lt_json_null(json, "line");
	lt_json_string(json, "module", or_null(frame->module));
	lt_json_uint(json, "offset", frame->offset);
	lt_json_string(json, "build_id", or_null(frame->build_id));
	lt_json_bool(json, "inlined", frame->inlined);
	lt_json_close(json, '}');
}

static void write_counts(struct lt_json *json, const struct lt_report_site *site)
{
	lt_json_uint(json, "live_bytes", site->live_size);
	lt_json_uint(json, "live_count", site->live_count);
	lt_json_uint(json, "acquired_count", site->acquired_count);
	lt_json_uint(json, "acquired_bytes", site->acquired_size);
	lt_json_uint(json, "released_count", site->released_count);
	lt_json_uint(json, "released_bytes", site->released_size);
}

static void write_evidence(struct lt_json *json, const struct lt_evidence *evidence)
{
	lt_json_double(json, "growth_bytes_per_hour", evidence->growth_per_hour);
	lt_json_double(json, "growth_low", evidence->growth_low);
	lt_json_double(json, "growth_high", evidence->growth_high);
	lt_json_double(json, "window_s", evidence->window_s);
	lt_json_double(json, "survival", evidence->survival);
	lt_json_double(json, "maturity_s", evidence->maturity_s);
	lt_json_uint(json, "matured", evidence->matured);
	lt_json_uint(json, "matured_released", evidence->matured_released);
	lt_json_double(json, "p_value", evidence->p_value);
}

static void write_group(struct lt_json *json, const struct lt_report_group *group)
{
	lt_json_open(json, NULL, '{');
	lt_json_string(json, "type", or_null(group->type));
	lt_json_string(json, "relation", or_null(group->relation));
	lt_json_string(json, "what", or_null(group->what));
	lt_json_uint(json, "count", group->count);
	lt_json_open(json, "states", '[');
	for (size_t i = 0; i < group->state_count; i++) {
		lt_json_open(json, NULL, '{');
		lt_json_string(json, "state", group->states[i].name);
		lt_json_uint(json, "count", group->states[i].count);
		lt_json_close(json, '}');
	}
	lt_json_close(json, ']');
	lt_json_double(json, "oldest_age_s", group->oldest_age_s);
	lt_json_close(json, '}');
}

static void write_groups(struct lt_json *json, const struct lt_report_site *site)
{
	lt_json_open(json, "groups", '[');
	for (size_t i = 0; i < site->group_count; i++)
		write_group(json, &site->groups[i]);
	lt_json_close(json, ']');
	lt_json_uint(json, "group_rest", site->group_rest);
	if (site->finding)
		lt_json_uint(json, "finding", site->finding - 1);
	else
		lt_json_null(json, "finding");
}

static void write_site(struct lt_json *json, const struct lt_report_site *site)
{
	char id[17];

	snprintf(id, sizeof(id), "%016" PRIx64, site->stack_id);
	lt_json_open(json, NULL, '{');
	lt_json_string(json, "kind", site->kind);
	lt_json_string(json, "verdict", lt_verdict_name(site->evidence.verdict));
	lt_json_string(json, "reason", or_null(lt_reason_text(site->evidence.reason)));
	lt_json_string(json, "stack_id", id);
	write_counts(json, site);
	lt_json_uint(json, "peak_bytes", site->peak_size);
	write_evidence(json, &site->evidence);
	lt_json_double(json, "oldest_age_s", site->oldest_age_s);
	lt_json_double(json, "seconds_to_limit", site->seconds_to_limit);
	write_groups(json, site);
	lt_json_go_site(json, site);
	lt_json_bool(json, "fills", site->fills);
	lt_json_string(json, "stack_end", or_null(site->stack_end));
	lt_json_open(json, "frames", '[');
	for (size_t i = 0; i < site->frame_count; i++)
		write_frame(json, NULL, &site->frames[i]);
	lt_json_close(json, ']');
	lt_json_close(json, '}');
}

static void write_sites(struct lt_json *json, const struct lt_report *report)
{
	lt_json_open(json, "sites", '[');
	for (size_t i = 0; i < report->site_count; i++)
		write_site(json, &report->sites[i]);
	lt_json_close(json, ']');
}

/* Adds a site's counts; its sizes only if they are bytes. */
static void add_counts(struct lt_report_site *sum, const struct lt_report_site *site)
{
	bool bytes = lt_word_in_bytes(site->unit);

	sum->live_count += site->live_count;
	sum->live_size += bytes ? site->live_size : 0;
	sum->acquired_count += site->acquired_count;
	sum->acquired_size += bytes ? site->acquired_size : 0;
	sum->released_count += site->released_count;
	sum->released_size += bytes ? site->released_size : 0;
}

static void write_others(struct lt_json *json, const struct lt_report *report)
{
	struct lt_report_site sum = { 0 };

	for (size_t i = 0; i < report->other_count; i++)
		add_counts(&sum, &report->others[i]);
	lt_json_open(json, "other", '{');
	lt_json_uint(json, "sites", report->site_total - report->site_count);
	write_counts(json, &sum);
	lt_json_open(json, "kinds", '{');
	for (size_t i = 0; i < report->other_count; i++) {
		lt_json_open(json, report->others[i].kind, '{');
		write_counts(json, &report->others[i]);
		lt_json_close(json, '}');
	}
	lt_json_close(json, '}');
	lt_json_close(json, '}');
}

static void write_findings(struct lt_json *json, const struct lt_report *report)
{
	lt_json_open(json, "findings", '[');
	for (size_t i = 0; i < report->finding_count; i++) {
		const struct lt_report_finding *finding = &report->findings[i];

		lt_json_open(json, NULL, '{');
		lt_json_open(json, "sites", '[');
		for (size_t j = 0; j < finding->site_count; j++)
			lt_json_uint(json, NULL, finding->sites[j]);
		lt_json_close(json, ']');
		lt_json_double(json, "correlation", finding->correlation);
		lt_json_bool(json, "of_increases", finding->of_increases);
		if (finding->caller)
			write_frame(json, "caller", finding->caller);
		else
			lt_json_null(json, "caller");
		lt_json_close(json, '}');
	}
	lt_json_close(json, ']');
}

static void write_headroom(struct lt_json *json, const struct lt_report *report)
{
	lt_json_open(json, "headroom", '[');
	for (size_t i = 0; i < report->headroom_count; i++) {
		const struct lt_report_headroom *limit = &report->headroom[i];

		lt_json_open(json, NULL, '{');
		lt_json_string(json, "what", limit->what);
		lt_json_string(json, "limit", limit->limit);
		lt_json_string(json, "whose", limit->whose);
		lt_json_string(json, "unit", or_null(limit->unit));
		lt_json_uint(json, "used", limit->used);
		lt_json_uint(json, "max", limit->max);
		lt_json_double(json, "growth_per_hour", limit->growth_per_hour);
		lt_json_double(json, "seconds_left", limit->seconds_left);
		lt_json_close(json, '}');
	}
	lt_json_close(json, ']');
}

static void write_listing(struct lt_json *json, const char *key,
			  const struct lt_model_listing *listing)
{
	if (!listing->taken) {
		lt_json_null(json, key);
		return;
	}
	lt_json_open(json, key, '{');
	lt_json_uint(json, "listed", listing->listed);
	lt_json_uint(json, "tracked", listing->tracked);
	lt_json_uint(json, "unknown", listing->unknown);
	lt_json_uint(json, "vanished", listing->vanished);
	lt_json_uint(json, "came", listing->came);
	lt_json_uint(json, "went", listing->went);
	lt_json_uint(json, "before_attach", listing->before);
	lt_json_close(json, '}');
}

static void write_listings(struct lt_json *json, const struct lt_report *report)
{
	lt_json_open(json, "listings", '{');
	for (size_t i = LT_LISTING_NOWHERE + 1; i < LT_LISTINGS; i++)
		write_listing(json, lt_listing_names[i], &report->listings[i]);
	lt_json_close(json, '}');
}

static void write_verdicts(struct lt_json *json, const size_t *counts)
{
	lt_json_open(json, "verdicts", '{');
	for (int verdict = LT_VERDICT_LEAKING; verdict >= 0; verdict--)
		lt_json_uint(json, lt_verdict_name((enum lt_verdict)verdict), counts[verdict]);
	lt_json_close(json, '}');
}

static void write_collector(struct lt_json *json, uint64_t cpu_ns, uint64_t rss_bytes)
{
	lt_json_open(json, "collector", '{');
	lt_json_double(json, "cpu_s", or_nan(cpu_ns) / 1e9);
	lt_json_double(json, "rss_bytes", or_nan(rss_bytes));
	lt_json_close(json, '}');
}

static void write_kinds(struct lt_json *json, const struct lt_report_kind kinds[LT_KINDS])
{
	lt_json_open(json, "kinds", '{');
	for (size_t i = 0; i < LT_KINDS; i++) {
		lt_json_open(json, lt_kind_infos[i].name, '{');
		lt_json_uint(json, "sites", kinds[i].sites);
		lt_json_uint(json, "live_count", kinds[i].live_count);
		lt_json_uint(json, "live_bytes", kinds[i].live_size);
		lt_json_double(json, "leaking_per_hour", kinds[i].leaking_per_hour);
		lt_json_close(json, '}');
	}
	lt_json_close(json, '}');
}

static void write_totals(struct lt_json *json, const struct lt_report *report)
{
	const struct lt_model_totals *totals = &report->totals;

	lt_json_open(json, "totals", '{');
	lt_json_uint(json, "sites", report->site_total);
	lt_json_uint(json, "live_bytes", report->live_bytes);
	lt_json_uint(json, "live_count", totals->live_count);
	lt_json_uint(json, "acquired_count", totals->acquired_count);
	lt_json_uint(json, "released_count", totals->released_count);
	lt_json_uint(json, "unknown_released", totals->unknown_released);
	lt_json_uint(json, "repeated_released", totals->repeated_released);
	write_kinds(json, report->kinds);
	lt_json_close(json, '}');
	write_verdicts(json, report->verdict_counts);
	write_collector(json, report->collector_cpu_ns, report->collector_rss_bytes);
}

static void write_end(struct lt_json *json, const struct lt_report *report)
{
	size_t known = sizeof(end_reasons) / sizeof(end_reasons[0]);

	lt_json_open(json, "end", '{');
	lt_json_string(json, "reason",
		       report->end_reason < known ? end_reasons[report->end_reason] : NULL);
	if (report->end_reason == LT_END_EXITED && report->end_status < 0)
		lt_json_null(json, "status"); /* nobody told */
	else
		lt_json_int(json, "status", report->end_status);
	lt_json_close(json, '}');
}

void lt_export_json(const struct lt_report *report, struct lt_buf *out)
{
	struct lt_json json = { .out = out };

	lt_json_open(&json, NULL, '{');
	lt_json_string(&json, "type", "report");
	lt_json_int(&json, "schema", SCHEMA);
	lt_json_bool(&json, "final", report->final);
	lt_json_uint(&json, "sequence", report->sequence);
	lt_json_double(&json, "time", report->realtime_s);
	lt_json_double(&json, "interval_s", report->interval_s);
	lt_json_double(&json, "elapsed_s", report->elapsed_s);
	write_target(&json, &report->target);
	lt_json_double(&json, "rss_bytes", or_nan(report->rss_bytes));
	lt_json_double(&json, "rss_growth_bytes", report->rss_growth_bytes);
	lt_json_double(&json, "limit_bytes", or_nan(report->limit_bytes));
	lt_json_double(&json, "available_bytes", or_nan(report->available_bytes));
	lt_json_double(&json, "explained_ratio", report->explained_ratio);
	write_memory(&json, report);
	lt_json_runtime(&json, report);
	lt_json_double(&json, "growth_bytes_per_hour", report->growth_per_hour);
	lt_json_double(&json, "leaking_growth_bytes_per_hour", report->leaking_growth_per_hour);
	write_counters(&json, "loss", report->counters, false);
	write_counters(&json, "notes", report->counters, true);
	write_sites(&json, report);
	write_others(&json, report);
	write_findings(&json, report);
	write_headroom(&json, report);
	lt_json_bool(&json, "exhausted", report->exhausted);
	write_listings(&json, report);
	write_totals(&json, report);
	if (report->final)
		write_end(&json, report);
	lt_json_close(&json, '}');
	lt_buf_char(out, '\n');
}

static void write_process(struct lt_json *json, const struct lt_total_process *process)
{
	lt_json_open(json, NULL, '{');
	lt_json_uint(json, "pid", process->pid);
	lt_json_uint(json, "ns_pid", process->ns_pid);
	lt_json_double(json, "parent_pid", or_nan(process->parent_pid));
	lt_json_string(json, "comm", or_null(process->comm));
	lt_json_string(json, "verdict",
		       process->has_sites ? lt_verdict_name(process->verdict) : NULL);
	lt_json_uint(json, "leaking", process->leaking);
	lt_json_double(json, "rss_bytes", or_nan(process->rss_bytes));
	lt_json_uint(json, "live_bytes", process->live_bytes);
	lt_json_double(json, "growth_bytes_per_hour", process->growth_per_hour);
	lt_json_double(json, "leaking_growth_bytes_per_hour", process->leaking_growth_per_hour);
	write_kinds(json, process->kinds);
	lt_json_close(json, '}');
}

static void write_ended(struct lt_json *json, const struct lt_ended_summary *ended)
{
	lt_json_open(json, "ended", '{');
	lt_json_uint(json, "processes", ended->processes);
	lt_json_uint(json, "acquired_count", ended->acquired_count);
	lt_json_uint(json, "released_count", ended->released_count);
	lt_json_uint(json, "unknown_released", ended->unknown_released);
	lt_json_uint(json, "live_at_end_count", ended->live_at_end_count);
	lt_json_uint(json, "live_at_end_bytes", ended->live_at_end_size);
	lt_json_close(json, '}');
}

static void write_sums(struct lt_json *json, const struct lt_total *total)
{
	lt_json_uint(json, "process_count", total->process_count);
	lt_json_uint(json, "leaking_processes", total->leaking_processes);
	lt_json_uint(json, "exhausted_processes", total->exhausted_processes);
	lt_json_double(json, "rss_bytes", or_nan(total->rss_bytes));
	lt_json_double(json, "rss_growth_bytes", total->rss_growth_bytes);
	lt_json_double(json, "growth_bytes_per_hour", total->growth_per_hour);
	lt_json_double(json, "leaking_growth_bytes_per_hour", total->leaking_growth_per_hour);
	lt_json_open(json, "totals", '{');
	lt_json_uint(json, "live_bytes", total->live_bytes);
	lt_json_uint(json, "live_count", total->live_count);
	lt_json_uint(json, "acquired_count", total->acquired_count);
	lt_json_uint(json, "released_count", total->released_count);
	lt_json_uint(json, "unknown_released", total->unknown_released);
	write_kinds(json, total->kinds);
	lt_json_close(json, '}');
	write_verdicts(json, total->verdict_counts);
	write_collector(json, total->collector_cpu_ns, total->collector_rss_bytes);
}

void lt_export_json_total(const struct lt_total *total, struct lt_buf *out)
{
	struct lt_json json = { .out = out };

	lt_json_open(&json, NULL, '{');
	lt_json_string(&json, "type", "total");
	lt_json_int(&json, "schema", SCHEMA);
	lt_json_bool(&json, "final", total->final);
	lt_json_uint(&json, "sequence", total->sequence);
	lt_json_double(&json, "time", total->realtime_s);
	lt_json_double(&json, "interval_s", total->interval_s);
	lt_json_double(&json, "elapsed_s", total->elapsed_s);
	lt_json_uint(&json, "session", total->session);
	write_sums(&json, total);
	lt_json_open(&json, "processes", '[');
	for (size_t i = 0; i < total->shown_count; i++)
		write_process(&json, &total->processes[i]);
	lt_json_close(&json, ']');
	lt_json_uint(&json, "other_processes", total->process_count - total->shown_count);
	write_ended(&json, &total->ended);
	lt_json_close(&json, '}');
	lt_buf_char(out, '\n');
}
