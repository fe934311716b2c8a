// SPDX-License-Identifier: GPL-2.0-or-later
#include "elf/gosegments.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "unit/elf/gomake.h"

static int open_bytes(const void *bytes, size_t size, off_t length, struct lt_gosegments *segments)
{
	_lt_close_ int fd = memfd_create("go", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	assert_int_equal(ftruncate(fd, length), 0);
	return lt_gosegments_open(segments, fd);
}

static bool count_visit(void *context, uint64_t address, const uint8_t *bytes)
{
	size_t *count = context;

	++*count;
	return false;
}

static bool find_mark(void *context, uint64_t address, const uint8_t *bytes)
{
	uint64_t *found = context;

	*found = address;
	return !memcmp(bytes, "0123456789abcdef", 16);
}

/* A segment of several chunks: everything is seen once, also over the edge of a chunk. */
static void test_search(void **state)
{
	enum { SIZE = 0x30000, MARK = 0x10000 - 8 };
	static struct go_file made;
	struct lt_gosegments segments;
	Elf64_Phdr *headers = (Elf64_Phdr *)(made.bytes + sizeof(Elf64_Ehdr));
	uint64_t found = 0;
	size_t count = 0;

	go_make_file(&made, 22);
	headers[2].p_filesz = SIZE;
	assert_int_equal(open_bytes(made.bytes, sizeof(made.bytes), GO_AT_DATA + SIZE, &segments),
			 0);
	assert_int_equal(lt_gosegments_search(&segments, PF_W, 8, 16, count_visit, &count), 0);
	assert_int_equal(count, (SIZE - 16) / 8 + 1);
	count = 0; /* no segment is both */
	assert_int_equal(lt_gosegments_search(&segments, PF_W | PF_X, 8, 8, count_visit, &count),
			 0);
	assert_int_equal(count, 0);
	assert_int_equal(lt_gosegments_search(&segments, PF_W, 8, 16, find_mark, &found), 0);
	assert_int_equal(found, GO_DATA + SIZE - 16);
	assert_int_equal(ftruncate(segments.fd, GO_AT_DATA + MARK + 16), 0);
	assert_int_equal(pwrite(segments.fd, "0123456789abcdef", 16, GO_AT_DATA + MARK), 16);
	assert_int_equal(lt_gosegments_search(&segments, PF_W, 8, 16, find_mark, &found), 1);
	assert_int_equal(found, GO_DATA + MARK);
	lt_gosegments_close(&segments);
}

/* A note of Go's behind another one. */
static void test_note(void **state)
{
	static struct go_file made;
	struct lt_gosegments segments;
	Elf64_Phdr *headers = (Elf64_Phdr *)(made.bytes + sizeof(Elf64_Ehdr));
	static const struct {
		Elf64_Nhdr first;
		char name[4], text[8];
		Elf64_Nhdr second;
		char name2[4], text2[12];
	} notes = { { 4, 5, 1 }, "GNU", "12345", { 4, 9, 4 }, "Go", "build-id" };

	go_make_file(&made, 22);
	assert_int_equal(open_bytes(made.bytes, sizeof(made.bytes), sizeof(made.bytes), &segments),
			 0);
	assert_false(lt_gosegments_note(&segments, "Go"));
	lt_gosegments_close(&segments);
	memcpy(made.bytes + GO_AT_NAMES, &notes, sizeof(notes));
	headers[3] = (Elf64_Phdr){ .p_type = PT_NOTE,
				   .p_offset = GO_AT_NAMES,
				   .p_filesz = sizeof(notes) };
	assert_int_equal(open_bytes(made.bytes, sizeof(made.bytes), sizeof(made.bytes), &segments),
			 0);
	assert_true(lt_gosegments_note(&segments, "Go"));
	assert_true(lt_gosegments_note(&segments, "GNU"));
	assert_false(lt_gosegments_note(&segments, "G"));
	lt_gosegments_close(&segments);
}

/* Segments that cannot be are left out; too many headers are no program. */
static void test_hostile(void **state)
{
	static struct go_file made;
	struct lt_gosegments segments;
	Elf64_Phdr *headers = (Elf64_Phdr *)(made.bytes + sizeof(Elf64_Ehdr));

	go_make_file(&made, 22);
	headers[0].p_filesz = UINT64_MAX;
	headers[1].p_vaddr = UINT64_MAX - 4;
	headers[2].p_offset = INT64_MAX;
	assert_int_equal(open_bytes(made.bytes, sizeof(made.bytes), sizeof(made.bytes), &segments),
			 0);
	assert_int_equal(segments.count, 0);
	assert_null(lt_gosegments_at(&segments, GO_TEXT));
	assert_int_equal(lt_gosegments_relocate(&segments), 0);
	lt_gosegments_close(&segments);
	go_file_set(&made, offsetof(Elf64_Ehdr, e_phnum), 0xffff, 2);
	assert_int_equal(open_bytes(made.bytes, sizeof(made.bytes), 8 << 20, &segments), -ENODATA);
	lt_gosegments_close(&segments);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_note),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
