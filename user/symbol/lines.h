/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Source lines and inlined functions from DWARF (libdw).  Addresses are ELF virtual addresses.
 * Files are hostile: memory, nesting and the work of one lookup are bounded, and no file that the
 * debug information names (split DWARF, dwz) is opened unless its build-id agrees.  Not
 * thread-safe.
 */
#ifndef LT_SYMBOL_LINES_H
#define LT_SYMBOL_LINES_H

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream/event.h"
#include "symbol/debugfile.h"

struct lt_lines;

bool lt_lines_present(Elf *elf); /* has .debug_info */

/*
 * elf must outlive the result.  Its supplementary file is looked for in places. *budget_bytes
 * is lessened by the memory that its sections take; -E2BIG when it does not suffice (or one section
 * is too large), -ENODATA without (usable) debug information.
 */
int lt_lines_open(struct lt_lines **lines, Elf *elf, const struct lt_debug_places *places,
		  uint64_t *budget_bytes);
void lt_lines_close(struct lt_lines *lines);

/*
 * Fills frames, innermost first, and returns their number, 0 if the address is unknown.  Functions
 * are named as the linker knows them, or else as the source does ("ns::Class::name"); only the last
 * one's may be "".  Strings are borrowed until the next call.
 */
size_t lt_lines_lookup(struct lt_lines *lines, uint64_t address,
		       struct lt_source_frame frames[LT_MAX_INLINE_DEPTH]);

#endif
