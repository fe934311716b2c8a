// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leaktrace/events.h"
#include "report/marks.h"

static void each_has_its_text(void **state)
{
	size_t found = 0;

	for (uint64_t word = 0; word < LT_MARK_LIMIT; word++) {
		const struct lt_mark_info *mark = lt_mark_find(word);

		if (!mark)
			continue;
		found++;
		assert_int_equal(mark->value, word);
		assert_true(mark->text[0]);
		assert_int_not_equal(mark->class, LT_MARK_CLASS_UNKNOWN);
	}
	assert_true(found > 30);
	assert_string_equal(lt_mark_find(LT_MARK_CREATED)->text, "created by");
	assert_int_equal(lt_mark_find(LT_MARK_CREATED)->class, LT_MARK_CLASS_CHAIN);
	assert_int_equal(lt_mark_find(LT_MARK_RUNNING)->class, LT_MARK_CLASS_STATE);
	assert_int_equal(lt_mark_find(LT_MARK_SELECT)->class, LT_MARK_CLASS_WAIT);
	assert_null(lt_mark_find(LT_MARK_NONE));
	assert_null(lt_mark_find(77));
}

static void addresses_are_none(void **state)
{
	assert_false(lt_mark_is(0));
	assert_true(lt_mark_is(1));
	assert_true(lt_mark_is(77));
	assert_true(lt_mark_is(4095));
	assert_false(lt_mark_is(4096));
	assert_false(lt_mark_is(UINT64_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_its_text),
		cmocka_unit_test(addresses_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
