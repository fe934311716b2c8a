/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one frame that stands for a site where there is room for one only: the code that a person
 * would recognise, not the library that it asked for memory, a socket or a thread.
 */
#ifndef LT_EXPORT_CALLER_H
#define LT_EXPORT_CALLER_H

#include "base/buf.h"
#include "report/report.h"

/* One of the site's frames, maybe without a name; NULL when it has none. */
const struct lt_report_frame *lt_caller_find(const struct lt_report_site *site);
/* The last part of a path. */
const char *lt_caller_base_name(const char *path);
/* "module+0x1234", "0x7f0000001234" outside any file: clean text; wide: the module's whole path. */
void lt_caller_address(struct lt_buf *out, const struct lt_report_frame *frame, bool wide);

#endif
