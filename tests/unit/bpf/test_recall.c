/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A stack is recognised only while everything that its walk read is the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "native/scene.h"

static __u64 recall(void)
{
	return stack_recall(&scene.regs, native.thread);
}

/* Four frames with words far apart; the third's RBP comes from the second's frame. */
static __u64 walk_once(void)
{
	__u64 a = function(CFA_SP(24)), b = function(CFA_SP_BP(0x900, -24)),
	      c = function(CFA_BP(16));
	__u64 d = function(CFA_SP(8)), end = function(OUTERMOST), cfa = SP + 24 + 0x900;

	put(SP + 16, b);
	put(cfa - 24, cfa + 0x40);
	put(cfa - 8, c);
	put(cfa + 0x48, d);
	put(cfa + 0x50, end);
	begin(a, SP, 0x1234);
	EXPECT(LT_STACK_COMPLETE, a, b, c, d, end);
	return native.thread->stack.stack_id;
}

static void test_recalls(void **state)
{
	__u64 id;

	begin(CODE + 1, SP, 0);
	assert_int_equal(recall(), 0);
	id = walk_once();
	assert_int_equal(recall(), id);
	assert_int_equal(recall(), id);
	/* The frames are sent first. */
	native.thread->walk.frames = 0;
	assert_int_equal(stack_identify(&scene.regs, native.thread), id);
	assert_int_equal(native.thread->walk.frames, 5);
	native.sent[id % LT_STACK_SLOTS] = id;
	native.thread->walk.frames = 0;
	assert_int_equal(stack_identify(&scene.regs, native.thread), id);
	assert_int_equal(native.thread->walk.frames, 0);
}

/* Every bit of every word of the stack: it counts if and only if the walk read it. */
static void test_changed_words(void **state)
{
	const __u64 id = walk_once(), cfa = SP + 24 + 0x900;
	const __u64 read[] = { SP + 16, cfa - 24, cfa - 8, cfa + 0x48, cfa + 0x50 };
	struct lt_layout *layout = layout_of(native.thread, scene.regs.rip, SP);

	assert_int_equal(layout->count, 5);
	assert_int_equal(layout->bp & LT_LAYOUT_BP_START, 0);
	for (__u64 address = SP - 64; address < SP + LT_STACK_CHUNK + 64; address += 8) {
		bool counts = false;

		for (size_t i = 0; i < sizeof(read) / sizeof(read[0]); i++)
			counts |= read[i] == address;
		for (int bit = 0; bit < 64; bit += counts ? 1 : 21) {
			put(address, *word_at(address) ^ 1ULL << bit);
			layout->misses = 0;
			assert_int_equal(recall(), counts ? 0 : id);
			put(address, *word_at(address) ^ 1ULL << bit);
		}
	}
	layout->misses = 0;
	assert_int_equal(recall(), id);
}

/* Two addresses changed at once. */
static void test_changed_pairs(void **state)
{
	const __u64 id = walk_once(), cfa = SP + 24 + 0x900;
	struct lt_layout *layout = layout_of(native.thread, scene.regs.rip, SP);
	const __u64 a = SP + 16, b = cfa - 8;

	for (int i = 0; i < 47; i++) {
		for (int j = 0; j < 47 * 47; j++) {
			__u64 change = 1ULL << j % 47 | 1ULL << j / 47;

			put(a, *word_at(a) ^ 1ULL << i);
			put(b, *word_at(b) ^ change);
			layout->misses = 0;
			assert_int_not_equal(recall(), id);
			put(a, *word_at(a) ^ 1ULL << i);
			put(b, *word_at(b) ^ change);
		}
	}
}

static void test_changed_registers(void **state)
{
	const __u64 id = walk_once();

	scene.regs.rbp ^= 8; /* restored from the stack before it is used */
	assert_int_equal(recall(), id);
	scene.regs.rbx = 1;
	assert_int_equal(recall(), id);
	scene.regs.rsp += 8;
	assert_int_equal(recall(), 0);
	scene.regs.rsp -= 8;
	scene.regs.rip++;
	assert_int_equal(recall(), 0);
	scene.regs.rip--;
	assert_int_equal(recall(), id);
}

static void test_needs_bp(void **state)
{
	__u64 a = function(CFA_SP(8)), b = function(CFA_BP(16)), end = function(OUTERMOST), id;

	put(SP, b);
	put(SP + 0x48, end);
	put(SP + 0x88, end);
	begin(a, SP, SP + 0x40);
	EXPECT(LT_STACK_COMPLETE, a, b, end);
	id = native.thread->stack.stack_id;
	assert_int_equal(recall(), id);
	for (int bit = 0; bit < 64; bit++) {
		scene.regs.rbp = (SP + 0x40) ^ 1ULL << bit;
		assert_int_not_equal(recall(), id);
		layout_of(native.thread, a, SP)->misses = 0;
	}
	scene.regs.rbp = SP + 0x40;
	assert_int_equal(recall(), id);
}

/* The word that a realigned frame points with counts, too. */
static void test_dereferenced(void **state)
{
	__u64 a = function(LT_RULE(LT_CFA_BP_DEREF, 0, 0, -8)), b = function(OUTERMOST);
	__u64 c = function(OUTERMOST), bp = SP + 0x40, id;

	put(bp - 8, SP + 0x108);
	put(SP + 0x100, b);
	put(SP + 0x108, c);
	begin(a, SP, bp);
	EXPECT(LT_STACK_COMPLETE, a, b);
	id = native.thread->stack.stack_id;
	assert_int_equal(recall(), id);
	put(bp - 8, SP + 0x110);
	assert_int_equal(recall(), 0);
	put(bp - 8, SP + 0x108);
	assert_int_equal(recall(), id);
	scene.regs.rbp += 8;
	assert_int_equal(recall(), 0);
}

/* RBP may point far away: the word there is none of this stack. */
static void test_far_rbp(void **state)
{
	__u64 a = function(LT_RULE(LT_CFA_SP, 0, LT_BP_AT_BP, 16)), b = function(CFA_BP(16));
	__u64 c = function(OUTERMOST), d = function(OUTERMOST), far[2] = { SP + 0x80, 0 };

	for (int shift = 17; shift < 46; shift++) { /* from beyond the stack on */
		__u64 bp = SP + 0x40 + (1ULL << shift);

		native.region_count = 3;
		native_region(bp, sizeof(far), far);
		far[0] = SP + 0x80;
		put(SP + 8, b);
		put(SP + 0x88, c);
		put(SP + 0xc8, d);
		begin(a, SP, bp);
		EXPECT(LT_STACK_COMPLETE, a, b, c);
		far[0] = SP + 0xc0;
		assert_int_equal(recall(), 0);
		EXPECT(LT_STACK_COMPLETE, a, b, d);
	}
}

static void test_other_generation(void **state)
{
	const __u64 id = walk_once();

	lt_code_generation += 2;
	assert_int_equal(recall(), 0);
	assert_int_equal(stack_identify(&scene.regs, native.thread), id);
	assert_int_equal(recall(), id);
	lt_code_generation += 0x10000;
	assert_int_equal(recall(), 0);
}

static void test_unreadable(void **state)
{
	const __u64 id = walk_once();

	native.regions[native.region_count - 1].size = SP + 0x400 - STACK;
	assert_int_equal(recall(), 0);
	native.regions[native.region_count - 1].size = STACK_BYTES;
	assert_int_equal(recall(), id);
}

/* A walk that used what no layout names. */
static void test_never_remembered(void **state)
{
	__u64 end = function(OUTERMOST), plain = function(CFA_SP(16));
	__u64 by_register = function(LT_RULE(LT_CFA_REGISTER, DWARF_R12, 0, 16));
	__u64 by_signal = function(LT_RULE(LT_CFA_SIGNAL, 0, 0, 0)), far = function(CFA_SP(0x2000));
	__u64 below = function(CFA_SP_BP(16, -0x40)), based = function(CFA_BP(16));
	struct return_instance trap = { SP + 8, end, NULL };

	begin(by_register, SP, 0);
	scene.regs.r12 = SP;
	put(SP + 8, end);
	EXPECT(LT_STACK_COMPLETE, by_register, end);
	assert_int_equal(recall(), 0);

	begin(by_signal, SP, 0);
	put(SP + CONTEXT_RSP, SP + 0x400);
	put(SP + CONTEXT_RIP, end - 1);
	EXPECT(LT_STACK_COMPLETE, by_signal + 1, end);
	assert_int_equal(recall(), 0);

	begin(far, SP, 0);
	put(SP + 0x2000 - 8, end);
	EXPECT(LT_STACK_COMPLETE, far, end);
	assert_int_equal(recall(), 0);

	begin(below, SP, 0); /* RBP from below the first frame */
	put(SP + 16 - 0x40, SP + 0x40);
	put(SP + 8, based);
	put(SP + 0x48, end);
	EXPECT(LT_STACK_COMPLETE, below, based, end);
	assert_int_equal(recall(), 0);

	begin(plain, SP, 0);
	put(SP + 8, NOWHERE);
	native.task.utask = &native.utask;
	native.utask.return_instances = &trap;
	EXPECT(LT_STACK_COMPLETE, plain, end);
	assert_int_equal(recall(), 0);
	native.utask.return_instances = NULL;
	EXPECT(LT_STACK_NO_CODE, plain);
	assert_int_equal(recall(), 0);
}

/* More frames than a layout has room for. */
static void test_deep(void **state)
{
	__u64 a = function(CFA_SP(8)), end = function(OUTERMOST);

	for (__u64 depth = LT_LAYOUT_SLOTS - 2; depth < LT_LAYOUT_SLOTS + 3; depth++) {
		for (__u64 i = 0; i < depth; i++)
			put(SP + 8 * i, i + 1 < depth ? a : end);
		begin(a, SP, 0);
		for (int i = 0; i < 2; i++) { /* the cache cold and warm */
			__u64 id = stack_walk(&scene.regs, native.thread);

			assert_int_equal(native.thread->stack.end, LT_STACK_COMPLETE);
			assert_int_equal(native.thread->stack.frame_count, depth + 1);
			assert_int_equal(recall(), depth <= LT_LAYOUT_SLOTS ? id : 0);
		}
		memset(native.thread->layouts, 0, sizeof(native.thread->layouts));
	}
}

/* Stacks of different shapes at one place: given up for a while, never for good. */
static void test_many_shapes(void **state)
{
	__u64 a = function(CFA_SP(8)), end = function(OUTERMOST), id = 0;
	int found = 0;

	begin(a, SP, 0);
	for (__u64 i = 0; i < 200; i++) {
		__u64 size = 8 + i * 8;

		put(SP, function(CFA_SP(size)));
		put(SP + size, end);
		id = stack_identify(&scene.regs, native.thread);
		assert_int_equal(native.thread->stack.frame_count, 3);
	}
	for (int i = 0; i < 4 * MISSES_IN_ROW; i++) {
		assert_int_equal(stack_identify(&scene.regs, native.thread), id);
		found += recall() == id;
	}
	assert_true(found > 2 * MISSES_IN_ROW);

	/* Nor when the tables change while it was given up. */
	layout_of(native.thread, a, SP)->misses = MISSES_IN_ROW + 1;
	lt_code_generation += 2;
	found = 0;
	for (int i = 0; i < 4 * MISSES_IN_ROW; i++) {
		assert_int_equal(stack_identify(&scene.regs, native.thread), id);
		found += recall() == id;
	}
	assert_true(found > 2 * MISSES_IN_ROW);
}

/* Two stacks never share an id, by their frames or by how they ended. */
static void test_ids(void **state)
{
	__u64 a = function(CFA_SP(8)), b = function(CFA_SP(8)), end = function(OUTERMOST);
	const __u64 next[] = { a, b, end, NOWHERE, FRESH + 1, end + 1 };
	__u64 ids[sizeof(next) / sizeof(next[0])];

	begin(a, SP, 0);
	put(SP + 8, end);
	for (size_t i = 0; i < sizeof(next) / sizeof(next[0]); i++) {
		put(SP, next[i]);
		ids[i] = stack_walk(&scene.regs, native.thread);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(ids[i], ids[j]);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_recalls),       TEST(test_changed_words),
		TEST(test_changed_pairs), TEST(test_changed_registers),
		TEST(test_needs_bp),      TEST(test_dereferenced),
		TEST(test_far_rbp),       TEST(test_other_generation),
		TEST(test_unreadable),    TEST(test_never_remembered),
		TEST(test_deep),          TEST(test_many_shapes),
		TEST(test_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
