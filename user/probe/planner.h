/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The insides of lt_plan_make: resolve.c goes over the files, functions.c over the functions of
 * one, ifunc.c finds out which code stands for an IFUNC.
 */
#ifndef LT_PROBE_PLANNER_H
#define LT_PROBE_PLANNER_H

#include "probe/names.h"
#include "probe/plan.h"

/* Code that is read to choose a site.  glibc's largest function has 3 KiB, tcmalloc's 10. */
#define LT_MAX_CODE_BYTES 65536

struct lt_led { /* a function that is seen at another one's probe */
	uint64_t device, inode, entry_offset;
	size_t probe; /* index */
};

struct lt_planner { /* of one lt_plan_make */
	const struct lt_process *process;
	const struct lt_maps *maps;
	const struct lt_plan_options *options;
	struct lt_plan *plan;
	struct lt_names names; /* all that the tables hold */
	struct lt_led *led;
	size_t led_count;
	uint8_t code[LT_MAX_CODE_BYTES];
	size_t code_len;
};

/* One file under its family, as a build with this prefix names the functions. */
struct lt_planner_file {
	uint32_t index; /* in plan->files */
	const struct lt_family *family;
	const char *prefix;
	const struct lt_image *image;
	const struct lt_symbols *symbols;
	bool is_executable; /* and so holds what it uses only */
};

/* Grows an array of the plan by one zeroed element. */
void *lt_planner_append(void *array_slot, size_t *count, size_t element_size);

__attribute__((format(printf, 3, 4))) int lt_planner_skip(struct lt_plan *plan, const char *what,
							  const char *format, ...);

/* Probes for all functions of the file that are in the family's table. */
int lt_planner_add_functions(struct lt_planner *planner, const struct lt_planner_file *file);

/*
 * The functions of the file that the process uses for an IFUNC, as ELF virtual addresses: read from
 * the words that its linker filled.  Their number, which is 0 if none has been called yet; -errno
 * if the process's memory cannot be read.
 */
#define LT_MAX_CHOSEN 4
int lt_planner_chosen(const struct lt_planner *planner, const struct lt_planner_file *file,
		      const struct lt_symbol *ifunc, uint64_t addresses[LT_MAX_CHOSEN]);

#endif
