// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "export/text_look.h"
#include "export/text_parts.h"

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
	       fabs(memory->parts[LT_MEMORY_STACKS]) > 0 ||
	       fabs(memory->parts[LT_MEMORY_GO_HEAP]) > 0 ||
	       fabs(memory->parts[LT_MEMORY_GO_STACKS]) > 0;
}

/* How the growth is explained, if there is more to it than blocks; and what is not. */
static void put_division(struct lt_lines *lines, const struct lt_report *report, bool verbose)
{
	const struct lt_report_memory *memory = &report->memory;

	if (is_split(memory)) {
		lt_lines_printf(lines, "explained, about ");
		if (report->explained_ratio >= 0 && report->explained_ratio <= 1)
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

/* What blocks explain, if nothing else does. */
static void put_alive(struct lt_lines *lines, const struct lt_report *report)
{
	double ratio = report->explained_ratio;
	char share[80] = "";

	if (!is_split(&report->memory) && ratio <= 1)
		snprintf(share, sizeof(share), "%s of the growth", PERCENT(ratio));
	else if (!is_split(&report->memory) && ratio > 1)
		snprintf(share, sizeof(share), "more than the growth: reused or untouched pages");
	lt_lines_printf(lines, "tracked live ");
	lt_look_kinds(lines, report->kinds, share);
}

static void put_memory(struct lt_lines *lines, const struct lt_report *report)
{
	double growth = report->rss_growth_bytes;

	if (report->rss_bytes)
		lt_lines_printf(lines, "RSS %s", BYTES(report->rss_bytes));
	if (report->rss_bytes && !isnan(growth))
		lt_lines_printf(lines, ", %s%s since the attach", lt_look_plus(growth),
				BYTES(growth));
	if (report->rss_bytes)
		lt_lines_printf(lines, "; ");
	put_alive(lines, report);
	lt_lines_end(lines, 2);
}

/* A listing and what is alive here of its kinds. */
struct look {
	const struct lt_model_listing *listing;
	uint64_t alive;
	/* Listed and not alive here then, or else below 0, and in no other difference: it came or
	   went as the kernel was asked, so that nobody can tell. */
	int64_t meanwhile;
	bool over; /* the process has ended: the latest look may be an interval older than that */
};

static bool is_over(const struct lt_report *report)
{
	return report->final && report->end_reason != LT_END_DETACHED;
}

static struct look look_at(const struct lt_report *report, size_t which)
{
	struct look look = { .listing = &report->listings[which], .over = is_over(report) };

	for (size_t i = 0; i < LT_KINDS; i++)
		if (lt_kind_infos[i].listing == which)
			look.alive += report->kinds[i].live_count;
	look.meanwhile = (int64_t)(look.listing->listed - look.listing->unknown +
				   look.listing->vanished - look.listing->tracked);
	return look;
}

static bool agrees(const struct look *look)
{
	return !look->listing->unknown && !look->listing->vanished && !look->meanwhile;
}

/* Something came or went since the look. */
static bool has_moved(const struct look *look)
{
	return look->alive != look->listing->tracked && !look->over;
}

static bool was_mended(const struct look *look)
{
	return look->listing->came || look->listing->went;
}

/* " (31 from before the attach; 513 listed by the kernel just before)" */
static void put_aside(struct lt_lines *lines, const struct look *look)
{
	uint64_t before = look->listing->before;
	bool moved = has_moved(look);

	if (!before && !moved)
		return;
	lt_lines_printf(lines, " (");
	if (before && before < look->alive)
		lt_lines_printf(lines, "%s from before the attach", COUNT(before));
	else if (before)
		lt_lines_printf(lines, "%sfrom before the attach", before > 1 ? "all " : "");
	if (moved)
		lt_lines_printf(lines, "%s%s listed by the kernel just before", before ? "; " : "",
				COUNT(look->listing->listed));
	lt_lines_printf(lines, ")");
}

/* ", 2 more that the kernel lists and 1 that it does not" */
static void put_sides(struct lt_lines *lines, uint64_t more, uint64_t fewer)
{
	lt_lines_printf(lines, ", ");
	if (more)
		lt_lines_printf(lines, "%s more that the kernel lists", COUNT(more));
	if (fewer)
		lt_lines_printf(lines, "%s%s that %s", more ? " and " : "", COUNT(fewer),
				more ? "it does not" : "the kernel does not list");
}

static void put_difference(struct lt_lines *lines, const struct look *look, bool final)
{
	const struct lt_model_listing *listing = look->listing;
	uint64_t sum = listing->unknown + listing->vanished;
	uint64_t more = look->meanwhile > 0 ? (uint64_t)look->meanwhile : 0;
	uint64_t fewer = look->meanwhile < 0 ? -(uint64_t)look->meanwhile : 0;

	if (sum)
		put_sides(lines, listing->unknown, listing->vanished);
	if (sum && final)
		lt_lines_printf(lines, " came too late for another look");
	else if (sum)
		lt_lines_printf(lines, " %s looked at again", sum == 1 ? "is" : "are");
	if (!look->meanwhile)
		return;
	put_sides(lines, more, fewer);
	lt_lines_printf(lines, " came or went meanwhile");
}

/* ", 3 that came and 1 that went unseen were set right" */
static void put_mended(struct lt_lines *lines, const struct lt_model_listing *listing)
{
	uint64_t sum = listing->came + listing->went;

	lt_lines_printf(lines, ", ");
	if (listing->came)
		lt_lines_printf(lines, "%s that came%s", COUNT(listing->came),
				listing->went ? " and " : "");
	if (listing->went)
		lt_lines_printf(lines, "%s that went", COUNT(listing->went));
	lt_lines_printf(lines, " unseen %s set right", sum == 1 ? "was" : "were");
}

static const char as_listed[] = ", as the kernel listed them";

static void put_standing(struct lt_lines *lines, const struct look *look, bool final)
{
	if (!agrees(look) && !look->over)
		put_difference(lines, look, final);
	else if (!has_moved(look) && !look->over)
		lt_lines_printf(lines, "%s", as_listed);
	if (was_mended(look))
		put_mended(lines, look->listing);
}

/* Nothing is to be said but that the kernel says the same; of what is over, not even that. */
static bool is_plain(const struct look *look)
{
	return look->over ? !was_mended(look)
			  : agrees(look) && !was_mended(look) && !has_moved(look);
}

/* The kernel knows nothing of goroutines. */
static bool is_told(const struct look *look, size_t which)
{
	return look->listing->taken && which != LT_LISTING_GOROUTINES;
}

/* How what is tracked stands to what the kernel lists: equal, or each difference by name. */
static void put_listings(struct lt_lines *lines, const struct lt_report *report)
{
	struct look looks[LT_LISTINGS];
	bool equal = true; /* all of them: said once */
	size_t told = 0;

	for (size_t i = LT_LISTING_NOWHERE + 1; i < LT_LISTINGS; i++) {
		looks[i] = look_at(report, i);
		if (is_told(&looks[i], i) && !is_plain(&looks[i]))
			equal = false;
	}
	for (size_t i = LT_LISTING_NOWHERE + 1; i < LT_LISTINGS; i++) {
		if (!is_told(&looks[i], i))
			continue;
		lt_lines_printf(lines, "%s%s %s",
				!told++ ? ""
				: equal ? " and "
					: "; ",
				lt_listing_names[i], COUNT(looks[i].alive));
		put_aside(lines, &looks[i]);
		if (!equal)
			put_standing(lines, &looks[i], report->final);
	}
	if (!told)
		return;
	lt_lines_printf(lines, "%s", equal && !is_over(report) ? as_listed : "");
	lt_lines_end(lines, 2);
}

void lt_text_held(struct lt_lines *lines, const struct lt_report *report, bool verbose)
{
	put_memory(lines, report);
	put_division(lines, report, verbose);
	put_listings(lines, report);
}

#define NEARLY_FULL 0.75 /* from here on a limit is told though nothing leaks towards it */

/* Of memory the headline tells it. */
static bool is_approached(const struct lt_report_headroom *limit)
{
	return isfinite(limit->seconds_left) && !lt_word_in_bytes(limit->unit);
}

static double used_share(const struct lt_report_headroom *limit)
{
	return limit->max ? (double)limit->used / (double)limit->max : NAN;
}

/* Of the limits of one thing the nearest comes first: what leaks meets that one before the others. */
static bool has_nearer(const struct lt_report *report, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (is_approached(&report->headroom[i]) &&
		    !strcmp(report->headroom[i].what, report->headroom[at].what))
			return true;
	return false;
}

static void put_limit(struct lt_lines *lines, const struct lt_report_headroom *limit)
{
	bool bytes = lt_word_in_bytes(limit->unit), full = limit->used >= limit->max;

	lt_lines_color(lines, is_approached(limit) ? lt_looks[LT_VERDICT_LEAKING].color : "",
		       "%s %s of %s", limit->what, lt_format_size((double)limit->used, bytes).text,
		       lt_format_size((double)limit->max, bytes).text);
	lt_lines_printf(lines, ", %s (%s %s)", PERCENT(used_share(limit)), limit->limit,
			limit->whose);
	if (full)
		lt_lines_printf(lines, ": full");
	else if (is_approached(limit))
		lt_lines_printf(lines, ": full in %s at this rate", DURATION(limit->seconds_left));
	lt_lines_end(lines, 2);
}

void lt_text_headroom(struct lt_lines *lines, const struct lt_report *report, bool verbose)
{
	for (size_t i = 0; i < report->headroom_count; i++) {
		const struct lt_report_headroom *limit = &report->headroom[i];

		if (verbose || used_share(limit) >= NEARLY_FULL ||
		    (is_approached(limit) && !has_nearer(report, i)))
			put_limit(lines, limit);
	}
}
