/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The runtime's own accounts, from the bytes of its variables runtime.memstats (runtime/mstats.go)
 * and runtime.gcController (runtime/mgcpacer.go), by version.  Pure.
 */
#ifndef LT_GO_MEMSTATS_H
#define LT_GO_MEMSTATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream/event.h"

#define LT_MAX_GO_MEMSTATS    8192 /* bytes of it that are read */
#define LT_MAX_GO_CONTROLLER  512
#define LT_GO_MEMSTATS_USED   7
#define LT_GO_CONTROLLER_USED 5

struct lt_go_memstats_layout {
	unsigned int minor_first, minor_last; /* Go 1.first to 1.last */
	/* memstats; it begins with three heapStatsDelta: heapStats.stats */
	uint16_t delta_bytes, delta_in_stacks;
	uint16_t pause_total_ns, pause_ns, numgc, last_gc_nanotime, memstats_bytes;
	/* gcController */
	uint16_t memory_limit, percent_goal, sweep_trigger, triggered, heap_live, heap_marked,
		heap_in_use, heap_released, heap_free, total_alloc, total_free, mapped_ready,
		controller_bytes;
	bool limit_percent; /* memoryLimitHeapGoal() keeps some percent below the limit */
	/* Fields that the code of the functions in go/figures.c refers to. */
	uint16_t memstats_used[LT_GO_MEMSTATS_USED], controller_used[LT_GO_CONTROLLER_USED];
};

/* NULL: not known. */
const struct lt_go_memstats_layout *lt_go_memstats_layout_of(unsigned int minor);

/*
 * What runtime.ReadMemStats() makes of them; LT_UNKNOWN_FIGURE for what is implausible.  Both take as
 * many bytes as the layout says.
 */
void lt_go_memstats_read(const struct lt_go_memstats_layout *layout, const uint8_t *memstats,
			 struct lt_event_runtime *runtime);
void lt_go_controller_read(const struct lt_go_memstats_layout *layout, const uint8_t *controller,
			   struct lt_event_runtime *runtime);

#endif
