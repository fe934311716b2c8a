/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "cli/options.h"
#include "leaktrace/limits.h"
#include "stream/event.h"

#define MAX_ARGS 32

static const struct row {
	char letter;
	const char *name, *argument, *section, *help;
} rows[] = {
#define LT_OPTION(symbol, letter, name, argument, section, modes, take, member, help, man)         \
	{ letter, name, argument, section, help },
#include "cli/options.def"
#undef LT_OPTION
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Splits the line at blanks and parses it; text is cleared first. */
static int parse(struct lt_options *options, const char *line, struct lt_buf *text)
{
	static char copy[512]; /* the options borrow from it */
	char *argv[MAX_ARGS + 1] = { (char *)"leaktrace" }, *rest = NULL;
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	lt_buf_clear(text);
	return lt_options_parse(options, argc, argv, text);
}

static struct lt_options good(const char *line)
{
	struct lt_options options;
	struct lt_buf text = { 0 };
	int err = parse(&options, line, &text);

	if (err)
		print_error("'%s': %s\n", line, text.data ? text.data : "");
	assert_int_equal(err, LT_OPTIONS_RUN);
	assert_int_equal(text.len, 0);
	lt_buf_free(&text);
	return options;
}

static void bad(const char *line, const char *says)
{
	struct lt_options options, before;
	struct lt_buf text = { 0 };

	memset(&options, 0x5a, sizeof(options));
	memcpy(&before, &options, sizeof(options));
	assert_int_equal(parse(&options, line, &text), -EINVAL);
	if (!strstr(text.data, says))
		print_error("'%s': '%s' lacks '%s'\n", line, text.data, says);
	assert_non_null(strstr(text.data, says));
	assert_null(strchr(text.data, '\n'));
	assert_memory_equal(&options, &before, sizeof(options));
	lt_buf_free(&text);
}

static void test_defaults(void **state)
{
	struct lt_options options = good("-p 42");

	assert_int_equal(options.mode, LT_MODE_ATTACH);
	assert_int_equal(options.pid, 42);
	assert_true(options.interval_s == 10);
	assert_int_equal(options.count, 0);
	assert_int_equal(options.top, 10);
	assert_true(options.kinds >> LT_KIND_HEAP & 1);
	assert_true(options.min_growth_per_hour == 0);
	assert_null(options.prom);
	assert_null(options.json);
	assert_null(options.record);
	assert_null(options.debuginfod);
	assert_int_equal(options.ring_size, 0);
	assert_int_equal(options.color, LT_COLOR_AUTO);
	assert_false(options.explain || options.fail_on_leak || options.keep_prom);
	assert_false(options.quiet || options.verbose);
}

static void test_every_option(void **state)
{
	struct lt_options options = good(
		"2.5 --top 1000 7 --pid=99 --kinds heap --min-growth 1.5M/h --prom a.prom "
		"--json - --fail-on-leak --color=never -q --keep-prom --ring-size 64k");

	assert_int_equal(options.pid, 99);
	assert_true(options.interval_s == 2.5);
	assert_int_equal(options.count, 7);
	assert_int_equal(options.top, LT_MAX_REPORT_SITES);
	assert_int_equal(options.kinds, 1 << LT_KIND_HEAP);
	assert_true(options.min_growth_per_hour == 1.5 * 1024 * 1024);
	assert_string_equal(options.prom, "a.prom");
	assert_string_equal(options.json, "-");
	assert_int_equal(options.color, LT_COLOR_NEVER);
	assert_int_equal(options.ring_size, 65536);
	assert_true(options.fail_on_leak && options.quiet && options.keep_prom);
	options = good("-p1 -v --record x.ltrec --color");
	assert_string_equal(options.record, "x.ltrec");
	assert_true(options.verbose);
	assert_int_equal(options.color, LT_COLOR_ALWAYS);
	assert_int_equal(good("-p1 --color=auto").color, LT_COLOR_AUTO);
	assert_true(good("-p1 --explain").explain);
	assert_string_equal(good("-p1 --debuginfod").debuginfod, "");
	assert_string_equal(good("-p1 --debuginfod=http://a.example/").debuginfod,
			    "http://a.example/");
	assert_true(good("-p1 --min-growth 3").min_growth_per_hour == 3);
	assert_true(good("-p1 --min-growth 2k").min_growth_per_hour == 2048);
	assert_true(good("-p1 --min-growth 1G/h").min_growth_per_hour == 1024. * 1024 * 1024);
	assert_int_equal(good("-p1 --ring-size 4096").ring_size, 4096);
	assert_int_equal(good("-p1 --ring-size 1G").ring_size, 1 << 30);
	assert_true(good("-p1 0.1").interval_s == 0.1);
}

static void test_replay(void **state)
{
	struct lt_options options = good("replay x.ltrec --top 3 --json out --prom p.prom -v "
					 "--color=always --min-growth 1 --fail-on-leak");

	assert_int_equal(options.mode, LT_MODE_REPLAY);
	assert_string_equal(options.replay_file, "x.ltrec");
	assert_int_equal(options.top, 3);
	assert_string_equal(options.json, "out");
	assert_true(options.fail_on_leak);
	assert_string_equal(good("-q replay replay").replay_file, "replay");
	bad("replay", "replay wants the FILE");
	bad("replay a b", "'b' is too much");
	bad("replay a -p 1", "--pid does not go with replay");
	bad("replay a --record b", "--record does not go with replay");
	bad("replay a --explain", "--explain does not go with replay");
	bad("replay a --kinds heap", "--kinds does not go with replay");
	bad("replay a --debuginfod", "--debuginfod does not go with replay");
	bad("replay a --ring-size 4k", "--ring-size does not go with replay");
}

static void test_bad(void **state)
{
	bad("", "no target: give -p PID (see leaktrace --help)");
	bad("10", "no target");
	bad("-p", "--pid wants PID");
	bad("-p x", "--pid wants a process id, not 'x'");
	bad("-p 0", "--pid wants");
	bad("-p -1", "--pid wants");
	bad("-p 4194305", "--pid wants");
	bad("-p 99999999999999999999999", "--pid wants");
	bad("--max-frames 128", "--max-frames wants a whole number from 1 to 127, not '128'");
	bad("--max-frames 0", "not '0'");
	bad("--top", "--top wants N");
	bad("--top x", "--top wants a whole number from 1 to 1000, not 'x'");
	bad("--top 0", "not '0'");
	bad("--top 1001", "not '1001'");
	bad("--top= -p 1", "--top wants");
	bad("--kinds heap,nonsense", "--kinds wants");
	bad("--kinds heap,", "--kinds wants");
	bad("--kinds hea", "--kinds wants");
	bad("--min-growth 1X", "--min-growth wants a rate");
	bad("--min-growth -5", "--min-growth wants");
	bad("--min-growth nan", "--min-growth wants");
	bad("--min-growth 1..2", "--min-growth wants");
	bad("--min-growth 1M/s", "--min-growth wants");
	bad("--ring-size 4095", "--ring-size wants a power of two");
	bad("--ring-size 5000", "--ring-size wants");
	bad("--ring-size 2G", "--ring-size wants");
	bad("--ring-size 2048", "--ring-size wants");
	bad("--ring-size 0", "--ring-size wants");
	bad("--ring-size k", "--ring-size wants");
	bad("--ring-size 18446744073709551616", "--ring-size wants");
	bad("--color=red -p 1", "--color wants auto, always or never, not 'red'");
	bad("-p 1 --debuginfod=", "--debuginfod wants URLs such as https://");
	bad("-p 1 --debuginfod=debuginfod.elfutils.org", "not 'debuginfod.elfutils.org'");
	bad("--json=", "--json wants a file name");
	bad("--prom", "--prom wants FILE");
	bad("-p 1 --prom metrics.txt", "--prom wants a file name that ends in .prom");
	bad("-p 1 --prom .prom", "--prom wants a file name that ends in .prom");
	bad("--record", "--record wants FILE");
	bad("--quiet=3", "--quiet takes no argument");
	bad("--nonsense", "unknown option '--nonsense' (see leaktrace --help)");
	bad("-x", "unknown option '-x'");
	bad("-p 1 0.05", "INTERVAL wants seconds, from 0.1");
	bad("-p 1 inf", "INTERVAL wants");
	bad("-p 1 1e3", "INTERVAL wants");
	bad("-p 1 1 0", "COUNT wants a whole number above 0");
	bad("-p 1 1 1.5", "COUNT wants");
	bad("-p 1 1 1 1", "too much");
	bad("-p 1 -q -v", "contradict");
	bad("-p 1 --keep-prom", "--keep-prom wants --prom");
	bad("-p 1 --explain --record x", "--explain");
	bad("--generate-completion fish", "--generate-completion wants bash");
}

static void test_long_words_are_cut(void **state)
{
	char line[400];

	memset(line, 'x', sizeof(line));
	memcpy(line, "--top ", 6);
	line[sizeof(line) - 1] = '\0';
	bad(line, "xxxxxxxx'");
}

static struct lt_buf printed(const char *line)
{
	struct lt_options options;
	struct lt_buf text = { 0 };

	assert_int_equal(parse(&options, line, &text), LT_OPTIONS_EXIT);
	assert_true(text.len > 0);
	assert_int_equal(text.data[text.len - 1], '\n');
	return text;
}

static void test_version(void **state)
{
	struct lt_buf longs = printed("--version"), shorts = printed("-V");

	assert_string_equal(longs.data, "leaktrace " LT_VERSION "\n");
	assert_string_equal(shorts.data, longs.data);
	lt_buf_free(&longs);
	lt_buf_free(&shorts);
}

static void test_help(void **state)
{
	struct lt_buf help = printed("-h"), same = printed("--help");
	size_t width = 0;

	assert_string_equal(help.data, same.data);
	for (const char *at = help.data; *at; at++) {
		width = *at == '\n' ? 0 : width + 1;
		assert_true(width <= 80);
		assert_true(*at == '\n' || isprint(*at));
	}
	for (size_t i = 0; i < ROWS; i++) {
		char option[64];

		snprintf(option, sizeof(option), "--%s", rows[i].name);
		assert_int_equal(strstr(help.data, option) != NULL, rows[i].section != NULL);
		if (rows[i].section)
			assert_non_null(strstr(help.data, rows[i].help));
	}
	lt_buf_free(&help);
	lt_buf_free(&same);
}

static void test_man(void **state)
{
	static const char *const sections[] = {
		"NAME",   "SYNOPSIS",    "DESCRIPTION", "OPTIONS", "KINDS",    "VERDICTS",
		"OUTPUT", "EXIT STATUS", "SIGNALS",     "FILES",   "EXAMPLES", "SEE ALSO",
	};
	struct lt_buf man = printed("--generate-man");
	const char *at = man.data;
	char text[64];

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		snprintf(text, sizeof(text), "\n.SH %s\n", sections[i]);
		at = strstr(at, text);
		assert_non_null(at);
	}
	for (size_t i = 0; i < ROWS; i++) { /* every minus is escaped */
		char *to = text + sprintf(text, "\\-\\-");

		for (const char *from = rows[i].name; *from; from++)
			to += sprintf(to, *from == '-' ? "\\-" : "%c", *from);
		sprintf(to, "\\fR");
		assert_int_equal(strstr(man.data, text) != NULL, rows[i].section != NULL);
	}
	lt_buf_free(&man);
}

static void test_completion(void **state)
{
	struct lt_buf script = printed("--generate-completion bash");

	for (size_t i = 0; i < ROWS; i++) {
		char option[64];

		snprintf(option, sizeof(option), " --%s", rows[i].name);
		assert_int_equal(strstr(script.data, option) != NULL, rows[i].section != NULL);
	}
	assert_non_null(strstr(script.data, "complete -F _leaktrace leaktrace\n"));
	lt_buf_free(&script);
}

static void test_table(void **state)
{
	for (size_t i = 0; i < ROWS; i++) {
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(rows[i].name, rows[j].name);
			assert_true(!rows[i].letter || rows[i].letter != rows[j].letter);
		}
		assert_true(!rows[i].section || rows[i].help[0]);
		assert_true(strlen(rows[i].help) <= 55);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),   cmocka_unit_test(test_every_option),
		cmocka_unit_test(test_replay),     cmocka_unit_test(test_bad),
		cmocka_unit_test(test_version),    cmocka_unit_test(test_long_words_are_cut),
		cmocka_unit_test(test_help),       cmocka_unit_test(test_man),
		cmocka_unit_test(test_completion), cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
