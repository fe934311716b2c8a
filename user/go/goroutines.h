/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A walk of all goroutines of a live process, read from memory: who waits where, for what, since
 * when at least, made by whom.  The process is not stopped, so what moves while it is read is read
 * again, and if that does not help either it is told without its stack: no stack is a guess.
 */
#ifndef LT_GO_GOROUTINES_H
#define LT_GO_GOROUTINES_H

#include "go/program.h"
#include "leaktrace/limits.h"

struct lt_goroutine {
	uint64_t id;         /* goid: never used again */
	uint64_t g;          /* address of its struct g, which others get after it */
	uint64_t created_pc; /* gopc: return address in who made it; 0: the first one */
	uint64_t start_pc;   /* of the function that it runs */
	uint64_t
		waits_since_ns; /* CLOCK_MONOTONIC; as the GC noted: a lower bound of its wait; 0: unknown */
	uint8_t mark;           /* enum lt_mark: what it waits for, or does */
	bool runtime;           /* one of the runtime's own: runtime.isSystemGoroutine() */
	bool cut;               /* frames do not reach its beginning: marked, never whole */
	uint32_t stack; /* index in lt_goroutines.stacks */
};

struct lt_go_stack { /* distinct ones */
	uint64_t hash;
	const uint64_t
		*frames;      /* addresses in the process, leaf first; each one a return address */
	uint16_t frame_count; /* 0: it runs, or moved while it was read: no usable stack */
	bool cut;
};

struct lt_goroutines {
	struct lt_goroutine *items; /* by ascending id */
	size_t count;
	struct lt_go_stack *stacks;
	size_t stack_count;
	size_t beyond;    /* not read: beyond LT_MAX_GOROUTINES or the time, or does not hold up */
	size_t unsettled; /* moved each time they were read: no stack; or it does not hold up: cut */
	size_t calls;     /* of process_vm_readv() */
};

struct lt_go_walker;

/* Keeps what it learnt (frame sizes of addresses) and its buffers from walk to walk. */
int lt_go_walker_new(struct lt_go_walker **walker, struct lt_go_program *program);
void lt_go_walker_free(struct lt_go_walker *walker);
/* The plugins changed: forget what was learnt. */
void lt_go_walker_reset(struct lt_go_walker *walker);
/* *result is borrowed until the next walk.  -ESRCH: the process is gone; -EBADMSG: allgs does not hold up. */
int lt_go_walk(struct lt_go_walker *walker, const struct lt_goroutines **result);

#endif
