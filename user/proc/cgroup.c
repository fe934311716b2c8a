// SPDX-License-Identifier: GPL-2.0-or-later
#include "proc/cgroup.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "proc/read.h"

/* Where the hierarchies are by convention (systemd): pure v2, v2 beside v1 ("hybrid"), and v1. */
static const struct hierarchy {
	const char *controllers; /* second field of a /proc/PID/cgroup line */
	const char *mount;       /* below the root */
	const char *limit, *usage;
	const char *reclaimable; /* a line of memory.stat; NULL: nothing is */
} memory[] = {
	{ "", "", "memory.max", "memory.current", "inactive_file" },
	{ "", "/unified", "memory.max", "memory.current", "inactive_file" },
	{ "memory", "/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
	  "total_inactive_file" },
}, pids[] = {
	{ "", "", "pids.max", "pids.current", NULL },
	{ "", "/unified", "pids.max", "pids.current", NULL },
	{ "pids", "/pids", "pids.max", "pids.current", NULL },
};

struct room {
	uint64_t limit, available; /* the least of each, as far as known */
	uint64_t used, of;         /* in the group with the least available, and its limit */
};

/* "max" is no number: no limit.  Version 1 says so with a number above any memory. */
static bool read_number(int dir_fd, const char *name, uint64_t *value)
{
	_lt_buf_ struct lt_buf text = { 0 };

	if (lt_proc_read_at(dir_fd, name, 64, &text) || !text.len ||
	    !isdigit((unsigned char)text.data[0]))
		return false;
	*value = strtoull(text.data, NULL, 10);
	return true;
}

/* A "name number" line of memory.stat; 0 if there is none. */
static uint64_t read_stat(int dir_fd, const char *name)
{
	_lt_buf_ struct lt_buf text = { 0 };
	size_t len = strlen(name);

	if (lt_proc_read_at(dir_fd, "memory.stat", 65536, &text) || !text.data)
		return 0;
	for (const char *line = text.data; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) == 0 && line[len] == ' ')
			return strtoull(line + len, NULL, 10);
	}
	return 0;
}

static void apply_group(const char *dir, const struct hierarchy *hierarchy, struct room *room)
{
	_lt_close_ int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	uint64_t limit, usage, cache, left;

	if (dir_fd < 0 || !read_number(dir_fd, hierarchy->limit, &limit))
		return;
	if (limit < room->limit)
		room->limit = limit;
	if (!read_number(dir_fd, hierarchy->usage, &usage))
		return;
	/* Page cache that nobody used of late is given back before the limit hurts, as kubelet and
	 * docker stats count it (working set = usage - inactive_file). */
	cache = hierarchy->reclaimable ? read_stat(dir_fd, hierarchy->reclaimable) : 0;
	usage -= cache < usage ? cache : usage;
	left = usage < limit ? limit - usage : 0;
	if (left < room->available) {
		room->available = left;
		room->used = usage;
		room->of = limit;
	}
}

/* From the group up to the root of the hierarchy: any ancestor may bind. */
static void apply_path(const char *root, const struct hierarchy *hierarchy, const char *path,
		       size_t path_len, struct room *room)
{
	char dir[PATH_MAX];
	size_t mount_len;
	char *slash;
	int len;

	len = snprintf(dir, sizeof(dir), "%s%s%.*s", root, hierarchy->mount, (int)path_len, path);
	if (len < 0 || (size_t)len >= sizeof(dir))
		return;
	mount_len = strlen(root) + strlen(hierarchy->mount);
	/* "/../x": outside of our cgroup namespace (cgroup_namespaces(7)).  Never climb. */
	if (strstr(dir + mount_len, "/.."))
		dir[mount_len] = '\0';
	for (;;) {
		apply_group(dir, hierarchy, room);
		slash = strrchr(dir + mount_len, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
}

static bool has_controller(const char *list, size_t len, const char *name)
{
	size_t name_len = strlen(name);

	for (const char *end = list + len;;) {
		const char *comma = memchr(list, ',', (size_t)(end - list));
		size_t item_len = (size_t)((comma ? comma : end) - list);

		if (item_len == name_len && !memcmp(list, name, name_len))
			return true;
		if (!comma)
			return false;
		list = comma + 1;
	}
}

static void apply(const char *text, const char *root, const struct hierarchy *hierarchies,
		  size_t count, struct room *room)
{
	/* Lines are ID:CONTROLLERS:PATH (cgroups(7)); the kernel allows no newline in a path. */
	for (const char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		const char *list = memchr(line, ':', (size_t)(end - line));
		const char *path = list ? memchr(list + 1, ':', (size_t)(end - list - 1)) : NULL;

		if (!path || path[1] != '/')
			continue;
		list++;
		path++;
		for (size_t i = 0; i < count; i++)
			if (has_controller(list, (size_t)(path - 1 - list),
					   hierarchies[i].controllers))
				apply_path(root, &hierarchies[i], path, (size_t)(end - path), room);
	}
}

void lt_cgroup_apply_limits(const char *text, const char *root, uint64_t *limit_bytes,
			    uint64_t *available_bytes)
{
	struct room room = { .limit = *limit_bytes, .available = *available_bytes };

	apply(text, root, memory, sizeof(memory) / sizeof(memory[0]), &room);
	*limit_bytes = room.limit;
	*available_bytes = room.available;
}

bool lt_cgroup_threads(const char *text, const char *root, uint64_t *used, uint64_t *limit)
{
	struct room room = { .limit = UINT64_MAX, .available = UINT64_MAX };

	apply(text, root, pids, sizeof(pids) / sizeof(pids[0]), &room);
	if (room.available == UINT64_MAX)
		return false;
	*used = room.used;
	*limit = room.of;
	return true;
}
