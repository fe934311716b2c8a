/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process made by hand: some code with one rule for each function, a stack, registers.  Include
 * after <cmocka.h>, in one file of a program.
 */
#ifndef LT_SCENE_H
#define LT_SCENE_H

#include "bpf_native.h"

#define CODE           0x400000ULL /* with a table */
#define CODE_PAGES     16
#define CODE_BYTES     (CODE_PAGES * LT_UNWIND_PAGE)
#define FUNCTION_BYTES 64
#define FUNCTIONS      (CODE_BYTES / FUNCTION_BYTES)
#define PAGE_FUNCTIONS (LT_UNWIND_PAGE / FUNCTION_BYTES)
#define JIT            0x500000ULL /* without */
#define JIT_BYTES      4096
#define FRESH          0x600000ULL /* not known yet */
#define NOWHERE        0x700000ULL
#define STACK          0x7ffd00000000ULL
#define STACK_BYTES    (64 << 10)
#define SP             (STACK + 0x100) /* where walks begin */

#define CFA_SP(offset)        LT_RULE(LT_CFA_SP, 0, 0, offset)
#define CFA_SP_BP(offset, bp) LT_RULE(LT_CFA_SP, 0, bp, offset)
#define CFA_BP(offset)        LT_RULE(LT_CFA_BP, 0, -16, offset)
#define OUTERMOST             LT_RULE(LT_CFA_END, 0, 0, 0)

static struct {
	struct pt_regs regs;
	__u32 functions;
	__u8 code[CODE_BYTES], jit[JIT_BYTES];
	__u64 stack[STACK_BYTES / 8];
} scene;

/* Row of a function: the rows of a page follow the index of pages. */
static inline __u32 scene_row(__u32 function)
{
	return CODE_PAGES + 1 + function;
}

static inline void scene_rule(__u32 function, __u64 rule)
{
	native.rules[function + 1] = rule;
	native_set_word(scene_row(function),
			LT_ROW(function % PAGE_FUNCTIONS * FUNCTION_BYTES, function + 1));
}

static inline void scene_ranges(void)
{
	const struct lt_code_range ranges[] = {
		{ CODE, CODE + CODE_BYTES, CODE, 0, CODE_PAGES, LT_CODE_TABLE, 0 },
		{ JIT, JIT + JIT_BYTES, 0, 0, 0, LT_CODE_FRAME_POINTER, 0 },
		{ FRESH, FRESH + 4096, 0, 0, 0, LT_CODE_PENDING, 0 },
	};

	memcpy(native.ranges, ranges, sizeof(ranges));
	memcpy(native.ranges + LT_MAX_CODE_RANGES, ranges, sizeof(ranges));
}

static inline int scene_setup(void **state)
{
	memset(&scene, 0, sizeof(scene));
	native_reset();
	scene_ranges();
	lt_code_generation = 2;
	for (__u32 page = 0; page <= CODE_PAGES; page++)
		native_set_word(page, scene_row(page * PAGE_FUNCTIONS));
	native.rules[0] = 0;
	for (__u32 i = 0; i < FUNCTIONS; i++)
		scene_rule(i, LT_RULE(LT_CFA_NONE, 0, 0, 0));
	native_region(CODE, CODE_BYTES, scene.code);
	native_region(JIT, JIT_BYTES, scene.jit);
	native_region(STACK, STACK_BYTES, scene.stack);
	return 0;
}

static inline int scene_teardown(void **state)
{
	native_free();
	return 0;
}

/* One more function with this rule; an address in its middle, where a call may return to. */
static inline __u64 function(__u64 rule)
{
	assert_true(scene.functions < FUNCTIONS);
	scene_rule(scene.functions, rule);
	return CODE + scene.functions++ * FUNCTION_BYTES + FUNCTION_BYTES / 2;
}

/* One more piece of code without CFI; the address that its call returns to. */
static inline __u64 bare(void)
{
	__u64 address = function(LT_RULE(LT_CFA_NONE, 0, 0, 0));

	scene.code[address - CODE - 5] = 0xe8;
	return address;
}

static inline __u64 *word_at(__u64 address)
{
	assert_true(address >= STACK && address <= STACK + STACK_BYTES - 8 && !(address & 7));
	return &scene.stack[(address - STACK) / 8];
}

static inline void put(__u64 address, __u64 value)
{
	*word_at(address) = value;
}

static inline void begin(__u64 ip, __u64 sp, __u64 bp)
{
	scene.regs = (struct pt_regs){ .rip = ip, .rsp = sp, .rbp = bp };
}

static inline void expect_walk(enum lt_stack_end end, const __u64 *frames, __u32 count)
{
	struct lt_thread *thread = native.thread;

	assert_int_not_equal(stack_walk(&scene.regs, thread), 0);
	assert_int_equal(thread->stack.end, end);
	assert_int_equal(thread->stack.frame_count, count);
	for (__u32 i = 0; i < count; i++)
		assert_int_equal(thread->frames[i], frames[i]);
	assert_int_equal(lt_walk_ends[end] != 0, end != LT_STACK_COMPLETE);
}

#define EXPECT(end, ...)                                                                           \
	expect_walk(end, (const __u64[]){ __VA_ARGS__ }, sizeof((const __u64[]){ __VA_ARGS__ }) / 8)

#endif
