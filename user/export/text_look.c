// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/text_look.h"

#include <math.h>
#include <time.h>

const struct lt_look lt_looks[LT_VERDICT_LEAKING + 1] = {
	[LT_VERDICT_INSUFFICIENT_DATA] = { "too early", "2", false },
	[LT_VERDICT_STABLE] = { "stable", "32", false },
	[LT_VERDICT_WARMING] = { "WARMING", "36", true },
	[LT_VERDICT_SUSPECT] = { "SUSPECT", "1;33", true },
	[LT_VERDICT_LEAKING] = { "LEAKING", "1;31", true },
};

const char *lt_look_plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

const char *lt_look_plus(double value)
{
	return value > 0 ? "+" : "";
}

void lt_look_things(struct lt_lines *lines, const char *kind, uint64_t count)
{
	lt_lines_printf(lines, "%s %s", COUNT(count), lt_word_count(lt_word_of(kind), count));
}

void lt_look_live(struct lt_lines *lines, const char *kind, const char *unit, uint64_t size,
		  uint64_t count)
{
	if (lt_word_in_bytes(unit))
		lt_lines_printf(lines, "%s in ", BYTES(size));
	lt_look_things(lines, kind, count);
}

/* Sockets are descriptors, too: what is told beside them are the others. */
static bool is_rest_of_listing(const struct lt_report_kind kinds[LT_KINDS], size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (lt_kind_infos[i].listing != LT_LISTING_NOWHERE &&
		    lt_kind_infos[i].listing == lt_kind_infos[at].listing && kinds[i].live_count)
			return true;
	return false;
}

static void put_kind(struct lt_lines *lines, const struct lt_report_kind kinds[LT_KINDS], size_t at)
{
	const struct lt_kind_info *info = &lt_kind_infos[at];
	uint64_t count = kinds[at].live_count;

	if (is_rest_of_listing(kinds, at))
		lt_lines_printf(lines, "%s other %s", COUNT(count),
				lt_word_count(lt_word_of(info->name), count));
	else
		lt_look_live(lines, info->name, info->unit, kinds[at].live_size, count);
}

void lt_look_kinds(struct lt_lines *lines, const struct lt_report_kind kinds[LT_KINDS],
		   const char *aside)
{
	const char *separator = "";
	size_t alive = 0;

	for (size_t i = 0; i < LT_KINDS; i++)
		alive += kinds[i].live_count > 0;
	for (size_t i = 0; i < LT_KINDS; i++) {
		if (alive ? !kinds[i].live_count : i > 0)
			continue;
		lt_lines_printf(lines, "%s", separator);
		put_kind(lines, kinds, i);
		if (!i && aside[0])
			lt_lines_printf(lines, " (%s)", aside);
		separator = ", ";
	}
}

/* What fills the memory needs no name; of other bytes it must be clear that they are addresses. */
static void put_rate(struct lt_lines *lines, const struct lt_kind_info *kind, double per_hour)
{
	const struct lt_word *word = lt_word_of(kind->name);

	if (!lt_word_in_bytes(kind->unit))
		lt_lines_printf(lines, "%s %s/h", COUNT(per_hour),
				per_hour < 2 ? word->one : word->many);
	else
		lt_lines_printf(lines, "%s/h%s%s", BYTES(per_hour), kind->memory ? "" : " of ",
				kind->memory ? "" : word->many);
}

void lt_look_leaking(struct lt_lines *lines, const struct lt_report_kind kinds[LT_KINDS])
{
	const char *separator = ": ";

	for (size_t i = 0; i < LT_KINDS; i++) {
		double per_hour = round(kinds[i].leaking_per_hour);

		if (per_hour < 1)
			continue;
		lt_lines_printf(lines, "%s", separator);
		put_rate(lines, &lt_kind_infos[i], per_hour);
		separator = ", ";
	}
}

void lt_look_cost(struct lt_lines *lines, uint64_t cpu_ns, uint64_t rss_bytes, double elapsed_s)
{
	double share = cpu_ns && elapsed_s > 0 ? (double)cpu_ns / 1e9 / elapsed_s : NAN;

	if (isnan(share) && !rss_bytes)
		return;
	lt_lines_printf(lines, "leaktrace itself: ");
	if (!isnan(share))
		lt_lines_printf(lines, "%s CPU, ", PERCENT(share));
	if (rss_bytes)
		lt_lines_printf(lines, "%s of memory", BYTES(rss_bytes));
	lt_lines_trim(lines, ", ");
	lt_lines_end(lines, 2);
}

void lt_look_clock(double realtime_s, bool with_date, char text[40])
{
	time_t seconds = (time_t)realtime_s;
	struct tm parts;

	text[0] = '\0';
	if (gmtime_r(&seconds, &parts))
		strftime(text, 40, with_date ? "%FT%TZ" : "%TZ", &parts);
}
