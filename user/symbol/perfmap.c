/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symbol/perfmap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "symbol/jitname.h"
#include "symbol/regular.h"

#define MAX_FILE_BYTES (256LL << 20)
#define MAX_RANGES     (1U << 20)
#define BLOCK_BYTES    16384 /* a longer line names nothing */
#define TAIL_BYTES     64
#define REREAD_BYTES   (4LL << 20) /* read again in one period; larger files once in a period */
#define REREAD_NS      1000000000ULL
#define REREAD_SHARE   10   /* ... and for no more than this part of our time */
#define STATUS_BYTES   4096 /* "Uid:" stands before all that may be long */

struct range {
	uint64_t start, end;
	uint64_t name; /* its place in the file: names are read when they are asked for */
};

struct lt_perfmap {
	int proc_fd; /* of the target: /proc/PID */
	int root_fd; /* its root folder */
	char path[32];
	uid_t owner;
	time_t started; /* the target */
	int fd;         /* -1: no file yet */
	dev_t device;
	ino_t inode;
	off_t read_bytes; /* how far the file was read: whole lines */
	bool in_long_line;
	char tail[TAIL_BYTES]; /* what stands before that, to tell a longer file from another one */
	size_t tail_bytes;
	void *ranges; /* disjoint; tsearch(3) */
	size_t count;
	off_t reread_bytes;    /* in this period */
	uint64_t reread_ns;    /* the period's end */
	bool capped, rejected; /* and said so */
	char text[LT_MAX_NAME];
};

LT_CLEANUP(struct lt_perfmap *, lt_perfmap_free)

/* The effective user, proc_pid_status(5). */
static int read_owner(int proc_fd, uid_t *owner)
{
	_lt_close_ int fd = openat(proc_fd, "status", O_RDONLY | O_CLOEXEC);
	char status[STATUS_BYTES];
	const char *line;
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, status, sizeof(status) - 1);
	if (len < 0)
		return -errno;
	status[len] = '\0';
	line = strstr(status, "\nUid:");
	return line && sscanf(line, "\nUid: %*u %u", owner) == 1 ? 0 : -EBADMSG;
}

static time_t start_time(uint64_t start_ticks)
{
	struct timespec now, since_boot;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &since_boot);
	return now.tv_sec - since_boot.tv_sec +
	       (time_t)(start_ticks / (uint64_t)sysconf(_SC_CLK_TCK));
}

int lt_perfmap_new(struct lt_perfmap **map, const struct lt_process *process)
{
	_lt_cleanup_(lt_perfmap_free_p) struct lt_perfmap *made = calloc(1, sizeof(*made));
	int error;

	if (!made)
		return -ENOMEM;
	made->fd = made->root_fd = -1;
	made->proc_fd = fcntl(process->proc_fd, F_DUPFD_CLOEXEC, 0);
	if (made->proc_fd < 0)
		return -errno;
	made->root_fd = openat(process->proc_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (made->root_fd < 0)
		return -errno;
	error = read_owner(made->proc_fd, &made->owner);
	if (error)
		return error;
	made->started = start_time(process->start_ticks);
	snprintf(made->path, sizeof(made->path), "tmp/perf-%d.map", (int)process->ns_pid);
	*map = lt_take_ptr(made);
	return 0;
}

static void forget(struct lt_perfmap *map)
{
	tdestroy(map->ranges, free);
	map->ranges = NULL;
	map->count = 0;
	map->read_bytes = 0;
	map->tail_bytes = 0;
	map->in_long_line = false;
}

void lt_perfmap_free(struct lt_perfmap *map)
{
	if (!map)
		return;
	forget(map);
	lt_close_p(&map->fd);
	lt_close_p(&map->root_fd);
	lt_close_p(&map->proc_fd);
	free(map);
}

/* Ranges that overlap count as equal: so the tree finds what an address or a new range touches. */
static int compare(const void *a, const void *b)
{
	const struct range *one = a, *other = b;

	return one->end <= other->start ? -1 : other->end <= one->start;
}

static int insert(struct lt_perfmap *map, uint64_t start, uint64_t end, uint64_t name)
{
	struct range *range;

	if (start >= end)
		return 0;
	if (map->count >= MAX_RANGES)
		return -E2BIG;
	range = malloc(sizeof(*range));
	if (!range)
		return -ENOMEM;
	*range = (struct range){ start, end, name };
	if (!tsearch(range, &map->ranges, compare)) {
		free(range);
		return -ENOMEM;
	}
	map->count++;
	return 0;
}

/* Of the older ranges that a new one overlaps, only what it leaves free remains. */
static int replace(struct lt_perfmap *map, const struct range *range)
{
	struct range *const *found;
	int error = 0;

	while (!error && (found = tfind(range, &map->ranges, compare))) {
		struct range *old = *found;

		tdelete(old, &map->ranges, compare);
		map->count--;
		error = insert(map, old->start, range->start, old->name);
		if (!error)
			error = insert(map, range->end, old->end, old->name);
		free(old);
	}
	return error ? error : insert(map, range->start, range->end, range->name);
}

/* A number and the blank behind it; HotSpot writes 0x in front. */
static bool take_hex(const char **at, const char *end, uint64_t *value)
{
	static const char digits[] = "0123456789abcdef";
	const char *start, *digit;

	if (end - *at > 2 && (*at)[0] == '0' && (*at)[1] == 'x')
		*at += 2;
	start = *at;
	for (*value = 0; *at < end && *at - start <= 16; ++*at) {
		digit = memchr(digits, **at | 0x20, sizeof(digits) - 1);
		if (!digit)
			break;
		*value = *value << 4 | (uint64_t)(digit - digits);
	}
	return *at > start && *at - start <= 16 && *at < end && *(*at)++ == ' ';
}

static int take_line(struct lt_perfmap *map, const char *line, const char *end, off_t offset)
{
	struct range range;
	const char *at = line;
	uint64_t size;

	if (!take_hex(&at, end, &range.start) || !take_hex(&at, end, &size) || at == end || !size ||
	    __builtin_add_overflow(range.start, size, &range.end))
		return 0;
	range.name = (uint64_t)(offset + (at - line));
	return replace(map, &range);
}

/* Takes the whole lines of a block that begins at read_bytes. */
static int take_block(struct lt_perfmap *map, const char *block, size_t len)
{
	const char *line = block, *end = block + len, *newline;
	int error = 0;

	while (!error && line < end && (newline = memchr(line, '\n', (size_t)(end - line)))) {
		if (!map->in_long_line)
			error = take_line(map, line, newline, map->read_bytes + (line - block));
		map->in_long_line = false;
		line = newline + 1;
	}
	if (line == block && len == BLOCK_BYTES) {
		map->in_long_line = true;
		line = end;
	}
	map->read_bytes += line - block;
	return error;
}

static void cap(struct lt_perfmap *map)
{
	if (!map->capped)
		lt_warn("/%s of the target is too large: some of its JIT code stays unnamed",
			map->path);
	map->capped = true;
}

static void read_lines(struct lt_perfmap *map, off_t size)
{
	char block[BLOCK_BYTES];
	off_t before = -1;
	ssize_t len;
	int error = 0;

	/* Ends at a line that is still being written. */
	while (!error && before < map->read_bytes && map->read_bytes < size) {
		before = map->read_bytes;
		len = pread(map->fd, block, sizeof(block), before);
		if (len > 0)
			error = take_block(map, block, (size_t)len);
	}
	if (error == -E2BIG)
		cap(map);
	map->tail_bytes = (size_t)(map->read_bytes < TAIL_BYTES ? map->read_bytes
								: (off_t)TAIL_BYTES);
	len = pread(map->fd, map->tail, map->tail_bytes, map->read_bytes - (off_t)map->tail_bytes);
	if (len != (ssize_t)map->tail_bytes)
		map->tail_bytes = 0;
}

/* A runtime that writes the whole file anew may do so in place, and to a greater length. */
static bool tail_agrees(const struct lt_perfmap *map, int fd)
{
	char tail[TAIL_BYTES];
	ssize_t len = pread(fd, tail, map->tail_bytes, map->read_bytes - (off_t)map->tail_bytes);

	return len == (ssize_t)map->tail_bytes && !memcmp(tail, map->tail, map->tail_bytes);
}

/*
 * In the target's root, whatever links it planted on the way.  Where openat2() is missing or
 * forbidden (seccomp), without links at all.
 */
static int open_path(const struct lt_perfmap *map)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, map->root_fd, map->path, &how, sizeof(how));
	_lt_close_ int tmp_fd = -1;

	if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
		return fd;
	tmp_fd = openat(map->root_fd, "tmp", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return openat(tmp_fd, map->path + strlen("tmp/"), O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/*
 * NULL, or why the file is not taken.  A pid is reused, and its file in /tmp outlives a process: an
 * older one is another's.
 */
static const char *distrust(struct lt_perfmap *map, const struct stat *status)
{
	if (!S_ISREG(status->st_mode))
		return "it is no regular file";
	read_owner(map->proc_fd, &map->owner); /* may change; the last one remains at its end */
	if (status->st_uid && status->st_uid != map->owner)
		return "it belongs to another user";
	return status->st_mtime >= map->started - 1 ? NULL : "it is older than the process";
}

/* A new fd of the file, or -1. */
static int open_trusted(struct lt_perfmap *map, struct stat *status)
{
	_lt_close_ int inode_fd = open_path(map), fd = -1;
	const char *reason;

	if (inode_fd < 0 || fstat(inode_fd, status))
		return -1;
	reason = distrust(map, status);
	if (!reason) {
		fd = lt_regular_reopen(inode_fd);
		return fd < 0 || fstat(fd, status) ? -1 : lt_take_fd(&fd);
	}
	if (!map->rejected)
		lt_warn("/%s of the target is not read: %s", map->path, reason);
	map->rejected = true;
	return -1;
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000ULL + (uint64_t)time.tv_nsec;
}

/* A file that is replaced all the time must not keep us busy. */
static bool may_reread(struct lt_perfmap *map)
{
	if (now() >= map->reread_ns)
		map->reread_bytes = 0;
	return map->reread_bytes < REREAD_BYTES;
}

static void count_reread(struct lt_perfmap *map, uint64_t start_ns)
{
	uint64_t end_ns = now(), pause_ns = (end_ns - start_ns) * REREAD_SHARE;

	if (!map->reread_bytes || map->read_bytes >= REREAD_BYTES)
		map->reread_ns = end_ns + (pause_ns > REREAD_NS ? pause_ns : REREAD_NS);
	map->reread_bytes += map->read_bytes;
}

/* False if what is known can no longer be named. */
static bool refresh(struct lt_perfmap *map)
{
	struct stat status;
	_lt_close_ int fd = open_trusted(map, &status);
	uint64_t start_ns = now();
	bool same_inode, reread;

	if (fd < 0)
		return true; /* removed: what is known stays known */
	same_inode = map->fd >= 0 && status.st_dev == map->device && status.st_ino == map->inode;
	reread = map->fd >= 0 &&
		 (!same_inode || status.st_size < map->read_bytes || !tail_agrees(map, fd));
	if (reread && !may_reread(map))
		return !same_inode; /* the names of one written over are lost */
	if (reread)
		forget(map);
	lt_close_p(&map->fd);
	map->fd = lt_take_fd(&fd);
	map->device = status.st_dev;
	map->inode = status.st_ino;
	if (status.st_size > MAX_FILE_BYTES)
		cap(map);
	read_lines(map, status.st_size < MAX_FILE_BYTES ? status.st_size : MAX_FILE_BYTES);
	if (reread)
		count_reread(map, start_ns);
	return true;
}

bool lt_perfmap_lookup(struct lt_perfmap *map, uint64_t address, struct lt_source_frame *frame)
{
	struct range *const *found, wanted = { address, address + 1, 0 };
	ssize_t len;

	if (address == UINT64_MAX || !refresh(map))
		return false;
	found = tfind(&wanted, &map->ranges, compare);
	if (!found)
		return false;
	len = pread(map->fd, map->text, sizeof(map->text) - 1, (off_t)(*found)->name);
	if (len <= 0)
		return false;
	map->text[len] = '\0';
	map->text[strcspn(map->text, "\n")] = '\0';
	lt_jitname_split(map->text, frame);
	return *frame->function;
}
