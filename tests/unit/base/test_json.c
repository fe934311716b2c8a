// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"

static void nests_with_commas(void **state)
{
	_lt_buf_ struct lt_buf out = { 0 };
	struct lt_json json = { .out = &out };

	lt_json_open(&json, NULL, '{');
	lt_json_uint(&json, "a", UINT64_MAX);
	lt_json_open(&json, "b", '[');
	lt_json_int(&json, NULL, -1);
	lt_json_open(&json, NULL, '{');
	lt_json_close(&json, '}');
	lt_json_bool(&json, NULL, true);
	lt_json_close(&json, ']');
	lt_json_null(&json, "c");
	lt_json_string(&json, "d", NULL);
	lt_json_close(&json, '}');
	assert_string_equal(out.data, "{\"a\":18446744073709551615,\"b\":[-1,{},true],"
				      "\"c\":null,\"d\":null}");
}

static void escapes(void **state)
{
	_lt_buf_ struct lt_buf out = { 0 };
	struct lt_json json = { .out = &out };

	lt_json_string(&json, NULL, "a\"b\\\n\x1b\x7f\xffé");
	assert_string_equal(out.data, "\"a\\\"b\\\\\\u000a\\u001b\\u007f\xef\xbf\xbdé\"");
}

static void numbers(void **state)
{
	_lt_buf_ struct lt_buf out = { 0 };
	struct lt_json json = { .out = &out };

	lt_json_open(&json, NULL, '[');
	lt_json_double(&json, NULL, NAN);
	lt_json_double(&json, NULL, -INFINITY);
	lt_json_double(&json, NULL, -0.0);
	lt_json_double(&json, NULL, 1.5);
	lt_json_close(&json, ']');
	assert_string_equal(out.data, "[null,null,0,1.5]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nests_with_commas),
		cmocka_unit_test(escapes),
		cmocka_unit_test(numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
