// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "export/output.h"

#define NOBODY 65534

static char directory[64];

static const char *in_directory(const char *name)
{
	static char path[2][512];
	static int next;

	next = !next;
	snprintf(path[next], sizeof(path[next]), "%s/%s", directory, name);
	return path[next];
}

static int setup(void **state)
{
	strcpy(directory, "/tmp/leaktrace-output-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		unlink(in_directory(entry->d_name));
	if (dir)
		closedir(dir);
	return rmdir(directory);
}

static size_t entries(void)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	size_t count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
	closedir(dir);
	return count;
}

static void put(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void expect_text(const char *path, const char *text)
{
	char got[64] = "";
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	got[fread(got, 1, sizeof(got) - 1, file)] = '\0';
	fclose(file);
	assert_string_equal(got, text);
}

static void expect_refused(const char *path, int error)
{
	FILE *file = NULL;

	assert_int_equal(lt_output_check(path), error);
	assert_int_equal(lt_output_replace(path, "new", 3), error);
	assert_int_equal(lt_output_open(path, &file), error);
	assert_null(file);
	assert_true(strlen(lt_output_error(error)) > 10);
}

static void replaces_with_fixed_mode(void **state)
{
	const char *path = in_directory("a.prom");
	mode_t mask = umask(077);
	struct stat st;

	assert_int_equal(lt_output_check(path), 0);
	assert_int_equal(entries(), 0);
	assert_int_equal(lt_output_replace(path, "one\n", 4), 0);
	assert_int_equal(lt_output_replace(path, "two\n", 4), 0);
	umask(mask);
	expect_text(path, "two\n");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(entries(), 1);
}

static void opens_and_truncates(void **state)
{
	const char *path = in_directory("a.json");
	FILE *file;

	put(path, "long old content");
	assert_int_equal(lt_output_open(path, &file), 0);
	assert_true(fcntl(fileno(file), F_GETFD) & FD_CLOEXEC);
	fputs("new", file);
	fclose(file);
	expect_text(path, "new");
}

static void no_symlink_is_followed(void **state)
{
	const char *link = in_directory("link"), *path = in_directory("precious");

	put(path, "keep");
	assert_int_equal(symlink(path, link), 0);
	expect_refused(link, -ELOOP);
	assert_int_equal(unlink(path), 0);
	expect_refused(link, -ELOOP); /* dangling: nothing is made at its end */
	assert_int_equal(entries(), 1);
}

static void no_hard_link_is_touched(void **state)
{
	const char *path = in_directory("precious"), *link = in_directory("link");

	put(path, "keep");
	assert_int_equal(linkat(AT_FDCWD, path, AT_FDCWD, link, 0), 0);
	expect_refused(link, -EMLINK);
	expect_text(path, "keep");
}

static void no_foreign_file_is_touched(void **state)
{
	const char *path = in_directory("theirs");

	if (geteuid()) { /* a file of root serves as well */
		expect_refused("/etc/passwd", -EPERM);
		return;
	}
	put(path, "keep");
	assert_int_equal(chown(path, NOBODY, NOBODY), 0);
	expect_refused(path, -EPERM);
	expect_text(path, "keep");
}

static void strange_paths(void **state)
{
	expect_refused(in_directory("missing/file"), -ENOENT);
	expect_refused(directory, -EISDIR);
	expect_refused("/tmp/", -EISDIR);
	expect_refused("..", -EISDIR);
	expect_refused("", -EINVAL);
	expect_refused("/dev/null/x", -ENOTDIR);
	assert_int_equal(lt_output_replace("/dev/null", "x", 1), -ENOTSUP);
}

static void directory_without_rights(void **state)
{
	FILE *file = NULL;

	assert_int_equal(chmod(directory, 0555), 0);
	if (!geteuid())
		assert_int_equal(seteuid(NOBODY), 0);
	assert_int_equal(lt_output_check(in_directory("a")), -EACCES);
	assert_int_equal(lt_output_replace(in_directory("a"), "x", 1), -EACCES);
	assert_int_equal(lt_output_open(in_directory("a"), &file), -EACCES);
	if (!getuid())
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(directory, 0755), 0);
	assert_int_equal(entries(), 0);
}

static void full_device(void **state)
{
	FILE *file;

	assert_int_equal(lt_output_open("/dev/full", &file), 0);
	fputs("x", file);
	errno = 0;
	assert_int_equal(fclose(file), EOF);
	assert_int_equal(errno, ENOSPC);
}

static void failed_write_leaves_the_old_file(void **state)
{
	const char *path = in_directory("a.prom");
	struct rlimit old, small;
	static char big[4096];

	put(path, "old");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 1024;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(lt_output_replace(path, big, sizeof(big)), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	expect_text(path, "old");
	assert_int_equal(entries(), 1);
}

/* Ours and root's may be written to; another user's would hand him our output. */
static void fifos_of_others_are_refused(void **state)
{
	const char *path = in_directory("fifo");
	FILE *file = NULL;
	int reader;
	char got;

	assert_int_equal(mkfifo(path, 0666), 0);
	reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(reader >= 0);
	assert_int_equal(lt_output_open(path, &file), 0);
	fputs("x", file);
	fclose(file);
	assert_int_equal(read(reader, &got, 1), 1);
	assert_int_equal(got, 'x');
	file = NULL;
	if (geteuid()) {
		close(reader);
		print_message("only root can give a FIFO away: not tried\n");
		return;
	}
	assert_int_equal(chown(path, NOBODY, NOBODY), 0);
	assert_int_equal(lt_output_open(path, &file), -EPERM);
	assert_null(file);
	assert_int_equal(chown(path, 0, 0), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	assert_int_equal(chmod(directory, 0700), -1); /* proves that we are somebody else */
	assert_int_equal(seteuid(0), 0);
	close(reader);
}

static void given_descriptors(void **state)
{
	char path[32], got[2];
	int ends[2];
	FILE *file;

	assert_int_equal(pipe(ends), 0);
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[1]);
	assert_int_equal(lt_output_open(path, &file), 0);
	fputs("x", file);
	fclose(file);
	assert_int_equal(read(ends[0], got, 1), 1);
	assert_int_equal(got[0], 'x');
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(lt_output_open("/dev/fd/999999", &file), -EBADF);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(replaces_with_fixed_mode),         TEST(opens_and_truncates),
		TEST(no_symlink_is_followed),           TEST(no_hard_link_is_touched),
		TEST(no_foreign_file_is_touched),       TEST(strange_paths),
		TEST(directory_without_rights),         TEST(full_device),
		TEST(failed_write_leaves_the_old_file), TEST(given_descriptors),
		TEST(fifos_of_others_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
