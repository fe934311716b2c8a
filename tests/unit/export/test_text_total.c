// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/utf8.h"
#include "export/export.h"
#include "unit/export/render.h"
#include "unit/export/sample.h"

static const struct lt_total_process total_processes[] = {
	{ 4242,
	  7,
	  4200,
	  "ng\x1b[31minx\xff",
	  61 << 20,
	  12 << 20,
	  6 * MIB,
	  5.2 * MIB,
	  true,
	  LT_VERDICT_LEAKING,
	  2,
	  { { 1, 1240, 12 << 20, 5.2 * MIB, 6 * MIB },
	    [2] = { 2, 412, 412, 34.4, 34.4 },
	    [3] = { 1, 35, 35, 0.3, 0.3 },
	    [5] = { 1, 9, 9 << 20, 80 * 1024 * MIB, 80 * 1024 * MIB } } },
	{ 4243, 4243, 0, "redis-server", 0, 100, NAN, 0, true, LT_VERDICT_STABLE, 0, { { 0 } } },
	{ 4194303, 12, 4242, "sh", 4096, 0, NAN, 0, false, 0, 0, { { 0 } } },
};

static struct lt_total sample_total(void)
{
	return (struct lt_total){
		.sequence = 3,
		.elapsed_s = 252,
		.realtime_s = 1763666794.25,
		.process_count = 5,
		.rss_bytes = 61 << 20,
		.rss_growth_bytes = 12 << 20,
		.live_bytes = 12 << 20,
		.kinds = { { 5, 1262, 12 << 20, 5.2 * MIB, 0 },
			   [2] = { 2, 412, 412, 34.4, 0 },
			   [3] = { 1, 35, 35, 0, 0 } },
		.leaking_growth_per_hour = 5.2 * MIB,
		.leaking_processes = 1,
		.verdict_counts = { 0, 1, 0, 1, 2 },
		.ended = { 200, 5000, 4990, 10, 1024, 0 },
		.processes = total_processes,
		.shown_count = 3,
	};
}

static char *render_total(const struct lt_total *total, bool color, unsigned int columns)
{
	struct lt_text_style style = { .color = color, .columns = columns };
	struct lt_buf out = { 0 };

	lt_export_text_total(total, &style, &out);
	assert_int_equal(lt_buf_error(&out), 0);
	return out.data;
}

static void the_total_ranks_processes(void **state)
{
	struct lt_total total = sample_total();
	char *text = render_total(&total, false, 160);

	expect(text, "leaktrace total of 5 processes  report 3 after 4 min 12 s  19:26:34Z\n"
		     "RSS 61.0 MiB, +12.0 MiB since the attach (what processes share counts in "
		     "each); tracked live 12.0 MiB in 1,262 blocks, 412 sockets, 35 other "
		     "descriptors\n"
		     "2 sites leaking in 1 process: 5.2 MiB/h, 34 sockets/h; 1 suspect\n\n"
		     "    pid  verdict   leaks     live      growth      RSS  process\n"
		     "   4242  LEAKING       2 12.0 MiB  +6.0 MiB/h 61.0 MiB  ng\xef\xbf\xbd["
		     "31minx\xef\xbf\xbd, 7 inside, child of 4200\n"
		     "         leaking: 5.2 MiB/h, 34 sockets/h, 80.0 GiB/h of thread stacks\n"
		     "   4243  stable        0    100 B           -        -  redis-server\n"
		     "4194303  -             0      0 B           -  4.0 KiB  sh, 12 inside, "
		     "child of 4242\n"
		     "… 2 more processes (--top shows more)\n"
		     "200 more processes ended: 5,000 acquired, 4,990 released, 10 still held when "
		     "they ended (1.0 KiB of memory)\n\n");
	free(text);
	text = render_total(&total, true, 120);
	expect(text, "\x1b[1;31mLEAKING  \x1b[0m");
	free(text);
}

/* At 80 columns a row is one line: what is about the name gives way. */
static void rows_of_the_total_are_lines(void **state)
{
	static const struct {
		uint32_t pid, ns_pid, parent_pid;
		const char *comm, *text;
	} rows[] = {
		{ 26011, 26011, 26008, "postgres", "4.0 KiB  postgres, child of 26008\n" },
		{ 6011, 12, 6008, "postgres", "4.0 KiB  postgres, 12 inside\n" },
		{ 6011, 4194303, 6008, "wpa_supplicant_", "4.0 KiB  wpa_supplicant_\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lt_total total = sample_total();
		struct lt_total_process process = total_processes[2];
		char *text;

		process.pid = rows[i].pid;
		process.ns_pid = rows[i].ns_pid;
		process.parent_pid = rows[i].parent_pid;
		process.comm = rows[i].comm;
		total.processes = &process;
		total.shown_count = 1;
		text = render_total(&total, false, 80);
		expect(text, rows[i].text);
		free(text);
	}
}

static void the_total_names_other_leaks(void **state)
{
	struct lt_total total = sample_total();
	struct lt_total_process process = { .pid = 5,
					    .ns_pid = 5,
					    .comm = "a",
					    .growth_per_hour = NAN,
					    .has_sites = true,
					    .verdict = LT_VERDICT_LEAKING,
					    .leaking = 1 };
	char *text;

	process.kinds[3].leaking_per_hour = 0.4; /* nothing that a number tells */
	total.processes = &process;
	total.shown_count = 1;
	text = render_total(&total, false, 80);
	assert_null(strstr(text, "         leaking"));
	free(text);
	process.kinds[3].leaking_per_hour = 0.5;
	text = render_total(&total, false, 80);
	expect(text, "      5  LEAKING       1      0 B           -        -  a\n"
		     "         leaking: 1 descriptor/h\n… 4 more");
	free(text);
}

/* The cost is of the session: a child's report, whose life was short, would have it in no time. */
static void the_cost_is_told_once(void **state)
{
	struct lt_report report = sample_report();
	struct lt_total total = sample_total();
	struct lt_text_style style = { .several = true, .columns = 80 };

	report.final = true;
	for (int verbose = 0; verbose < 2; verbose++) {
		_lt_buf_ struct lt_buf out = { 0 };

		style.verbose = verbose;
		lt_export_text(&report, &style, &out);
		assert_null(strstr(out.data, "leaktrace itself"));
	}
	total.collector_cpu_ns = 2520000000;
	total.collector_rss_bytes = 34 << 20;
	for (int mode = 0; mode < 4; mode++) {
		_lt_buf_ struct lt_buf out = { 0 };

		style.verbose = mode & 1;
		total.final = mode & 2;
		lt_export_text_total(&total, &style, &out);
		if (mode)
			expect(out.data, "ended (1.0 KiB of memory)\n"
					 "leaktrace itself: 1.0 % CPU, 34.0 MiB of memory\n\n");
		else
			assert_null(strstr(out.data, "leaktrace itself"));
	}
}

static void the_total_of_full_processes(void **state)
{
	struct lt_total total = sample_total();
	char *text;

	memset(total.verdict_counts, 0, sizeof(total.verdict_counts));
	total.exhausted_processes = 1;
	text = render_total(&total, true, 80);
	expect(text, "\n\x1b[1;33m1 process is at a limit\x1b[0m: nothing can grow there\n");
	free(text);
	total.exhausted_processes = 2;
	total.verdict_counts[LT_VERDICT_SUSPECT] = 1;
	text = render_total(&total, false, 80);
	expect(text, "\n2 processes are at a limit: nothing can grow there; 1 suspect\n");
	free(text);
}

static void the_total_fits(void **state)
{
	struct lt_total total = sample_total();

	for (unsigned int columns = 60; columns < 200; columns++) {
		char *text = render_total(&total, columns & 1, columns), *rest = text, *line;

		while ((line = strsep(&rest, "\n")))
			if (lt_utf8_width(line) > (columns < 80 ? 80 : columns))
				fail_msg("%u columns: %s", columns, line);
		free(text);
	}
}

static void the_total_of_none(void **state)
{
	struct lt_total total = { .rss_growth_bytes = NAN, .ended.processes = 1 };
	char *text = render_total(&total, false, 80);

	expect(text, "leaktrace total of 0 processes  report 0 after 0 s");
	expect(text, "\ntracked live 0 B in 0 blocks\nwatching: first verdicts after 48 s\n"
		     "1 more process ended: 0 acquired, 0 released\n\n");
	assert_null(strstr(text, "verdict "));
	assert_null(strstr(text, "RSS"));
	free(text);
	total.final = true;
	text = render_total(&total, false, 80);
	expect(text, "\nno verdict: watched for less than 48 s\n");
	free(text);
	total.final = false;
	total.elapsed_s = 100;
	text = render_total(&total, false, 80);
	expect(text, "\nno leak found so far\n");
	free(text);
	total.final = true;
	text = render_total(&total, false, 80);
	expect(text, "\nno leak found\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_total_ranks_processes),
		cmocka_unit_test(rows_of_the_total_are_lines),
		cmocka_unit_test(the_total_names_other_leaks),
		cmocka_unit_test(the_cost_is_told_once),
		cmocka_unit_test(the_total_of_full_processes),
		cmocka_unit_test(the_total_fits),
		cmocka_unit_test(the_total_of_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
