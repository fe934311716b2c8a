/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UTF-8 of strangers: names and paths of a target hold any byte.  Pure; independent of the locale.
 */
#ifndef LT_BASE_UTF8_H
#define LT_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define LT_UTF8_INVALID UINT32_MAX

/*
 * Decodes the code point at text (len >= 1) and returns its bytes.  A byte that begins no valid
 * sequence (overlong, surrogate, above U+10FFFF, cut short) counts 1 and gives LT_UTF8_INVALID.
 */
size_t lt_utf8_next(const char *text, size_t len, uint32_t *code);

/*
 * Appends text so that it can neither command a terminal nor break a line: invalid bytes, control
 * characters (C0, DEL, C1, line separators) and direction overrides become U+FFFD.
 */
void lt_utf8_clean(struct lt_buf *out, const char *text);

/* Terminal columns; ANSI colour sequences (ESC [ … m) count none.  Never too small for clean text.
 */
size_t lt_utf8_width(const char *text);

/* Appends text in at most columns (>= 1), its middle replaced by an ellipsis if it is too long. */
void lt_utf8_shorten(struct lt_buf *out, const char *text, size_t columns);

#endif
