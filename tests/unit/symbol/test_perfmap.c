/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A folder stands for /proc/PID. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "symbol/perfmap.h"

#define FILE_NAME  "root/tmp/perf-7.map"
#define OTHER_USER 12345

static time_t monotonic_s = 1000;

/* In place of libc's: nothing here depends on how fast the machine is. */
int clock_gettime(clockid_t clock, struct timespec *time)
{
	if (clock != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, clock, time);
	*time = (struct timespec){ .tv_sec = monotonic_s };
	return 0;
}

struct fixture {
	char dir[64];
	struct lt_process process;
	struct lt_perfmap *map;
};

static void write_text(const struct fixture *fixture, const char *name, int flags, const char *text)
{
	_lt_close_ int fd = openat(fixture->process.proc_fd, name,
				   O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void write_map(const struct fixture *fixture, const char *text)
{
	write_text(fixture, FILE_NAME, O_TRUNC, text);
}

static void append_map(const struct fixture *fixture, const char *text)
{
	write_text(fixture, FILE_NAME, O_APPEND, text);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	char status[128];

	assert_non_null(fixture);
	strcpy(fixture->dir, "/tmp/test_perfmap.XXXXXX");
	assert_non_null(mkdtemp(fixture->dir));
	fixture->process = (struct lt_process){ .pid = 4711, .ns_pid = 7 };
	fixture->process.proc_fd = open(fixture->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fixture->process.proc_fd >= 0);
	assert_int_equal(mkdirat(fixture->process.proc_fd, "root", 0755), 0);
	assert_int_equal(mkdirat(fixture->process.proc_fd, "root/tmp", 0755), 0);
	snprintf(status, sizeof(status), "Name:\tx\nUid:\t%d\t%d\t%d\t%d\n", OTHER_USER + 1,
		 (int)geteuid(), OTHER_USER + 1, OTHER_USER + 1);
	write_text(fixture, "status", 0, status);
	assert_int_equal(lt_perfmap_new(&fixture->map, &fixture->process), 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	char command[128];

	lt_perfmap_free(fixture->map);
	close(fixture->process.proc_fd);
	snprintf(command, sizeof(command), "rm -rf %s", fixture->dir);
	assert_int_equal(system(command), 0);
	free(fixture);
	return 0;
}

/* "" when unknown. */
static const char *name_of(const struct fixture *fixture, uint64_t address)
{
	struct lt_source_frame frame;

	return lt_perfmap_lookup(fixture->map, address, &frame) ? frame.function : "";
}

static void test_lines(void **state)
{
	struct lt_source_frame frame;

	assert_string_equal(name_of(*state, 0x1000), ""); /* no file yet */
	write_map(*state, "1000 10 first\n"
			  "0x0000000000002000 0x0000000000000020 void Second.run(int, long)\n"
			  "3000 8 JS:*third file:///srv/x.js:5:1\n"
			  "fffffffffffffff0 F last\n"
			  "4000 10 not yet wri");
	assert_string_equal(name_of(*state, 0xfff), "");
	assert_string_equal(name_of(*state, 0x1000), "first");
	assert_string_equal(name_of(*state, 0x100f), "first");
	assert_string_equal(name_of(*state, 0x1010), "");
	assert_string_equal(name_of(*state, 0x2010), "void Second.run(int, long)");
	assert_string_equal(name_of(*state, UINT64_MAX - 1), "last");
	assert_string_equal(name_of(*state, UINT64_MAX), "");
	assert_string_equal(name_of(*state, 0x4000), "");
	append_map(*state, "tten\n");
	assert_string_equal(name_of(*state, 0x4000), "not yet written");
	assert_true(lt_perfmap_lookup(((struct fixture *)*state)->map, 0x3007, &frame));
	assert_string_equal(frame.function, "third");
	assert_string_equal(frame.file, "/srv/x.js");
	assert_int_equal(frame.line, 5);
}

static void test_nonsense_lines(void **state)
{
	write_map(*state, "\n\n \n1000\n1000 \n1000 10\n1000 10 \n1000 0 empty\nx 10 x\n1000 x x\n"
			  "11111111111111111 10 long\n1000 11111111111111111 long\n0x 10 x\n"
			  "ffffffffffffffff 1 over\n1000 ffffffffffffffff over\n-1 10 x\n"
			  "1000  10 blanks\n 1000 10 blank\n1000\t10 tab\n5000 10 good\n");
	for (uint64_t address = 0; address < 0x2000; address += 0x10)
		assert_string_equal(name_of(*state, address), "");
	assert_string_equal(name_of(*state, UINT64_MAX - 1), "");
	assert_string_equal(name_of(*state, 0x5000), "good");
}

/* Later lines take the addresses of earlier ones. */
static void test_overlaps(void **state)
{
	write_map(*state, "1000 100 a\n1100 100 b\n1200 100 c\n");
	append_map(*state, "1080 200 over\n");
	assert_string_equal(name_of(*state, 0x107f), "a");
	assert_string_equal(name_of(*state, 0x1080), "over");
	assert_string_equal(name_of(*state, 0x1180), "over");
	assert_string_equal(name_of(*state, 0x127f), "over");
	assert_string_equal(name_of(*state, 0x1280), "c");
	append_map(*state, "1100 10 inside\n");
	assert_string_equal(name_of(*state, 0x10ff), "over");
	assert_string_equal(name_of(*state, 0x110f), "inside");
	assert_string_equal(name_of(*state, 0x1110), "over");
	append_map(*state, "1 fffffffffffffff0 all\n");
	assert_string_equal(name_of(*state, 0x107f), "all");
	assert_string_equal(name_of(*state, 0x1280), "all");
}

/* The same against an array, with lines that an LCG makes (Knuth, MMIX). */
static void test_overlaps_at_random(void **state)
{
	static int owner[4096];
	uint64_t random = 1;
	char name[16], line[64];

	write_map(*state, "");
	for (int i = 1; i <= 400; i++) {
		uint64_t start, size;

		random = random * 6364136223846793005ULL + 1442695040888963407ULL;
		start = random >> 33 & 4095;
		size = 1 + (random >> 50) % (i % 10 ? 64 : 1024);
		snprintf(line, sizeof(line), "%llx %llx f%d\n", (unsigned long long)start,
			 (unsigned long long)size, i);
		append_map(*state, line);
		for (uint64_t at = start; at < start + size && at < 4096; at++)
			owner[at] = i;
		for (uint64_t at = i % 7; at < 4096; at += i % 50 ? 511 : 1) {
			snprintf(name, sizeof(name), "f%d", owner[at]);
			assert_string_equal(name_of(*state, at), owner[at] ? name : "");
		}
	}
}

static void test_rewritten(void **state)
{
	const struct fixture *fixture = *state;

	write_map(*state, "1000 10 one\n2000 10 two\n");
	assert_string_equal(name_of(*state, 0x1000), "one");
	write_map(*state, "1000 10 other\n"); /* shorter */
	assert_string_equal(name_of(*state, 0x1000), "other");
	assert_string_equal(name_of(*state, 0x2000), "");
	write_map(*state, "500 10 new\n1000 10 another\n3000 10 three\n"); /* longer */
	assert_string_equal(name_of(*state, 0x500), "new");
	assert_string_equal(name_of(*state, 0x1000), "another");
	assert_int_equal(unlinkat(fixture->process.proc_fd, FILE_NAME, 0), 0);
	assert_string_equal(name_of(*state, 0x3000), "three");             /* still known */
	write_map(*state, "500 10 new\n1000 10 another\n3000 10 third\n"); /* another inode */
	assert_string_equal(name_of(*state, 0x3000), "third");
}

/* Another file under the map's name, with one function and as many comments as fill it. */
static void swap_map(const struct fixture *fixture, const char *name)
{
	enum { LINES = 90000 };
	static const char line[] = "a line of fifty bytes, which names no function...\n";
	_lt_free_ char *text = malloc(LINES * sizeof(line));
	size_t len;

	assert_non_null(text);
	len = (size_t)sprintf(text, "1000 10 %s\n", name);
	for (int i = 0; i < LINES; i++, len += sizeof(line) - 1)
		memcpy(text + len, line, sizeof(line));
	write_text(fixture, FILE_NAME ".new", O_TRUNC, text);
	assert_int_equal(renameat(fixture->process.proc_fd, FILE_NAME ".new",
				  fixture->process.proc_fd, FILE_NAME),
			 0);
}

/* Reading a large file again and again must not keep us busy. */
static void test_swapped(void **state)
{
	swap_map(*state, "one");
	assert_string_equal(name_of(*state, 0x1000), "one");
	swap_map(*state, "two");
	assert_string_equal(name_of(*state, 0x1000), "two");
	swap_map(*state, "three");
	assert_string_equal(name_of(*state, 0x1000), "two"); /* for a second */
	monotonic_s++;
	assert_string_equal(name_of(*state, 0x1000), "three");
	write_map(*state, "1000 10 four\n"); /* in place: there is no "three" to be read */
	assert_string_equal(name_of(*state, 0x1000), "");
	monotonic_s++;
	assert_string_equal(name_of(*state, 0x1000), "four");
	append_map(*state, "2000 10 more\n");
	assert_string_equal(name_of(*state, 0x2000), "more");
}

static void test_long_lines(void **state)
{
	enum { LEN = 100000 };
	_lt_free_ char *line = malloc(LEN);

	assert_non_null(line);
	for (size_t len = 4000; len < LEN; len += len / 3) {
		memset(line, 'x', len);
		memcpy(line, "1000 10 ", 8);
		line[len - 1] = '\n';
		line[len] = '\0';
		write_map(*state, line);
		append_map(*state, "2000 10 next\n");
		/* Cut, or not taken at all; never mixed up with another line. */
		assert_true(strlen(name_of(*state, 0x1000)) ==
			    (len < 4096 ? len - 9 : (len <= 16384 ? LT_MAX_NAME - 1 : 0)));
		assert_string_equal(name_of(*state, 0x2000), "next");
	}
	memset(line, '\n', LEN - 1); /* one after the other with those of the blocks */
	line[LEN - 1] = '\0';
	write_map(*state, line);
	append_map(*state, "3000 10 end\n");
	assert_string_equal(name_of(*state, 0x3000), "end");
}

static void test_many_lines(void **state)
{
	enum { LINES = 50000 };
	_lt_free_ char *text = malloc(LINES * 32);
	size_t len = 0;
	char name[32];

	assert_non_null(text);
	for (int i = 0; i < LINES; i++)
		len += (size_t)sprintf(text + len, "%x 10 f%d\n", (i * 7919 % LINES + 1) << 4, i);
	write_map(*state, text);
	for (int i = 0; i < LINES; i += 997) {
		sprintf(name, "f%d", i);
		assert_string_equal(name_of(*state, (uint64_t)(i * 7919 % LINES + 1) << 4), name);
	}
}

/* A sparse file: nobody writes so much. */
static void test_huge_file(void **state)
{
	const struct fixture *fixture = *state;
	_lt_close_ int fd = -1;

	write_map(*state, "1000 10 one\n");
	fd = openat(fixture->process.proc_fd, FILE_NAME, O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, 1LL << 40), 0);
	assert_string_equal(name_of(*state, 0x1000), "one");
	assert_string_equal(name_of(*state, 0x1000), "one");
}

static void test_foreign_files(void **state)
{
	const struct fixture *fixture = *state;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1000 } };
	int proc_fd = fixture->process.proc_fd;

	write_text(fixture, "root/secret", 0, "1000 10 secret\n");
	assert_int_equal(symlinkat("../secret", proc_fd, FILE_NAME), 0);
	assert_string_equal(name_of(*state, 0x1000), "");
	assert_int_equal(unlinkat(proc_fd, FILE_NAME, 0), 0);
	assert_int_equal(mkfifoat(proc_fd, FILE_NAME, 0644), 0);
	assert_string_equal(name_of(*state, 0x1000), "");
	assert_int_equal(unlinkat(proc_fd, FILE_NAME, 0), 0);
	assert_int_equal(mkdirat(proc_fd, FILE_NAME, 0755), 0);
	assert_string_equal(name_of(*state, 0x1000), "");
	assert_int_equal(unlinkat(proc_fd, FILE_NAME, AT_REMOVEDIR), 0);

	write_map(*state, "1000 10 old\n");
	assert_int_equal(utimensat(proc_fd, FILE_NAME, times, 0), 0); /* before this boot */
	assert_string_equal(name_of(*state, 0x1000), "");
	assert_int_equal(unlinkat(proc_fd, FILE_NAME, 0), 0);
	write_map(*state, "1000 10 mine\n");
	assert_string_equal(name_of(*state, 0x1000), "mine");
}

/* root/tmp as a link: within the target's root it is followed, out of it it leads nowhere. */
static void test_linked_folder(void **state)
{
	const struct fixture *fixture = *state;
	int proc_fd = fixture->process.proc_fd;
	char outside[128];

	snprintf(outside, sizeof(outside), "%s/outside", fixture->dir);
	assert_int_equal(mkdirat(proc_fd, "outside", 0755), 0);
	write_text(fixture, "outside/perf-7.map", 0, "1000 10 outside\n");
	assert_int_equal(unlinkat(proc_fd, "root/tmp", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat(outside, proc_fd, "root/tmp"), 0);
	assert_string_equal(name_of(*state, 0x1000), "");
	assert_int_equal(unlinkat(proc_fd, "root/tmp", 0), 0);
	assert_int_equal(symlinkat("../outside", proc_fd, "root/tmp"), 0);
	assert_string_equal(name_of(*state, 0x1000), "");
	assert_int_equal(unlinkat(proc_fd, "root/tmp", 0), 0);
	assert_int_equal(symlinkat("/private", proc_fd, "root/tmp"), 0);
	assert_int_equal(mkdirat(proc_fd, "root/private", 0755), 0);
	write_text(fixture, "root/private/perf-7.map", 0, "1000 10 inside\n");
	assert_string_equal(name_of(*state, 0x1000), "inside");
}

/* For a process of another user: only its own files and root's. */
static void test_owner(void **state)
{
	struct fixture *fixture = *state;
	struct lt_perfmap *map;
	struct lt_source_frame frame;
	char status[64];

	snprintf(status, sizeof(status), "\nUid:\t0\t%d\t0\t0\n", OTHER_USER);
	write_text(fixture, "status", O_TRUNC, status);
	assert_int_equal(lt_perfmap_new(&map, &fixture->process), 0);
	write_map(fixture, "1000 10 x\n");
	assert_int_equal(lt_perfmap_lookup(map, 0x1000, &frame), geteuid() == 0);
	if (geteuid() == 0) { /* chown() is root's */
		assert_int_equal(fchownat(fixture->process.proc_fd, FILE_NAME, OTHER_USER, 0, 0),
				 0);
		write_map(fixture, "1000 10 y\n");
		assert_true(lt_perfmap_lookup(map, 0x1000, &frame));
		assert_string_equal(frame.function, "y");
		assert_int_equal(
			fchownat(fixture->process.proc_fd, FILE_NAME, OTHER_USER + 1, 0, 0), 0);
		write_map(fixture, "2000 10 z\n");
		assert_false(lt_perfmap_lookup(map, 0x2000, &frame));
	}
	lt_perfmap_free(map);
}

/* After setresuid(): the file is the new user's. */
static void test_owner_changes(void **state)
{
	struct fixture *fixture = *state;
	uid_t owner = geteuid() ? geteuid() : OTHER_USER;
	struct lt_perfmap *map;
	struct lt_source_frame frame;
	char status[64];

	snprintf(status, sizeof(status), "\nUid:\t0\t%d\t0\t0\n", (int)owner + 1);
	write_text(fixture, "status", O_TRUNC, status);
	assert_int_equal(lt_perfmap_new(&map, &fixture->process), 0);
	write_map(fixture, "1000 10 x\n");
	if (geteuid() == 0) /* root's own file would be taken */
		assert_int_equal(fchownat(fixture->process.proc_fd, FILE_NAME, owner, 0, 0), 0);
	assert_false(lt_perfmap_lookup(map, 0x1000, &frame));
	snprintf(status, sizeof(status), "\nUid:\t0\t%d\t0\t0\n", (int)owner);
	write_text(fixture, "status", O_TRUNC, status);
	assert_true(lt_perfmap_lookup(map, 0x1000, &frame));
	append_map(fixture, "2000 10 y\n");
	assert_int_equal(unlinkat(fixture->process.proc_fd, "status", 0), 0); /* it has ended */
	assert_true(lt_perfmap_lookup(map, 0x2000, &frame));
	lt_perfmap_free(map);
}

/* A file that is there and not read is worth a word, and only one. */
static void test_warning(void **state)
{
	const struct fixture *fixture = *state;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1000 } };
	int err_fd = dup(STDERR_FILENO), log_fd = memfd_create("log", MFD_CLOEXEC);
	char log[512] = "";

	write_map(fixture, "1000 10 old\n");
	assert_int_equal(utimensat(fixture->process.proc_fd, FILE_NAME, times, 0), 0);
	assert_true(dup2(log_fd, STDERR_FILENO) >= 0);
	for (int i = 0; i < 3; i++)
		assert_string_equal(name_of(*state, 0x1000), "");
	assert_true(dup2(err_fd, STDERR_FILENO) >= 0);
	assert_true(pread(log_fd, log, sizeof(log) - 1, 0) > 0);
	assert_string_equal(log, "leaktrace: warning: /tmp/perf-7.map of the target is not read: "
				 "it is older than the process\n");
	close(err_fd);
	close(log_fd);
}

static void test_no_process(void **state)
{
	struct fixture *fixture = *state;
	struct lt_perfmap *map;

	write_text(fixture, "status", O_TRUNC, "Name:\tx\n");
	assert_int_equal(lt_perfmap_new(&map, &fixture->process), -EBADMSG);
	assert_int_equal(unlinkat(fixture->process.proc_fd, "status", 0), 0);
	assert_int_equal(lt_perfmap_new(&map, &fixture->process), -ENOENT);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lines),         TEST(test_nonsense_lines),
		TEST(test_overlaps),      TEST(test_overlaps_at_random),
		TEST(test_rewritten),     TEST(test_swapped),
		TEST(test_owner_changes), TEST(test_warning),
		TEST(test_long_lines),    TEST(test_many_lines),
		TEST(test_huge_file),     TEST(test_foreign_files),
		TEST(test_linked_folder), TEST(test_owner),
		TEST(test_no_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
