/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walks that change stacks on their way, as Go's do from a thread's own stack to a goroutine's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ucontext.h>

#include "native/scene.h"

#define OTHER       0xc000000000ULL /* where Go's heap is, and the stacks of goroutines */
#define OTHER_BYTES (16 << 10)
#define OTHER_END   (OTHER + OTHER_BYTES)
#define BEYOND      (STACK + STACK_BYTES)
#define ABOVE       0x7ffe00000000ULL /* the same memory, above the first stack */
#define SWITCH      LT_RULE(LT_CFA_SWITCH, 0, -16, 16)

static __u64 other[OTHER_BYTES / 8];

static int setup(void **state)
{
	memset(other, 0, sizeof(other));
	scene_setup(state);
	native_region(OTHER, OTHER_BYTES, other);
	native_region(ABOVE, OTHER_BYTES, other);
	return 0;
}

static void put_other(__u64 offset, __u64 value)
{
	assert_true(offset < OTHER_BYTES && !(offset & 7));
	other[offset / 8] = value;
}

/* One more function; the address that a call in it returns to. */
static __u64 caller(__u64 rule)
{
	__u64 address = function(rule);

	scene.code[address - CODE - 5] = 0xe8;
	return address;
}

/* The caller's frame and RBP lie where RBP points, far below or above. */
static void test_switch(void **state)
{
	static const __u64 stacks[] = { OTHER, ABOVE };
	__u64 leaf = function(CFA_SP(16)), switches = function(SWITCH);
	__u64 before = caller(CFA_SP(24)), based = function(CFA_BP(16)), end = function(OUTERMOST);

	put(SP + 8, switches);
	put_other(0x108, before);
	put_other(0x110 + 16, based);
	put_other(0x208, end);
	for (size_t i = 0; i < 2; i++) {
		put_other(0x100, stacks[i] + 0x200);
		begin(leaf, SP, stacks[i] + 0x100);
		EXPECT(LT_STACK_COMPLETE, leaf, switches, before, based, end);
		assert_int_equal(native.thread->walk.sp, stacks[i] + 0x210);
	}
}

/* C code saved RBP, and goes by it itself. */
static void test_switch_behind_saved(void **state)
{
	__u64 leaf = function(CFA_BP(16)), switches = function(SWITCH);
	__u64 before = caller(OUTERMOST);

	put(SP + 0x40, OTHER + 0x100);
	put(SP + 0x48, switches);
	put_other(0x108, before);
	begin(leaf, SP, SP + 0x40);
	EXPECT(LT_STACK_COMPLETE, leaf, switches, before);
}

/* Code that was on that stack already, and code that is nearer to the stack's end. */
static void test_switch_on_same_stack(void **state)
{
	static const __u64 frames[] = { SP + 0x20, SP + 0x3000, STACK };
	__u64 switches = function(SWITCH), before = caller(OUTERMOST);

	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		put(frames[i] + 8, before);
		begin(switches, SP, frames[i]);
		EXPECT(LT_STACK_COMPLETE, switches, before);
		put(frames[i] + 8, 0);
	}
}

/* Offsets from one stack say nothing of words on another. */
static void test_never_remembered(void **state)
{
	__u64 leaf = function(CFA_SP(8)), switches = function(SWITCH);
	__u64 before = caller(CFA_SP(8)), end = function(OUTERMOST), last = function(OUTERMOST);

	put(SP, switches);
	put_other(0x108, before);
	put_other(0x110, end);
	begin(leaf, SP, OTHER + 0x100);
	for (int i = 0; i < 3; i++)
		EXPECT(LT_STACK_COMPLETE, leaf, switches, before, end);
	assert_int_equal(native.thread->walk.unique, 1);
	assert_int_equal(stack_recall(&scene.regs, native.thread), 0);
	put_other(0x110, last);
	EXPECT(LT_STACK_COMPLETE, leaf, switches, before, last);
}

/* Nor is the next walk, on one stack alone, as if it had changed. */
static void test_next_walk(void **state)
{
	__u64 leaf = function(CFA_SP(8)), switches = function(SWITCH), before = caller(OUTERMOST);
	__u64 end = function(OUTERMOST), id;

	put(SP, switches);
	put_other(0x108, before);
	begin(leaf, SP, OTHER + 0x100);
	EXPECT(LT_STACK_COMPLETE, leaf, switches, before);
	put(SP, end);
	EXPECT(LT_STACK_COMPLETE, leaf, end);
	assert_int_equal(native.thread->walk.unique, 0);
	assert_int_equal(native.thread->walk.switches, 0);
	id = native.thread->stack.stack_id;
	assert_int_equal(stack_recall(&scene.regs, native.thread), id);
}

static void test_implausible(void **state)
{
	static const __u64 nowhere[] = { 0, 8, ~0ULL, ~7ULL, 1ULL << 47, OTHER_END, OTHER - 16 };
	static const __s32 offsets[] = { 0, -8, 12, MAX_FRAME_BYTES + 8, INT32_MIN, INT32_MAX };
	__u64 switches = function(SWITCH), before = caller(OUTERMOST), end = function(OUTERMOST);
	__u64 odd;

	for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
		begin(switches, SP, nowhere[i]);
		EXPECT(LT_STACK_FAULT, switches);
	}
	begin(switches, SP, OTHER + 0x100);
	put_other(0x108, end); /* not behind a call */
	EXPECT(LT_STACK_IMPLAUSIBLE, switches);
	put_other(0x108, NOWHERE);
	EXPECT(LT_STACK_IMPLAUSIBLE, switches);
	put_other(0x108, 0);
	EXPECT(LT_STACK_IMPLAUSIBLE, switches);
	native_region(NOWHERE, CODE_BYTES, scene.code); /* data that looks like code */
	put_other(0x108, before - CODE + NOWHERE);
	EXPECT(LT_STACK_NO_CODE, switches);
	begin(switches, SP, OTHER + 0x104);
	memcpy((char *)other + 0x10c, &before, sizeof(before));
	EXPECT(LT_STACK_IMPLAUSIBLE, switches);

	put_other(0x200, before);
	put_other(0x1f8, before);
	memcpy((char *)other + 0x204, &before, sizeof(before));
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		odd = function(LT_RULE(LT_CFA_SWITCH, 0, -16, offsets[i]));
		begin(odd, SP, OTHER + 0x200);
		(void)stack_walk(&scene.regs, native.thread);
		assert_int_equal(native.thread->stack.frame_count, 1);
		assert_true(native.thread->stack.end == LT_STACK_IMPLAUSIBLE ||
			    native.thread->stack.end == LT_STACK_FAULT);
	}
}

static void test_bp_unknown(void **state)
{
	__u64 loses = function(CFA_SP_BP(8, LT_BP_LOST)), switches = function(SWITCH);

	put(SP, switches);
	begin(loses, SP, OTHER + 0x100);
	EXPECT(LT_STACK_UNSUPPORTED, loses, switches);
}

/* From C to Go and back, each time on other stacks: only so often. */
static void test_limit(void **state)
{
	__u64 switches = caller(SWITCH), end = caller(OUTERMOST), frames[MAX_SWITCHES + 1];

	for (int i = 0; i < MAX_SWITCHES; i++) {
		put_other(0x100 * i, OTHER + 0x100 * i + 0x100);
		put_other(0x100 * i + 8, switches);
		frames[i] = switches;
	}
	frames[MAX_SWITCHES] = switches;
	begin(switches, SP, OTHER);
	put_other(0x100 * (MAX_SWITCHES - 1) + 8, end);
	frames[MAX_SWITCHES] = end;
	expect_walk(LT_STACK_COMPLETE, frames, MAX_SWITCHES + 1);
	/* In a circle */
	put_other(0x100 * (MAX_SWITCHES - 1) + 8, switches);
	put_other(0x100 * (MAX_SWITCHES - 1), OTHER);
	frames[MAX_SWITCHES] = switches;
	expect_walk(LT_STACK_IMPLAUSIBLE, frames, MAX_SWITCHES + 1);
	put_other(0, OTHER); /* a frame that is its own caller's */
	expect_walk(LT_STACK_IMPLAUSIBLE, frames, MAX_SWITCHES + 1);
}

/* Many frames on the other stack, in more than one piece of it, up to where it ends. */
static void test_long(void **state)
{
	__u64 frames[LT_MAX_FRAMES], switches = function(SWITCH), before = caller(CFA_SP(64));
	__u64 end = function(OUTERMOST);
	const __u32 count = 100;
	const __u64 first = OTHER_BYTES - 16 - 64 * (count - 2); /* of the other stack's frames */

	frames[0] = switches;
	put_other(first + 8, before);
	for (__u32 i = 1; i < count; i++) {
		frames[i] = before;
		if (i > 1)
			put_other(first + 16 + 64 * (i - 1) - 8, before);
	}
	put_other(OTHER_BYTES - 8, end);
	frames[count - 1] = end;
	begin(switches, SP, OTHER + first);
	expect_walk(LT_STACK_COMPLETE, frames, count);
	put_other(OTHER_BYTES - 8, before);
	frames[count - 1] = before;
	expect_walk(LT_STACK_FAULT, frames, count);
}

/* What is known of the end of the first stack stays known, and is not held against the other. */
static void test_ends(void **state)
{
	__u64 leaf = function(CFA_SP(8)), switches = function(SWITCH), before = caller(CFA_SP(8));
	__u64 end = function(OUTERMOST), faults;

	put(BEYOND - 24, switches);
	put_other(OTHER_BYTES - 16, before);
	put_other(OTHER_BYTES - 8, end);
	begin(leaf, BEYOND - 24, OTHER_END - 24);
	for (int i = 0; i < 3; i++) {
		faults = native.faults;
		EXPECT(LT_STACK_COMPLETE, leaf, switches, before, end);
		assert_int_equal(native.thread->stack_end, BEYOND);
		assert_int_equal(native.faults - faults, i ? 1 : 2);
	}
	/* Where no more than a part of a word would be left. */
	native.thread->stack_end = OTHER_END - 20;
	EXPECT(LT_STACK_COMPLETE, leaf, switches, before, end);
}

/* A signal while code is between two stacks: RBP is the interrupted code's. */
static void test_interrupted(void **state)
{
	__u64 trampoline = function(LT_RULE(LT_CFA_SIGNAL, 0, 0, 0)), switches = function(SWITCH);
	__u64 before = caller(CFA_SP(8)), end = function(OUTERMOST);
	ucontext_t context = { .uc_flags = 0 };

	context.uc_mcontext.gregs[REG_RIP] = (greg_t)switches - 1;
	context.uc_mcontext.gregs[REG_RSP] = SP + 0x4000;
	context.uc_mcontext.gregs[REG_RBP] = OTHER + 0x100;
	memcpy(word_at(SP), &context, 256);
	put_other(0x108, before);
	put_other(0x110, end);
	begin(trampoline, SP, 1);
	EXPECT(LT_STACK_COMPLETE, trampoline + 1, switches, before, end);
}

/* A stack that begins at the first byte of such a function. */
static void test_start(void **state)
{
	__u64 leaf = function(CFA_SP(8)), none = function(LT_RULE(LT_CFA_NONE, 0, 0, 0));
	__u64 switches = function(SWITCH), start = switches - FUNCTION_BYTES / 2;

	assert_true(none < start);
	put(SP, start);
	begin(leaf, SP, 0);
	EXPECT(LT_STACK_COMPLETE, leaf, start + 1);
}

/* What was laid there as if it had called: looked up where it begins, and stepped over all the same. */
static void test_laid(void **state)
{
	__u64 leaf = function(CFA_SP(8)), laid = function(LT_RULE(LT_CFA_START, 0, 0, 16));
	__u64 based = function(CFA_BP(16)), end = function(OUTERMOST);

	put(SP, laid);
	put(SP + 16, based);
	put(SP + 0x108, end);
	begin(leaf, SP, SP + 0x100);
	EXPECT(LT_STACK_COMPLETE, leaf, laid + 1, based, end);
	assert_int_equal(native.thread->walk.unique, 0);
	put(SP + 16, NOWHERE);
	EXPECT(LT_STACK_NO_CODE, leaf, laid + 1);
}

/* Where the frame was is noted, from the end of the stack of a goroutine that may have moved since. */
static void test_note(void **state)
{
	static const __u8 places[] = { 1, 6 };
	__u64 leaf = function(CFA_SP(8)), before = caller(CFA_SP(8)), end = function(OUTERMOST);
	__u64 pushes, leaves, g = OTHER + 0x2000;

	put_other(0x2008, OTHER + 0x1000);
	put_other(0x100, end); /* where RBP is stale */
	put_other(0x108, end);
	put_other(0x208, before);
	put_other(0x210, end);
	for (int i = 0; i < 2; i++) {
		pushes = function(LT_RULE(LT_CFA_SWITCH, places[i], -16, 16));
		leaves = function(LT_RULE(LT_CFA_SWITCH, places[i], LT_BP_LOST, 8));
		put(SP + 8 * places[i], 0x1000 - 0x200);
		put(SP + 8 * places[i] + 8, g);
		put(SP, pushes);
		begin(leaf, SP, OTHER + 0x100);
		EXPECT(LT_STACK_COMPLETE, leaf, pushes, before, end);
		put(SP, leaves);
		put(SP + 8 * places[i], 0x1000 - 0x208);
		EXPECT(LT_STACK_COMPLETE, leaf, leaves, before, end);
		put(SP + 8 * places[i] + 8, 0); /* it was on that stack already */
		put(SP + 8 * places[i], OTHER + 0x208);
		EXPECT(LT_STACK_COMPLETE, leaf, leaves, before, end);
		put(SP + 8 * places[i], OTHER + 0x108);
		EXPECT(LT_STACK_IMPLAUSIBLE, leaf, leaves);
		put(SP + 8 * places[i] + 8, OTHER_END);
		EXPECT(LT_STACK_FAULT, leaf, leaves);
	}
	begin(pushes, BEYOND - 40, OTHER + 0x200);
	EXPECT(LT_STACK_FAULT, pushes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_switch),      TEST(test_switch_behind_saved),
		TEST(test_next_walk),   TEST(test_switch_on_same_stack),
		TEST(test_implausible), TEST(test_never_remembered),
		TEST(test_bp_unknown),  TEST(test_limit),
		TEST(test_long),        TEST(test_ends),
		TEST(test_interrupted), TEST(test_start),
		TEST(test_laid),        TEST(test_note),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
