// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <math.h>

#include "export/export.h"
#include "export/text_look.h"

#define VERDICT_COLUMN 9
#define NAME_COLUMN    56                    /* where the names of processes begin */
#define ROW_FORMAT     " %5s %8s %11s %8s  " /* from the leaks to there */

static void put_title(struct lt_lines *lines, const struct lt_total *total, bool verbose)
{
	char when[40];

	lt_look_clock(total->realtime_s, verbose, when);
	lt_lines_color(lines, "1", "leaktrace");
	lt_lines_printf(lines, " total of %s process%s  %sreport %u after %s  %s",
			COUNT(total->process_count), total->process_count == 1 ? "" : "es",
			total->final ? "final " : "", total->sequence, DURATION(total->elapsed_s),
			when);
	lt_lines_end(lines, 2);
}

static void put_memory(struct lt_lines *lines, const struct lt_total *total)
{
	if (total->rss_bytes) {
		lt_lines_printf(lines, "RSS %s", BYTES(total->rss_bytes));
		if (!isnan(total->rss_growth_bytes))
			lt_lines_printf(lines, ", %s%s since the attach",
					lt_look_plus(total->rss_growth_bytes),
					BYTES(total->rss_growth_bytes));
		if (total->process_count > 1)
			lt_lines_printf(lines, " (what processes share counts in each)");
		lt_lines_printf(lines, "; ");
	}
	lt_lines_printf(lines, "tracked live ");
	lt_look_kinds(lines, total->kinds, "");
	lt_lines_end(lines, 2);
}

static void put_headline(struct lt_lines *lines, const struct lt_total *total)
{
	size_t leaking = total->verdict_counts[LT_VERDICT_LEAKING];
	size_t suspects = total->verdict_counts[LT_VERDICT_SUSPECT];

	if (leaking) {
		lt_lines_color(lines, lt_looks[LT_VERDICT_LEAKING].color, "%s site%s leaking",
			       COUNT(leaking), lt_look_plural(leaking));
		lt_lines_printf(lines, " in %s process%s", COUNT(total->leaking_processes),
				total->leaking_processes == 1 ? "" : "es");
		lt_look_leaking(lines, total->kinds);
	} else if (total->exhausted_processes) {
		lt_lines_color(lines, lt_looks[LT_VERDICT_SUSPECT].color, "%s process%s at a limit",
			       COUNT(total->exhausted_processes),
			       total->exhausted_processes == 1 ? " is" : "es are");
		lt_lines_printf(lines, ": nothing can grow there");
	} else if (!suspects && total->elapsed_s < LT_HISTORY_POINTS) {
		lt_lines_printf(lines,
				total->final ? "no verdict: watched for less than %d s"
					     : "watching: first verdicts after %d s",
				LT_HISTORY_POINTS);
	} else {
		lt_lines_color(lines, suspects ? "" : lt_looks[LT_VERDICT_STABLE].color,
			       total->final ? "no leak found" : "no leak found so far");
	}
	if (suspects)
		lt_lines_printf(lines, "; %s suspect%s", COUNT(suspects), lt_look_plural(suspects));
	lt_lines_end(lines, 2);
}

/* What a name has beside it, least needed first: dropped where a row has no room. */
enum name_detail { NAME_PARENT, NAME_NAMESPACE, NAME_BARE };

static void compose_row(struct lt_lines *lines, const struct lt_total_process *process,
			enum name_detail from)
{
	const struct lt_look *look = &lt_looks[process->verdict];

	lt_lines_printf(lines, "%7" PRIu32 "  ", process->pid);
	if (process->has_sites)
		lt_lines_color(lines, look->color, "%-9s", look->label);
	else
		lt_lines_printf(lines, "%-9s", "-");
	lt_lines_printf(lines, ROW_FORMAT, COUNT(process->leaking), BYTES(process->live_bytes),
			isnan(process->growth_per_hour)
				? "-"
				: lt_format_rate(process->growth_per_hour, true).text,
			process->rss_bytes ? BYTES(process->rss_bytes) : "-");
	lt_lines_foreign(lines, process->comm);
	if (from <= NAME_NAMESPACE && process->ns_pid && process->ns_pid != process->pid)
		lt_lines_printf(lines, ", %" PRIu32 " inside", process->ns_pid);
	if (from <= NAME_PARENT && process->parent_pid)
		lt_lines_printf(lines, ", child of %" PRIu32, process->parent_pid);
}

/* Of what has no place in the columns, which are of memory. */
static bool leaks_others(const struct lt_total_process *process)
{
	for (size_t i = 0; i < LT_KINDS; i++)
		if (!lt_kind_infos[i].memory && round(process->kinds[i].leaking_per_hour) >= 1)
			return true;
	return false;
}

static void put_process(struct lt_lines *lines, const struct lt_total_process *process)
{
	enum name_detail from = NAME_PARENT;

	compose_row(lines, process, from);
	while (!lt_lines_fit(lines) && from < NAME_BARE) {
		lt_lines_drop(lines);
		compose_row(lines, process, ++from);
	}
	lt_lines_end(lines, NAME_COLUMN);
	if (!leaks_others(process))
		return;
	lt_lines_indent(lines, VERDICT_COLUMN);
	lt_lines_printf(lines, "leaking");
	lt_look_leaking(lines, process->kinds);
	lt_lines_end(lines, VERDICT_COLUMN);
}

static void put_processes(struct lt_lines *lines, const struct lt_total *total)
{
	size_t more = total->process_count - total->shown_count;

	if (!total->shown_count)
		return;
	lt_lines_blank(lines);
	lt_lines_printf(lines, "%7s  %-9s" ROW_FORMAT "%s", "pid", "verdict", "leaks", "live",
			"growth", "RSS", "process");
	lt_lines_end(lines, NAME_COLUMN);
	for (size_t i = 0; i < total->shown_count; i++)
		put_process(lines, &total->processes[i]);
	if (more) {
		lt_lines_printf(lines, "… %s more process%s (--top shows more)", COUNT(more),
				more == 1 ? "" : "es");
		lt_lines_end(lines, 2);
	}
}

static void put_ended(struct lt_lines *lines, const struct lt_ended_summary *ended)
{
	if (!ended->processes)
		return;
	lt_lines_printf(lines, "%s more process%s ended: %s acquired, %s released",
			COUNT(ended->processes), ended->processes == 1 ? "" : "es",
			COUNT(ended->acquired_count), COUNT(ended->released_count));
	if (ended->live_at_end_count)
		lt_lines_printf(lines, ", %s still held when they ended",
				COUNT(ended->live_at_end_count));
	if (ended->live_at_end_size)
		lt_lines_printf(lines, " (%s of memory)", BYTES(ended->live_at_end_size));
	lt_lines_end(lines, 2);
}

void lt_export_text_total(const struct lt_total *total, const struct lt_text_style *style,
			  struct lt_buf *out)
{
	struct lt_lines lines = { .out = out,
				  .color = style->color,
				  .columns = style->columns < 80 ? 80 : style->columns };

	put_title(&lines, total, style->verbose);
	put_memory(&lines, total);
	put_headline(&lines, total);
	put_processes(&lines, total);
	put_ended(&lines, &total->ended);
	if (total->final || style->verbose)
		lt_look_cost(&lines, total->collector_cpu_ns, total->collector_rss_bytes,
			     total->elapsed_s);
	lt_lines_blank(&lines);
	lt_lines_free(&lines);
}
