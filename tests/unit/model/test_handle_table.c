/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files under test are part of this one, with an allocator that runs dry. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"

static uint64_t allocations;
static uint64_t allocations_left = UINT64_MAX;
static unsigned int failing_of_16;

static int runs_dry(void)
{
	if (!allocations_left)
		return 1;
	allocations_left--;
	return lt_mix64(++allocations) % 16 < failing_of_16;
}

#define calloc(count, size) (runs_dry() ? NULL : calloc(count, size))
#define malloc(size)        (runs_dry() ? NULL : malloc(size))
#include "model/texts.c"

#include "model/handle_table.c" /* which has a hash function of its own */
#undef calloc
#undef malloc

#include "unit/model/listed.h"

#define FDS LT_LISTING_DESCRIPTORS

static int setup(void **state)
{
	now_ns = START_NS;
	failing_of_16 = 0;
	allocations_left = UINT64_MAX;
	return lt_model_new(START_NS, (struct lt_model **)state);
}

static int teardown(void **state)
{
	lt_model_free(*state);
	return 0;
}

static void test_new(void **state)
{
	struct lt_handles *handles = NULL;
	uint64_t needed = 0;

	for (;; needed++) {
		allocations_left = needed;
		if (!lt_handles_new(NULL, NULL, &handles))
			break;
		assert_null(handles);
	}
	assert_int_equal(needed, 3);
	lt_handles_free(handles);
	lt_handles_free(NULL);
}

static void describe_all(struct lt_model *model, uint64_t seed)
{
	struct lt_event event = event_of(LT_EVENT_DESCRIBE, 0, 0);
	char name[32];

	for (uint64_t fd = 0; fd < 100; fd++) {
		snprintf(name, sizeof(name), "/tmp/%u", (unsigned int)lt_mix64(fd + seed));
		event.describe = (struct lt_event_describe){ FDS, fd, 0, "file", name, "", "" };
		apply(model, &event);
	}
}

static void test_no_memory(void **state)
{
	struct lt_model *model = *state;
	const struct lt_model_totals *totals = lt_model_totals(model);
	struct lt_listed items[100];
	struct held held;

	failing_of_16 = 6;
	for (uint64_t i = 0; i < 100; i++)
		items[i] = (struct lt_listed){ .id = i, .kind = LT_KIND_FD };
	for (uint64_t round = 0; round < 200; round++) {
		for (uint64_t i = 0; i < 50; i++) {
			uint64_t random = lt_mix64(round * 1000 + i);

			now_ns += MS;
			acquire(model, LT_KIND_FD, random % 200, random % 20);
			release(model, random / 256 % 200);
		}
		now_ns += 20 * MS;
		describe_all(model, round);
		census_part(model, FDS, now_ns, 0, UINT64_MAX, items, round % 2 ? 100 : 0);
		check(model);
	}
	assert_true(totals->memory_full > 1000);
	failing_of_16 = 0;
	now_ns += S;
	census_part(model, FDS, now_ns, 0, UINT64_MAX, items, 100);
	census_part(model, FDS, now_ns + 1, 0, UINT64_MAX, items, 100);
	held = check(model);
	assert_int_equal(held.count, 100);
	assert_int_equal(held.last_id, 99);
}

/* Nothing at all: what was known before stays right. */
static void test_not_a_byte(void **state)
{
	struct lt_model *model = *state;
	struct lt_listed items[] = { { 5, 0, LT_KIND_FD }, { 6, 0, LT_KIND_FD } };

	acquire(model, LT_KIND_FD, 5, 100);
	allocations_left = 0;
	acquire(model, LT_KIND_FD, 6, 100);
	release(model, 7);
	now_ns += S;
	census_part(model, FDS, now_ns, 0, UINT64_MAX, items, 2);
	describe_all(model, 1);
	assert_int_equal(lt_model_totals(model)->memory_full, 4);
	assert_int_equal(check(model).count, 1);
	acquire(model, LT_KIND_FD, 5, 100); /* needs none */
	release(model, 5);
	restore(model, 5);
	assert_int_equal(check(model).count, 1);
	assert_int_equal(lt_model_totals(model)->memory_full, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_a_byte, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
