/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers for people, and one exact form for machines.  Returned by value, to be used in the same
 * expression: lt_buf_printf(out, "%s", lt_format_bytes(n).text).  Pure; independent of the locale.
 */
#ifndef LT_BASE_FORMAT_H
#define LT_BASE_FORMAT_H

#include <stdbool.h>

struct lt_formatted {
	char text[48];
};

struct lt_formatted
lt_format_bytes(double bytes); /* "512 B", "6.1 MiB"; "?" for NaN, as all below */
struct lt_formatted lt_format_count(double count);      /* "1,240", "12.3 M" */
struct lt_formatted lt_format_percent(double ratio);    /* "1.0 %", "97 %" */
struct lt_formatted lt_format_duration(double seconds); /* "48 s", "4 min 12 s", "3 h 12 min" */
/* A size in its unit: bytes when is_bytes, else a count. */
struct lt_formatted lt_format_size(double size, bool is_bytes);
struct lt_formatted lt_format_rate(double per_hour, bool is_bytes); /* "+1.2 MiB/h", "-3/h" */

/*
 * For machines: decimal point, no thousands, no "-0"; at most 6 decimals, trailing zeros cut; six
 * significant digits where that would be too long or lose a small value.  "NaN", "+Inf", "-Inf".
 */
struct lt_formatted lt_format_number(double value);

#endif
