// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any bytes as a goroutine of any version and as its stack, with any frame sizes: decoded and unwound
 * within bounds, in windows of any size, to the same end whatever the windows are.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "go/gstruct.h"
#include "go/unwind.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LO 0x100000

static const struct lt_go_layout *layout_by(uint8_t choice)
{
	const struct lt_go_layout *layout = lt_go_layout_of(15 + choice % 13);

	return layout ? layout : lt_go_layout_of(22);
}

/* Small addresses are code with small frames, so that stacks of some depth occur. */
static struct lt_go_pc look_up(void *context, uint64_t pc)
{
	uint64_t hash = lt_mix64(pc + *(const uint8_t *)context);
	struct lt_go_pc known = { .pc = pc };

	if (pc > UINT16_MAX)
		return known;
	known.delta = hash & 1 ? (int32_t)(hash >> 8 & 0x38) : (int32_t)(hash >> 8);
	known.flags = (uint8_t)(hash >> 56) & ~LT_GO_PC_ENDS;
	if (pc % 64 == 1)
		known.flags |= LT_GO_PC_ENDS;
	return known;
}

static void unwind_with(struct lt_go_unwind *unwind, const struct lt_go_g *g, uint8_t *salt,
			const uint8_t *stack, size_t size, size_t window)
{
	uint64_t lo = LO, hi = LO + size;

	*unwind = (struct lt_go_unwind){ .lookup = look_up, .context = salt };
	lt_go_unwind_begin(unwind, g->sched_pc, LO + g->sched_sp % (size + 16), lo, hi,
			   g->status == LT_GO_SYSCALL);
	for (int round = 0; unwind->state == LT_GO_UNWIND_MORE; round++) {
		uint64_t at = unwind->slot, left = hi - at;

		if (at < lo || at > hi - 8 || round > LT_MAX_FRAMES)
			abort();
		lt_go_unwind_continue(unwind, at, stack + (at - lo), left < window ? left : window);
		if (unwind->state == LT_GO_UNWIND_MORE && unwind->slot <= at)
			abort();
	}
	if (unwind->count > LT_MAX_FRAMES ||
	    (unwind->state == LT_GO_UNWIND_WHOLE && !unwind->count))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct lt_go_layout *layout;
	struct lt_go_unwind narrow, wide;
	uint8_t bytes[LT_MAX_GO_G_BYTES] = { 0 }, *stack, salt;
	size_t part = size / 2 < sizeof(bytes) ? size / 2 : sizeof(bytes), left;
	struct lt_go_g g;

	if (size < 32)
		return 0;
	layout = layout_by(data[0]);
	salt = data[1];
	memcpy(bytes, data, part);
	lt_go_g_decode(layout, bytes, LO, &g);
	if (lt_go_g_plausible(&g) && lt_go_g_alive(&g) && !lt_go_g_mark(layout, &g))
		abort();
	if (!lt_go_g_same(&g, &g))
		abort();
	lt_go_g_resembled(bytes, layout->g_bytes, LO);
	left = (size - part) & ~(size_t)7;
	stack = malloc(left);
	if (!stack)
		return 0;
	memcpy(stack, data + part, left);
	unwind_with(&narrow, &g, &salt, stack, left, 8);
	unwind_with(&wide, &g, &salt, stack, left, left);
	if (narrow.state != wide.state || narrow.count != wide.count ||
	    memcmp(narrow.frames, wide.frames, narrow.count * sizeof(*narrow.frames)) != 0)
		abort();
	free(stack);
	return 0;
}
