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
		if (op == LT_OP_RETURN)
			continue;
		assert_memory_equal(lt_op_table[op].entry_program, "enter_", 6);
		assert_in_range(lt_op_table[op].arguments, 1, 6);
	}
	assert_null(lt_op_table[LT_OP_FREE].return_program);
	assert_true(lt_op_table[LT_OP_FREE].null_is_noop);
	assert_string_equal(lt_op_table[LT_OP_MALLOC].return_program, "exit_acquire");
	/* No return probe where exceptions pass. */
	assert_null(lt_op_table[LT_OP_NEW].return_program);
	assert_string_equal(lt_op_table[LT_OP_RETURN].entry_program, "leave_acquire");
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
			assert_int_not_equal(family->functions[i].op, LT_OP_RETURN);
		}
		assert_null(row(family, "malloc_usable_size")); /* frees nothing */
	}
}

static void test_glibc(void **state)
{
	const struct lt_family *glibc = &lt_families[lt_family_count - 1]; /* libc comes last */

	assert_string_equal(glibc->name, "glibc");
	assert_int_equal(row(glibc, "aligned_alloc")->op, LT_OP_MEMALIGN);
	assert_int_equal(row(glibc, "free_sized")->op, LT_OP_FREE);
	assert_true(row(glibc, "cfree")->optional);
}

static void test_jemalloc(void **state)
{
	const struct lt_family *jemalloc = &lt_families[0];

	assert_string_equal(jemalloc->name, "jemalloc");
	assert_int_equal(row(jemalloc, "_Znwm")->op, LT_OP_NEW);
	assert_int_equal(row(jemalloc, "_ZnwmRKSt9nothrow_t")->op, LT_OP_MALLOC);
	assert_int_equal(row(jemalloc, "_ZdlPvm")->op, LT_OP_FREE);
	assert_int_equal(row(jemalloc, "sdallocx")->op, LT_OP_FREE);
	assert_int_equal(row(jemalloc, "rallocx")->op, LT_OP_REALLOC);
	assert_null(row(jemalloc, "sallocx")); /* these two only ask */
	assert_null(row(jemalloc, "nallocx"));
	assert_null(row(jemalloc, "_ZdlPv")); /* calls free, which would see the block twice */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operations),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_glibc),
		cmocka_unit_test(test_jemalloc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
