// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/format.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const struct lt_formatted unknown = { "?" };

struct scale {
	double step;
	const char *units[7];
	size_t count;
};

static const struct scale binary = { 1024, { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" }, 7 };
static const struct scale decimal = { 1000, { "", "k", "M", "G", "T", "P", "E" }, 7 };

/* One decimal below 100, none above, without the locale's decimal point. */
static void print_scaled(struct lt_formatted *out, double value, const char *unit)
{
	const char *space = unit[0] ? " " : "", *sign = value < 0 ? "-" : "";
	double tenths = round(fabs(value) * 10);

	if (tenths >= 1000)
		snprintf(out->text, sizeof(out->text), "%s%.0f%s%s", sign, round(fabs(value)),
			 space, unit);
	else
		snprintf(out->text, sizeof(out->text), "%s%u.%u%s%s", tenths > 0 ? sign : "",
			 (unsigned int)tenths / 10, (unsigned int)tenths % 10, space, unit);
}

static struct lt_formatted scaled(double value, const struct scale *scale)
{
	struct lt_formatted out;
	size_t unit = 0;

	if (isnan(value))
		return unknown;
	if (isinf(value))
		return (struct lt_formatted){ "unlimited" };
	/* What would round up to a whole step is shown in the next unit. */
	while (unit + 1 < scale->count && round(fabs(value)) >= scale->step) {
		value /= scale->step;
		unit++;
	}
	if (unit == 0) {
		double whole = round(value);

		snprintf(out.text, sizeof(out.text), "%.0f%s%s", whole == 0 ? 0.0 : whole,
			 scale->units[0][0] ? " " : "", scale->units[0]);
	} else {
		print_scaled(&out, value, scale->units[unit]);
	}
	return out;
}

struct lt_formatted lt_format_bytes(double bytes)
{
	return scaled(bytes, &binary);
}

#define EXACT_COUNT 10e6 /* longer ones are hard to read */

struct lt_formatted lt_format_count(double count)
{
	struct lt_formatted out;
	char digits[16];
	size_t len, at = 0;

	if (!(fabs(round(count)) < EXACT_COUNT))
		return scaled(count, &decimal);
	snprintf(digits, sizeof(digits), "%u", (unsigned int)round(fabs(count)));
	len = strlen(digits);
	if (round(count) < 0)
		out.text[at++] = '-';
	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			out.text[at++] = ',';
		out.text[at++] = digits[i];
	}
	out.text[at] = '\0';
	return out;
}

struct lt_formatted lt_format_percent(double ratio)
{
	struct lt_formatted out;
	double percent = ratio * 100;

	if (!isfinite(percent))
		return unknown;
	if (fabs(percent) > 0 && fabs(percent) < 0.05)
		return (struct lt_formatted){ "<0.1 %" };
	if (round(fabs(percent) * 10) < 100)
		print_scaled(&out, percent, "%");
	else
		snprintf(out.text, sizeof(out.text), "%.0f %%", fmin(fmax(percent, -1e15), 1e15));
	return out;
}

struct lt_formatted lt_format_duration(double seconds)
{
	static const struct {
		uint64_t seconds;
		const char *name;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
	struct lt_formatted out;
	uint64_t left, grain = 1;
	size_t unit = 0;

	if (isnan(seconds))
		return unknown;
	if (seconds >= 1000.0 * 86400)
		return (struct lt_formatted){ "over 1,000 d" };
	left = seconds > 0 ? (uint64_t)(seconds + 0.5) : 0;
	/* Two units at most: rounded to the second one. */
	if (left >= 86400)
		grain = 3600;
	else if (left >= 3600)
		grain = 60;
	left = (left + grain / 2) / grain * grain;
	while (unit < 3 && left < units[unit].seconds)
		unit++;
	if (unit < 3 && left % units[unit].seconds)
		snprintf(out.text, sizeof(out.text), "%u %s %u %s",
			 (unsigned int)(left / units[unit].seconds), units[unit].name,
			 (unsigned int)(left % units[unit].seconds / units[unit + 1].seconds),
			 units[unit + 1].name);
	else
		snprintf(out.text, sizeof(out.text), "%u %s",
			 (unsigned int)(left / units[unit].seconds), units[unit].name);
	return out;
}

struct lt_formatted lt_format_size(double size, bool is_bytes)
{
	return is_bytes ? lt_format_bytes(size) : lt_format_count(size);
}

struct lt_formatted lt_format_rate(double per_hour, bool is_bytes)
{
	struct lt_formatted size = lt_format_size(per_hour, is_bytes), out;

	if (isnan(per_hour))
		return unknown;
	snprintf(out.text, sizeof(out.text), "%s%.40s/h",
		 size.text[0] == '-' || (size.text[0] == '0' && !strpbrk(size.text, "123456789"))
			 ? ""
			 : "+",
		 size.text);
	return out;
}

/* printf writes the locale's decimal point, which may be several bytes: make it a dot. */
static void use_dot(char *text)
{
	char *from = text, *to = text;

	while (*from)
		if (strchr("0123456789+-e", *from)) {
			*to++ = *from++;
		} else {
			*to++ = '.';
			while (*from && !strchr("0123456789+-e", *from))
				from++;
		}
	*to = '\0';
}

struct lt_formatted lt_format_number(double value)
{
	struct lt_formatted out;

	if (isnan(value))
		return (struct lt_formatted){ "NaN" };
	if (isinf(value))
		return value > 0 ? (struct lt_formatted){ "+Inf" }
				 : (struct lt_formatted){ "-Inf" };
	if (value == 0)
		return (struct lt_formatted){ "0" };
	if (fabs(value) >= 1e15 || fabs(value) < 1e-3) {
		snprintf(out.text, sizeof(out.text), "%.6g", value);
		use_dot(out.text);
		return out;
	}
	snprintf(out.text, sizeof(out.text), "%.6f", value);
	use_dot(out.text);
	for (char *end = out.text + strlen(out.text) - 1; *end == '0' || *end == '.'; end--) {
		bool point = *end == '.';

		*end = '\0';
		if (point)
			break;
	}
	return out;
}
