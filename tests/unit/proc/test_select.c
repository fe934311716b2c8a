// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/select.h"

static char root[] = "/tmp/leaktrace-select-XXXXXX";
static int proc_fd, cgroup_fd;

static void path_of(char *name, size_t size, const char *path)
{
	assert_true((size_t)snprintf(name, size, "%s/%s", root, path) < size);
	for (char *slash = name + strlen(root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		mkdir(name, 0700);
	}
}

static void put_bytes(const char *path, const char *text, size_t len)
{
	char name[8192];
	FILE *file;

	path_of(name, sizeof(name), path);
	file = fopen(name, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	fclose(file);
}

static void put(const char *path, const char *text)
{
	put_bytes(path, text, strlen(text));
}

static void put_link(const char *path, const char *target)
{
	char name[512];

	path_of(name, sizeof(name), path);
	assert_int_equal(symlink(target, name), 0);
}

static void put_process(int pid, const char *comm, const char *exe, const char *argv0, char state,
			unsigned long flags)
{
	char path[64], text[256];

	snprintf(path, sizeof(path), "proc/%d/comm", pid);
	snprintf(text, sizeof(text), "%s\n", comm);
	put(path, text);
	snprintf(path, sizeof(path), "proc/%d/stat", pid);
	snprintf(text, sizeof(text), "%d (%s) %c 1 1 1 0 -1 %lu 100 0\n", pid, comm, state, flags);
	put(path, text);
	snprintf(path, sizeof(path), "proc/%d/cmdline", pid);
	put_bytes(path, argv0, strlen(argv0) + (*argv0 != '\0'));
	snprintf(path, sizeof(path), "proc/%d/exe", pid);
	if (*exe)
		put_link(path, exe);
}

#define KERNEL_THREAD 0x00200040

static void put_processes(void)
{
	put_link("proc/self", "77");
	put_process(77, "server", "/usr/sbin/server", "server", 'R', 0); /* ourselves */
	put_process(5, "kworker/0:1", "", "", 'I', KERNEL_THREAD);
	put_process(9, "server", "", "", 'I', KERNEL_THREAD);
	put_process(10, "server", "", "", 'Z', 0);
	put_process(1200, "server", "/usr/sbin/server", "/usr/sbin/server", 'S', 0);
	put_process(300, "worker", "/usr/sbin/server (deleted)", "worker: idle", 'S', 0);
	put_process(301, "x) Z 1 1 1 1", "/opt/a/b", "/x/server", 'S', 0);
	put_process(302, "server-2", "/opt/server-2", "server-2", 'R', 0);
	put_process(303, "a-very-long-nam", "/opt/a-very-long-name", "", 'R', 0);
	put_process(304, "a*", "/opt/star", "-star", 'T', 0);
	put("proc/305/comm", "server\n"); /* ended while it was looked at */
	put("proc/306/stat", "nonsense");
	put("proc/306/comm", "server\n");
	put("proc/12x/comm", "server\n");
	put("proc/+7/comm", "server\n");
	put("proc/99999999999999999999/comm", "server\n");
	put("proc/uptime", "1 1\n");
}

static void put_cgroups(void)
{
	put("cgroup/cgroup.procs", "5\n9\n77\n302\n");
	put("cgroup/a.slice/cgroup.procs", "");
	put("cgroup/a.slice/b.service/cgroup.procs", "1200\n300\n300\n0\n77\n10\n999\n");
	put("cgroup/a.slice/b.service/sub/deep/cgroup.procs", "303\n");
	put("cgroup/a.slice/b.service/sub/cgroup.procs", "302\n1200\n");
	put("cgroup/a.slice/b.service/.hidden/cgroup.procs", "304\nx\n-1\n3a\n");
	put("cgroup/empty/cgroup.procs", "");
	put("cgroup/empty/sub/cgroup.procs", "77\n10\n");
	put("cgroup/dying/no.procs", "");
	put("cgroup/unified/v2/cgroup.procs", "");
	put("cgroup/memory/cgroup.procs", "5\n");
	put("cgroup/memory/docker/cgroup.procs", "");
	put("cgroup/memory/docker/0123/cgroup.procs", "301\n");
	put("cgroup/memory/v2/cgroup.procs", "302\n");
	put("cgroup/cpu,cpuacct/job/cgroup.procs", "304\n");
	put_link("cgroup/cpu", "cpu,cpuacct");
	put("elsewhere/cgroup.procs", "302\n");
	put_link("cgroup/a.slice/out", "../../elsewhere");
	put_link("cgroup/out", "../elsewhere");
}

static int open_folder(const char *path)
{
	char name[512];
	int fd;

	path_of(name, sizeof(name), path);
	fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static int setup(void **state)
{
	if (!mkdtemp(root))
		return -1;
	put_processes();
	put_cgroups();
	proc_fd = open_folder("proc");
	cgroup_fd = open_folder("cgroup");
	return 0;
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *where)
{
	return remove(path);
}

static int teardown(void **state)
{
	close(proc_fd);
	close(cgroup_fd);
	return nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* "300,1200", or what went wrong */
static void check(int err, const struct lt_pids *pids, struct lt_buf *error, const char *expected)
{
	char found[512];
	size_t len = 0;

	if (err) {
		assert_int_equal(pids->count, 12345);
		assert_null(strchr(error->data, '\n'));
		len = (size_t)snprintf(found, sizeof(found), "%s: %s", strerrorname_np(-err),
				       error->data);
	}
	for (size_t i = 0; !err && i < pids->count; i++)
		len += (size_t)snprintf(found + len, sizeof(found) - len, "%s%d", i ? "," : "",
					pids->ids[i]);
	assert_true(len < sizeof(found));
	assert_int_equal(error->len != 0, err != 0);
	assert_string_equal(found, expected);
	lt_buf_free(error);
}

static void by_name(const char *name, const char *expected)
{
	struct lt_pids pids = { .count = 12345 };
	struct lt_buf error = { 0 };
	int err = lt_select_by_name(proc_fd, name, &pids, &error);

	check(err, &pids, &error, expected);
}

static void by_cgroup(const char *path, const char *expected)
{
	struct lt_pids pids = { .count = 12345 };
	struct lt_buf error = { 0 };
	int err = lt_select_by_cgroup(cgroup_fd, proc_fd, path, &pids, &error);

	check(err, &pids, &error, expected);
}

static void test_names(void **state)
{
	by_name("server", "300,301,1200"); /* by executable, by argv[0], by all three */
	by_name("server*", "300,301,302,1200");
	by_name("server-?", "302");
	by_name("[vw]orker", "300");
	by_name("worker", "300");
	by_name("b", "301");
	by_name("a-very-long-nam", "303");
	by_name("a-very-long-name", "303");
	by_name("a*", "303,304"); /* a pattern */
	by_name("a\\*", "304");   /* the name itself */
	by_name("-star", "304");
	by_name("kworker*", "ESRCH: no process is called 'kworker*': see ps -e");
	by_name("serve", "ESRCH: no process is called 'serve': see ps -e");
	by_name("SERVER", "ESRCH: no process is called 'SERVER': see ps -e");
	by_name("", "ESRCH: no process is called '': see ps -e");
}

static void test_cgroups(void **state)
{
	static const char *const same[] = {
		"a.slice/b.service",
		"/a.slice/b.service",
		"a.slice/b.service/",
		"//a.slice//b.service//",
		"/sys/fs/cgroup/a.slice/b.service",
		"/sys/fs/cgroup//a.slice/b.service",
		"a.slice/../a.slice/b.service",
		"a.slice", /* through its descendants */
	};

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		by_cgroup(same[i], "300,302,303,304,1200");
	by_cgroup("a.slice/b.service/sub", "302,303,1200");
	by_cgroup("/", "300,301,302,303,304,1200");
	by_cgroup("/sys/fs/cgroup", "300,301,302,303,304,1200");
	/* version 1: by its folder, and by the group's name alone */
	by_cgroup("/sys/fs/cgroup/memory/docker/0123", "301");
	by_cgroup("memory/docker/0123", "301");
	by_cgroup("/docker/0123", "301");
	by_cgroup("docker", "301");
	by_cgroup("/job", "304");
	by_cgroup("/sys/fs/cgroup/cpu/job", "304");
	by_cgroup("v2", "302"); /* empty in one hierarchy, not in another */
}

static void test_no_cgroup(void **state)
{
	static const char *const none[] = {
		"nothing",
		"b.service",
		"/sys/fs/cgroupa.slice",
		"/sys/fs",
		"dying",
		"a.slice/b.service/x",
		"../elsewhere",
		"out",
		"a.slice/out",
		"a.slice/b.service/cgroup.procs",
	};
	struct lt_pids pids = { .count = 12345 };
	struct lt_buf error = { 0 };
	char longest[5000] = "";

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		char expected[256];

		snprintf(expected, sizeof(expected),
			 "ENOENT: no control group '%s' below /sys/fs/cgroup: "
			 "/proc/PID/cgroup tells those of a process",
			 none[i]);
		by_cgroup(none[i], expected);
	}
	by_cgroup("empty", "ESRCH: no process runs in control group 'empty'");
	memset(longest, 'a', sizeof(longest) - 1);
	assert_int_equal(lt_select_by_cgroup(cgroup_fd, proc_fd, longest, &pids, &error),
			 -ENAMETOOLONG);
	assert_non_null(strstr(error.data, "cannot read control group 'aaaa"));
	lt_buf_free(&error);
}

static void test_depth(void **state)
{
	char path[1024] = "cgroup/deep";

	for (int i = 0; i <= LT_MAX_CGROUP_DEPTH + 1; i++) {
		size_t len = strlen(path);

		strcpy(path + len, "/cgroup.procs");
		put(path, "302\n");
		strcpy(path + len, "/d");
	}
	by_cgroup("deep", "E2BIG: there are too many groups below 'deep': give one of them");
	by_cgroup("deep/d", "302");
}

static void test_add(void **state)
{
	struct lt_pids pids = { .count = 0 };

	for (int round = 0; round < 2; round++)
		for (int i = LT_MAX_TARGETS; i > 0; i--)
			assert_true(lt_pids_add(&pids, i * 7 % 257 + 1));
	assert_int_equal(pids.count, LT_MAX_TARGETS);
	assert_int_equal(pids.left_out, 0);
	assert_false(lt_pids_add(&pids, 1));
	assert_false(lt_pids_add(&pids, 1000));
	assert_true(lt_pids_add(&pids, 257));
	assert_int_equal(pids.left_out, 2);
	for (size_t i = 0; i < pids.count; i++)
		assert_int_equal(pids.ids[i], i + 2);
}

static void test_many(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *file = open_memstream(&text, &len);
	struct lt_pids pids;
	struct lt_buf error = { 0 };

	for (int i = 0; i < LT_MAX_TARGETS + 3; i++) {
		put_process(2000 + i, "crowd", "/bin/crowd", "crowd", 'S', 0);
		fprintf(file, "%d\n", 2000 + i);
	}
	fclose(file);
	put("cgroup/crowd/cgroup.procs", text);
	free(text);
	assert_int_equal(lt_select_by_name(proc_fd, "crowd", &pids, &error), 0);
	assert_int_equal(pids.count, LT_MAX_TARGETS);
	assert_int_equal(pids.left_out, 3);
	assert_int_equal(lt_select_by_cgroup(cgroup_fd, proc_fd, "crowd", &pids, &error), 0);
	assert_int_equal(pids.count, LT_MAX_TARGETS);
	assert_int_equal(pids.left_out, 3);
}

/* The real /proc: a child is found, a zombie and we ourselves are not. */
static void test_live(void **state)
{
	int real_fd = open(LT_PROC_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC), told[2];
	struct lt_pids pids = { .count = 12345 };
	struct lt_buf error = { 0 };
	siginfo_t info;
	pid_t child;
	char name[16], byte;

	snprintf(name, sizeof(name), "lt-%d", getpid());
	assert_int_equal(pipe(told), 0);
	assert_int_equal(prctl(PR_SET_NAME, name), 0);
	child = fork(); /* inherits the name */
	if (!child) {
		if (write(told[1], "x", 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(told[0], &byte, 1), 1);
	assert_int_equal(lt_select_by_name(real_fd, name, &pids, &error), 0);
	assert_int_equal(pids.count, 1);
	assert_int_equal(pids.ids[0], child);
	kill(child, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(lt_select_by_name(real_fd, name, &pids, &error), -ESRCH);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(lt_select_by_name(-1, name, &pids, &error), -EBADF);
	lt_buf_free(&error);
	close(real_fd);
	close(told[0]);
	close(told[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),     cmocka_unit_test(test_cgroups),
		cmocka_unit_test(test_no_cgroup), cmocka_unit_test(test_depth),
		cmocka_unit_test(test_add),       cmocka_unit_test(test_live),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
