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

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_limits) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
