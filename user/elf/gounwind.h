/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Go's own tables → the unwind table of one file, in the form of leaktrace/unwind.h: Go code has no
 * .eh_frame, but each function's pcsp says how large its frame is at each instruction.  A frame
 * pointer is saved just below the return address by functions that have a frame (since 1.7); functions
 * that change stacks (LT_GO_FLAG_SP_WRITE) are stepped over by it.  C code of a program with cgo keeps
 * its rules from .eh_frame.
 */
#ifndef LT_ELF_GOUNWIND_H
#define LT_ELF_GOUNWIND_H

#include "elf/ehframe.h"
#include "elf/gofile.h"

/*
 * The table of a whole file: lt_ehframe_build() of it, if that can be made, with Go's functions put
 * in.  -ENODATA: there is no Go in the file, or no table can be made of it; -ENOMEM.
 */
int lt_gounwind_build(int fd, struct lt_unwind_table *table);

#endif
