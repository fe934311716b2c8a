// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <string.h>

#include "export/text_look.h"
#include "export/text_parts.h"
#include "report/runtime.h"

#define NS_PER_MS 1e6

/* What go-heap must be read with; "" nothing. */
static const char *const heap_notes[] = {
	[LT_RUNTIME_HEAP_NONE] = "",
	[LT_RUNTIME_HEAP_PROFILE] = "",
	[LT_RUNTIME_HEAP_OFF] =
		"the program was linked without the heap profile: --go-probes follows spans, "
		"--go-enable-profile switches the profile on (it writes to the process)",
	[LT_RUNTIME_HEAP_SPANS] =
		"go-heap is by spans of 8 KiB and more, since the attach, charged to who first "
		"allocated in them",
	[LT_RUNTIME_HEAP_UNKNOWN] = "the heap profile was not found: go-heap is not known",
	[LT_RUNTIME_HEAP_ENABLED] =
		"the heap profile was switched on by leaktrace: it knows what was allocated since",
};

/* "heap 512 MiB in use, ": what is unknown is left out. */
static void put_bytes(struct lt_lines *lines, const char *before, uint64_t figure,
		      const char *after)
{
	if (figure != LT_UNKNOWN_FIGURE)
		lt_lines_printf(lines, "%s%s%s, ", before, BYTES(figure), after);
}

static void put_heap(struct lt_lines *lines, const struct lt_report *report)
{
	const struct lt_event_runtime *now = &report->runtime;
	double growth = lt_runtime_figure(now->heap_inuse_bytes) -
			lt_runtime_figure(report->runtime_first.heap_inuse_bytes);

	put_bytes(lines, "heap ", now->heap_inuse_bytes, " in use");
	if (!isnan(growth) && fabs(growth) > 0) {
		lt_lines_trim(lines, ", ");
		lt_lines_printf(lines, " (%s%s since the attach), ", lt_look_plus(growth),
				BYTES(growth));
	}
	put_bytes(lines, "next GC at ", now->next_gc_bytes, "");
	put_bytes(lines, "", now->heap_released_bytes, " released");
	put_bytes(lines, "stacks ", now->stacks_inuse_bytes, "");
}

static void put_goroutines(struct lt_lines *lines, const struct lt_event_runtime *now)
{
	if (now->goroutines == LT_UNKNOWN_FIGURE)
		return;
	lt_look_things(lines, "goroutine", now->goroutines);
	if (now->runtime_goroutines != LT_UNKNOWN_FIGURE && now->runtime_goroutines)
		lt_lines_printf(lines, " (+ %s of the runtime)", COUNT(now->runtime_goroutines));
	lt_lines_printf(lines, ", ");
}

/* "831 GCs, the last pause 1.2 ms, all since the attach 0.1 % of the time" */
static void put_collections(struct lt_lines *lines, const struct lt_report *report)
{
	const struct lt_event_runtime *now = &report->runtime;
	double share = lt_runtime_pause_share(report);

	if (now->gc_count == LT_UNKNOWN_FIGURE)
		return;
	lt_lines_printf(lines, "%s GC%s, ", COUNT(now->gc_count), lt_look_plural(now->gc_count));
	if (now->gc_pause_last_ns != LT_UNKNOWN_FIGURE && now->gc_count)
		lt_lines_printf(
			lines, "the last pause %s ms, ",
			lt_format_number(round((double)now->gc_pause_last_ns / NS_PER_MS * 100) /
					 100)
				.text);
	if (share > 0)
		lt_lines_printf(lines, "pauses %s of the time, ", PERCENT(share));
}

static void put_figures(struct lt_lines *lines, const struct lt_report *report)
{
	const char *version = report->runtime.version;

	lt_lines_printf(lines, "Go ");
	lt_lines_foreign(lines, version + (strncmp(version, "go", 2) ? 0 : 2));
	lt_lines_printf(lines, ": ");
	put_heap(lines, report);
	put_goroutines(lines, &report->runtime);
	put_collections(lines, report);
	lt_lines_trim(lines, ", ");
	lt_lines_end(lines, 2);
}

static bool has_leaking_goroutines(const struct lt_report *report)
{
	for (size_t i = 0; i < report->site_count; i++)
		if (!strcmp(report->sites[i].kind, "goroutine") &&
		    report->sites[i].evidence.verdict == LT_VERDICT_LEAKING)
			return true;
	return false;
}

static void put_notes(struct lt_lines *lines, const struct lt_report *report, bool verbose)
{
	const struct lt_event_runtime *now = &report->runtime;
	uint64_t unread = now->unread_goroutines;

	if (now->heap < sizeof(heap_notes) / sizeof(heap_notes[0]) && heap_notes[now->heap][0]) {
		lt_lines_printf(lines, "%s", heap_notes[now->heap]);
		lt_lines_end(lines, 2);
	}
	/* Of a library's goroutines, its own function is all that is known of who made them. */
	if (!now->probes && has_leaking_goroutines(report)) {
		lt_lines_printf(lines, "--go-probes shows whose call made the leaking goroutines, "
				       "through libraries");
		lt_lines_end(lines, 2);
	}
	if (unread && unread != LT_UNKNOWN_FIGURE) {
		lt_lines_printf(lines, "%s goroutine%s moved while %s read", COUNT(unread),
				lt_look_plural(unread), unread == 1 ? "it was" : "they were");
		lt_lines_end(lines, 2);
	}
	if (verbose && now->walk_ns && now->walk_ns != LT_UNKNOWN_FIGURE) {
		lt_lines_printf(lines, "goroutines were read within %s ms",
				lt_format_number(ceil((double)now->walk_ns / NS_PER_MS)).text);
		lt_lines_end(lines, 2);
	}
}

static void put_pressure(struct lt_lines *lines, const struct lt_report *report)
{
	double share = lt_runtime_memory_share(report), rate = lt_runtime_gc_per_second(report);
	const char *color = lt_looks[LT_VERDICT_SUSPECT].color;

	if (share >= LT_NEARLY_FULL) {
		lt_lines_color(lines, color, "memory pressure");
		lt_lines_printf(lines, ": heap and stacks use %s of the memory limit (%s)",
				PERCENT(share), BYTES(report->limit_bytes));
		lt_lines_end(lines, 2);
	}
	if (rate > LT_RUNTIME_FREQUENT) {
		lt_lines_color(lines, color, "frequent GC");
		lt_lines_printf(lines, ": %s a second since the attach",
				lt_format_number(round(rate * 10) / 10).text);
		lt_lines_end(lines, 2);
	}
}

void lt_text_runtime(struct lt_lines *lines, const struct lt_report *report, bool verbose)
{
	if (!report->has_runtime)
		return;
	put_figures(lines, report);
	put_notes(lines, report, verbose);
	put_pressure(lines, report);
}
