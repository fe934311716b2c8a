// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void lt_buf_free(struct lt_buf *buf)
{
	free(buf->data);
	*buf = (struct lt_buf){ 0 };
}

void lt_buf_clear(struct lt_buf *buf)
{
	buf->len = 0;
	if (buf->data)
		buf->data[0] = '\0';
}

void *lt_buf_reserve(struct lt_buf *buf, size_t len)
{
	size_t need, cap;
	char *data;

	if (buf->error)
		return NULL;
	if (__builtin_add_overflow(buf->len, len, &need) || __builtin_add_overflow(need, 1, &need))
		goto failed;
	if (need > buf->cap) {
		cap = buf->cap ? buf->cap : 64;
		while (cap < need)
			if (__builtin_mul_overflow(cap, 2, &cap))
				goto failed;
		data = realloc(buf->data, cap);
		if (!data)
			goto failed;
		buf->data = data;
		buf->cap = cap;
	}
	return buf->data + buf->len;
failed:
	buf->error = -ENOMEM;
	return NULL;
}

void lt_buf_append(struct lt_buf *buf, const void *data, size_t len)
{
	char *to = lt_buf_reserve(buf, len);

	if (!to)
		return;
	if (len)
		memcpy(to, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void lt_buf_str(struct lt_buf *buf, const char *text)
{
	lt_buf_append(buf, text, strlen(text));
}

void lt_buf_char(struct lt_buf *buf, char c)
{
	lt_buf_append(buf, &c, 1);
}

void lt_buf_printf(struct lt_buf *buf, const char *format, ...)
{
	va_list args;
	char *to;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0)
		return;
	to = lt_buf_reserve(buf, (size_t)len);
	if (!to)
		return;
	va_start(args, format);
	vsnprintf(to, (size_t)len + 1, format, args);
	va_end(args);
	buf->len += (size_t)len;
}
