/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /proc/PID/pagemap: which pages are present.  Only to divide a mapping whose parts belong to
 * different owners, as reading it takes time in proportion to the address space.  Internal to the
 * room.
 */
#ifndef LT_PROC_PAGEMAP_H
#define LT_PROC_PAGEMAP_H

#include "proc/smaps.h"

uint64_t lt_pagemap_clock(void); /* what deadlines are of */
/*
 * Pages present in [start, end) by who tracks them, the last for nobody.  fd is of pagemap.
 * -ETIME behind the deadline, or -errno.
 */
int lt_pagemap_count(int fd, uint64_t start, uint64_t end, const struct lt_smaps_tracked *tracked,
		     uint64_t deadline_ns, uint64_t pages[LT_SMAPS_CLASSES + 1]);

#endif
