/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /proc/PID/smaps summed up: which pages are resident, by what they are for.  Hostile input: the
 * names of files hold any byte, and mappings change while they are read, so that a sum is a blurred
 * picture of a busy process.  Memory is bounded whatever is read; lt_smaps_parse is pure.
 */
#ifndef LT_PROC_SMAPS_H
#define LT_PROC_SMAPS_H

#include <stddef.h>
#include <stdint.h>

#include "proc/process.h"
#include "stream/event.h"

#define LT_SMAPS_CLASSES (LT_RESIDENT_COUNT - LT_RESIDENT_MAPPED)

struct lt_smaps {
	uint64_t rss_bytes, swap_bytes;
	uint16_t resident_count;              /* as in struct lt_event_process */
	uint64_t resident[LT_RESIDENT_COUNT]; /* bytes; they add up to rss_bytes */
};

/*
 * Who knows which mappings are tracked: fills in how many bytes of [start, end) are, by class.  The
 * kernel joins neighbours to one mapping: if it is tracked in part, /proc/PID/pagemap tells what
 * lies in that part; without it (lt_smaps_parse, or no time left) all parts count as equally dense.
 */
struct lt_smaps_tracked {
	void (*sizes)(void *context, uint64_t start, uint64_t end,
		      uint64_t bytes[LT_SMAPS_CLASSES]);
	void *context;
};

/* tracked may be NULL.  -EBADMSG on nonsense, -ESRCH when there is not one mapping. */
int lt_smaps_parse(const char *text, size_t len, const struct lt_smaps_tracked *tracked,
		   struct lt_smaps *smaps);
/*
 * The kernel walks the page tables for this.  -ETIME once that took budget_ns; it is looked at
 * between two reads of a page of text each.
 */
int lt_smaps_read(const struct lt_process *process, uint64_t budget_ns,
		  const struct lt_smaps_tracked *tracked, struct lt_smaps *smaps);

#endif
