// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/maps.h"
#include "unit/proc/child.h"

static int parse(const char *text, struct lt_maps *maps)
{
	return lt_maps_parse(text, strlen(text), maps);
}

static void test_fields(void **state)
{
	struct lt_maps maps;

	assert_int_equal(parse("7f0000001000-7f0000003000 r-xp 00002000 fe:1f 4711       "
			       "         /usr/lib/lib c.so\n"
			       "7f0000003000-7f0000004000 ---s 00000000 00:00 0 \n"
			       "7ffff0000000-7ffff0001000 rw-p 00000000 00:00 0    [vdso]\n",
			       &maps),
			 0);
	assert_int_equal(maps.count, 3);
	assert_int_equal(maps.entries[0].start, 0x7f0000001000);
	assert_int_equal(maps.entries[0].end, 0x7f0000003000);
	assert_int_equal(maps.entries[0].file_offset, 0x2000);
	assert_int_equal(maps.entries[0].device, makedev(0xfe, 0x1f));
	assert_int_equal(maps.entries[0].inode, 4711);
	assert_true(maps.entries[0].readable && maps.entries[0].executable);
	assert_false(maps.entries[0].writable || maps.entries[0].shared);
	assert_string_equal(maps.entries[0].path, "/usr/lib/lib c.so");
	assert_true(maps.entries[1].shared);
	assert_string_equal(maps.entries[1].path, "");
	assert_string_equal(maps.entries[2].path, "[vdso]");
	lt_maps_free(&maps);
	assert_int_equal(maps.count, 0);
}

static const struct {
	const char *shown, *path;
	uint64_t inode;
	bool deleted;
} paths[] = {
	{ "/tmp/x (deleted)", "/tmp/x", 7, true },
	{ "/tmp/x (deleted) (deleted)", "/tmp/x (deleted)", 7, true },
	{ "/tmp/a\\012b", "/tmp/a\nb", 7, false },
	{ "/tmp/a\\040b\\", "/tmp/a\\040b\\", 7, false }, /* the kernel escapes newlines alone */
	{ "/tmp/x\\01", "/tmp/x\\01", 7, false },
	{ "/memfd:jit (deleted)", "/memfd:jit", 7, true },
	{ "[anon:x (deleted)", "[anon:x (deleted)", 0, false },
	{ "/\xff\x1b[31m", "/\xff\x1b[31m", 7, false },
	{ "/trailing ", "/trailing ", 7, false },
};

static void test_paths(void **state)
{
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct lt_maps maps;
		char line[256];

		snprintf(line, sizeof(line), "1000-2000 r--p 00000000 08:01 %d      %s\n",
			 (int)paths[i].inode, paths[i].shown);
		assert_int_equal(parse(line, &maps), 0);
		assert_string_equal(maps.entries[0].path, paths[i].path);
		assert_int_equal(maps.entries[0].deleted, paths[i].deleted);
		lt_maps_free(&maps);
	}
}

static const char *const nonsense[] = {
	"1000-2000 r--p 00000000 08:01 7 /no/newline",
	"1000-2000 r--p 00000000 08:01\n",
	"1000-2000 r--q 00000000 08:01 7 /x\n",
	"1000 2000 r--p 00000000 08:01 7 /x\n",
	"2000-1000 r--p 00000000 08:01 7 /x\n",
	"1000-1000 r--p 00000000 08:01 7 /x\n",
	"10000000000000000-2000 r--p 00000000 08:01 7 /x\n",
	"1000-2000 r--p 00000000 08:01 99999999999999999999999 /x\n",
	"1000-2000 r--p 00000000 100000000:01 7 /x\n",
	"1000-2000 r--p 00000000 08:01 7x\n",
	"\n",
	"1000-2000 r--p 00000000 08:01 7 /x\n\n",
};

static void test_nonsense(void **state)
{
	static const char with_nul[] = "1000-2000 r--p 00000000 08:01 7 /a\0b\n";
	struct lt_maps maps = { .count = 77 };

	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++)
		assert_int_equal(parse(nonsense[i], &maps), -EBADMSG);
	assert_int_equal(lt_maps_parse(with_nul, sizeof(with_nul) - 1, &maps), -EBADMSG);
	assert_int_equal(maps.count, 77); /* untouched */
	assert_int_equal(parse("", &maps), 0);
	assert_int_equal(maps.count, 0);
	assert_null(lt_maps_find(&maps, 0));
}

static void test_long_path(void **state)
{
	static char line[70000];
	struct lt_maps maps;
	int len = snprintf(line, sizeof(line), "1000-2000 r--p 00000000 08:01 7 /");

	memset(line + len, 'x', 65536);
	line[len + 65536] = '\n';
	assert_int_equal(lt_maps_parse(line, (size_t)len + 65537, &maps), 0);
	assert_int_equal(strlen(maps.entries[0].path), 65537);
	lt_maps_free(&maps);
}

/* Mappings that merged while the file was read */
static void test_overlap(void **state)
{
	struct lt_maps maps;

	assert_int_equal(parse("1000-3000 r--p 0 00:00 0\n"
			       "3000-4000 r--p 0 00:00 0\n"
			       "5000-6000 r--p 0 00:00 0\n"
			       "2000-7000 rw-p 0 00:00 0\n",
			       &maps),
			 0);
	assert_int_equal(maps.count, 2);
	assert_int_equal(maps.entries[0].end, 0x2000);
	assert_ptr_equal(lt_maps_find(&maps, 0x1fff), &maps.entries[0]);
	assert_ptr_equal(lt_maps_find(&maps, 0x2000), &maps.entries[1]);
	assert_ptr_equal(lt_maps_find(&maps, 0x6fff), &maps.entries[1]);
	assert_null(lt_maps_find(&maps, 0x7000));
	assert_null(lt_maps_find(&maps, 0xfff));
	lt_maps_free(&maps);
}

/* A file with spaces and a newline in its name, mapped, deleted, and replaced by another one */
static void test_open_deleted(void **state)
{
	char directory[] = "/tmp/leaktrace-maps-XXXXXX", name[128], byte = 'x';
	_lt_close_ int fd = -1, replaced = -1, opened = -1;
	const struct lt_mapping *mapping;
	struct lt_process process;
	struct stat before, after;
	struct lt_maps maps;
	void *page;

	assert_non_null(mkdtemp(directory));
	snprintf(name, sizeof(name), "%s/a b\nc", directory);
	fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, &byte, 1), 1);
	page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(unlink(name), 0);
	replaced = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(replaced >= 0);

	assert_int_equal(lt_process_open(getpid(), &process), 0);
	assert_int_equal(lt_maps_read(&process, &maps), 0);
	mapping = lt_maps_find(&maps, (uintptr_t)page);
	assert_non_null(mapping);
	assert_true(mapping->deleted);
	assert_string_equal(mapping->path, name);
	opened = lt_maps_open_file(&process, mapping);
	if (geteuid() == 0) {
		assert_true(opened >= 0);
		assert_int_equal(fstat(fd, &before), 0);
		assert_int_equal(fstat(opened, &after), 0);
		assert_int_equal(after.st_ino, before.st_ino);
	} else { /* map_files needs rights; the name is now another file's */
		assert_true(opened == -ESTALE || opened >= 0);
	}
	mapping = lt_maps_find(&maps, (uintptr_t)__builtin_frame_address(0));
	assert_int_equal(lt_maps_open_file(&process, mapping), -ENOENT);
	lt_maps_free(&maps);
	lt_process_close(&process);
	munmap(page, 4096);
	unlink(name);
	rmdir(directory);
}

/* What is mapped there since the mappings were read is not taken for what was. */
static void test_open_replaced(void **state)
{
	char first[] = "/tmp/leaktrace-maps-XXXXXX", second[] = "/tmp/leaktrace-maps-XXXXXX";
	_lt_close_ int fd = mkstemp(first), other = mkstemp(second);
	const struct lt_mapping *mapping;
	struct lt_process process;
	struct lt_maps maps;
	void *page;

	assert_true(fd >= 0 && other >= 0);
	assert_int_equal(write(fd, "1", 1), 1);
	assert_int_equal(write(other, "2", 1), 1);
	page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(lt_process_open(getpid(), &process), 0);
	assert_int_equal(lt_maps_read(&process, &maps), 0);
	mapping = lt_maps_find(&maps, (uintptr_t)page);
	assert_ptr_equal(mmap(page, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, other, 0), page);
	assert_int_equal(unlink(first), 0);
	/* Without rights to map_files the name is tried, which is no more. */
	assert_true(lt_maps_open_file(&process, mapping) < 0);
	lt_maps_free(&maps);
	lt_process_close(&process);
	munmap(page, 4096);
	unlink(second);
}

/* No device is opened, whatever the target maps. */
static void test_open_device(void **state)
{
	struct lt_process process;
	struct lt_maps maps;
	void *page;
	_lt_close_ int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);

	page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(lt_process_open(getpid(), &process), 0);
	assert_int_equal(lt_maps_read(&process, &maps), 0);
	assert_int_equal(lt_maps_open_file(&process, lt_maps_find(&maps, (uintptr_t)page)),
			 -ENOEXEC);
	lt_maps_free(&maps);
	lt_process_close(&process);
	munmap(page, 4096);
}

/* /proc/PID/maps shows nothing then. */
static void test_first_thread_gone(void **state)
{
	struct lt_maps maps = { 0 };
	struct child child;

	child_start(&child, child_end_first_thread, NULL);
	assert_int_equal(child.said, 'y');
	assert_int_equal(lt_maps_read(&child.process, &maps), 0);
	assert_non_null(lt_maps_find(&maps, (uintptr_t)child_end_first_thread));
	lt_maps_free(&maps);
	child_end(&child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_long_path),
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_open_deleted),
		cmocka_unit_test(test_open_replaced),
		cmocka_unit_test(test_open_device),
		cmocka_unit_test(test_first_thread_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
