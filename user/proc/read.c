// SPDX-License-Identifier: GPL-2.0-or-later
#include "proc/read.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define READ_CHUNK 16384

int lt_proc_read_at(int dir_fd, const char *name, size_t limit, struct lt_buf *text)
{
	_lt_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	size_t before = text->len;
	ssize_t got;

	if (fd < 0)
		return -errno;
	for (;;) {
		char *to = lt_buf_reserve(text, READ_CHUNK);

		if (!to)
			return lt_buf_error(text);
		got = read(fd, to, READ_CHUNK);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		text->len += (size_t)got;
		text->data[text->len] = '\0';
		if (got == 0)
			return 0;
		if (text->len - before > limit)
			return -EFBIG;
	}
}

bool lt_proc_field(const char *text, const char *key, uint64_t *value)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) || line[len] != ':')
			continue;
		line += len + 1;
		line += strspn(line, " \t");
		if (!isdigit((unsigned char)*line))
			return false;
		*value = strtoull(line, NULL, 10);
		return true;
	}
	return false;
}
