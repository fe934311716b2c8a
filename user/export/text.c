// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/utf8.h"
#include "export/caller.h"
#include "export/export.h"
#include "export/text_look.h"
#include "report/counters.h"

#define BRIEF_FRAMES 12 /* source frames of a site that are shown without verbose */

static bool in_bytes(const char *unit)
{
	return !strcmp(unit, "bytes");
}

/* Where a kind's name is not what people call one of them. */
static const struct {
	const char *kind, *thing;
} things[] = {
	{ "heap", "block" },
	{ "mmap", "mapping" },
};

/* "1,240 blocks", "3 sockets" */
static void put_things(struct lt_lines *lines, const char *kind, uint64_t count)
{
	const char *thing = kind;

	for (size_t i = 0; i < sizeof(things) / sizeof(things[0]); i++)
		if (!strcmp(kind, things[i].kind))
			thing = things[i].thing;
	lt_lines_printf(lines, "%s %s%s", COUNT(count), thing, lt_look_plural(count));
}

/* "5.0 MiB in 1,240 blocks", "3 sockets" */
static void put_live(struct lt_lines *lines, const char *kind, const char *unit, uint64_t size,
		     uint64_t count)
{
	if (in_bytes(unit))
		lt_lines_printf(lines, "%s in ", BYTES(size));
	put_things(lines, kind, count);
}

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

#define NEGLIGIBLE 0.01 /* of the largest part of a sum: said with -v only */

/* Says by name what a sum is made of, the largest first. */
static void put_parts(struct lt_lines *lines, const struct lt_report *report, bool explained,
		      bool verbose)
{
	const double *parts = report->memory.parts;
	bool told[LT_MEMORY_PARTS] = { false };
	const char *separator = ": ";
	double limit = 0;

	for (;;) {
		int largest = -1;

		for (int i = 0; i < LT_MEMORY_PARTS; i++)
			if (lt_memory_parts[i].explained == explained && !told[i] &&
			    fabs(parts[i]) > limit && /* NaN is not */
			    (largest < 0 || fabs(parts[i]) > fabs(parts[largest])))
				largest = i;
		if (largest < 0)
			return;
		if (!limit && !verbose)
			limit = fabs(parts[largest]) * NEGLIGIBLE;
		told[largest] = true;
		lt_lines_printf(lines, "%s%s%s %s", separator,
				explained ? "" : lt_look_plus(parts[largest]),
				BYTES(parts[largest]),
				parts[largest] > 0 ? lt_memory_parts[largest].gained
						   : lt_memory_parts[largest].lost);
		separator = ", ";
	}
}

/* More than blocks explains the growth. */
static bool is_split(const struct lt_report_memory *memory)
{
	return fabs(memory->parts[LT_MEMORY_MAPPINGS]) > 0 || /* NaN is not */
	       fabs(memory->parts[LT_MEMORY_STACKS]) > 0;
}

/* How the growth is explained, if there is more to it than blocks; and what is not. */
static void put_division(struct lt_lines *lines, const struct lt_report *report, bool verbose)
{
	const struct lt_report_memory *memory = &report->memory;

	if (is_split(memory)) {
		lt_lines_printf(lines, "explained, about ");
		if (report->explained_ratio <= 1)
			lt_lines_printf(lines, "%s of the growth",
					PERCENT(report->explained_ratio));
		else
			lt_lines_printf(lines, "%s%s", BYTES(memory->explained),
					report->explained_ratio > 1 ? ", more than the growth"
								    : "");
		put_parts(lines, report, true, verbose);
		lt_lines_end(lines, 2);
	}
	if (isnan(memory->rest) || !fabs(memory->rest))
		return;
	lt_lines_printf(lines, "the rest of the growth, about %s%s", lt_look_plus(memory->rest),
			BYTES(memory->rest));
	if (memory->divided)
		put_parts(lines, report, false, verbose);
	else
		lt_lines_printf(lines, ": not told apart without /proc/PID/smaps");
	if (memory->swap_growth > 0)
		lt_lines_printf(lines, "; %s were swapped out", BYTES(memory->swap_growth));
	lt_lines_end(lines, 2);
}

static void put_memory(struct lt_lines *lines, const struct lt_report *report, bool verbose)
{
	double growth = report->rss_growth_bytes, ratio = report->explained_ratio;

	if (report->rss_bytes)
		lt_lines_printf(lines, "RSS %s", BYTES(report->rss_bytes));
	if (report->rss_bytes && !isnan(growth))
		lt_lines_printf(lines, ", %s%s since the attach", lt_look_plus(growth),
				BYTES(growth));
	if (report->rss_bytes)
		lt_lines_printf(lines, "; ");
	lt_lines_printf(lines, "tracked live ");
	for (size_t i = 0; i < LT_KINDS; i++) {
		const struct lt_report_kind *live = &report->kinds[i];
		const struct lt_kind_info *kind = &lt_kind_infos[i];

		if (i && !live->live_count) /* the first one always: none is an answer, too */
			continue;
		if (i)
			lt_lines_printf(lines, ", ");
		put_live(lines, kind->name, kind->unit, live->live_size, live->live_count);
	}
	if (ratio > 1 && !is_split(&report->memory))
		lt_lines_printf(lines, ": more than the growth (reused or untouched pages)");
	else if (!isnan(ratio) && !is_split(&report->memory))
		lt_lines_printf(lines, ": %s of the growth", PERCENT(ratio));
	lt_lines_end(lines, 2);
	put_division(lines, report, verbose);
}

static void put_leaks(struct lt_lines *lines, const struct lt_report *report)
{
	size_t leaking = report->verdict_counts[LT_VERDICT_LEAKING];
	double growth = report->leaking_growth_per_hour, fills = report->leaking_memory_per_hour;

	lt_lines_color(lines, lt_looks[LT_VERDICT_LEAKING].color, "%s site%s leaking",
		       COUNT(leaking), lt_look_plural(leaking));
	if (growth > 0)
		lt_lines_printf(lines, ": %s/h", BYTES(growth));
	if (fills > 0 && report->available_bytes && report->limit_bytes)
		lt_lines_printf(lines, "; at this rate the memory limit (%s) is reached in %s",
				BYTES(report->limit_bytes),
				DURATION((double)report->available_bytes / fills * 3600));
}

static void put_headline(struct lt_lines *lines, const struct lt_report *report)
{
	size_t suspects = report->verdict_counts[LT_VERDICT_SUSPECT];

	if (report->verdict_counts[LT_VERDICT_LEAKING])
		put_leaks(lines, report);
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

/* "+5.2 MiB/h (4.9 MiB to 5.5 MiB)" */
static void put_growth(struct lt_lines *lines, const struct lt_report_site *site, bool interval)
{
	const struct lt_evidence *evidence = &site->evidence;
	bool bytes = in_bytes(site->unit);

	if (isnan(evidence->growth_per_hour))
		return;
	lt_lines_printf(lines, "  %s", lt_format_rate(evidence->growth_per_hour, bytes).text);
	if (interval && !isnan(evidence->growth_low) && !isnan(evidence->growth_high))
		lt_lines_printf(lines, " (%s to %s)",
				lt_format_size(evidence->growth_low, bytes).text,
				lt_format_size(evidence->growth_high, bytes).text);
}

static void put_header(struct lt_lines *lines, const struct lt_report_site *site, size_t rank,
		       bool full)
{
	enum lt_verdict verdict = site->evidence.verdict;

	lt_lines_printf(lines, "#%zu ", rank);
	lt_lines_color(lines, lt_looks[verdict].color, "%s", lt_looks[verdict].label);
	lt_lines_printf(lines, " %s", site->kind);
	if (full || (verdict == LT_VERDICT_INSUFFICIENT_DATA && site->evidence.growth_per_hour > 0))
		put_growth(lines, site, full);
	lt_lines_printf(lines, "  ");
	put_live(lines, site->kind, site->unit, site->live_size, site->live_count);
}

static void put_survivors(struct lt_lines *lines, const struct lt_report_site *site)
{
	const struct lt_evidence *evidence = &site->evidence;

	if (!evidence->matured || isnan(evidence->maturity_s))
		return;
	if (!evidence->matured_released && evidence->matured > 1)
		lt_lines_printf(lines, "all ");
	put_things(lines, site->kind, evidence->matured);
	lt_lines_printf(lines, " that reached %s of age", DURATION(evidence->maturity_s));
	if (evidence->window_s > 0)
		lt_lines_printf(lines, " in the last %s", DURATION(evidence->window_s));
	if (evidence->matured_released)
		lt_lines_printf(lines, ", %s of that age released; ",
				COUNT(evidence->matured_released));
	else
		lt_lines_printf(lines, " %s still alive; ", evidence->matured == 1 ? "is" : "are");
}

static void put_evidence(struct lt_lines *lines, const struct lt_report_site *site, bool verbose)
{
	const struct lt_evidence *evidence = &site->evidence;
	const char *why = lt_reason_text(evidence->reason);

	lt_lines_indent(lines, 3);
	if (evidence->verdict != LT_VERDICT_LEAKING && why[0])
		lt_lines_printf(lines, "%s; ", why);
	put_survivors(lines, site);
	if (!isnan(evidence->survival))
		lt_lines_printf(lines, "%s of allocations survive; ", PERCENT(evidence->survival));
	if (!isnan(site->oldest_age_s))
		lt_lines_printf(lines, "oldest %s; ", DURATION(site->oldest_age_s));
	if (verbose) {
		lt_lines_printf(lines, "%s acquired, %s released, peak %s; ",
				COUNT(site->acquired_count), COUNT(site->released_count),
				lt_format_size((double)site->peak_size, in_bytes(site->unit)).text);
		if (!isnan(evidence->p_value))
			lt_lines_printf(lines, "p %s; ", lt_format_number(evidence->p_value).text);
		if (isfinite(site->seconds_to_limit))
			lt_lines_printf(lines, "alone at the memory limit in %s; ",
					DURATION(site->seconds_to_limit));
		lt_lines_printf(lines, "stack %016" PRIx64 "; ", site->stack_id);
	}
	lt_lines_trim(lines, "; ");
	lt_lines_end(lines, 3);
}

static bool has_stack(const struct lt_report_site *site, bool verbose)
{
	return verbose || lt_looks[site->evidence.verdict].full;
}

static size_t shown_frames(const struct lt_report_site *site, bool verbose)
{
	return verbose || site->frame_count <= BRIEF_FRAMES ? site->frame_count : BRIEF_FRAMES;
}

static bool is_made_at_run_time(const struct lt_report_frame *frame)
{
	return !frame->function[0] && !frame->file[0] && !frame->module[0];
}

static bool shows_nameless_code(const struct lt_report_site *site, bool verbose)
{
	if (!has_stack(site, verbose))
		return site->frame_count && is_made_at_run_time(lt_caller_find(site));
	for (size_t i = 0; i < shown_frames(site, verbose); i++)
		if (is_made_at_run_time(&site->frames[i]))
			return true;
	return false;
}

/* Once a report: what makes the run times write the perf maps that we read. */
static void put_how_to_name(struct lt_lines *lines, const struct lt_report *report, bool verbose)
{
	for (size_t i = 0; i < report->site_count; i++) {
		if (!shows_nameless_code(&report->sites[i], verbose))
			continue;
		lt_lines_printf(lines,
				"code made at run time has no names: jcmd %" PRIu32
				" Compiler.perfmap (Java), node --perf-basic-prof, python3 -X perf",
				report->target.pid);
		lt_lines_end(lines, 2);
		return;
	}
}

static void put_site(struct lt_lines *lines, const struct lt_report_site *site, size_t rank,
		     bool verbose)
{
	if (!has_stack(site, verbose)) {
		put_header(lines, site, rank, false);
		lt_lines_caller(lines, site);
		return;
	}
	lt_lines_blank(lines);
	put_header(lines, site, rank, true);
	lt_lines_end(lines, 3);
	put_evidence(lines, site, verbose);
	lt_lines_stack(lines, site, shown_frames(site, verbose), verbose);
}

static void put_sites(struct lt_lines *lines, const struct lt_report *report, bool verbose)
{
	bool brief = false;

	for (size_t i = 0; i < report->site_count; i++) {
		bool full = has_stack(&report->sites[i], verbose);

		if (!full && !brief) /* one blank line before the block of one-liners */
			lt_lines_blank(lines);
		brief = !full;
		put_site(lines, &report->sites[i], i + 1, verbose);
	}
	if (report->site_total > report->site_count) {
		size_t more = report->site_total - report->site_count;

		lt_lines_printf(lines, "… %s more site%s (--top shows more)", COUNT(more),
				lt_look_plural(more));
		lt_lines_end(lines, 2);
	}
}

static void put_cost(struct lt_lines *lines, const struct lt_report *report)
{
	double share = report->collector_cpu_ns && report->elapsed_s > 0
			       ? (double)report->collector_cpu_ns / 1e9 / report->elapsed_s
			       : NAN;

	if (isnan(share) && !report->collector_rss_bytes)
		return;
	lt_lines_printf(lines, "leaktrace itself: ");
	if (!isnan(share))
		lt_lines_printf(lines, "%s CPU, ", PERCENT(share));
	if (report->collector_rss_bytes)
		lt_lines_printf(lines, "%s of memory", BYTES(report->collector_rss_bytes));
	lt_lines_trim(lines, ", ");
	lt_lines_end(lines, 2);
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

	if (report->end_reason < sizeof(ends) / sizeof(ends[0])) {
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
		lt_lines_printf(lines, "; %s release%s of memory not acquired since the attach",
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
	put_memory(&lines, report, style->verbose);
	put_headline(&lines, report);
	put_losses(&lines, report, style->verbose);
	put_how_to_name(&lines, report, style->verbose);
	put_sites(&lines, report, style->verbose);
	if (report->final) {
		put_summary(&lines, report);
		put_end(&lines, report);
	}
	if (report->final || style->verbose)
		put_cost(&lines, report);
	lt_lines_blank(&lines);
	lt_lines_free(&lines);
}
