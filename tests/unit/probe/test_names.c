// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "probe/names.h"

static const struct lt_family *family_called(const char *name)
{
	for (size_t i = 0; i < lt_family_count; i++)
		if (!strcmp(lt_families[i].name, name))
			return &lt_families[i];
	fail_msg("no %s", name);
	return NULL;
}

/* As a linker makes it: of a static program, of a part of a library. */
static bool matches(const char *family, const char *prefix, const char *const *defined)
{
	struct lt_symbol list[32];
	struct lt_symbols symbols = { .list = list };

	for (; defined[symbols.count]; symbols.count++)
		list[symbols.count] = (struct lt_symbol){ .name = defined[symbols.count] };
	return lt_symbols_match(&symbols, family_called(family), prefix);
}

#define SORTED(...)                                                                                \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

static void test_signatures(void **state)
{
	/* Files that are no libraries, by what they are known to define. */
	assert_true(
		matches("glibc", "",
			SORTED("_int_free", "_int_malloc", "calloc", "free", "malloc", "realloc")));
	assert_true(matches("musl", "", SORTED("__libc_malloc_impl", "free", "malloc")));
	assert_true(matches("jemalloc", "je_", SORTED("je_mallocx", "je_rallocx", "je_sdallocx")));
	assert_true(matches("jemalloc", "_rjem_",
			    SORTED("_rjem_mallocx", "_rjem_rallocx", "_rjem_sdallocx")));
	assert_true(matches("tcmalloc", "", SORTED("tc_free", "tc_malloc")));
	assert_true(matches("mimalloc", "", SORTED("mi_free", "mi_malloc_aligned")));
	/* Any malloc will not do. */
	assert_false(matches("glibc", "", SORTED("calloc", "free", "malloc", "realloc")));
	assert_false(matches("musl", "", SORTED("calloc", "free", "malloc", "realloc")));
	assert_false(matches("jemalloc", "", SORTED("calloc", "free", "malloc", "realloc")));
	assert_false(matches("jemalloc", "je_", SORTED("mallocx", "rallocx", "sdallocx")));
	assert_false(matches("tcmalloc", "", SORTED("free", "malloc", "tc_malloc")));
	assert_false(matches("mimalloc", "", SORTED("mi_free")));
}

void twice_name_for_test(void);
__attribute__((used)) static void local_name_for_test(void)
{
}

__attribute__((used)) void twice_name_for_test(void)
{
}

static const struct lt_family_function functions[] = {
	{ "twice_name_for_test", LT_OP_FREE, false },
	{ "local_name_for_test", LT_OP_MALLOC, false },
	{ "getpid", LT_OP_MALLOC, false }, /* called, not defined */
};
static const struct lt_family family = { .functions = functions, .function_count = 3 };

static void test_symbols(void **state)
{
	_lt_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct lt_names names = { 0 };
	struct lt_symbols symbols;
	struct lt_image *image;
	size_t count = 9;

	assert_true(getpid() > 0);
	assert_int_equal(lt_image_open(&image, fd), 0);
	assert_int_equal(lt_names_add(&names, &family, ""), 0);
	assert_int_equal(lt_names_add(&names, &family, "x_"), 0);
	lt_names_sort(&names);
	assert_int_equal(names.count, 6);
	assert_int_equal(lt_symbols_find(image, &names, &symbols), 0);
	assert_int_equal(symbols.count, 2);
	assert_false(symbols.cut);
	assert_false(lt_symbols_named(&symbols, "twice_name_for_test", &count)->local);
	assert_int_equal(count, 1);
	assert_true(lt_symbols_named(&symbols, "local_name_for_test", &count)->local);
	assert_null(lt_symbols_named(&symbols, "getpid", &count));
	assert_int_equal(count, 0);
	assert_null(lt_symbols_named(&symbols, "x_getpid", &count));
	lt_symbols_free(&symbols);
	lt_names_free(&names);
	lt_image_close(image);
}

/* What others can call goes before what is local: it is another function. */
static void test_local_is_hidden(void **state)
{
	struct lt_symbol list[] = { { .name = "a", .address = 1 },
				    { .name = "free", .address = 5 },
				    { .name = "free", .address = 9 },
				    { .name = "free", .address = 2, .local = true },
				    { .name = "malloc", .address = 3, .local = true } };
	const struct lt_symbols symbols = { .list = list, .count = 5 };
	size_t count;

	assert_ptr_equal(lt_symbols_named(&symbols, "free", &count), &list[1]);
	assert_int_equal(count, 2);
	assert_ptr_equal(lt_symbols_named(&symbols, "malloc", &count), &list[4]);
	assert_int_equal(count, 1);
	assert_null(lt_symbols_named(&symbols, "zero", &count));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_symbols),
		cmocka_unit_test(test_local_is_hidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
