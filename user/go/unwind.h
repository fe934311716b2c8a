/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Return addresses of a Go stack, from copies of parts of it: pure, and nothing of it is trusted.  How
 * far up the return address of a frame lies is told by the table of its function (pcsp), as
 * runtime/traceback.go finds it.
 */
#ifndef LT_GO_UNWIND_H
#define LT_GO_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leaktrace/limits.h"

/* What is known of an address in code. */
#define LT_GO_PC_KNOWN    1  /* a function whose frame is known */
#define LT_GO_PC_ENDS     2  /* a stack ends here: runtime.goexit */
#define LT_GO_PC_SWITCHES 4  /* it changes SP: its frame is known only before it does */
#define LT_GO_PC_INJECTED 8  /* what it returns to was interrupted anywhere, it did not call */
#define LT_GO_PC_ENTRY    16 /* the first instruction of its function: not behind a call */
#define LT_GO_PC_RUNTIME  32 /* a goroutine that starts here is the runtime's own */

struct lt_go_pc {
	uint64_t pc;
	int32_t delta; /* from SP to the return address */
	uint8_t flags;
	uint8_t depth; /* functions of the source that are there; 0: not looked up yet (go/pcs.h) */
};

typedef struct lt_go_pc (*lt_go_pc_lookup)(void *context, uint64_t pc);

enum lt_go_unwind_state {
	LT_GO_UNWIND_MORE = 0, /* the word at slot is needed */
	LT_GO_UNWIND_WHOLE,    /* reached the beginning of the goroutine */
	LT_GO_UNWIND_FULL,     /* there are more frames than LT_MAX_FRAMES */
	LT_GO_UNWIND_LOST,     /* it does not hold up */
};

struct lt_go_unwind {
	lt_go_pc_lookup lookup;
	void *context;
	uint64_t slot;  /* where the next return address lies */
	uint64_t limit; /* end of the stack */
	enum lt_go_unwind_state state;
	uint16_t count;
	bool exact; /* the next address was interrupted: it is no return address */
	uint64_t frames[LT_MAX_FRAMES]; /* return addresses, leaf first */
};

/* lookup and context are set.  syscall: as entersyscall() saved it, before the call switched anything. */
void lt_go_unwind_begin(struct lt_go_unwind *unwind, uint64_t pc, uint64_t sp, uint64_t lo,
			uint64_t hi, bool syscall);
/* Goes on with the bytes of the stack from address on, for as long as they have the slot. */
void lt_go_unwind_continue(struct lt_go_unwind *unwind, uint64_t address, const uint8_t *bytes,
			   size_t len);

#endif
