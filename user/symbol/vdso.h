/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The code that the kernel maps into every process (vdso(7)).  It is no file, but our own copy has
 * the bytes of the target's.
 */
#ifndef LT_SYMBOL_VDSO_H
#define LT_SYMBOL_VDSO_H

#include <libelf.h>
#include <stdint.h>

/* A mapping of that many bytes; NULL when ours is none or a different one.  Freed by elf_end(). */
Elf *lt_vdso_open(uint64_t mapping_bytes);

#endif
