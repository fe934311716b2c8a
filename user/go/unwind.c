// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/unwind.h"

#include <string.h>

#define WORD sizeof(uint64_t)

/*
 * One more frame, whose SP is sp when the instruction at pc runs.  What a signal interrupted, or what has
 * not run yet, goes into the list as if a call were before it, for readers look at the instruction
 * before a return address (runtime.tracebackPCs does the same).
 */
static void enter(struct lt_go_unwind *unwind, uint64_t pc, uint64_t sp, bool may_switch)
{
	struct lt_go_pc known = unwind->lookup(unwind->context, pc);
	bool exact = unwind->exact || (known.flags & LT_GO_PC_ENTRY);

	unwind->state = LT_GO_UNWIND_LOST;
	if (!(known.flags & (LT_GO_PC_KNOWN | LT_GO_PC_ENDS)))
		return;
	if (unwind->count == LT_MAX_FRAMES) {
		unwind->state = LT_GO_UNWIND_FULL;
		return;
	}
	unwind->frames[unwind->count++] = exact ? pc + 1 : pc;
	if (known.flags & LT_GO_PC_ENDS) {
		unwind->state = LT_GO_UNWIND_WHOLE;
		return;
	}
	if ((known.flags & LT_GO_PC_SWITCHES) && !may_switch)
		return;
	if (known.delta < 0 || (uint64_t)known.delta % WORD ||
	    unwind->limit - sp < (uint64_t)known.delta + WORD)
		return;
	unwind->slot = sp + (uint64_t)known.delta;
	unwind->exact = known.flags & LT_GO_PC_INJECTED;
	unwind->state = LT_GO_UNWIND_MORE;
}

void lt_go_unwind_begin(struct lt_go_unwind *unwind, uint64_t pc, uint64_t sp, uint64_t lo,
			uint64_t hi, bool syscall)
{
	unwind->count = 0;
	unwind->exact = false;
	unwind->limit = hi;
	unwind->state = LT_GO_UNWIND_LOST;
	if (sp < lo || sp >= hi || sp % WORD)
		return;
	enter(unwind, pc, sp, syscall);
}

void lt_go_unwind_continue(struct lt_go_unwind *unwind, uint64_t address, const uint8_t *bytes,
			   size_t len)
{
	/* The slot moves up with each step, and frames are counted: it ends. */
	while (unwind->state == LT_GO_UNWIND_MORE && unwind->slot >= address && len >= WORD &&
	       unwind->slot - address <= len - WORD) {
		uint64_t pc;

		memcpy(&pc, bytes + (unwind->slot - address), WORD);
		enter(unwind, pc, unwind->slot + WORD, false);
	}
}
