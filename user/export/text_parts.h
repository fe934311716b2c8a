/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of a text report that have a file of their own: lines of it, in this order. */
#ifndef LT_EXPORT_TEXT_PARTS_H
#define LT_EXPORT_TEXT_PARTS_H

#include "export/text_lines.h"

/* Memory, resources, and how these stand to what the kernel says. */
void lt_text_held(struct lt_lines *lines, const struct lt_report *report, bool verbose);
/* The limits that are near, or that something leaks towards; verbose: all. */
void lt_text_headroom(struct lt_lines *lines, const struct lt_report *report, bool verbose);
/* Once a report, if code without a name is shown: what makes run times write the maps we read. */
void lt_text_how_to_name(struct lt_lines *lines, const struct lt_report *report, bool verbose);
/* Sites that grow together stand together. */
void lt_text_sites(struct lt_lines *lines, const struct lt_report *report, bool verbose);

#endif
