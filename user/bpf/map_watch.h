/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells at once when any process maps executable memory, by perf's own MMAP2 records: no probe, no
 * cost to anything but such a mapping.  (The tracepoints of system calls would cost every system
 * call of every process.)  Unmapping is not told, and need not be: nothing runs there any more.
 */
#ifndef LT_BPF_MAP_WATCH_H
#define LT_BPF_MAP_WATCH_H

#include <stdint.h>

struct lt_map_watch;

struct lt_map_change {
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	uint64_t start, end, file_offset;
	uint64_t device, inode; /* as in struct lt_mapping; 0: anonymous */
	uint32_t pid;           /* in the initial pid namespace */
};

/* -errno when the kernel refuses: then a look at /proc now and then has to do. */
int lt_map_watch_open(struct lt_map_watch **watch);
void lt_map_watch_close(struct lt_map_watch *watch);
/* An epoll fd, readable when there may be changes. */
int lt_map_watch_fd(const struct lt_map_watch *watch);
/*
 * Calls back for each change since the last call; -EOVERFLOW: some were lost, anything may have
 * changed.
 */
int lt_map_watch_read(struct lt_map_watch *watch,
		      void (*changed)(void *context, const struct lt_map_change *change),
		      void *context);

#endif
