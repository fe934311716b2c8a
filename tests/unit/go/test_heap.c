// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "go/heap.h"

/* The variables of a runtime, in this process. */
static uint64_t rate, head;
static uint64_t bucket[] = { 0, 0, 1,   0,  48, 1, 0x401000, /* its stack */
			     5, 2, 240, 96,                  /* active */
			     0, 0, 0,   0,  0,  0, 0,        0, 0, 0, 0, 0 };

struct fixture {
	struct lt_process process;
	struct lt_go_heap_places places;
	struct lt_go_program program;
};

static int setup(void **state)
{
	static struct fixture fixture;

	rate = 524288;
	head = (uintptr_t)bucket;
	fixture.places = (struct lt_go_heap_places){ .rate = (uintptr_t)&rate,
						     .heads = { (uintptr_t)&head },
						     .head_count = 1 };
	fixture.program = (struct lt_go_program){ .process = &fixture.process,
						  .heap = &fixture.places };
	*state = &fixture;
	return lt_process_open(getpid(), &fixture.process);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	lt_process_close(&fixture->process);
	return 0;
}

static void says_whether_there_is_a_profile(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(lt_go_heap_find(&fixture->program), LT_GO_HEAP_OK);
	rate = 0;
	assert_int_equal(lt_go_heap_find(&fixture->program), LT_GO_HEAP_OFF);
	rate = UINT64_MAX; /* whatever that is */
	assert_int_equal(lt_go_heap_find(&fixture->program), LT_GO_HEAP_UNKNOWN);
	rate = 1;
	fixture->places.head_count = 0;
	assert_int_equal(lt_go_heap_find(&fixture->program), LT_GO_HEAP_UNKNOWN);
	fixture->places.head_count = 1;
	fixture->places.rate = 8; /* cannot be read */
	assert_int_equal(lt_go_heap_find(&fixture->program), LT_GO_HEAP_UNKNOWN);
	fixture->places.rate = 0;
	assert_int_equal(lt_go_heap_find(&fixture->program), LT_GO_HEAP_UNKNOWN);
}

static void reads_with_the_rate_of_the_moment(void **state)
{
	struct fixture *fixture = *state;
	struct lt_go_heap heap;

	rate = 1;
	assert_int_equal(lt_go_heap_read(&fixture->program, &heap), 0);
	assert_int_equal(heap.count, 1);
	assert_int_equal(heap.rate, 1);
	assert_int_equal(heap.buckets[0].sampled_allocs, 5);
	assert_int_equal((int)heap.buckets[0].alloc_bytes, 240);
	assert_int_equal((int)heap.buckets[0].free_bytes, 96);
	lt_go_heap_free(&heap);
	rate = 524288;
	assert_int_equal(lt_go_heap_read(&fixture->program, &heap), 0);
	assert_int_equal((int)heap.buckets[0].allocs, 5 * 10923);
	lt_go_heap_free(&heap);
}

static void says_that_nothing_is_there_yet(void **state)
{
	struct fixture *fixture = *state;
	struct lt_go_heap heap;

	head = 0;
	assert_int_equal(lt_go_heap_read(&fixture->program, &heap), -ENOENT);
	head = (uintptr_t)&rate;
	assert_int_equal(lt_go_heap_read(&fixture->program, &heap), -ENOENT);
	head = (uintptr_t)bucket;
	rate = UINT64_MAX; /* no such variable */
	assert_int_equal(lt_go_heap_read(&fixture->program, &heap), -ENOENT);
	rate = 524288;
	/* None of them proves to be the head: there is no code that its stacks could be of. */
	head = (uintptr_t)bucket;
	fixture->places.head_count = 2;
	fixture->places.heads[1] = (uintptr_t)&rate;
	assert_int_equal(lt_go_heap_read(&fixture->program, &heap), -ENOENT);
	assert_int_equal(fixture->places.head_count, 2);
	fixture->places.rate = 0;
	assert_int_equal(lt_go_heap_read(&fixture->program, &heap), -ENOENT);
	fixture->program.heap = NULL;
	assert_int_equal(lt_go_heap_read(&fixture->program, &heap), -ENOENT);
}

static void writes_the_rate_and_puts_it_back(void **state)
{
	struct fixture *fixture = *state;

	rate = 0;
	assert_int_equal(lt_go_heap_set_rate(&fixture->program, 0, 524288), 0);
	assert_int_equal(rate, 524288);
	assert_int_equal(lt_go_heap_set_rate(&fixture->program, 524288, 0), 0);
	assert_int_equal(rate, 0);
}

static void writes_nothing_where_it_is_not_sure(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(lt_go_heap_set_rate(&fixture->program, rate, UINT64_MAX), -EINVAL);
	assert_int_equal(rate, 524288);
	assert_int_equal(lt_go_heap_set_rate(&fixture->program, 0, 1), -EEXIST);
	assert_int_equal(rate, 524288);
	fixture->places.rate = (uintptr_t)&rate + 4;
	assert_int_equal(lt_go_heap_set_rate(&fixture->program, 524288, 1), -EINVAL);
	fixture->places.rate = 8;
	assert_int_equal(lt_go_heap_set_rate(&fixture->program, 524288, 1), -EFAULT);
	fixture->places.rate = 0;
	assert_int_equal(lt_go_heap_set_rate(&fixture->program, 524288, 1), -ENOENT);
	fixture->program.heap = NULL;
	assert_int_equal(lt_go_heap_set_rate(&fixture->program, 524288, 1), -ENOENT);
	assert_int_equal(rate, 524288);
}

static void says_that_the_process_is_gone(void **state)
{
	struct fixture *fixture = *state;
	struct lt_go_heap heap;
	pid_t pid = fork();

	if (!pid)
		for (;;)
			pause();
	assert_true(pid > 0);
	lt_process_close(&fixture->process);
	assert_int_equal(lt_process_open(pid, &fixture->process), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(lt_go_heap_read(&fixture->program, &heap), -ESRCH);
	assert_int_equal(lt_go_heap_set_rate(&fixture->program, 524288, 1), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(says_whether_there_is_a_profile, setup, teardown),
		cmocka_unit_test_setup_teardown(reads_with_the_rate_of_the_moment, setup, teardown),
		cmocka_unit_test_setup_teardown(says_that_nothing_is_there_yet, setup, teardown),
		cmocka_unit_test_setup_teardown(writes_the_rate_and_puts_it_back, setup, teardown),
		cmocka_unit_test_setup_teardown(writes_nothing_where_it_is_not_sure, setup,
						teardown),
		cmocka_unit_test_setup_teardown(says_that_the_process_is_gone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
