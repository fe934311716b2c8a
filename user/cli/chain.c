// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/chain.h"

bool lt_chain_has(const struct lt_event_stack *stack)
{
	for (uint16_t i = 0; i < stack->frame_count; i++)
		if (stack->frames[i] == LT_MARK_CREATED_STACK)
			return true;
	return false;
}

static void add(struct lt_event_stack *stack, uint64_t *words, uint64_t word)
{
	if (stack->frame_count < LT_MAX_FRAMES)
		words[stack->frame_count++] = word;
	else
		stack->end = LT_STACK_LIMIT;
}

static void add_stack(const struct lt_pipeline *pipeline, struct lt_event_stack *stack,
		      uint64_t *words, uint64_t stack_id)
{
	const uint64_t *frames = NULL;
	uint16_t count = lt_pipeline_stack(pipeline, stack_id, &frames);

	add(stack, words, LT_MARK_CREATED);
	if (!count)
		stack->end = LT_STACK_PENDING;
	for (uint16_t i = 0; i < count; i++)
		add(stack, words, lt_address_plain(frames[i]));
}

void lt_chain_expand(const struct lt_pipeline *pipeline, struct lt_event_stack *stack,
		     uint64_t words[LT_MAX_FRAMES])
{
	const struct lt_event_stack from = *stack;

	stack->frames = words;
	stack->frame_count = 0;
	for (uint16_t i = 0; i < from.frame_count; i++)
		if (from.frames[i] == LT_MARK_CREATED_STACK && i + 1 < from.frame_count)
			add_stack(pipeline, stack, words, from.frames[++i]);
		else
			add(stack, words, from.frames[i]);
}
