// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/memory.h"

#define MIB (1024.0 * 1024)

/* A process with these megabytes in each kind of resident memory. */
static struct lt_event_process observed(uint16_t count, const uint64_t mib[LT_RESIDENT_COUNT])
{
	struct lt_event_process process = { .resident_count = count };

	for (uint16_t i = 0; i < count; i++) {
		process.resident[i] = mib[i] << 20;
		process.rss_bytes += process.resident[i];
	}
	return process;
}

static struct lt_report_memory divide_go(const struct lt_event_process *first,
					 const struct lt_event_process *now,
					 const struct lt_event_runtime *runtime_first,
					 const struct lt_event_runtime *runtime, double heap_mib)
{
	double growth = (double)now->rss_bytes - (double)first->rss_bytes, sum = 0, explained = 0;
	struct lt_report_memory memory;

	lt_memory_divide(&(struct lt_memory_input){ .first = first,
						    .now = now,
						    .runtime_first = runtime_first,
						    .runtime = runtime,
						    .growth = growth,
						    .heap_bytes = heap_mib * MIB },
			 &memory);
	for (int part = 0; part < LT_MEMORY_PARTS; part++) {
		double bytes = isnan(memory.parts[part]) ? 0 : memory.parts[part];

		sum += bytes;
		explained += lt_memory_parts[part].explained ? bytes : 0;
	}
	assert_true(sum == growth); /* exactly */
	assert_true(memory.explained == explained);
	assert_true(memory.explained + memory.rest == growth);
	return memory;
}

static struct lt_report_memory divide(const struct lt_event_process *first,
				      const struct lt_event_process *now, double heap_mib)
{
	struct lt_report_memory memory = divide_go(first, now, NULL, NULL, heap_mib);

	for (int part = LT_MEMORY_GO_HEAP; part <= LT_MEMORY_GO_KEPT; part++) {
		assert_true(isnan(memory.parts[part]));
		memory.parts[part] = 0;
	}
	return memory;
}

static void expect(const struct lt_report_memory *memory, const double mib[LT_MEMORY_PARTS])
{
	for (int part = 0; part < LT_MEMORY_PARTS; part++)
		if (memory->parts[part] != mib[part] * MIB)
			fail_msg("%s: %g MiB, not %g", lt_memory_parts[part].name,
				 memory->parts[part] / MIB, mib[part]);
}

static const uint64_t before[LT_RESIDENT_COUNT] = {
	[LT_RESIDENT_HEAP] = 10,  [LT_RESIDENT_ANONYMOUS] = 20, [LT_RESIDENT_STACK] = 1,
	[LT_RESIDENT_COPIED] = 2, [LT_RESIDENT_FILE] = 5,
};

static void every_part_has_its_name(void **state)
{
	static const uint64_t after[LT_RESIDENT_COUNT] = {
		[LT_RESIDENT_HEAP] = 30,
		[LT_RESIDENT_ANONYMOUS] = 27,
		[LT_RESIDENT_STACK] = 3,
		[LT_RESIDENT_COPIED] = 5,
		[LT_RESIDENT_FILE] = 1,
		[LT_RESIDENT_SHARED] = 6,
		[LT_RESIDENT_OTHER] = 9,
		[LT_RESIDENT_MAPPED_PLAIN] = 11,
		[LT_RESIDENT_MAPPED_ALLOCATOR] = 40,
		[LT_RESIDENT_MAPPED_STACK] = 8,
		[LT_RESIDENT_MAPPED_RESERVED] = 1,
	};
	static const double parts[LT_MEMORY_PARTS] = {
		[LT_MEMORY_HEAP] = 50,   [LT_MEMORY_MAPPINGS] = 12,
		[LT_MEMORY_STACKS] = 8,  [LT_MEMORY_ALLOCATOR] = 20 + 40 - 50,
		[LT_MEMORY_BEFORE] = 7,  [LT_MEMORY_UNDIVIDED] = 0,
		[LT_MEMORY_GLOBALS] = 3, [LT_MEMORY_FILES] = -4,
		[LT_MEMORY_SHARED] = 6,  [LT_MEMORY_MAIN_STACK] = 2,
		[LT_MEMORY_OTHER] = 9,
	};
	struct lt_event_process first = observed(LT_RESIDENT_COUNT, before);
	struct lt_event_process now = observed(LT_RESIDENT_COUNT, after);
	struct lt_report_memory memory;

	first.swap_bytes = 2 << 20;
	now.swap_bytes = 5 << 20;
	memory = divide(&first, &now, 50);
	assert_true(isnan(memory.parts[LT_MEMORY_UNDIVIDED]));
	memory.parts[LT_MEMORY_UNDIVIDED] = 0;
	expect(&memory, parts);
	assert_true(memory.divided && memory.maps_tracked);
	assert_true(memory.swap_growth == 3 * MIB);
}

/* More blocks than the allocator got memory: they lie in what was there before. */
static void blocks_may_need_no_new_pages(void **state)
{
	struct lt_event_process first = observed(LT_RESIDENT_COUNT, before), now = first;
	struct lt_report_memory memory;

	now.resident[LT_RESIDENT_HEAP] += 4 << 20;
	now.rss_bytes += 4 << 20;
	memory = divide(&first, &now, 24);
	assert_true(memory.parts[LT_MEMORY_ALLOCATOR] == 0);
	assert_true(memory.parts[LT_MEMORY_BEFORE] == -20 * MIB);
	assert_true(memory.rest == -20 * MIB);
	assert_true(memory.parts[LT_MEMORY_OTHER] == 0);
}

static void shrinking_adds_up_too(void **state)
{
	static const uint64_t after[LT_RESIDENT_COUNT] = { [LT_RESIDENT_HEAP] = 1 };
	struct lt_event_process first = observed(LT_RESIDENT_COUNT, before);
	struct lt_event_process now = observed(LT_RESIDENT_COUNT, after);
	struct lt_report_memory memory = divide(&first, &now, 3);

	assert_true(memory.rest == (-37 - 3) * MIB);
	assert_true(memory.parts[LT_MEMORY_BEFORE] == (-20 - 12) * MIB);
}

/* Without the ranges of mappings nobody knows what is the allocator's. */
static void without_ranges_private_memory_is_one(void **state)
{
	struct lt_event_process first = observed(LT_RESIDENT_COUNT, before);
	struct lt_event_process now = observed(LT_RESIDENT_MAPPED, before);
	struct lt_report_memory memory;

	now.resident[LT_RESIDENT_ANONYMOUS] += 9 << 20;
	now.rss_bytes += 9 << 20;
	memory = divide(&first, &now, 6);
	assert_true(memory.divided && !memory.maps_tracked);
	assert_true(memory.parts[LT_MEMORY_UNDIVIDED] == 3 * MIB);
	assert_true(isnan(memory.parts[LT_MEMORY_ALLOCATOR]));
	assert_true(isnan(memory.parts[LT_MEMORY_BEFORE]));
	assert_true(isnan(memory.parts[LT_MEMORY_MAPPINGS]));
	assert_true(isnan(memory.parts[LT_MEMORY_STACKS]));
}

/* Recordings of old, and processes whose smaps takes too long. */
static void without_smaps_the_rest_is_one(void **state)
{
	struct lt_event_process first = { .rss_bytes = 10 << 20 };
	struct lt_event_process now = observed(LT_RESIDENT_COUNT, before);
	struct lt_report_memory memory = divide(&first, &now, 6);

	assert_false(memory.divided);
	assert_true(memory.explained == 6 * MIB);
	assert_true(memory.parts[LT_MEMORY_OTHER] == 22 * MIB);
	assert_true(isnan(memory.parts[LT_MEMORY_FILES]));
	assert_true(isnan(memory.swap_growth));
}

static void unknown_growth_has_no_rest(void **state)
{
	struct lt_event_process first = { 0 }, now = observed(LT_RESIDENT_COUNT, before);
	struct lt_report_memory memory;

	lt_memory_divide(
		&(struct lt_memory_input){
			.first = &first, .now = &now, .growth = NAN, .heap_bytes = 6 * MIB },
		&memory);
	assert_true(memory.explained == 6 * MIB);
	assert_true(isnan(memory.rest));
	assert_false(memory.divided);
	for (int part = LT_MEMORY_MAPPINGS; part < LT_MEMORY_PARTS; part++)
		assert_true(isnan(memory.parts[part]));
}

/* A recording may say anything: what does not add up is in the last part. */
static void nonsense_adds_up(void **state)
{
	struct lt_event_process first = observed(LT_RESIDENT_COUNT, before);
	struct lt_event_process now = first;

	now.rss_bytes += 77;
	now.resident[LT_RESIDENT_FILE] += 7;
	assert_true(divide(&first, &now, 0).parts[LT_MEMORY_OTHER] == 70);
}

#define MIBS(count) ((uint64_t)(count) << 20)

static const struct lt_event_runtime go_before = { .heap_inuse_bytes = MIBS(10),
						   .heap_idle_bytes = MIBS(8),
						   .heap_released_bytes = MIBS(7),
						   .stacks_inuse_bytes = MIBS(1) };

/* Where mappings are not tracked, as by default in a Go process. */
static void the_go_runtime_explains_its_growth(void **state)
{
	static const uint64_t after[LT_RESIDENT_COUNT] = {
		[LT_RESIDENT_HEAP] = 10,  [LT_RESIDENT_ANONYMOUS] = 85, [LT_RESIDENT_STACK] = 1,
		[LT_RESIDENT_COPIED] = 2, [LT_RESIDENT_FILE] = 5,
	};
	static const double parts[LT_MEMORY_PARTS] = {
		[LT_MEMORY_GO_HEAP] = 50,
		[LT_MEMORY_GO_STACKS] = 3,
		[LT_MEMORY_GO_KEPT] = 4,
		[LT_MEMORY_UNDIVIDED] = 85 - 20 - 57,
	};
	static const struct lt_event_runtime go_now = { .heap_inuse_bytes = MIBS(60),
							.heap_idle_bytes = MIBS(12),
							.heap_released_bytes = MIBS(7),
							.stacks_inuse_bytes = MIBS(4) };
	struct lt_event_process first = observed(LT_RESIDENT_MAPPED, before);
	struct lt_event_process now = observed(LT_RESIDENT_MAPPED, after);
	struct lt_report_memory memory = divide_go(&first, &now, &go_before, &go_now, 0);

	assert_true(memory.explained == 53 * MIB);
	for (int part = 0; part < LT_MEMORY_PARTS; part++)
		if (isnan(memory.parts[part]))
			memory.parts[part] = 0;
	expect(&memory, parts);
}

/* It maps arenas as it grows, and uses those from before. */
static void new_mappings_are_the_go_runtimes_first(void **state)
{
	static const uint64_t after[LT_RESIDENT_COUNT] = {
		[LT_RESIDENT_HEAP] = 10,        [LT_RESIDENT_ANONYMOUS] = 40,
		[LT_RESIDENT_STACK] = 1,        [LT_RESIDENT_COPIED] = 2,
		[LT_RESIDENT_FILE] = 5,         [LT_RESIDENT_MAPPED_PLAIN] = 30,
		[LT_RESIDENT_MAPPED_STACK] = 8,
	};
	static const struct lt_event_runtime go_now = { .heap_inuse_bytes = MIBS(60),
							.heap_idle_bytes = MIBS(8),
							.heap_released_bytes = MIBS(7),
							.stacks_inuse_bytes = MIBS(1) };
	static const struct lt_event_runtime shrunk = { .heap_inuse_bytes = MIBS(4),
							.heap_idle_bytes = MIBS(14),
							.heap_released_bytes = MIBS(13),
							.stacks_inuse_bytes = MIBS(1) };
	struct lt_event_process first = observed(LT_RESIDENT_COUNT, before);
	struct lt_event_process now = observed(LT_RESIDENT_COUNT, after);
	struct lt_report_memory memory = divide_go(&first, &now, &go_before, &go_now, 0);

	assert_true(memory.parts[LT_MEMORY_GO_HEAP] == 50 * MIB);
	assert_true(memory.parts[LT_MEMORY_MAPPINGS] == 0);
	assert_true(memory.parts[LT_MEMORY_BEFORE] == 0);
	assert_true(memory.parts[LT_MEMORY_STACKS] == 8 * MIB);
	memory = divide_go(&first, &first, &go_before, &shrunk, 0);
	assert_true(memory.parts[LT_MEMORY_GO_HEAP] == -6 * MIB);
	assert_true(memory.parts[LT_MEMORY_GO_KEPT] == 0);
	assert_true(memory.parts[LT_MEMORY_MAPPINGS] == 0);
	assert_true(memory.parts[LT_MEMORY_BEFORE] == 6 * MIB);
}

static void unknown_figures_are_in_other_parts(void **state)
{
	static const struct lt_event_runtime go_now = { .heap_inuse_bytes = MIBS(11),
							.heap_idle_bytes = LT_UNKNOWN_FIGURE,
							.heap_released_bytes = MIBS(7),
							.stacks_inuse_bytes = LT_UNKNOWN_FIGURE };
	struct lt_event_process first = observed(LT_RESIDENT_MAPPED, before);
	struct lt_report_memory memory = divide_go(&first, &first, &go_before, &go_now, 0);

	assert_true(memory.parts[LT_MEMORY_GO_HEAP] == MIB);
	assert_true(isnan(memory.parts[LT_MEMORY_GO_STACKS]));
	assert_true(isnan(memory.parts[LT_MEMORY_GO_KEPT]));
	assert_true(memory.parts[LT_MEMORY_UNDIVIDED] == -MIB);
	memory = divide_go(&first, &first, NULL, &go_now, 0);
	assert_true(isnan(memory.parts[LT_MEMORY_GO_HEAP]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_part_has_its_name),
		cmocka_unit_test(blocks_may_need_no_new_pages),
		cmocka_unit_test(shrinking_adds_up_too),
		cmocka_unit_test(without_ranges_private_memory_is_one),
		cmocka_unit_test(without_smaps_the_rest_is_one),
		cmocka_unit_test(unknown_growth_has_no_rest),
		cmocka_unit_test(nonsense_adds_up),
		cmocka_unit_test(the_go_runtime_explains_its_growth),
		cmocka_unit_test(new_mappings_are_the_go_runtimes_first),
		cmocka_unit_test(unknown_figures_are_in_other_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
