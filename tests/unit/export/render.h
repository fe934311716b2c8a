/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A report as text, for tests of its parts. */
#ifndef LT_TESTS_EXPORT_RENDER_H
#define LT_TESTS_EXPORT_RENDER_H

#include "export/export.h"

/* To be freed. */
static inline char *render(const struct lt_report *report, bool color, bool verbose,
			   unsigned int columns)
{
	struct lt_text_style style = { .color = color, .verbose = verbose, .columns = columns };
	struct lt_buf out = { 0 };

	lt_export_text(report, &style, &out);
	assert_int_equal(lt_buf_error(&out), 0);
	return out.data;
}

static inline void expect(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

#endif
