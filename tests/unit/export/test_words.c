// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/kind.h"
#include "export/words.h"

static void each_kind_has_words(void **state)
{
	for (size_t i = 0; i < LT_KINDS; i++) {
		const struct lt_word *word = lt_word_of(lt_kind_infos[i].name);

		assert_string_equal(word->kind, lt_kind_infos[i].name);
		assert_int_equal(word->mass[0] != 0, lt_word_in_bytes(lt_kind_infos[i].unit));
	}
	assert_string_equal(lt_word_of("tomorrow's")->many, "resources");
	assert_string_equal(lt_word_of("tomorrow's")->note, "");
}

static void one_or_many(void **state)
{
	const struct lt_word *word = lt_word_of("fd");

	assert_string_equal(lt_word_count(word, 0), "descriptors");
	assert_string_equal(lt_word_count(word, 1), "descriptor");
	assert_string_equal(lt_word_count(word, 2), "descriptors");
}

static void each_listing_has_a_name(void **state)
{
	for (size_t i = LT_LISTING_NOWHERE + 1; i < LT_LISTINGS; i++)
		assert_true(lt_listing_names[i] && lt_listing_names[i][0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_has_words),
		cmocka_unit_test(one_or_many),
		cmocka_unit_test(each_listing_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
