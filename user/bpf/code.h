/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the BPF side knows of code: executable ranges and unwind tables (leaktrace/unwind.h), kept
 * in its maps.  Ranges belong to an address space, which a process shares with those that it forks
 * until they map code of their own; tables belong to files: who maps the same file shares them.
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
	int spaces_fd, segments_fd, rules_fd, process_spaces_fd;
	uint32_t *generations;  /* lt_code_generations */
	uint32_t *spaces_round; /* lt_spaces_round */
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
 * An address space where all code is pending; all of LT_MAX_SPACES in use: -E2BIG.  A process without one has
 * space 0, where all code is pending.
 */
int lt_code_add_space(struct lt_code *code, uint32_t *space);
/* Of no process any more. */
void lt_code_drop_space(struct lt_code *code, uint32_t space);
/* The process, by its number, runs the code of this space. */
int lt_code_assign(struct lt_code *code, uint32_t process, uint32_t space);
/* The process is gone; BPF forgets those that it sees exit, but not what is assigned after that. */
void lt_code_forget(struct lt_code *code, uint32_t process);

/*
 * From now on these ranges count, ascending and not overlapping.  -E2BIG: only the first
 * LT_MAX_CODE_RANGES do.
 */
int lt_code_set_ranges(struct lt_code *code, uint32_t space, const struct lt_code_range *ranges,
		       size_t count);

struct lt_code_usage {
	uint64_t words, words_max; /* 4 bytes each */
	uint32_t rules, rules_max;
	size_t ranges, ranges_max; /* of one space, the one with most */
	uint32_t spaces, spaces_max;
	uint64_t bytes; /* of kernel memory held for segments, rules and ranges */
};

void lt_code_usage(const struct lt_code *code, struct lt_code_usage *usage);

#endif
