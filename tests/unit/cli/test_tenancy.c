/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/tenancy.h"

#define HERE  0x1000ULL
#define AFTER 0x2000ULL
#define OTHER 0x9000ULL

static int begin(void **state)
{
	*state = calloc(1, sizeof(struct lt_tenancy));
	return *state ? 0 : -1;
}

static int end(void **state)
{
	free(*state);
	return 0;
}

#define FILE_1 111ULL
#define FILE_2 222ULL

/* Tag 2 is of FILE_2. */
static uint64_t see_2(void *context, uint64_t address, uint64_t file)
{
	return file == FILE_2 ? 2 : LT_TAG_UNKNOWN;
}

static void test_nothing_happened(void **state)
{
	assert_int_equal(lt_tenancy_tag(*state, HERE, 10, true, 5), 5);
	assert_int_equal(lt_tenancy_tag(*state, HERE, 10, false, 0), 0);
}

/* One module goes, another comes at the same place: each stack belongs to the one of its time. */
static void test_one_after_the_other(void **state)
{
	struct lt_tenancy *tenancy = *state;

	lt_tenancy_leave(tenancy, HERE, AFTER, 1, 100);
	lt_tenancy_arrive(tenancy, HERE, AFTER, FILE_2, 100);
	/* Nobody has looked yet. */
	assert_int_equal(lt_tenancy_tag(tenancy, HERE, 150, true, 1), LT_TAG_UNKNOWN);
	lt_tenancy_resolve(tenancy, 200, see_2, NULL);
	assert_int_equal(lt_tenancy_tag(tenancy, HERE, 150, true, 2), 2);
	assert_int_equal(lt_tenancy_tag(tenancy, AFTER - 1, 99, true, 2), 1);
	assert_int_equal(lt_tenancy_tag(tenancy, HERE, 100, true, 2), 2);
	assert_int_equal(lt_tenancy_tag(tenancy, AFTER, 150, true, 7), 7);
}

/* Several came between two looks: only those of the file that was seen are known. */
static void test_gone_before_anybody_looked(void **state)
{
	struct lt_tenancy *tenancy = *state;

	lt_tenancy_arrive(tenancy, HERE, AFTER, FILE_2, 90);
	lt_tenancy_arrive(tenancy, HERE, AFTER, FILE_1, 100);
	lt_tenancy_arrive(tenancy, HERE, AFTER, 0, 110);
	lt_tenancy_arrive(tenancy, HERE + 8, AFTER, FILE_2, 120);
	lt_tenancy_arrive(tenancy, HERE, AFTER, FILE_2, 300); /* after the look began */
	lt_tenancy_resolve(tenancy, 200, see_2, NULL);
	assert_int_equal(lt_tenancy_tag(tenancy, HERE + 8, 95, true, 2), 2);
	assert_int_equal(lt_tenancy_tag(tenancy, HERE + 8, 105, true, 2), LT_TAG_UNKNOWN);
	assert_int_equal(lt_tenancy_tag(tenancy, HERE + 8, 115, true, 2), LT_TAG_UNKNOWN);
	assert_int_equal(lt_tenancy_tag(tenancy, HERE + 8, 130, true, 2), 2);
	assert_int_equal(lt_tenancy_tag(tenancy, HERE + 8, 310, true, 2), LT_TAG_UNKNOWN);
	lt_tenancy_resolve(tenancy, 400, see_2, NULL);
	assert_int_equal(lt_tenancy_tag(tenancy, HERE + 8, 310, true, 2), 2);
}

/* A look shows other code before it is told of, or nobody tells: of that time nothing is sure. */
static void test_seen_before_it_was_told(void **state)
{
	struct lt_tenancy *tenancy = *state;

	lt_tenancy_arrive(tenancy, HERE, AFTER, FILE_2, 50);
	lt_tenancy_resolve(tenancy, 60, see_2, NULL);
	assert_false(lt_tenancy_close(tenancy, 60, 70));
	lt_tenancy_leave(tenancy, HERE, AFTER, 2, 200);
	lt_tenancy_doubt(tenancy, HERE, AFTER, 100, 210);
	assert_int_equal(lt_tenancy_tag(tenancy, HERE, 150, true, 3), LT_TAG_UNKNOWN);
	assert_int_equal(lt_tenancy_tag(tenancy, HERE, 209, true, 3), LT_TAG_UNKNOWN);
	assert_true(lt_tenancy_doubtful(tenancy, 150));
}

static void cut_at(struct lt_tenancy *tenancy, uint64_t time_ns, uint16_t frames, bool closed)
{
	const uint64_t addresses[] = { OTHER, HERE + 1, OTHER };
	struct lt_event_stack stack = { .frames = addresses, .frame_count = 3 };

	bool was_closed;

	assert_int_equal(lt_tenancy_cut(tenancy, &stack, time_ns, &was_closed), frames != 3);
	assert_int_equal(was_closed, closed);
	assert_int_equal(stack.frame_count, frames);
	assert_int_equal(stack.end, frames == 3 ? LT_STACK_COMPLETE : LT_STACK_PENDING);
}

static void test_windows(void **state)
{
	struct lt_tenancy *tenancy = *state;

	assert_false(lt_tenancy_doubtful(tenancy, 0));
	lt_tenancy_arrive(tenancy, HERE, AFTER, FILE_2, 100);
	assert_true(lt_tenancy_doubtful(tenancy, 1000000));
	cut_at(tenancy, 99, 3, false);
	cut_at(tenancy, 100, 2, false);
	assert_true(lt_tenancy_close(tenancy, 150, 160));
	assert_true(lt_tenancy_doubtful(tenancy, 159));
	assert_false(lt_tenancy_doubtful(tenancy, 160));
	cut_at(tenancy, 159, 2, true); /* read late: it is to be sent again at once */
	cut_at(tenancy, 160, 3, false);
	assert_false(lt_tenancy_close(tenancy, 200, 210));
	/* A look that began before the change does not close its window. */
	lt_tenancy_arrive(tenancy, HERE, AFTER, FILE_2, 300);
	assert_false(lt_tenancy_close(tenancy, 299, 310));
	cut_at(tenancy, 400, 2, false);
	/* What was told needs no second window. */
	lt_tenancy_doubt(tenancy, HERE, AFTER, 50, 60);
	cut_at(tenancy, 70, 3, false);
}

static void test_more_windows_than_room(void **state)
{
	struct lt_tenancy *tenancy = *state;

	for (int i = 0; i <= LT_WINDOWS; i++)
		lt_tenancy_arrive(tenancy, 0x100000 * (uint64_t)(i + 1),
				  0x100000 * (uint64_t)(i + 1) + 1, 0, 100 + (uint64_t)i);
	cut_at(tenancy, 300, 1, false); /* everything is in doubt */
}

/* What fell out of the ring is not remembered wrongly. */
static void test_more_tenants_than_room(void **state)
{
	struct lt_tenancy *tenancy = *state;

	lt_tenancy_leave(tenancy, HERE, AFTER, 1, 50);
	for (uint64_t i = 0; i <= LT_TENANTS; i++)
		lt_tenancy_arrive(tenancy, OTHER, OTHER + 1, 0, 100 + i);
	assert_int_equal(lt_tenancy_tag(tenancy, HERE, 40, true, 2), LT_TAG_UNKNOWN);
	assert_int_equal(lt_tenancy_tag(tenancy, HERE, 40, true, 0), LT_TAG_UNKNOWN);
	assert_int_equal(lt_tenancy_tag(tenancy, AFTER, 40, true, 0), 0);
	assert_int_equal(lt_tenancy_tag(tenancy, HERE, 1000, true, 2), 2);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_happened),
		TEST(test_one_after_the_other),
		TEST(test_gone_before_anybody_looked),
		TEST(test_seen_before_it_was_told),
		TEST(test_windows),
		TEST(test_more_windows_than_room),
		TEST(test_more_tenants_than_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
