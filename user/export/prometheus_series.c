// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/prometheus_series.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "base/format.h"
#include "base/utf8.h"

#define MAX_LABEL 120 /* bytes of a label value that comes from the target */

/* A label value: valid UTF-8, bounded, escaped as the text format wants it. */
static void write_value(struct lt_buf *out, const char *text)
{
	_lt_buf_ struct lt_buf clean = { 0 };
	size_t size;
	uint32_t code;

	lt_utf8_clean(&clean, text);
	if (clean.error)
		out->error = clean.error;
	for (size_t at = 0; at < clean.len; at += size) {
		size = lt_utf8_next(clean.data + at, clean.len - at, &code);
		if (at + size > MAX_LABEL) {
			lt_buf_str(out, "…");
			return;
		}
		if (code == '"' || code == '\\')
			lt_buf_char(out, '\\');
		lt_buf_append(out, clean.data + at, size);
	}
}

void lt_prom_label(struct lt_buf *out, const char *name, const char *value)
{
	lt_buf_printf(out, ",%s=\"", name);
	write_value(out, value);
	lt_buf_char(out, '"');
}

void lt_prom_family(struct lt_buf *out, const char *name, const char *type, const char *help)
{
	lt_buf_printf(out, "# HELP leaktrace_%s %s\n# TYPE leaktrace_%s %s\n", name, help, name,
		      type);
}

void lt_prom_begin(struct lt_buf *out, const char *name, const struct lt_report *report)
{
	lt_buf_printf(out, "leaktrace_%s{pid=\"%" PRIu32 "\"", name, report->target.pid);
}

void lt_prom_end(struct lt_buf *out, double value)
{
	lt_buf_printf(out, "} %s\n", lt_format_number(value).text);
}
