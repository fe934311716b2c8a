// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/runtime.h"

static void since_the_attach(void **state)
{
	struct lt_report report = {
		.has_runtime = true,
		.elapsed_s = 100,
		.limit_bytes = 1000,
		.runtime_first = { .gc_count = 50, .gc_pause_total_ns = 1000000000 },
		.runtime = { .gc_count = 250,
			     .gc_pause_total_ns = 2000000000,
			     .heap_inuse_bytes = 600,
			     .stacks_inuse_bytes = 200 },
	};

	assert_true(lt_runtime_gc_per_second(&report) == 2);
	assert_true(lt_runtime_pause_share(&report) == 0.01);
	assert_true(lt_runtime_memory_share(&report) == 0.8);
	report.elapsed_s = 9;
	assert_true(isnan(lt_runtime_gc_per_second(&report)));
	assert_true(isnan(lt_runtime_pause_share(&report)));
}

static void unknown_is_not_a_number(void **state)
{
	struct lt_report report = { .elapsed_s = 100 };

	assert_true(isnan(lt_runtime_figure(LT_UNKNOWN_FIGURE)));
	assert_true(lt_runtime_figure(0) == 0);
	assert_true(isnan(lt_runtime_gc_per_second(&report)));
	assert_true(isnan(lt_runtime_memory_share(&report)));
	report.has_runtime = true;
	report.runtime.gc_count = report.runtime.stacks_inuse_bytes = LT_UNKNOWN_FIGURE;
	assert_true(isnan(lt_runtime_memory_share(&report))); /* no limit */
	report.limit_bytes = 1000;
	assert_true(isnan(lt_runtime_gc_per_second(&report)));
	assert_true(isnan(lt_runtime_memory_share(&report)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(since_the_attach),
		cmocka_unit_test(unknown_is_not_a_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
