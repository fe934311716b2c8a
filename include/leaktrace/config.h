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
	__u32 max_frames;    /* of a stack, 1 to LT_MAX_FRAMES: it is cut there */
	__u32 reserved;
	__u64 wake_level; /* bytes in a ring at which the reader is woken early */
};

/* lt_ended */
#define LT_ENDED_EXEC 1 /* the process image was replaced */
#define LT_ENDED_EXIT 2 /* the last thread ended */

#endif
