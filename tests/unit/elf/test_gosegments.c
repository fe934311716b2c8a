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
	assert_int_equal(
		lt_gosegments_search(&segments, PF_W, UINT64_MAX, 8, 16, count_visit, &count), 0);
	assert_int_equal(count, (SIZE - 16) / 8 + 1);
	count = 0; /* no more than what is asked for, in whole chunks */
	assert_int_equal(lt_gosegments_search(&segments, PF_W, 0x10000, 8, 16, count_visit, &count),
			 0);
	assert_int_equal(count, 0x10000 / 8);
	count = 0; /* no segment is both */
	assert_int_equal(
		lt_gosegments_search(&segments, PF_W | PF_X, UINT64_MAX, 8, 8, count_visit, &count),
		0);
	assert_int_equal(count, 0);
	assert_int_equal(
		lt_gosegments_search(&segments, PF_W, UINT64_MAX, 8, 16, find_mark, &found), 0);
	assert_int_equal(found, GO_DATA + SIZE - 16);
	assert_int_equal(ftruncate(segments.fd, GO_AT_DATA + MARK + 16), 0);
	assert_int_equal(pwrite(segments.fd, "0123456789abcdef", 16, GO_AT_DATA + MARK), 16);
	assert_int_equal(
		lt_gosegments_search(&segments, PF_W, UINT64_MAX, 8, 16, find_mark, &found), 1);
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

/* Segments that cannot be, or as no linker lays them out; too many headers. */
static void test_hostile(void **state)
{
	enum { PAGE = 4096 };
	static const struct {
		int err, index;
		Elf64_Phdr header;
	} cases[] = {
		{ -ENODATA, 0, { .p_vaddr = GO_TEXT, .p_filesz = UINT64_MAX } },
		{ -ENODATA, 0, { .p_vaddr = GO_TEXT, .p_filesz = (4ULL << 30) + 1 } },
		{ -ENODATA, 2, { .p_vaddr = UINT64_MAX - 4, .p_filesz = 8 } },
		{ -ENODATA, 2, { .p_vaddr = GO_DATA, .p_offset = INT64_MAX, .p_filesz = 8 } },
		/* Not behind the one before it. */
		{ -ENODATA, 2, { .p_vaddr = GO_RODATA, .p_offset = GO_AT_DATA, .p_filesz = 8 } },
		{ -ENODATA, 2, { .p_vaddr = GO_TEXT - 8, .p_offset = GO_AT_DATA, .p_filesz = 8 } },
		/* Bytes of two segments: up to a page of them may be. */
		{ 0, 0, { .p_vaddr = GO_TEXT, .p_offset = GO_AT_DATA, .p_filesz = PAGE } },
		{ 0, 0, { .p_vaddr = GO_TEXT, .p_offset = GO_AT_DATA + PAGE, .p_filesz = PAGE } },
		{ -ENODATA,
		  0,
		  { .p_vaddr = GO_TEXT, .p_offset = GO_AT_DATA, .p_filesz = PAGE + 1 } },
		{ 0, 0, { .p_vaddr = GO_TEXT, .p_offset = 1 << 20, .p_filesz = PAGE + 1 } },
	};
	static struct go_file made;
	struct lt_gosegments segments;
	Elf64_Phdr *headers = (Elf64_Phdr *)(made.bytes + sizeof(Elf64_Ehdr));

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		go_make_file(&made, 22);
		headers[2].p_filesz = 2 * PAGE;
		headers[cases[i].index] = cases[i].header;
		headers[cases[i].index].p_type = PT_LOAD;
		assert_int_equal(
			open_bytes(made.bytes, sizeof(made.bytes), sizeof(made.bytes), &segments),
			cases[i].err);
		lt_gosegments_close(&segments);
	}
	go_file_set(&made, offsetof(Elf64_Ehdr, e_phnum), 0xffff, 2);
	assert_int_equal(open_bytes(made.bytes, sizeof(made.bytes), 8 << 20, &segments), -ENODATA);
	lt_gosegments_close(&segments);
}

/* As many as there are addresses, however often they are told. */
static void test_relocations(void **state)
{
	enum { COUNT = 100, DISTINCT = 10 };
	const Elf64_Dyn dynamic[] = { { DT_RELA, { GO_DATA } },
				      { DT_RELASZ, { COUNT * sizeof(Elf64_Rela) } } };
	static struct go_file made;
	struct lt_gosegments segments;
	Elf64_Phdr *headers = (Elf64_Phdr *)(made.bytes + sizeof(Elf64_Ehdr));
	uint64_t word;

	go_make_file(&made, 22);
	headers[2].p_filesz = 0x2000;
	headers[3].p_type = PT_DYNAMIC;
	headers[3].p_vaddr = GO_RODATA;
	memcpy(made.bytes + GO_AT_RODATA, dynamic, sizeof(dynamic));
	for (size_t i = 0; i < COUNT; i++) {
		const Elf64_Rela rela = { .r_offset = GO_DATA + 0x1000 + i % DISTINCT * 8,
					  .r_info = i % 2 ? R_X86_64_RELATIVE : R_X86_64_NONE,
					  .r_addend = (int64_t)(i % DISTINCT) };

		memcpy(made.bytes + GO_AT_DATA + i * sizeof(rela), &rela, sizeof(rela));
	}
	assert_int_equal(open_bytes(made.bytes, sizeof(made.bytes), 1 << 20, &segments), 0);
	assert_int_equal(lt_gosegments_relocate(&segments), 0);
	assert_int_equal(segments.relocation_count, DISTINCT / 2);
	for (uint64_t i = 0; i < DISTINCT; i++) {
		assert_int_equal(lt_gosegments_read(&segments, GO_DATA + 0x1000 + i * 8, &word, 8),
				 8);
		assert_int_equal(word, i % 2 ? i : 0);
	}
	lt_gosegments_close(&segments);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_note),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_relocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
