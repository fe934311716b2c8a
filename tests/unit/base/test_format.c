// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/format.h"
#include "base/utf8.h"

static void bytes(void **state)
{
	assert_string_equal(lt_format_bytes(0).text, "0 B");
	assert_string_equal(lt_format_bytes(-0.0).text, "0 B");
	assert_string_equal(lt_format_bytes(1023).text, "1023 B");
	assert_string_equal(lt_format_bytes(1024).text, "1.0 KiB");
	assert_string_equal(lt_format_bytes(6.1 * 1048576).text, "6.1 MiB");
	assert_string_equal(lt_format_bytes(99.96 * 1024).text, "100 KiB");
	assert_string_equal(lt_format_bytes(512 * 1048576.0).text, "512 MiB");
	assert_string_equal(lt_format_bytes(1023.9 * 1024).text, "1.0 MiB");
	assert_string_equal(lt_format_bytes(-2048).text, "-2.0 KiB");
	assert_string_equal(lt_format_bytes(18446744073709551615.0).text, "16.0 EiB");
	assert_string_equal(lt_format_bytes(NAN).text, "?");
}

static void counts(void **state)
{
	assert_string_equal(lt_format_count(0).text, "0");
	assert_string_equal(lt_format_count(999).text, "999");
	assert_string_equal(lt_format_count(1240).text, "1,240");
	assert_string_equal(lt_format_count(-1240).text, "-1,240");
	assert_string_equal(lt_format_count(9999999).text, "9,999,999");
	assert_string_equal(lt_format_count(12345678).text, "12.3 M");
	assert_string_equal(lt_format_count(NAN).text, "?");
}

static void rates_and_shares(void **state)
{
	assert_string_equal(lt_format_rate(1.2 * 1048576, true).text, "+1.2 MiB/h");
	assert_string_equal(lt_format_rate(0, true).text, "0 B/h");
	assert_string_equal(lt_format_rate(-3, false).text, "-3/h");
	assert_string_equal(lt_format_rate(NAN, false).text, "?");
	assert_string_equal(lt_format_percent(0.01).text, "1.0 %");
	assert_string_equal(lt_format_percent(0.97).text, "97 %");
	assert_string_equal(lt_format_percent(1e-5).text, "<0.1 %");
	assert_string_equal(lt_format_percent(0).text, "0.0 %");
}

static void durations(void **state)
{
	assert_string_equal(lt_format_duration(0).text, "0 s");
	assert_string_equal(lt_format_duration(48).text, "48 s");
	assert_string_equal(lt_format_duration(59.7).text, "1 min");
	assert_string_equal(lt_format_duration(252).text, "4 min 12 s");
	assert_string_equal(lt_format_duration(3 * 3600 + 12 * 60).text, "3 h 12 min");
	assert_string_equal(lt_format_duration(86399).text, "1 d");
	assert_string_equal(lt_format_duration(90000).text, "1 d 1 h");
	assert_string_equal(lt_format_duration(INFINITY).text, "over 1,000 d");
	assert_string_equal(lt_format_duration(-5).text, "0 s");
}

static void machine_numbers(void **state)
{
	assert_string_equal(lt_format_number(-0.0).text, "0");
	assert_string_equal(lt_format_number(100).text, "100");
	assert_string_equal(lt_format_number(0.5).text, "0.5");
	assert_string_equal(lt_format_number(-0.25).text, "-0.25");
	assert_string_equal(lt_format_number(1763666794.125).text, "1763666794.125");
	assert_string_equal(lt_format_number(1e-9).text, "1e-09");
	assert_string_equal(lt_format_number(1e300).text, "1e+300");
	assert_string_equal(lt_format_number(-INFINITY).text, "-Inf");
	assert_string_equal(lt_format_number(NAN).text, "NaN");
}

static void utf8_is_checked(void **state)
{
	static const char *const invalid[] = { "\x80",         "\xc0\x80",
					       "\xed\xa0\x80", "\xf4\x90\x80\x80",
					       "\xe2\x82",     "\xff" };
	uint32_t code;

	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
		assert_int_equal(lt_utf8_next(invalid[i], strlen(invalid[i]), &code), 1);
		assert_int_equal(code, LT_UTF8_INVALID);
	}
	assert_int_equal(lt_utf8_next("\xf0\x9f\x98\x80", 4, &code), 4);
	assert_int_equal(code, 0x1f600);
	assert_int_equal(lt_utf8_next("é", 2, &code), 2);
	assert_int_equal(code, 0xe9);
}

static void clean_text_commands_nothing(void **state)
{
	_lt_buf_ struct lt_buf out = { 0 };

	lt_utf8_clean(&out, "a\x1b[2J\n\xff"
			    "b\xc2\x9b\xe2\x80\xae");
	assert_string_equal(out.data, "a\xef\xbf\xbd[2J\xef\xbf\xbd\xef\xbf\xbd"
				      "b\xef\xbf\xbd\xef\xbf\xbd");
}

static void shortening_keeps_both_ends(void **state)
{
	_lt_buf_ struct lt_buf out = { 0 };

	for (size_t columns = 1; columns < 12; columns++) {
		lt_buf_clear(&out);
		lt_utf8_shorten(&out, "0123456789漢字abcdef", columns);
		assert_in_range(lt_utf8_width(out.data), 1, columns);
	}
	lt_buf_clear(&out);
	lt_utf8_shorten(&out, "0123456789abcdef", 9);
	assert_string_equal(out.data, "0123…cdef");
	lt_buf_clear(&out);
	lt_utf8_shorten(&out, "0123456789", 10);
	assert_string_equal(out.data, "0123456789");
	assert_int_equal(lt_utf8_width("\x1b[1;31mé\x1b[0m"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes),
		cmocka_unit_test(counts),
		cmocka_unit_test(rates_and_shares),
		cmocka_unit_test(durations),
		cmocka_unit_test(machine_numbers),
		cmocka_unit_test(utf8_is_checked),
		cmocka_unit_test(clean_text_commands_nothing),
		cmocka_unit_test(shortening_keeps_both_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
