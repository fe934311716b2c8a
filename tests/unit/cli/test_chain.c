// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/chain.h"

#define PROCESS 7
#define TAG     (UINT64_C(3) << LT_ADDRESS_BITS)

static int set_up(void **state)
{
	static const struct lt_pipeline_options options = { .top = 10 };
	struct lt_event event = { .type = LT_EVENT_TARGET,
				  .tgid = PROCESS,
				  .target = { .comm = "", .exe = "", .allocator = "" } };
	struct lt_pipeline *pipeline;

	if (lt_pipeline_new(&pipeline, &options))
		return -1;
	*state = pipeline;
	return lt_pipeline_apply(pipeline, &event);
}

static int tear_down(void **state)
{
	lt_pipeline_free(*state);
	return 0;
}

static void know(struct lt_pipeline *pipeline, uint64_t stack_id, const uint64_t *frames,
		 uint16_t count)
{
	struct lt_event event = { .type = LT_EVENT_STACK,
				  .tgid = PROCESS,
				  .stack = { stack_id, frames, count, LT_STACK_COMPLETE } };

	assert_int_equal(lt_pipeline_apply(pipeline, &event), 0);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_plain(void **state)
{
	const uint64_t frames[] = { 0x1001, LT_MARK_CREATED, 0x2001 };
	const struct lt_event_stack stack = { 1, frames, COUNT(frames), LT_STACK_COMPLETE };

	assert_false(lt_chain_has(&stack));
}

/* Two generations; the frames that are known carry tags of their places, which are given anew. */
static void test_frames_take_the_place_of_ids(void **state)
{
	const uint64_t maker[] = { 0x2001 | TAG, 0x2101 | TAG }, its_maker[] = { 0x3001 };
	const uint64_t frames[] = { LT_MARK_STARTED, LT_MARK_CREATED_STACK, 22,
				    LT_MARK_CREATED_STACK, 33 };
	const uint64_t expected[] = { LT_MARK_STARTED, LT_MARK_CREATED, 0x2001,
				      0x2101,          LT_MARK_CREATED, 0x3001 };
	struct lt_event_stack stack = { 1, frames, COUNT(frames), LT_STACK_COMPLETE };
	uint64_t words[LT_MAX_FRAMES];

	know(*state, 22, maker, COUNT(maker));
	know(*state, 33, its_maker, COUNT(its_maker));
	assert_true(lt_chain_has(&stack));
	lt_chain_expand(*state, &stack, words);
	assert_int_equal(stack.stack_id, 1);
	assert_int_equal(stack.frame_count, COUNT(expected));
	assert_memory_equal(stack.frames, expected, sizeof(expected));
	assert_int_equal(stack.end, LT_STACK_COMPLETE);
}

/* What names a stack that did not come is cut, so that it may be told again. */
static void test_not_known(void **state)
{
	const uint64_t frames[] = { 0x1001, LT_MARK_CREATED_STACK, 44 };
	const uint64_t expected[] = { 0x1001, LT_MARK_CREATED };
	struct lt_event_stack stack = { 1, frames, COUNT(frames), LT_STACK_COMPLETE };
	uint64_t words[LT_MAX_FRAMES];

	lt_chain_expand(*state, &stack, words);
	assert_int_equal(stack.frame_count, COUNT(expected));
	assert_memory_equal(stack.frames, expected, sizeof(expected));
	assert_int_equal(stack.end, LT_STACK_PENDING);
}

static void test_longer_than_a_stack(void **state)
{
	uint64_t maker[LT_MAX_FRAMES], words[LT_MAX_FRAMES];
	const uint64_t frames[] = { 0x1001, LT_MARK_CREATED_STACK, 55 };
	struct lt_event_stack stack = { 1, frames, COUNT(frames), LT_STACK_COMPLETE };

	for (uint16_t i = 0; i < LT_MAX_FRAMES; i++)
		maker[i] = 0x5001 + i;
	know(*state, 55, maker, LT_MAX_FRAMES);
	lt_chain_expand(*state, &stack, words);
	assert_int_equal(stack.frame_count, LT_MAX_FRAMES);
	assert_int_equal(stack.frames[LT_MAX_FRAMES - 1], 0x5001 + LT_MAX_FRAMES - 3);
	assert_int_equal(stack.end, LT_STACK_LIMIT);
}

/* A mark at the very end names nothing. */
static void test_half_a_pair(void **state)
{
	const uint64_t frames[] = { 0x1001, LT_MARK_CREATED_STACK };
	struct lt_event_stack stack = { 1, frames, COUNT(frames), LT_STACK_COMPLETE };
	uint64_t words[LT_MAX_FRAMES];

	lt_chain_expand(*state, &stack, words);
	assert_int_equal(stack.frame_count, COUNT(frames));
	assert_memory_equal(stack.frames, frames, sizeof(frames));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_frames_take_the_place_of_ids),
		cmocka_unit_test(test_not_known),
		cmocka_unit_test(test_longer_than_a_stack),
		cmocka_unit_test(test_half_a_pair),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
