/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * .eh_frame → the unwind table of one file, in the form of leaktrace/unwind.h (libdw).
 *
 * Only code matters that can be executed: rows cover the executable PT_LOADs.  What the compact
 * form cannot express becomes LT_CFA_UNSUPPORTED and is counted by reason; code without an FDE is
 * LT_CFA_NONE.  Files are hostile: time and memory are bounded by the size of the file and by
 * LT_MAX_UNWIND_ROWS.  Pure but for reading the file; different files may be built in
 * different threads.
 */
#ifndef LT_ELF_EHFRAME_H
#define LT_ELF_EHFRAME_H

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

#include "leaktrace/unwind.h"

/* LT_CFI_SKIP(SYMBOL, text): why a row is not in the table as its author meant it. */
#define LT_CFI_SKIPS                                                                               \
	LT_CFI_SKIP(CFA_EXPRESSION, "frame address by an expression")                              \
	LT_CFI_SKIP(RETURN_ADDRESS, "return address not just below the frame")                     \
	LT_CFI_SKIP(FRAME_POINTER, "caller's RBP by an expression or in a register")               \
	LT_CFI_SKIP(SIGNAL_FRAME, "signal frame of an unknown form")                               \
	LT_CFI_SKIP(TOO_LARGE, "offset too large")                                                 \
	LT_CFI_SKIP(BROKEN, "CFI that cannot be read")

enum lt_cfi_skip {
#define LT_CFI_SKIP(symbol, text) LT_CFI_SKIP_##symbol,
	LT_CFI_SKIPS
#undef LT_CFI_SKIP
		LT_CFI_SKIP_COUNT
};

extern const char *const lt_cfi_skip_texts[LT_CFI_SKIP_COUNT];

struct lt_unwind_table {
	uint64_t origin; /* ELF virtual address of page 0, a multiple of LT_UNWIND_PAGE */
	uint32_t page_count;
	uint32_t word_count; /* page_count + 1 + rows */
	uint32_t row_count;
	/*
	 * As in leaktrace/unwind.h, but that the rule numbers are those of this table's own rules:
	 * whoever puts tables together renumbers them.
	 */
	uint32_t *words;
	uint64_t *rules; /* distinct; rule 0 is LT_CFA_NONE */
	uint32_t rule_count;
	uint64_t fde_count;
	uint64_t skipped[LT_CFI_SKIP_COUNT]; /* rows, before equal neighbours become one */
};

/*
 * Builds the table of the ELF file behind fd (not taken over).  -ENODATA: no CFI for its code;
 * -ENOEXEC: no ELF file of this machine; -E2BIG: beyond the bounds.  *table is to be freed.
 */
int lt_ehframe_build(int fd, struct lt_unwind_table *table);
/* The same of an image in memory, such as the vDSO; memory must stay until the call returns. */
int lt_ehframe_build_memory(void *image, size_t size, struct lt_unwind_table *table);
void lt_unwind_table_free(struct lt_unwind_table *table);

/* The rule for an ELF virtual address: LT_CFA_NONE outside of the table.  For tests and tools. */
uint64_t lt_unwind_table_rule(const struct lt_unwind_table *table, uint64_t address);

#endif
