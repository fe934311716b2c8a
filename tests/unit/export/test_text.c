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
		  "/usr/lib/libstdc++.so.6.0.30", 0x7f12345678, "0123456789abcdef0123", NULL },
		{ "f", "", 0, false, "/usr/lib/libstdc++.so.6.0.30", 0x1000, "0123456789abcdef0123",
		  NULL },
		{ "", "", 0, false, "/usr/lib/liba_library_with_a_long_name_without_symbols.so.1.2",
		  0x7f12345678, "0123456789abcdef0123", NULL },
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
		{ "operator new(unsigned long)", "", 0, false, "/usr/lib/libstdc++.so.6", 0x10, "",
		  NULL },
		{ "", "", 0, false, "/usr/bin/app", 0x1234, "aabbccddeeff00112233", NULL },
		{ "__libc_start_call_main", "libc_start_call_main.h", 58, false,
		  "/usr/lib/libc.so.6", 0x27000, "", NULL },
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
			report.kinds[i] = (struct lt_report_kind){ 1, 2, 8 << 20, 0, 0 };
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

/* A process that was not ours to wait for may go without a word. */
static void some_just_go(void **state)
{
	struct lt_report report = sample_report();
	char *text;

	report.final = true;
	report.end_reason = LT_END_EXITED;
	report.end_status = -1;
	text = render(&report, false, false, 80);
	expect(text, "\nended: the target is gone\n");
	assert_null(strstr(text, "status"));
	free(text);
}

static void nothing_can_grow(void **state)
{
	struct lt_report_headroom limits[] = {
		{ "memory", "bytes", "memory limit", "of the machine", 512 << 20, 512 << 20, 0,
		  INFINITY },
		{ "descriptors", "", "RLIMIT_NOFILE", "of the process", 256, 256, 0, INFINITY },
		{ "threads", "", "RLIMIT_NPROC", "of all processes of its user", 999, 1000, 0,
		  INFINITY },
	};
	struct lt_report report = sample_report();
	char *text;

	memset(report.verdict_counts, 0, sizeof(report.verdict_counts));
	report.exhausted = true;
	report.headroom = limits;
	report.headroom_count = 3;
	for (int mode = 0; mode < 4; mode++) { /* also before there are verdicts, and at the end */
		report.elapsed_s = mode & 1 ? 10 : 252;
		report.final = mode & 2;
		text = render(&report, true, false, 120);
		expect(text, "\nnothing can grow: \x1b[1;33mdescriptors are at their limit\x1b[0m "
			     "(256 of 256)\n");
		assert_null(strstr(text, "no leak found"));
		assert_null(strstr(text, "verdict"));
		free(text);
	}
	limits[2].used = 1000;
	report.verdict_counts[LT_VERDICT_SUSPECT] = 1;
	text = render(&report, false, false, 120);
	expect(text, "\nnothing can grow: descriptors are at their limit (256 of 256), threads are "
		     "at their limit (1,000 of 1,000); 1 suspect\n");
	free(text);
	report.verdict_counts[LT_VERDICT_LEAKING] = 1;
	text = render(&report, false, false, 120);
	expect(text, "\n1 site leaking: ");
	assert_null(strstr(text, "nothing can grow"));
	free(text);
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
		cmocka_unit_test(things_have_their_names),
		cmocka_unit_test(numbers_keep_their_units),
		cmocka_unit_test(more_than_the_growth),
		cmocka_unit_test(the_headline_counts_all_leaks),
		cmocka_unit_test(the_unknown_is_left_out),
		cmocka_unit_test(says_why_it_ended),
		cmocka_unit_test(some_just_go),
		cmocka_unit_test(nothing_can_grow),
		cmocka_unit_test(quiet_beginnings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
