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
#include "unit/export/sample.h"

static char *render(const struct lt_report *report, bool color, bool verbose, unsigned int columns)
{
	struct lt_text_style style = { color, verbose, columns };
	struct lt_buf out = { 0 };

	lt_export_text(report, &style, &out);
	assert_int_equal(lt_buf_error(&out), 0);
	return out.data;
}

static void expect(char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void no_line_exceeds_the_terminal(void **state)
{
	struct lt_report report = sample_report();

	report.final = true;
	for (unsigned int columns = 60; columns < 260; columns += 7)
		for (int mode = 0; mode < 4; mode++) {
			char *text = render(&report, mode & 1, mode & 2, columns), *rest = text,
			     *line;

			while ((line = strsep(&rest, "\n")))
				if (lt_utf8_width(line) > (columns < 80 ? 80 : columns))
					fail_msg("%u columns: %s", columns, line);
			free(text);
		}
}

static void names_the_leak(void **state)
{
	struct lt_report report = sample_report();
	char *text = render(&report, false, false, 100);

	expect(text, "(pid 4242, 7 inside its namespace, glibc)  report 3 after 4 min 12 s");
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
	free(text);
	text = render(&report, true, true, 100);
	expect(text, "\x1b[1;31mLEAKING\x1b[0m");
	expect(text, "note:");
	expect(text, "leaktrace itself: 1.0 % CPU, 34.0 MiB of memory");
	assert_null(strstr(text, "\x1b[31minx")); /* the target's own colours */
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
				    .target = { 1, 1, "a", "", "" } };
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
		cmocka_unit_test(says_why_it_ended),
		cmocka_unit_test(quiet_beginnings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
