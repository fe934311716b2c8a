/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The unwind tables of the files that targets map: built by a thread of their own, for a large file
 * takes a quarter of a second, and kept by the file's identity, so that a file is read once however
 * many mappings and processes share it.  All calls from one thread.
 */
#ifndef LT_BPF_TABLES_H
#define LT_BPF_TABLES_H

#include <stdbool.h>

#include "bpf/code.h"
#include "leaktrace/limits.h"

struct lt_tables;
struct lt_table; /* of one file; lives as long as lt_tables, or until swept */

struct lt_file_identity {
	uint64_t device, inode; /* 0, 0: the vDSO */
	uint8_t build_id[LT_MAX_BUILD_ID];
	uint32_t build_id_len;
	uint64_t version; /* tells a file from what is written over it */
};

/* code is borrowed. */
int lt_tables_new(struct lt_tables **tables, struct lt_code *code);
void lt_tables_free(struct lt_tables *tables); /* waits for the table under construction */

/* The file's table, which may not be there yet.  Takes fd over; -1 for the vDSO. */
int lt_tables_get(struct lt_tables *tables, const struct lt_file_identity *identity, int fd,
		  struct lt_table **table);
/* Readable when lt_tables_collect() has something to do. */
int lt_tables_fd(const struct lt_tables *tables);
/* Puts what was built meanwhile into the maps.  True: a table's range has changed. */
bool lt_tables_collect(struct lt_tables *tables);
/* Waits until nothing is under construction. */
void lt_tables_wait(struct lt_tables *tables);

/*
 * How code of this file is to be unwound now: sets source, word, page_count and origin of a range
 * whose start is at this ELF virtual address.
 */
void lt_table_describe(const struct lt_table *table, uint64_t address, struct lt_code_range *range);

/* Before and after new ranges of a space are set: which tables they use.  What no space uses is
 * dropped in time. */
void lt_tables_unmark(struct lt_tables *tables, uint32_t space);
void lt_table_mark(struct lt_table *table, uint32_t space);
void lt_tables_sweep(struct lt_tables *tables);

struct lt_tables_summary {
	size_t files; /* with a table */
	uint64_t rows;
};

void lt_tables_summary(const struct lt_tables *tables, struct lt_tables_summary *summary);

#endif
