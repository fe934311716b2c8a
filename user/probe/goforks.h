/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a Go process might fork and go on in Go.  Go itself executes something at once (syscall.forkExec)
 * and supports nothing else, but C code can do so (cgo), and system calls by number.  A kernel that
 * makes a call of a probed NOP (bpf/optimized.h) does not give the child what is called: it would
 * crash there.
 */
#ifndef LT_PROBE_GOFORKS_H
#define LT_PROBE_GOFORKS_H

#include <stdbool.h>

#include "elf/gofile.h"
#include "proc/maps.h"

/*
 * file: the one with the runtime, open as fd as well, and mapped as own says.  False only if there is no
 * code but its own and the C library's, it asks for nothing that forks or loads more, and its Go makes no such
 * system call with a number that stands in the code.
 */
bool lt_go_might_fork(const struct lt_gofile *file, int fd, const struct lt_maps *maps,
		      const struct lt_mapping *own);

#endif
