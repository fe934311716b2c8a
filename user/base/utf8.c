// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/utf8.h"

#include <stdbool.h>
#include <string.h>

struct range {
	uint32_t first, last;
};

/* What a terminal or a log viewer may obey: controls, line separators, and the bidirectional
 * controls of Unicode TR 36. */
static const struct range unsafe[] = {
	{ 0x00, 0x1f },     { 0x7f, 0x9f },     { 0x061c, 0x061c },
	{ 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
	{ 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
};

/* East Asian Wide and Fullwidth (Unicode TR 11), coarsely: rather too wide than too narrow. */
static const struct range wide[] = {
	{ 0x1100, 0x115f },   { 0x2e80, 0xa4cf }, { 0xa960, 0xa97f },   { 0xac00, 0xd7a3 },
	{ 0xf900, 0xfaff },   { 0xfe10, 0xfe6f }, { 0xff00, 0xff60 },   { 0xffe0, 0xffe6 },
	{ 0x2300, 0x23ff },   { 0x2600, 0x27bf }, { 0x16fe0, 0x1b2ff }, { 0x1f000, 0x1faff },
	{ 0x20000, 0x3fffd },
};

#define IN_TABLE(code, table) in_ranges(code, table, sizeof(table) / sizeof((table)[0]))

static bool in_ranges(uint32_t code, const struct range *ranges, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	return false;
}

size_t lt_utf8_next(const char *text, size_t len, uint32_t *code)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *bytes = (const unsigned char *)text;
	uint32_t value = bytes[0];
	size_t size = value < 0x80                    ? 1
		      : value >= 0xc2 && value < 0xe0 ? 2
		      : value >= 0xe0 && value < 0xf0 ? 3
		      : value >= 0xf0 && value < 0xf5 ? 4
						      : 0;

	*code = LT_UTF8_INVALID;
	if (!size || size > len)
		return 1;
	if (size > 1)
		value &= 0x7fU >> size;
	for (size_t i = 1; i < size; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 1;
		value = value << 6 | (bytes[i] & 0x3f);
	}
	if (value < smallest[size] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		return 1;
	*code = value;
	return size;
}

void lt_utf8_clean(struct lt_buf *out, const char *text)
{
	size_t len = strlen(text), size;
	uint32_t code;

	for (size_t at = 0; at < len; at += size) {
		size = lt_utf8_next(text + at, len - at, &code);
		if (code == LT_UTF8_INVALID || IN_TABLE(code, unsafe))
			lt_buf_str(out, "\xef\xbf\xbd");
		else
			lt_buf_append(out, text + at, size);
	}
}

/* The next character or colour sequence: its bytes, and its columns. */
static size_t step(const char *text, size_t len, size_t *columns)
{
	uint32_t code;
	size_t size;

	if (text[0] == '\x1b' && len > 1 && text[1] == '[') {
		const char *end = memchr(text, 'm', len);

		if (end) {
			*columns = 0;
			return (size_t)(end - text) + 1;
		}
	}
	size = lt_utf8_next(text, len, &code);
	*columns = code != LT_UTF8_INVALID && IN_TABLE(code, wide) ? 2 : 1;
	return size;
}

size_t lt_utf8_width(const char *text)
{
	size_t len = strlen(text), width = 0, columns;

	for (size_t at = 0; at < len; width += columns)
		at += step(text + at, len - at, &columns);
	return width;
}

void lt_utf8_shorten(struct lt_buf *out, const char *text, size_t columns)
{
	size_t len = strlen(text), width = lt_utf8_width(text), head, skip, size, step_columns;
	size_t seen = 0, at = 0;

	if (width <= columns) {
		lt_buf_append(out, text, len);
		return;
	}
	head = columns / 2;
	for (; at < len; at += size, seen += step_columns) {
		size = step(text + at, len - at, &step_columns);
		if (seen + step_columns > head)
			break;
	}
	lt_buf_append(out, text, at);
	lt_buf_str(out, "…");
	skip = width - (columns - seen - 1); /* columns before the tail */
	for (; at < len && seen < skip; seen += step_columns)
		at += step(text + at, len - at, &step_columns);
	lt_buf_append(out, text + at, len - at);
}
