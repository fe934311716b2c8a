/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of JIT-compiled code: /tmp/perf-PID.map, which the target itself writes for perf
 * (tools/perf/Documentation/jit-interface.txt in Linux): "START SIZE name" lines in hexadecimal.
 * A runtime adds lines while it compiles, or writes the whole file anew when told to; a later line
 * takes the addresses of an earlier one.  The file is hostile: it is read only if it is a regular
 * file of the target's user (or of root) in the target's own /tmp, not older than the target, and
 * its size and the work of reading it again are bounded.  Not thread-safe.
 */
#ifndef LT_SYMBOL_PERFMAP_H
#define LT_SYMBOL_PERFMAP_H

#include <stdbool.h>

#include "proc/process.h"
#include "stream/event.h"

struct lt_perfmap;

/* Holds what it needs of process, so that names are found beyond its end. */
int lt_perfmap_new(struct lt_perfmap **map, const struct lt_process *process);
void lt_perfmap_free(struct lt_perfmap *map);
/* Reads what is new in the file first.  *frame borrows from map until the next call. */
bool lt_perfmap_lookup(struct lt_perfmap *map, uint64_t address, struct lt_source_frame *frame);

#endif
