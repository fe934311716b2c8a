// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/known.h"

static const struct lt_report_frame frames[] = {
	{ .function = "runtime.gopark" },
	{ .function = "net/http.(*persistConn).readLoop" },
	{ .function = "runtime.goexit" },
};

static void a_shape_is_a_function_and_a_state(void **state)
{
	const char *open = lt_known_shape(LT_MARK_SELECT, frames, 3);
	const char *idle = lt_known_shape(LT_MARK_IO_WAIT, frames, 3);

	assert_non_null(open);
	assert_non_null(idle);
	assert_string_not_equal(open, idle);
	assert_null(lt_known_shape(LT_MARK_SEMACQUIRE, frames, 3));
	/* The function must be among the frames of the wait. */
	assert_null(lt_known_shape(LT_MARK_SELECT, frames, 1));
	assert_null(lt_known_shape(LT_MARK_SELECT, frames, 0));
}

static void nothing_wakes_a_nil_channel(void **state)
{
	assert_string_equal(lt_known_shape(LT_MARK_CHAN_RECEIVE_NIL, frames, 1),
			    "nothing can ever wake them");
	assert_string_equal(lt_known_shape(LT_MARK_SELECT_NO_CASES, frames, 0),
			    "nothing can ever wake them");
	assert_null(lt_known_shape(LT_MARK_NONE, frames, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shape_is_a_function_and_a_state),
		cmocka_unit_test(nothing_wakes_a_nil_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
