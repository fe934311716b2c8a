/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes JSON (RFC 8259) onto a buffer: commas, escapes, and UTF-8 that is always valid.  Calls
 * must nest properly; a key is NULL inside arrays and at the top.  Errors are those of the buffer.
 * Pure; independent of the locale.
 */
#ifndef LT_BASE_JSON_H
#define LT_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct lt_json {
	struct lt_buf *out;
	bool comma; /* the next value follows another one */
};

void lt_json_open(struct lt_json *json, const char *key, char bracket);       /* '{' or '[' */
void lt_json_close(struct lt_json *json, char bracket);                       /* '}' or ']' */
void lt_json_string(struct lt_json *json, const char *key, const char *text); /* NULL: null */
void lt_json_uint(struct lt_json *json, const char *key, uint64_t value);
void lt_json_int(struct lt_json *json, const char *key, int64_t value);
void lt_json_double(struct lt_json *json, const char *key, double value); /* NaN, infinite: null */
void lt_json_bool(struct lt_json *json, const char *key, bool value);
void lt_json_null(struct lt_json *json, const char *key);

#endif
