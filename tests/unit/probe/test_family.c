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
		if (op == LT_OP_RETURN || op == LT_OP_THROW)
			continue;
		assert_int_equal(lt_op_throws((enum lt_alloc_op)op),
				 !strncmp(lt_op_table[op].name, "NEW", 3) ||
					 !strncmp(lt_op_table[op].name, "HEAP_NEW", 8));
		/* Releases and what may throw have no return probe, all else has one. */
		assert_int_equal(!lt_op_table[op].return_program,
				 lt_op_throws((enum lt_alloc_op)op) ||
					 lt_op_releases((enum lt_alloc_op)op));
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

		for (const char *const *const *list = family->signatures; *list; list++)
			assert_non_null((*list)[0]);
		assert_non_null(family->signatures[0]);
		for (size_t i = 0; i < family->function_count; i++) {
			assert_ptr_equal(row(family, family->functions[i].symbol),
					 &family->functions[i]);
			assert_in_range(family->functions[i].op, 0, LT_OP_COUNT - 1);
			assert_int_not_equal(family->functions[i].op, LT_OP_RETURN);
			assert_int_not_equal(family->functions[i].op, LT_OP_FREE_LEADING);
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
}

static const struct lt_family *family_called(const char *name)
{
	for (size_t i = 0; i < lt_family_count; i++)
		if (!strcmp(lt_families[i].name, name))
			return &lt_families[i];
	fail_msg("no %s", name);
	return NULL;
}

/* The operators of C++, all of them, wherever an allocator has its own. */
static void test_operators(void **state)
{
	static const char *const deletes[] = {
		"_ZdlPv",
		"_ZdaPv",
		"_ZdlPvm",
		"_ZdaPvm",
		"_ZdlPvRKSt9nothrow_t",
		"_ZdaPvRKSt9nothrow_t",
		"_ZdlPvSt11align_val_t",
		"_ZdaPvSt11align_val_t",
		"_ZdlPvmSt11align_val_t",
		"_ZdaPvmSt11align_val_t",
		"_ZdlPvSt11align_val_tRKSt9nothrow_t",
		"_ZdaPvSt11align_val_tRKSt9nothrow_t",
	};
	static const char *const news[] = { "_Znwm", "_Znam", "_ZnwmSt11align_val_t",
					    "_ZnamSt11align_val_t" };
	static const char *const families[] = { "jemalloc", "tcmalloc", "mimalloc" };

	for (size_t f = 0; f < 3; f++) {
		const struct lt_family *family = family_called(families[f]);

		for (size_t i = 0; i < sizeof(deletes) / sizeof(deletes[0]); i++)
			assert_int_equal(row(family, deletes[i])->op, LT_OP_FREE);
		for (size_t i = 0; i < sizeof(news) / sizeof(news[0]); i++) {
			char nothrow[64] = "";

			strcat(strcat(nothrow, news[i]), "RKSt9nothrow_t");
			assert_int_equal(row(family, news[i])->op, LT_OP_NEW);
			assert_int_equal(row(family, nothrow)->op, LT_OP_MALLOC);
		}
	}
	assert_null(row(family_called("glibc"), "_Znwm"));
	assert_null(row(family_called("musl"), "_Znwm"));
}

static void test_prefixes(void **state)
{
	char name[LT_MAX_FUNCTION_NAME], longest[300];
	const char *const *prefixes = family_called("jemalloc")->prefixes;

	assert_string_equal(prefixes[0], "");
	assert_string_equal(prefixes[1], "je_");
	assert_string_equal(prefixes[2], "_rjem_");
	lt_family_symbol(name, "je_", "mallocx");
	assert_string_equal(name, "je_mallocx");
	lt_family_symbol(name, "je_", "_ZdlPvm"); /* an operator is called so in every build */
	assert_string_equal(name, "_ZdlPvm");
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	lt_family_symbol(name, longest, "malloc");
	assert_int_equal(strlen(name), sizeof(name) - 1);
}

static void test_names(void **state)
{
	struct lt_buf names = { 0 };

	lt_family_names(&names);
	assert_string_equal(names.data, "jemalloc, tcmalloc, mimalloc, musl and glibc");
	lt_buf_free(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operations), cmocka_unit_test(test_families),
		cmocka_unit_test(test_glibc),      cmocka_unit_test(test_jemalloc),
		cmocka_unit_test(test_operators),  cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
