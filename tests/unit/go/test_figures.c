// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "go/figures.h"

/* The variables of a runtime, in this process. */
static uint8_t memstats[LT_MAX_GO_MEMSTATS], controller[LT_MAX_GO_CONTROLLER];

struct fixture {
	struct lt_process process;
	struct lt_go_figure_places places;
	struct lt_go_program program;
};

static int setup(void **state)
{
	static struct fixture fixture;
	const struct lt_go_memstats_layout *layout = lt_go_memstats_layout_of(24);
	const uint64_t in_use = 5 * 8192, pauses = 99;

	memcpy(controller + layout->heap_in_use, &in_use, sizeof(in_use));
	memcpy(memstats + layout->pause_total_ns, &pauses, sizeof(pauses));
	fixture.places = (struct lt_go_figure_places){ .layout = layout,
						       .memstats = (uintptr_t)memstats,
						       .controller = (uintptr_t)controller };
	fixture.program = (struct lt_go_program){ .process = &fixture.process,
						  .figures = &fixture.places };
	*state = &fixture;
	return lt_process_open(getpid(), &fixture.process);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	lt_process_close(&fixture->process);
	return 0;
}

static void reads_both_variables(void **state)
{
	struct fixture *fixture = *state;
	struct lt_event_runtime runtime = { .goroutines = 7, .heap_rate = 8 };

	assert_int_equal(lt_go_figures_read(&fixture->program, &runtime), 0);
	assert_int_equal(runtime.heap_inuse_bytes, 5 * 8192);
	assert_int_equal(runtime.gc_pause_total_ns, 99);
	assert_int_equal(runtime.last_gc_ns, 0);
	assert_int_equal(runtime.goroutines, 7);
	assert_int_equal(runtime.heap_rate, 8);
}

static void leaves_unknown_what_is_not_found(void **state)
{
	struct fixture *fixture = *state;
	struct lt_event_runtime runtime = {};

	fixture->places.memstats = 0;
	assert_int_equal(lt_go_figures_read(&fixture->program, &runtime), 0);
	assert_int_equal(runtime.gc_count, LT_UNKNOWN_FIGURE);
	assert_int_equal(runtime.last_gc_ns, LT_UNKNOWN_FIGURE);
	assert_int_equal(runtime.stacks_inuse_bytes, LT_UNKNOWN_FIGURE);
	assert_int_equal(runtime.heap_inuse_bytes, 5 * 8192);
	fixture->places.memstats = (uintptr_t)memstats;
	fixture->places.controller = 8; /* cannot be read */
	assert_int_equal(lt_go_figures_read(&fixture->program, &runtime), 0);
	assert_int_equal(runtime.gc_pause_total_ns, 99);
	assert_int_equal(runtime.heap_inuse_bytes, LT_UNKNOWN_FIGURE);
	assert_int_equal(runtime.heap_idle_bytes, LT_UNKNOWN_FIGURE);
	assert_int_equal(runtime.next_gc_bytes, LT_UNKNOWN_FIGURE);
	fixture->program.figures = NULL;
	assert_int_equal(lt_go_figures_read(&fixture->program, &runtime), 0);
	assert_int_equal(runtime.gc_pause_total_ns, LT_UNKNOWN_FIGURE);
}

static void says_that_the_process_is_gone(void **state)
{
	struct fixture *fixture = *state;
	struct lt_event_runtime runtime = { .gc_count = 3 };
	pid_t pid = fork();

	if (!pid)
		for (;;)
			pause();
	assert_true(pid > 0);
	lt_process_close(&fixture->process);
	assert_int_equal(lt_process_open(pid, &fixture->process), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(lt_go_figures_read(&fixture->program, &runtime), -ESRCH);
	assert_int_equal(runtime.gc_count, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_both_variables, setup, teardown),
		cmocka_unit_test_setup_teardown(leaves_unknown_what_is_not_found, setup, teardown),
		cmocka_unit_test_setup_teardown(says_that_the_process_is_gone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
