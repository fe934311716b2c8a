/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/maps.h"
#include "symbol/functions.h"
#include "symbol/vdso.h"

static uint64_t own_bytes(void)
{
	struct lt_process process;
	struct lt_maps maps;
	uint64_t bytes = 0;

	assert_int_equal(lt_process_open(getpid(), &process), 0);
	assert_int_equal(lt_maps_read(&process, &maps), 0);
	for (size_t i = 0; i < maps.count; i++)
		if (!strcmp(maps.entries[i].path, "[vdso]"))
			bytes = maps.entries[i].end - maps.entries[i].start;
	lt_maps_free(&maps);
	lt_process_close(&process);
	assert_true(bytes > 0);
	return bytes;
}

static void test_names(void **state)
{
	Elf *elf = NULL;
	struct lt_functions *functions;
	size_t named = 0;

	assert_int_not_equal(elf_version(EV_CURRENT), EV_NONE);
	elf = lt_vdso_open(own_bytes());
	assert_non_null(elf);
	assert_int_equal(lt_functions_load(&functions, &elf, 1), 0);
	for (uint64_t address = 0; address < own_bytes(); address += 16) {
		const char *name = lt_functions_name(functions, address);

		named += name && strstr(name, "clock_gettime");
	}
	assert_true(named > 0);
	lt_functions_free(functions);
	elf_end(elf);
}

static void test_another_image(void **state)
{
	assert_null(lt_vdso_open(own_bytes() + 4096));
	assert_null(lt_vdso_open(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_another_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
