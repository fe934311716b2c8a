/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/optimized.h"

void lt_nop_to_probe(void);

/* It comes to the same each time, and leaves nothing behind: no probe of our own code, child or fd. */
static void test_trial(void **state)
{
	int before_fd = dup(STDIN_FILENO), after_fd;
	bool first = lt_uprobes_optimize_nops();
	uint8_t before[6];

	close(before_fd);
	memcpy(before, (void *)(uintptr_t)lt_nop_to_probe, sizeof(before));
	assert_int_equal(before[0], 0x0f);
	assert_int_equal(lt_uprobes_optimize_nops(), first);
	assert_memory_equal((void *)(uintptr_t)lt_nop_to_probe, before, sizeof(before));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	after_fd = dup(STDIN_FILENO);
	assert_int_equal(after_fd, before_fd);
	close(after_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trial),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
