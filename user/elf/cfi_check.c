// SPDX-License-Identifier: GPL-2.0-or-later
#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "elf/cfi.h"

#define MAX_REGISTER   128       /* the psABI's last one is 125 */
#define MAX_REMEMBERED 32        /* states on top of each other; compilers need one */
#define MAX_CIES       (1 << 16) /* linkers merge equal ones: a few remain */
#define MAX_LEB_BYTES  10        /* of 64 bits */
/* Of the registers of interest.  libdw takes 40 bytes and more for each. */
#define MAX_EXPRESSION_BYTES (2 << 20)
/*
 * What libdw may do for a file, where reading a byte of a program is a step: at most, some seconds.
 * Node, with 400,000 rows, takes 140 million; a library of CUDA, whose functions have thousands of
 * rows, 3,000 million.
 */
#define MAX_STEPS      (1ULL << 33)
#define ROW_STEPS      64 /* to begin a row */
#define REMEMBER_STEPS 64 /* to copy a state */

struct cie {
	uint32_t offset;
	uint8_t encoding; /* DW_EH_PE_*, of addresses in its FDEs */
	bool sized;       /* FDEs have a block of augmentation data */
};

struct scan {
	struct lt_cfi *cfi;
	struct cie *cies; /* ascending */
	size_t cie_count, cie_capacity, fde_capacity;
	uint64_t steps;
	uint64_t expression_bytes;
};

struct bytes {
	const uint8_t *at, *end;
};

/* The operands of an instruction. */
enum operand {
	NO_OPERAND,
	BYTE_1,
	BYTES_2,
	BYTES_4,
	LEB,
	REGISTER,
	BLOCK,
	REFUSED = 0xff, /* not used on x86-64 */
};

/* DWARF 5, table 7.29; the first two bits of the byte are 0. */
static const uint8_t operands[64][2] = {
	[DW_CFA_nop] = { NO_OPERAND },
	[DW_CFA_set_loc] = { REFUSED },
	[DW_CFA_advance_loc1] = { BYTE_1 },
	[DW_CFA_advance_loc2] = { BYTES_2 },
	[DW_CFA_advance_loc4] = { BYTES_4 },
	[DW_CFA_offset_extended] = { REGISTER, LEB },
	[DW_CFA_restore_extended] = { REGISTER },
	[DW_CFA_undefined] = { REGISTER },
	[DW_CFA_same_value] = { REGISTER },
	[DW_CFA_register] = { REGISTER, REGISTER },
	[DW_CFA_remember_state] = { NO_OPERAND },
	[DW_CFA_restore_state] = { NO_OPERAND },
	[DW_CFA_def_cfa] = { REGISTER, LEB },
	[DW_CFA_def_cfa_register] = { REGISTER },
	[DW_CFA_def_cfa_offset] = { LEB },
	[DW_CFA_def_cfa_expression] = { BLOCK },
	[DW_CFA_expression] = { REGISTER, BLOCK },
	[DW_CFA_offset_extended_sf] = { REGISTER, LEB },
	[DW_CFA_def_cfa_sf] = { REGISTER, LEB },
	[DW_CFA_def_cfa_offset_sf] = { LEB },
	[DW_CFA_val_offset] = { REGISTER, LEB },
	[DW_CFA_val_offset_sf] = { REGISTER, LEB },
	[DW_CFA_val_expression] = { REGISTER, BLOCK },
	[0x17 ... 0x2d] = { REFUSED },
	[DW_CFA_GNU_args_size] = { LEB },
	[DW_CFA_GNU_negative_offset_extended] = { REGISTER, LEB },
	[0x30 ... 0x3f] = { REFUSED },
};

static bool skip(struct bytes *bytes, uint64_t count)
{
	if ((uint64_t)(bytes->end - bytes->at) < count)
		return false;
	bytes->at += count;
	return true;
}

static bool read_leb(struct bytes *bytes, uint64_t *value)
{
	*value = 0;
	for (unsigned int i = 0; i < MAX_LEB_BYTES && bytes->at < bytes->end; i++) {
		*value |= (uint64_t)(*bytes->at & 0x7f) << (i * 7);
		if (!(*bytes->at++ & 0x80))
			return true;
	}
	return false;
}

struct program {
	uint64_t rows, remembers, expression_bytes;
	bool restores; /* what the CIE said: cannot be in a CIE */
};

static bool check_operand(struct bytes *bytes, enum operand operand, uint64_t *reg,
			  struct program *program)
{
	uint64_t value;

	switch (operand) {
	case NO_OPERAND:
		return true;
	case BYTE_1:
	case BYTES_2:
	case BYTES_4:
		program->rows++;
		return skip(bytes, 1U << (operand - BYTE_1));
	case LEB:
		return read_leb(bytes, &value);
	case REGISTER:
		return read_leb(bytes, reg) && *reg <= MAX_REGISTER;
	case BLOCK:
		if (!read_leb(bytes, &value) || !skip(bytes, value))
			return false;
		if (*reg == LT_DWARF_RBP || *reg == LT_DWARF_RIP)
			program->expression_bytes += value;
		return true;
	case REFUSED:
		break;
	}
	return false;
}

/* True if libdw can run it without harm. */
static bool check_program(struct bytes bytes, struct program *program)
{
	unsigned int depth = 0;

	*program = (struct program){ 0 };
	while (bytes.at < bytes.end) {
		uint8_t opcode = *bytes.at++;
		uint64_t reg = LT_DWARF_RIP; /* an expression without a register is the CFA's */

		if (opcode & 0xc0) {
			program->rows += (opcode & 0xc0) == DW_CFA_advance_loc;
			program->restores |= (opcode & 0xc0) == DW_CFA_restore;
			if ((opcode & 0xc0) == DW_CFA_offset && !read_leb(&bytes, &reg))
				return false;
			continue;
		}
		program->restores |= opcode == DW_CFA_restore_extended;
		program->remembers += opcode == DW_CFA_remember_state;
		if (opcode == DW_CFA_remember_state && ++depth > MAX_REMEMBERED)
			return false;
		if (opcode == DW_CFA_restore_state && depth-- == 0)
			return false;
		for (size_t i = 0; i < 2; i++)
			if (!check_operand(&bytes, operands[opcode][i], &reg, program))
				return false;
	}
	return true;
}

/* 0: of no fixed size. */
static size_t encoded_size(uint8_t encoding)
{
	switch (encoding & 0x07) {
	case DW_EH_PE_udata2:
		return 2;
	case DW_EH_PE_udata4:
		return 4;
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
		return 8;
	}
	return 0;
}

/* A number in the encoding, of which only the format matters. */
static bool read_encoded(struct bytes *bytes, uint8_t encoding, uint64_t *value)
{
	size_t size = encoded_size(encoding);
	const uint8_t *at = bytes->at;

	*value = 0;
	if (!size || !skip(bytes, size))
		return false;
	memcpy(value, at, size);
	if ((encoding & DW_EH_PE_signed) && size < 8 && *value >> (size * 8 - 1))
		*value |= ~0ULL << (size * 8);
	return true;
}

/* LSB, Linux Standard Base Core 5.0, 10.6.1: "zPLRS", each with its part of the data. */
static bool read_augmentation(const Dwarf_CIE *entry, struct cie *cie)
{
	struct bytes data = { entry->augmentation_data,
			      entry->augmentation_data + entry->augmentation_data_size };
	const char *letter = entry->augmentation;

	cie->encoding = DW_EH_PE_absptr;
	cie->sized = *letter == 'z';
	if (!cie->sized)
		return !*letter;
	while (*++letter) {
		const uint8_t *at = data.at;

		if (*letter == 'S')
			continue;
		if (!strchr("PLR", *letter) || !skip(&data, 1))
			return false;
		if (*letter == 'P' && !skip(&data, *at == DW_EH_PE_omit ? 0 : encoded_size(*at)))
			return false;
		if (*letter == 'R')
			cie->encoding = *at;
	}
	return encoded_size(cie->encoding) &&
	       !(cie->encoding & ~(DW_EH_PE_pcrel | DW_EH_PE_signed | 0x07));
}

/* Makes it a reference to a CIE far before the section. */
static void blot_out(struct lt_cfi *cfi, uint32_t offset)
{
	uint8_t *at = cfi->bytes + offset;
	uint32_t length;

	memcpy(&length, at, sizeof(length));
	if (length == 0xffffffff) /* the 64-bit format */
		memset(at + 12, 0xff, 8);
	else
		memset(at + 4, 0xff, 4);
}

/* Room for one more. */
static int reserve(void *array, size_t count, size_t *capacity, size_t size)
{
	void **slot = array, *more;
	size_t wanted = *capacity ? *capacity * 2 : 1024;

	if (count < *capacity)
		return 0;
	more = reallocarray(*slot, wanted, size);
	if (!more)
		return -ENOMEM;
	*slot = more;
	*capacity = wanted;
	return 0;
}

static int add_cie(struct scan *scan, uint32_t offset, const Dwarf_CIE *entry)
{
	struct cie cie = { .offset = offset };
	struct program program;

	if (scan->cie_count == MAX_CIES || entry->code_alignment_factor != 1 ||
	    !read_augmentation(entry, &cie) ||
	    !check_program(
		    (struct bytes){ entry->initial_instructions, entry->initial_instructions_end },
		    &program) ||
	    program.rows || program.restores ||
	    scan->expression_bytes + program.expression_bytes > MAX_EXPRESSION_BYTES) {
		blot_out(scan->cfi, offset);
		return 0;
	}
	if (reserve(&scan->cies, scan->cie_count, &scan->cie_capacity, sizeof(cie)))
		return -ENOMEM;
	scan->expression_bytes += program.expression_bytes;
	scan->cies[scan->cie_count++] = cie;
	return 0;
}

static int compare_cies(const void *a, const void *b)
{
	const struct cie *left = a, *right = b;

	return (left->offset > right->offset) - (left->offset < right->offset);
}

static const struct cie *find_cie(const struct scan *scan, uint64_t offset)
{
	struct cie key = { .offset = (uint32_t)offset };

	if (offset > UINT32_MAX || !scan->cie_count)
		return NULL;
	return bsearch(&key, scan->cies, scan->cie_count, sizeof(key), compare_cies);
}

/* The rest of the entry behind the range: the program, and what it costs. */
static bool check_fde(struct scan *scan, const struct cie *cie, struct bytes bytes)
{
	struct program program;
	uint64_t size = 0, steps;

	if (cie->sized && (!read_leb(&bytes, &size) || !skip(&bytes, size)))
		return false;
	if (!check_program(bytes, &program))
		return false;
	/* No overflow: the section has 64 MiB at most. */
	steps = (program.rows + 1) *
		(ROW_STEPS + (uint64_t)(bytes.end - bytes.at) + program.remembers * REMEMBER_STEPS);
	if (scan->steps + steps > MAX_STEPS ||
	    scan->expression_bytes + program.expression_bytes > MAX_EXPRESSION_BYTES)
		return false;
	scan->steps += steps;
	scan->expression_bytes += program.expression_bytes;
	return true;
}

/* The end of the segment that an address lies in; 0: in none. */
static uint64_t code_end(const struct lt_cfi *cfi, uint64_t address)
{
	for (size_t i = 0; i < cfi->code_count; i++)
		if (address >= cfi->code[i].start && address < cfi->code[i].end)
			return cfi->code[i].end;
	return 0;
}

static int add_fde(struct scan *scan, uint32_t offset, const Dwarf_FDE *entry)
{
	struct lt_cfi *cfi = scan->cfi;
	struct bytes bytes = { entry->start, entry->end };
	struct lt_cfi_fde fde = { .offset = offset };
	const struct cie *cie = find_cie(scan, entry->CIE_pointer);
	uint64_t size;

	if (!cie || !read_encoded(&bytes, cie->encoding, &fde.start) ||
	    !read_encoded(&bytes, cie->encoding, &size)) {
		cfi->broken++;
		blot_out(cfi, offset);
		return 0;
	}
	if (cie->encoding & DW_EH_PE_pcrel)
		fde.start += cfi->address + (uint64_t)(entry->start - cfi->bytes);
	/* Linkers leave entries of dropped functions behind: empty, or at address 0. */
	if (__builtin_add_overflow(fde.start, size, &fde.end) || !size ||
	    !code_end(cfi, fde.start)) {
		blot_out(cfi, offset);
		return 0;
	}
	fde.broken = !check_fde(scan, cie, bytes);
	if (fde.broken)
		blot_out(cfi, offset);
	if (reserve(&cfi->fdes, cfi->fde_count, &scan->fde_capacity, sizeof(fde)))
		return -ENOMEM;
	cfi->fdes[cfi->fde_count++] = fde;
	return 0;
}

static int compare_fdes(const void *a, const void *b)
{
	const struct lt_cfi_fde *left = a, *right = b;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return (left->offset > right->offset) - (left->offset < right->offset);
}

/* Of two that cover an address the lower one stays; libdw must see no other either. */
static void drop_overlaps(struct lt_cfi *cfi)
{
	uint64_t covered = 0;
	size_t kept = 0;

	if (cfi->fde_count)
		qsort(cfi->fdes, cfi->fde_count, sizeof(*cfi->fdes), compare_fdes);
	for (size_t i = 0; i < cfi->fde_count; i++) {
		struct lt_cfi_fde fde = cfi->fdes[i];
		uint64_t end = code_end(cfi, fde.start);

		if (fde.start < covered) {
			blot_out(cfi, fde.offset);
			cfi->broken++;
			continue;
		}
		covered = fde.end;
		fde.end = fde.end < end ? fde.end : end;
		cfi->fdes[kept++] = fde;
	}
	cfi->fde_count = kept;
}

int lt_cfi_check(struct lt_cfi *cfi)
{
	static const unsigned char identity[EI_NIDENT] = { ELFMAG0,   ELFMAG1,    ELFMAG2,
							   ELFMAG3,   ELFCLASS64, ELFDATA2LSB,
							   EV_CURRENT };
	struct scan scan = { .cfi = cfi };
	Elf_Data data = { .d_buf = cfi->bytes, .d_size = cfi->size };
	Dwarf_CFI_Entry entry;
	Dwarf_Off offset = 0, next = 0;
	int err = 0, result;

	for (; !err; offset = next) {
		result = dwarf_next_cfi(identity, &data, true, offset, &next, &entry);
		if (result > 0)
			break;
		if (result < 0) {
			cfi->broken++;
			if (next == offset)
				break; /* nor can libdw get any further */
			continue;
		}
		if (dwarf_cfi_cie_p(&entry))
			err = add_cie(&scan, (uint32_t)offset, &entry.cie);
		else
			err = add_fde(&scan, (uint32_t)offset, &entry.fde);
	}
	free(scan.cies);
	if (!err)
		drop_overlaps(cfi);
	return err;
}
