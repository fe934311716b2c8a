// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/utf8.h"

static enum lt_log_level log_level = LT_LOG_INFO;

void lt_log_set_level(enum lt_log_level level)
{
	log_level = level;
}

void lt_log(enum lt_log_level level, const char *format, ...)
{
	static const char *const prefix[] = { "error: ", "warning: ", "", "debug: " };
	_lt_buf_ struct lt_buf clean = { 0 };
	char line[2048];
	va_list args;

	if (level > log_level)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	/* Names and paths of the target go into it: they must not reach root's terminal as they
	 * are. */
	lt_utf8_clean(&clean, line);
	lt_buf_str(&clean, ""); /* an empty line has data, too */
	/* One write, so that lines of several writers do not mix. */
	fprintf(stderr, "leaktrace: %s%s\n", prefix[level],
		clean.data ? clean.data : "(out of memory)");
}
