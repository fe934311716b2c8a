/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All instructions by which a function can return, for one that may throw.  A return probe puts
 * the kernel's trampoline in place of the return address; no unwinder knows it, so an exception
 * that leaves the function would end the program (std::terminate).  A probe at the ret instructions
 * themselves harms nobody, but is single-stepped.
 *
 * Functions that it ends in by a direct jump return in its place: their returns count as well.
 */
#ifndef LT_PROBE_RETURNS_H
#define LT_PROBE_RETURNS_H

#include <stddef.h>
#include <stdint.h>

#include "elf/image.h"

#define LT_MAX_RETURNS 32

struct lt_returns {
	uint64_t addresses[LT_MAX_RETURNS]; /* ELF virtual addresses, in no order */
	size_t count;
	char why[128]; /* on failure: why they are not all known, one clause */
};

/* The image was opened from fd.  -ENOTSUP: not all returns can be known, see why. */
int lt_returns_find(const struct lt_image *image, int fd, uint64_t entry,
		    struct lt_returns *returns);

#endif
