// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "go/memstats.h"

static uint8_t memstats[LT_MAX_GO_MEMSTATS], controller[LT_MAX_GO_CONTROLLER];

static void put(uint8_t *bytes, size_t offset, uint64_t value)
{
	memcpy(bytes + offset, &value, sizeof(value));
}

static int clear(void **state)
{
	memset(memstats, 0, sizeof(memstats));
	memset(controller, 0, sizeof(controller));
	return 0;
}

static void knows_the_versions(void **state)
{
	for (unsigned int minor = 19; minor <= 27; minor++) {
		const struct lt_go_memstats_layout *layout = lt_go_memstats_layout_of(minor);

		assert_non_null(layout);
		assert_true(layout->memstats_bytes <= LT_MAX_GO_MEMSTATS);
		assert_true(layout->controller_bytes <= LT_MAX_GO_CONTROLLER);
		assert_true(layout->numgc + 8U <= layout->memstats_bytes);
		assert_int_equal(layout->pause_ns + 2 * 2048 + 0U, layout->numgc);
	}
	assert_null(lt_go_memstats_layout_of(18));
	assert_null(lt_go_memstats_layout_of(28));
	assert_null(lt_go_memstats_layout_of(0));
	/* go1.19.8 and go1.26.10, by their DWARF */
	assert_int_equal(lt_go_memstats_layout_of(19)->numgc, 7704);
	assert_int_equal(lt_go_memstats_layout_of(19)->heap_in_use, 304);
	assert_int_equal(lt_go_memstats_layout_of(26)->last_gc_nanotime, 7696);
	assert_int_equal(lt_go_memstats_layout_of(26)->mapped_ready, 312);
}

static void reads_collections_and_stacks(void **state)
{
	const struct lt_go_memstats_layout *layout = lt_go_memstats_layout_of(22);
	struct lt_event_runtime runtime = {};

	/* The three generations hold differences: only their sum means something. */
	put(memstats, layout->delta_in_stacks, 3 * 8192);
	put(memstats, layout->delta_bytes + layout->delta_in_stacks, -(uint64_t)8192);
	put(memstats, 2 * layout->delta_bytes + layout->delta_in_stacks, 5 * 8192);
	put(memstats, layout->numgc, 300 | 7ULL << 32); /* numforcedgc is next to it */
	put(memstats, layout->pause_total_ns, 123456);
	put(memstats, layout->pause_ns + 43 * 8, 789); /* (300 + 255) % 256 */
	put(memstats, layout->last_gc_nanotime, 5000000001);
	lt_go_memstats_read(layout, memstats, &runtime);
	assert_int_equal(runtime.stacks_inuse_bytes, 7 * 8192);
	assert_int_equal(runtime.gc_count, 300);
	assert_int_equal(runtime.gc_pause_total_ns, 123456);
	assert_int_equal(runtime.gc_pause_last_ns, 789);
	assert_int_equal(runtime.last_gc_ns, 5000000001);
	put(memstats, layout->delta_in_stacks, 1);
	lt_go_memstats_read(layout, memstats, &runtime);
	assert_int_equal(runtime.stacks_inuse_bytes, LT_UNKNOWN_FIGURE);
	put(memstats, layout->delta_in_stacks, -(uint64_t)(100 * 8192));
	lt_go_memstats_read(layout, memstats, &runtime);
	assert_int_equal(runtime.stacks_inuse_bytes, LT_UNKNOWN_FIGURE);
}

static void reads_the_heap(void **state)
{
	const struct lt_go_memstats_layout *layout = lt_go_memstats_layout_of(22);
	struct lt_event_runtime runtime = { .heap_idle_bytes = LT_UNKNOWN_FIGURE };

	put(controller, layout->memory_limit, INT64_MAX);
	put(controller, layout->percent_goal, 4 << 20);
	put(controller, layout->triggered, UINT64_MAX);
	put(controller, layout->heap_live, 12345);
	put(controller, layout->heap_in_use, 100 * 8192);
	put(controller, layout->heap_released, 20 * 8192);
	put(controller, layout->heap_free, 3 * 8192);
	lt_go_controller_read(layout, controller, &runtime);
	assert_int_equal(runtime.heap_inuse_bytes, 100 * 8192);
	assert_int_equal(runtime.heap_released_bytes, 20 * 8192);
	assert_int_equal(runtime.heap_idle_bytes, 23 * 8192);
	assert_int_equal(runtime.heap_live_bytes, 12345);
	assert_int_equal(runtime.next_gc_bytes, 4 << 20);
	put(controller, layout->heap_in_use, 100 * 8192 + 1);
	put(controller, layout->heap_live, UINT64_MAX);
	put(controller, layout->heap_free, 1ULL << 60);
	runtime.heap_idle_bytes = LT_UNKNOWN_FIGURE;
	lt_go_controller_read(layout, controller, &runtime);
	assert_int_equal(runtime.heap_inuse_bytes, LT_UNKNOWN_FIGURE);
	assert_int_equal(runtime.heap_live_bytes, LT_UNKNOWN_FIGURE);
	assert_int_equal(runtime.heap_idle_bytes, LT_UNKNOWN_FIGURE);
}

/* What lt_go_controller_read() takes for the goal, with a heap of 40 MiB in 50 MiB that are mapped. */
static uint64_t goal_of(unsigned int minor, uint64_t limit, uint64_t percent_goal, uint64_t sweep,
			uint64_t triggered)
{
	const struct lt_go_memstats_layout *layout = lt_go_memstats_layout_of(minor);
	struct lt_event_runtime runtime;

	put(controller, layout->memory_limit, limit);
	put(controller, layout->percent_goal, percent_goal);
	put(controller, layout->sweep_trigger, sweep);
	put(controller, layout->triggered, triggered);
	put(controller, layout->heap_marked, 9 << 20);
	put(controller, layout->heap_free, 8192);
	put(controller, layout->total_alloc, (100 << 20) - 8192);
	put(controller, layout->total_free, 60 << 20);
	put(controller, layout->mapped_ready, 50 << 20);
	lt_go_controller_read(layout, controller, &runtime);
	return runtime.next_gc_bytes;
}

static void finds_the_goal_as_the_pacer_does(void **state)
{
	const uint64_t mib = 1 << 20, none = UINT64_MAX;

	assert_int_equal(goal_of(22, INT64_MAX, 80 * mib, 0, none), 80 * mib);
	assert_int_equal(goal_of(22, INT64_MAX, 80 * mib, 81 * mib, none), 81 * mib);
	assert_int_equal(goal_of(22, INT64_MAX, 80 * mib, 0, 80 * mib), 80 * mib + 65536);
	assert_int_equal(goal_of(22, INT64_MAX, none, 0, none), LT_UNKNOWN_FIGURE); /* GOGC=off */
	/* Of a limit of 110 MiB 10 are not heap; 3 % of what is left are kept. */
	assert_int_equal(goal_of(22, 110 * mib, none, 0, none), 100 * mib - 100 * mib / 100 * 3);
	assert_int_equal(goal_of(19, 110 * mib, none, 0, none), 99 * mib);
	assert_int_equal(goal_of(22, 110 * mib, 80 * mib, 0, none), 80 * mib);
	/* What is beyond the limit is taken off as well; never less than what was marked. */
	assert_int_equal(goal_of(22, 45 * mib, none, 0, none), 30 * mib - mib);
	assert_int_equal(goal_of(22, 20 * mib, none, 0, none), 9 * mib);
	assert_int_equal(goal_of(22, 31 * mib, none, 0, none), 9 * mib);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_versions),
		cmocka_unit_test_setup(reads_collections_and_stacks, clear),
		cmocka_unit_test_setup(reads_the_heap, clear),
		cmocka_unit_test_setup(finds_the_goal_as_the_pacer_does, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
