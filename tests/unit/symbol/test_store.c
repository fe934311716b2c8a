// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "symbol/store.h"

static struct lt_symbol_store *new_store(void)
{
	struct lt_symbol_store *store = NULL;

	assert_int_equal(lt_symbol_store_new(&store), 0);
	return store;
}

static int add(struct lt_symbol_store *store, uint64_t start, uint64_t end, uint64_t offset,
	       const char *path, uint8_t build_id)
{
	struct lt_event_module module = { .start = start,
					  .end = end,
					  .file_offset = offset,
					  .path = path,
					  .build_id = &build_id,
					  .build_id_len = build_id ? 1 : 0 };

	return lt_symbol_store_add_module(store, &module);
}

static void expect(struct lt_symbol_store *store, uint64_t address, const char *path,
		   uint64_t file_offset)
{
	const struct lt_module *module = lt_symbol_store_module(store, address);

	assert_non_null(module);
	assert_string_equal(module->path, path);
	assert_int_equal(address - module->start + module->file_offset, file_offset);
}

static void later_modules_take_addresses(void **state)
{
	struct lt_symbol_store *store = new_store();

	assert_int_equal(add(store, 0x5000, 0x6000, 0, "/c", 3), 0);
	assert_int_equal(add(store, 0x1000, 0x4000, 0x100, "/a", 1), 0);
	assert_int_equal(add(store, 0x2000, 0x3000, 0, "/b", 2), 0); /* splits a */
	expect(store, 0x1fff, "/a", 0x10ff);
	expect(store, 0x2000, "/b", 0);
	expect(store, 0x3000, "/a", 0x2100);
	assert_null(lt_symbol_store_module(store, 0xfff));
	assert_null(lt_symbol_store_module(store, 0x4000));
	assert_int_equal(add(store, 0x1800, 0x5800, 0, "/d", 4), 0); /* over all of them */
	expect(store, 0x17ff, "/a", 0x8ff);
	expect(store, 0x3800, "/d", 0x2000);
	expect(store, 0x57ff, "/d", 0x3fff);
	expect(store, 0x5800, "/c", 0x800);
	lt_symbol_store_free(store);
}

/* Against the plainest possible implementation: the latest module at every address. */
static void random_overlaps(void **state)
{
	struct lt_symbol_store *store = new_store();
	int owner[256] = { 0 };
	uint32_t random = 1;

	for (int i = 1; i < 2000; i++) {
		uint64_t start, end;
		char path[16];

		random = random * 1103515245U + 12345U;
		start = random >> 16 & 0xff;
		random = random * 1103515245U + 12345U;
		end = start + 1 + (random >> 16) % 40;
		end = end > 256 ? 256 : end;
		snprintf(path, sizeof(path), "%d", i);
		assert_int_equal(add(store, start, end, start * 10, path, 0), 0);
		for (uint64_t at = start; at < end; at++)
			owner[at] = i;
		for (uint64_t at = 0; at < 256; at++) {
			const struct lt_module *module = lt_symbol_store_module(store, at);

			assert_int_equal(module ? atoi(module->path) : 0, owner[at]);
		}
	}
	lt_symbol_store_free(store);
}

static void modules_are_bounded(void **state)
{
	struct lt_symbol_store *store = new_store();

	assert_int_equal(add(store, 8, 8, 0, "/a", 0), -EINVAL);
	for (uint64_t i = 0; i < LT_MAX_MODULES; i++)
		assert_int_equal(add(store, i * 16, i * 16 + 16, 0, "/a", 0), 0);
	assert_int_equal(add(store, 0, 16, 0, "/a", 0), 0); /* known: no new one */
	assert_int_equal(add(store, 0, 16, 0, "/b", 0), -E2BIG);
	expect(store, 0, "/a", 0);
	lt_symbol_store_free(store);
}

static void symbols_are_copied_and_replaced(void **state)
{
	struct lt_symbol_store *store = new_store();
	char function[] = "first";
	struct lt_source_frame given[2] = { { function, "a.c", 1, true },
					    { "outer", "", 0, false } };
	struct lt_event_symbol symbol = { .pc = 0x42, .frames = given, .frame_count = 2 };
	const struct lt_source_frame *frames;
	uint32_t count;

	assert_int_equal(lt_symbol_store_symbol(store, 0x42, &frames, &count), -ENOENT);
	assert_int_equal(lt_symbol_store_add_symbol(store, &symbol), 0);
	memset(function, 'x', 5);
	assert_int_equal(lt_symbol_store_symbol(store, 0x42, &frames, &count), 0);
	assert_int_equal(count, 2);
	assert_string_equal(frames[0].function, "first");
	assert_true(frames[0].inlined);
	assert_string_equal(frames[1].function, "outer");
	symbol.frame_count = 0;
	assert_int_equal(lt_symbol_store_add_symbol(store, &symbol), 0);
	assert_int_equal(lt_symbol_store_symbol(store, 0x42, &frames, &count), 0);
	assert_int_equal(count, 0);
	lt_symbol_store_free(store);
}

static void symbols_are_bounded(void **state)
{
	struct lt_symbol_store *store = new_store();
	static char name[LT_MAX_NAME + 100];
	struct lt_source_frame given[LT_MAX_INLINE_DEPTH + 1];
	struct lt_event_symbol symbol = { .pc = 1,
					  .frames = given,
					  .frame_count = LT_MAX_INLINE_DEPTH + 1 };
	const struct lt_source_frame *frames;
	uint32_t count;

	memset(name, 'n', sizeof(name) - 1);
	for (size_t i = 0; i <= LT_MAX_INLINE_DEPTH; i++)
		given[i] = (struct lt_source_frame){ name, "", 0, false };
	assert_int_equal(lt_symbol_store_add_symbol(store, &symbol), 0);
	assert_int_equal(lt_symbol_store_symbol(store, 1, &frames, &count), 0);
	assert_int_equal(count, LT_MAX_INLINE_DEPTH);
	assert_int_equal(strlen(frames[0].function), LT_MAX_NAME);
	lt_symbol_store_free(store);
}

static int lookup(struct lt_symbol_store *store, uint64_t pc)
{
	const struct lt_source_frame *frames;
	uint32_t count;

	return lt_symbol_store_symbol(store, pc, &frames, &count);
}

/* dlclose, then dlopen of another library at the same address. */
static void a_new_module_drops_old_symbols(void **state)
{
	struct lt_symbol_store *store = new_store();
	struct lt_source_frame frame = { "old_function", "old.c", 1, false };
	struct lt_event_symbol symbol = { .frames = &frame, .frame_count = 1 };
	const uint64_t pcs[] = { 0x1fff, 0x2000, 0x2fff, 0x3000 };

	assert_int_equal(add(store, 0x1000, 0x4000, 0, "/old.so", 1), 0);
	for (size_t i = 0; i < 4; i++) {
		symbol.pc = pcs[i];
		assert_int_equal(lt_symbol_store_add_symbol(store, &symbol), 0);
	}
	assert_int_equal(add(store, 0x1000, 0x4000, 0, "/old.so", 1), 0); /* told again */
	assert_int_equal(lookup(store, 0x2000), 0);
	assert_int_equal(add(store, 0x2000, 0x3000, 0, "/new.so", 2), 0);
	assert_int_equal(lookup(store, 0x1fff), 0);
	assert_int_equal(lookup(store, 0x2000), -ENOENT);
	assert_int_equal(lookup(store, 0x2fff), -ENOENT);
	assert_int_equal(lookup(store, 0x3000), 0);
	lt_symbol_store_free(store);
}

/* Anonymous memory hides what was there, but gives no module; stacks in it stay apart. */
static void anonymous_code_is_no_module(void **state)
{
	struct lt_symbol_store *store = new_store();
	uint64_t first[] = { 0x1010 }, second[] = { 0x5010 }, third[] = { 0x9010 };

	assert_int_equal(add(store, 0x1000, 0x2000, 0, "/lib/a.so", 1), 0);
	assert_int_equal(add(store, 0x1000, 0x2000, 0, "", 0), 0);
	assert_int_equal(add(store, 0x5000, 0x6000, 0, "", 0), 0);
	assert_int_equal(add(store, 0x9000, 0xa000, 0, "[anon:v8]", 0), 0);
	assert_int_equal(add(store, 0xd000, 0xe000, 0, "[vdso]", 0), 0);
	assert_null(lt_symbol_store_module(store, 0x1010));
	assert_null(lt_symbol_store_module(store, 0x5010));
	assert_null(lt_symbol_store_module(store, 0x9010));
	expect(store, 0xd010, "[vdso]", 0x10);
	assert_true(lt_symbol_store_stable_id(store, first, 1) !=
		    lt_symbol_store_stable_id(store, second, 1));
	assert_true(lt_symbol_store_stable_id(store, second, 1) !=
		    lt_symbol_store_stable_id(store, third, 1));
	lt_symbol_store_free(store);
}

static void stable_ids_survive_a_restart(void **state)
{
	struct lt_symbol_store *first = new_store(), *second = new_store(), *other = new_store();
	uint64_t here[] = { 0x1010, 0x5020 }, there[] = { 0x71010, 0x95020 };

	assert_int_equal(add(first, 0x1000, 0x2000, 0x400, "/lib/a.so", 7), 0);
	assert_int_equal(add(first, 0x5000, 0x6000, 0, "/opt/v1/server", 0), 0);
	assert_int_equal(add(second, 0x71000, 0x72000, 0x400, "/usr/lib/a.so", 7), 0);
	assert_int_equal(add(second, 0x95000, 0x96000, 0, "/opt/v2/server", 0), 0);
	assert_int_equal(add(other, 0x1000, 0x2000, 0x400, "/lib/a.so", 8), 0);
	assert_int_equal(add(other, 0x5000, 0x6000, 0, "/opt/v1/server", 0), 0);
	assert_true(lt_symbol_store_stable_id(first, here, 2) ==
		    lt_symbol_store_stable_id(second, there, 2));
	assert_true(lt_symbol_store_stable_id(first, here, 2) !=
		    lt_symbol_store_stable_id(other, here, 2));
	assert_true(lt_symbol_store_stable_id(first, here, 2) !=
		    lt_symbol_store_stable_id(first, here, 1));
	lt_symbol_store_free(first);
	lt_symbol_store_free(second);
	lt_symbol_store_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(later_modules_take_addresses),
		cmocka_unit_test(random_overlaps),
		cmocka_unit_test(modules_are_bounded),
		cmocka_unit_test(symbols_are_copied_and_replaced),
		cmocka_unit_test(symbols_are_bounded),
		cmocka_unit_test(a_new_module_drops_old_symbols),
		cmocka_unit_test(anonymous_code_is_no_module),
		cmocka_unit_test(stable_ids_survive_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
