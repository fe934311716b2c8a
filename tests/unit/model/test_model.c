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
#define HEAP     LT_KIND_HEAP
#define OTHER    77 /* a kind that no table knows: nothing in the model depends on it */

static int setup(void **state)
{
	return lt_model_new(START_NS, (struct lt_model **)state);
}

static int teardown(void **state)
{
	lt_model_free(*state);
	return 0;
}

static void acquire(struct lt_model *model, uint64_t second, uint8_t kind, uint64_t id,
		    uint64_t size, uint64_t stack_id)
{
	struct lt_event event = { .type = LT_EVENT_ACQUIRE,
				  .kind = kind,
				  .time_ns = START_NS + second * S,
				  .acquire = { id, size, stack_id } };

	assert_int_equal(lt_model_apply(model, &event), 0);
}

static void tell(struct lt_model *model, uint8_t type, uint64_t second, uint64_t id, uint8_t flags)
{
	struct lt_event event = { .type = type,
				  .kind = HEAP,
				  .flags = flags,
				  .time_ns = START_NS + second * S,
				  .release = { id } };

	assert_int_equal(lt_model_apply(model, &event), 0);
}

/* What must hold at any time: sites sum up to the totals, acquired - released = live. */
static void check(const struct lt_model *model)
{
	const struct lt_model_totals *totals = lt_model_totals(model);
	uint64_t acquired = 0, released = 0, live = 0, live_size = 0;

	for (size_t i = 0; i < lt_model_site_count(model); i++) {
		const struct lt_site *site = lt_model_site(model, i);
		uint64_t alive = 0;

		assert_int_equal(site->index, i);
		assert_int_equal(site->acquired_count - site->released_count, site->live_count);
		assert_int_equal(site->acquired_size - site->released_size, site->live_size);
		for (unsigned int level = 0; level < LT_COHORT_LEVELS; level++)
			alive += site->cohorts.alive_total[level];
		assert_int_equal(alive, site->live_count);
		acquired += site->acquired_count;
		released += site->released_count;
		live += site->live_count;
		live_size += site->live_size;
	}
	assert_int_equal(totals->acquired_count, acquired);
	assert_int_equal(totals->released_count, released);
	assert_int_equal(totals->live_count, live);
	assert_int_equal(totals->live_size, live_size);
}

static void test_sites(void **state)
{
	struct lt_model *model = *state;
	const struct lt_site *site;

	acquire(model, 0, HEAP, 0x10, 100, 1);
	acquire(model, 1, HEAP, 0x20, 50, 1);
	acquire(model, 2, OTHER, 0x10, 1, 1); /* another kind: another site and another id */
	acquire(model, 3, HEAP, 0x30, 7, 2);
	tell(model, LT_EVENT_RELEASE, 4, 0x10, 0);
	check(model);
	assert_int_equal(lt_model_site_count(model), 3);
	assert_null(lt_model_site(model, 3));
	site = lt_model_site(model, 0);
	assert_int_equal(site->acquired_count, 2);
	assert_int_equal(site->live_size, 50);
	assert_int_equal(site->peak_size, 150);
	assert_int_equal(site->first_ns, START_NS);
	assert_int_equal(site->last_ns, START_NS + S);
	assert_int_equal(lt_model_site(model, 1)->kind, OTHER);
	assert_int_equal(lt_model_site(model, 1)->live_count, 1);
	assert_int_equal(lt_model_totals(model)->unknown_released, 0);
}

static void test_unknown_and_reused(void **state)
{
	struct lt_model *model = *state;

	tell(model, LT_EVENT_RELEASE, 0, 0x10, 0);
	assert_int_equal(lt_model_totals(model)->unknown_released, 1);
	acquire(model, 0, HEAP, 0x10, 100, 1);
	acquire(model, 1, HEAP, 0x10, 30, 2); /* the release between was missed */
	check(model);
	assert_int_equal(lt_model_totals(model)->address_reused, 1);
	assert_int_equal(lt_model_site(model, 0)->live_count, 0);
	assert_int_equal(lt_model_site(model, 0)->released_size, 100);
	assert_int_equal(lt_model_site(model, 1)->live_size, 30);
}

/* glibc frees what a thread's cache holds a second time when the thread ends. */
static void test_repeated_release(void **state)
{
	struct lt_model *model = *state;

	acquire(model, 0, HEAP, 0x10, 100, 1);
	tell(model, LT_EVENT_RELEASE, 1, 0x10, 0);
	tell(model, LT_EVENT_RELEASE, 2, 0x10, 0);
	tell(model, LT_EVENT_RELEASE, 2, 0x20, 0);
	assert_int_equal(lt_model_totals(model)->repeated_released, 1);
	assert_int_equal(lt_model_totals(model)->unknown_released, 1);
	assert_int_equal(lt_model_totals(model)->released_count, 1);
	tell(model, LT_EVENT_RELEASE, 3, 0x10, LT_WIRE_F_REALLOC);
	tell(model, LT_EVENT_RESTORE, 3, 0x10, 0);
	assert_int_equal(lt_model_totals(model)->repeated_released, 1);
	/* What was there before the attach is released once; the next time it is repeated. */
	tell(model, LT_EVENT_RELEASE, 4, 0x20, 0);
	assert_int_equal(lt_model_totals(model)->repeated_released, 2);
	assert_int_equal(lt_model_totals(model)->unknown_released, 1);
	/* A failed realloc of such a block does not count as its release. */
	tell(model, LT_EVENT_RELEASE, 5, 0x30, LT_WIRE_F_REALLOC);
	tell(model, LT_EVENT_RESTORE, 5, 0x30, 0);
	tell(model, LT_EVENT_RELEASE, 6, 0x30, 0);
	assert_int_equal(lt_model_totals(model)->unknown_released, 2);
}

/* A failed realloc leaves no trace at all. */
static void test_realloc_failed(void **state)
{
	struct lt_model *model = *state;
	struct lt_site before;
	struct lt_model_totals totals;

	acquire(model, 0, HEAP, 0x10, 100, 1);
	for (uint64_t second = 14; second < 40; second++) {
		/* Its age changes level while the realloc runs, at some of these seconds. */
		lt_model_roll(model, START_NS + (second + 1) * S);
		before = *lt_model_site(model, 0);
		totals = *lt_model_totals(model);
		tell(model, LT_EVENT_RELEASE, second, 0x10, LT_WIRE_F_REALLOC);
		assert_int_equal(lt_model_site(model, 0)->live_count, 0);
		check(model);
		tell(model, LT_EVENT_RESTORE, second + 1, 0x10, 0);
		check(model);
		assert_memory_equal(lt_model_site(model, 0), &before, sizeof(before));
		assert_memory_equal(lt_model_totals(model), &totals, sizeof(totals));
	}
	uint32_t birth;

	lt_model_oldest(model, &birth);
	assert_int_equal(birth, 0);

	/* The same for a block from before the attach. */
	tell(model, LT_EVENT_RELEASE, 41, 0x999, LT_WIRE_F_REALLOC);
	assert_int_equal(lt_model_totals(model)->unknown_released, 1);
	tell(model, LT_EVENT_RESTORE, 41, 0x999, 0);
	assert_int_equal(lt_model_totals(model)->unknown_released, 0);
	assert_int_equal(lt_model_totals(model)->restore_missed, 0);
}

static void test_realloc_done(void **state)
{
	struct lt_model *model = *state;

	acquire(model, 0, HEAP, 0x10, 100, 1);
	tell(model, LT_EVENT_RELEASE, 1, 0x10, LT_WIRE_F_REALLOC);
	acquire(model, 1, HEAP, 0x10, 200, 2); /* in place: no address was reused */
	check(model);
	assert_int_equal(lt_model_totals(model)->address_reused, 0);
	assert_int_equal(lt_model_totals(model)->live_size, 200);
}

static void test_restore_missed(void **state)
{
	struct lt_model *model = *state;

	acquire(model, 0, HEAP, 0x10, 100, 1);
	tell(model, LT_EVENT_RELEASE, 0, 0x10, 0); /* no realloc: cannot be undone */
	tell(model, LT_EVENT_RESTORE, 0, 0x10, 0);
	assert_int_equal(lt_model_totals(model)->restore_missed, 1);
	acquire(model, 0, HEAP, 0x10, 100, 1);
	tell(model, LT_EVENT_RELEASE, 0, 0x10, LT_WIRE_F_REALLOC);
	tell(model, LT_EVENT_RESTORE, 0, 0x10, 0);
	tell(model, LT_EVENT_RESTORE, 0, 0x10, 0); /* only once */
	assert_int_equal(lt_model_totals(model)->restore_missed, 2);
	check(model);
	assert_int_equal(lt_model_totals(model)->live_count, 1);
}

/* A thread preempted inside a failing realloc, while others realloc with success. */
static void test_realloc_failed_late(void **state)
{
	struct lt_model *model = *state;
	const uint64_t others = 3000;

	acquire(model, 0, HEAP, 0x10, 100, 1);
	tell(model, LT_EVENT_RELEASE, 0, 0x10, LT_WIRE_F_REALLOC);
	for (uint64_t i = 0; i < others; i++) {
		acquire(model, 0, HEAP, 0x1000 + 16 * i, 10, 2);
		tell(model, LT_EVENT_RELEASE, 0, 0x1000 + 16 * i, LT_WIRE_F_REALLOC);
	}
	tell(model, LT_EVENT_RESTORE, 0, 0x10, 0);
	assert_int_equal(lt_model_totals(model)->restore_missed, 0);
	assert_int_equal(lt_model_site(model, 0)->live_size, 100);
	check(model);
}

static void test_stacks(void **state)
{
	struct lt_model *model = *state;
	uint64_t frames[] = { 11, 22, 33 };
	struct lt_event early = { .type = LT_EVENT_STACK,
				  .kind = HEAP,
				  .time_ns = START_NS,
				  .stack = { 1, frames, 3, 2 } };
	struct lt_event late = { .type = LT_EVENT_STACK,
				 .kind = HEAP,
				 .time_ns = START_NS,
				 .stack = { 2, frames, 2, 0 } };

	lt_model_apply(model, &early);
	acquire(model, 0, HEAP, 1, 1, 1);
	acquire(model, 0, HEAP, 2, 1, 2);
	assert_int_equal(lt_model_site(model, 1)->frame_count, 0);
	lt_model_apply(model, &late);
	frames[0] = 99; /* borrowed: the model keeps a copy */
	lt_model_apply(model, &early);
	assert_int_equal(lt_model_site(model, 0)->frame_count, 3);
	assert_int_equal(lt_model_site(model, 0)->frames[0], 11);
	assert_int_equal(lt_model_site(model, 0)->stack_end, 2);
	assert_int_equal(lt_model_site(model, 1)->frame_count, 2);
	assert_int_equal(lt_model_site(model, 1)->frames[1], 22);
}

/* At the bound nothing is kept, everything is counted, and what is known stays right. */
static void test_sites_full(void **state)
{
	struct lt_model *model = *state;

	for (uint64_t i = 0; i < LT_MAX_SITES + 10; i++)
		acquire(model, 0, HEAP, i, 8, i);
	assert_int_equal(lt_model_site_count(model), LT_MAX_SITES);
	assert_int_equal(lt_model_totals(model)->sites_full, 10);
	acquire(model, 1, HEAP, 3, 8, LT_MAX_SITES + 100); /* and this ends the old block 3 */
	assert_int_equal(lt_model_totals(model)->address_reused, 1);
	assert_int_equal(lt_model_site(model, 3)->live_count, 0);
	check(model);
	tell(model, LT_EVENT_RELEASE, 1, LT_MAX_SITES + 1, 0);
	assert_int_equal(lt_model_totals(model)->unknown_released, 1);
	assert_true(lt_model_memory(model) > LT_MAX_SITES * sizeof(struct lt_site));
	assert_true(lt_model_memory(model) < LT_MAX_SITES * 2 * sizeof(struct lt_site));
}

/* Rings are not ordered among each other: time never steps back. */
static void test_time(void **state)
{
	struct lt_model *model = *state;
	uint32_t births[2];

	acquire(model, 100, HEAP, 1, 1, 1);
	acquire(model, 97, HEAP, 2, 1, 2);
	tell(model, LT_EVENT_RELEASE, 40, 1, 0);
	lt_model_oldest(model, births);
	assert_int_equal(births[0], UINT32_MAX);
	assert_int_equal(births[1], 100);
	assert_int_equal(lt_model_seconds(model, 0), 0);
	assert_int_equal(lt_model_seconds(model, START_NS + 3 * S - 1), 2);
	assert_int_equal(lt_model_seconds(model, UINT64_MAX) > 1000, 1);
	lt_model_roll(model, START_NS + 1000 * S);
	assert_int_equal(lt_cohorts_alive_above(&lt_model_site(model, 1)->cohorts, 2), 1);
	check(model);
}

/* What the kernel lists goes its own way, whatever the flags say; all are counted alike. */
static void test_listed_kinds(void **state)
{
	static const uint8_t kinds[] = { LT_KIND_SOCKET, LT_KIND_FD, LT_KIND_THREAD };
	struct lt_model *model = *state;
	const struct lt_listed item = { .id = 7, .kind = LT_KIND_FD };
	struct lt_event event = { .time_ns = START_NS + 9 * S };
	uint32_t births[5];

	acquire(model, 3, HEAP, 5, 100, 1);
	for (size_t i = 0; i < sizeof(kinds); i++) {
		event.type = LT_EVENT_ACQUIRE;
		event.kind = kinds[i];
		event.flags = LT_WIRE_F_RANGE;
		event.acquire = (struct lt_event_acquire){ 5 + i, 1, 300 };
		assert_int_equal(lt_model_apply(model, &event), 0);
	}
	check(model);
	assert_int_equal(lt_model_totals(model)->live_count, 4);
	assert_int_equal(lt_model_totals(model)->mapped_size[LT_RANGE_PLAIN], 0);
	lt_model_oldest(model, births);
	assert_int_equal(births[0], 3);
	assert_int_equal(births[3], 9);
	event = (struct lt_event){ .type = LT_EVENT_RELEASE,
				   .kind = LT_KIND_FD,
				   .flags = LT_WIRE_F_REALLOC,
				   .time_ns = START_NS + 10 * S,
				   .release = { 5 } };
	assert_int_equal(lt_model_apply(model, &event), 0);
	assert_int_equal(lt_model_site(model, 0)->live_count, 1); /* the block stays */
	assert_int_equal(lt_model_site(model, 1)->live_count, 0);
	event.type = LT_EVENT_RESTORE;
	assert_int_equal(lt_model_apply(model, &event), 0);
	assert_int_equal(lt_model_site(model, 1)->live_count, 1);
	event = (struct lt_event){ .type = LT_EVENT_CENSUS, .time_ns = START_NS + 20 * S };
	event.census = (struct lt_event_census){
		LT_LISTING_DESCRIPTORS, 1, event.time_ns, 0, UINT64_MAX, &item
	};
	assert_int_equal(lt_model_apply(model, &event), 0);
	assert_int_equal(lt_model_listing(model, LT_LISTING_DESCRIPTORS)->tracked, 3);
	assert_int_equal(lt_model_listing(model, LT_LISTING_DESCRIPTORS)->vanished, 2);
	assert_false(lt_model_listing(model, LT_LISTING_THREADS)->taken);
	lt_model_roll(model, START_NS + 100 * S);
	assert_int_equal(lt_cohorts_alive_above(&lt_model_site(model, 3)->cohorts, 0), 1);
	check(model);
	event.type = LT_EVENT_SAMPLE; /* not for the model */
	assert_int_equal(lt_model_apply(model, &event), 0);
	event.type = UINT8_MAX;
	assert_int_equal(lt_model_apply(model, &event), 0);
	check(model);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sites),
		TEST(test_unknown_and_reused),
		TEST(test_repeated_release),
		TEST(test_realloc_failed),
		TEST(test_realloc_done),
		TEST(test_restore_missed),
		TEST(test_realloc_failed_late),
		TEST(test_stacks),
		TEST(test_sites_full),
		TEST(test_time),
		TEST(test_listed_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
