/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stacks of Go's profiles hold one address for each function of the source, inlined or not
 * (runtime/traceback.go: tracebackPCs(); gentraceback() before 1.21).  Names are looked up with all that
 * is inlined at an address, so those of the callers that were inlined into come twice.
 */
#ifndef LT_GO_LOGICAL_H
#define LT_GO_LOGICAL_H

#include "go/pcs.h"
#include "leaktrace/limits.h"

struct lt_go_machine_stack {
	uint64_t frames[LT_MAX_FRAMES]; /* return addresses, leaf first */
	uint16_t count;
	bool cut; /* there are more, beyond LT_MAX_FRAMES or what the runtime keeps of a stack */
};

/*
 * The addresses that are in frames of the machine's stack, of a profile's.  False: it was not done by
 * deadline_ns (CLOCK_MONOTONIC), for the tables are the target's, thus hostile.
 */
bool lt_go_logical_to_machine(struct lt_go_pcs *pcs, const uint64_t *frames, uint16_t count,
			      uint64_t deadline_ns, struct lt_go_machine_stack *stack);

#endif
