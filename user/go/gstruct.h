/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One struct g of Go's runtime (runtime/runtime2.go), decoded from bytes that were read from the process:
 * pure, and nothing of it is trusted.
 */
#ifndef LT_GO_GSTRUCT_H
#define LT_GO_GSTRUCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "go/layout.h"

/* atomicstatus; the same numbers in all versions */
enum lt_go_status {
	LT_GO_IDLE = 0,
	LT_GO_RUNNABLE = 1,
	LT_GO_RUNNING = 2,
	LT_GO_SYSCALL = 3,
	LT_GO_WAITING = 4,
	LT_GO_DEAD = 6,
	LT_GO_COPYSTACK = 8, /* it grows its own stack: it runs */
	LT_GO_PREEMPTED = 9,
	LT_GO_LEAKED = 10,
	LT_GO_DEADEXTRA = 11,
	LT_GO_STATUSES
};

struct lt_go_g {
	uint64_t address;
	uint64_t stack_lo, stack_hi, m;
	uint64_t sched_sp, sched_pc, sched_g, sched_bp, syscallsp, syscallpc;
	uint64_t goid, waitsince, parent, gopc, startpc;
	uint8_t status; /* without the bit of the GC's scan; UINT8_MAX: none of these */
	uint8_t waitreason, tracking_seq;
};

#define LT_MAX_GO_G_BYTES 512 /* of struct g that any layout reads */

/* Of layout->g_bytes bytes. */
void lt_go_g_decode(const struct lt_go_layout *layout, const uint8_t *bytes, uint64_t address,
		    struct lt_go_g *g);
/* Can it be one?  (startpc is for the caller to look at.) */
bool lt_go_g_plausible(const struct lt_go_g *g);
bool lt_go_g_alive(const struct lt_go_g *g);
/* Of one that is alive: it is not running, so that its stack says where it is. */
bool lt_go_g_stopped(const struct lt_go_g *g);
/*
 * Does its struct tell whether it runs meanwhile?  As it stops, its status is set, then trackingSeq counts,
 * then m is cleared (park_m(), casgstatus(), dropg() in runtime/proc.go): so with m clear and the same
 * count it did not run.  Not counted are: any stop before 1.17, one for the GC (casGToPreemptScan()), the
 * entry into a system call since 1.26; and what waits on the system's stack keeps m.
 */
bool lt_go_g_counted(const struct lt_go_layout *layout, const struct lt_go_g *g);
/* Whether it has not run between the two, as far as the struct tells it. */
bool lt_go_g_same(const struct lt_go_g *before, const struct lt_go_g *after);
/* Of one that is alive: enum lt_mark. */
uint8_t lt_go_g_mark(const struct lt_go_layout *layout, const struct lt_go_g *g);

/*
 * Whether bytes look like a struct g at that address, of whatever version: its stack's bounds come
 * first, and gobuf, which is the same since 1.2, points back at it.
 */
bool lt_go_g_resembled(const uint8_t *bytes, size_t len, uint64_t address);

#endif
