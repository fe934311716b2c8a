// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/memory.h"

#include <math.h>

/* Tracked memory without pages of its own, or less of what was there before. */
#define NO_NEW_PAGES "in older, untouched or returned pages"

const struct lt_memory_part_info lt_memory_parts[LT_MEMORY_PARTS] = {
	[LT_MEMORY_HEAP] = { "heap", true, "heap", "heap" },
	[LT_MEMORY_MAPPINGS] = { "mappings", true, "mappings", "mappings" },
	[LT_MEMORY_STACKS] = { "thread_stacks", true, "thread stacks", "thread stacks" },
	[LT_MEMORY_GO_HEAP] = { "go_heap", true, "Go heap", "Go heap" },
	[LT_MEMORY_GO_STACKS] = { "go_stacks", true, "stacks of goroutines",
				  "stacks of goroutines" },
	[LT_MEMORY_GO_KEPT] = { "go_runtime", false, "kept by the Go runtime",
				"kept by the Go runtime" },
	[LT_MEMORY_ALLOCATOR] = { "allocator", false, "kept by the allocator (fragmentation)",
				  "kept by the allocator" },
	[LT_MEMORY_BEFORE] = { "before_attach", false, "memory from before the attach",
			       NO_NEW_PAGES },
	[LT_MEMORY_UNDIVIDED] = { "undivided", false,
				  "other private memory (mappings, stacks, the allocator's own)",
				  NO_NEW_PAGES },
	[LT_MEMORY_GLOBALS] = { "globals", false, "global variables", "global variables" },
	[LT_MEMORY_FILES] = { "file_pages", false, "file pages", "file pages" },
	[LT_MEMORY_SHARED] = { "shared_memory", false, "shared memory", "shared memory" },
	[LT_MEMORY_MAIN_STACK] = { "main_stack", false, "main stack", "main stack" },
	[LT_MEMORY_OTHER] = { "other", false, "other (the kernel's, probes)", "other" },
};

/* The same classes, in the same order. */
_Static_assert(LT_RESIDENT_COUNT - LT_RESIDENT_MAPPED == (int)LT_RANGE_CLASSES, "classes");

struct growth {
	const struct lt_event_process *first, *now;
};

static double grown(const struct growth *growth, enum lt_resident resident)
{
	return (double)growth->now->resident[resident] - (double)growth->first->resident[resident];
}

/*
 * Blocks lie in the allocator's memory.  What it got since the attach and is not in live blocks, it
 * keeps: fragmentation, caches, its own records.  If it got less than the blocks have, they reuse
 * memory from before the attach, or have pages that nobody touched.
 */
static void divide_private(const struct growth *growth, double heap_bytes, double *parts)
{
	double kept = grown(growth, LT_RESIDENT_HEAP) +
		      grown(growth, LT_RESIDENT_MAPPED_ALLOCATOR) - heap_bytes;

	parts[LT_MEMORY_ALLOCATOR] = fmax(kept, 0);
	parts[LT_MEMORY_BEFORE] = grown(growth, LT_RESIDENT_ANONYMOUS) + fmin(kept, 0);
	/* Reserved and used all the same: access was given later. */
	parts[LT_MEMORY_MAPPINGS] = grown(growth, LT_RESIDENT_MAPPED_PLAIN) +
				    grown(growth, LT_RESIDENT_MAPPED_RESERVED);
	parts[LT_MEMORY_STACKS] = grown(growth, LT_RESIDENT_MAPPED_STACK);
}

static bool is_known(uint64_t figure)
{
	return figure != LT_UNKNOWN_FIGURE;
}

static double figure_growth(uint64_t first, uint64_t now)
{
	return is_known(first) && is_known(now) ? (double)now - (double)first : NAN;
}

/* Spans without an object, less those whose pages are the kernel's again. */
static double kept(const struct lt_event_runtime *runtime)
{
	return is_known(runtime->heap_idle_bytes) && is_known(runtime->heap_released_bytes)
		       ? (double)runtime->heap_idle_bytes - (double)runtime->heap_released_bytes
		       : NAN;
}

static void divide_runtime(const struct lt_event_runtime *first, const struct lt_event_runtime *now,
			   double *parts)
{
	if (!first || !now)
		return;
	parts[LT_MEMORY_GO_HEAP] = figure_growth(first->heap_inuse_bytes, now->heap_inuse_bytes);
	parts[LT_MEMORY_GO_STACKS] = figure_growth(first->stacks_inuse_bytes,
						   now->stacks_inuse_bytes);
	parts[LT_MEMORY_GO_KEPT] = kept(now) - kept(first); /* NaN stays */
}

static double known_or_0(double value)
{
	return isnan(value) ? 0 : value;
}

/*
 * The Go runtime's memory is anonymous pages like any other, counted there.  It maps some as it
 * grows, as an allocator does, and has others from before the attach: what it has more is taken from
 * new mappings first.
 */
static void take_runtime(double *parts)
{
	double bytes = known_or_0(parts[LT_MEMORY_GO_HEAP]) +
		       known_or_0(parts[LT_MEMORY_GO_STACKS]) +
		       known_or_0(parts[LT_MEMORY_GO_KEPT]);
	static const enum lt_memory_part from[] = { LT_MEMORY_ALLOCATOR, LT_MEMORY_MAPPINGS };

	if (!isnan(parts[LT_MEMORY_UNDIVIDED])) {
		parts[LT_MEMORY_UNDIVIDED] -= bytes;
		return;
	}
	for (unsigned int i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		double part = fmin(fmax(bytes, 0), fmax(known_or_0(parts[from[i]]), 0));

		parts[from[i]] -= part;
		bytes -= part;
	}
	parts[LT_MEMORY_BEFORE] -= bytes;
}

static void divide_resident(const struct growth *growth, bool maps_tracked, double heap_bytes,
			    double *parts)
{
	if (maps_tracked)
		divide_private(growth, heap_bytes, parts);
	else
		parts[LT_MEMORY_UNDIVIDED] = grown(growth, LT_RESIDENT_HEAP) +
					     grown(growth, LT_RESIDENT_ANONYMOUS) - heap_bytes;
	take_runtime(parts);
	parts[LT_MEMORY_GLOBALS] = grown(growth, LT_RESIDENT_COPIED);
	parts[LT_MEMORY_FILES] = grown(growth, LT_RESIDENT_FILE);
	parts[LT_MEMORY_SHARED] = grown(growth, LT_RESIDENT_SHARED);
	parts[LT_MEMORY_MAIN_STACK] = grown(growth, LT_RESIDENT_STACK);
}

void lt_memory_divide(const struct lt_memory_input *input, struct lt_report_memory *memory)
{
	const struct lt_event_process *first = input->first, *now = input->now;
	uint16_t known = first->resident_count < now->resident_count ? first->resident_count
								     : now->resident_count;
	double *parts = memory->parts, others = 0;

	*memory = (struct lt_report_memory){ .rest = NAN, .swap_growth = NAN };
	for (int part = 0; part < LT_MEMORY_PARTS; part++)
		parts[part] = NAN;
	parts[LT_MEMORY_HEAP] = input->heap_bytes;
	divide_runtime(input->runtime_first, input->runtime, parts);
	memory->divided = !isnan(input->growth) && known >= LT_RESIDENT_MAPPED;
	memory->maps_tracked = memory->divided && known >= LT_RESIDENT_COUNT;
	if (memory->divided) {
		divide_resident(&(struct growth){ first, now }, memory->maps_tracked,
				input->heap_bytes, parts);
		memory->swap_growth = (double)now->swap_bytes - (double)first->swap_bytes;
	}
	for (int part = 0; part < LT_MEMORY_PARTS; part++) {
		double bytes = known_or_0(parts[part]);

		others += bytes;
		memory->explained += lt_memory_parts[part].explained ? bytes : 0;
	}
	if (isnan(input->growth))
		return;
	parts[LT_MEMORY_OTHER] = input->growth - others;
	memory->rest = input->growth - memory->explained;
}
