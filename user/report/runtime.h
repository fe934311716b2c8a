/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What follows from the figures of a Go runtime (struct lt_event_runtime).  Pure. */
#ifndef LT_REPORT_RUNTIME_H
#define LT_REPORT_RUNTIME_H

#include "report/report.h"

/* From here on collections are told as frequent. */
#define LT_RUNTIME_FREQUENT 1.0 /* per second */

/* A figure as a number; NaN: unknown, and so all below. */
double lt_runtime_figure(uint64_t figure);
/* Since the attach. */
double lt_runtime_gc_per_second(const struct lt_report *report);
double lt_runtime_pause_share(const struct lt_report *report); /* of the time */
/* Of the memory limit: heap and stacks in use. */
double lt_runtime_memory_share(const struct lt_report *report);

#endif
