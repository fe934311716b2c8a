// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any bytes as an ELF file; as the .eh_frame of a small valid one; as the program of an FDE in it;
 * as changes to that file (pairs of offset, 2 bytes, and value).  A table that is built is sound,
 * has no more rows than the input can ask for, and building it twice makes the same.
 */
#include <dwarf.h>
#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "elf/ehframe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CODE      0x100000
#define CODE_SIZE 0x10000
#define MAX_INPUT 4096

struct file {
	Elf64_Ehdr header;
	Elf64_Phdr segments[2];
	Elf64_Shdr sections[3];
	char names[16];
	struct {
		uint8_t version, encodings[3];
		int32_t pointer;
	} search;
	struct {
		uint32_t length, id;
		uint8_t body[16];
	} cie;
	struct {
		uint32_t length, cie;
		uint64_t start, size;
		uint8_t data_size;
		uint8_t program[MAX_INPUT + 3];
	} __attribute__((packed)) fde;
	uint32_t terminator;
} __attribute__((packed));

#define CFI      offsetof(struct file, cie)
#define CFI_SIZE (sizeof(struct file) - CFI)
#define CIE_SIZE (offsetof(struct file, fde) - CFI)

static const struct file valid = {
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
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = CODE, .p_filesz = CODE_SIZE },
		{ .p_type = PT_GNU_EH_FRAME, .p_offset = offsetof(struct file, search), .p_filesz = 8 },
	},
	.sections = {
		{ 0 },
		{ .sh_name = 1, .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC, .sh_addr = CFI,
		  .sh_offset = CFI, .sh_size = CFI_SIZE },
		{ .sh_name = 11, .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct file, names),
		  .sh_size = 16 },
	},
	.names = "\0.eh_frame\0.str",
	.search = { 1, { DW_EH_PE_pcrel | DW_EH_PE_sdata4 } },
	.cie = { 20, 0, { 1, 'z', 'R', 0, 1, 0x78, 16, 1, DW_EH_PE_absptr, DW_CFA_def_cfa, 7, 8,
			  DW_CFA_offset + 16, 1 } },
	.fde = { sizeof(((struct file *)0)->fde) - 4, CIE_SIZE + 4, CODE, CODE_SIZE, 0,
		 { DW_CFA_advance_loc + 1, DW_CFA_def_cfa_offset, 16, DW_CFA_offset + 6, 2 } },
};

/* What leaktrace/unwind.h says of a table holds. */
static void check_table(const struct lt_unwind_table *table, size_t size)
{
	if (table->origin % LT_UNWIND_PAGE || !table->page_count || !table->fde_count ||
	    table->word_count != table->page_count + 1 + table->row_count ||
	    table->words[table->page_count] != table->word_count ||
	    table->row_count > table->page_count + size || table->rules[0])
		abort();
	for (uint32_t page = 0; page < table->page_count; page++) {
		uint32_t first = table->words[page];

		if (first >= table->words[page + 1] || table->words[first] >> 16)
			abort();
		for (uint32_t row = first; row < table->words[page + 1]; row++)
			if (LT_ROW_RULE(table->words[row]) >= table->rule_count ||
			    (row > first && table->words[row] >> 16 <= table->words[row - 1] >> 16))
				abort();
	}
}

static void check(const void *bytes, size_t size, bool unchanged)
{
	struct lt_unwind_table table, again;
	uint8_t *copy = malloc(size + 1);
	int err;

	memcpy(copy, bytes, size);
	err = lt_ehframe_build_memory(copy, size, &table);
	/* Else the inputs would not reach what they are to test. */
	if (unchanged && (err || table.row_count != CODE_SIZE / LT_UNWIND_PAGE + 1))
		abort();
	if (!err) {
		check_table(&table, size);
		if (memcmp(copy, bytes, size) || lt_ehframe_build_memory(copy, size, &again) ||
		    again.word_count != table.word_count ||
		    memcmp(again.words, table.words, table.word_count * sizeof(*table.words)))
			abort();
		lt_unwind_table_free(&again);
		lt_unwind_table_free(&table);
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct file file = valid;

	if (size > MAX_INPUT)
		return 0;
	check(data, size, false);
	for (size_t i = 0; i + 3 <= size; i += 3)
		((uint8_t *)&file)[(data[i] | data[i + 1] << 8) % sizeof(file)] = data[i + 2];
	check(&file, sizeof(file), size < 3);
	file = valid;
	memcpy(file.fde.program, data, size);
	file.fde.length = (uint32_t)(offsetof(struct file, fde.program) -
				     offsetof(struct file, fde.cie) + size);
	check(&file, sizeof(file), false);
	file = valid;
	memcpy((uint8_t *)&file + CFI, data, size);
	file.sections[1].sh_size = size;
	check(&file, sizeof(file), false);
	return 0;
}
