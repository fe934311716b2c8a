// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static enum lt_log_level log_level = LT_LOG_INFO;

void lt_log_set_level(enum lt_log_level level)
{
	log_level = level;
}

void lt_log(enum lt_log_level level, const char *format, ...)
{
	static const char *const prefix[] = { "error: ", "warning: ", "", "debug: " };
	char line[2048];
	va_list args;

	if (level > log_level)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	/* One write, so that lines of several writers do not mix. */
	fprintf(stderr, "leaktrace: %s%s\n", prefix[level], line);
}
