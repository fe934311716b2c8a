/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The growth of the resident set since the attach, divided: what is tracked explains its part, the
 * rest has names.  The parts that are known add up to the growth exactly; a part is negative where
 * memory was given back, or where tracked memory needed no new pages.
 *
 * Estimates: live blocks count in full, resident or not.  Of the heap of a Go program the figures of
 * its runtime are what explains, not those of its sites: they are exact.  Pure.
 */
#ifndef LT_REPORT_MEMORY_H
#define LT_REPORT_MEMORY_H

#include <stdbool.h>

#include "stream/event.h"

enum lt_memory_part {
	/* Explained by what is tracked. */
	LT_MEMORY_HEAP,
	LT_MEMORY_MAPPINGS,
	LT_MEMORY_STACKS,
	LT_MEMORY_GO_HEAP,
	LT_MEMORY_GO_STACKS,
	/* The rest. */
	LT_MEMORY_GO_KEPT, /* free, but not given back by the Go runtime */
	LT_MEMORY_ALLOCATOR,
	LT_MEMORY_BEFORE,
	LT_MEMORY_UNDIVIDED, /* private memory beyond blocks, where mappings are not tracked */
	LT_MEMORY_GLOBALS,
	LT_MEMORY_FILES,
	LT_MEMORY_SHARED,
	LT_MEMORY_MAIN_STACK,
	LT_MEMORY_OTHER, /* what remains: all of the rest without smaps */
	LT_MEMORY_PARTS
};

struct lt_memory_part_info {
	const char *name; /* a key */
	bool explained;
	const char *gained, *lost; /* in words: of a positive part, of a negative one */
};

extern const struct lt_memory_part_info lt_memory_parts[LT_MEMORY_PARTS];

struct lt_report_memory {
	double parts[LT_MEMORY_PARTS]; /* bytes; NaN: unknown, and so contained in another part */
	double explained, rest;        /* sums; explained + rest is the growth; NaN: unknown */
	double swap_growth;            /* swapped out since the attach; NaN: unknown */
	bool divided;                  /* the rest is told apart */
	bool maps_tracked;             /* and mappings are */
};

struct lt_memory_input {
	const struct lt_event_process *first, *now;
	const struct lt_event_runtime *runtime_first, *runtime; /* NULL: none */
	double growth;                                          /* of the RSS; NaN: unknown */
	double heap_bytes;                                      /* live blocks */
};

void lt_memory_divide(const struct lt_memory_input *input, struct lt_report_memory *memory);

#endif
