/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes an unwind table from rules by ascending address. */
#ifndef LT_ELF_UNWIND_TABLE_H
#define LT_ELF_UNWIND_TABLE_H

#include "elf/ehframe.h"

struct lt_table_writer {
	struct lt_unwind_table table; /* owned */
	uint32_t capacity;            /* words */
	uint32_t next_page;           /* the first one without rows */
	uint16_t rule;                /* the last one put: its number */
	uint16_t *slots;              /* rule numbers by hash; 0: free; owned */
};

/* For code from origin to end.  -E2BIG: too far from each other. */
int lt_table_writer_begin(struct lt_table_writer *writer, uint64_t origin, uint64_t end);
/* From the address on the rule holds.  Addresses ascend and lie before the end. */
int lt_table_writer_put(struct lt_table_writer *writer, uint64_t address, uint64_t rule);
/* Hands the table over; the code ends at the address. */
int lt_table_writer_finish(struct lt_table_writer *writer, uint64_t end,
			   struct lt_unwind_table *table);
void lt_table_writer_free(struct lt_table_writer *writer);

#endif
