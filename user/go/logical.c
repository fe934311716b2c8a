// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/logical.h"

#include <time.h>

/* Frames that the runtime keeps at least: runtime/mprof.go, maxStack; since 1.23 four times as many. */
#define KEPT_FRAMES 32

static bool is_late(uint64_t deadline_ns)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec >= deadline_ns;
}

/* One that ends in the runtime's own code without an end was not cut: it does not go back from there. */
static bool is_cut(struct lt_go_pcs *pcs, const uint64_t *frames, uint16_t count)
{
	return count >= KEPT_FRAMES && !(lt_go_pcs_get(pcs, frames[count - 1] - 1).flags &
					 (LT_GO_PC_ENDS | LT_GO_PC_SWITCHES));
}

bool lt_go_logical_to_machine(struct lt_go_pcs *pcs, const uint64_t *frames, uint16_t count,
			      uint64_t deadline_ns, struct lt_go_machine_stack *stack)
{
	uint8_t inlined = 0; /* frames to come that are in the machine's frame before */

	stack->count = 0;
	stack->cut = is_cut(pcs, frames, count);
	for (uint16_t i = 0; i < count; i++) {
		if (inlined) {
			inlined--;
			continue;
		}
		if (stack->count == LT_MAX_FRAMES) {
			stack->cut = true;
			break;
		}
		if (is_late(deadline_ns))
			return false;
		stack->frames[stack->count++] = frames[i];
		inlined = (uint8_t)(lt_go_pcs_depth(pcs, frames[i] - 1) - 1);
	}
	return true;
}
