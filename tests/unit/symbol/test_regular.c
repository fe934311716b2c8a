/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "symbol/regular.h"

static int reopen(const char *path, int flags)
{
	_lt_close_ int inode_fd = open(path, O_PATH | O_CLOEXEC | flags);

	assert_true(inode_fd >= 0);
	return lt_regular_reopen(inode_fd);
}

static void test_kinds(void **state)
{
	char dir[] = "/tmp/test_regular.XXXXXX", path[64], text[2];
	int fd;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/x", dir);
	assert_int_equal(reopen(dir, 0), -ENOENT);
	assert_int_equal(reopen("/dev/null", 0), -ENOENT);
	assert_int_equal(reopen("/proc/self/exe", O_NOFOLLOW), -ENOENT);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(reopen(path, 0), -ENOENT); /* at once */
	assert_int_equal(unlink(path), 0);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	fd = reopen(path, 0);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, text, sizeof(text)), 1);
	assert_int_equal(write(fd, "x", 1), -1);
	close(fd);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_kinds) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
