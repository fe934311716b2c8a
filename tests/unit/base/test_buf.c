/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "base/buf.h"

static void test_appends(void **state)
{
	_lt_buf_ struct lt_buf buf = { 0 };

	lt_buf_str(&buf, "one");
	lt_buf_char(&buf, ' ');
	lt_buf_printf(&buf, "%s %d", "two", 3);
	lt_buf_append(&buf, "\0x", 2);
	lt_buf_append(&buf, NULL, 0);
	assert_int_equal(buf.len, 11);
	assert_memory_equal(buf.data, "one two 3\0x", 12); /* with the terminator */
	assert_true(buf.cap > buf.len);
	assert_int_equal(lt_buf_error(&buf), 0);
	lt_buf_clear(&buf);
	assert_int_equal(buf.len, 0);
	assert_string_equal(buf.data, "");
	lt_buf_free(&buf);
	assert_null(buf.data);
	lt_buf_clear(&buf);
	lt_buf_str(&buf, "again");
	assert_string_equal(buf.data, "again");
}

static void test_grows(void **state)
{
	_lt_buf_ struct lt_buf buf = { 0 };

	for (int i = 0; i < 100000; i++)
		lt_buf_char(&buf, (char)('a' + i % 26));
	assert_int_equal(buf.len, 100000);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(buf.data[i], 'a' + i % 26);
	lt_buf_clear(&buf);
	lt_buf_printf(&buf, "%5000d", 7); /* longer than any guess */
	assert_int_equal(buf.len, 5000);
	assert_int_equal(buf.data[4999], '7');
}

static void test_reserve(void **state)
{
	_lt_buf_ struct lt_buf buf = { 0 };
	char *to = lt_buf_reserve(&buf, 200);

	assert_non_null(to);
	memset(to, 'x', 200);
	buf.len += 150;
	lt_buf_char(&buf, '.');
	assert_int_equal(buf.len, 151);
	assert_int_equal(buf.data[149], 'x');
	assert_int_equal(buf.data[150], '.');
	assert_int_equal(buf.data[151], '\0');
}

/* Sizes that wrap around must not be allocated short. */
static void test_error_sticks(void **state)
{
	static const size_t huge[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 4, SIZE_MAX / 2 + 2 };

	for (size_t i = 0; i < sizeof(huge) / sizeof(huge[0]); i++) {
		_lt_buf_ struct lt_buf buf = { 0 };

		lt_buf_str(&buf, "kept");
		assert_null(lt_buf_reserve(&buf, huge[i]));
		assert_int_equal(lt_buf_error(&buf), -ENOMEM);
		lt_buf_str(&buf, "not this");
		lt_buf_char(&buf, 'x');
		lt_buf_printf(&buf, "%d", 1);
		assert_null(lt_buf_reserve(&buf, 1));
		assert_string_equal(buf.data, "kept");
		assert_int_equal(buf.len, 4);
		lt_buf_clear(&buf); /* the memory is there again, the error stays */
		assert_int_equal(lt_buf_error(&buf), -ENOMEM);
		lt_buf_free(&buf);
		assert_int_equal(lt_buf_error(&buf), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_appends),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_error_sticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
