/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reports → formats.  Each exporter renders an immutable report into a buffer: pure, deterministic,
 * locale-independent.  Writing where it belongs is user/export/output.h.
 */
#ifndef LT_EXPORT_EXPORT_H
#define LT_EXPORT_EXPORT_H

#include "base/buf.h"
#include "report/total.h"

struct lt_text_style {
	bool color;
	bool verbose; /* all frames, all evidence, build-ids */
	bool several; /* there are or were other processes: what is of all is in the total */
	unsigned int columns; /* terminal width; at least 80 */
};

void lt_export_text(const struct lt_report *report, const struct lt_text_style *style,
		    struct lt_buf *out);
void lt_export_text_total(const struct lt_total *total, const struct lt_text_style *style,
			  struct lt_buf *out);
/* One JSON object and a newline: docs/REPORT_SCHEMA.md. */
void lt_export_json(const struct lt_report *report, struct lt_buf *out);
void lt_export_json_total(const struct lt_total *total, struct lt_buf *out);
/* Prometheus text exposition format 0.0.4, for node_exporter's textfile collector. */
void lt_export_prometheus(const struct lt_report *report, struct lt_buf *out);
/*
 * The same of several processes in one file, each family once.  Of several reports with one pid (an
 * exec: another generation) the last one counts.  total may be NULL.
 */
void lt_export_prometheus_all(const struct lt_report *const *reports, size_t count,
			      const struct lt_total *total, struct lt_buf *out);

#endif
