/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "model/live_set.h"

#define BYTES_PER_ENTRY 64

static struct lt_live_entry make(uint8_t kind, uint64_t id, uint64_t size)
{
	return (struct lt_live_entry){
		.id = id, .size = size, .site = (uint32_t)(id % 7), .birth_s = 3, .kind = kind
	};
}

static void test_insert_remove(void **state)
{
	struct lt_live_entry entry = make(1, 0, UINT64_MAX), old, out = { .site = 99 };
	struct lt_live_set *set;

	assert_int_equal(lt_live_set_new(&set), 0);
	assert_int_equal(lt_live_set_remove(set, 1, 0, &out), -ENOENT);
	assert_int_equal(out.site, 99); /* outputs untouched on failure */
	assert_int_equal(lt_live_set_insert(set, &entry, &old), 0);
	entry = make(2, 0, 5); /* same id, other kind: another resource */
	assert_int_equal(lt_live_set_insert(set, &entry, &old), 0);
	entry.size = 6;
	assert_int_equal(lt_live_set_insert(set, &entry, &old), 1);
	assert_int_equal(old.size, 5);
	assert_int_equal(lt_live_set_count(set), 2);
	assert_int_equal(lt_live_set_remove(set, 1, 0, &out), 0);
	assert_true(out.size == (UINT64_C(1) << 56) - 1);
	assert_int_equal(out.kind, 1);
	assert_int_equal(out.birth_s, 3);
	assert_int_equal(lt_live_set_remove(set, 2, 0, &out), 0);
	assert_int_equal(out.size, 6);
	assert_int_equal(lt_live_set_count(set), 0);
	lt_live_set_free(set);
}

static void sum_visited(void *context, const struct lt_live_entry *entry)
{
	uint64_t *sum = context;

	*sum += entry->size;
}

/* Against a plain array, over ids that fill, empty and refill the set. */
static void test_reference(void **state)
{
	enum { IDS = 60000, STEPS = 1500000 };
	uint64_t *sizes = calloc(IDS, sizeof(*sizes)), random = 1, expected = 0, sum = 0;
	struct lt_live_set *set;
	size_t count = 0;

	assert_non_null(sizes);
	assert_int_equal(lt_live_set_new(&set), 0);
	for (uint64_t step = 1; step <= STEPS; step++) {
		random = lt_mix64(random + step);
		uint64_t index = random % IDS, id = 0x7f0000000000 + index * 16;
		/* Phases of mostly inserts and mostly removals: growth and shrinking. */
		bool insert = (random >> 32) % 10 < (step / 300000 % 2 ? 1 : 9);
		struct lt_live_entry entry = make(1, id, step), old;

		if (insert) {
			assert_int_equal(lt_live_set_insert(set, &entry, &old), sizes[index] != 0);
			if (sizes[index])
				assert_int_equal(old.size, sizes[index]);
			count += !sizes[index];
			expected += step - sizes[index];
			sizes[index] = step;
		} else if (lt_live_set_remove(set, 1, id, &old) == 0) {
			assert_int_equal(old.size, sizes[index]);
			assert_int_equal(old.site, id % 7);
			expected -= sizes[index];
			sizes[index] = 0;
			count--;
		} else {
			assert_int_equal(sizes[index], 0);
		}
		assert_int_equal(lt_live_set_count(set), count);
	}
	lt_live_set_each(set, sum_visited, &sum);
	assert_int_equal(sum, expected);
	lt_live_set_clear(set);
	assert_int_equal(lt_live_set_count(set), 0);
	sum = 0;
	lt_live_set_each(set, sum_visited, &sum);
	assert_int_equal(sum, 0);
	lt_live_set_free(set);
	free(sizes);
}

/* The bound holds at every fill while growing, from where the fixed part has become small. */
static void test_memory(void **state)
{
	enum { ENTRIES = 10000000, FROM = 100000 };
	struct lt_live_set *set;
	struct lt_live_entry old;
	size_t empty;

	assert_int_equal(lt_live_set_new(&set), 0);
	empty = lt_live_set_memory(set);
	assert_true(empty > 0);
	for (uint64_t i = 1; i <= ENTRIES; i++) {
		struct lt_live_entry entry = make(1, 0x555500000000 + i * 48, 48);

		assert_int_equal(lt_live_set_insert(set, &entry, &old), 0);
		if (i >= FROM && i % 50000 == 0)
			assert_true(lt_live_set_memory(set) <= BYTES_PER_ENTRY * i);
	}
	print_message("%zu bytes per entry at %d\n", lt_live_set_memory(set) / ENTRIES, ENTRIES);
	for (uint64_t i = 1; i <= ENTRIES; i++)
		assert_int_equal(lt_live_set_remove(set, 1, 0x555500000000 + i * 48, &old), 0);
	assert_true(lt_live_set_memory(set) < 4 << 20); /* gave the memory back */
	lt_live_set_clear(set);
	assert_int_equal(lt_live_set_memory(set), empty);
	lt_live_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_insert_remove),
		cmocka_unit_test(test_reference),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
