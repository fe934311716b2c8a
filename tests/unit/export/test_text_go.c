// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/export/go_sample.h"
#include "unit/export/render.h"

static void goroutines_are_told_in_words(void **state)
{
	struct lt_report report = go_report();
	char *text = render(&report, false, false, 300);

	expect(text, "#1 LEAKING goroutine  +4,000/h (3,600 to 4,400)\n"
		     "   1,000 goroutines blocked in chan receive at main.consumer.func1 "
		     "(main.go:23), created at main.consumer (main.go:21), oldest ≥ 14 min\n"
		     "   all 400 goroutines that reached 48 s of age");
	expect(text, "   1 goroutine blocked in select at net/http.(*persistConn).readLoop "
		     "(transport.go:2261), created at net/http.(*Transport).dialConn "
		     "(transport.go:1799), for main.fetch (main.go:30), ≥ 1 min old\n"
		     "   responses of an HTTP client whose body nobody closed, or is still "
		     "reading\n");
	expect(text, "#5 stable goroutine  12 goroutines running  main.main  main.go:99\n");
	free(text);
}

static void chains_have_lines_of_their_own(void **state)
{
	struct lt_report report = go_report();
	char *text = render(&report, false, false, 300);

	expect(text, "\n     chan receive\n     #0 runtime.gopark ");
	expect(text, "main.go:23\n     created by\n     #3 main.consumer ");
	expect(text, "transport.go:1799\n     created by\n     #4 net/http.(*Transport).queueFor");
	free(text);
}

static void bodies_are_by_who_got_them(void **state)
{
	struct lt_report report = go_report();
	char *text = render(&report, false, false, 300);

	expect(text, "#4 LEAKING http-body  +34/h (31 to 37)\n"
		     "   12 responses whose body is open, by main.fetch (main.go:30), oldest 1 min "
		     "10 s\n");
	free(text);
}

static void estimates_say_so(void **state)
{
	struct lt_report report = go_report();
	char *text = render(&report, false, false, 300);

	expect(text, "  ≈ 52.1 MiB in about 5,400 objects (from 104 samples, ± 9.7 %)\n");
	expect(text, "#6 stable go-heap  400 MiB in 1 object  main.put  main.go:55\n");
	free(text);
}

/* Marks are no code that has no names. */
static void nothing_is_nameless(void **state)
{
	struct lt_report report = go_report();
	char *text = render(&report, false, true, 200);

	assert_null(strstr(text, "made at run time"));
	free(text);
}

static void without_frames_there_is_no_sentence(void **state)
{
	struct lt_report report = go_report();
	struct lt_report_site site = go_sites[0];
	char *text;

	site.frames = NULL;
	site.frame_count = 0;
	site.stack_end = "stack not received";
	report.sites = &site;
	report.site_count = 1;
	text = render(&report, false, false, 300);
	expect(text, "#1 LEAKING goroutine  +4,000/h (3,600 to 4,400)  1,000 goroutines\n");
	assert_null(strstr(text, "goroutines at"));
	free(text);
}

static const struct lt_mark_info states[] = {
	{ LT_MARK_SYSCALL, LT_MARK_CLASS_STATE, "syscall" },
	{ LT_MARK_IO_WAIT, LT_MARK_CLASS_WAIT, "IO wait" },
	{ LT_MARK_WAITING, LT_MARK_CLASS_WAIT, "waiting" },
	{ 77, LT_MARK_CLASS_UNKNOWN, "mark 77" },
};

static void states_make_phrases(void **state)
{
	static const char *const phrases[] = {
		"12 goroutines in a system call  main.main",
		"12 goroutines waiting in IO wait  main.main",
		"12 goroutines waiting  main.main",
		"12 goroutines in mark 77  main.main",
	};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		struct lt_report report = go_report();
		struct lt_report_frame frames[3];
		struct lt_report_site site = go_sites[4];
		char *text;

		memcpy(frames, go_busy, sizeof(frames));
		frames[0].mark = &states[i];
		site.frames = frames;
		report.sites = &site;
		report.site_count = 1;
		text = render(&report, false, false, 300);
		expect(text, phrases[i]);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goroutines_are_told_in_words),
		cmocka_unit_test(chains_have_lines_of_their_own),
		cmocka_unit_test(bodies_are_by_who_got_them),
		cmocka_unit_test(estimates_say_so),
		cmocka_unit_test(nothing_is_nameless),
		cmocka_unit_test(without_frames_there_is_no_sentence),
		cmocka_unit_test(states_make_phrases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
