// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/export/render.h"
#include "unit/export/sample.h"

/* What a finding says stands before its first site; its sites stand together, with their ranks. */
static void findings_stand_together(void **state)
{
	struct lt_report report = service_report();
	char *text = render(&report, false, false, 200), *first, *second, *third, *alone;

	expect(text, "\n\ntogether: 436 sockets (412 to 10.0.0.5:5432), 412 threads, 6.0 MiB heap: "
		     "same caller connection_open (server.c:88), rising in step (correlation 1.00 "
		     "of their "
		     "increases)\n\n#1 LEAKING socket");
	first = strstr(text, "\n#1 LEAKING socket  +34/h (31 to 37)  436 sockets\n   together with "
			     "#3, #4; all 400 ");
	second = strstr(text, "\n#3 LEAKING thread  +33/h (30 to 36)  412 threads\n   together "
			      "with #1; all 400 ");
	third = strstr(text, "\n#4 SUSPECT heap  +3.0 MiB/h (2.7 MiB to 3.3 MiB)  6.0 MiB in 412 "
			     "blocks\n   together with #1; survivors ");
	alone = strstr(text, "\n#2 LEAKING heap  +4.0 MiB/h (3.6 MiB to 4.4 MiB)  4.0 MiB in 10 "
			     "blocks\n");
	assert_true(first && second && third && alone);
	assert_true(first < second && second < third && third < alone);
	assert_null(strstr(strstr(text, "together:") + 1, "together:"));
	free(text);
}

static void findings_without_a_caller(void **state)
{
	static const uint32_t members[] = { 0, 2 };
	static const struct lt_report_frame nameless = { "",     "",     0,   false, "/usr/bin/app",
							 0x1234, "aabb", NULL };
	struct lt_report_finding finding = { members, 2, 0.957, false, NULL };
	struct lt_report_site sites[3];
	struct lt_report report = service_report();
	char *text;

	memcpy(sites, service_sites, sizeof(sites));
	sites[0].live_count = 1;
	sites[0].groups = service_sockets + 2; /* that have nothing in common but their type */
	sites[0].group_count = 1;
	report.sites = sites;
	report.site_count = 3;
	report.findings = &finding;
	text = render(&report, true, false, 200);
	expect(text, "\x1b[1mtogether:\x1b[0m 1 socket, 412 threads: rising in step (correlation "
		     "0.96 of their sizes)\n");
	free(text);
	finding.caller = &nameless;
	finding.correlation = NAN;
	text = render(&report, false, false, 200);
	expect(text, "threads: same caller app+0x1234, rising in step\n");
	free(text);
	/* As many as there are sockets. */
	sites[0].live_count = 412;
	sites[0].groups = service_sockets;
	text = render(&report, false, false, 200);
	expect(text, "together: 412 sockets to 10.0.0.5:5432, 412 threads: same");
	free(text);
	sites[0].live_count = 1;
	sites[0].group_count = 0;
	/* Two of one kind are one number. */
	sites[2].kind = "socket";
	text = render(&report, false, false, 200);
	expect(text, "together: 413 sockets: same");
	free(text);
}

static void says_what_resources_are(void **state)
{
	struct lt_report_site site = service_sites[4];
	struct lt_report report = service_report();
	char *text = render(&report, false, false, 200);

	expect(text, "   together with #3, #4; all 400 sockets that reached 48 s of age in the "
		     "last 3 min 12 s are still open; 100 % of sockets stay open; oldest 3 h\n"
		     "   412 TCP sockets to 10.0.0.5:5432, 409 in CLOSE_WAIT, 3 in ESTABLISHED, "
		     "oldest 3 h\n"
		     "   5 TCP sockets at [::1]:80, all in CLOSE_WAIT\n"
		     "   2 unix stream sockets, oldest 7 s\n"
		     "   and 17 of other sorts\n"
		     "     #0 __socket ");
	/* Each group has its oldest: it is not said twice. */
	expect(text, "100 % of threads run on\n"
		     "   412 threads running worker (http), oldest 3 h\n"
		     "     #0 connection_open");
	free(text);

	report.finding_count = 0;
	report.sites = &site;
	report.site_count = 1;
	text = render(&report, false, true, 120);
	expect(text, "\n#1 stable fd  0/h  96 descriptors\n"
		     "   no significant growth; 0 opened, 0 closed, peak 0; stack "
		     "0000000000000001\n"
		     "   88 files in /var/cache/\xef\xbf\xbd[31mx\xef\xbf\xbd, oldest 1 min\n"
		     "   1 eventfd, 1 min old\n"
		     "   2 epoll descriptors\n"
		     "   1 file: /etc/passwd\n"
		     "   4 descriptors\n"
		     "     … from before the attach\n");
	free(text);
}

/* pipe() makes two. */
static void a_pipe_has_two_descriptors(void **state)
{
	struct lt_report_group group = { "pipe", "", "", 118, NULL, 0, NAN };
	struct lt_report_site site = service_sites[4];
	struct lt_report report = service_report();
	char *text;

	site.groups = &group;
	site.group_count = 1;
	report.finding_count = 0;
	report.sites = &site;
	report.site_count = 1;
	text = render(&report, false, true, 120);
	expect(text, "\n   118 pipe descriptors\n");
	free(text);
	group.count = 1;
	text = render(&report, false, true, 120);
	expect(text, "\n   1 pipe descriptor\n");
	free(text);
}

/* What fills a limit is told like what leaks: it cannot grow any more, and so has no verdict. */
static void what_fills_a_limit_is_shown(void **state)
{
	struct lt_report_site sites[2] = { service_sites[4], service_sites[0] };
	struct lt_report report = service_report();
	char *text;

	report.finding_count = 0;
	report.sites = sites;
	report.site_count = 2;
	sites[0].frames = service_open;
	sites[0].frame_count = 3;
	sites[0].stack_end = "";
	sites[1].finding = 0;
	text = render(&report, false, false, 120);
	expect(text, "\n#1 stable fd  96 descriptors  connection_open");
	assert_null(strstr(text, "eventfd"));
	assert_null(strstr(text, "nearly full"));
	free(text);
	sites[0].fills = sites[1].fills = true;
	text = render(&report, false, false, 120);
	expect(text, "\n#1 stable fd  0/h  96 descriptors\n   no significant growth; one of the "
		     "largest at a limit that is nearly full\n   88 files in /var");
	expect(text, "\n   1 eventfd, 1 min old\n");
	expect(text, "\n     #0 __socket ");
	/* Of what leaks the limit's line tells it. */
	expect(text, "   all 400 sockets that reached");
	free(text);
}

/* There is nobody to be named: why is told in the name's place. */
static void origins_read_well(void **state)
{
	struct lt_report_site site = service_sites[4];
	struct lt_report report = service_report();
	char *text = render(&report, false, false, 80);

	expect(text, "\n#5 stable fd  96 descriptors  from before the attach\n");
	free(text);
	report.finding_count = 0;
	report.sites = &site;
	report.site_count = 1;
	site.evidence = service_sites[0].evidence;
	text = render(&report, false, false, 80);
	expect(text, "\n     … from before the attach\n");
	assert_null(strstr(text, "stack ends here"));
	free(text);
}

static void long_names_leave_room(void **state)
{
	char path[5000];
	struct lt_report_group group = { "file", "", path, 3, NULL, 0, 60 };
	struct lt_report_site site = service_sites[4];
	struct lt_report report = service_report();
	char *text;

	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	site.evidence = service_sites[0].evidence;
	site.groups = &group;
	site.group_count = 1;
	report.finding_count = 0;
	report.sites = &site;
	report.site_count = 1;
	text = render(&report, false, false, 80);
	expect(text, "\n   3 files: aaaaaaaaaaaaaaaaaaaa…aaaaaaaaaaaaaaaaaaa, oldest 1 min\n");
	free(text);
}

static void old_ones_that_went(void **state)
{
	static const struct {
		const char *kind, *unit, *text;
	} kinds[] = {
		{ "heap", "bytes",
		  "400 blocks that reached 48 s of age in the last 3 min 12 s, 9 "
		  "of that age released; 100 % of allocations survive; " },
		{ "mmap", "bytes", "9 of that age unmapped; 100 % of mappings survive; " },
		{ "socket", "", "9 of that age closed; 100 % of sockets stay open; " },
		{ "fd", "", "9 of that age closed; 100 % of descriptors stay open; " },
		{ "thread", "", "9 of that age ended; 100 % of threads run on; " },
		{ "stack", "bytes", "9 of that age unmapped; 100 % of thread stacks survive; " },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct lt_report_site site = service_sites[1];
		struct lt_report report = service_report();
		char *text;

		site.kind = kinds[i].kind;
		site.unit = kinds[i].unit;
		site.evidence.matured_released = 9;
		report.sites = &site;
		report.site_count = 1;
		text = render(&report, false, false, 200);
		expect(text, kinds[i].text);
		free(text);
	}
}

/* A thread that has ended keeps its stack until somebody joins it. */
static void threads_that_nobody_joins(void **state)
{
	static const char never[] =
		"\n   threads made here have ended and were never joined or detached\n";
	static const char stacks[] = "\n   thread stacks: of threads that run, are kept for reuse, "
				     "or were never joined\n";
	static const struct lt_report_frame elsewhere[] = {
		{ "connection_open", "/src/server/server.c", 88, false, "/usr/bin/server", 0x9999,
		  "", NULL },
	};
	struct lt_report_site sites[2] = { service_sites[1], service_sites[2] };
	struct lt_report report = service_report();
	struct lt_report_kind *threads = NULL;
	char *text;

	for (size_t i = 0; i < LT_KINDS; i++)
		if (lt_kind_infos[i].value == LT_KIND_THREAD)
			threads = &report.kinds[i];
	report.sites = sites;
	report.site_count = 2;
	/* 100 stacks of 8 MiB, of which the threads that live and the cache may use so many. */
	sites[0].live_count = 100;
	sites[0].live_size = UINT64_C(800) << 20;
	threads->live_count = 94;
	sites[0].kind = "stack";
	sites[0].frames = service_open; /* through libc, from the same call */
	sites[0].frame_count = 3;
	sites[1].finding = 0;
	sites[1].evidence.verdict = LT_VERDICT_STABLE;
	text = render(&report, false, false, 120);
	expect(text, never);
	assert_null(strstr(text, stacks));
	free(text);

	threads->live_count = 95; /* the cache holds 5 */
	text = render(&report, false, false, 120);
	expect(text, stacks);
	assert_null(strstr(text, never));
	free(text);
	threads->live_count = 2000; /* elsewhere, most of them */
	text = render(&report, false, false, 120);
	expect(text, stacks);
	free(text);
	threads->live_count = 0;
	sites[0].live_size = 40 << 20; /* small ones: all may be in the cache */
	text = render(&report, false, false, 120);
	expect(text, stacks);
	free(text);
	sites[0].live_size += 4096;
	text = render(&report, false, false, 120);
	expect(text, never);
	free(text);

	sites[1].evidence.verdict = LT_VERDICT_LEAKING; /* they run, all of them */
	text = render(&report, false, false, 120);
	expect(text, "\n   thread stacks: of threads that run (#2)\n");
	assert_null(strstr(text, never));
	assert_null(strstr(text, stacks));
	free(text);
	sites[1].evidence.verdict = LT_VERDICT_SUSPECT; /* nobody knows */
	text = render(&report, false, false, 120);
	expect(text, stacks);
	free(text);

	sites[1].evidence.verdict = LT_VERDICT_STABLE;
	sites[1].frames = elsewhere;
	sites[1].frame_count = 1;
	text = render(&report, false, false, 120);
	expect(text, stacks);
	free(text);

	sites[1].frames = service_open + 1;
	sites[1].frame_count = 2;
	sites[0].evidence.verdict = LT_VERDICT_SUSPECT;
	text = render(&report, false, false, 120);
	expect(text, stacks);
	free(text);
}

static void limits_of_its_own(void **state)
{
	struct lt_report report = service_report();
	char *text = render(&report, false, true, 300);

	expect(text, "500 opened, 64 closed, peak 436; p 1e-06; alone at its limit in 12 min; ");
	expect(text, "alone at the memory limit in ");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(findings_stand_together),
		cmocka_unit_test(findings_without_a_caller),
		cmocka_unit_test(says_what_resources_are),
		cmocka_unit_test(a_pipe_has_two_descriptors),
		cmocka_unit_test(what_fills_a_limit_is_shown),
		cmocka_unit_test(origins_read_well),
		cmocka_unit_test(long_names_leave_room),
		cmocka_unit_test(old_ones_that_went),
		cmocka_unit_test(threads_that_nobody_joins),
		cmocka_unit_test(limits_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
