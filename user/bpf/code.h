/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the BPF side knows of code: executable ranges and unwind tables (leaktrace/unwind.h), kept
 * in its maps.  Tables belong to files, not to processes: who maps the same file shares them.
 * One thread.
 */
#ifndef LT_BPF_CODE_H
#define LT_BPF_CODE_H

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/ehframe.h"
#include "leaktrace/unwind.h"

struct lt_code;

/* The maps of bpf/code.bpf.h; borrowed for the life of the object. */
struct lt_code_maps {
	int ranges_fd, segments_fd, rules_fd;
	uint32_t *generation; /* lt_code_generation */
};

int lt_code_new(struct lt_code **code, const struct lt_code_maps *maps);
void lt_code_free(struct lt_code *code);

/*
 * Copies a table into the maps; *word is where it begins.  -E2BIG: no room for its words or rules.
 * lt_code_drop() gives the words back, once lt_code_set_ranges() has taken every range of the
 * table away.
 */
int lt_code_place(struct lt_code *code, const struct lt_unwind_table *table, uint32_t *word);
void lt_code_drop(struct lt_code *code, uint32_t word, uint32_t word_count);

/*
 * From now on these ranges count, ascending and not overlapping.  -E2BIG: only the first
 * LT_MAX_CODE_RANGES do.
 */
int lt_code_set_ranges(struct lt_code *code, const struct lt_code_range *ranges, size_t count);

struct lt_code_usage {
	uint64_t words, words_max; /* 4 bytes each */
	uint32_t rules, rules_max;
	size_t ranges, ranges_max;
	uint64_t bytes; /* of kernel memory held for segments, rules and ranges */
};

void lt_code_usage(const struct lt_code *code, struct lt_code_usage *usage);

#endif
