/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names that the family tables hold, in all their spellings, and the functions of an image that
 * are called so: found in one pass over its symbols, of which there may be a million.
 */
#ifndef LT_PROBE_NAMES_H
#define LT_PROBE_NAMES_H

#include "elf/image.h"
#include "probe/family.h"

struct lt_names {
	char (*list)[LT_MAX_FUNCTION_NAME]; /* owned; sorted after lt_names_sort */
	size_t count;
};

int lt_names_add(struct lt_names *names, const struct lt_family *family, const char *prefix);
void lt_names_sort(struct lt_names *names);
void lt_names_free(struct lt_names *names);

/* A function; one that has several versions, or is in two tables, is there as often as it has
 * addresses. */
struct lt_symbol {
	const char *name; /* borrowed from the image */
	uint64_t address, size, file_offset;
	bool ifunc, local;
};

/* Of one file; a hostile one repeats a name at many addresses. */
#define LT_MAX_SYMBOLS 512

struct lt_symbols {
	struct lt_symbol *list; /* owned; by name, then address */
	size_t count;
	bool cut; /* there were more */
};

int lt_symbols_find(const struct lt_image *image, const struct lt_names *names,
		    struct lt_symbols *symbols);
void lt_symbols_free(struct lt_symbols *symbols);

/*
 * All symbols of that name, *count of them, else NULL.  One that other files can call hides local
 * ones: those may be anything.
 */
const struct lt_symbol *lt_symbols_named(const struct lt_symbols *symbols, const char *name,
					 size_t *count);

/* It defines all functions of one of the family's signatures. */
bool lt_symbols_match(const struct lt_symbols *symbols, const struct lt_family *family,
		      const char *prefix);

#endif
