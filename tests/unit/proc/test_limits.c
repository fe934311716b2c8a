// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "proc/limits.h"

#include "unit/proc/child.h"

#define USER       54321 /* whose only processes are those of the test */
#define OTHER_USER 54322
#define FILES      777

/* How a child is to be. */
struct wish {
	uid_t user, effective;
	rlim_t threads;
	int more_threads;
	unsigned int capability; /* that it keeps, as a mask */
	bool own_namespace;
};

static void *stay(void *argument)
{
	for (;;)
		pause();
	return NULL;
}

static void keep_capability(int ready, unsigned int mask)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { mask, mask, 0 }, { 0, 0, 0 } };

	if (syscall(SYS_capset, &header, data))
		child_say(ready, 'c');
}

static void become(int ready, void *shared)
{
	const struct wish *wish = shared;
	const struct rlimit threads = { wish->threads, wish->threads };
	const struct rlimit files = { FILES, FILES };
	pthread_t thread;

	if (setrlimit(RLIMIT_NPROC, &threads) || setrlimit(RLIMIT_NOFILE, &files))
		child_say(ready, 'l');
	if (wish->capability && prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP))
		child_say(ready, 'p');
	if (setresuid(wish->user, wish->effective, wish->effective))
		child_say(ready, 'u');
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* setresuid() took it back */
	if (wish->capability)
		keep_capability(ready, wish->capability);
	if (wish->own_namespace && unshare(CLONE_NEWUSER))
		child_say(ready, 'x');
	for (int i = 0; i < wish->more_threads; i++)
		if (pthread_create(&thread, NULL, stay, NULL))
			child_say(ready, 'f');
	child_say(ready, 'y');
}

static void start(struct child *child, struct wish wish)
{
	child_start(child, become, &wish);
}

static struct lt_limit_use use_of(const struct child *child, enum lt_limit which)
{
	struct lt_limit_use uses[LT_LIMITS];

	assert_true(child->said == 'y' || child->said == 'f');
	assert_int_equal(lt_limits_read(&child->process, uses), 0);
	return uses[which];
}

static void test_descriptors(void **state)
{
	struct lt_limit_use use;
	struct child child;

	start(&child, (struct wish){ .threads = 50 });
	use = use_of(&child, LT_LIMIT_DESCRIPTORS);
	assert_int_equal(use.limit, FILES);
	assert_int_equal(use.used, 0);
	child_end(&child);
}

static void test_user_threads(void **state)
{
	struct child one, other, stranger;
	struct lt_limit_use use;

	start(&one, (struct wish){ USER, USER, 50, 3, 0, false });
	use = use_of(&one, LT_LIMIT_USER_THREADS);
	assert_int_equal(use.limit, 50);
	assert_int_equal(use.used, 4);
	start(&other, (struct wish){ USER, OTHER_USER, 60, 1, 0, false });
	start(&stranger, (struct wish){ OTHER_USER, USER, 70, 0, 0, false });
	/* the real user counts */
	use = use_of(&one, LT_LIMIT_USER_THREADS);
	assert_int_equal(use.limit, 50);
	assert_int_equal(use.used, 6);
	use = use_of(&other, LT_LIMIT_USER_THREADS);
	assert_int_equal(use.limit, 60);
	assert_int_equal(use.used, 6);
	use = use_of(&stranger, LT_LIMIT_USER_THREADS);
	assert_int_equal(use.limit, 70);
	assert_int_equal(use.used, 1);
	child_end(&one);
	child_end(&stranger);
	use = use_of(&other, LT_LIMIT_USER_THREADS);
	assert_int_equal(use.used, 2);
	child_end(&other);
}

/* Who has no limit, and who only seems to have none: more threads than that are made, or fail. */
static void test_who_may_exceed(void **state)
{
	static const struct {
		struct wish wish;
		uint64_t limit;
	} cases[] = {
		{ { 0, 0, 50, 60, 0, false }, 0 },
		{ { 0, USER, 50, 60, 0, false }, 0 }, /* INIT_USER without any capability */
		{ { USER, USER, RLIM_INFINITY, 0, 0, false }, 0 },
		{ { USER, USER, 50, 60, 1U << CAP_SYS_ADMIN, false }, 0 },
		{ { USER, USER, 50, 60, 1U << CAP_SYS_RESOURCE, false }, 0 },
		{ { USER, USER, 50, 60, 1U << CAP_SYS_PTRACE | 1U << CAP_SETUID, false }, 50 },
		{ { USER, 0, 50, 60, 0, false }, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lt_limit_use use;
		struct child child;

		start(&child, cases[i].wish);
		if ((child.said == 'l' && cases[i].wish.threads == RLIM_INFINITY) ||
		    (child.said == 'c' && cases[i].wish.capability)) {
			print_message("case %zu: the test itself may not do that here\n", i);
			child_end(&child);
			continue;
		}
		use = use_of(&child, LT_LIMIT_USER_THREADS);
		assert_int_equal(use.limit, cases[i].limit);
		assert_int_equal(use.used,
				 cases[i].limit); /* the kernel let it have just so many */
		assert_int_equal(child.said, cases[i].limit ? 'f' : 'y');
		child_end(&child);
	}
}

/* In a user namespace of its own it has all capabilities, which the kernel does not ask for here. */
static void test_own_namespace(void **state)
{
	struct lt_limit_use use;
	struct child child;

	start(&child, (struct wish){ USER, USER, 50, 60, 0, true });
	if (child.said == 'x') {
		print_message("user namespaces are not allowed here\n");
	} else {
		use = use_of(&child, LT_LIMIT_USER_THREADS);
		assert_int_equal(use.limit, 50);
		assert_int_equal(use.used, 50);
		assert_int_equal(child.said, 'f');
	}
	child_end(&child);
}

static uint64_t read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned long long value = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%llu", &value), 1);
	fclose(file);
	return value;
}

static void test_system(void **state)
{
	uint64_t threads = read_number("/proc/sys/kernel/threads-max");
	uint64_t pids = read_number("/proc/sys/kernel/pid_max");
	struct lt_limit_use use;
	struct child child;

	start(&child, (struct wish){ .threads = 50 });
	use = use_of(&child, LT_LIMIT_SYSTEM_THREADS);
	assert_int_equal(use.limit, threads < pids ? threads : pids);
	assert_true(use.used >= 2); /* the test and its child */
	assert_true(use.used <= use.limit);
	child_end(&child);
}

static bool put(const char *group, const char *file, const char *text)
{
	char path[128];
	FILE *stream;
	bool put;

	snprintf(path, sizeof(path), "%s/%s", group, file);
	stream = fopen(path, "we");
	if (!stream)
		return false;
	put = fputs(text, stream) >= 0;
	return fclose(stream) == 0 && put;
}

/* Where a group with pids.max can be made, if anywhere: with version 1 or 2. */
static bool make_group(char *group, size_t size)
{
	static const char *const places[] = { "/sys/fs/cgroup/pids", "/sys/fs/cgroup" };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(group, size, "%s/leaktrace-test-%d", places[i], (int)getpid());
		if (mkdir(group, 0755))
			continue;
		if (put(group, "pids.max", "7"))
			return true;
		rmdir(group);
	}
	return false;
}

static void test_cgroup(void **state)
{
	struct lt_limit_use use;
	struct child child;
	char group[64], pid[16];

	start(&child, (struct wish){ .threads = 50, .more_threads = 2 });
	snprintf(pid, sizeof(pid), "%d", (int)child.process.pid);
	if (!make_group(group, sizeof(group))) {
		print_message("no control group with pids.max can be made here\n");
	} else {
		assert_true(put(group, "cgroup.procs", pid));
		use = use_of(&child, LT_LIMIT_CGROUP_THREADS);
		assert_int_equal(use.limit, 7);
		assert_int_equal(use.used, 3);
		assert_true(put(group, "pids.max", "max"));
		use = use_of(&child, LT_LIMIT_CGROUP_THREADS);
		assert_int_not_equal(use.limit, 7); /* of a group around it, or none */
	}
	child_end(&child);
	while (rmdir(group) && errno == EBUSY)
		usleep(1000); /* the kernel takes leave of the dead after they are reaped */
}

static void test_gone(void **state)
{
	struct lt_limit_use uses[LT_LIMITS], before[LT_LIMITS];
	struct child child;

	memset(uses, 0x5a, sizeof(uses));
	memcpy(before, uses, sizeof(uses));
	start(&child, (struct wish){ .threads = 50 });
	child_kill(&child, false);
	assert_int_equal(lt_limits_read(&child.process, uses), -ESRCH);
	child_kill(&child, true);
	assert_int_equal(lt_limits_read(&child.process, uses), -ESRCH);
	assert_memory_equal(uses, before, sizeof(uses));
	lt_process_close(&child.process);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptors),    cmocka_unit_test(test_user_threads),
		cmocka_unit_test(test_who_may_exceed), cmocka_unit_test(test_own_namespace),
		cmocka_unit_test(test_system),         cmocka_unit_test(test_cgroup),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
