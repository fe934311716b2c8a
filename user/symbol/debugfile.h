/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Separate debug files, found as GDB finds them: by build-id, then by .gnu_debuglink beside the
 * file, in its .debug folder and below /usr/lib/debug, each among our files and then among the
 * target's, and last from a debuginfod server.  Only regular files whose build-id (or CRC, where the
 * file has no build-id) agrees are returned.
 */
#ifndef LT_SYMBOL_DEBUGFILE_H
#define LT_SYMBOL_DEBUGFILE_H

#include <elfutils/libdw.h>

#include "symbol/debuginfod.h"

struct lt_debug_places {
	int root_fd;                  /* the target's root directory, -1: none */
	struct lt_debuginfod *server; /* NULL: none */
};

/* The debug file of elf, which was opened from fd and lies at path: a new fd, or -ENOENT. */
int lt_debugfile_open(Elf *elf, int fd, const char *path, const struct lt_debug_places *places);
/* The supplementary file (dwz) that the debug information refers to: a new fd; -ENOENT; -ENODATA:
 * none needed. */
int lt_debugfile_open_supplement(Dwarf *dwarf, const struct lt_debug_places *places);

#endif
