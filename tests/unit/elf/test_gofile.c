// SPDX-License-Identifier: GPL-2.0-or-later
#include "elf/gofile.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "leaktrace/limits.h"
#include "unit/elf/gomake.h"

static int open_bytes(const void *bytes, size_t size, struct lt_gofile **file, const char **reason)
{
	_lt_close_ int fd = memfd_create("go", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	return lt_gofile_open(file, fd, reason);
}

static int open_made(const struct go_file *made, struct lt_gofile **file)
{
	const char *reason = NULL;
	int err = open_bytes(made->bytes, sizeof(made->bytes), file, &reason);

	assert_int_equal(reason != NULL, err == -ENOTSUP);
	return err;
}

/* The file says what was put into it, and its calls are expanded. */
static void assert_found(const struct lt_gofile *file, const char *version, unsigned int minor)
{
	const struct lt_gofile_info *info = lt_gofile_info(file);
	struct lt_source_frame frames[LT_MAX_INLINE_DEPTH];
	uint64_t word;
	size_t count;

	assert_string_equal(info->version, version);
	assert_int_equal(info->minor, minor);
	assert_int_equal(info->module.address, GO_MODULE);
	assert_int_equal(info->module.pclntab, GO_TABLE);
	assert_int_equal(info->module.text.start, GO_TEXT);
	assert_int_equal(info->module.text.end, GO_TEXT + GO_TEXT_SIZE);
	assert_int_equal(info->module.noptrdata.start, GO_DATA);
	assert_int_equal(info->module.noptrbss.end, GO_DATA + 0x40);
	assert_true(lt_gopclntab_frames(lt_gofile_pclntab(file), GO_TEXT + 0x15, frames, &count));
	assert_int_equal(count, 3);
	assert_string_equal(frames[0].function, "main.leaf");
	assert_int_equal(lt_gofile_read(file, GO_MODULE, &word, sizeof(word)), sizeof(word));
	assert_int_equal(word, GO_TABLE);
	assert_true(lt_gofile_memory(file) > info->module.pclntab_size);
}

static void test_versions(void **state)
{
	static struct go_file made;
	struct lt_gofile *file;
	char version[16];

	for (unsigned int minor = 15; minor < 30; minor++)
		for (int kind = 0; kind < 4; kind++) {
			go_make_file(&made, minor);
			if (kind & 1)
				go_file_sections(&made, true);
			if (kind & 2)
				go_file_relocate(&made);
			snprintf(version, sizeof(version), "go1.%u.3", minor);
			assert_int_equal(open_made(&made, &file), 0);
			assert_found(file, version, minor);
			lt_gofile_close(file);
		}
}

static void test_version_texts(void **state)
{
	static const struct {
		const char *text, *told;
		unsigned int minor;
	} texts[] = {
		{ "devel go1.24-abcdef Mon", "devel go1.24-abcdef Mon", 24 },
		{ "go1.23.5 X:boringcrypto", "go1.23.5 X:boringcrypto", 23 },
		{ "go1.999999999999999999999", "go1.999999999999999999999", 0 },
		{ "devel +abc", "devel +abc", 0 },
		{ "go1.16", "go1.16", 0 }, /* of another table */
		{ "go1.22\n\x1b[m", "go1.22??[m", 22 },
		{ "", "", 0 },
	};
	static struct go_file made;
	struct lt_gofile *file;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		go_make_file(&made, 22);
		go_file_build_info(&made, texts[i].text, false);
		assert_int_equal(open_made(&made, &file), 0);
		assert_found(file, texts[i].told, texts[i].minor);
		lt_gofile_close(file);
	}
}

/* A plugin says no version, but has sections; where funcdata are is found all the same. */
static void test_no_version(void **state)
{
	static const unsigned int minors[] = { 15, 17, 19, 22, 26, 27 };
	static struct go_file made;
	struct lt_gofile *file;

	for (size_t i = 0; i < 6; i++) {
		go_make_file(&made, minors[i]);
		go_file_sections(&made, true);
		memset(made.bytes + GO_AT_DATA, 0, 32);
		assert_int_equal(open_made(&made, &file), 0);
		assert_found(file, "", 0);
		lt_gofile_close(file);
	}
}

/* As the runtime prints it: funcNameForPrint() */
static void test_generic_name(void **state)
{
	struct lt_source_frame frames[LT_MAX_INLINE_DEPTH];
	static struct go_file made;
	struct lt_gofile *file;
	size_t count;

	go_make_file(&made, 22);
	assert_int_equal(open_made(&made, &file), 0);
	assert_true(lt_gopclntab_frames(lt_gofile_pclntab(file), GO_TEXT + 0x10, frames, &count));
	assert_string_equal(frames[0].function, "main.inner[...]");
	assert_true(lt_gopclntab_frames(lt_gofile_pclntab(file), GO_TEXT + 0x14, frames, &count));
	assert_string_equal(frames[0].function, "main.leaf");
	lt_gofile_close(file);
}

static void test_read(void **state)
{
	static struct go_file made;
	struct lt_gofile *file;
	uint8_t bytes[16];
	uint64_t word;

	go_make_file(&made, 22);
	go_file_relocate(&made);
	assert_int_equal(open_made(&made, &file), 0);
	/* Parts of a relocated word. */
	for (size_t from = 1; from < 8; from++) {
		assert_int_equal(lt_gofile_read(file, GO_MODULE + from, &word, 8), 8);
		assert_int_equal(word << from * 8 >> from * 8, (uint64_t)GO_TABLE >> from * 8);
		word = 0;
		assert_int_equal(lt_gofile_read(file, GO_MODULE, &word, from), from);
		assert_int_equal(word, GO_TABLE & ((1ULL << from * 8) - 1));
	}
	assert_int_equal(lt_gofile_read(file, GO_TEXT + GO_TEXT_SIZE - 3, bytes, 16), 3);
	assert_int_equal(bytes[2], 0xcc);
	assert_int_equal(lt_gofile_read(file, GO_TEXT + GO_TEXT_SIZE, bytes, 1), -EFAULT);
	assert_int_equal(lt_gofile_read(file, UINT64_MAX, bytes, 1), -EFAULT);
	lt_gofile_close(file);
}

static void test_no_go(void **state)
{
	static struct go_file made;
	struct lt_gofile *file = NULL;
	_lt_close_ int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_int_equal(lt_gofile_open(&file, self, NULL), -ENODATA);
	assert_int_equal(open_bytes("", 0, &file, NULL), -ENODATA);
	assert_int_equal(open_bytes("#!/bin/sh", 9, &file, NULL), -ENODATA);
	/* Sections that speak of no Go are believed. */
	go_make_file(&made, 22);
	go_file_sections(&made, false);
	assert_int_equal(open_made(&made, &file), -ENODATA);
	go_make_file(&made, 22);
	made.bytes[GO_AT_DATA] = 0;
	assert_int_equal(open_made(&made, &file), -ENODATA);
	assert_null(file);
}

/* Other machines: e_ident, then e_machine. */
static void test_other_machines(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} changes[] = { { EI_CLASS, ELFCLASS32 },
			{ EI_DATA, ELFDATA2MSB },
			{ offsetof(Elf64_Ehdr, e_machine), EM_AARCH64 },
			{ offsetof(Elf64_Ehdr, e_type), ET_REL },
			{ offsetof(Elf64_Ehdr, e_phentsize), 55 } };
	static struct go_file made;
	struct lt_gofile *file;

	for (size_t i = 0; i < 5; i++) {
		go_make_file(&made, 22);
		made.bytes[changes[i].at] = changes[i].value;
		assert_int_equal(open_made(&made, &file), -ENODATA);
	}
}

static void test_refused(void **state)
{
	static struct go_file made;
	struct lt_gofile *file = NULL;

	go_make_file(&made, 22); /* a table that nothing points at */
	go_file_set(&made, GO_AT_MODULE, 0, 8);
	assert_int_equal(open_made(&made, &file), -ENOTSUP);
	go_make_file(&made, 22); /* text that is no code */
	go_file_set(&made, GO_AT_MODULE + 176, GO_DATA, 8);
	assert_int_equal(open_made(&made, &file), -ENOTSUP);
	go_make_file(&made, 22); /* a magic of the future */
	made.bytes[GO_AT_RODATA + GO_TABLE - GO_RODATA] = 0xf2;
	assert_int_equal(open_made(&made, &file), -ENOTSUP);
	go_make_file(&made, 22); /* functions behind its end */
	go_file_set(&made, GO_AT_RODATA + GO_TABLE - GO_RODATA + 8, 1000, 8);
	assert_int_equal(open_made(&made, &file), -ENOTSUP);
	go_make_file(&made, 15);
	go_file_build_info(&made, "go1.14.2", true);
	assert_int_equal(open_made(&made, &file), -ENOTSUP);
	go_make_file(&made, 22);
	go_file_set(&made, GO_AT_MODULE + 112, LT_MAX_GO_TABLE, 8);
	assert_int_equal(open_made(&made, &file), -E2BIG);
	assert_null(file);
}

/* Words that look as if they began a moduledata are looked into, but not without end. */
static void test_candidates(void **state)
{
	enum { MOST = 4096, GAP = 512 };
	static uint8_t bytes[GO_AT_SECTIONS + MOST * 8 + GAP + GO_AT_SECTIONS - GO_AT_MODULE];
	static const uint64_t candidate = GO_TABLE;
	static struct go_file made;
	struct lt_gofile *file;
	Elf64_Phdr *headers = (Elf64_Phdr *)(made.bytes + sizeof(Elf64_Ehdr));
	const char *reason = NULL;

	go_make_file(&made, 22);
	headers[2].p_filesz = sizeof(bytes) - GO_AT_DATA;
	memcpy(bytes, made.bytes, GO_AT_SECTIONS);
	memcpy(bytes + GO_AT_SECTIONS + MOST * 8 + GAP, bytes + GO_AT_MODULE,
	       GO_AT_SECTIONS - GO_AT_MODULE);
	memset(bytes + GO_AT_MODULE, 0, GO_AT_SECTIONS - GO_AT_MODULE);
	for (size_t i = 0; i < MOST - 1; i++)
		memcpy(bytes + GO_AT_SECTIONS + i * 8, &candidate, 8);
	assert_int_equal(open_bytes(bytes, sizeof(bytes), &file, &reason), 0);
	assert_int_equal(lt_gofile_info(file)->module.address,
			 GO_DATA - GO_AT_DATA + GO_AT_SECTIONS + MOST * 8 + GAP);
	lt_gofile_close(file);
	memcpy(bytes + GO_AT_SECTIONS + (MOST - 1) * 8, &candidate, 8);
	assert_int_equal(open_bytes(bytes, sizeof(bytes), &file, &reason), -ENOTSUP);
	assert_non_null(reason);
}

/* A file that is shorter than it says. */
static void test_cut_short(void **state)
{
	static struct go_file made;
	struct lt_gofile *file;

	go_make_file(&made, 26);
	go_file_relocate(&made);
	for (size_t size = 0; size < GO_AT_RELA; size += 7)
		assert_true(open_bytes(made.bytes, size, &file, NULL) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),   cmocka_unit_test(test_version_texts),
		cmocka_unit_test(test_no_version), cmocka_unit_test(test_generic_name),
		cmocka_unit_test(test_read),       cmocka_unit_test(test_no_go),
		cmocka_unit_test(test_refused),    cmocka_unit_test(test_other_machines),
		cmocka_unit_test(test_cut_short),  cmocka_unit_test(test_candidates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
