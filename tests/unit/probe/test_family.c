// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "probe/family.h"

static void test_operations(void **state)
{
	for (int op = 0; op < LT_OP_COUNT; op++) {
		assert_non_null(lt_op_table[op].name);
		assert_memory_equal(lt_op_table[op].entry_program, "enter_", 6);
		assert_in_range(lt_op_table[op].arguments, 1, 6);
	}
	assert_null(lt_op_table[LT_OP_FREE].return_program);
	assert_true(lt_op_table[LT_OP_FREE].null_is_noop);
	assert_string_equal(lt_op_table[LT_OP_MALLOC].return_program, "exit_acquire");
	assert_false(lt_op_table[LT_OP_REALLOC].null_is_noop); /* realloc(NULL, n) is malloc(n) */
}

static const struct lt_family_function *row(const struct lt_family *family, const char *symbol)
{
	const struct lt_family_function *found = NULL;

	for (size_t i = 0; i < family->function_count; i++) {
		if (strcmp(family->functions[i].symbol, symbol))
			continue;
		assert_null(found); /* listed once */
		found = &family->functions[i];
	}
	return found;
}

static void test_families(void **state)
{
	assert_true(lt_family_count >= 1);
	for (size_t f = 0; f < lt_family_count; f++) {
		const struct lt_family *family = &lt_families[f];
		size_t signature = 0;

		while (family->signature[signature])
			signature++;
		assert_in_range(signature, 1, 32);
		for (size_t i = 0; i < family->function_count; i++) {
			assert_ptr_equal(row(family, family->functions[i].symbol),
					 &family->functions[i]);
			assert_in_range(family->functions[i].op, 0, LT_OP_COUNT - 1);
		}
	}
	assert_string_equal(lt_families[0].name, "glibc");
	assert_int_equal(row(&lt_families[0], "aligned_alloc")->op, LT_OP_MEMALIGN);
	assert_int_equal(row(&lt_families[0], "free_sized")->op, LT_OP_FREE);
	assert_true(row(&lt_families[0], "cfree")->optional);
	assert_null(row(&lt_families[0], "malloc_usable_size")); /* frees nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operations),
		cmocka_unit_test(test_families),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
