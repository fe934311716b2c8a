/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * .gnu_debugdata ("MiniDebugInfo", GDB manual): an xz-compressed ELF file inside of a stripped
 * one, with the function symbols that .dynsym lacks.  The file is hostile: size and memory are
 * bounded.
 */
#ifndef LT_SYMBOL_DEBUGDATA_H
#define LT_SYMBOL_DEBUGDATA_H

#include <libelf.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * Expands elf's into *image, which is empty.  *budget_bytes is lessened by what it takes.
 * -ENODATA: none, a broken one, or one beyond the bounds.
 */
int lt_debugdata_read(Elf *elf, struct lt_buf *image, uint64_t *budget_bytes);

#endif
