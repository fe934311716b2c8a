// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "proc/tasks.h"

#include "unit/proc/child.h"

#define TICK_NS 10000000 /* 100 a second: USER_HZ of all kernels for x86 */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static const char *const names[] = {
	"worker", "", "(", ")", ") R 1 2 3", "a) S\n1 (b", "\xff\xfe \x01\\", "fifteen letters",
};
#define NAMES (sizeof(names) / sizeof(names[0]))

struct thread {
	const char *name;
	uint32_t tid;
	pthread_barrier_t *barrier;
};

static void *run_thread(void *argument)
{
	struct thread *thread = argument;

	thread->tid = (uint32_t)syscall(SYS_gettid);
	pthread_setname_np(pthread_self(), thread->name);
	pthread_barrier_wait(thread->barrier);
	pthread_barrier_wait(thread->barrier);
	return NULL;
}

static void test_threads(void **state)
{
	struct thread threads[NAMES];
	pthread_barrier_t barrier;
	struct lt_process process;
	pthread_t ids[NAMES];
	uint64_t before = now_ns();

	assert_int_equal(lt_process_open(getpid(), &process), 0);
	pthread_barrier_init(&barrier, NULL, NAMES + 1);
	for (size_t i = 0; i < NAMES; i++) {
		threads[i] = (struct thread){ .name = names[i], .barrier = &barrier };
		assert_int_equal(pthread_create(&ids[i], NULL, run_thread, &threads[i]), 0);
	}
	pthread_barrier_wait(&barrier);
	for (size_t i = 0; i < NAMES; i++) {
		struct lt_task task;

		memset(&task, 0x5a, sizeof(task));
		assert_int_equal(lt_task_read(&process, threads[i].tid, &task), 0);
		assert_string_equal(task.comm, names[i]);
		/* cut to a tick, and two clocks are read one after the other */
		assert_true(task.born_ns + 2 * TICK_NS > before);
		assert_true(task.born_ns <= now_ns());
	}
	pthread_barrier_wait(&barrier);
	for (size_t i = 0; i < NAMES; i++)
		pthread_join(ids[i], NULL);
	pthread_barrier_destroy(&barrier);
	lt_process_close(&process);
}

/* The first thread is as old as the process, and older than its children. */
static void just_stay(int ready, void *shared)
{
	child_say(ready, 'y');
}

static void test_first_thread(void **state)
{
	struct lt_task own, other;
	struct lt_process process;
	struct child child;

	child_start(&child, just_stay, NULL);
	assert_int_equal(lt_process_open(getpid(), &process), 0);
	assert_int_equal(lt_task_read(&process, (uint32_t)getpid(), &own), 0);
	assert_int_equal(lt_task_read(&child.process, (uint32_t)child.process.pid, &other), 0);
	assert_true(own.born_ns > 0);
	assert_true(own.born_ns <= other.born_ns + TICK_NS);
	assert_string_equal(own.comm, other.comm);
	lt_process_close(&process);
	child_end(&child);
}

static void test_gone(void **state)
{
	struct lt_task task, before;
	struct child child;
	uint32_t tid;

	memset(&task, 0x5a, sizeof(task));
	memcpy(&before, &task, sizeof(task));
	child_start(&child, just_stay, NULL);
	tid = (uint32_t)child.process.pid;
	/* a thread of another process, and none at all */
	assert_int_equal(lt_task_read(&child.process, (uint32_t)getpid(), &task), -ESRCH);
	assert_int_equal(lt_task_read(&child.process, UINT32_MAX, &task), -ESRCH);
	assert_int_equal(lt_task_read(&child.process, 0, &task), -ESRCH);
	child_kill(&child, true);
	assert_int_equal(lt_task_read(&child.process, tid, &task), -ESRCH);
	assert_memory_equal(&task, &before, sizeof(task));
	lt_process_close(&child.process);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_first_thread),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
