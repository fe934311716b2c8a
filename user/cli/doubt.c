// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/doubt.h"

#include "base/hash.h"

/*
 * While code is being replaced, BPF's stack ids are those of the code that was there before, and
 * may come again when that code does.  So what is in doubt is told under other ids: here of all
 * frames, which no site uses; in emit_doubtful() of those that are sure.
 */
static uint64_t doubtful_id(uint64_t stack_id)
{
	return lt_mix64(stack_id);
}

/* By what is sure of it: another time, other code, another id. */
static uint64_t sure_id(const struct lt_event_stack *stack)
{
	return lt_mix64(lt_fnv1a(LT_FNV_SEED, stack->frames,
				 stack->frame_count * sizeof(stack->frames[0])));
}

static struct lt_cut_stack *cut_slot(struct lt_session *session, uint32_t process,
				     uint64_t stack_id)
{
	return &session->cut_stacks[(stack_id ^ process) % LT_CUT_STACKS];
}

int lt_doubt_stack(struct lt_session *session, struct lt_modules *modules,
		   const struct lt_event *event)
{
	uint64_t stack_id = event->stack.stack_id;
	struct lt_cut_stack *slot = cut_slot(session, event->tgid, stack_id);
	struct lt_cut_stack *awaited = &session->awaited_stacks[slot - session->cut_stacks];
	struct lt_event placed = *event, whole = *event;
	int cut = lt_modules_place_stack(modules, &placed.stack, event->time_ns), err;

	if (cut < 0)
		return cut;
	if (cut) {
		session->cuts++;
		placed.stack.stack_id = sure_id(&placed.stack);
		*slot = (struct lt_cut_stack){ event->tgid, stack_id, placed.stack.stack_id };
		whole.stack.stack_id = doubtful_id(stack_id);
		err = lt_feed_deliver(session, &whole);
		if (!err)
			err = lt_feed_deliver(session, &placed);
		/* An acquire went out under its own id already: it must not stay without a stack. */
		if (err || awaited->stack_id != stack_id || awaited->process != event->tgid)
			return err;
		*awaited = (struct lt_cut_stack){ 0 };
		placed.stack.stack_id = stack_id;
		return lt_feed_deliver(session, &placed);
	}
	if (slot->stack_id == stack_id && slot->process == event->tgid)
		*slot = (struct lt_cut_stack){ 0 };
	return lt_feed_deliver(session, &placed);
}

/* Under which id the stack was told, if it was in doubt when it came. */
static uint64_t told_id(struct lt_session *session, uint32_t process, uint64_t stack_id)
{
	const struct lt_cut_stack *slot = cut_slot(session, process, stack_id);

	return slot->stack_id == stack_id && slot->process == process ? slot->sure_id : stack_id;
}

/* One that came just after its stack, which was in doubt, though it is not itself. */
static int emit_acquire(struct lt_session *session, const struct lt_event *event)
{
	struct lt_event acquire = *event;

	acquire.acquire.stack_id = told_id(session, event->tgid, event->acquire.stack_id);
	return lt_feed_deliver(session, &acquire);
}

int lt_doubt_passed(struct lt_session *session, const struct lt_event *event)
{
	struct lt_event passed = *event;

	passed.passed.stack_id = told_id(session, event->tgid, event->passed.stack_id);
	return lt_feed_deliver(session, &passed);
}

/*
 * An acquire that came while code was being replaced.  If its stack leads through that code, it is
 * told under another id, cut there.
 */
static int emit_doubtful(struct lt_session *session, const struct lt_target *target,
			 const struct lt_event *event)
{
	struct lt_event acquire = *event, stack = *event;
	uint64_t plain[LT_MAX_FRAMES], stack_id = event->acquire.stack_id;
	const uint64_t *frames = NULL;
	uint16_t count = lt_pipeline_stack(target->pipeline, stack_id, &frames);
	uint16_t first;
	int err;

	if (!count)
		count = lt_pipeline_stack(target->pipeline, doubtful_id(stack_id), &frames);
	for (uint16_t i = 0; i < count; i++)
		plain[i] = lt_address_plain(frames[i]);
	stack.type = LT_EVENT_STACK;
	stack.flags = 0;
	stack.stack = (struct lt_event_stack){ .frames = plain, .frame_count = count };
	if (!count) {
		size_t index =
			(size_t)(cut_slot(session, event->tgid, stack_id) - session->cut_stacks);

		session->awaited_stacks[index] = (struct lt_cut_stack){ event->tgid, stack_id, 0 };
	}
	first = count ? lt_modules_in_doubt(target->image->modules, &stack.stack, event->time_ns)
		      : 0;
	if (first == count) /* or its frames come later, by another ring */
		return emit_acquire(session, event);
	stack.stack.frame_count = first + 1;
	stack.stack.end = LT_STACK_PENDING;
	err = lt_modules_place_stack(target->image->modules, &stack.stack, event->time_ns);
	if (err < 0)
		return err;
	stack.stack.stack_id = sure_id(&stack.stack);
	session->cuts++;
	acquire.acquire.stack_id = stack.stack.stack_id;
	err = lt_feed_deliver(session, &stack);
	return err ? err : lt_feed_deliver(session, &acquire);
}

int lt_doubt_acquire(struct lt_session *session, const struct lt_target *target,
		     const struct lt_event *event)
{
	return target->image && lt_modules_doubtful(target->image->modules, event->time_ns)
		       ? emit_doubtful(session, target, event)
		       : emit_acquire(session, event);
}
