/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stacks of Go's profiles hold one address for each function of the source, inlined or not
 * (runtime/traceback.go: tracebackPCs(); gentraceback() before 1.21).  Names are looked up with all that
 * is inlined at an address, so those of the callers that were inlined into come twice.
 */
#ifndef LT_GO_LOGICAL_H
#define LT_GO_LOGICAL_H

#include "go/program.h"

/*
 * The addresses that are in frames of the machine's stack, of a profile's: to has room for count of
 * them, and for LT_MAX_FRAMES at most.  How many.
 */
uint16_t lt_go_physical(const struct lt_go_program *program, const uint64_t *frames, uint16_t count,
			uint64_t *to);

#endif
