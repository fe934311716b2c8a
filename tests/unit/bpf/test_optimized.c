/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/optimized.h"

void lt_nop_to_probe(void);

/* Whether the running kernel has the function at all; root alone is told of it. */
static bool kernel_has(const char *name)
{
	FILE *symbols = fopen("/proc/kallsyms", "r");
	char line[512], function[256];
	bool found = false;

	assert_non_null(symbols);
	while (!found && fgets(line, sizeof(line), symbols))
		found = sscanf(line, "%*s %*s %255s", function) == 1 && !strcmp(function, name);
	fclose(symbols);
	return found;
}

/* The trial leaves no trace, and comes to the same each time. */
static void test_trial(void **state)
{
	uint8_t before[6];
	bool optimized;

	memcpy(before, (void *)(uintptr_t)lt_nop_to_probe, sizeof(before));
	optimized = lt_uprobes_optimize_nops();
	assert_memory_equal((void *)(uintptr_t)lt_nop_to_probe, before, sizeof(before));
	assert_int_equal(lt_uprobes_optimize_nops(), optimized);
	assert_memory_equal((void *)(uintptr_t)lt_nop_to_probe, before, sizeof(before));
	if (optimized)
		assert_true(kernel_has("arch_uprobe_optimize"));
	lt_nop_to_probe();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trial),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
