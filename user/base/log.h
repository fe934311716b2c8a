/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Diagnostics on stderr, each one line, prefixed "leaktrace: " and cleaned of whatever could
 * command a terminal (base/utf8.h), so that foreign text may be handed in as it is.  Log once,
 * where the decision is made; library code returns -errno instead.  The level is process-wide and
 * set once, by cli/.
 */
#ifndef LT_BASE_LOG_H
#define LT_BASE_LOG_H

enum lt_log_level {
	LT_LOG_ERROR = 0,
	LT_LOG_WARN = 1,
	LT_LOG_INFO = 2, /* the default: attached, detached, record written */
	LT_LOG_DEBUG = 3,
};

void lt_log_set_level(enum lt_log_level level);
void lt_log(enum lt_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define lt_error(...) lt_log(LT_LOG_ERROR, __VA_ARGS__)
#define lt_warn(...)  lt_log(LT_LOG_WARN, __VA_ARGS__)
#define lt_info(...)  lt_log(LT_LOG_INFO, __VA_ARGS__)
#define lt_debug(...) lt_log(LT_LOG_DEBUG, __VA_ARGS__)

#endif
