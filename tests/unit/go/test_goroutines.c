// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/goroutines.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "unit/go/fake.h"

static struct fake fake;
static struct lt_go_program *program;
static struct lt_go_walker *walker;

static void start(void)
{
	_lt_buf_ struct lt_buf error = { 0 };

	assert_int_equal(fake_open(&fake, &program, &error), 0);
	assert_int_equal(lt_go_walker_new(&walker, program), 0);
}

static void stop(void)
{
	lt_go_walker_free(walker);
	lt_go_program_free(program);
	fake_free(&fake);
}

static const struct lt_goroutines *walk(void)
{
	const struct lt_goroutines *all = NULL;

	assert_int_equal(lt_go_walk(walker, &all), 0);
	return all;
}

static const struct lt_goroutine *find(const struct lt_goroutines *all, uint64_t id)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->items[i].id == id)
			return &all->items[i];
	return NULL;
}

static void assert_stack(const struct lt_goroutines *all, const struct lt_goroutine *item,
			 size_t calls)
{
	const struct lt_go_stack *stack = &all->stacks[item->stack];

	assert_false(item->cut);
	assert_false(stack->cut);
	assert_int_equal(stack->frame_count, calls + 1);
	for (size_t i = 0; i < calls; i++)
		assert_int_equal(stack->frames[i], FAKE_CALL + FAKE_BIAS);
	assert_int_equal(stack->frames[calls], FAKE_EXIT + FAKE_BIAS);
}

static void test_versions(void **state)
{
	for (unsigned int minor = 15; minor <= 27; minor++) {
		const struct lt_goroutines *all;
		const struct lt_goroutine *item;
		uint8_t *g;

		if (!lt_go_layout_of(minor))
			continue;
		fake_new(&fake, minor);
		for (uint64_t id = 9; id > 0; id--)
			g = fake_goroutine(&fake, id, LT_GO_WAITING, id % 3);
		g[fake.layout->g_waitreason] = 2;
		fake_word(g, fake.layout->g_waitsince, 12345);
		start();
		all = walk();
		assert_int_equal(all->count, 9);
		assert_int_equal(all->unsettled, 0);
		assert_int_equal(all->stack_count, 4);
		for (size_t i = 0; i < 9; i++) {
			assert_int_equal(all->items[i].id, i + 1);
			assert_stack(all, &all->items[i], (i + 1) % 3 + 1);
			assert_false(all->items[i].runtime);
		}
		item = find(all, 1);
		assert_int_equal(item->mark, LT_MARK_IO_WAIT);
		assert_int_equal(item->waits_since_ns, 12345);
		assert_int_equal(item->created_pc, 0);
		assert_int_equal(find(all, 2)->created_pc, FAKE_CALL + FAKE_BIAS);
		assert_int_equal(item->start_pc, GO_TEXT + FAKE_BIAS);
		stop();
	}
}

static void test_states(void **state)
{
	const struct lt_goroutines *all;
	uint8_t *g;

	fake_new(&fake, 22);
	fake_goroutine(&fake, 1, LT_GO_RUNNING, 1);
	fake_goroutine(&fake, 2, LT_GO_RUNNABLE, 1);
	fake_goroutine(&fake, 3, LT_GO_DEAD, 1);
	fake_goroutine(&fake, 4, LT_GO_DEADEXTRA, 1);
	g = fake_goroutine(&fake, 5, LT_GO_SYSCALL, 3);
	fake_word(g, fake.layout->g_syscallpc, FAKE_CALL + FAKE_BIAS);
	fake_word(g, fake.layout->g_syscallsp,
		  *(uint64_t *)(g + fake.layout->g_sched_sp) + GO_FRAME + 8);
	g = fake_goroutine(&fake, 6, 0x1000 | LT_GO_WAITING, 1); /* while the GC scans it */
	fake_word(g, fake.layout->g_startpc, GO_TEXT + GO_SWITCH * GO_FUNCTION_SIZE + FAKE_BIAS);
	fake_goroutine(&fake, 7, LT_GO_SYSCALL, 1); /* of a C thread that is not in Go */
	fake_goroutine(&fake, 8, LT_GO_COPYSTACK, 1);
	g = fake_goroutine(&fake, 9, LT_GO_RUNNABLE, 0); /* did not run yet */
	fake_word(g, fake.layout->g_sched_pc, GO_TEXT + FAKE_BIAS);
	fake_word(g, fake.layout->g_sched_sp,
		  *(uint64_t *)(g + fake.layout->g_sched_sp) + GO_FRAME);
	start();
	all = walk();
	assert_int_equal(all->count, 7);
	assert_int_equal(all->unsettled, 0);
	assert_int_equal(find(all, 1)->mark, LT_MARK_RUNNING);
	assert_int_equal(find(all, 1)->stack, 0);
	assert_true(find(all, 1)->cut);
	assert_int_equal(find(all, 2)->mark, LT_MARK_RUNNABLE);
	assert_stack(all, find(all, 2), 2);
	assert_int_equal(find(all, 5)->mark, LT_MARK_SYSCALL);
	assert_stack(all, find(all, 5), 3);
	assert_stack(all, find(all, 6), 2);
	assert_true(find(all, 6)->runtime);
	assert_stack(all, find(all, 7), 2);
	assert_int_equal(find(all, 8)->mark, LT_MARK_RUNNING);
	assert_int_equal(all->stacks[find(all, 9)->stack].frame_count, 2);
	assert_int_equal(all->stacks[find(all, 9)->stack].frames[0], GO_TEXT + FAKE_BIAS + 1);
	stop();
}

/* What does not hold up is told, marked, and spoils nothing else. */
static void test_broken(void **state)
{
	const struct lt_goroutines *all;
	const struct lt_go_layout *layout;
	uint8_t *g;
	uint64_t sp;

	fake_new(&fake, 26);
	layout = fake.layout;
	for (uint64_t id = 1; id < 10; id++)
		fake_goroutine(&fake, id, LT_GO_WAITING, 0);
	start();
	g = fake_goroutine(&fake, 11, LT_GO_WAITING, 2); /* an address of nothing on its stack */
	memcpy(&sp, g + layout->g_sched_sp, 8);
	*(uint64_t *)(uintptr_t)(sp + 2 * GO_FRAME + 8) = 0x41;
	g = fake_goroutine(&fake, 12, LT_GO_WAITING, 2); /* SP outside of the stack */
	fake_word(g, layout->g_sched_sp, 8);
	g = fake_goroutine(&fake, 13, LT_GO_WAITING, 2); /* a stack that is not there */
	fake_word(g, layout->g_sched_sp, 0x10000);
	fake_word(g, layout->g_stack_lo, 0x10000);
	fake_word(g, layout->g_stack_hi, 0x20000);
	g = fake_goroutine(&fake, 14, LT_GO_WAITING, 2); /* a frame beyond the end */
	memcpy(&sp, g + layout->g_sched_sp, 8);
	fake_word(g, layout->g_stack_hi, sp + GO_FRAME + 8);
	fake_goroutine(&fake, 15, LT_GO_WAITING, LT_MAX_FRAMES + 10);
	fake_goroutine(&fake, 16, LT_GO_WAITING, LT_MAX_FRAMES - 2);
	fake.elements[fake.allgs->len++] = 0x10000; /* no struct there */
	fake.elements[fake.allgs->len++] = fake.elements[0] + 8;
	fake.elements[fake.allgs->len++] = fake.elements[1]; /* twice */
	fake.elements[fake.allgs->len++] = UINT64_MAX - 15;
	all = walk();
	assert_int_equal(all->count, 15);
	assert_int_equal(all->unsettled, 4);
	for (uint64_t id = 1; id < 10; id++)
		assert_stack(all, find(all, id), 1);
	for (uint64_t id = 11; id < 16; id++) {
		assert_true(find(all, id)->cut);
		assert_true(all->stacks[find(all, id)->stack].cut);
	}
	assert_int_equal(all->stacks[find(all, 11)->stack].frame_count, 2);
	assert_int_equal(all->stacks[find(all, 12)->stack].frame_count, 0);
	assert_int_equal(all->stacks[find(all, 13)->stack].frame_count, 1);
	assert_int_equal(all->stacks[find(all, 14)->stack].frame_count, 2);
	assert_int_equal(all->stacks[find(all, 15)->stack].frame_count, LT_MAX_FRAMES);
	assert_stack(all, find(all, 16), LT_MAX_FRAMES - 1);
	stop();
}

static void test_array(void **state)
{
	const struct lt_goroutines *all = NULL;

	fake_new(&fake, 27);
	for (uint64_t id = 1; id < 4; id++)
		fake_goroutine(&fake, id, LT_GO_WAITING, 0);
	start();
	fake.allgs->len = fake.allgs->cap + 1;
	assert_int_equal(lt_go_walk(walker, &all), -EBADMSG);
	fake.allgs->len = 3;
	fake.allgs->data = 0x10000;
	assert_int_equal(lt_go_walk(walker, &all), -EBADMSG);
	fake.allgs->data = 0;
	assert_int_equal(lt_go_walk(walker, &all), -EBADMSG);
	fake.allgs->data = (uintptr_t)fake.elements + 1024; /* all of it is 0 */
	assert_int_equal(lt_go_walk(walker, &all), -EBADMSG);
	fake.allgs->data = (uintptr_t)fake.elements;
	for (uint64_t i = 3; i < 4096; i++) /* too many of them */
		fake.elements[i] = 0x10000 + i * 8;
	fake.allgs->len = 4096;
	assert_int_equal(lt_go_walk(walker, &all), -EBADMSG);
	assert_null(all);
	for (uint64_t i = 3; i < 4096; i++) /* the same ones over and over: they are read once */
		fake.elements[i] = i % 3 ? fake.elements[0] : 0x10000;
	all = walk();
	assert_int_equal(all->count, 3);
	assert_int_equal(all->beyond, 1);
	assert_true(all->calls < 10);
	fake.allgs->len = 3;
	assert_int_equal(walk()->count, 3);
	stop();
}

/* Of code that is in no module that could be opened: it is one, and its stack ends there. */
static void test_unknown_code(void **state)
{
	const struct lt_goroutines *all;
	uint8_t *g;

	fake_new(&fake, 24);
	for (uint64_t id = 1; id < 4; id++)
		fake_goroutine(&fake, id, LT_GO_WAITING, 1);
	start();
	g = fake_goroutine(&fake, 4, LT_GO_WAITING, 1);
	fake_word(g, fake.layout->g_startpc, 0x4000);
	g = fake_goroutine(&fake, 5, LT_GO_WAITING, 1);
	fake_word(g, fake.layout->g_startpc, 0x4000);
	fake_word(g, fake.layout->g_sched_pc, 0x4010);
	all = walk();
	assert_int_equal(all->count, 5);
	assert_int_equal(find(all, 4)->start_pc, 0x4000);
	assert_stack(all, find(all, 4), 2);
	assert_true(find(all, 5)->cut);
	assert_int_equal(all->unsettled, 1);
	stop();
}

/* More than a batch, side by side and not, over several walks. */
static void test_many(void **state)
{
	const struct lt_goroutines *all;

	fake_new(&fake, 22);
	for (uint64_t id = 1; id <= 2500; id++) {
		fake_goroutine(&fake, id, LT_GO_WAITING, id % 20);
		fake.used += id % 7 * 48;
	}
	start();
	for (int i = 0; i < 3; i++) {
		all = walk();
		assert_int_equal(all->count, 2500);
		assert_int_equal(all->stack_count, 21);
		assert_int_equal(all->calls, 3 + 3 * 3);
		for (size_t at = 0; at < all->count; at++)
			assert_stack(all, &all->items[at], (at + 1) % 20 + 1);
		lt_go_walker_reset(walker);
	}
	stop();
}

struct mover {
	uint8_t *g;
	volatile uint64_t *sp;
	volatile bool stop;
};

enum { MOVED_DEPTH = 40 };

/* Runs and waits, each time with other calls on its stack, in the order that the runtime writes. */
static void *move(void *context)
{
	struct mover *mover = context;
	volatile uint32_t *status = (uint32_t *)(mover->g + fake.layout->g_status);
	volatile uint64_t *m = (uint64_t *)(mover->g + fake.layout->g_m);
	volatile uint8_t *seq = mover->g + fake.layout->g_tracking_seq;

	for (uint64_t round = 0; !mover->stop; round++) {
		*m = 1;
		*status = LT_GO_RUNNING;
		for (size_t i = 0; i < MOVED_DEPTH; i++)
			mover->sp[i * (GO_FRAME + 8) / 8 + GO_FRAME / 8] = FAKE_CALL + FAKE_BIAS +
									   round % 2 * 4;
		*status = LT_GO_WAITING;
		++*seq;
		*m = 0;
		usleep(50);
	}
	return NULL;
}

/* Of one that moves, there is the stack of one moment or none; once it rests, there is one. */
static void test_moving(void **state)
{
	struct mover mover = { 0 };
	pthread_t thread;

	fake_new(&fake, 22);
	for (uint64_t id = 2; id < 100; id++)
		fake_goroutine(&fake, id, LT_GO_WAITING, 0);
	mover.g = fake_goroutine(&fake, 1, LT_GO_WAITING, MOVED_DEPTH);
	mover.sp = (volatile uint64_t *)(uintptr_t) *
		   (uint64_t *)(mover.g + fake.layout->g_sched_sp);
	start();
	assert_int_equal(pthread_create(&thread, NULL, move, &mover), 0);
	for (int i = 0; i < 3000; i++) {
		const struct lt_goroutines *all = walk();
		const struct lt_goroutine *item = find(all, 1);
		const struct lt_go_stack *stack = &all->stacks[item->stack];

		assert_int_equal(stack->frame_count, item->cut ? 0 : MOVED_DEPTH + 2);
		for (size_t at = 2; at < stack->frame_count && at <= MOVED_DEPTH; at++)
			assert_int_equal(stack->frames[at], stack->frames[1]);
	}
	mover.stop = true;
	pthread_join(thread, NULL);
	assert_false(find(walk(), 1)->cut);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),     cmocka_unit_test(test_states),
		cmocka_unit_test(test_broken),       cmocka_unit_test(test_array),
		cmocka_unit_test(test_many),         cmocka_unit_test(test_moving),
		cmocka_unit_test(test_unknown_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
