/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What user space tells the BPF side before loading (read-only data) and while it runs (tables).
 * Include after <linux/types.h>.
 */
#ifndef LEAKTRACE_CONFIG_H
#define LEAKTRACE_CONFIG_H

#include "limits.h"

struct lt_bpf_config {       /* constant from load on */
	__u32 tgid;          /* the target, in the initial pid namespace */
	__u32 ring_mask;     /* rings - 1 */
	__u64 acquire_limit; /* bytes in a ring above which acquires are dropped: the rest is for
				releases */
	__u64 wake_level;    /* bytes in a ring at which the reader is woken early */
};

/* lt_ended */
#define LT_ENDED_EXEC 1 /* the process image was replaced */
#define LT_ENDED_EXIT 2 /* the last thread ended */

/* One executable mapping; the table is sorted by start and padded with start = ~0. */
struct lt_exec_range {
	__u64 start, end;
};

/*
 * Two copies, of which the running one is flipped after the other was written, so that a stack walk
 * never meets a half-written table.
 */
struct lt_exec_table {
	struct lt_exec_range ranges[LT_MAX_EXEC_RANGES];
};

#endif
