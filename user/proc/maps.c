// SPDX-License-Identifier: GPL-2.0-or-later
#include "proc/maps.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "proc/read.h"

/* 65,530 mappings (the default vm.max_map_count) of 1 KiB each. */
#define MAX_MAPS_BYTES (64u << 20)

/* Threads that are asked when the first one has ended. */
#define MAX_OTHERS 16

#define DELETED " (deleted)"
#define NEWLINE "\\012"

struct cursor {
	const char *at, *end;
};

static bool take_char(struct cursor *line, char c)
{
	if (line->at == line->end || *line->at != c)
		return false;
	line->at++;
	return true;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

static bool take_number(struct cursor *line, unsigned int base, uint64_t *value)
{
	const char *start = line->at;
	uint64_t number = 0;

	for (; line->at < line->end && digit_of(*line->at) < (int)base; line->at++)
		if (__builtin_mul_overflow(number, base, &number) ||
		    __builtin_add_overflow(number, (uint64_t)digit_of(*line->at), &number))
			return false;
	*value = number;
	return line->at > start;
}

static bool take_flag(struct cursor *line, char yes, char no, bool *flag)
{
	*flag = take_char(line, yes);
	return *flag || take_char(line, no);
}

/*
 * The kernel escapes the newline and nothing else, not even the backslash (show_map_vma calls
 * seq_file_path(m, file, "\n")); so nothing else must be decoded.
 */
static char *decode_path(const char *path, size_t len)
{
	char *decoded = malloc(len + 1), *to = decoded;

	if (!decoded)
		return NULL;
	for (size_t i = 0; i < len;) {
		if (len - i >= strlen(NEWLINE) && !memcmp(path + i, NEWLINE, strlen(NEWLINE))) {
			*to++ = '\n';
			i += strlen(NEWLINE);
		} else {
			*to++ = path[i++];
		}
	}
	*to = '\0';
	return decoded;
}

static int take_path(struct cursor *line, struct lt_mapping *mapping)
{
	size_t len;

	while (take_char(line, ' '))
		;
	len = (size_t)(line->end - line->at);
	if (memchr(line->at, '\0', len))
		return -EBADMSG;
	if (mapping->inode && len > strlen(DELETED) &&
	    !memcmp(line->end - strlen(DELETED), DELETED, strlen(DELETED))) {
		mapping->deleted = true;
		len -= strlen(DELETED);
	}
	mapping->path = decode_path(line->at, len);
	return mapping->path ? 0 : -ENOMEM;
}

/* START-END rwxp OFFSET MAJOR:MINOR INODE [spaces PATH], proc_pid_maps(5) */
static int parse_line(struct cursor line, struct lt_mapping *mapping)
{
	struct lt_mapping m = { 0 };
	uint64_t major_number, minor_number;
	int err;

	if (!take_number(&line, 16, &m.start) || !take_char(&line, '-') ||
	    !take_number(&line, 16, &m.end) || !take_char(&line, ' ') ||
	    !take_flag(&line, 'r', '-', &m.readable) || !take_flag(&line, 'w', '-', &m.writable) ||
	    !take_flag(&line, 'x', '-', &m.executable) || !take_flag(&line, 's', 'p', &m.shared) ||
	    !take_char(&line, ' ') || !take_number(&line, 16, &m.file_offset) ||
	    !take_char(&line, ' ') || !take_number(&line, 16, &major_number) ||
	    !take_char(&line, ':') || !take_number(&line, 16, &minor_number) ||
	    !take_char(&line, ' ') || !take_number(&line, 10, &m.inode))
		return -EBADMSG;
	if (line.at < line.end && *line.at != ' ')
		return -EBADMSG;
	if (m.start >= m.end || major_number > UINT32_MAX || minor_number > UINT32_MAX)
		return -EBADMSG;
	m.device = makedev((unsigned int)major_number, (unsigned int)minor_number);
	err = take_path(&line, &m);
	if (err)
		return err;
	*mapping = m;
	return 0;
}

/*
 * Mappings may merge between two reads of the file; the kernel goes on behind the last end it
 * showed, with a mapping that may begin before it.  What was read later is right.
 */
static int append(struct lt_maps *maps, size_t *capacity, const struct lt_mapping *mapping)
{
	while (maps->count && maps->entries[maps->count - 1].start >= mapping->start)
		free(maps->entries[--maps->count].path);
	if (maps->count && maps->entries[maps->count - 1].end > mapping->start)
		maps->entries[maps->count - 1].end = mapping->start;
	if (maps->count == *capacity) {
		size_t more = *capacity ? *capacity * 2 : 64;
		struct lt_mapping *entries = reallocarray(maps->entries, more,
							  sizeof(*maps->entries));

		if (!entries)
			return -ENOMEM;
		maps->entries = entries;
		*capacity = more;
	}
	maps->entries[maps->count++] = *mapping;
	return 0;
}

int lt_maps_parse(const char *text, size_t len, struct lt_maps *maps)
{
	_lt_cleanup_(lt_maps_free) struct lt_maps parsed = { 0 };
	const char *end = text + len, *newline;
	struct lt_mapping mapping;
	size_t capacity = 0;
	int err;

	for (; text < end; text = newline + 1) {
		newline = memchr(text, '\n', (size_t)(end - text));
		if (!newline)
			return -EBADMSG; /* cut short: its path would be another file's */
		err = parse_line((struct cursor){ text, newline }, &mapping);
		if (err)
			return err;
		err = append(&parsed, &capacity, &mapping);
		if (err) {
			free(mapping.path);
			return err;
		}
	}
	*maps = parsed;
	parsed = (struct lt_maps){ 0 };
	return 0;
}

/* When the first thread has ended, its list is empty; that of any other one is the process's. */
static int read_of_others(const struct lt_process *process, struct lt_buf *text)
{
	_lt_free_ pid_t *tids = NULL;
	size_t count, tried = 0;
	int err = lt_process_threads(process, &tids, &count);

	for (size_t i = 0; !err && !text->len && i < count && tried < MAX_OTHERS; i++) {
		char name[32];

		if (tids[i] == process->pid)
			continue;
		tried++;
		snprintf(name, sizeof(name), "task/%d/maps", (int)tids[i]);
		err = lt_proc_read_at(process->proc_fd, name, MAX_MAPS_BYTES, text);
		if (err == -ENOENT || err == -ESRCH)
			err = 0; /* the thread has ended */
	}
	return err;
}

int lt_maps_read(const struct lt_process *process, struct lt_maps *maps)
{
	_lt_buf_ struct lt_buf text = { 0 };
	int err = lt_proc_read_at(process->proc_fd, "maps", MAX_MAPS_BYTES, &text);

	if (!err && !text.len)
		err = read_of_others(process, &text);
	if (!err)
		err = lt_process_check(process);
	if (err)
		return err == -ENOENT ? -ESRCH : err;
	return lt_maps_parse(text.data ? text.data : "", text.len, maps);
}

void lt_maps_free(struct lt_maps *maps)
{
	for (size_t i = 0; i < maps->count; i++)
		free(maps->entries[i].path);
	free(maps->entries);
	*maps = (struct lt_maps){ 0 };
}

static int compare_address(const void *key, const void *element)
{
	const struct lt_mapping *mapping = element;
	uint64_t address = *(const uint64_t *)key;

	return address < mapping->start ? -1 : address >= mapping->end;
}

const struct lt_mapping *lt_maps_find(const struct lt_maps *maps, uint64_t address)
{
	if (!maps->count)
		return NULL;
	return bsearch(&address, maps->entries, maps->count, sizeof(*maps->entries),
		       compare_address);
}

/* Opening a device can do things; so look before, through O_PATH. */
static int reopen_regular(int path_fd, const struct stat *stat)
{
	char name[64];
	int fd;

	if (!S_ISREG(stat->st_mode))
		return -ENOEXEC;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", path_fd);
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

/*
 * By number or by name: stat speaks of other numbers than maps on btrfs and overlayfs, and a name
 * may be given to another file.
 */
static bool is_same_file(int path_fd, const struct stat *stat, const struct lt_mapping *mapping)
{
	char link[64], name[PATH_MAX];
	size_t path_len = strlen(mapping->path);
	ssize_t len;

	if (stat->st_dev == mapping->device && stat->st_ino == mapping->inode)
		return true;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	len = readlink(link, name, sizeof(name));
	return len >= (ssize_t)path_len && !memcmp(name, mapping->path, path_len) &&
	       ((size_t)len == path_len || ((size_t)len == path_len + strlen(DELETED) &&
					    !memcmp(name + path_len, DELETED, strlen(DELETED))));
}

static int open_map_file(const struct lt_process *process, const struct lt_mapping *mapping)
{
	_lt_close_ int path_fd = -1;
	struct stat stat;
	char name[64];

	snprintf(name, sizeof(name), "map_files/%llx-%llx", (unsigned long long)mapping->start,
		 (unsigned long long)mapping->end);
	path_fd = openat(process->proc_fd, name, O_PATH | O_CLOEXEC);
	if (path_fd < 0 || fstat(path_fd, &stat))
		return -errno;
	/* Another file may have been mapped there since the mappings were read. */
	if (!is_same_file(path_fd, &stat, mapping))
		return -ESTALE;
	return reopen_regular(path_fd, &stat);
}

/* The target's files may hold symlinks made for us: they resolve inside of its root or not at all.
 */
static int open_in_root(const struct lt_process *process, const struct lt_mapping *mapping)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	_lt_close_ int root_fd = openat(process->proc_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_lt_close_ int path_fd = -1;
	struct stat stat;

	if (root_fd < 0)
		return -errno;
	path_fd = (int)syscall(SYS_openat2, root_fd, mapping->path, &how, sizeof(how));
	if (path_fd < 0 || fstat(path_fd, &stat))
		return -errno;
	if (stat.st_dev != mapping->device || stat.st_ino != mapping->inode)
		return -ESTALE; /* replaced since it was mapped */
	return reopen_regular(path_fd, &stat);
}

int lt_maps_open_file(const struct lt_process *process, const struct lt_mapping *mapping)
{
	int fd;

	if (!mapping->inode || mapping->path[0] != '/')
		return -ENOENT;
	fd = open_map_file(process, mapping);
	return fd >= 0 ? fd : open_in_root(process, mapping);
}
