/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Limits of a cgroup and all of its ancestors, versions 1 and 2.  Internal to the room. */
#ifndef LT_PROC_CGROUP_H
#define LT_PROC_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Lowers *limit_bytes and *available_bytes by what memory limits bind along the path.  text is
 * /proc/PID/cgroup; root is where the hierarchies are mounted (LT_CGROUP_ROOT).  A group that
 * cannot be seen from here (another mount or cgroup namespace) has no say; its visible ancestors
 * have.
 */
void lt_cgroup_apply_limits(const char *text, const char *root, uint64_t *limit_bytes,
			    uint64_t *available_bytes);

/*
 * Threads, by pids.max: *limit and *used of the group along the path that has the least room.  False
 * if none has a limit.
 */
bool lt_cgroup_threads(const char *text, const char *root, uint64_t *used, uint64_t *limit);

#endif
