/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which processes are meant: by name, by control group.  The running ones at this moment, without
 * ourselves, kernel threads and zombies.  What is read is below the folders handed in: /proc and
 * /sys/fs/cgroup, or a test's.
 *
 * A pid may have another owner by the time it is opened, as with every pid that a user gives.
 */
#ifndef LT_PROC_SELECT_H
#define LT_PROC_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "leaktrace/limits.h"

#define LT_PROC_ROOT   "/proc"
#define LT_CGROUP_ROOT "/sys/fs/cgroup"

struct lt_pids {
	pid_t ids[LT_MAX_TARGETS]; /* ascending, each once */
	size_t count;
	size_t left_out; /* that found no room */
};

/* False, and left_out counts it, if there is no room. */
bool lt_pids_add(struct lt_pids *pids, pid_t pid);

/*
 * 0 and at least one pid, or -errno with one line in error that says what is wrong: -ESRCH nothing
 * matches, -ENOENT no such control group, -EOPNOTSUPP one of threads, others.  *pids is untouched
 * on failure.
 */

/*
 * The name is that of /proc/PID/comm (15 bytes of it), of the executable file or of argv[0], the
 * latter without their path; or a shell pattern with *, ? or [ for it.  proc_fd: /proc.
 */
int lt_select_by_name(int proc_fd, const char *name, struct lt_pids *pids, struct lt_buf *error);

/*
 * All in the group and in those below it.  path is that of its folder, with or without
 * LT_CGROUP_ROOT in front, or the group as /proc/PID/cgroup and systemctl status show it, without
 * the hierarchy (cgroup v1: tried in turn).  cgroup_fd: LT_CGROUP_ROOT; proc_fd: /proc.
 */
int lt_select_by_cgroup(int cgroup_fd, int proc_fd, const char *path, struct lt_pids *pids,
			struct lt_buf *error);

#endif
