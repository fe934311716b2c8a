// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/unwind.h"

#include <errno.h>
#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LO   0x10000
#define HI   0x20000
#define EXIT 0x9001

/* pc 0xFSS: a function whose return address is SS bytes up, with flags F (halved); EXIT ends all. */
static struct lt_go_pc look_up(void *context, uint64_t pc)
{
	struct lt_go_pc known = { .pc = pc,
				  .delta = (int32_t)(pc & 0xff),
				  .flags = LT_GO_PC_KNOWN };

	if (pc == EXIT)
		known.flags = LT_GO_PC_ENDS;
	else if (pc >= 0x1000)
		known.flags = 0;
	else
		known.flags |= (uint8_t)(pc >> 8 << 1);
	if (pc == 0xfff)
		known = (struct lt_go_pc){ .pc = pc, .delta = -8, .flags = LT_GO_PC_KNOWN };
	return known;
}
#define SWITCHES (LT_GO_PC_SWITCHES >> 1 << 8)
#define INJECTED (LT_GO_PC_INJECTED >> 1 << 8)
#define ENTRY    (LT_GO_PC_ENTRY >> 1 << 8)

static uint64_t stack[(HI - LO) / 8];

static struct lt_go_unwind begun(uint64_t pc, uint64_t sp, bool syscall)
{
	struct lt_go_unwind unwind = { .lookup = look_up };

	lt_go_unwind_begin(&unwind, pc, sp, LO, HI, syscall);
	return unwind;
}

/* In windows of so many bytes, each from where the last one ended. */
static void go_on(struct lt_go_unwind *unwind, size_t window)
{
	for (int i = 0; i < 1000 && unwind->state == LT_GO_UNWIND_MORE; i++) {
		uint64_t at = unwind->slot, left = HI - at;

		assert_true(at >= LO && at <= HI - 8);
		lt_go_unwind_continue(unwind, at, (uint8_t *)stack + (at - LO),
				      left < window ? left : window);
	}
}

static void put(uint64_t address, uint64_t word)
{
	stack[(address - LO) / 8] = word;
}

static void test_whole(void **state)
{
	static const size_t windows[] = { 8, 24, 2048, HI - LO };

	put(LO + 0x118, 0x40);
	put(LO + 0x160, 0x08);
	put(LO + 0x170, EXIT);
	for (size_t i = 0; i < 4; i++) {
		struct lt_go_unwind unwind = begun(0x18, LO + 0x100, false);

		go_on(&unwind, windows[i]);
		assert_int_equal(unwind.state, LT_GO_UNWIND_WHOLE);
		assert_int_equal(unwind.count, 4);
		assert_memory_equal(unwind.frames, ((uint64_t[]){ 0x18, 0x40, 0x08, EXIT }), 32);
	}
}

/* The word at the slot is not in the window: it waits for one that has it. */
static void test_window(void **state)
{
	struct lt_go_unwind unwind = begun(0x18, LO + 0x100, false);

	put(LO + 0x118, EXIT);
	lt_go_unwind_continue(&unwind, LO + 0x120, (uint8_t *)stack, 64);
	lt_go_unwind_continue(&unwind, LO + 0x118, (uint8_t *)stack + 0x118, 7);
	lt_go_unwind_continue(&unwind, LO, (uint8_t *)stack, 0);
	lt_go_unwind_continue(&unwind, LO, (uint8_t *)stack, 0x11c);
	assert_int_equal(unwind.state, LT_GO_UNWIND_MORE);
	lt_go_unwind_continue(&unwind, LO, (uint8_t *)stack, 0x120);
	assert_int_equal(unwind.state, LT_GO_UNWIND_WHOLE);
}

static void test_bad_begin(void **state)
{
	static const struct {
		uint64_t pc, sp;
	} bad[] = {
		{ 0x18, LO - 8 },  { 0x18, HI },        { 0x18, LO + 4 },
		{ 0, UINT64_MAX }, { 0x18, 0 },         { 0x2000, LO },
		{ 0xfff, LO },     { 0x18, HI - 0x18 }, { 0x0c, LO },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(begun(bad[i].pc, bad[i].sp, false).state, LT_GO_UNWIND_LOST);
}

static void test_lost(void **state)
{
	static const uint64_t bad[] = { 0x3000, 0, UINT64_MAX, 0xfff, SWITCHES | 0x10, 0x0c };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct lt_go_unwind unwind = begun(0x18, LO + 0x100, false);

		memset(stack, 0x41, sizeof(stack));
		put(LO + 0x118, bad[i]);
		go_on(&unwind, 2048);
		assert_int_equal(unwind.state, LT_GO_UNWIND_LOST);
	}
}

/* What changes SP can be gone through only where a system call was entered, before it did. */
static void test_switches(void **state)
{
	struct lt_go_unwind unwind = begun(SWITCHES | 0x18, LO + 0x100, true);

	put(LO + 0x118, EXIT);
	go_on(&unwind, 2048);
	assert_int_equal(unwind.state, LT_GO_UNWIND_WHOLE);
	assert_int_equal(begun(SWITCHES | 0x18, LO + 0x100, false).state, LT_GO_UNWIND_LOST);
}

/* Readers look one byte before an address. */
static void test_exact(void **state)
{
	struct lt_go_unwind unwind = begun(ENTRY, LO + 0x100, false);

	put(LO + 0x100, INJECTED | 0x10);
	put(LO + 0x118, 0x20);
	put(LO + 0x140, 0x28);
	put(LO + 0x170, EXIT);
	go_on(&unwind, 2048);
	assert_int_equal(unwind.state, LT_GO_UNWIND_WHOLE);
	assert_memory_equal(unwind.frames,
			    ((uint64_t[]){ ENTRY + 1, INJECTED | 0x10, 0x21, 0x28, EXIT }), 40);
}

static void test_deep(void **state)
{
	for (size_t depth = LT_MAX_FRAMES - 3; depth < LT_MAX_FRAMES + 3; depth++) {
		struct lt_go_unwind unwind = begun(0x18, LO, false);

		for (size_t i = 0; i < depth; i++)
			put(LO + 0x18 + i * 0x20, i + 1 < depth ? 0x18 : EXIT);
		go_on(&unwind, 2048);
		assert_int_equal(unwind.state, depth + 1 <= LT_MAX_FRAMES ? LT_GO_UNWIND_WHOLE
									  : LT_GO_UNWIND_FULL);
		assert_int_equal(unwind.count,
				 depth + 1 <= LT_MAX_FRAMES ? depth + 1 : LT_MAX_FRAMES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),     cmocka_unit_test(test_window),
		cmocka_unit_test(test_bad_begin), cmocka_unit_test(test_lost),
		cmocka_unit_test(test_switches),  cmocka_unit_test(test_exact),
		cmocka_unit_test(test_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
