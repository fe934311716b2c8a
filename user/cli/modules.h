/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Follows the executable mappings of a live target: each new one becomes a MODULE event, is opened
 * for the resolver while the target lives, and is told to the stack walker.
 */
#ifndef LT_CLI_MODULES_H
#define LT_CLI_MODULES_H

#include "bpf/tracer.h"
#include "proc/process.h"
#include "stream/event.h"
#include "symbol/resolver.h"

struct lt_modules;

/* Everything is borrowed for the life of the object. */
int lt_modules_new(struct lt_modules **modules, const struct lt_process *process,
		   struct lt_tracer *tracer, struct lt_resolver *resolver, lt_event_sink sink,
		   void *context);
void lt_modules_free(struct lt_modules *modules);
/* Reads the mappings again; does nothing once the target is gone.  0 or -errno. */
int lt_modules_update(struct lt_modules *modules, uint64_t now_ns);

#endif
