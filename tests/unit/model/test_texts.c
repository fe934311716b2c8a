/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/texts.h"

static int setup(void **state)
{
	return lt_texts_new((struct lt_texts **)state);
}

static int teardown(void **state)
{
	lt_texts_free(*state);
	return 0;
}

static void test_shared(void **state)
{
	struct lt_texts *texts = *state;
	char again[] = "10.0.0.5:5432";
	const char *first = lt_texts_hold(texts, "10.0.0.5:5432");
	size_t memory = lt_texts_memory(texts);

	assert_string_equal(first, again);
	assert_ptr_not_equal(first, again);
	for (int i = 0; i < 1000; i++)
		assert_ptr_equal(lt_texts_hold(texts, again), first);
	assert_int_equal(lt_texts_memory(texts), memory);
	assert_ptr_not_equal(lt_texts_hold(texts, "10.0.0.5:543"), first);
	for (int i = 0; i < 1000; i++)
		lt_texts_drop(texts, first);
	assert_string_equal(first, again); /* one holds it still */
	lt_texts_drop(texts, first);
	assert_true(lt_texts_memory(texts) <= memory);
	assert_string_equal(lt_texts_hold(texts, again), again);
}

static void test_empty(void **state)
{
	struct lt_texts *texts = *state;
	size_t memory = lt_texts_memory(texts);
	const char *empty = lt_texts_hold(texts, "");

	assert_string_equal(empty, "");
	lt_texts_drop(texts, empty);
	lt_texts_drop(texts, "");
	assert_int_equal(lt_texts_memory(texts), memory);
}

static void test_bounds(void **state)
{
	struct lt_texts *texts = *state;
	char name[LT_TEXT_MAX + 100];
	const char *held[1000];
	size_t memory;

	memset(name, 0xff, sizeof(name)); /* no text at all */
	name[sizeof(name) - 1] = '\0';
	held[0] = lt_texts_hold(texts, name);
	assert_int_equal(strlen(held[0]), LT_TEXT_MAX);
	name[LT_TEXT_MAX] = '\0';
	assert_ptr_equal(lt_texts_hold(texts, name), held[0]);
	lt_texts_drop(texts, held[0]);
	lt_texts_drop(texts, held[0]);
	memory = lt_texts_memory(texts);
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 1000; i++) {
			snprintf(name, sizeof(name), "/tmp/%d.%d", round, i);
			held[i] = lt_texts_hold(texts, name);
			assert_string_equal(held[i], name);
		}
		assert_true(lt_texts_memory(texts) > memory + 1000 * sizeof("/tmp/0.0"));
		for (int i = 0; i < 1000; i++)
			lt_texts_drop(texts, held[i]);
	}
	assert_true(lt_texts_memory(texts) < memory + 64 * 1024); /* its table may have grown */
}

static void test_all_of_them(void **state)
{
	struct lt_texts *texts = *state;
	char name[LT_TEXT_MAX + 1];
	const char *held = "";
	unsigned int count = 0;

	memset(name, 'x', sizeof(name));
	name[LT_TEXT_MAX] = '\0';
	while (held && ++count < 1000000) {
		name[snprintf(name, sizeof(name), "%u", count)] = '/';
		held = lt_texts_hold(texts, name);
	}
	assert_true(count > 10000);
	assert_true(count < 20000);
	name[snprintf(name, sizeof(name), "1")] = '/';
	memset(name + 2, 'x', 10);
	held = lt_texts_hold(texts, name); /* is there already */
	assert_string_equal(held, name);
	lt_texts_drop(texts, held);
	lt_texts_drop(texts, held);
	name[snprintf(name, sizeof(name), "0")] = '/';
	assert_non_null(lt_texts_hold(texts, name));
	assert_null(lt_texts_hold(texts, "one more"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_of_them, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
