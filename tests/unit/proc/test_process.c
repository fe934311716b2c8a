// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/process.h"

static void test_self(void **state)
{
	struct lt_process process;
	char exe[PATH_MAX] = "";
	size_t threads = 0;
	pid_t *tids;

	assert_int_equal(prctl(PR_SET_NAME, "x) R 1 \n(2"), 0);
	assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	assert_int_equal(lt_process_open(getpid(), &process), 0);
	assert_int_equal(process.pid, getpid());
	assert_int_equal(process.tgid_init, getpid());
	assert_true(process.ns_pid > 0);
	assert_true(process.start_ticks > 0);
	assert_string_equal(process.comm, "x) R 1 \n(2");
	assert_string_equal(process.exe, exe);
	assert_false(process.kernel_thread);
	assert_int_equal(process.bits32, sizeof(void *) == 4);
	assert_int_equal(lt_process_check(&process), 0);
	assert_int_equal(lt_process_threads(&process, &tids, &threads), 0);
	assert_int_equal(threads, 1);
	assert_int_equal(tids[0], getpid());
	free(tids);
	lt_process_close(&process);
	lt_process_close(&process); /* harmless */
}

static void *open_by_tid(void *argument)
{
	struct lt_process *process = argument;
	int err = lt_process_open((pid_t)syscall(SYS_gettid), process);

	return (void *)(intptr_t)err;
}

static void test_thread_id(void **state)
{
	struct lt_process process;
	pthread_t thread;
	void *err;

	assert_int_equal(pthread_create(&thread, NULL, open_by_tid, &process), 0);
	assert_int_equal(pthread_join(thread, &err), 0);
	assert_null(err);
	assert_int_equal(process.pid, getpid());
	lt_process_close(&process);
}

static void test_gone(void **state)
{
	struct lt_process process, untouched = { .pid = 77 };
	struct lt_memory_usage usage;
	pid_t child = fork();
	siginfo_t info;

	if (!child) {
		pause();
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(lt_process_open(child, &process), 0);
	assert_int_equal(lt_process_check(&process), 0);
	kill(child, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	/* a zombie */
	assert_int_equal(lt_process_check(&process), -ESRCH);
	assert_int_equal(lt_process_open(child, &untouched), -ESRCH);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(lt_process_check(&process), -ESRCH);
	assert_int_equal(lt_process_memory(&process, &usage), -ESRCH);
	assert_int_equal(lt_process_open(child, &untouched), -ESRCH);
	assert_int_equal(lt_process_open(0, &untouched), -ESRCH);
	assert_int_equal(lt_process_open(-1, &untouched), -ESRCH);
	assert_int_equal(untouched.pid, 77);
	lt_process_close(&process);
}

static void test_memory(void **state)
{
	struct lt_memory_usage usage;
	struct lt_process process;

	assert_int_equal(lt_process_open(getpid(), &process), 0);
	assert_int_equal(lt_process_memory(&process, &usage), 0);
	assert_true(usage.rss_bytes > 4096);
	assert_true(usage.limit_bytes >= usage.rss_bytes);
	assert_true(usage.limit_bytes <= (uint64_t)sysconf(_SC_PHYS_PAGES) * 4096);
	assert_true(usage.available_bytes <= usage.limit_bytes);
	lt_process_close(&process);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_self),
		cmocka_unit_test(test_thread_id),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
