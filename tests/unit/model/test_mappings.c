/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/model.h"

#define START_NS UINT64_C(5000000000)
#define S        UINT64_C(1000000000)
#define BASE     UINT64_C(0x7f0000000000)
#define PAGE     UINT64_C(4096)

static uint64_t second;

static int setup(void **state)
{
	second = 0;
	return lt_model_new(START_NS, (struct lt_model **)state);
}

static int teardown(void **state)
{
	lt_model_free(*state);
	return 0;
}

static struct lt_event event_of(uint8_t type, uint8_t flags)
{
	return (struct lt_event){ .type = type,
				  .kind = LT_KIND_MMAP,
				  .flags = LT_WIRE_F_RANGE | flags,
				  .time_ns = START_NS + second * S };
}

/* Addresses and sizes in pages from here on. */
static void map_as(struct lt_model *model, uint8_t flags, uint64_t start, uint64_t size,
		   uint64_t stack_id)
{
	struct lt_event event = event_of(LT_EVENT_ACQUIRE, flags);

	event.acquire = (struct lt_event_acquire){ BASE + start * PAGE, size * PAGE, stack_id };
	assert_int_equal(lt_model_apply(model, &event), 0);
}

static void map(struct lt_model *model, uint64_t start, uint64_t size, uint64_t stack_id)
{
	map_as(model, 0, start, size, stack_id);
}

static void map_class(struct lt_model *model, enum lt_range_class class, uint64_t start,
		      uint64_t size)
{
	map_as(model, LT_WIRE_CLASS_FLAG(class), start, size, 0);
}

static void protect(struct lt_model *model, bool none, uint64_t start, uint64_t size,
		    uint64_t stack_id)
{
	map_as(model, LT_WIRE_F_PROTECT | (none ? LT_WIRE_CLASS_FLAG(LT_RANGE_RESERVED) : 0), start,
	       size, stack_id);
}

static void tell(struct lt_model *model, uint8_t type, uint64_t start, uint64_t size,
		 uint64_t target)
{
	struct lt_event event = event_of(type, 0);

	event.release = (struct lt_event_release){ BASE + start * PAGE, size * PAGE,
						   BASE + target * PAGE };
	assert_int_equal(lt_model_apply(model, &event), 0);
}

static void unmap(struct lt_model *model, uint64_t start, uint64_t size)
{
	tell(model, LT_EVENT_RELEASE, start, size, 0);
}

/* The release of a call that maps something there. */
static void replace(struct lt_model *model, uint64_t start, uint64_t size)
{
	struct lt_event event = event_of(LT_EVENT_RELEASE, LT_WIRE_F_REALLOC);

	event.release = (struct lt_event_release){ BASE + start * PAGE, size * PAGE, 0 };
	assert_int_equal(lt_model_apply(model, &event), 0);
}

static void restore(struct lt_model *model, uint64_t start, uint64_t size, uint64_t target)
{
	tell(model, LT_EVENT_RESTORE, start, size, target);
}

/* What must hold at any time. */
static void check(const struct lt_model *model)
{
	const struct lt_model_totals *totals = lt_model_totals(model);
	uint64_t acquired = 0, released = 0, live = 0, live_size = 0, mapped[LT_RANGE_CLASSES];
	uint64_t plain_size = 0;

	for (size_t i = 0; i < lt_model_site_count(model); i++) {
		const struct lt_site *site = lt_model_site(model, i);
		uint64_t alive = 0;

		assert_int_equal(site->acquired_count - site->released_count, site->live_count);
		assert_int_equal(site->acquired_size - site->released_size, site->live_size);
		assert_int_equal(site->live_count == 0, site->live_size == 0);
		for (unsigned int level = 0; level < LT_COHORT_LEVELS; level++)
			alive += site->cohorts.alive_total[level];
		assert_int_equal(alive, site->live_count);
		acquired += site->acquired_count;
		released += site->released_count;
		live += site->live_count;
		live_size += site->live_size;
		plain_size += site->kind == LT_KIND_MMAP ? site->live_size : 0;
	}
	assert_int_equal(totals->acquired_count, acquired);
	assert_int_equal(totals->released_count, released);
	assert_int_equal(totals->live_count, live);
	assert_int_equal(totals->live_size, live_size);
	assert_int_equal(totals->mapped_size[LT_RANGE_PLAIN], plain_size);
	/* Those of old recordings have no site. */
	assert_true(totals->mapped_size[LT_RANGE_STACK] >= live_size - plain_size);
	lt_model_mapped(model, 0, UINT64_MAX, mapped);
	assert_memory_equal(mapped, totals->mapped_size, sizeof(mapped));
}

static void expect_site(const struct lt_model *model, size_t index, uint64_t live_count,
			uint64_t live_pages, uint64_t released_count)
{
	const struct lt_site *site = lt_model_site(model, index);

	check(model);
	assert_non_null(site);
	assert_int_equal(site->live_count, live_count);
	assert_int_equal(site->live_size, live_pages * PAGE);
	assert_int_equal(site->released_count, released_count);
}

static void expect_class(const struct lt_model *model, enum lt_range_class class, uint64_t pages)
{
	check(model);
	assert_int_equal(lt_model_totals(model)->mapped_size[class], pages * PAGE);
}

static void test_parts_make_one_resource(void **state)
{
	struct lt_model *model = *state;

	map(model, 0, 10, 1);
	expect_site(model, 0, 1, 10, 0);
	unmap(model, 4, 2);
	expect_site(model, 0, 1, 8, 0);
	unmap(model, 0, 1);
	unmap(model, 9, 1);
	expect_site(model, 0, 1, 6, 0);
	map(model, 4, 2, 2); /* into the hole */
	unmap(model, 0, 20); /* everything, and more */
	expect_site(model, 0, 0, 0, 1);
	expect_site(model, 1, 0, 0, 1);
	assert_int_equal(lt_model_site(model, 0)->acquired_count, 1);
	assert_int_equal(lt_model_site(model, 0)->peak_size, 10 * PAGE);
	unmap(model, 0, 20); /* of before the attach, as far as is known */
	unmap(model, 0, 30);
	assert_int_equal(lt_model_totals(model)->unknown_released, 2);
	restore(model, 0, 30, 0);
	replace(model, 0, 20); /* may have been nothing */
	assert_int_equal(lt_model_totals(model)->unknown_released, 1);
	assert_int_equal(lt_model_totals(model)->address_reused, 0);
}

static void test_failed_calls_change_nothing(void **state)
{
	struct lt_model *model = *state;
	uint32_t births[2];

	map(model, 0, 4, 1);
	second = 10;
	map(model, 4, 4, 2);
	second = 20;
	unmap(model, 2, 4);
	second = 21;
	restore(model, 2, 4, 2);
	expect_site(model, 0, 1, 4, 0);
	expect_site(model, 1, 1, 4, 0);
	unmap(model, 0, 8); /* this time all of both */
	second = 30;
	expect_site(model, 0, 0, 0, 1);
	restore(model, 0, 8, 0);
	expect_site(model, 0, 1, 4, 0);
	lt_model_oldest(model, births);
	assert_int_equal(births[0], 0);
	assert_int_equal(births[1], 10);
	assert_int_equal(lt_model_totals(model)->restore_missed, 0);
	restore(model, 0, 8, 0); /* only once */
	assert_int_equal(lt_model_totals(model)->restore_missed, 1);
	unmap(model, 0, 8);
	unmap(model, 0, 8); /* two threads: the one that came second took nothing */
	restore(model, 0, 8, 0);
	expect_site(model, 0, 0, 0, 1);
}

static void test_moved_mappings_keep_their_site(void **state)
{
	struct lt_model *model = *state;
	uint32_t births[3];

	map(model, 0, 4, 1);
	unmap(model, 1, 1);
	second = 5;
	map(model, 1, 1, 2);
	second = 9;
	unmap(model, 0, 4); /* mremap of both, to 100, over something, with growth */
	map(model, 100, 2, 3);
	unmap(model, 100, 6);
	restore(model, 0, 4, 100);
	map(model, 104, 2, 3);
	expect_site(model, 0, 1, 3, 0);
	expect_site(model, 1, 1, 1, 0);
	expect_site(model, 2, 1, 2, 1);
	unmap(model, 101, 1);
	expect_site(model, 1, 0, 0, 1);
	lt_model_oldest(model, births);
	assert_int_equal(births[0], 0);
	assert_int_equal(births[1], UINT32_MAX);
	assert_int_equal(births[2], 9);
}

static void test_classes_are_no_sites(void **state)
{
	struct lt_model *model = *state;

	map_class(model, LT_RANGE_ALLOCATOR, 0, 32);
	map_class(model, LT_RANGE_STACK, 40, 8);
	map_class(model, LT_RANGE_RESERVED, 50, 10);
	assert_int_equal(lt_model_site_count(model), 0);
	unmap(model, 0, 8);
	unmap(model, 24, 18);
	expect_class(model, LT_RANGE_ALLOCATOR, 16);
	expect_class(model, LT_RANGE_STACK, 6);
	expect_class(model, LT_RANGE_RESERVED, 10);
	map(model, 52, 2, 1); /* MAP_FIXED over a reservation whose release was missed */
	assert_int_equal(lt_model_totals(model)->mapping_reused, 1);
	expect_site(model, 0, 1, 2, 0);
	expect_class(model, LT_RANGE_RESERVED, 8);
	unmap(model, 8, 16);
	restore(model, 8, 16, 108);
	expect_class(model, LT_RANGE_ALLOCATOR, 16);
	assert_int_equal(lt_model_totals(model)->live_count, 1);
}

static void test_stacks_are_of_a_site(void **state)
{
	struct lt_model *model = *state;
	const uint8_t stack = LT_WIRE_CLASS_FLAG(LT_RANGE_STACK);
	uint32_t births[2];

	map(model, 0, 4, 7);
	second = 3;
	map_as(model, stack, 10, 8, 7); /* the same caller: another kind, another site */
	second = 5;
	map_as(model, stack, 20, 8, 7);
	map_as(model, stack, 30, 2, 0); /* of an old recording */
	expect_class(model, LT_RANGE_STACK, 18);
	assert_int_equal(lt_model_site_count(model), 2);
	assert_int_equal(lt_model_site(model, 1)->kind, LT_KIND_STACK);
	assert_int_equal(lt_model_site(model, 1)->stack_id, 7);
	expect_site(model, 0, 1, 4, 0);
	expect_site(model, 1, 2, 16, 0);
	lt_model_oldest(model, births);
	assert_int_equal(births[1], 3);
	protect(model, false, 10, 8, 8); /* its guard page is let go, or moved */
	protect(model, true, 20, 1, 8);
	expect_site(model, 1, 2, 16, 0);
	assert_int_equal(lt_model_site_count(model), 2);
	unmap(model, 10, 8);
	restore(model, 10, 8, 10);
	expect_site(model, 1, 2, 16, 0);
	unmap(model, 10, 8);
	unmap(model, 20, 2);
	unmap(model, 30, 2);
	expect_site(model, 1, 1, 6, 1);
	expect_class(model, LT_RANGE_STACK, 6);
	assert_int_equal(lt_model_totals(model)->unknown_released, 0);
}

/* A library gives the stack of a thread that has ended to the next one, whoever makes it. */
static void test_stacks_are_handed_over(void **state)
{
	struct lt_model *model = *state;
	const uint8_t stack = LT_WIRE_CLASS_FLAG(LT_RANGE_STACK);
	const uint8_t mine = stack | LT_WIRE_F_PROTECT;

	map_as(model, stack, 10, 8, 7);
	map_as(model, stack, 20, 8, 7);
	map(model, 30, 8, 7);
	map_as(model, stack, 40, 8, 0);
	second = 10;
	map_as(model, mine, 17, 1, 8); /* a new stack's first thread */
	expect_site(model, 0, 1, 8, 1);
	assert_int_equal(lt_model_site(model, 2)->stack_id, 8);
	assert_int_equal(lt_model_site(model, 2)->kind, LT_KIND_STACK);
	expect_site(model, 2, 1, 8, 0);
	second = 20;
	map_as(model, mine, 17, 1, 8); /* another one of the same maker: that is turnover */
	expect_site(model, 2, 1, 8, 1);
	second = 30;
	map_as(model, mine, 17, 1, 9);
	expect_site(model, 2, 0, 0, 2);
	expect_site(model, 3, 1, 8, 0);
	expect_class(model, LT_RANGE_STACK, 24);
	/* No stacks that are known, or none at all: made by others, or before the attach. */
	map_as(model, mine, 33, 1, 9);
	map_as(model, mine, 41, 1, 9);
	map_as(model, mine, 28, 1, 9);
	map_as(model, mine, 99, 1, 9);
	expect_site(model, 3, 1, 8, 0);
	expect_site(model, 1, 1, 8, 0);
	unmap(model, 10, 8);
	expect_site(model, 3, 0, 0, 1);
	restore(model, 10, 8, 10);
	expect_site(model, 3, 1, 8, 0);
	assert_int_equal(lt_model_totals(model)->mapping_reused, 0);
}

static void test_protection(void **state)
{
	struct lt_model *model = *state;

	map_class(model, LT_RANGE_RESERVED, 0, 10);
	map_class(model, LT_RANGE_STACK, 10, 4);
	map_class(model, LT_RANGE_ALLOCATOR, 14, 4);
	protect(model, false, 2, 14, 1);
	expect_class(model, LT_RANGE_RESERVED, 2);
	expect_class(model, LT_RANGE_STACK, 4);
	expect_class(model, LT_RANGE_ALLOCATOR, 4);
	expect_site(model, 0, 1, 8, 0);
	protect(model, false, 2, 14, 2); /* it is memory already */
	assert_int_equal(lt_model_site_count(model), 1);
	protect(model, true, 4, 2, 0);
	protect(model, true, 100, 2, 0); /* nothing known is there */
	expect_class(model, LT_RANGE_RESERVED, 4);
	expect_site(model, 0, 1, 6, 0);
	protect(model, false, 0, 10, 2); /* two holes, one call */
	expect_site(model, 1, 1, 4, 0);
	unmap(model, 0, 20);
	expect_site(model, 0, 0, 0, 1);
	expect_site(model, 1, 0, 0, 1);
	assert_int_equal(lt_model_totals(model)->address_reused, 0);
}

static void test_no_ranges(void **state)
{
	struct lt_model *model = *state;
	struct lt_event event = event_of(LT_EVENT_ACQUIRE, 0);

	event.acquire = (struct lt_event_acquire){ UINT64_MAX - 10, 20, 1 }; /* wraps */
	assert_int_equal(lt_model_apply(model, &event), 0);
	event.acquire.size = 0;
	assert_int_equal(lt_model_apply(model, &event), 0);
	event = event_of(LT_EVENT_STACK, 0);
	assert_int_equal(lt_model_apply(model, &event), 0);
	assert_int_equal(lt_model_totals(model)->acquired_count, 0);
	map(model, 0, 4, 1);
	tell(model, LT_EVENT_RELEASE, 1, UINT64_MAX / PAGE, 0);
	unmap(model, 0, 2);
	event = event_of(LT_EVENT_RESTORE, 0);
	event.release = (struct lt_event_release){ BASE, 2 * PAGE, UINT64_MAX - 100 };
	assert_int_equal(lt_model_apply(model, &event), 0); /* to no place */
	expect_site(model, 0, 1, 2, 0);
}

static void test_undo_is_bounded(void **state)
{
	struct lt_model *model = *state;
	const uint64_t pieces = 20000;

	for (uint64_t i = 0; i < pieces; i++)
		map(model, 2 * i, 1, 1);
	unmap(model, 0, 2 * pieces); /* more pieces than are kept */
	restore(model, 0, 2 * pieces, 0);
	assert_int_equal(lt_model_totals(model)->restore_missed, 1);
	expect_site(model, 0, 0, 0, pieces);
	map(model, 0, 1, 1);
	unmap(model, 0, 1);
	for (uint64_t i = 0; i < 5000; i++) /* more releases than are kept */
		unmap(model, 100, 1);
	restore(model, 0, 1, 0);
	assert_int_equal(lt_model_totals(model)->restore_missed, 2);
	check(model);
}

/* Against one byte for each page: 0 nothing, else 1 + class. */
#define PAGES 512

static void test_random(void **state)
{
	struct lt_model *model = *state;
	uint8_t plain[2 * PAGES] = { 0 }, undo[PAGES];
	uint64_t random = 88172645463325252ULL, sums[LT_RANGE_CLASSES];

	for (int round = 0; round < 50000; round++) {
		uint64_t start, size;
		uint8_t class;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		start = random % PAGES;
		size = 1 + (random >> 16) % (round % 50 ? 12 : PAGES);
		if (start + size > PAGES)
			size = PAGES - start;
		class = (random >> 32) % LT_RANGE_CLASSES;
		second = (uint64_t)round / 100;
		switch ((random >> 40) % 8) {
		case 0: /* mprotect */
			protect(model, class & 1, start, size, random >> 60);
			for (uint64_t i = start; i < start + size; i++)
				if (plain[i] == 1 + LT_RANGE_PLAIN ||
				    plain[i] == 1 + LT_RANGE_RESERVED)
					plain[i] = 1 +
						   (class & 1 ? LT_RANGE_RESERVED : LT_RANGE_PLAIN);
			break;
		case 1: /* munmap fails */
			unmap(model, start, size);
			restore(model, start, size, start);
			break;
		case 2: /* mremap moves there and back */
			memcpy(undo, plain + start, size);
			unmap(model, start, size);
			restore(model, start, size, PAGES + start);
			memset(plain + start, 0, size);
			memcpy(plain + PAGES + start, undo, size);
			check(model);
			unmap(model, PAGES + start, size);
			restore(model, PAGES + start, size, start);
			memset(plain + PAGES + start, 0, size);
			memcpy(plain + start, undo, size);
			break;
		case 3:
		case 4: /* munmap */
			unmap(model, start, size);
			memset(plain + start, 0, size);
			break;
		default: /* mmap MAP_FIXED */
			unmap(model, start, size);
			map_as(model, LT_WIRE_CLASS_FLAG(class), start, size, 1 + (random >> 60));
			memset(plain + start, 1 + class, size);
		}
		memset(sums, 0, sizeof(sums));
		for (size_t i = 0; i < sizeof(plain); i++)
			if (plain[i])
				sums[plain[i] - 1] += PAGE;
		check(model);
		assert_memory_equal(sums, lt_model_totals(model)->mapped_size, sizeof(sums));
		assert_int_equal(lt_model_totals(model)->live_size,
				 sums[LT_RANGE_PLAIN] + sums[LT_RANGE_STACK]);
	}
	assert_int_equal(lt_model_totals(model)->address_reused, 0);
	assert_int_equal(lt_model_totals(model)->restore_missed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_parts_make_one_resource, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failed_calls_change_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moved_mappings_keep_their_site, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_classes_are_no_sites, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stacks_are_of_a_site, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stacks_are_handed_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_protection, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_ranges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_undo_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
