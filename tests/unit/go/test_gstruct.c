// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/gstruct.h"

#include <errno.h>
#include <linux/types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "leaktrace/events.h"

#define AT 0xc000001000

static struct lt_go_g good(void)
{
	return (struct lt_go_g){
		.address = AT,
		.stack_lo = 0xc000100000,
		.stack_hi = 0xc000100800,
		.sched_g = AT,
		.goid = 7,
		.status = LT_GO_WAITING,
	};
}

static void test_decode(void **state)
{
	for (unsigned int minor = 15; minor <= 27; minor++) {
		const struct lt_go_layout *layout = lt_go_layout_of(minor);
		uint8_t bytes[LT_MAX_GO_G_BYTES];
		struct lt_go_g g;

		if (!layout)
			continue;
		for (size_t i = 0; i < sizeof(bytes); i += 8) {
			uint64_t word = i;

			memcpy(bytes + i, &word, 8);
		}
		memcpy(bytes + layout->g_status, &(uint32_t){ 0x1004 }, 4);
		bytes[layout->g_waitreason] = 19;
		lt_go_g_decode(layout, bytes, AT, &g);
		assert_int_equal(g.address, AT);
		assert_int_equal(g.stack_hi, 8);
		assert_int_equal(g.sched_sp, 56);
		assert_int_equal(g.status, LT_GO_WAITING);
		assert_int_equal(g.waitreason, 19);
		assert_int_equal(g.goid, layout->g_goid);
		assert_int_equal(g.startpc, layout->g_startpc);
		assert_int_equal(g.parent,
				 layout->g_parent_goid == LT_GO_NONE ? 0 : layout->g_parent_goid);
	}
}

static void test_status(void **state)
{
	static const uint32_t unknown[] = { 5, 7, 12, 0x2004, 0x1005, UINT32_MAX };
	const struct lt_go_layout *layout = lt_go_layout_of(22);
	uint8_t bytes[LT_MAX_GO_G_BYTES] = { 0 };
	struct lt_go_g g;

	for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
		memcpy(bytes + layout->g_status, &unknown[i], 4);
		lt_go_g_decode(layout, bytes, AT, &g);
		assert_int_equal(g.status, UINT8_MAX);
		assert_false(lt_go_g_plausible(&g));
		assert_false(lt_go_g_alive(&g));
	}
}

static void test_plausible(void **state)
{
	struct lt_go_g g = good();

	assert_true(lt_go_g_plausible(&g));
	g.sched_g = 0;
	assert_true(lt_go_g_plausible(&g));
	g.sched_g = AT + 8;
	assert_false(lt_go_g_plausible(&g));
	g = good();
	g.stack_hi = g.stack_lo;
	assert_false(lt_go_g_plausible(&g));
	g.stack_hi = g.stack_lo + (3ULL << 30);
	assert_false(lt_go_g_plausible(&g));
	g = good();
	g.goid = UINT64_MAX;
	assert_false(lt_go_g_plausible(&g));
	/* A dead one may have no stack, one that lives has one. */
	g = good();
	g.stack_lo = g.stack_hi = 0;
	assert_false(lt_go_g_plausible(&g));
	g.status = LT_GO_DEAD;
	assert_true(lt_go_g_plausible(&g));
}

static void test_same(void **state)
{
	struct lt_go_g before = good(), after = good();

	assert_true(lt_go_g_same(&before, &after));
	after.waitsince = 5; /* the GC notes it at any time */
	assert_true(lt_go_g_same(&before, &after));
	after.tracking_seq++;
	assert_false(lt_go_g_same(&before, &after));
	after = good();
	after.sched_sp -= 8;
	assert_false(lt_go_g_same(&before, &after));
	after = good();
	after.goid++;
	assert_false(lt_go_g_same(&before, &after));
	after = good();
	after.status = LT_GO_RUNNABLE;
	assert_false(lt_go_g_same(&before, &after));
}

static void test_counted(void **state)
{
	const struct lt_go_layout *layout = lt_go_layout_of(22);
	struct lt_go_g g = good();

	g.waitreason = 14;
	assert_true(lt_go_g_counted(layout, &g));
	assert_false(lt_go_g_counted(lt_go_layout_of(15), &g));
	g.m = AT; /* waits on the system's stack, or is about to stop */
	assert_false(lt_go_g_counted(layout, &g));
	g = good();
	g.status = LT_GO_SYSCALL;
	assert_false(lt_go_g_counted(layout, &g));
	g.status = LT_GO_PREEMPTED;
	assert_false(lt_go_g_counted(layout, &g));
	g.status = LT_GO_RUNNABLE;
	assert_true(lt_go_g_counted(layout, &g));
	g.waitreason = 28; /* "preempted" of 1.22 */
	assert_false(lt_go_g_counted(layout, &g));
}

static void test_mark(void **state)
{
	static const struct {
		uint8_t status, waitreason;
		enum lt_mark mark;
		bool stopped;
	} marks[] = {
		{ LT_GO_RUNNABLE, 14, LT_MARK_RUNNABLE, true },
		{ LT_GO_RUNNING, 14, LT_MARK_RUNNING, false },
		{ LT_GO_SYSCALL, 0, LT_MARK_SYSCALL, true },
		{ LT_GO_WAITING, 14, LT_MARK_CHAN_RECEIVE, true },
		{ LT_GO_WAITING, 0, LT_MARK_WAITING, true },
		{ LT_GO_WAITING, 255, LT_MARK_WAITING, true },
		{ LT_GO_COPYSTACK, 14, LT_MARK_RUNNING, false },
		{ LT_GO_PREEMPTED, 25, LT_MARK_PREEMPTED, true },
		{ LT_GO_LEAKED, 14, LT_MARK_LEAKED, true },
	};

	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
		struct lt_go_g g = good();

		g.status = marks[i].status;
		g.waitreason = marks[i].waitreason;
		assert_true(lt_go_g_alive(&g));
		assert_int_equal(lt_go_g_mark(lt_go_layout_of(22), &g), marks[i].mark);
		assert_int_equal(lt_go_g_stopped(&g), marks[i].stopped);
	}
}

static void test_resembled(void **state)
{
	uint64_t words[16] = { 0xc000100000, 0xc000100800 };

	assert_false(lt_go_g_resembled((uint8_t *)words, sizeof(words), AT));
	words[10] = AT;
	assert_true(lt_go_g_resembled((uint8_t *)words, sizeof(words), AT));
	assert_false(lt_go_g_resembled((uint8_t *)words, sizeof(words) - 1, AT));
	words[1] = words[0];
	assert_false(lt_go_g_resembled((uint8_t *)words, sizeof(words), AT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),    cmocka_unit_test(test_status),
		cmocka_unit_test(test_plausible), cmocka_unit_test(test_same),
		cmocka_unit_test(test_mark),      cmocka_unit_test(test_counted),
		cmocka_unit_test(test_resembled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
