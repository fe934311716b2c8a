/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The other opinion on a stack: elfutils' libdwfl, which eu-stack uses.  It shares no code with the
 * unwinder under test and starts from the same registers.
 */
#ifndef TESTS_TRUTH_JUDGE_H
#define TESTS_TRUTH_JUDGE_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "stop.h"

#define JUDGE_MAX_FRAMES 512

struct judge;

struct judged_stack {
	/* As leaktrace has them: names are looked up at frame - 1 (lt_wire_stack in events.h). */
	uint64_t frames[JUDGE_MAX_FRAMES];
	size_t count;
	bool signal;       /* one of them was interrupted by a signal */
	bool trapped;      /* one of them was behind a trampoline */
	bool outermost;    /* its CFI says that nothing called the last frame */
	const char *error; /* static; NULL if there was none */
};

int judge_new(struct judge **judge, pid_t pid);
void judge_free(struct judge *judge);
/* Looks at the target's mappings again; the CFI of those known already is kept. */
int judge_update(struct judge *judge);
/*
 * The target must be stopped.  trampoline: what return probes put in the place of the addresses
 * that the kernel told of in stop->traps.
 */
void judge_unwind(struct judge *judge, const struct truth_stop *stop, uint64_t trampoline,
		  struct judged_stack *stack);

#endif
