// SPDX-License-Identifier: GPL-2.0-or-later
/* .eh_frame made by hand: what is left out, what is refused, and what becomes of the rest. */
#include <dwarf.h>
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "unit/elf/sound.h"

/* A file made by hand: code of two segments, sections by name. */
struct file {
	Elf64_Ehdr header;
	Elf64_Phdr segments[2];
	Elf64_Shdr sections[3];
	char names[16];
	uint8_t cfi[1 << 18];
};

#define CODE 0x100000

static const struct file no_cfi = {
	.header = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = offsetof(struct file, segments),
		.e_shoff = offsetof(struct file, sections),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 3,
		.e_shstrndx = 2,
	},
	.segments = {
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = CODE, .p_filesz = 0x1000 },
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = CODE + 0x4000, .p_filesz = 0x1000 },
	},
	.sections = {
		{ 0 },
		{ .sh_name = 1, .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC, .sh_addr = 0x2000,
		  .sh_offset = offsetof(struct file, cfi) },
		{ .sh_name = 11, .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct file, names),
		  .sh_size = sizeof(((struct file *)0)->names) },
	},
	.names = "\0.eh_frame\0.str",
};

/* Adds an entry to the section; returns where it stands. */
static uint32_t add_entry(struct file *file, uint32_t id, const void *body, size_t len)
{
	uint64_t at = file->sections[1].sh_size;
	uint32_t length = (uint32_t)(sizeof(id) + len);

	assert_true(at + sizeof(length) + length <= sizeof(file->cfi));
	memcpy(file->cfi + at, &length, sizeof(length));
	memcpy(file->cfi + at + 4, &id, sizeof(id));
	memcpy(file->cfi + at + 8, body, len);
	file->sections[1].sh_size += sizeof(length) + length;
	return (uint32_t)at;
}

/* CFA = RSP + 8, return address at CFA - 8; addresses are absolute and have 8 bytes. */
static void begin_cfi(struct file *file)
{
	static const uint8_t cie[] = { 1,
				       'z',
				       'R',
				       0,
				       1,
				       0x78,
				       16,
				       1,
				       DW_EH_PE_absptr,
				       DW_CFA_def_cfa,
				       7,
				       8,
				       DW_CFA_offset + 16,
				       1 };

	*file = no_cfi;
	assert_int_equal(add_entry(file, 0, cie, sizeof(cie)), 0);
}

static void add_fde(struct file *file, uint64_t start, uint64_t size, const void *program,
		    size_t len)
{
	uint32_t at = (uint32_t)file->sections[1].sh_size;
	uint8_t range[17] = { 0 };
	uint32_t length = (uint32_t)(4 + sizeof(range) + len);

	memcpy(range, &start, 8);
	memcpy(range + 8, &size, 8);
	add_entry(file, at + 4, range, sizeof(range));
	assert_true(at + 4 + length <= sizeof(file->cfi));
	memcpy(file->cfi + at, &length, sizeof(length));
	memcpy(file->cfi + at + 4 + length - len, program, len);
	file->sections[1].sh_size += len;
}

static int build(struct file *file, struct lt_unwind_table *table)
{
	return lt_ehframe_build_memory(file, sizeof(*file), table);
}

#define SP(offset) LT_RULE(LT_CFA_SP, 0, 0, offset)

/* Only what is in the segments counts, each FDE up to the end of its segment. */
static void test_segments(void **state)
{
	static const uint8_t program[] = { DW_CFA_advance_loc4,   0, 0x20, 0, 0,
					   DW_CFA_def_cfa_offset, 16 };
	struct lt_unwind_table table;
	static struct file file;

	begin_cfi(&file);
	add_fde(&file, CODE + 0x4800, 8, program, 0);
	add_fde(&file, CODE + 0xc10, 0x3800, program, sizeof(program));
	add_fde(&file, CODE + 0x2000, 0x4000, program, 0);
	add_fde(&file, 0, 100, program, 0);
	assert_int_equal(build(&file, &table), 0);
	assert_sound(&table);
	assert_int_equal(table.fde_count, 2);
	assert_int_equal(table.origin, CODE + 0xc00);
	assert_int_equal(table.page_count, (0x4808 - 0xc00) / LT_UNWIND_PAGE + 1);
	assert_int_equal(lt_unwind_table_rule(&table, CODE + 0xc0f), RULE_NONE);
	assert_int_equal(lt_unwind_table_rule(&table, CODE + 0xc10), SP(8));
	assert_int_equal(lt_unwind_table_rule(&table, CODE + 0xfff), SP(8));
	assert_int_equal(lt_unwind_table_rule(&table, CODE + 0x1000), RULE_NONE);
	assert_int_equal(lt_unwind_table_rule(&table, CODE + 0x2c10), RULE_NONE);
	assert_int_equal(lt_unwind_table_rule(&table, CODE + 0x47ff), RULE_NONE);
	assert_int_equal(lt_unwind_table_rule(&table, CODE + 0x4800), SP(8));
	assert_int_equal(lt_unwind_table_rule(&table, CODE + 0x4807), SP(8));
	assert_int_equal(lt_unwind_table_rule(&table, CODE + 0x4808), RULE_NONE);
	lt_unwind_table_free(&table);

	file.segments[1].p_vaddr += 8ULL << 30;
	add_fde(&file, file.segments[1].p_vaddr, 8, program, 0);
	assert_int_equal(build(&file, &table), -E2BIG);
}

/* An FDE over everything, and others in its way. */
static void test_huge_and_overlapping(void **state)
{
	static const uint8_t deeper[] = { DW_CFA_def_cfa_offset, 32 };
	struct lt_unwind_table table;
	static struct file file;

	begin_cfi(&file);
	add_fde(&file, CODE + 16, 1ULL << 62, "", 0);
	add_fde(&file, CODE, 16, deeper, sizeof(deeper));
	add_fde(&file, CODE + 8, 16, deeper, sizeof(deeper));
	add_fde(&file, CODE + 64, 16, deeper, sizeof(deeper));
	add_fde(&file, CODE + 128, UINT64_MAX, deeper, sizeof(deeper));
	assert_int_equal(build(&file, &table), 0);
	assert_sound(&table);
	assert_int_equal(table.fde_count, 2);
	assert_int_equal(table.skipped[LT_CFI_SKIP_BROKEN], 2);
	assert_int_equal(lt_unwind_table_rule(&table, CODE + 8), SP(32));
	assert_int_equal(lt_unwind_table_rule(&table, CODE + 16), SP(8));
	assert_int_equal(lt_unwind_table_rule(&table, CODE + 64), SP(8));
	assert_int_equal(lt_unwind_table_rule(&table, CODE + 0xfff), SP(8));
	assert_int_equal(table.row_count, 5);
	lt_unwind_table_free(&table);
}

/* Programs that libdw would die of, or that mean nothing: the range is known, not what holds. */
static void test_broken_programs(void **state)
{
	static const struct {
		uint8_t bytes[16];
		size_t len;
	} programs[] = {
		{ { DW_CFA_def_cfa }, 1 },
		{ { DW_CFA_def_cfa, 7, 0x80 }, 3 },
		{ { DW_CFA_def_cfa_offset, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
		    0x80, 1 },
		  12 },
		{ { DW_CFA_undefined, 0xff, 0xff, 0xff, 0x3f }, 5 }, /* 2 GiB of registers */
		{ { DW_CFA_register, 6, 0xff, 1 }, 4 },
		{ { DW_CFA_set_loc, 0, 0, 0, 0, 0, 0, 0, 0 }, 9 },
		{ { DW_CFA_advance_loc4, 0, 0, 0 }, 4 },
		{ { DW_CFA_def_cfa_expression, 0xff, 0x7f, 0x77, 8 }, 5 },
		{ { DW_CFA_expression, 6, 4, 0x77, 8 }, 5 },
		{ { DW_CFA_restore_state }, 1 },
		{ { DW_CFA_GNU_window_save }, 1 },
		{ { 0x3f }, 1 },
		{ { DW_CFA_def_cfa_expression, 2, 0x77, 8, DW_CFA_def_cfa_offset, 8 }, 6 },
		{ { DW_CFA_def_cfa_expression, 1, 0x03 }, 3 }, /* DW_OP_addr, cut off */
	};
	enum { COUNT = sizeof(programs) / sizeof(programs[0]) };
	struct lt_unwind_table table;
	static struct file file;

	begin_cfi(&file);
	for (size_t i = 0; i < COUNT; i++)
		add_fde(&file, CODE + i * 16, 8, programs[i].bytes, programs[i].len);
	add_fde(&file, CODE + COUNT * 16, 8, "", 0);
	assert_int_equal(build(&file, &table), 0);
	assert_sound(&table);
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(lt_unwind_table_rule(&table, CODE + i * 16),
				 LT_RULE(LT_CFA_UNSUPPORTED, 0, 0, 0));
		assert_int_equal(lt_unwind_table_rule(&table, CODE + i * 16 + 8), RULE_NONE);
	}
	assert_int_equal(lt_unwind_table_rule(&table, CODE + COUNT * 16), SP(8));
	assert_int_equal(table.fde_count, COUNT + 1);
	assert_int_equal(table.skipped[LT_CFI_SKIP_BROKEN], COUNT);
	lt_unwind_table_free(&table);
}

/* What would take libdw time or memory out of proportion. */
static void test_limits(void **state)
{
	static uint8_t program[200000];
	static struct file file;
	struct lt_unwind_table table;

	begin_cfi(&file);
	memset(program, DW_CFA_remember_state, 33);
	add_fde(&file, CODE, 8, program, 33);
	add_fde(&file, CODE + 8, 8, program, 32);
	memset(program, DW_CFA_advance_loc, sizeof(program));
	add_fde(&file, CODE + 16, 8, program, sizeof(program)); /* 200,000 rows of 200,000 steps */
	add_fde(&file, CODE + 24, 8, program, 1000);
	assert_int_equal(build(&file, &table), 0);
	assert_int_equal(table.fde_count, 4);
	assert_int_equal(table.skipped[LT_CFI_SKIP_BROKEN], 2);
	for (uint64_t at = 0; at < 32; at += 8)
		assert_int_equal(lt_unwind_table_rule(&table, CODE + at),
				 at % 16 ? SP(8) : LT_RULE(LT_CFA_UNSUPPORTED, 0, 0, 0));
	lt_unwind_table_free(&table);
}

/* Entries of which not even the range is known. */
static void test_broken_entries(void **state)
{
	static const uint8_t bad_cies[][16] = {
		{ 1, 'z', 'R', 0, 4, 0x78, 16, 1, DW_EH_PE_absptr }, /* code alignment */
		{ 1, 'z', 'R', 0, 1, 0x78, 16, 1, DW_EH_PE_indirect },
		{ 1, 'z', 'R', 0, 1, 0x78, 16, 1, DW_EH_PE_uleb128 },
		{ 1, 'z', 'Q', 0, 1, 0x78, 16, 1, 0 },
		{ 1, 'e', 'h', 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x78, 16 },
		{ 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0, DW_CFA_restore + 6 },
		{ 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0, DW_CFA_advance_loc + 6 },
		{ 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0, 0, 0, 0, 0, 0, 0, DW_CFA_undefined },
	};
	enum { COUNT = sizeof(bad_cies) / sizeof(bad_cies[0]) };
	uint8_t fde[24] = { 0 };
	uint64_t start = CODE, size = 8;
	struct lt_unwind_table table;
	static struct file file;

	begin_cfi(&file);
	memcpy(fde, &start, 8);
	memcpy(fde + 8, &size, 8);
	for (size_t i = 0; i < COUNT; i++) {
		uint32_t at = add_entry(&file, 0, bad_cies[i], sizeof(bad_cies[i]));

		add_entry(&file, (uint32_t)file.sections[1].sh_size + 4 - at, fde, sizeof(fde));
	}
	add_entry(&file, 0x7fffffff, fde, sizeof(fde)); /* before the section */
	add_entry(&file, (uint32_t)file.sections[1].sh_size, fde,
		  sizeof(fde));                                           /* inside of the CIE */
	add_entry(&file, (uint32_t)file.sections[1].sh_size + 4, fde, 7); /* cut off */
	assert_int_equal(build(&file, &table), -ENODATA);
	add_fde(&file, CODE + 8, 8, "", 0);
	assert_int_equal(build(&file, &table), 0);
	assert_int_equal(table.fde_count, 1);
	assert_int_equal(table.skipped[LT_CFI_SKIP_BROKEN], COUNT + 3);
	assert_int_equal(lt_unwind_table_rule(&table, CODE), RULE_NONE);
	assert_int_equal(lt_unwind_table_rule(&table, CODE + 8), SP(8));
	lt_unwind_table_free(&table);
}

/* Not ELF, or nothing in it: the table is untouched. */
static void test_refused(void **state)
{
	struct lt_unwind_table table = { .fde_count = 42 };
	static struct file file;

	file = no_cfi;
	assert_int_equal(lt_ehframe_build_memory(&file, 63, &table), -ENOEXEC);
	assert_int_equal(lt_ehframe_build_memory(&file, sizeof(Elf64_Ehdr), &table), -ENOEXEC);
	assert_int_equal(build(&file, &table), -ENODATA);
	file.header.e_machine = EM_AARCH64;
	assert_int_equal(build(&file, &table), -ENOEXEC);
	begin_cfi(&file);
	add_fde(&file, CODE, 8, "", 0);
	file.sections[1].sh_size = 1 << 30;
	assert_int_equal(build(&file, &table), -E2BIG);
	file.sections[1].sh_size = 1 << 20;
	assert_int_equal(build(&file, &table), -ENOEXEC);
	file.header.e_shnum = 0;
	assert_int_equal(build(&file, &table), -ENODATA);
	assert_int_equal(lt_ehframe_build(-1, &table), -EBADF);
	assert_int_equal(table.fde_count, 42);
	assert_null(table.words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_segments),        cmocka_unit_test(test_huge_and_overlapping),
		cmocka_unit_test(test_broken_programs), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_broken_entries),  cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
