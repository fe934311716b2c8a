// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/stackset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define FIRST_SLOTS 1024 /* power of two */

void lt_go_stackset_free(struct lt_go_stackset *set)
{
	free(set->stacks);
	free(set->frames);
	free(set->starts);
	free(set->slots);
	*set = (struct lt_go_stackset){ 0 };
}

static uint64_t hash_of(const uint64_t *frames, uint16_t count, bool cut)
{
	uint64_t hash = lt_mix64(count * 2ULL + cut + 1);

	for (uint16_t i = 0; i < count; i++)
		hash = lt_mix64(hash ^ frames[i]);
	return hash;
}

static bool is_equal(const struct lt_go_stackset *set, size_t number, uint64_t hash,
		     const uint64_t *frames, uint16_t count, bool cut)
{
	const struct lt_go_stack *stack = &set->stacks[number];

	return stack->hash == hash && stack->frame_count == count && stack->cut == cut &&
	       !memcmp(set->frames + set->starts[number], frames, count * sizeof(*frames));
}

/* The slot with an equal stack, or where it goes: there is always a free one. */
static uint32_t *slot_of(const struct lt_go_stackset *set, uint64_t hash, const uint64_t *frames,
			 uint16_t count, bool cut)
{
	size_t at = hash & (set->slot_count - 1);

	while (set->slots[at] && !is_equal(set, set->slots[at] - 1, hash, frames, count, cut))
		at = (at + 1) & (set->slot_count - 1);
	return &set->slots[at];
}

/* At most half of the slots are in use. */
static int grow_slots(struct lt_go_stackset *set)
{
	size_t more = set->slot_count ? set->slot_count * 2 : FIRST_SLOTS;
	uint32_t *slots;

	if (set->slots && set->count < set->slot_count / 2)
		return 0;
	slots = calloc(more, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	free(set->slots);
	set->slots = slots;
	set->slot_count = more;
	for (size_t i = 0; i < set->count; i++) {
		const struct lt_go_stack *stack = &set->stacks[i];

		*slot_of(set, stack->hash, set->frames + set->starts[i], stack->frame_count,
			 stack->cut) = (uint32_t)i + 1;
	}
	return 0;
}

static int grow_stacks(struct lt_go_stackset *set)
{
	size_t more = set->stack_room ? set->stack_room * 2 : 64;
	struct lt_go_stack *stacks;
	size_t *starts;

	if (set->count < set->stack_room)
		return 0;
	stacks = reallocarray(set->stacks, more, sizeof(*stacks));
	if (!stacks)
		return -ENOMEM;
	set->stacks = stacks;
	starts = reallocarray(set->starts, more, sizeof(*starts));
	if (!starts)
		return -ENOMEM;
	set->starts = starts;
	set->stack_room = more;
	return 0;
}

static int grow_frames(struct lt_go_stackset *set, uint16_t count)
{
	size_t more = (set->frame_room + LT_MAX_FRAMES) * 2;
	uint64_t *frames;

	if (set->frames && set->frame_room - set->frames_used >= count)
		return 0;
	frames = reallocarray(set->frames, more, sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	set->frames = frames;
	set->frame_room = more;
	return 0;
}

int lt_go_stackset_add(struct lt_go_stackset *set, const uint64_t *frames, uint16_t count, bool cut,
		       uint32_t *number)
{
	uint64_t hash = hash_of(frames, count, cut);
	uint32_t *slot;

	if (grow_slots(set) || grow_stacks(set) || grow_frames(set, count))
		return -ENOMEM;
	slot = slot_of(set, hash, frames, count, cut);
	if (!*slot) {
		if (set->count == LT_MAX_GO_STACKS)
			return -ENOSPC;
		set->stacks[set->count] =
			(struct lt_go_stack){ .hash = hash, .frame_count = count, .cut = cut };
		set->starts[set->count] = set->frames_used;
		memcpy(set->frames + set->frames_used, frames, count * sizeof(*frames));
		set->frames_used += count;
		*slot = (uint32_t)++set->count;
	}
	*number = *slot - 1;
	return 0;
}

int lt_go_stackset_reset(struct lt_go_stackset *set)
{
	static const uint64_t none[1];
	uint32_t number;

	set->count = set->frames_used = 0;
	if (set->slots)
		memset(set->slots, 0, set->slot_count * sizeof(*set->slots));
	return lt_go_stackset_add(set, none, 0, true, &number);
}

void lt_go_stackset_finish(struct lt_go_stackset *set)
{
	for (size_t i = 0; i < set->count; i++)
		set->stacks[i].frames = set->frames + set->starts[i];
}
