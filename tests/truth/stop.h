/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One stop of the target, told by stops.bpf.c to truth.c through a global variable: the registers
 * at a return of an allocator's function, and the stack that the project's unwinder makes of them.
 *
 * Include after <linux/types.h>.
 */
#ifndef TESTS_TRUTH_STOP_H
#define TESTS_TRUTH_STOP_H

#include "leaktrace/limits.h"

/* truth_state: user space goes from idle to armed, a probe from there to stopped. */
#define TRUTH_IDLE    0
#define TRUTH_ARMED   1
#define TRUTH_TAKEN   2 /* by one thread, which walks */
#define TRUTH_STOPPED 3 /* the record is complete, SIGSTOP is under way */

/* By DWARF number; System V psABI for x86-64, figure 3.36. */
#define TRUTH_REGISTERS 17
#define TRUTH_SP        7
#define TRUTH_IP        16

/* A return probe that is pending further out: its trampoline stands where an address was. */
struct truth_trap {
	__u64 slot, original;
};

#define TRUTH_TRAPS 16

struct truth_stop {
	__u32 tid;
	__u32 end; /* enum lt_stack_end */
	__u32 frame_count;
	__u32 trap_count;
	__u64 registers[TRUTH_REGISTERS];
	__u64 frames[LT_MAX_FRAMES];
	struct truth_trap traps[TRUTH_TRAPS];
};

#endif
