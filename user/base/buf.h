/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A growable byte buffer.  Errors are sticky: after a failed allocation every further append is a
 * no-op and lt_buf_error() says -ENOMEM, so that a writer checks once, at the end.
 * The data is always NUL-terminated behind len once something was appended.  Not thread-safe.
 */
#ifndef LT_BASE_BUF_H
#define LT_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

struct lt_buf {
	char *data; /* owned; NULL while empty */
	size_t len; /* bytes in use */
	size_t cap; /* bytes allocated */
	int error;  /* 0 or -ENOMEM */
};

void lt_buf_free(struct lt_buf *buf);  /* also resets, for reuse */
void lt_buf_clear(struct lt_buf *buf); /* len = 0, keeps the memory */
void lt_buf_append(struct lt_buf *buf, const void *data, size_t len);
void lt_buf_str(struct lt_buf *buf, const char *text);
void lt_buf_char(struct lt_buf *buf, char c);
void lt_buf_printf(struct lt_buf *buf, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Makes room for len more bytes and returns where they go, or NULL; the caller then adds to len. */
void *lt_buf_reserve(struct lt_buf *buf, size_t len);

static inline int lt_buf_error(const struct lt_buf *buf)
{
	return buf->error;
}

#define _lt_buf_ __attribute__((cleanup(lt_buf_free)))

#endif
