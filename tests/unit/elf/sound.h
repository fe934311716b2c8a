/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LT_TEST_ELF_SOUND_H
#define LT_TEST_ELF_SOUND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "elf/ehframe.h"

#define RULE_NONE LT_RULE(LT_CFA_NONE, 0, 0, 0)

/* What leaktrace/unwind.h says of a table holds. */
static inline void assert_sound(const struct lt_unwind_table *table)
{
	assert_int_equal(table->origin % LT_UNWIND_PAGE, 0);
	assert_true(table->page_count > 0 && table->rule_count > 1);
	assert_int_equal(table->word_count, table->page_count + 1 + table->row_count);
	assert_int_equal(table->words[0], table->page_count + 1);
	assert_int_equal(table->words[table->page_count], table->word_count);
	assert_int_equal(table->rules[0], RULE_NONE);
	for (uint32_t page = 0; page < table->page_count; page++) {
		uint32_t first = table->words[page], end = table->words[page + 1];

		assert_true(first < end && end <= table->word_count);
		assert_int_equal(table->words[first] >> 16, 0);
		for (uint32_t row = first; row < end; row++) {
			assert_true(LT_ROW_RULE(table->words[row]) < table->rule_count);
			assert_true(table->words[row] >> 16 < LT_UNWIND_PAGE);
			if (row == first)
				continue;
			assert_true(table->words[row] >> 16 > table->words[row - 1] >> 16);
			assert_int_not_equal(LT_ROW_RULE(table->words[row]),
					     LT_ROW_RULE(table->words[row - 1]));
		}
	}
	for (uint32_t rule = 1; rule < table->rule_count; rule++)
		for (uint32_t other = 0; other < rule; other++)
			assert_true(table->rules[rule] != table->rules[other]);
}

#endif
