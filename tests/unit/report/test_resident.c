// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/kind.h"
#include "report/resident.h"

static double share(const struct lt_event_process *process, uint8_t kind, uint64_t live_size)
{
	size_t i = 0;

	while (lt_kind_infos[i].value != kind)
		i++;
	return lt_resident_share(process, i, live_size);
}

static void blocks_are_memory_and_handles_are_none(void **state)
{
	assert_true(share(NULL, LT_KIND_HEAP, 0) == 1);
	assert_true(share(NULL, LT_KIND_SOCKET, 10) == 0);
	assert_true(share(NULL, LT_KIND_FD, 10) == 0);
	assert_true(share(NULL, LT_KIND_THREAD, 10) == 0);
}

static void of_mappings_their_pages(void **state)
{
	struct lt_event_process process = { .resident_count = LT_RESIDENT_COUNT };

	process.resident[LT_RESIDENT_MAPPED_PLAIN] = 750;
	process.resident[LT_RESIDENT_MAPPED_STACK] = 10;
	assert_true(share(&process, LT_KIND_MMAP, 1000) == 0.75);
	assert_true(share(&process, LT_KIND_MMAP, 500) == 1); /* another moment's */
	assert_true(share(&process, LT_KIND_STACK, 1000) == 0.01);
	process.resident[LT_RESIDENT_MAPPED_STACK] = 0;
	assert_true(share(&process, LT_KIND_STACK, 1000) == 0);
}

/* Rather than a wrong answer. */
static void unknown(void **state)
{
	struct lt_event_process process = { .resident_count = LT_RESIDENT_MAPPED };

	assert_true(isnan(share(NULL, LT_KIND_MMAP, 1000)));
	assert_true(isnan(share(&process, LT_KIND_MMAP, 1000)));
	assert_true(isnan(share(&process, LT_KIND_STACK, 1000)));
	process.resident_count = LT_RESIDENT_COUNT;
	assert_true(isnan(share(&process, LT_KIND_MMAP, 0)));
}

/* Every kind in bytes that is not memory by itself has a place where its pages are. */
static void no_kind_is_forgotten(void **state)
{
	for (size_t i = 0; i < LT_KINDS; i++)
		assert_int_equal(lt_resident_share(NULL, i, 1) == 0, !lt_kind_infos[i].unit[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_memory_and_handles_are_none),
		cmocka_unit_test(of_mappings_their_pages),
		cmocka_unit_test(unknown),
		cmocka_unit_test(no_kind_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
