/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Distinct stacks of one walk, numbered; at most LT_MAX_GO_STACKS.  Number 0 is the one without frames. */
#ifndef LT_GO_STACKSET_H
#define LT_GO_STACKSET_H

#include "go/goroutines.h"

struct lt_go_stackset {
	struct lt_go_stack *stacks; /* owned */
	size_t count, stack_room;
	uint64_t *frames; /* owned; of all stacks */
	size_t *starts;   /* owned; of each one in frames, which moves as it grows */
	size_t frames_used, frame_room;
	uint32_t *slots; /* owned; number + 1, by hash; 0: free */
	size_t slot_count;
};

void lt_go_stackset_free(struct lt_go_stackset *set);
/* Empties it, keeping its memory: 0 or -ENOMEM. */
int lt_go_stackset_reset(struct lt_go_stackset *set);
/* 0, -ENOMEM, or -ENOSPC: it is full. */
int lt_go_stackset_add(struct lt_go_stackset *set, const uint64_t *frames, uint16_t count, bool cut,
		       uint32_t *number);
/* All are in: what stacks[].frames point at stays where it is until the next reset. */
void lt_go_stackset_finish(struct lt_go_stackset *set);

#endif
