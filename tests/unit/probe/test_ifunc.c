// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Allocators that the user names, among them one whose malloc is an IFUNC: both in this program.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/plan.h"

#define POOL __attribute__((noinline, used))

static char pool[64];

POOL static void *pool_fast(size_t size)
{
	return size < sizeof(pool) ? pool : NULL;
}

POOL static void *pool_slow(size_t size)
{
	return NULL;
}

/* An address that is not known to the linker: the process alone knows which it is. */
static void *(*choose(void))(size_t)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("sse2") ? pool_fast : pool_slow;
}

/* A sanitizer is not ready when the linker asks. */
#ifndef __SANITIZE_ADDRESS__
void *pool_malloc(size_t size) __attribute__((ifunc("choose")));
#else
POOL void *pool_malloc(size_t size);
void *pool_malloc(size_t size)
{
	return choose()(size);
}
#endif
void pool_free(void *block);
void unused_free(void *block);
void *unused_malloc(size_t size) __attribute__((ifunc("choose_unused")));

POOL void pool_free(void *block)
{
	__asm__ volatile("" ::"r"(block));
}

POOL void unused_free(void *block)
{
	__asm__ volatile("" : : "r"(block), "r"(1));
}

/* Nobody calls it, so no slot holds what it stands for. */
__attribute__((used)) static void *(*choose_unused(void))(size_t)
{
	return pool_slow;
}

struct fixture {
	struct lt_process process;
	struct lt_maps maps;
};

static int setup(void **state)
{
	static struct fixture fixture;

	*state = &fixture;
	return lt_process_open(getpid(), &fixture.process) ||
	       lt_maps_read(&fixture.process, &fixture.maps);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	lt_maps_free(&fixture->maps);
	lt_process_close(&fixture->process);
	return 0;
}

static const struct lt_plan_probe *probe_called(const struct lt_plan *plan, const char *symbol)
{
	for (size_t i = 0; i < plan->probe_count; i++)
		if (!strcmp(plan->probes[i].symbol, symbol))
			return &plan->probes[i];
	return NULL;
}

static const struct lt_plan_skip *skip_called(const struct lt_plan *plan, const char *what)
{
	for (size_t i = 0; i < plan->skip_count; i++)
		if (!strcmp(plan->skips[i].what, what))
			return &plan->skips[i];
	return NULL;
}

static uint64_t address_of(const struct lt_plan *plan, const struct lt_plan_probe *probe)
{
	return plan->files[probe->file].base + probe->entry_offset;
}

static void test_ifunc(void **state)
{
	const struct lt_plan_options options = { { "test_ifunc:pool_", "test_ifunc:unused_" }, 2 };
	const struct fixture *fixture = *state;
	const struct lt_plan_probe *probe;
	struct lt_plan plan;

	assert_ptr_equal(pool_malloc(1), pool);
	assert_int_equal(lt_plan_make(&fixture->process, &fixture->maps, &options, &plan), 0);
	assert_int_equal(plan.file_count, 3);
	assert_string_equal(plan.files[0].family->name,
			    "glibc"); /* what the user names comes last */
	probe = probe_called(&plan, "pool_free");
	assert_non_null(probe);
	assert_string_equal(plan.files[probe->file].prefix, "pool_");
	assert_ptr_equal(plan.files[probe->file].family, &lt_family_named);
	assert_int_equal(address_of(&plan, probe), (uintptr_t)pool_free);
	probe = probe_called(&plan, "pool_malloc");
	assert_non_null(probe);
#ifndef __SANITIZE_ADDRESS__
	assert_int_equal(address_of(&plan, probe), (uintptr_t)pool_fast);
#endif
	assert_non_null(probe_called(&plan, "unused_free"));
	assert_null(probe_called(&plan, "unused_malloc"));
	assert_non_null(strstr(skip_called(&plan, "unused_malloc")->why, "IFUNC"));
	assert_null(skip_called(&plan, "test_ifunc:pool_"));
	lt_plan_free(&plan);
}

/* FILE is a base name, a path, or a pattern; what matches nothing is told, until it does. */
static void test_files(void **state)
{
	const struct lt_plan_options options = {
		{ "libc.so.6:zzz_", "nothing*:pool_", "*/test_if?nc:pool_", "test_ifunc:free" }, 4
	};
	const struct fixture *fixture = *state;
	struct lt_plan plan, known = { 0 }, more;
	struct lt_maps none = { 0 };

	assert_int_equal(lt_plan_make(&fixture->process, &fixture->maps, &options, &plan), 0);
	for (size_t i = 0; i < 4; i++) {
		const struct lt_plan_skip *skip = skip_called(&plan, options.allocators[i]);

		assert_int_equal(!skip, i == 2);
		assert_true(!skip || (skip->unmatched && skip->number == i));
	}
	assert_int_equal(plan.matched, 1 << 2);
	assert_non_null(probe_called(&plan, "pool_free"));
	lt_plan_free(&plan);

	assert_int_equal(lt_plan_more(&fixture->process, &none, &options, &known, &more), -ENOENT);
	assert_int_equal(more.skip_count, 4);
	assert_int_equal(lt_plan_append(&known, &more), 0);
	assert_int_equal(lt_plan_more(&fixture->process, &fixture->maps, &options, &known, &more),
			 0);
	assert_int_equal(lt_plan_append(&known, &more), 0);
	assert_null(skip_called(&known, options.allocators[2]));
	assert_non_null(skip_called(&known, options.allocators[1]));
	lt_plan_free(&known);
}

/* A family that is known needs no naming; it does no harm either. */
static void test_named_twice(void **state)
{
	const struct lt_plan_options options = { { "libc.so.6:" }, 1 };
	const struct fixture *fixture = *state;
	struct lt_plan plain, named;

	assert_int_equal(lt_plan_make(&fixture->process, &fixture->maps, NULL, &plain), 0);
	assert_int_equal(lt_plan_make(&fixture->process, &fixture->maps, &options, &named), 0);
	assert_int_equal(named.file_count, plain.file_count + 1);
	assert_int_equal(named.probe_count, plain.probe_count);
	lt_plan_free(&plain);
	lt_plan_free(&named);
}

static void test_valid(void **state)
{
	char prefix[80] = "a:";

	assert_true(lt_plan_allocator_valid("a:"));
	assert_true(lt_plan_allocator_valid("/a:b/c*:d_"));
	assert_false(lt_plan_allocator_valid(""));
	assert_false(lt_plan_allocator_valid("a"));
	assert_false(lt_plan_allocator_valid(":a"));
	assert_false(lt_plan_allocator_valid("a:b c"));
	assert_false(lt_plan_allocator_valid("a:b/c"));
	memset(prefix + 2, 'x', 63);
	assert_true(lt_plan_allocator_valid(prefix));
	prefix[65] = 'x';
	assert_false(lt_plan_allocator_valid(prefix));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ifunc),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_named_twice),
		cmocka_unit_test(test_valid),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
