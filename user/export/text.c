// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "export/export.h"
#include "export/text_look.h"
#include "export/text_parts.h"
#include "report/counters.h"

/* What the title tells besides the name, least needed first: dropped where there is no room. */
enum title_detail { TITLE_ALLOCATOR, TITLE_CLOCK, TITLE_PARENT, TITLE_NAMESPACE, TITLE_BARE };

static void compose_title(struct lt_lines *lines, const struct lt_report *report, const char *when,
			  enum title_detail from)
{
	const struct lt_report_target *target = &report->target;

	lt_lines_color(lines, "1", "leaktrace ");
	lt_lines_foreign(lines, target->comm);
	lt_lines_printf(lines, " (pid %" PRIu32, target->pid);
	if (target->ns_pid && target->ns_pid != target->pid)
		lt_lines_printf(lines, ", %" PRIu32 " inside%s", target->ns_pid,
				from <= TITLE_NAMESPACE ? " its namespace" : "");
	if (from <= TITLE_PARENT && target->parent_pid)
		lt_lines_printf(lines, ", child of %" PRIu32, target->parent_pid);
	if (from <= TITLE_ALLOCATOR && target->allocator[0]) {
		lt_lines_printf(lines, ", ");
		lt_lines_foreign(lines, target->allocator);
	}
	lt_lines_printf(lines, ")  %sreport %u after %s", report->final ? "final " : "",
			report->sequence, DURATION(report->elapsed_s));
	if (from <= TITLE_CLOCK)
		lt_lines_printf(lines, "  %s", when);
}

static void put_title(struct lt_lines *lines, const struct lt_report *report, bool verbose)
{
	enum title_detail from = TITLE_ALLOCATOR;
	char when[40];

	lt_look_clock(report->realtime_s, verbose, when);
	compose_title(lines, report, when, from);
	while (!lt_lines_fit(lines) && from < TITLE_BARE) {
		lt_lines_drop(lines);
		compose_title(lines, report, when, ++from);
	}
	lt_lines_end(lines, 2);
}

static void put_leaks(struct lt_lines *lines, const struct lt_report *report)
{
	size_t leaking = report->verdict_counts[LT_VERDICT_LEAKING];
	double fills = report->leaking_memory_per_hour;

	lt_lines_color(lines, lt_looks[LT_VERDICT_LEAKING].color, "%s site%s leaking",
		       COUNT(leaking), lt_look_plural(leaking));
	lt_look_leaking(lines, report->kinds);
	if (fills > 0 && report->available_bytes && report->limit_bytes)
		lt_lines_printf(lines, "; at this rate the memory limit (%s) is reached in %s",
				BYTES(report->limit_bytes),
				DURATION((double)report->available_bytes / fills * 3600));
}

/* Of a process at its limit, nothing is known of what would grow: the headroom says which ones. */
static void put_exhausted(struct lt_lines *lines, const struct lt_report *report)
{
	const char *separator = "nothing can grow: ";

	for (size_t i = 0; i < report->headroom_count; i++) {
		const struct lt_report_headroom *limit = &report->headroom[i];

		if (lt_word_in_bytes(limit->unit) || limit->used < limit->max)
			continue;
		lt_lines_printf(lines, "%s", separator);
		lt_lines_color(lines, lt_looks[LT_VERDICT_SUSPECT].color, "%s are at their limit",
			       limit->what);
		lt_lines_printf(lines, " (%s of %s)", COUNT(limit->used), COUNT(limit->max));
		separator = ", ";
	}
}

static void put_headline(struct lt_lines *lines, const struct lt_report *report)
{
	size_t suspects = report->verdict_counts[LT_VERDICT_SUSPECT];

	if (report->verdict_counts[LT_VERDICT_LEAKING])
		put_leaks(lines, report);
	else if (report->exhausted)
		put_exhausted(lines, report);
	else if (!suspects && report->elapsed_s < LT_HISTORY_POINTS && report->final)
		lt_lines_printf(lines, "no verdict: watched for less than %d s", LT_HISTORY_POINTS);
	else if (!suspects && report->elapsed_s < LT_HISTORY_POINTS)
		lt_lines_printf(lines, "watching: first verdicts after %d s", LT_HISTORY_POINTS);
	else
		lt_lines_color(lines, suspects ? "" : lt_looks[LT_VERDICT_STABLE].color,
			       report->final ? "no leak found" : "no leak found so far");
	if (suspects)
		lt_lines_printf(lines, "; %s suspect%s", COUNT(suspects), lt_look_plural(suspects));
	lt_lines_end(lines, 2);
}

static void put_losses(struct lt_lines *lines, const struct lt_report *report, bool verbose)
{
	const char *released = report->verdict_counts[LT_VERDICT_LEAKING]
				       ? " → live sizes may be too large"
				       : " → no site can be called leaking";
	const struct {
		const char *label, *color, *consequence;
	} classes[] = {
		[LT_COUNTER_CLASS_RELEASE] = { "LOSS", "1;35", released },
		[LT_COUNTER_CLASS_MAPPING] = { "LOSS", "1;35",
					       " → no mapping can be called leaking" },
		[LT_COUNTER_CLASS_ACQUIRE] = { "LOSS", "1;35", " → live sizes may be too small" },
		[LT_COUNTER_CLASS_DETAIL] = { "incomplete", "35", "; counts are exact" },
		[LT_COUNTER_CLASS_NOTE] = { "note", "2", "" },
	};

	for (size_t i = 0; i < LT_COUNTER_COUNT; i++) {
		enum lt_counter_class class = lt_counter_infos[i].class;

		if (!report->counters[i] || (class == LT_COUNTER_CLASS_NOTE && !verbose))
			continue;
		lt_lines_color(lines, classes[class].color, "%s:", classes[class].label);
		lt_lines_printf(lines, " %s %s%s", COUNT(report->counters[i]),
				lt_counter_infos[i].help, classes[class].consequence);
		lt_lines_end(lines, 2);
	}
}

static void put_end(struct lt_lines *lines, const struct lt_report *report)
{
	static const struct {
		const char *text;
		bool status;
	} ends[] = {
		[LT_END_DETACHED] = { "detached; the target goes on", false },
		[LT_END_EXITED] = { "the target exited with status ", true },
		[LT_END_KILLED] = { "the target was killed by signal ", true },
		[LT_END_EXEC] = { "the target replaced its image by exec", false },
		[LT_END_TRUNCATED] = { "the recording stops here without an end", false },
	};

	if (report->end_reason == LT_END_EXITED && report->end_status < 0) { /* nobody told */
		lt_lines_printf(lines, "ended: the target is gone");
		lt_lines_end(lines, 2);
	} else if (report->end_reason < sizeof(ends) / sizeof(ends[0])) {
		lt_lines_printf(lines, "ended: %s", ends[report->end_reason].text);
		if (ends[report->end_reason].status)
			lt_lines_printf(lines, "%" PRId32, report->end_status);
		lt_lines_end(lines, 2);
	}
}

static void put_summary(struct lt_lines *lines, const struct lt_report *report)
{
	const struct lt_model_totals *totals = &report->totals;
	const char *separator = ": ";

	lt_lines_blank(lines);
	lt_lines_printf(lines, "summary: watched %s; %s site%s", DURATION(report->elapsed_s),
			COUNT(report->site_total), lt_look_plural(report->site_total));
	for (int verdict = LT_VERDICT_LEAKING; verdict >= 0; verdict--) {
		if (!report->verdict_counts[verdict])
			continue;
		lt_lines_printf(lines, "%s%s %s", separator, COUNT(report->verdict_counts[verdict]),
				lt_verdict_name((enum lt_verdict)verdict));
		separator = ", ";
	}
	lt_lines_end(lines, 2);
	lt_lines_printf(lines, "%s acquired, %s released, %s alive", COUNT(totals->acquired_count),
			COUNT(totals->released_count), COUNT(totals->live_count));
	if (totals->unknown_released)
		lt_lines_printf(lines, "; %s release%s of resources not acquired since the attach",
				COUNT(totals->unknown_released),
				lt_look_plural(totals->unknown_released));
	lt_lines_end(lines, 2);
}

void lt_export_text(const struct lt_report *report, const struct lt_text_style *style,
		    struct lt_buf *out)
{
	struct lt_lines lines = { .out = out,
				  .color = style->color,
				  .columns = style->columns < 80 ? 80 : style->columns };

	put_title(&lines, report, style->verbose);
	lt_text_held(&lines, report, style->verbose);
	lt_text_runtime(&lines, report, style->verbose);
	put_headline(&lines, report);
	lt_text_headroom(&lines, report, style->verbose);
	put_losses(&lines, report, style->verbose);
	lt_text_how_to_name(&lines, report, style->verbose);
	lt_text_sites(&lines, report, style->verbose);
	if (report->final) {
		put_summary(&lines, report);
		put_end(&lines, report);
	}
	/* The cost of the whole session, which is older than a child of the target. */
	if (!style->several && (report->final || style->verbose))
		lt_look_cost(&lines, report->collector_cpu_ns, report->collector_rss_bytes,
			     report->elapsed_s);
	lt_lines_blank(&lines);
	lt_lines_free(&lines);
}
