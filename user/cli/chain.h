/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chains of creation: BPF ends the stack of a goroutine with the ids of the stacks that made it, and made
 * its maker (bpf/go.bpf.h); here the ids become frames.  Pure.
 */
#ifndef LT_CLI_CHAIN_H
#define LT_CLI_CHAIN_H

#include <stdbool.h>

#include "cli/pipeline.h"

/* The stack names other stacks. */
bool lt_chain_has(const struct lt_event_stack *stack);
/*
 * The stack with the frames of those that it names, as the pipeline knows them, in words.  One that is
 * not known yet leaves it cut (LT_STACK_PENDING), and so to be replaced when it is sent again.
 */
void lt_chain_expand(const struct lt_pipeline *pipeline, struct lt_event_stack *stack,
		     uint64_t words[LT_MAX_FRAMES]);

#endif
