// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/logical.h"

#include <time.h>

static bool is_late(uint64_t deadline_ns)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec >= deadline_ns;
}

/*
 * The runtime keeps 32 frames up to 1.22 (runtime/mprof.go, maxStack), then as many as GODEBUG=profstackdepth says.
 * It stops where a function changes SP as well.
 */
static bool is_cut(struct lt_go_pcs *pcs, uint64_t last)
{
	uint8_t flags = lt_go_pcs_get(pcs, last - 1).flags;

	return flags & LT_GO_PC_KNOWN && !(flags & (LT_GO_PC_ENDS | LT_GO_PC_SWITCHES));
}

bool lt_go_logical_to_machine(struct lt_go_pcs *pcs, const uint64_t *frames, uint16_t count,
			      uint64_t deadline_ns, struct lt_go_machine_stack *stack)
{
	uint8_t inlined = 0; /* frames to come that are in the machine's frame before */

	stack->count = 0;
	stack->cut = false;
	for (uint16_t i = 0; i < count; i++) {
		if (inlined) {
			inlined--;
			continue;
		}
		if (stack->count == LT_MAX_FRAMES) {
			stack->cut = true;
			return true;
		}
		if (is_late(deadline_ns))
			return false;
		stack->frames[stack->count++] = frames[i];
		inlined = (uint8_t)(lt_go_pcs_depth(pcs, frames[i] - 1) - 1);
	}
	stack->cut = count && is_cut(pcs, frames[count - 1]);
	return true;
}
