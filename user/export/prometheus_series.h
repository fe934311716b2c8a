/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the Prometheus exposition share.  A family is written once, then its series:
 * lt_prom_begin, any labels, lt_prom_end.
 */
#ifndef LT_EXPORT_PROMETHEUS_SERIES_H
#define LT_EXPORT_PROMETHEUS_SERIES_H

#include "base/buf.h"
#include "report/total.h"

/* One process of the exposition. */
struct lt_prom_process {
	const struct lt_report *report;
	struct lt_report_site *sites; /* owned; distinct */
	size_t site_count;
};

/* Everything that one file is made from. */
struct lt_prom {
	struct lt_buf *out;
	struct lt_prom_process *processes;
	size_t count;
	const struct lt_total *total; /* NULL: of one process */
};

void lt_prom_family(struct lt_buf *out, const char *name, const char *type, const char *help);
/* The series' name and its first label. */
void lt_prom_begin(struct lt_buf *out, const char *name, const struct lt_report *report);
void lt_prom_label(struct lt_buf *out, const char *name, const char *value);
void lt_prom_end(struct lt_buf *out, double value);

/* All families of the Go runtime (prometheus_go.c); none if no process has one. */
void lt_prom_go(const struct lt_prom *all);
/* All families of sites (prometheus_sites.c). */
void lt_prom_sites(const struct lt_prom *all);
/* Copies the report's sites, those of one name folded into one; how many are left. */
size_t lt_prom_distinct(const struct lt_report *report, struct lt_report_site *sites);

#endif
