/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many descriptors and threads a process may still have: /proc/PID/limits, pids.max of its control
 * groups, kernel.threads-max and pid_max.  Memory is in proc/process.h.
 */
#ifndef LT_PROC_LIMITS_H
#define LT_PROC_LIMITS_H

#include "proc/process.h"
#include "stream/event.h"

#define LT_MAX_COUNTED_PROCESSES 4096

struct lt_limit_use {
	uint64_t used, limit; /* limit 0: there is none, or it is not known */
};

/*
 * By enum lt_limit.  DESCRIPTORS has used = 0: the caller counts those.  USER_THREADS: threads of the
 * process's real user in all of /proc; privileged processes have no such limit: 0.  Of the
 * control groups the one with the least room counts.  0 or -errno.
 *
 * USER_THREADS takes some 15 us for each process of the machine, so it is not known where there are
 * more than LT_MAX_COUNTED_PROCESSES.
 */
int lt_limits_read(const struct lt_process *process, struct lt_limit_use uses[LT_LIMITS]);

#endif
