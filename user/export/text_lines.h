/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines of a text report that never exceed the terminal: sentences are broken between words (but
 * not between a number and its unit), names are shortened in their middle.  Only the frames of a
 * verbose stack are whole, however long.  A line is composed by the calls below, then ended.
 */
#ifndef LT_EXPORT_TEXT_LINES_H
#define LT_EXPORT_TEXT_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "report/report.h"

struct lt_lines {
	struct lt_buf *out;
	bool color;
	unsigned int columns;
	struct lt_buf line; /* the one being composed */
};

void lt_lines_free(struct lt_lines *lines);

/* Our own words; foreign text must come through lt_lines_foreign. */
void lt_lines_printf(struct lt_lines *lines, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The same in an ANSI colour ("1;31"), where colours are wanted. */
void lt_lines_color(struct lt_lines *lines, const char *color, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void lt_lines_foreign(struct lt_lines *lines, const char *text); /* cleaned of terminal commands */
/* The same in so many columns at most, its middle left out if need be. */
void lt_lines_name(struct lt_lines *lines, const char *text, size_t columns);
void lt_lines_indent(struct lt_lines *lines, size_t columns);
bool lt_lines_fit(const struct lt_lines *lines); /* no need to break the line being composed */
void lt_lines_drop(struct lt_lines *lines);      /* ... which begins anew */
void lt_lines_trim(struct lt_lines *lines, const char *suffix);
/* Ends the line; what does not fit goes on in the next one, indented. */
void lt_lines_end(struct lt_lines *lines, size_t indent);
void lt_lines_blank(struct lt_lines *lines);

/* The first frames of a stack, one a line, in two columns: function, place. */
void lt_lines_stack(struct lt_lines *lines, const struct lt_report_site *site, size_t frames,
		    bool verbose);
/* "pool_get (pool.c:88)", "app+0x1234": one frame within a sentence. */
void lt_lines_place(struct lt_lines *lines, const struct lt_report_frame *frame);
/* Appends the top caller, or why there is none, to the line, as far as it fits, and ends it. */
void lt_lines_caller(struct lt_lines *lines, const struct lt_report_site *site);

#endif
