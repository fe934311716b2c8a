/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * .eh_frame made fit for libdw, which runs the program of an FDE again for each of its rows, takes
 * any register number for the size of an array, keeps every expression that it has parsed, and
 * reads a byte behind the section where a number is cut off.  So each entry is looked at first, and
 * what is not sound is blotted out: libdw skips it.
 */
#ifndef LT_ELF_CFI_H
#define LT_ELF_CFI_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/ehframe.h"

/* DWARF numbers of registers: System V psABI for x86-64, figure 3.36. */
#define LT_DWARF_RBP 6
#define LT_DWARF_RSP 7
#define LT_DWARF_R15 15
#define LT_DWARF_RIP 16

#define LT_CFI_MAX_SEGMENTS 64
#define LT_CFI_PADDING      16 /* zero bytes behind the section */

struct lt_cfi_range {
	uint64_t start, end; /* ELF virtual addresses */
};

struct lt_cfi_fde {
	uint64_t start, end;
	uint32_t offset; /* in the section */
	bool broken;     /* blotted out: what holds in its range is not known */
};

/* The section and what is in it. */
struct lt_cfi {
	uint8_t *bytes; /* and LT_CFI_PADDING behind them; borrowed */
	size_t size;
	uint64_t address;
	struct lt_cfi_range code[LT_CFI_MAX_SEGMENTS];
	size_t code_count;
	struct lt_cfi_fde *fdes; /* of executable code; by address, without overlaps; owned */
	size_t fde_count;
	uint64_t broken; /* entries whose range is not known or taken */
};

/* Finds the FDEs and changes bytes so that libdw sees no others. */
int lt_cfi_check(struct lt_cfi *cfi);

/*
 * The rule of a libdw frame, and where it ends to hold.  *skip is LT_CFI_SKIP_COUNT if the rule
 * says all that the CFI said.
 */
uint64_t lt_cfi_rule(Dwarf_Frame *frame, uint64_t *end, enum lt_cfi_skip *skip);

#endif
