/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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
	assert_int_equal(options.kinds, 0); /* by what the targets are */
	assert_false(options.go_probes);
	assert_false(options.go_enable_profile);
	assert_true(options.min_growth_per_hour == 0);
	assert_null(options.prom);
	assert_null(options.json);
	assert_null(options.record);
	assert_null(options.debuginfod);
	assert_int_equal(options.ring_size, 0);
	assert_int_equal(options.color, LT_COLOR_AUTO);
	assert_false(options.explain || options.fail_on_leak || options.keep_prom);
	assert_false(options.quiet || options.verbose);
	assert_false(options.follow || options.propagate_exit);
	assert_int_equal(options.pids.count, 1);
	assert_int_equal(options.pids.ids[0], 42);
	assert_null(options.name);
	assert_null(options.cgroup);
	assert_null(options.command);
}

static void test_targets(void **state)
{
	struct lt_options options = good("5 -p 30,4 --follow --pid=7,4 2");

	assert_int_equal(options.pids.count, 3);
	assert_int_equal(options.pids.ids[0], 4);
	assert_int_equal(options.pids.ids[1], 7);
	assert_int_equal(options.pids.ids[2], 30);
	assert_int_equal(options.pids.left_out, 0);
	assert_int_equal(options.pid, 4);
	assert_true(options.follow);
	assert_true(options.interval_s == 5);
	assert_int_equal(options.count, 2);
	options = good("-n ng* 5");
	assert_string_equal(options.name, "ng*");
	assert_int_equal(options.pids.count, 0);
	assert_int_equal(options.pid, 0);
	assert_string_equal(good("--name=a --explain").name, "a");
	options = good("1 --cgroup /system.slice/a.service --follow");
	assert_string_equal(options.cgroup, "/system.slice/a.service");
	assert_null(options.command);
	bad("-p 1 -n a", "one kind of target at a time: give either -p PID, -n NAME");
	bad("-n a --cgroup b", "one kind of target at a time");
	bad("--cgroup b -- ls", "one kind of target at a time");
	bad("-p 1 -- ls", "one kind of target at a time");
	bad("-p 1 --", "one kind of target at a time");
	bad("-p 1, ", "--pid wants process ids, separated by commas, not '1,'");
	bad("-p ,1", "--pid wants");
	bad("-p 1,,2", "--pid wants");
	bad("-p 1,0", "--pid wants");
	bad("-p 1;2", "--pid wants");
	bad("-n", "--name wants NAME");
	bad("--name= 1", "--name wants the name of a program");
	bad("-n /usr/sbin/nginx",
	    "--name wants the name of a program, without its path, not '/usr");
	bad("--cgroup= 1", "--cgroup wants a control group");
	bad("-p 1 --propagate-exit", "--propagate-exit wants -- COMMAND as well");
	bad("-n a --propagate-exit", "--propagate-exit wants -- COMMAND as well");
}

static void test_many_pids(void **state)
{
	struct lt_buf line = { 0 }, text = { 0 };
	char *argv[] = { (char *)"leaktrace", (char *)"-p", NULL, NULL };
	struct lt_options options;

	for (int i = 0; i < LT_MAX_TARGETS; i++)
		lt_buf_printf(&line, "%s%d", i ? "," : "", i + 1);
	argv[2] = line.data;
	assert_int_equal(lt_options_parse(&options, 3, argv, &text), LT_OPTIONS_RUN);
	assert_int_equal(options.pids.count, LT_MAX_TARGETS);
	lt_buf_str(&line, ",1000");
	argv[2] = line.data;
	assert_int_equal(lt_options_parse(&options, 3, argv, &text), -EINVAL);
	assert_memory_equal(text.data, "--pid wants at most 256 process ids, not '1,2,3,", 47);
	lt_buf_free(&line);
	lt_buf_free(&text);
}

/* What stands behind "--" is not ours, whatever it looks like. */
static void test_command(void **state)
{
	struct lt_options options = good("-q 2 3 --propagate-exit -- ls -p 1 --top 3 -- -x 9 9 9");

	assert_int_equal(options.pids.count, 0);
	assert_int_equal(options.top, 10);
	assert_true(options.quiet && options.propagate_exit);
	assert_true(options.interval_s == 2);
	assert_int_equal(options.count, 3);
	assert_string_equal(options.command[0], "ls");
	assert_string_equal(options.command[1], "-p");
	assert_string_equal(options.command[5], "--");
	assert_string_equal(options.command[9], "9");
	assert_null(options.command[10]);
	assert_string_equal(good("-- ls").command[0], "ls");
	assert_null(good("-- ls").command[1]);
	assert_string_equal(good("-- replay x").command[0], "replay");
	assert_string_equal(good("-- -p 1").command[0], "-p");
	assert_string_equal(good("-- -- 1").command[0], "--");
	assert_true(good("--follow 5 -- ls 7").interval_s == 5);
	options = good("--json -- -p 1"); /* the argument of --json */
	assert_string_equal(options.json, "--");
	assert_null(options.command);
	options = good("--json -- -- ls");
	assert_string_equal(options.json, "--");
	assert_string_equal(options.command[0], "ls");
	assert_null(good("-p1 --json --").command);
	bad("--", "-- wants a COMMAND to follow");
	bad("5 --", "-- wants a COMMAND to follow");
	bad("--json --", "no target");
	bad("ls", "no target: give -p PID, -n NAME, --cgroup PATH or -- COMMAND");
	bad("ls -- x", "INTERVAL wants seconds");
	bad("1 2 3 -- ls", "'3' is too much: a command stands behind --");
	bad("1 2 3 4 5 6 7 -- ls", "'3' is too much");
	bad("--explain -- ls", "--explain starts nothing: give -p PID");
	bad("replay x -- ls", "a COMMAND does not go with replay: leave it out");
	bad("replay x --", "a COMMAND does not go with replay");
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
	options = good("-p1 --allocator libpool.so*:pool_ --allocator=/a:b/c:");
	assert_int_equal(options.plan.allocator_count, 2);
	assert_string_equal(options.plan.allocators[0], "libpool.so*:pool_");
	assert_string_equal(options.plan.allocators[1], "/a:b/c:");
	assert_int_equal(good("-p1").plan.allocator_count, 0);
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
	bad("replay a -n b", "--name does not go with replay");
	bad("replay a --cgroup b", "--cgroup does not go with replay");
	bad("replay a --follow", "--follow does not go with replay");
	bad("replay a --propagate-exit", "--propagate-exit does not go with replay");
	bad("replay a --record b", "--record does not go with replay");
	bad("replay a --explain", "--explain does not go with replay");
	bad("replay a --allocator b:c", "--allocator does not go with replay");
	bad("replay a --kinds heap", "--kinds does not go with replay");
	bad("replay a --debuginfod", "--debuginfod does not go with replay");
	bad("replay a --ring-size 4k", "--ring-size does not go with replay");
}

static void test_bad(void **state)
{
	bad("",
	    "no target: give -p PID, -n NAME, --cgroup PATH or -- COMMAND (see leaktrace --help)");
	bad("10", "no target");
	bad("-p", "--pid wants PID");
	bad("-p x", "--pid wants process ids, separated by commas, not 'x'");
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
	bad("--kinds sockets", "--kinds wants all, or some of heap mmap socket fd thread stack "
			       "goroutine go-heap http-body ticker context, separated by commas, "
			       "not 'sockets'");
	bad("--kinds all,heap", "--kinds wants");
	assert_int_equal(good("-p 1 --kinds all").kinds, lt_options_all_kinds());
	bad("--allocator", "--allocator wants FILE:PREFIX");
	bad("--allocator x", "--allocator wants FILE:PREFIX, such as libpool.so:pool_, not 'x'");
	bad("--allocator :x", "--allocator wants FILE:PREFIX");
	bad("--allocator x:a-b", "--allocator wants FILE:PREFIX");
	bad("--allocator x:a/b", "--allocator wants FILE:PREFIX");
	bad("-p1 --allocator=a: --allocator=b: --allocator=c: --allocator=d: --allocator=e: "
	    "--allocator=f: --allocator=g: --allocator=h: --allocator=i:",
	    "--allocator wants to be given 8 times at most, not 'i:'");
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

static void test_manuals(void **state)
{
	static const char *const lines[][2] = {
		{ "-h", "Usage: leaktrace " },
		{ "--help", "Usage: leaktrace " },
		{ "--generate-man", ".TH LEAKTRACE 8 " },
		{ "--generate-completion bash", "# bash completion for leaktrace" },
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct lt_buf text = printed(lines[i][0]);

		assert_memory_equal(text.data, lines[i][1], strlen(lines[i][1]));
		lt_buf_free(&text);
	}
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
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_option),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_many_pids),
		cmocka_unit_test(test_command),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_long_words_are_cut),
		cmocka_unit_test(test_manuals),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
