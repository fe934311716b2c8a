/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The live symbolizer (libdw): address → demangled function, file:line, inlined frames.  Opens each
 * module's file when it is added, while the target lives, so that names can still be found after
 * its exit.  Files are hostile.  Not thread-safe but for stop_network.
 */
#ifndef LT_SYMBOL_RESOLVER_H
#define LT_SYMBOL_RESOLVER_H

#include "base/buf.h"
#include "proc/process.h"
#include "stream/event.h"

struct lt_resolver;

int lt_resolver_new(struct lt_resolver **resolver);
void lt_resolver_free(struct lt_resolver *resolver);

/* Code that lies in no program's file is named by the process's perf map (symbol/perfmap.h). */
int lt_resolver_set_process(struct lt_resolver *resolver, const struct lt_process *process);
/*
 * Debug files that are not on this machine are fetched from here on: see lt_debuginfod_new() for
 * urls and error.  Without this call nothing asks the network, whatever the environment says.
 */
int lt_resolver_set_debuginfod(struct lt_resolver *resolver, const char *urls,
			       struct lt_buf *error);
/* From any thread: ends a fetch that a lookup waits for, and prevents others. */
void lt_resolver_stop_network(struct lt_resolver *resolver);

/*
 * fd: the mapped file, taken over (closed by the resolver); -1: no file ("[vdso]", anonymous).  It
 * is read later: if it no longer has the module's build-id (or, without one, its size and time of
 * now) it was written over, and its code stays unnamed.
 */
int lt_resolver_add_module(struct lt_resolver *resolver, const struct lt_event_module *module,
			   int fd);
/*
 * Fills symbol->frames, borrowed until the next call; frame_count 0 when nothing is known.
 * Lookups never fail for a strange file: they know less.
 */
int lt_resolver_lookup(struct lt_resolver *resolver, uint64_t pc, struct lt_event_symbol *symbol);

#endif
