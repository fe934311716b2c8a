// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/layout.h"

#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "go/gstruct.h"
#include "leaktrace/events.h"

static void test_known(void **state)
{
	for (unsigned int minor = 0; minor < 40; minor++) {
		const struct lt_go_layout *layout = lt_go_layout_of(minor);

		assert_int_equal(layout != NULL, minor == 15 || (minor >= 19 && minor <= 27));
		if (!layout)
			continue;
		assert_true(minor >= layout->minor_first && minor <= layout->minor_last);
		assert_true(layout->g_bytes <= LT_MAX_GO_G_BYTES);
		assert_true(layout->g_startpc + 8 <= layout->g_bytes);
		assert_true(layout->g_waitreason < layout->g_bytes);
		assert_int_equal(layout->g_sched_bp + 8, layout->g_syscallsp);
		assert_int_equal(layout->g_status + 8, layout->g_goid);
	}
}

static void test_wait_reasons(void **state)
{
	static const struct {
		unsigned int minor, number;
		enum lt_mark mark;
	} reasons[] = {
		{ 15, 2, LT_MARK_IO_WAIT },
		{ 15, 14, LT_MARK_CHAN_RECEIVE },
		{ 15, 20, LT_MARK_COND_WAIT },
		{ 19, 22, LT_MARK_TRACE_READER },
		{ 19, 21, LT_MARK_NONE },
		{ 20, 21, LT_MARK_MUTEX_LOCK },
		{ 21, 18, LT_MARK_SEMACQUIRE },
		{ 22, 36, LT_MARK_COROUTINE },
		{ 23, 31, LT_MARK_STOPPING_THE_WORLD },
		{ 24, 24, LT_MARK_WAITGROUP_WAIT },
		{ 24, 43, LT_MARK_SELECT },
		{ 25, 20, LT_MARK_SLEEP },
		{ 25, 46, LT_MARK_CLEANUP_WAIT },
		{ 26, 19, LT_MARK_CHAN_RECEIVE },
		{ 26, 18, LT_MARK_SELECT },
		{ 27, 20, LT_MARK_CHAN_SEND },
		{ 27, 13, LT_MARK_SEMACQUIRE },
		{ 27, 25, LT_MARK_WAITGROUP_WAIT },
		{ 27, 24, LT_MARK_RWMUTEX_LOCK },
		{ 27, 38, LT_MARK_COROUTINE },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
		const struct lt_go_layout *layout = lt_go_layout_of(reasons[i].minor);

		assert_true(reasons[i].number < layout->wait_mark_count);
		assert_int_equal(layout->wait_marks[reasons[i].number], reasons[i].mark);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_wait_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
