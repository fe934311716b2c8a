/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>

#include "cli/manual.h"

static const struct row {
	const char *name, *section, *help;
} rows[] = {
#define LT_OPTION(symbol, letter, name, argument, section, modes, take, member, help, man)         \
	{ name, section, help },
#include "cli/options.def"
#undef LT_OPTION
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void test_help(void **state)
{
	struct lt_buf help = { 0 };
	size_t width = 0;

	lt_manual_help(&help);
	assert_non_null(strstr(help.data, " -- COMMAND [ARG...]\n"));
	assert_non_null(strstr(help.data, " -n NAME | --cgroup PATH "));
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
}

static void test_man(void **state)
{
	static const char *const sections[] = {
		"NAME",   "SYNOPSIS",    "DESCRIPTION", "OPTIONS", "KINDS",    "VERDICTS",
		"OUTPUT", "EXIT STATUS", "SIGNALS",     "FILES",   "EXAMPLES", "SEE ALSO",
	};
	struct lt_buf man = { 0 };
	const char *at;
	char text[64];

	lt_manual_page(&man);
	at = man.data;
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
	struct lt_buf script = { 0 };

	lt_manual_completion(&script);
	assert_non_null(strstr(script.data, "\t-n | --name)\n"));
	assert_non_null(strstr(script.data, "_command_offset $((i + 1))\n"));
	for (size_t i = 0; i < ROWS; i++) {
		char option[64];

		snprintf(option, sizeof(option), " --%s", rows[i].name);
		assert_int_equal(strstr(script.data, option) != NULL, rows[i].section != NULL);
	}
	assert_non_null(strstr(script.data, "complete -F _leaktrace leaktrace\n"));
	lt_buf_free(&script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_man),
		cmocka_unit_test(test_completion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
