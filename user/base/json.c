// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/format.h"
#include "base/utf8.h"

static void write_text(struct lt_buf *out, const char *text)
{
	size_t len = strlen(text), size;
	uint32_t code;

	lt_buf_char(out, '"');
	for (size_t at = 0; at < len; at += size) {
		size = lt_utf8_next(text + at, len - at, &code);
		if (code == LT_UTF8_INVALID)
			lt_buf_str(out, "\xef\xbf\xbd");
		else if (code < 0x20 || (code >= 0x7f && code < 0xa0)) /* also for who cats it */
			lt_buf_printf(out, "\\u%04" PRIx32, code);
		else if (code == '"' || code == '\\')
			lt_buf_printf(out, "\\%c", (int)code);
		else
			lt_buf_append(out, text + at, size);
	}
	lt_buf_char(out, '"');
}

static void begin_value(struct lt_json *json, const char *key)
{
	if (json->comma)
		lt_buf_char(json->out, ',');
	json->comma = true;
	if (key) {
		write_text(json->out, key);
		lt_buf_char(json->out, ':');
	}
}

void lt_json_open(struct lt_json *json, const char *key, char bracket)
{
	begin_value(json, key);
	lt_buf_char(json->out, bracket);
	json->comma = false;
}

void lt_json_close(struct lt_json *json, char bracket)
{
	lt_buf_char(json->out, bracket);
	json->comma = true;
}

void lt_json_string(struct lt_json *json, const char *key, const char *text)
{
	if (!text) {
		lt_json_null(json, key);
		return;
	}
	begin_value(json, key);
	write_text(json->out, text);
}

void lt_json_uint(struct lt_json *json, const char *key, uint64_t value)
{
	begin_value(json, key);
	lt_buf_printf(json->out, "%" PRIu64, value);
}

void lt_json_int(struct lt_json *json, const char *key, int64_t value)
{
	begin_value(json, key);
	lt_buf_printf(json->out, "%" PRId64, value);
}

void lt_json_double(struct lt_json *json, const char *key, double value)
{
	if (!isfinite(value)) {
		lt_json_null(json, key);
		return;
	}
	begin_value(json, key);
	lt_buf_str(json->out, lt_format_number(value).text);
}

void lt_json_bool(struct lt_json *json, const char *key, bool value)
{
	begin_value(json, key);
	lt_buf_str(json->out, value ? "true" : "false");
}

void lt_json_null(struct lt_json *json, const char *key)
{
	begin_value(json, key);
	lt_buf_str(json->out, "null");
}
