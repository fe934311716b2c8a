/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stack of a site of goroutines, read: what they do, where, and who made them
 * (leaktrace/marks.def).  Pure; what it gives is borrowed from the site.
 */
#ifndef LT_REPORT_GOROUTINE_H
#define LT_REPORT_GOROUTINE_H

#include "report/report.h"

/* NULL: not known. */
struct lt_goroutine {
	const struct lt_mark_info *state;
	const struct lt_report_frame *at;      /* where they are: lt_role_caller() */
	const struct lt_report_frame *within;  /* the library's that it called, if any */
	const struct lt_report_frame *created; /* who made them */
	const struct lt_report_frame *own; /* the program itself, behind all these, if it is none */
	const char *shape;                 /* what they are, for sure: report/known.h */
};

void lt_goroutine_read(const struct lt_report_site *site, struct lt_goroutine *goroutine);

#endif
