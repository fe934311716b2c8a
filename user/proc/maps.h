/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /proc/PID/maps as a value.  Hostile input: paths hold any byte; the file may change while it is
 * read.  lt_maps_parse is pure and fuzzed.
 */
#ifndef LT_PROC_MAPS_H
#define LT_PROC_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/process.h"

struct lt_mapping {
	uint64_t start, end, file_offset;
	uint64_t device; /* makedev(major, minor) */
	uint64_t inode;  /* 0: anonymous */
	bool readable, writable, executable, shared;
	bool deleted; /* path ended in " (deleted)", which is cut off */
	char *path;   /* owned; "" for anonymous, "[vdso]", "[heap]", "/lib/..."; \012 decoded */
};

struct lt_maps {
	struct lt_mapping *entries; /* ascending by start */
	size_t count;
};

int lt_maps_parse(const char *text, size_t len, struct lt_maps *maps); /* -EBADMSG on nonsense */
int lt_maps_read(const struct lt_process *process, struct lt_maps *maps);
void lt_maps_free(struct lt_maps *maps);
const struct lt_mapping *lt_maps_find(const struct lt_maps *maps, uint64_t address);

/*
 * Opens the file behind a mapping as the target has it, read-only: /proc/PID/map_files/START-END
 * first (right even if the path was replaced or deleted, or lies in another mount namespace), then
 * /proc/PID/root/PATH when device and inode agree.  Returns an fd or -errno.
 */
int lt_maps_open_file(const struct lt_process *process, const struct lt_mapping *mapping);

#endif
