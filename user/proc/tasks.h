/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What /proc/PID/task/TID says of one thread. */
#ifndef LT_PROC_TASKS_H
#define LT_PROC_TASKS_H

#include "proc/process.h"

struct lt_task {
	uint64_t born_ns; /* CLOCK_MONOTONIC, to a clock tick (10 ms) */
	char comm[16];    /* any byte may occur in it; ends with a zero */
};

/* 0; -ESRCH: it is gone; -errno. */
int lt_task_read(const struct lt_process *process, uint32_t tid, struct lt_task *task);

#endif
