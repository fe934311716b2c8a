/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The function symbols of a file and of its debug file, sorted by ELF virtual address.
 * Files are hostile.  Not thread-safe.
 */
#ifndef LT_SYMBOL_FUNCTIONS_H
#define LT_SYMBOL_FUNCTIONS_H

#include <libelf.h>
#include <stddef.h>
#include <stdint.h>

struct lt_functions;

/*
 * Reads .symtab and .dynsym of every file of elfs (NULLs are skipped), which must outlive the
 * result: names are borrowed from them.
 */
int lt_functions_load(struct lt_functions **functions, Elf *const *elfs, size_t count);
void lt_functions_free(struct lt_functions *functions);
/* The symbol's name as it stands in the file, or NULL. */
const char *lt_functions_name(const struct lt_functions *functions, uint64_t address);

#endif
