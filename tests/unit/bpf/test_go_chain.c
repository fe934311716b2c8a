/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What made the goroutine goes behind the frames of a stack, and into its id. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "native/scene.h"

#define PROCESS 99
#define GOID    1234
#define GOPC    (CODE + 0x777)

/* Structures of the runtime, in readable memory beyond what is walked. */
#define CURRENT (STACK + 0xc000) /* struct g */
#define SYSTEM  (STACK + 0xd000)
#define MACHINE (STACK + 0xe000) /* struct m */

static const struct lt_bpf_go layout = {
	.g_m = 48, .g_goid = 152, .g_gopc = 280, .g_sched_sp = 56, .g_sched_bp = 104, .m_curg = 192
};

static __u64 a, end;

static int setup(void **state)
{
	scene_setup(state);
	native.thread->go = layout;
	native.thread->process = PROCESS;
	native.thread->has_go = 1;
	put(CURRENT + layout.g_m, MACHINE);
	put(CURRENT + layout.g_goid, GOID);
	put(CURRENT + layout.g_gopc, GOPC);
	put(SYSTEM + layout.g_m, MACHINE);
	put(MACHINE + layout.m_curg, CURRENT);
	a = function(CFA_SP(16));
	end = function(OUTERMOST);
	put(SP + 8, end);
	begin(a, SP, 0);
	scene.regs.r14 = CURRENT;
	return 0;
}

static void bear(__u64 gopc, __u32 process, __u64 own, __u64 parent)
{
	__u32 at = native.birth_count++;

	assert_true(at < NATIVE_BIRTHS);
	native.born[at] = (struct lt_go_birth_key){ .g = CURRENT, .process = process };
	native.births[at] = (struct lt_go_birth){ .gopc = gopc, .stacks = { own, parent } };
}

static __u64 identify(void)
{
	return stack_identify(&scene.regs, native.thread);
}

static void expect(__u64 id, const __u64 *words, __u32 count)
{
	assert_int_equal(native.thread->stack.stack_id, id);
	assert_int_equal(native.thread->stack.frame_count, count);
	assert_memory_equal(native.thread->frames, words, count * sizeof(*words));
}

#define EXPECT_STACK(id, ...)                                                                      \
	expect(id, (const __u64[]){ __VA_ARGS__ }, sizeof((const __u64[]){ __VA_ARGS__ }) / 8)

static void test_not_go(void **state)
{
	native.thread->has_go = 0;
	EXPECT_STACK(identify(), a, end);
}

static void test_noted_pc(void **state)
{
	__u64 plain = stack_walk(&scene.regs, native.thread), id = identify();

	assert_int_not_equal(id, plain);
	EXPECT_STACK(id, a, end, LT_MARK_CREATED, GOPC);
	/* Another process's goroutine at that address, and the one that was there before this one. */
	bear(GOPC, PROCESS + 1, 5, 6);
	bear(GOPC + 8, PROCESS, 5, 6);
	assert_int_equal(identify(), id);
	put(CURRENT + layout.g_gopc, GOPC + 1);
	assert_int_not_equal(identify(), id);
	put(CURRENT + layout.g_gopc, 0); /* the first of all */
	assert_int_equal(identify(), plain);
	EXPECT_STACK(plain, a, end);
}

static void test_seen_creation(void **state)
{
	__u64 id;

	bear(GOPC, PROCESS, 0xabc, 0xdef);
	id = identify();
	EXPECT_STACK(id, a, end, LT_MARK_CREATED_STACK, 0xabc, LT_MARK_CREATED_STACK, 0xdef);
	native.births[0].stacks[1] = 0;
	assert_int_not_equal(identify(), id);
	EXPECT_STACK(native.thread->stack.stack_id, a, end, LT_MARK_CREATED_STACK, 0xabc);
}

/* On the scheduler's stack it is the goroutine for which that works. */
static void test_system_stack(void **state)
{
	__u64 id = identify();

	scene.regs.r14 = SYSTEM;
	assert_int_equal(identify(), id);
	put(MACHINE + layout.m_curg, 0); /* none: it schedules */
	EXPECT_STACK(identify(), a, end);
}

/* The register has anything: code in C. */
static void test_no_goroutine(void **state)
{
	const __u64 wrong[] = { 0, 1, NOWHERE, ~0ULL, STACK, SP, MACHINE, CURRENT + 8, 1ULL << 63 };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		scene.regs.r14 = wrong[i];
		EXPECT_STACK(identify(), a, end);
	}
	scene.regs.r14 = SYSTEM;
	put(CURRENT + layout.g_m, MACHINE + 8); /* runs elsewhere */
	EXPECT_STACK(identify(), a, end);
}

/* The frames are known, but were sent with another chain, or without one. */
static void test_recalled(void **state)
{
	__u64 id = identify(), other;

	*sent_slot(native.thread, id) = sent_mark(native.thread, id);
	native.thread->walk.frames = 0;
	assert_int_equal(identify(), id);
	assert_int_equal(native.thread->walk.frames, 0); /* not walked */
	bear(GOPC, PROCESS, 0xabc, 0);
	other = identify();
	assert_int_not_equal(other, id);
	assert_int_equal(native.thread->walk.frames, 2);
	EXPECT_STACK(other, a, end, LT_MARK_CREATED_STACK, 0xabc);
}

#define OTHER_SP (SP + 0x2000)

static void own_stack(__u64 top)
{
	put(CURRENT + GO_G_STACK_LO, top - 0x800);
	put(CURRENT + GO_G_STACK_HI, top);
}

/* As deep in a stack of its own, and called the same way: known without a walk. */
static void test_shared_layout(void **state)
{
	__u64 id, other = function(OUTERMOST);

	own_stack(SP + 0x400);
	id = identify();
	*sent_slot(native.thread, id) = sent_mark(native.thread, id);
	own_stack(OTHER_SP + 0x400);
	put(OTHER_SP + 8, end);
	scene.regs.rsp = OTHER_SP;
	native.thread->walk.frames = 0;
	assert_int_equal(identify(), id);
	assert_int_equal(native.thread->walk.frames, 0);
	/* From elsewhere; less deep; on another stack than the goroutine's. */
	put(OTHER_SP + 8, other);
	EXPECT_STACK(identify(), a, other, LT_MARK_CREATED, GOPC);
	put(OTHER_SP + 8, end);
	own_stack(OTHER_SP + 0x300);
	native.thread->walk.frames = 0;
	assert_int_equal(identify(), id);
	assert_int_equal(native.thread->walk.frames, 2);
	own_stack(STACK + 0x8000);
	native.thread->walk.frames = 0;
	assert_int_equal(identify(), id);
	assert_int_equal(native.thread->walk.frames, 2);
	assert_int_equal(native.thread->stack_top, 0);
}

/* What RBP says is true of one stack alone. */
static void test_frame_pointer_is_not_shared(void **state)
{
	__u64 id, by_bp = function(CFA_BP(16));

	scene.regs.rip = by_bp;
	scene.regs.rbp = SP + 0x40;
	put(SP + 0x48, end);
	own_stack(SP + 0x400);
	id = identify();
	EXPECT_STACK(id, by_bp, end, LT_MARK_CREATED, GOPC);
	*sent_slot(native.thread, id) = sent_mark(native.thread, id);
	own_stack(OTHER_SP + 0x400);
	put(OTHER_SP + 0x48, end);
	scene.regs.rsp = OTHER_SP;
	EXPECT_STACK(identify(), by_bp, LT_MARK_CREATED, GOPC);
}

/* The thread's g0 says for ever which machine it is; not what that does, and no other g does. */
static void test_remembered_machine(void **state)
{
	__u64 other = STACK + 0xf000, id = identify(), known;

	put(MACHINE + M_G0, SYSTEM);
	assert_int_equal(machine_of_g0(native.thread, &layout, CURRENT), MACHINE);
	assert_int_equal(native.thread->g0, 0);
	assert_int_equal(machine_of_g0(native.thread, &layout, SYSTEM), MACHINE);
	assert_int_equal(native.thread->g0, SYSTEM);
	scene.regs.r14 = SYSTEM;
	put(SYSTEM + layout.g_m, 0); /* not read again */
	assert_int_equal(identify(), id);
	put(other + layout.g_m, MACHINE);
	put(other + layout.g_goid, GOID + 1);
	put(other + layout.g_gopc, GOPC + 1);
	put(MACHINE + layout.m_curg, other);
	known = identify();
	assert_int_not_equal(known, id);
	EXPECT_STACK(known, a, end, LT_MARK_CREATED, GOPC + 1);
	scene.regs.r14 = other;
	assert_int_equal(identify(), known);
	assert_int_equal(native.thread->g0, SYSTEM);
}

/* Deeper than there is room for: outer frames go, and the chain stays whole. */
static void test_deep(void **state)
{
	__u64 step = function(CFA_SP(8)), *frames = native.thread->frames, id;

	for (__u64 i = 0; i < 2 * LT_MAX_FRAMES; i++)
		put(SP + i * 8, step);
	begin(step, SP, 0);
	scene.regs.r14 = CURRENT;
	id = identify();
	assert_int_equal(native.thread->stack.stack_id, id);
	assert_int_equal(native.thread->stack.frame_count, LT_MAX_FRAMES);
	assert_int_equal(native.thread->stack.end, LT_STACK_LIMIT);
	assert_int_equal(frames[LT_MAX_FRAMES - 3], step);
	assert_int_equal(frames[LT_MAX_FRAMES - 2], LT_MARK_CREATED);
	assert_int_equal(frames[LT_MAX_FRAMES - 1], GOPC);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_not_go),
		TEST(test_noted_pc),
		TEST(test_seen_creation),
		TEST(test_system_stack),
		TEST(test_recalled),
		TEST(test_no_goroutine),
		TEST(test_deep),
		TEST(test_shared_layout),
		TEST(test_remembered_machine),
		TEST(test_frame_pointer_is_not_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
