/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The unwinder on tables and stacks made by hand: each form of rule, each way to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ucontext.h>

#include "native/scene.h"

#define BEYOND (STACK + STACK_BYTES)
#define FAR    (1ULL << (32 + LT_UNWIND_PAGE_SHIFT))

static void test_sp(void **state)
{
	__u64 a = function(CFA_SP(16)), b = function(CFA_SP(8)), c = function(CFA_SP(0x78));
	__u64 end = function(OUTERMOST);

	put(SP + 8, b);
	put(SP + 16, c);
	put(SP + 16 + 0x78, end);
	begin(a, SP, 1);
	EXPECT(LT_STACK_COMPLETE, a, b, c, end);
	assert_int_equal(native.thread->walk.unique, 0);
	assert_int_equal(native.thread->draft.bp & LT_LAYOUT_BP_START, 0);
	assert_int_equal(native.thread->draft.count, 3);
}

/* RBP unchanged through a frame, then in a slot, then the base of a frame. */
static void test_bp(void **state)
{
	__u64 leaf = function(CFA_SP(8)), saves = function(CFA_SP_BP(32, -24));
	__u64 based = function(CFA_BP(16)), end = function(OUTERMOST);

	put(SP, based);
	put(SP + 0x40 + 8, end);
	begin(leaf, SP, SP + 0x40);
	EXPECT(LT_STACK_COMPLETE, leaf, based, end);
	assert_int_equal(native.thread->draft.bp & LT_LAYOUT_BP_START, 1);

	put(SP, saves);
	put(SP + 8 + 8, SP + 0x80); /* at CFA - 24 of a CFA of SP + 40 */
	put(SP + 8 + 24, based);
	put(SP + 0x80 + 8, end);
	begin(leaf, SP, 1);
	EXPECT(LT_STACK_COMPLETE, leaf, saves, based, end);
	assert_int_equal(native.thread->draft.bp & LT_LAYOUT_BP_START, 0);
	assert_int_equal(native.thread->draft.count, 4);
}

static void test_bp_lost(void **state)
{
	__u64 loses = function(CFA_SP_BP(8, LT_BP_LOST)), based = function(CFA_BP(16));
	__u64 dereferenced = function(LT_RULE(LT_CFA_BP_DEREF, 0, 0, -8)), nothing = bare();

	put(SP, based);
	begin(loses, SP, SP + 0x40);
	EXPECT(LT_STACK_UNSUPPORTED, loses, based);
	put(SP, dereferenced);
	EXPECT(LT_STACK_UNSUPPORTED, loses, dereferenced);
	put(SP, nothing);
	EXPECT(LT_STACK_NO_FRAME, loses, nothing);
}

static void test_bp_slot_unreadable(void **state)
{
	__u64 a = function(CFA_SP_BP(8, -0x200)), b = function(OUTERMOST);

	put(SP, b);
	begin(a, SP, 0);
	EXPECT(LT_STACK_FAULT, a);
}

/* What gcc emits for a function that realigns its stack. */
static void test_bp_deref(void **state)
{
	__u64 a = function(LT_RULE(LT_CFA_BP_DEREF, 0, 0, -8)), b = function(CFA_BP(16));
	__u64 end = function(OUTERMOST);
	__u64 bp = SP + 0x40, cfa = SP + 0x100;

	native.rules[1] = LT_RULE(LT_CFA_BP_DEREF, 0, 0, -8);
	put(bp - 8, cfa);
	put(cfa - 8, end);
	begin(a, SP, bp);
	EXPECT(LT_STACK_COMPLETE, a, end);
	assert_int_equal(native.thread->draft.count, 2);
	assert_int_equal(native.thread->draft.bp & LT_LAYOUT_BP_START, 1);
	put(cfa - 8, b); /* RBP is as it was */
	EXPECT(LT_STACK_IMPLAUSIBLE, a, b);
	put(bp - 8, SP); /* does not climb */
	EXPECT(LT_STACK_IMPLAUSIBLE, a);
	begin(a, SP, BEYOND + 8);
	EXPECT(LT_STACK_FAULT, a);
}

/* ... and where it put RBP. */
static void test_bp_at_bp(void **state)
{
	__u64 a = function(LT_RULE(LT_CFA_BP_DEREF, 0, LT_BP_AT_BP, -8)), b = function(CFA_BP(16));
	__u64 end = function(OUTERMOST), loses = function(CFA_SP_BP(8, LT_BP_LOST));
	__u64 bp = SP + 0x40, cfa = SP + 0x100, middle;

	put(bp - 8, cfa);
	put(bp, cfa + 0x20);
	put(cfa - 8, b);
	put(cfa + 0x28, end);
	begin(a, SP, bp);
	EXPECT(LT_STACK_COMPLETE, a, b, end);
	assert_int_equal(native.thread->draft.count, 4);
	middle = function(LT_RULE(LT_CFA_SP, 0, LT_BP_AT_BP, 16));
	put(SP, middle);
	put(SP + 16, end);
	begin(loses, SP, bp);
	EXPECT(LT_STACK_UNSUPPORTED, loses, middle);
}

static void test_implausible(void **state)
{
	static const __s32 offsets[] = { 0, -8, 4, 12, MAX_FRAME_BYTES + 8, INT32_MIN, INT32_MAX };

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		__u64 a = function(CFA_SP(offsets[i]));

		begin(a, SP, 0);
		EXPECT(LT_STACK_IMPLAUSIBLE, a);
	}
}

static void test_register_in_leaf(void **state)
{
	static const struct {
		__u8 number;
		size_t at;
	} known[] = {
		{ 3, offsetof(struct pt_regs, rbx) },  { 12, offsetof(struct pt_regs, r12) },
		{ 13, offsetof(struct pt_regs, r13) }, { 14, offsetof(struct pt_regs, r14) },
		{ 15, offsetof(struct pt_regs, r15) },
	};
	__u32 seen = 0;
	__u64 end = function(OUTERMOST), before = function(CFA_SP(8));

	put(SP + 0x40 + 16 - 8, end);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		__u64 a = function(LT_RULE(LT_CFA_REGISTER, known[i].number, 0, 16));

		begin(a, SP, 0);
		*(unsigned long *)((char *)&scene.regs + known[i].at) = SP + 0x40;
		EXPECT(LT_STACK_COMPLETE, a, end);
		assert_int_equal(native.thread->walk.unique, 1);
		seen |= 1u << known[i].number;
		/* In its caller it may be anything. */
		put(SP, a);
		scene.regs.rip = before;
		EXPECT(LT_STACK_UNSUPPORTED, before, a);
	}
	for (__u32 number = 0; number < 16; number++) {
		__u64 a;

		if (seen & 1u << number)
			continue;
		a = function(LT_RULE(LT_CFA_REGISTER, number, 0, 16));
		begin(a, SP, 0);
		EXPECT(LT_STACK_UNSUPPORTED, a);
	}
}

static void test_plt(void **state)
{
	__u64 a = function(LT_RULE(LT_CFA_PLT, 0, 0, 11)), end = function(OUTERMOST);
	__u64 slot = a & ~15ULL;

	put(SP, end);
	put(SP + 8, NOWHERE);
	for (int i = 0; i < 11; i++) {
		begin(slot + i + 1, SP, 0);
		EXPECT(LT_STACK_COMPLETE, slot + i + 1, end);
	}
	put(SP, NOWHERE);
	put(SP + 8, end);
	for (int i = 11; i < 16; i++) {
		begin(slot + i + 1, SP, 0);
		EXPECT(LT_STACK_COMPLETE, slot + i + 1, end);
	}
}

/* As the kernel lays it on the stack, above the address of the trampoline. */
static void put_context(__u64 address, __u64 ip, __u64 sp, __u64 bp)
{
	ucontext_t context = { .uc_flags = 0 };

	for (int i = 0; i < NGREG; i++)
		context.uc_mcontext.gregs[i] = 0x1000 + i;
	context.uc_mcontext.gregs[REG_RIP] = (greg_t)ip;
	context.uc_mcontext.gregs[REG_RSP] = (greg_t)sp;
	context.uc_mcontext.gregs[REG_RBP] = (greg_t)bp;
	memcpy(word_at(address), &context, 256);
}

static void test_context_layout(void **state)
{
	static const int registers[] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
					 REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
					 REG_R12, REG_R13, REG_R14, REG_R15 };
	const size_t base = offsetof(ucontext_t, uc_mcontext.gregs);

	assert_int_equal(CONTEXT_RBP, base + 8 * REG_RBP);
	assert_int_equal(CONTEXT_RSP, base + 8 * REG_RSP);
	assert_int_equal(CONTEXT_RIP, base + 8 * REG_RIP);
	for (int i = 0; i <= DWARF_LAST; i++)
		assert_int_equal(CONTEXT_WORD(i) * 8, base + 8 * registers[i]);
}

/* A handler on another stack, below or above: the only way down. */
static void test_signal(void **state)
{
	__u64 handler = function(CFA_SP(24)),
	      trampoline = function(LT_RULE(LT_CFA_SIGNAL, 0, 0, 0));
	__u64 interrupted = function(CFA_BP(16)), end = function(OUTERMOST);
	static const __u64 contexts[] = { SP + 24, SP + 0x4000, SP + 0x9000 };
	__u64 stack = SP + 0x3000, bp = stack + 0x40;

	put(bp + 8, end);
	for (size_t i = 0; i < sizeof(contexts) / sizeof(contexts[0]); i++) {
		put(contexts[i] - 8, trampoline);
		/* At its first instruction: a return address there would be the function before. */
		put_context(contexts[i], interrupted & ~63ULL, stack, bp);
		begin(handler, contexts[i] - 24, 0);
		EXPECT(LT_STACK_COMPLETE, handler, trampoline + 1, (interrupted & ~63ULL) + 1, end);
		assert_int_equal(native.thread->walk.unique, 1);
	}
}

static void test_register_after_signal(void **state)
{
	static const __u8 words[] = { 13, 12, 14, 11, 9, 8, 10, 15, 0, 1, 2, 3, 4, 5, 6, 7 };
	__u64 trampoline = function(LT_RULE(LT_CFA_SIGNAL, 0, 0, 0)), end = function(OUTERMOST);
	__u64 stack = SP + 0x3000, cfa = stack + 0x80;

	put(cfa - 8, end);
	for (__u32 number = 0; number <= DWARF_LAST; number++) {
		__u64 a = function(LT_RULE(LT_CFA_REGISTER, number, 0, 0x40)), ip = a - 1;

		put_context(SP, ip, stack, 0);
		put(SP + 40 + 8 * words[number], cfa - 0x40);
		if (number == 7) /* which is the frame's SP, too */
			put(cfa - 8 - 0x40 + 0x40, end);
		begin(trampoline, SP, 0);
		EXPECT(LT_STACK_COMPLETE, trampoline + 1, a, end);
	}
}

static void test_signal_ends(void **state)
{
	__u64 trampoline = function(LT_RULE(LT_CFA_SIGNAL, 0, 0, 0)), end = function(OUTERMOST);

	/* Through a pointer to nowhere: SIGSEGV at address 0. */
	put_context(SP, 0, SP + 0x1000, 0);
	begin(trampoline, SP, 0);
	EXPECT(LT_STACK_NO_CODE, trampoline + 1);
	put_context(SP, NOWHERE, SP + 0x1000, 0);
	EXPECT(LT_STACK_NO_CODE, trampoline + 1);
	begin(trampoline, BEYOND - 64, 0);
	EXPECT(LT_STACK_FAULT, trampoline + 1);
	put_context(SP, end, SP + 0x1000, 0);
	begin(trampoline, SP, 0);
	EXPECT(LT_STACK_COMPLETE, trampoline + 1, end + 1);
}

/* The last address is no "no caller". */
static void test_signal_at_last_address(void **state)
{
	__u64 trampoline = function(LT_RULE(LT_CFA_SIGNAL, 0, 0, 0));

	put_context(SP, ~0ULL, SP + 0x1000, 0);
	begin(trampoline, SP, 0);
	EXPECT(LT_STACK_NO_CODE, trampoline + 1);
}

/* A context that leads to itself. */
static void test_signal_cycle(void **state)
{
	__u64 trampoline = function(LT_RULE(LT_CFA_SIGNAL, 0, 0, 0));

	put_context(SP, trampoline - 1, SP, 0);
	begin(trampoline, SP, 0);
	(void)stack_walk(&scene.regs, native.thread);
	assert_int_equal(native.thread->stack.end, LT_STACK_IMPLAUSIBLE);
	assert_int_equal(native.thread->stack.frame_count, LT_MAX_SIGNAL_FRAMES + 1);
}

/* musl's trampoline has no CFI. */
static void test_signal_by_code(void **state)
{
	static const __u8 sigreturn[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };
	__u64 handler = function(CFA_SP(8)), trampoline = function(0), end = function(OUTERMOST);

	memcpy(scene.code + (trampoline - CODE), sigreturn, sizeof(sigreturn));
	put(SP, trampoline);
	put_context(SP + 8, end - 1, SP + 0x1000, 0);
	begin(handler, SP, 0);
	EXPECT(LT_STACK_COMPLETE, handler, trampoline + 1, end);
	scene.code[trampoline - CODE + 8] = 0;
	EXPECT(LT_STACK_NO_FRAME, handler, trampoline);
}

static void test_no_table(void **state)
{
	__u64 unsupported = function(LT_RULE(LT_CFA_UNSUPPORTED, 0, 0, 0));
	__u64 unknown = function(LT_RULE(77, 0, 0, 0)), a = function(CFA_SP(8));
	__u64 no_rule = function(CFA_SP(8));

	begin(unsupported, SP, 0);
	EXPECT(LT_STACK_UNSUPPORTED, unsupported);
	begin(unknown, SP, 0);
	EXPECT(LT_STACK_UNSUPPORTED, unknown);
	native_set_word(scene_row(scene.functions - 1), LT_ROW(3 * FUNCTION_BYTES, LT_MAX_RULES));
	begin(no_rule, SP, 0);
	EXPECT(LT_STACK_UNSUPPORTED, no_rule);
	begin(NOWHERE, SP, 0); /* the caller is told in any case */
	EXPECT(LT_STACK_NO_CODE, NOWHERE);
	begin(FRESH + 16, SP, 0);
	EXPECT(LT_STACK_PENDING, FRESH + 16);
	put(SP, FRESH + 32);
	begin(a, SP, 0);
	EXPECT(LT_STACK_PENDING, a, FRESH + 32);
	put(SP, NOWHERE);
	EXPECT(LT_STACK_NO_CODE, a);
	put(SP, JIT); /* behind the last byte of nothing */
	EXPECT(LT_STACK_NO_CODE, a);
	put(SP, 0); /* no caller, but no table says so */
	EXPECT(LT_STACK_NO_CODE, a);
}

static void test_frame_pointer(void **state)
{
	/* Calls as compilers and JITs emit them, the length of each to its last byte. */
	static const struct {
		__u8 length, code[7];
	} calls[] = {
		{ 5, { 0xe8, 1, 2, 3, 4 } },
		{ 2, { 0xff, 0xd0 } },
		{ 3, { 0x41, 0xff, 0xd3 } },
		{ 3, { 0xff, 0x50, 8 } },
		{ 4, { 0xff, 0x54, 0x24, 8 } },
		{ 6, { 0xff, 0x15, 1, 2, 3, 4 } },
		{ 7, { 0xff, 0x94, 0x24, 1, 2, 3, 4 } },
	};
	__u64 a = function(0), end = function(OUTERMOST), bp = SP + 0x40;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		__u8 *code = scene.code + (end - CODE);

		memset(code - 8, 0x90, 8);
		put(bp + 8, end);
		begin(a, SP, bp);
		EXPECT(LT_STACK_NO_FRAME, a);
		memcpy(code - calls[i].length, calls[i].code, calls[i].length);
		EXPECT(LT_STACK_UNSURE, a, end);
	}
	assert_int_equal(native.thread->draft.bp & LT_LAYOUT_BP_START, 1);
}

static void test_frame_pointer_chain(void **state)
{
	__u64 a = JIT + 64, b = bare(), c = bare();

	scene.jit[64 - 5] = 0xe8;
	put(SP + 0x40, SP + 0x80);
	put(SP + 0x48, b);
	put(SP + 0x80, SP + 0xc0);
	put(SP + 0x88, c);
	put(SP + 0xc0, 0);
	put(SP + 0xc8, a);
	begin(a, SP, SP + 0x40);
	/* The psABI: RBP is 0 in the outermost frame. */
	EXPECT(LT_STACK_UNSURE, a, b, c, a);
	put(SP + 0xc0, SP + 0x40); /* turns back */
	EXPECT(LT_STACK_NO_FRAME, a, b, c, a);
	put(SP + 0xc0, SP + 0xd4); /* climbs askew */
	EXPECT(LT_STACK_NO_FRAME, a, b, c, a);
	put(SP + 0xc0, SP + 0x1000);
	put(SP + 0x1000, 0);
	put(SP + 0x1008, 0); /* an outermost frame made by hand */
	EXPECT(LT_STACK_UNSURE, a, b, c, a);
	put(SP + 0x1008, NOWHERE);
	EXPECT(LT_STACK_NO_CODE, a, b, c, a);
	put(SP + 0xc0, BEYOND);
	EXPECT(LT_STACK_FAULT, a, b, c, a);
	put(SP + 0xc0, SP + MAX_FRAME_BYTES + 0x1000);
	EXPECT(LT_STACK_NO_FRAME, a, b, c, a);
}

/* Code without a frame pointer uses RBP for anything. */
static void test_no_frame_pointer(void **state)
{
	__u64 a = bare(), table = function(CFA_SP_BP(16, -16)), last = bare();

	begin(a, SP, 0);
	EXPECT(LT_STACK_NO_FRAME, a);
	begin(a, SP, SP - 8);
	EXPECT(LT_STACK_NO_FRAME, a);
	begin(a, SP, SP + 4);
	EXPECT(LT_STACK_NO_FRAME, a);
	begin(a, SP, 1);
	EXPECT(LT_STACK_NO_FRAME, a);

	/* Also behind a frame that was stepped over by it. */
	scene.code[table - CODE - 5] = 0xe8;
	put(SP + 0x40, 1);
	put(SP + 0x48, table);
	put(SP + 0x50, 0);
	put(SP + 0x58, last);
	begin(a, SP, SP + 0x40);
	EXPECT(LT_STACK_NO_FRAME, a, table, last);
}

/* It may also point at any zeros in the stack. */
static void test_frame_pointer_to_zeros(void **state)
{
	__u64 a = bare();

	begin(a, SP, SP + 0x40);
	for (int i = 0; i < 2; i++) {
		(void)stack_walk(&scene.regs, native.thread);
		assert_int_equal(native.thread->stack.frame_count, 1);
		assert_int_not_equal(native.thread->stack.end, LT_STACK_COMPLETE);
		put(SP + 0x40, SP + 0x1000);
	}
}

/* A return probe's trampoline is in no file; the kernel knows what it stands for. */
static void test_return_trap(void **state)
{
	__u64 a = function(CFA_SP(16)), b = function(CFA_SP(8)), end = function(OUTERMOST);
	struct return_instance outer = { SP + 16, end, NULL }, inner = { SP + 8, b, &outer };

	put(SP + 8, NOWHERE);
	put(SP + 16, NOWHERE);
	begin(a, SP, 0);
	EXPECT(LT_STACK_NO_CODE, a);
	native.task.utask = &native.utask;
	EXPECT(LT_STACK_NO_CODE, a);
	native.utask.return_instances = &inner;
	EXPECT(LT_STACK_COMPLETE, a, b, end);
	assert_int_equal(native.thread->walk.unique, 1);
	outer.stack = SP + 24;
	EXPECT(LT_STACK_NO_CODE, a, b);
	outer.stack = SP + 16;
	outer.orig_ret_vaddr = NOWHERE;
	EXPECT(LT_STACK_NO_CODE, a, b);
	inner.stack = SP;
	inner.next = &inner;
	EXPECT(LT_STACK_NO_CODE, a);
}

static void test_return_trap_by_frame_pointer(void **state)
{
	__u64 a = bare(), end = function(OUTERMOST);
	struct return_instance trap = { SP + 0x48, end, NULL };

	native.task.utask = &native.utask;
	native.utask.return_instances = &trap;
	put(SP + 0x48, NOWHERE);
	begin(a, SP, SP + 0x40);
	EXPECT(LT_STACK_UNSURE, a, end);
}

/* Recursion: as many frames as there is room for, and one more. */
static void test_limit(void **state)
{
	__u64 frames[LT_MAX_FRAMES], a = function(CFA_SP(48)), end = function(OUTERMOST);

	for (int i = 0; i < LT_MAX_FRAMES; i++) {
		frames[i] = a;
		put(SP + 48 * i + 40, a);
	}
	begin(a, SP, 0);
	expect_walk(LT_STACK_LIMIT, frames, LT_MAX_FRAMES);
	put(SP + 48 * (LT_MAX_FRAMES - 1) - 8, end);
	frames[LT_MAX_FRAMES - 1] = end;
	expect_walk(LT_STACK_COMPLETE, frames, LT_MAX_FRAMES);
}

/* Frames of every size around those of the halves of the chunk. */
static void test_chunks(void **state)
{
	__u64 end = function(OUTERMOST);

	for (__u64 size = 8; size < 2 * LT_STACK_CHUNK; size += size % 2048 < 64 ? 8 : 328) {
		__u64 a = CODE + FUNCTION_BYTES * 3, b = CODE + FUNCTION_BYTES * 5;

		for (__u64 second = 8; second < 3 * LT_STACK_CHUNK; second += 2040) {
			lt_code_generation += 2; /* other rules */
			scene_rule(2, CFA_SP(size));
			scene_rule(4, CFA_SP(second));
			put(SP + size - 8, b);
			put(SP + size + second - 8, end);
			begin(a, SP, 0);
			EXPECT(LT_STACK_COMPLETE, a, b, end);
			put(SP + size - 8, ~0ULL);
			put(SP + size + second - 8, ~0ULL);
		}
	}
}

/* The stack ends in the middle of a chunk; below it there is a stack again. */
static void test_stack_end(void **state)
{
	__u64 a = function(CFA_SP(64)), end = function(OUTERMOST);

	for (__u64 left = 8; left <= LT_STACK_CHUNK + 64; left += left % 2048 < 64 ? 8 : 104) {
		__u64 sp = BEYOND - left, frames[LT_MAX_FRAMES], count = left / 64;

		native.thread->stack_end = 0;
		for (__u64 i = 0; i < count; i++) {
			frames[i] = a;
			put(sp + 64 * i + 56, a);
		}
		frames[count] = a;
		begin(a, sp, 0);
		if (count) {
			put(sp + 64 * count - 8, end);
			frames[count] = end;
			expect_walk(LT_STACK_COMPLETE, frames, count + 1);
		} else {
			expect_walk(LT_STACK_FAULT, frames, 1);
		}
		/* Faults cost: the next walk has none. */
		if (count) {
			native.faults = 0;
			expect_walk(LT_STACK_COMPLETE, frames, count + 1);
			assert_int_equal(native.faults, 0);
		}
	}
	/* What is known of one stack's end does no harm to another. */
	for (__u64 sp = BEYOND - 0x2000; sp < BEYOND - 0x800; sp += 0x400) {
		native.thread->stack_end = sp + 0x408;
		put(sp + 56, a);
		put(sp + 120, end);
		begin(a, sp, 0);
		EXPECT(LT_STACK_COMPLETE, a, a, end);
	}
}

static int reads_left;

static void change_tables(void)
{
	if (reads_left-- == 0)
		lt_code_generation++;
}

static void test_tables_change(void **state)
{
	__u64 a = function(CFA_SP(4000)), b = function(CFA_SP(4000)), end = function(OUTERMOST);

	put(SP + 4000 - 8, b);
	put(SP + 8000 - 8, end);
	for (int i = 0; i < 3; i++) {
		reads_left = i;
		native.on_read = change_tables;
		begin(a, SP, 0);
		EXPECT(LT_STACK_PENDING, a);
		native.on_read = NULL;
		EXPECT(LT_STACK_COMPLETE, a, b, end);
	}
}

/* A rule is kept for its generation alone, however many there were. */
static void test_rule_cache(void **state)
{
	static const __u32 steps[] = { 1, 2, 0x100, 0x8000, 0x10000, 0x20000, 0x1000000 };
	__u64 a = function(CFA_SP(8)), end = function(OUTERMOST), other = function(OUTERMOST);

	put(SP, end);
	put(SP + 8, other);
	begin(a, SP, 0);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		scene_rule(0, CFA_SP(8));
		EXPECT(LT_STACK_COMPLETE, a, end);
		lt_code_generation += steps[i];
		scene_rule(0, CFA_SP(16));
		EXPECT(LT_STACK_COMPLETE, a, other);
		lt_code_generation += 2;
	}
}

/* No address of user space, though it may look like one of another generation. */
static void test_not_canonical(void **state)
{
	__u64 a = function(CFA_SP(8)), b = function(OUTERMOST);

	for (int bit = 47; bit < 64; bit++) {
		put(SP, b);
		begin(a, SP, 0);
		EXPECT(LT_STACK_COMPLETE, a, b);
		lt_code_generation ^= 1u << (bit - 47) >> 1;
		lt_code_generation ^= 1u << (bit - 47);
		put(SP, b);
		put(SP, b ^ 1ULL << bit);
		EXPECT(LT_STACK_NO_CODE, a);
	}
}

/* Nor is anything known of an address of which nothing was asked. */
static void test_empty_slot(void **state)
{
	__u64 a = function(CFA_SP(8));

	put(SP, 1 + ((__u64)lt_code_generation << 48));
	begin(a, SP, 0);
	EXPECT(LT_STACK_NO_CODE, a);
	put(SP, 1);
	lt_code_generation = 0x20000;
	EXPECT(LT_STACK_NO_CODE, a);
}

/* The same with the cache cold and warm: a frame that no ABI allows. */
static void test_askew_stack(void **state)
{
	__u64 a = function(CFA_SP(16)), b = function(CFA_SP(12)), end = function(OUTERMOST);
	__u64 sp = SP + 4;

	memcpy((char *)word_at(SP) + 4 + 8, &end, 8);
	begin(a, sp, 0);
	for (int i = 0; i < 2; i++)
		EXPECT(LT_STACK_IMPLAUSIBLE, a);
	put(SP + 8, end);
	begin(b, sp, 0);
	for (int i = 0; i < 2; i++)
		EXPECT(LT_STACK_COMPLETE, b, end);
	begin(end, sp, 0);
	EXPECT(LT_STACK_COMPLETE, end);
	begin(a, sp, 0);
	memcpy((char *)word_at(SP) + 4 + 8, &end, 8);
	EXPECT(LT_STACK_IMPLAUSIBLE, a);
}

/* Code so far behind the table's begin that the number of its page has more than 32 bits. */
static void test_far_from_table(void **state)
{
	__u64 a = function(CFA_SP(8)), end = function(OUTERMOST);

	put(SP, end);
	native.ranges[0] = (struct lt_code_range){
		.start = CODE + FAR,
		.end = CODE + FAR + CODE_BYTES,
		.origin = CODE,
		.page_count = CODE_PAGES,
		.source = LT_CODE_TABLE,
	};
	for (int i = 1; i < 3; i++)
		native.ranges[i].start = ~0ULL;
	begin(a + FAR, SP, 0);
	EXPECT(LT_STACK_NO_FRAME, a + FAR);
}

/*
 * The first address of a function behind a gap: the bottom of a stack made by hand.  But the end of
 * all code, or where code begins that is not known yet, is no function.
 */
static void test_start_of_code(void **state)
{
	__u64 a = function(CFA_SP(8)), gap = function(0), start = function(CFA_SP(8)) & ~63ULL;

	assert_true(gap < start);
	begin(a, SP, 0);
	put(SP, start);
	EXPECT(LT_STACK_COMPLETE, a, start + 1);
	put(SP, JIT + JIT_BYTES);
	(void)stack_walk(&scene.regs, native.thread);
	assert_int_not_equal(native.thread->stack.end, LT_STACK_COMPLETE);
	native.ranges[2].start = JIT + JIT_BYTES;
	lt_code_generation += 2;
	(void)stack_walk(&scene.regs, native.thread);
	assert_int_not_equal(native.thread->stack.end, LT_STACK_COMPLETE);
}

/* Interrupted in the last byte of a gap: no call is needed for what is behind it. */
static void test_signal_before_start(void **state)
{
	__u64 trampoline = function(LT_RULE(LT_CFA_SIGNAL, 0, 0, 0)), gap = function(0);
	__u64 start = function(CFA_SP(8)) & ~63ULL;

	assert_true(gap < start);
	put_context(SP, start - 1, SP + 0x1000, 0);
	begin(trampoline, SP, 0);
	EXPECT(LT_STACK_NO_FRAME, trampoline + 1, start);
}

/* Tables that no user space of ours writes. */
static void test_corrupt_tables(void **state)
{
	__u64 a = function(CFA_SP(8));
	static const __u32 words[] = { 0,          1,          CODE_PAGES, 0x10000,
				       0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };
	const size_t count = sizeof(words) / sizeof(words[0]);

	for (__u64 at = STACK; at < BEYOND; at += 8)
		put(at, a);
	begin(a, SP, SP + 64);
	for (size_t i = 0; i < count * count * count; i++) {
		native_set_word(0, words[i % count]);
		native_set_word(1, words[i / count % count]);
		native.ranges[0].word = words[i / count / count];
		lt_code_generation += 2;
		(void)stack_walk(&scene.regs, native.thread);
		assert_in_range(native.thread->stack.end, LT_STACK_LIMIT, LT_STACK_END_COUNT - 1);
		assert_in_range(native.thread->stack.frame_count, 1, LT_MAX_FRAMES);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sp),
		TEST(test_bp),
		TEST(test_bp_lost),
		TEST(test_bp_slot_unreadable),
		TEST(test_bp_deref),
		TEST(test_bp_at_bp),
		TEST(test_implausible),
		TEST(test_register_in_leaf),
		TEST(test_plt),
		TEST(test_context_layout),
		TEST(test_signal),
		TEST(test_register_after_signal),
		TEST(test_signal_ends),
		TEST(test_signal_at_last_address),
		TEST(test_signal_cycle),
		TEST(test_signal_by_code),
		TEST(test_no_table),
		TEST(test_frame_pointer),
		TEST(test_frame_pointer_chain),
		TEST(test_no_frame_pointer),
		TEST(test_frame_pointer_to_zeros),
		TEST(test_return_trap),
		TEST(test_return_trap_by_frame_pointer),
		TEST(test_limit),
		TEST(test_chunks),
		TEST(test_stack_end),
		TEST(test_tables_change),
		TEST(test_rule_cache),
		TEST(test_not_canonical),
		TEST(test_empty_slot),
		TEST(test_signal_before_start),
		TEST(test_start_of_code),
		TEST(test_far_from_table),
		TEST(test_askew_stack),
		TEST(test_corrupt_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
