/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What texts of one process and of all have in common. */
#ifndef LT_EXPORT_TEXT_LOOK_H
#define LT_EXPORT_TEXT_LOOK_H

#include "base/format.h"
#include "export/text_lines.h"
#include "export/words.h"

#define BYTES(value)    lt_format_bytes((double)(value)).text
#define COUNT(value)    lt_format_count((double)(value)).text
#define DURATION(value) lt_format_duration(value).text
#define PERCENT(value)  lt_format_percent(value).text

struct lt_look {
	const char *label, *color;
	bool full; /* with evidence and stack, also when not verbose */
};

extern const struct lt_look lt_looks[LT_VERDICT_LEAKING + 1];

const char *lt_look_plural(uint64_t count); /* "" or "s" */
const char *lt_look_plus(double value);     /* "+" or "": negative numbers have their sign */
/* "1,240 blocks", "3 sockets" */
void lt_look_things(struct lt_lines *lines, const char *kind, uint64_t count);
/* "5.0 MiB in 1,240 blocks", "3 sockets" */
void lt_look_live(struct lt_lines *lines, const char *kind, const char *unit, uint64_t size,
		  uint64_t count);
/* What lives, by kind; of the first kind if nothing does.  aside: about that kind alone, "" nothing. */
void lt_look_kinds(struct lt_lines *lines, const struct lt_report_kind kinds[LT_KINDS],
		   const char *aside);
/* ": 5.0 MiB/h, 34 sockets/h, 80 GiB/h of thread stacks" */
void lt_look_leaking(struct lt_lines *lines, const struct lt_report_kind kinds[LT_KINDS]);
/* "leaktrace itself: 1.0 % CPU, 34.0 MiB of memory", as far as known; elapsed_s: of the session */
void lt_look_cost(struct lt_lines *lines, uint64_t cpu_ns, uint64_t rss_bytes, double elapsed_s);
/* Unix time as UTC: "20:55:48Z", with the date if long. */
void lt_look_clock(double realtime_s, bool with_date, char text[40]);

#endif
