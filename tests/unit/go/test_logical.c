// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/logical.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define RETURN (0x1000 + 1)
#define LATER  UINT64_MAX

/* A program without a module: what is known of its addresses is what a test says. */
static struct lt_go_program program;
static struct lt_go_machine_stack stack;

static void know(struct lt_go_pcs *pcs, uint64_t pc, uint8_t flags, uint8_t depth)
{
	lt_go_pcs_get(pcs, pc);
	for (size_t i = 0; i < pcs->size; i++)
		if (pcs->slots[i].pc == pc)
			pcs->slots[i] =
				(struct lt_go_pc){ .pc = pc, .flags = flags, .depth = depth };
}

static void test_inlined_frames_are_those_of_the_one_before(void **state)
{
	static const uint64_t frames[] = { 0x2001, 0x2002, 0x2003, 0x3001, 0x4001, 0x4002 };
	struct lt_go_pcs pcs = { .program = &program };

	know(&pcs, 0x2000, 0, 3);
	know(&pcs, 0x4000, 0, 3); /* one more than there are: cut inside of it */
	assert_true(lt_go_logical_to_machine(&pcs, frames, 6, LATER, &stack));
	assert_int_equal(stack.count, 3);
	assert_false(stack.cut);
	assert_int_equal(stack.frames[0], 0x2001);
	assert_int_equal(stack.frames[1], 0x3001);
	assert_int_equal(stack.frames[2], 0x4001);
	assert_int_equal(lt_go_pcs_depth(&pcs, 0x3000), 1);
	assert_int_equal(lt_go_pcs_depth(&pcs, 0), 1);
	lt_go_pcs_free(&pcs);
}

static void test_what_the_runtime_cut_is_told_so(void **state)
{
	static const struct {
		uint16_t count;
		uint8_t last; /* flags */
		uint16_t kept;
		bool cut;
	} cases[] = {
		{ 0, 0, 0, false },
		{ 1, 0, 1, false }, /* C, or what is not known */
		{ 1, LT_GO_PC_KNOWN, 1, true },
		{ 32, LT_GO_PC_KNOWN, 32, true },
		{ 32, LT_GO_PC_KNOWN | LT_GO_PC_ENDS, 32, false },
		{ 32, LT_GO_PC_KNOWN | LT_GO_PC_SWITCHES, 32, false },
		{ LT_MAX_FRAMES, LT_GO_PC_ENDS, LT_MAX_FRAMES, false },
		{ LT_MAX_FRAMES + 1, LT_GO_PC_ENDS, LT_MAX_FRAMES, true },
		{ 1024, 0, LT_MAX_FRAMES, true },
	};
	uint64_t frames[1024];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lt_go_pcs pcs = { .program = &program };

		for (uint16_t at = 0; at < cases[i].count; at++)
			frames[at] = RETURN + at;
		know(&pcs, RETURN + cases[i].count - 2, cases[i].last, 1);
		assert_true(lt_go_logical_to_machine(&pcs, frames, cases[i].count, LATER, &stack));
		assert_int_equal(stack.count, cases[i].kept);
		assert_int_equal(stack.cut, cases[i].cut);
		assert_memory_equal(stack.frames, frames, stack.count * sizeof(frames[0]));
		lt_go_pcs_free(&pcs);
	}
}

static void test_it_ends_when_it_is_late(void **state)
{
	static const uint64_t frames[] = { 0x2001, 0x3001 };
	struct lt_go_pcs pcs = { .program = &program };

	assert_false(lt_go_logical_to_machine(&pcs, frames, 2, 1, &stack));
	assert_true(lt_go_logical_to_machine(&pcs, frames, 2, LATER, &stack));
	assert_int_equal(stack.count, 2);
	lt_go_pcs_free(&pcs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inlined_frames_are_those_of_the_one_before),
		cmocka_unit_test(test_what_the_runtime_cut_is_told_so),
		cmocka_unit_test(test_it_ends_when_it_is_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
