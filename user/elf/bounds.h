/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a function begins and ends, also in files without symbols: by the search table that the
 * linker makes of .eh_frame for the C++ runtime (.eh_frame_hdr; LSB Core 5.0, 10.6.2).  The part of
 * a function that gcc moves away as cold is a function of its own here.  The file is hostile.
 */
#ifndef LT_ELF_BOUNDS_H
#define LT_ELF_BOUNDS_H

#include <stdint.h>

#include "elf/image.h"

/*
 * The function around an ELF virtual address of the image, which was opened from fd; the end is
 * where the next one begins, *start + LT_MAX_BOUNDS after the last.  -ENODATA: no table, or one
 * that no linker in use makes; -ESRCH: the address is in front of all functions.
 */
#define LT_MAX_BOUNDS 65536
int lt_bounds_find(const struct lt_image *image, int fd, uint64_t address, uint64_t *start,
		   uint64_t *end);

#endif
