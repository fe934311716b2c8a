/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of a text report that have a file of their own: lines of it, in this order. */
#ifndef LT_EXPORT_TEXT_PARTS_H
#define LT_EXPORT_TEXT_PARTS_H

#include "export/text_lines.h"

/* Memory, resources, and how these stand to what the kernel says. */
void lt_text_held(struct lt_lines *lines, const struct lt_report *report, bool verbose);
/* Of a Go program: what its runtime says of itself, and what that means. */
void lt_text_runtime(struct lt_lines *lines, const struct lt_report *report, bool verbose);
/* The limits that are near, or that something leaks towards; verbose: all. */
void lt_text_headroom(struct lt_lines *lines, const struct lt_report *report, bool verbose);
/* Once a report, if code without a name is shown: what makes run times write the maps we read. */
void lt_text_how_to_name(struct lt_lines *lines, const struct lt_report *report, bool verbose);
/*
 * Sites whose stack is told in words: "1,000 goroutines blocked in chan receive at main.serve
 * (main.go:23), created at main.main (main.go:21), oldest ≥ 14 min", as lines of their own.
 */
bool lt_text_has_sentence(const struct lt_report_site *site);
void lt_text_sentence(struct lt_lines *lines, const struct lt_report_site *site);
/* Of goroutines, " in chan receive"; of all else nothing. */
void lt_text_state(struct lt_lines *lines, const struct lt_report_site *site);
/* Sites that grow together stand together. */
void lt_text_sites(struct lt_lines *lines, const struct lt_report *report, bool verbose);

#endif
