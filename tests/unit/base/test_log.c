// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

#define BAD "\xef\xbf\xbd" /* what stands for an unsafe character */

static char said[4096];

/* What the call writes to stderr. */
#define CAPTURE(call)                                                                              \
	do {                                                                                       \
		int kept = begin();                                                                \
		call;                                                                              \
		end(kept);                                                                         \
	} while (0)

static FILE *captured;

static int begin(void)
{
	int kept;

	fflush(stderr);
	kept = dup(STDERR_FILENO);
	captured = tmpfile();
	assert_true(kept >= 0);
	assert_non_null(captured);
	assert_true(dup2(fileno(captured), STDERR_FILENO) >= 0);
	return kept;
}

static void end(int kept)
{
	fflush(stderr);
	dup2(kept, STDERR_FILENO);
	close(kept);
	rewind(captured);
	said[fread(said, 1, sizeof(said) - 1, captured)] = '\0';
	fclose(captured);
}

static void lines_are_prefixed(void **state)
{
	CAPTURE(lt_error("no process with pid %d", 7));
	assert_string_equal(said, "leaktrace: error: no process with pid 7\n");
	CAPTURE(lt_info("attached"));
	assert_string_equal(said, "leaktrace: attached\n");
	CAPTURE(lt_debug("too much"));
	assert_string_equal(said, "");
	CAPTURE(lt_info("%s", ""));
	assert_string_equal(said, "leaktrace: \n");
}

/* A target names itself and its files as it likes: nothing of it may command root's terminal. */
static void foreign_text_is_cleaned(void **state)
{
	CAPTURE(lt_warn("pid 1 (%s)", "\x1b]0;x\x07"
				      "a\nleaktrace: b\xc2\x9b"
				      "2J\x9b\xc3\xa9"));
	assert_string_equal(said, "leaktrace: warning: pid 1 (" BAD "]0;x" BAD "a" BAD
				  "leaktrace: b" BAD "2J" BAD "\xc3\xa9)\n");
}

/* Cut in the middle of a character, the line is still valid. */
static void long_lines_are_cut(void **state)
{
	static char text[4000];
	size_t len;

	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	CAPTURE(lt_info("%s", text));
	len = strlen(said);
	assert_true(len > 2000 && len < 2100);
	assert_string_equal(said + len - 6, "\xc3\xa9" BAD "\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_prefixed),
		cmocka_unit_test(foreign_text_is_cleaned),
		cmocka_unit_test(long_lines_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
