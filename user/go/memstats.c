// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/memstats.h"

#include <string.h>

#define RUNTIME_PAGE   8192         /* runtime/sizeclasses.go: _PageSize */
#define MAX_BYTES      (1ULL << 47) /* user space has no more */
#define PAUSES         256U         /* runtime/mstats.go: mstats.pause_ns */
#define GENERATIONS    3            /* runtime/mstats.go: consistentHeapStats.stats */
#define MIN_RUNWAY     (64U << 10)  /* runtime/mgcpacer.go: heapGoalInternal() */
#define LIMIT_HEADROOM (1U << 20) /* memoryLimitHeapGoalHeadroom, memoryLimitMinHeapGoalHeadroom */
#define LIMIT_PERCENT  3          /* memoryLimitHeapGoalHeadroomPercent */

/* From mstats.last_gc_unix on: the same fields in all versions; before it are the size classes. */
#define MEMSTATS(delta, last_gc_unix)                                                              \
	.delta_bytes = (delta), .delta_in_stacks = 24, .pause_total_ns = (last_gc_unix) + 8,       \
	.pause_ns = (last_gc_unix) + 16, .numgc = (last_gc_unix) + 4112,                           \
	.last_gc_nanotime = (last_gc_unix) + 4128, .memstats_bytes = (last_gc_unix) + 4136,        \
	.memstats_used = { 0,                                                                      \
			   (last_gc_unix),                                                         \
			   (last_gc_unix) + 8,                                                     \
			   (last_gc_unix) + 16,                                                    \
			   (last_gc_unix) + 2064,                                                  \
			   (last_gc_unix) + 4112,                                                  \
			   (last_gc_unix) + 4128 }
/* From gcControllerState.gcPercentHeapGoal on: the same fields in all versions. */
#define CONTROLLER(goal)                                                                           \
	.memory_limit = 8, .percent_goal = (goal), .sweep_trigger = (goal) + 8,                    \
	.triggered = (goal) + 16, .heap_live = (goal) + 32, .heap_marked = (goal) + 80,            \
	.heap_in_use = (goal) + 200, .heap_released = (goal) + 208, .heap_free = (goal) + 216,     \
	.total_alloc = (goal) + 224, .total_free = (goal) + 232, .mapped_ready = (goal) + 240,     \
	.controller_bytes = (goal) + 248,                                                          \
	.controller_used = { (goal) + 24, (goal) + 32, (goal) + 200, (goal) + 208, (goal) + 216 }

static const struct lt_go_memstats_layout layouts[] = {
	{ 19, 19, MEMSTATS(1176, 3592), CONTROLLER(104) },
	{ 20, 20, MEMSTATS(1176, 3592), CONTROLLER(72) },
	{ 21, 24, MEMSTATS(1176, 3592), CONTROLLER(72), .limit_percent = true },
	{ 25, 27, MEMSTATS(1168, 3568), CONTROLLER(72), .limit_percent = true },
};

const struct lt_go_memstats_layout *lt_go_memstats_layout_of(unsigned int minor)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(*layouts); i++)
		if (minor >= layouts[i].minor_first && minor <= layouts[i].minor_last)
			return &layouts[i];
	return NULL;
}

static uint64_t word_at(const uint8_t *bytes, size_t offset)
{
	uint64_t word;

	memcpy(&word, bytes + offset, sizeof(word));
	return word;
}

static uint64_t plausible(uint64_t bytes)
{
	return bytes < MAX_BYTES ? bytes : LT_UNKNOWN_FIGURE;
}

static uint64_t plausible_pages(uint64_t bytes)
{
	return bytes % RUNTIME_PAGE ? LT_UNKNOWN_FIGURE : plausible(bytes);
}

void lt_go_memstats_read(const struct lt_go_memstats_layout *layout, const uint8_t *memstats,
			 struct lt_event_runtime *runtime)
{
	uint32_t count = (uint32_t)word_at(memstats, layout->numgc);
	uint64_t stacks = 0;

	for (size_t i = 0; i < GENERATIONS; i++)
		stacks += word_at(memstats, i * layout->delta_bytes + layout->delta_in_stacks);
	runtime->stacks_inuse_bytes = plausible_pages(stacks);
	runtime->gc_count = count;
	runtime->gc_pause_total_ns = word_at(memstats, layout->pause_total_ns);
	runtime->gc_pause_last_ns = word_at(memstats,
					    layout->pause_ns + (count + PAUSES - 1) % PAUSES * 8);
	runtime->last_gc_ns = word_at(memstats, layout->last_gc_nanotime);
}

/* runtime/mgcpacer.go: memoryLimitHeapGoal() */
static uint64_t limited_goal(const struct lt_go_memstats_layout *layout, const uint8_t *controller)
{
	uint64_t limit = word_at(controller, layout->memory_limit);
	uint64_t marked = word_at(controller, layout->heap_marked);
	uint64_t ready = word_at(controller, layout->mapped_ready);
	uint64_t heap = word_at(controller, layout->heap_free) +
			word_at(controller, layout->total_alloc) -
			word_at(controller, layout->total_free);
	uint64_t other = (ready > heap ? ready - heap : 0) + (ready > limit ? ready - limit : 0);
	uint64_t goal, headroom;

	if (other >= limit)
		return marked;
	goal = limit - other;
	headroom = layout->limit_percent ? goal / 100 * LIMIT_PERCENT : 0;
	if (headroom < LIMIT_HEADROOM)
		headroom = LIMIT_HEADROOM;
	goal = goal < 2 * headroom ? headroom : goal - headroom;
	return goal < marked ? marked : goal;
}

/* runtime/mgcpacer.go: heapGoalInternal() */
static uint64_t heap_goal(const struct lt_go_memstats_layout *layout, const uint8_t *controller)
{
	uint64_t goal = word_at(controller, layout->percent_goal);
	uint64_t limited = limited_goal(layout, controller);
	uint64_t sweep = word_at(controller, layout->sweep_trigger);
	uint64_t triggered = word_at(controller, layout->triggered);

	if (limited < goal)
		return limited;
	if (sweep > goal)
		goal = sweep;
	if (triggered != UINT64_MAX && goal < triggered + MIN_RUNWAY)
		goal = triggered + MIN_RUNWAY;
	return goal;
}

void lt_go_controller_read(const struct lt_go_memstats_layout *layout, const uint8_t *controller,
			   struct lt_event_runtime *runtime)
{
	uint64_t in_use = plausible_pages(word_at(controller, layout->heap_in_use));
	uint64_t released = plausible_pages(word_at(controller, layout->heap_released));
	uint64_t unused = plausible_pages(word_at(controller, layout->heap_free));

	runtime->heap_inuse_bytes = in_use;
	runtime->heap_released_bytes = released;
	if (released != LT_UNKNOWN_FIGURE && unused != LT_UNKNOWN_FIGURE)
		runtime->heap_idle_bytes = released + unused;
	runtime->heap_live_bytes = plausible(word_at(controller, layout->heap_live));
	/* With GOGC=off and no limit it lies beyond all memory: none is to come. */
	runtime->next_gc_bytes = plausible(heap_goal(layout, controller));
}
