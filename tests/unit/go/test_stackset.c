// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/stackset.h"

#include <errno.h>
#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_distinct(void **state)
{
	static const uint64_t a[] = { 1, 2, 3 }, b[] = { 1, 3, 2 };
	struct lt_go_stackset set = { 0 };
	uint32_t number;

	for (int walk = 0; walk < 3; walk++) {
		assert_int_equal(lt_go_stackset_reset(&set), 0);
		assert_int_equal(set.count, 1);
		assert_int_equal(lt_go_stackset_add(&set, a, 0, true, &number), 0);
		assert_int_equal(number, 0);
		assert_int_equal(lt_go_stackset_add(&set, a, 3, false, &number), 0);
		assert_int_equal(number, 1);
		assert_int_equal(lt_go_stackset_add(&set, b, 3, false, &number), 0);
		assert_int_equal(number, 2);
		assert_int_equal(lt_go_stackset_add(&set, a, 3, true, &number), 0);
		assert_int_equal(number, 3);
		assert_int_equal(lt_go_stackset_add(&set, a, 2, false, &number), 0);
		assert_int_equal(number, 4);
		assert_int_equal(lt_go_stackset_add(&set, a, 3, false, &number), 0);
		assert_int_equal(number, 1);
		lt_go_stackset_finish(&set);
		assert_memory_equal(set.stacks[1].frames, a, sizeof(a));
		assert_memory_equal(set.stacks[2].frames, b, sizeof(b));
		assert_int_equal(set.stacks[4].frame_count, 2);
		assert_true(set.stacks[3].cut && set.stacks[0].cut && !set.stacks[1].cut);
		assert_true(set.stacks[1].hash != set.stacks[2].hash);
	}
	lt_go_stackset_free(&set);
}

static void test_full(void **state)
{
	struct lt_go_stackset set = { 0 };
	uint32_t number;

	assert_int_equal(lt_go_stackset_reset(&set), 0);
	for (uint64_t i = 1; i < LT_MAX_GO_STACKS; i++) {
		uint64_t frames[] = { i, i * 3 };

		assert_int_equal(lt_go_stackset_add(&set, frames, 2, false, &number), 0);
		assert_int_equal(number, i);
	}
	number = 77;
	assert_int_equal(lt_go_stackset_add(&set, (uint64_t[]){ 0, 1 }, 2, false, &number),
			 -ENOSPC);
	assert_int_equal(number, 77);
	assert_int_equal(lt_go_stackset_add(&set, (uint64_t[]){ 5, 15 }, 2, false, &number), 0);
	assert_int_equal(number, 5);
	lt_go_stackset_finish(&set);
	assert_int_equal(set.stacks[LT_MAX_GO_STACKS - 1].frames[0], LT_MAX_GO_STACKS - 1);
	assert_int_equal(lt_go_stackset_reset(&set), 0);
	assert_int_equal(set.count, 1);
	lt_go_stackset_free(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_distinct),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
