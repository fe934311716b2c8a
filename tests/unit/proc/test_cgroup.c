// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proc/cgroup.h"

static char root[] = "/tmp/leaktrace-cgroup-XXXXXX";

static void put(const char *path, const char *text)
{
	char name[256];
	FILE *file;

	snprintf(name, sizeof(name), "%s%s", root, path);
	for (char *slash = name + strlen(root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		mkdir(name, 0700);
	}
	file = fopen(name, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int setup(void **state)
{
	if (!mkdtemp(root))
		return -1;
	put("/a/b/c/memory.max", "max\n");
	put("/a/b/c/memory.current", "900\n");
	put("/a/b/memory.max", "5000\n");
	put("/a/b/memory.current", "1000\n");
	put("/a/memory.max", "7000\n");
	put("/a/memory.current", "6500\n");
	put("/memory/v1/memory.limit_in_bytes", "3000\n");
	put("/memory/v1/memory.usage_in_bytes", "4000\n");
	put("/memory/memory.limit_in_bytes", "9223372036854771712\n");
	put("/memory/memory.usage_in_bytes", "4000\n");
	put("/a/b/c/pids.max", "40\n");
	put("/a/b/c/pids.current", "5\n");
	put("/a/b/pids.max", "max\n");
	put("/a/b/pids.current", "90\n");
	put("/a/pids.max", "100\n");
	put("/a/pids.current", "95\n");
	put("/full/pids.max", "10\n");
	put("/full/pids.current", "12\n");
	put("/odd/pids.max", "ten\n");
	put("/odd/pids.current", "\n");
	put("/pids/v1/pids.max", "70\n");
	put("/pids/v1/pids.current", "7\n");
	return 0;
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *where)
{
	return remove(path);
}

static int teardown(void **state)
{
	return nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static const struct {
	const char *text;
	uint64_t limit, available;
} cases[] = {
	{ "0::/a/b/c\n", 5000, 500 }, /* the ancestors bind, each in its way */
	{ "0::/a\n", 7000, 500 },
	{ "0::/gone/b\n", 10000, 9000 },
	{ "0::/a/unseen\n", 7000, 500 },
	{ "0::/../a/b\n", 10000, 9000 }, /* never climb */
	{ "5:cpu,memory:/v1\n", 3000, 0 },
	{ "5:memory,cpu:/v1/x\n0::/\n", 3000, 0 },
	{ "5:cpumemory:/v1\n", 10000, 9000 },
	{ "5:memory:/\n", 10000, 9000 },
	{ "5:memory", 10000, 9000 },
	{ "::\n:\n\n0::\n", 10000, 9000 },
	{ "", 10000, 9000 },
};

static void test_limits(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t limit = 10000, available = 9000;

		lt_cgroup_apply_limits(cases[i].text, root, &limit, &available);
		assert_int_equal(limit, cases[i].limit);
		assert_int_equal(available, cases[i].available);
	}
}

static void test_threads(void **state)
{
	static const struct {
		const char *text;
		uint64_t used, limit; /* 0: none */
	} groups[] = {
		{ "0::/a/b/c\n", 95, 100 }, /* the ancestor has the least room */
		{ "0::/full\n", 12, 10 },   /* moved there, not born there */
		{ "0::/odd\n", 0, 0 },
		{ "0::/\n", 0, 0 },
		{ "0::/../a\n", 0, 0 },
		{ "4:pids:/v1\n0::/\n", 7, 70 },
		{ "4:pids:/v1\n0::/a\n", 95, 100 },
		{ "4:cpu,pids:/v1/gone\n", 7, 70 },
		{ "4:cpu:/v1\n", 0, 0 },
		{ "", 0, 0 },
	};

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		uint64_t used = 0, limit = 0;

		assert_int_equal(lt_cgroup_threads(groups[i].text, root, &used, &limit),
				 groups[i].limit != 0);
		assert_int_equal(used, groups[i].used);
		assert_int_equal(limit, groups[i].limit);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_limits),
					    cmocka_unit_test(test_threads) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
