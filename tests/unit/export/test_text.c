// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "export/export.h"
#include "unit/export/render.h"
#include "unit/export/sample.h"

#define FRAME "     " /* what the lines of a stack begin with: whole, where all is wanted */

static void check_widths(const struct lt_report *report)
{
	for (unsigned int columns = 60; columns < 260; columns += 7)
		for (int mode = 0; mode < 4; mode++) {
			char *text = render(report, mode & 1, mode & 2, columns), *rest = text,
			     *line;

			while ((line = strsep(&rest, "\n")))
				if (!(mode & 2 && !strncmp(line, FRAME, strlen(FRAME))) &&
				    lt_utf8_width(line) > (columns < 80 ? 80 : columns))
					fail_msg("%u columns: %s", columns, line);
			free(text);
		}
}

static void no_line_exceeds_the_terminal(void **state)
{
	struct lt_report report = sample_report(), service = service_report();

	report.final = true;
	check_widths(&report);
	check_widths(&service);
}

static void names_the_leak(void **state)
{
	struct lt_report report = sample_report();
	char *text = render(&report, false, false, 100);

	expect(text, "(pid 4242, 7 inside its namespace)  report 3 after 4 min 12 s  19:26:34Z\n");
	expect(text, "RSS 61.0 MiB, +12.0 MiB since the attach; tracked live 12.0 MiB");
	expect(text, "97 % of the growth");
	expect(text, "1 site leaking: 5.2 MiB/h; at this rate the memory limit (512 MiB) is");
	expect(text, "#1 LEAKING heap  +5.2 MiB/h (4.9 MiB to 5.5 MiB)  5.0 MiB in 1,240 blocks\n");
	expect(text, "all 1,240 blocks that reached 48 s of age");
	expect(text, "allocations survive; oldest 4 min\n"); /* broken between words */
	expect(text, "#0 make_session [inlined]");
	expect(text, "  session.c:42\n");
	expect(text, "libfoo.so.1+0xabcd [0123456789ab]\n");
	expect(text, "… stack ends here: no frame pointer\n");
	expect(text, "#2 stable heap");
	expect(text, "LOSS: 1,234 releases lost because a ring was full");
	expect(text, "… 2 more sites");
	assert_null(strstr(text, "note:"));
	assert_null(strchr(text, '\x1b'));
	assert_null(strchr(text, '\x07'));
	free(text);
	text = render(&report, false, false, 160);
	expect(text, "  /src/app/session.c:42\n");
	expect(text, "(pid 4242, 7 inside its namespace, glibc)  report 3 after 4 min 12 s  19:2");
	free(text);
	text = render(&report, true, true, 100);
	expect(text, "\x1b[1;31mLEAKING\x1b[0m");
	expect(text, "note:");
	expect(text, "leaktrace itself: 1.0 % CPU, 34.0 MiB of memory");
	assert_null(strstr(text, "\x1b[31minx")); /* the target's own colours */
	free(text);
}

/* Whatever the width: what is asked for with -v is there to be copied. */
static void verbose_frames_are_whole(void **state)
{
	static const struct lt_report_frame frames[] = {
		{ "a_function_whose_name_leaves_room_for_no_place", "", 0, true,
		  "/usr/lib/libstdc++.so.6.0.30", 0x7f12345678, "0123456789abcdef0123" },
		{ "f", "", 0, false, "/usr/lib/libstdc++.so.6.0.30", 0x1000,
		  "0123456789abcdef0123" },
		{ "", "", 0, false, "/usr/lib/liba_library_with_a_long_name_without_symbols.so.1.2",
		  0x7f12345678, "0123456789abcdef0123" },
	};
	struct lt_report_site site = sample_sites[0];
	struct lt_report report = sample_report();
	char *text = render(&report, false, true, 80);

	report.site_count = 1;
	for (size_t i = 0; i < 2; i++)
		expect(text, sample_frames[i].function);
	expect(text, "libfoo.so.1+0xabcd [0123456789ab]\n");
	free(text);
	site.frames = frames;
	site.frame_count = 3;
	report.sites = &site;
	text = render(&report, false, true, 80);
	expect(text, "     #0 a_function_whose_name_leaves_room_for_no_place [inlined]\n"
		     "          libstdc++.so.6.0.30+0x7f12345678 [0123456789ab]\n"
		     "     #1 f  libstdc++.so.6.0.30+0x1000 [0123456789ab]\n"
		     "     #2 liba_library_with_a_long_name_without_symbols.so.1.2+0x7f12345678 "
		     "[0123456789ab]\n");
	free(text);
}

/* Below the top: the one line is of who asked for the memory, or of where that is. */
static void the_headline_names_the_caller(void **state)
{
	static const struct lt_report_frame frames[] = {
		{ "operator new(unsigned long)", "", 0, false, "/usr/lib/libstdc++.so.6", 0x10,
		  "" },
		{ "", "", 0, false, "/usr/bin/app", 0x1234, "aabbccddeeff00112233" },
		{ "__libc_start_call_main", "libc_start_call_main.h", 58, false,
		  "/usr/lib/libc.so.6", 0x27000, "" },
	};
	struct lt_report_site site = sample_sites[1];
	struct lt_report report = sample_report();
	char *text;

	site.frames = frames;
	site.frame_count = 3;
	report.sites = &site;
	report.site_count = 1;
	text = render(&report, false, false, 80);
	expect(text, "#1 stable heap  1000 B in 10 blocks  app+0x1234\n");
	free(text);
}

static void count_hints(bool verbose, const struct lt_report_site *site, size_t expected)
{
	static const char hint[] = "\ncode made at run time has no names: jcmd 4242 "
				   "Compiler.perfmap (Java), node --perf-basic-prof, python3 -X "
				   "perf\n";
	const struct lt_report_site sites[] = { *site, *site };
	struct lt_report report = sample_report();
	size_t count = 0;
	char *text;

	report.sites = sites;
	report.site_count = 2;
	text = render(&report, false, verbose, 160);
	for (const char *at = text; (at = strstr(at, hint)); at++)
		count++;
	assert_int_equal(count, expected);
	free(text);
}

static void says_how_to_name_code(void **state)
{
	struct lt_report_frame frames[14];
	struct lt_report_site site = sample_sites[0];

	for (size_t i = 0; i < 14; i++)
		frames[i] = sample_frames[i < 13 ? 0 : 4]; /* the last is in no file */
	count_hints(false, &site, 1);
	site.frame_count = 4; /* nameless, but in a file */
	count_hints(true, &site, 0);
	site.frames = frames;
	site.frame_count = 14;
	count_hints(false, &site, 0); /* of the frames that are shown */
	count_hints(true, &site, 1);
	site.evidence.verdict = LT_VERDICT_STABLE;
	count_hints(false, &site, 0);
	site.frames = sample_frames + 4;
	site.frame_count = 1;
	count_hints(false, &site, 1);
	site.frame_count = 0;
	count_hints(false, &site, 0);
}

static void an_unsure_stack_does_not_end(void **state)
{
	struct lt_report_site site = sample_sites[0];
	struct lt_report report = sample_report();
	char *text;

	site.stack_end = "by frame pointers in part: callers may be missing";
	report.sites = &site;
	report.site_count = 1;
	text = render(&report, false, false, 80);
	expect(text, "\n     … by frame pointers in part: callers may be missing\n");
	free(text);
}

/* One line, whatever has to be left out. */
static void the_title_fits(void **state)
{
	static const struct {
		const char *comm;
		uint32_t ns_pid;
		bool verbose;
		unsigned int columns;
		const char *title;
	} titles[] = {
		{ "nginx", 0, false, 80,
		  "leaktrace nginx (pid 18576, glibc)  final report 7 after 1 min 10 s  "
		  "20:12:42Z\n" },
		{ "redis-server", 0, false, 80,
		  "leaktrace redis-server (pid 18576)  final report 7 after 1 min 10 s  "
		  "20:12:42Z\n" },
		{ "redis-server", 0, true, 80,
		  "leaktrace redis-server (pid 18576)  final report 7 after 1 min 10 s\n" },
		{ "a", 12, false, 85,
		  "leaktrace a (pid 18576, 12 inside its namespace)  final report 7 after 1 min 10 "
		  "s\n" },
		{ "redis-server", 12, false, 80,
		  "leaktrace redis-server (pid 18576, 12 inside)  final report 7 after 1 min 10 "
		  "s\n" },
	};

	for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
		struct lt_report report = { .final = true,
					    .sequence = 7,
					    .elapsed_s = 70,
					    .realtime_s = 1763669562,
					    .rss_growth_bytes = NAN,
					    .explained_ratio = NAN,
					    .target = { 18576, titles[i].ns_pid, titles[i].comm, "",
							"glibc", 0 } };
		char *text = render(&report, false, titles[i].verbose, titles[i].columns);

		if (strncmp(text, titles[i].title, strlen(titles[i].title)) != 0)
			fail_msg("not \"%s\" but:\n%s", titles[i].title, text);
		free(text);
	}
}

static void the_title_names_the_parent(void **state)
{
	struct lt_report report = sample_report();
	char *text;

	report.target.parent_pid = 4200;
	report.target.comm = "nginx";
	text = render(&report, false, false, 120);
	expect(text, "leaktrace nginx (pid 4242, 7 inside its namespace, child of 4200, glibc)  ");
	free(text);
	text = render(&report, false, false, 100);
	expect(text, "leaktrace nginx (pid 4242, 7 inside its namespace, child of 4200)  ");
	free(text);
}

static void the_growth_is_divided(void **state)
{
	struct lt_report report = sample_report();
	char *text = render(&report, false, false, 200);

	expect(text, "tracked live 12.0 MiB in 1,262 blocks\n"
		     "explained, about 97 % of the growth: 11.0 MiB heap, 512 KiB mappings, 256 "
		     "KiB thread stacks\n"
		     "the rest of the growth, about +256 KiB: +512 KiB kept by the allocator "
		     "(fragmentation), "
		     "-384 KiB in older, untouched or returned pages, +128 KiB file pages\n");
	free(text);

	report.memory.parts[LT_MEMORY_GLOBALS] = 4096; /* below 1 % of the largest part */
	report.memory.swap_growth = 3 * MIB;
	text = render(&report, false, false, 200);
	expect(text, "128 KiB file pages; 3.0 MiB were swapped out\n");
	free(text);
	text = render(&report, false, true, 200);
	expect(text, "128 KiB file pages, +4.0 KiB global variables; 3.0 MiB");
	free(text);

	report.explained_ratio = 1.3;
	for (size_t i = 0; i < LT_KINDS; i++)
		if (lt_kind_infos[i].value == LT_KIND_MMAP)
			report.kinds[i] = (struct lt_report_kind){ 1, 2, 8 << 20, 0 };
	text = render(&report, false, false, 200);
	expect(text, "tracked live 12.0 MiB in 1,262 blocks, 8.0 MiB in 2 mappings\n"
		     "explained, about 11.8 MiB, more than the growth: 11.0 MiB heap, 512 KiB");
	free(text);

	report.explained_ratio = NAN; /* below 1 MiB of growth */
	text = render(&report, false, false, 200);
	expect(text, "\nexplained, about 11.8 MiB: 11.0 MiB heap, 512 KiB mappings");
	free(text);

	report.memory.parts[LT_MEMORY_MAPPINGS] = report.memory.parts[LT_MEMORY_STACKS] = NAN;
	report.memory.divided = false;
	text = render(&report, false, false, 200);
	assert_null(strstr(text, "explained"));
	expect(text, "\nthe rest of the growth, about +256 KiB: not told apart without "
		     "/proc/PID/smaps; 3.0");
	free(text);

	report.memory.rest = NAN;
	text = render(&report, false, false, 200);
	assert_null(strstr(text, "the rest"));
	free(text);
}

static const struct lt_total_process total_processes[] = {
	{ 4242, 7, 4200, "ng\x1b[31minx\xff", 61 << 20, 12 << 20, 6 * MIB, 5.2 * MIB, true,
	  LT_VERDICT_LEAKING, 2 },
	{ 4243, 4243, 0, "redis-server", 0, 100, NAN, 0, true, LT_VERDICT_STABLE, 0 },
	{ 4194303, 12, 4242, "sh", 4096, 0, NAN, 0, false, 0, 0 },
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
		.kinds = { { 5, 1262, 12 << 20, 5.2 * MIB },
			   [2] = { 2, 412, 412, 34.4 },
			   [3] = { 1, 35, 35, 0 } },
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
	struct lt_text_style style = { color, false, columns };
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
		     "    pid  verdict    leaks      live        growth        RSS  process\n"
		     "   4242  LEAKING        2  12.0 MiB    +6.0 MiB/h   61.0 MiB  ng\xef\xbf\xbd["
		     "31minx\xef\xbf\xbd, 7 inside, child of 4200\n"
		     "   4243  stable         0     100 B             -          -  redis-server\n"
		     "4194303  -              0       0 B             -    4.0 KiB  sh, 12 inside, "
		     "child of 4242\n"
		     "… 2 more processes (--top shows more)\n"
		     "200 more processes ended: 5,000 acquired, 4,990 released, 10 (1.0 KiB) still "
		     "held when they ended\n\n");
	free(text);
	text = render_total(&total, true, 120);
	expect(text, "\x1b[1;31mLEAKING  \x1b[0m");
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

static void things_have_their_names(void **state)
{
	static const struct {
		const char *kind, *unit, *text;
	} kinds[] = {
		{ "heap", "bytes", "5.0 MiB in 1,240 blocks" },
		{ "mmap", "bytes", "5.0 MiB in 1,240 mappings" },
		{ "socket", "", "  1,240 sockets" },
		{ "fd", "", "  1,240 descriptors" },
		{ "thread", "", "  1,240 threads" },
		{ "stack", "bytes", "5.0 MiB in 1,240 thread stacks" },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct lt_report_site site = sample_sites[0];
		struct lt_report report = sample_report();
		char *text;

		site.kind = kinds[i].kind;
		site.unit = kinds[i].unit;
		report.sites = &site;
		report.site_count = 1;
		text = render(&report, false, false, 120);
		expect(text, kinds[i].text);
		free(text);
	}
}

/* "10 %", "16.2 MiB", "50 s": never on two lines, at whatever width the line breaks. */
static void numbers_keep_their_units(void **state)
{
	struct lt_report_site site = sample_sites[0];
	struct lt_report report = sample_report();

	site.live_count = site.evidence.matured = 3521;
	site.evidence.survival = 1;
	report.sites = &site;
	report.site_count = 1;
	for (unsigned int columns = 80; columns < 260; columns++) {
		char *text = render(&report, true, true, columns), *rest = text, *line;

		while ((line = strsep(&rest, "\n"))) {
			size_t len = strlen(line);
			const char *next = rest ? rest + strspn(rest, " ") : "";

			/* A continuation: indented, and neither a frame nor a new sentence. */
			if (len && rest && rest[0] == ' ' && next[0] != '#' &&
			    line[len - 1] >= '0' && line[len - 1] <= '9' && !strstr(line, "     #"))
				fail_msg("%u columns: \"%s\" goes on with \"%s\"", columns, line,
					 next);
		}
		free(text);
	}
}

static void more_than_the_growth(void **state)
{
	struct lt_report report = sample_report();
	char *text;

	report.explained_ratio = 1.31;
	report.memory.parts[LT_MEMORY_MAPPINGS] = NAN;
	report.memory.parts[LT_MEMORY_STACKS] = 0;
	text = render(&report, false, false, 160);
	expect(text, "1,262 blocks (more than the growth: reused or untouched pages)\n");
	assert_null(strstr(text, "131"));
	free(text);
}

/* Leaks below the top bring the limit nearer, too. */
static void the_headline_counts_all_leaks(void **state)
{
	struct lt_report report = sample_report();
	char *text;

	report.verdict_counts[LT_VERDICT_LEAKING] = 40;
	report.kinds[0].leaking_per_hour = report.leaking_memory_per_hour = 451 * MIB;
	text = render(&report, false, false, 120);
	expect(text, "40 sites leaking: 451 MiB/h; at this rate the memory limit (512 MiB) is "
		     "reached in 1 h\n");
	free(text);
}

static void the_unknown_is_left_out(void **state)
{
	struct lt_report_site site = sample_sites[0];
	struct lt_report report = sample_report();
	char *text;

	site.evidence.growth_per_hour = site.evidence.growth_low = site.evidence.growth_high = NAN;
	site.evidence.maturity_s = site.evidence.survival = site.evidence.p_value = NAN;
	site.oldest_age_s = site.seconds_to_limit = NAN;
	report.sites = &site;
	report.site_count = 1;
	report.final = true;
	report.rss_growth_bytes = report.explained_ratio = NAN;
	report.leaking_growth_per_hour = report.leaking_memory_per_hour = 0;
	report.collector_cpu_ns = report.collector_rss_bytes = 0;
	for (int verbose = 0; verbose < 2; verbose++) {
		text = render(&report, false, verbose, 120);
		expect(text, "RSS 61.0 MiB; tracked live 12.0 MiB in 1,262 blocks\n");
		expect(text, "#1 LEAKING heap  5.0 MiB in 1,240 blocks\n");
		assert_null(strstr(text, " ? "));
		assert_null(strstr(text, " ?/h"));
		assert_null(strstr(text, "nan"));
		assert_null(strstr(text, "leaktrace itself"));
		free(text);
	}
	report.rss_bytes = 0;
	text = render(&report, false, false, 120);
	assert_null(strstr(text, "RSS"));
	free(text);
}

static void says_why_it_ended(void **state)
{
	static const struct {
		uint32_t reason;
		const char *text;
	} ends[] = {
		{ LT_END_DETACHED, "ended: detached" },
		{ LT_END_EXITED, "ended: the target exited with status 9\n" },
		{ LT_END_KILLED, "ended: the target was killed by signal 9\n" },
		{ LT_END_EXEC, "ended: the target replaced its image by exec\n" },
		{ 77, "summary: watched 4 min 12 s; 5 sites: 1 leaking, 3 stable" },
	};
	struct lt_report report = sample_report();

	report.final = true;
	report.end_status = 9;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		char *text;

		report.end_reason = ends[i].reason;
		text = render(&report, false, false, 80);
		expect(text, ends[i].text);
		free(text);
	}
}

static void quiet_beginnings(void **state)
{
	struct lt_report report = { .elapsed_s = 10,
				    .explained_ratio = NAN,
				    .target = { 1, 1, "a", "", "", 0 } };
	char *text = render(&report, false, false, 80);

	expect(text, "watching: first verdicts after 48 s\n");
	assert_null(strstr(text, "LOSS"));
	free(text);
	report.elapsed_s = 60;
	text = render(&report, false, false, 80);
	expect(text, "no leak found so far\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_line_exceeds_the_terminal),
		cmocka_unit_test(names_the_leak),
		cmocka_unit_test(verbose_frames_are_whole),
		cmocka_unit_test(the_headline_names_the_caller),
		cmocka_unit_test(says_how_to_name_code),
		cmocka_unit_test(an_unsure_stack_does_not_end),
		cmocka_unit_test(the_title_fits),
		cmocka_unit_test(the_title_names_the_parent),
		cmocka_unit_test(the_growth_is_divided),
		cmocka_unit_test(the_total_ranks_processes),
		cmocka_unit_test(the_total_fits),
		cmocka_unit_test(the_total_of_none),
		cmocka_unit_test(things_have_their_names),
		cmocka_unit_test(numbers_keep_their_units),
		cmocka_unit_test(more_than_the_growth),
		cmocka_unit_test(the_headline_counts_all_leaks),
		cmocka_unit_test(the_unknown_is_left_out),
		cmocka_unit_test(says_why_it_ended),
		cmocka_unit_test(quiet_beginnings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
