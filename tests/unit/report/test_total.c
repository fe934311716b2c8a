// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "report/total.h"

static struct lt_report report_of(uint32_t pid, enum lt_verdict verdict, size_t sites,
				  double growth, double leaking_growth)
{
	struct lt_report report = {
		.target = { pid, pid % 10, "app", "", "", 1 },
		.rss_bytes = 100,
		.rss_growth_bytes = 10,
		/* With mappings and stacks, whose bytes are addresses. */
		.live_bytes = 5000,
		.growth_per_hour = growth + 77,
		.leaking_growth_per_hour = leaking_growth + 7,
		.exhausted = verdict == LT_VERDICT_STABLE,
		.totals = { .live_count = 6,
			    .acquired_count = 60,
			    .released_count = 54,
			    .unknown_released = 3 },
		.collector_cpu_ns = pid,
		.collector_rss_bytes = 1000,
	};

	for (size_t i = 0; i < LT_KINDS; i++)
		report.kinds[i] = lt_kind_infos[i].memory
					  ? (struct lt_report_kind){ .growth_per_hour = NAN }
					  : (struct lt_report_kind){ 1, 1, 990, 7, 77 };
	report.kinds[0] = (struct lt_report_kind){ 1, 2, 50, leaking_growth, growth };
	report.verdict_counts[verdict] = sites;
	return report;
}

static void ranks_and_sums(void **state)
{
	const struct lt_report reports[] = {
		report_of(11, LT_VERDICT_STABLE, 3, 900, 0),
		report_of(12, LT_VERDICT_LEAKING, 1, 500, 5),
		report_of(13, LT_VERDICT_LEAKING, 2, 100, 7),
		report_of(14, LT_VERDICT_SUSPECT, 1, NAN, 0),
		report_of(15, LT_VERDICT_STABLE, 0, NAN, 0), /* without sites: behind all others */
		report_of(16, LT_VERDICT_INSUFFICIENT_DATA, 1, NAN, 0),
		report_of(17, LT_VERDICT_STABLE, 1, NAN, 0),
	};
	static const uint32_t order[] = { 13, 12, 14, 11, 17, 16, 15 };
	const struct lt_report *pointers[7];
	struct lt_total_input input = {
		.reports = pointers,
		.count = 7,
		.ended = { 1, 2, 3, 4, 5, 6 },
		.session = 11,
		.sequence = 8,
		.top = 100,
		.realtime_s = 1,
		.elapsed_s = 2,
		.interval_s = 3,
		.final = true,
	};
	struct lt_total *total;

	for (size_t i = 0; i < 7; i++)
		pointers[i] = &reports[i];
	assert_int_equal(lt_total_build(&input, &total), 0);
	assert_int_equal(total->process_count, 7);
	assert_int_equal(total->shown_count, 7);
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(total->processes[i].pid, order[i]);
	assert_false(total->processes[6].has_sites);
	assert_int_equal(total->processes[0].verdict, LT_VERDICT_LEAKING);
	assert_int_equal(total->processes[0].leaking, 2);
	assert_int_equal(total->processes[0].ns_pid, 3);
	assert_int_equal(total->processes[0].parent_pid, 1);
	assert_int_equal(total->rss_bytes, 700);
	assert_true(total->rss_growth_bytes == 70);
	assert_int_equal(total->live_bytes, 350);
	assert_int_equal(total->live_count, 42);
	assert_int_equal(total->acquired_count, 420);
	assert_int_equal(total->released_count, 378);
	assert_int_equal(total->unknown_released, 21);
	assert_true(total->growth_per_hour == 1500);
	assert_true(total->leaking_growth_per_hour == 12);
	for (size_t i = 0; i < LT_KINDS; i++) {
		bool heap = lt_kind_infos[i].value == LT_KIND_HEAP;

		if (lt_kind_infos[i].memory && !heap) {
			assert_true(isnan(total->kinds[i].growth_per_hour));
			continue;
		}
		assert_int_equal(total->kinds[i].live_size, heap ? 350 : 6930);
		assert_true(total->kinds[i].leaking_per_hour == (heap ? 12 : 49));
		assert_true(total->kinds[i].growth_per_hour == (heap ? 1500 : 539));
	}
	assert_int_equal(total->processes[0].live_bytes, 50);
	assert_true(total->processes[0].growth_per_hour == 100);
	assert_true(total->processes[0].leaking_growth_per_hour == 7);
	assert_memory_equal(total->processes[0].kinds, reports[2].kinds, sizeof(reports[2].kinds));
	assert_int_equal(total->exhausted_processes, 3);
	assert_int_equal(total->leaking_processes, 2);
	assert_int_equal(total->verdict_counts[LT_VERDICT_LEAKING], 3);
	assert_int_equal(total->verdict_counts[LT_VERDICT_STABLE], 4);
	assert_int_equal(total->collector_cpu_ns, 17);
	assert_int_equal(total->collector_rss_bytes, 1000);
	assert_memory_equal(&total->ended, &input.ended, sizeof(total->ended));
	assert_true(total->final && total->session == 11 && total->sequence == 8);
	assert_true(total->realtime_s == 1 && total->elapsed_s == 2 && total->interval_s == 3);
	lt_total_free(total);
}

static void the_gravest_are_shown(void **state)
{
	char comm[] = "first";
	struct lt_report first = report_of(1, LT_VERDICT_STABLE, 1, 9, 0);
	struct lt_report second = report_of(2, LT_VERDICT_SUSPECT, 1, 1, 0);
	const struct lt_report *reports[] = { &first, &second };
	struct lt_total_input input = { .reports = reports, .count = 2, .top = 1 };
	struct lt_total *total;

	second.target.comm = comm;
	assert_int_equal(lt_total_build(&input, &total), 0);
	comm[0] = '\0'; /* it has its own */
	assert_int_equal(total->shown_count, 1);
	assert_int_equal(total->process_count, 2);
	assert_int_equal(total->processes[0].pid, 2);
	assert_string_equal(total->processes[0].comm, "first");
	assert_int_equal(total->rss_bytes, 200);
	lt_total_free(total);
}

static void nothing_is_known_of_none(void **state)
{
	struct lt_report report = report_of(1, LT_VERDICT_STABLE, 0, NAN, 0);
	const struct lt_report *reports[] = { &report };
	struct lt_total_input input = { .reports = reports, .count = 0, .top = 5 };
	struct lt_total *total;

	for (input.count = 0; input.count < 2; input.count++) {
		report.rss_bytes = 0;
		report.rss_growth_bytes = NAN;
		assert_int_equal(lt_total_build(&input, &total), 0);
		assert_int_equal(total->process_count, input.count);
		assert_int_equal(total->rss_bytes, 0);
		assert_true(isnan(total->rss_growth_bytes));
		assert_true(isnan(total->growth_per_hour));
		lt_total_free(total);
	}
	lt_total_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranks_and_sums),
		cmocka_unit_test(the_gravest_are_shown),
		cmocka_unit_test(nothing_is_known_of_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
