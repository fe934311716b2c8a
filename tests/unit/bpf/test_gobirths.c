// SPDX-License-Identifier: GPL-2.0-or-later
/* With tables of the kernel as BPF has them, written as its program does. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "bpf/gobirths.h"

#define PROCESS 4711
#define OTHER   4712
#define G       UINT64_C(0xc000001000)
#define MANY    5000 /* more than are read at once */

static uint64_t looks;
static struct lt_gobirths births;

static int setup(void **state)
{
	looks = 0;
	births = (struct lt_gobirths){
		.births_fd = bpf_map_create(BPF_MAP_TYPE_HASH, "births",
					    sizeof(struct lt_go_birth_key),
					    sizeof(struct lt_go_birth), 16, NULL),
		.made_fd = bpf_map_create(BPF_MAP_TYPE_HASH, "made", sizeof(struct lt_go_made_key),
					  sizeof(__u64), 2 * MANY, NULL),
		.looks = &looks,
	};
	return births.births_fd < 0 || births.made_fd < 0;
}

static int teardown(void **state)
{
	close(births.births_fd);
	close(births.made_fd);
	return 0;
}

static void bear(uint32_t process, uint64_t g, uint64_t stack_id, bool torn)
{
	struct lt_go_birth_key key = { .g = g, .process = process };
	struct lt_go_birth birth = { .gopc = 7, .stack_id = stack_id, .look = looks };

	birth.check = lt_go_birth_check(&birth);
	birth.stack_id += torn;
	assert_int_equal(bpf_map_update_elem(births.births_fd, &key, &birth, BPF_ANY), 0);
}

static void make(uint32_t process, uint64_t stack_id, uint32_t share, __u64 count)
{
	struct lt_go_made_key key = { .stack_id = stack_id, .process = process, .share = share };

	assert_int_equal(bpf_map_update_elem(births.made_fd, &key, &count, BPF_ANY), 0);
}

static void test_find(void **state)
{
	struct lt_go_birth birth;

	assert_int_equal(lt_gobirths_look(&births), 1);
	assert_false(lt_gobirths_find(&births, PROCESS, G, &birth));
	bear(PROCESS, G, 99, false);
	assert_true(lt_gobirths_find(&births, PROCESS, G, &birth));
	assert_int_equal(birth.stack_id, 99);
	assert_int_equal(birth.gopc, 7);
	assert_int_equal(birth.look, 1);
	assert_false(lt_gobirths_find(&births, OTHER, G, &birth));
	assert_false(lt_gobirths_find(&births, PROCESS, G + 1, &birth));
	/* Another one at its place. */
	assert_int_equal(lt_gobirths_look(&births), 2);
	bear(PROCESS, G, 100, false);
	assert_true(lt_gobirths_find(&births, PROCESS, G, &birth));
	assert_int_equal(birth.stack_id, 100);
	assert_int_equal(birth.look, 2);
}

/* Read by halves, whichever of the words is of another one. */
static void test_torn(void **state)
{
	struct lt_go_birth birth = { .gopc = 1, .stack_id = 2, .look = 3 }, other;

	bear(PROCESS, G, 99, true);
	assert_false(lt_gobirths_find(&births, PROCESS, G, &other));
	birth.check = lt_go_birth_check(&birth);
	for (int i = 0; i < 4; i++) {
		other = birth;
		(&other.gopc)[i]++;
		assert_int_not_equal(other.check, lt_go_birth_check(&other));
	}
	other = (struct lt_go_birth){ 0 };
	assert_int_not_equal(other.check, lt_go_birth_check(&other));
}

struct sums {
	uint64_t by_stack[MANY], entries;
	int answer;
};

static int add(void *context, uint64_t stack_id, uint64_t count)
{
	struct sums *sums = context;

	assert_in_range(stack_id, 0, MANY - 1);
	sums->by_stack[stack_id] += count;
	sums->entries++;
	return sums->answer;
}

static void test_made(void **state)
{
	static struct sums sums;

	sums = (struct sums){ 0 };
	assert_int_equal(lt_gobirths_each_made(&births, PROCESS, add, &sums), 0);
	assert_int_equal(sums.entries, 0);
	make(PROCESS, 1, 0, 30);
	make(PROCESS, 1, 1, 12);
	make(OTHER, 1, 0, 1000);
	make(PROCESS, 2, 0, 1);
	assert_int_equal(lt_gobirths_each_made(&births, PROCESS, add, &sums), 0);
	assert_int_equal(sums.entries, 3);
	assert_int_equal(sums.by_stack[1], 42);
	assert_int_equal(sums.by_stack[2], 1);
	sums = (struct sums){ .answer = -EAGAIN };
	assert_int_equal(lt_gobirths_each_made(&births, PROCESS, add, &sums), -EAGAIN);
	assert_int_equal(sums.entries, 1);
}

static void test_many_made(void **state)
{
	static struct sums sums;

	sums = (struct sums){ 0 };
	for (uint64_t i = 0; i < MANY; i++)
		make(PROCESS, i, (uint32_t)i % LT_GO_MADE_SHARES, i);
	assert_int_equal(lt_gobirths_each_made(&births, PROCESS, add, &sums), 0);
	assert_int_equal(sums.entries, MANY);
	for (uint64_t i = 0; i < MANY; i++)
		assert_int_equal(sums.by_stack[i], i);
}

static void test_forget(void **state)
{
	static struct sums sums;
	struct lt_go_birth birth;

	sums = (struct sums){ 0 };
	for (uint64_t i = 0; i < 8; i++) {
		bear(i % 2 ? PROCESS : OTHER, G + i * 512, i, false);
		make(i % 2 ? PROCESS : OTHER, i, 0, 1);
	}
	lt_gobirths_forget(&births, PROCESS);
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(
			lt_gobirths_find(&births, i % 2 ? PROCESS : OTHER, G + i * 512, &birth),
			!(i % 2));
	assert_int_equal(lt_gobirths_each_made(&births, PROCESS, add, &sums), 0);
	assert_int_equal(sums.entries, 0);
	assert_int_equal(lt_gobirths_each_made(&births, OTHER, add, &sums), 0);
	assert_int_equal(sums.entries, 4);
	lt_gobirths_forget(&births, PROCESS);
	lt_gobirths_forget(&births, OTHER);
	assert_false(lt_gobirths_find(&births, OTHER, G, &birth));
}

/* Tables that cannot be read are an error, not an empty answer. */
static void test_unreadable(void **state)
{
	struct lt_gobirths none = { .births_fd = -1, .made_fd = -1, .looks = &looks };
	struct lt_go_birth birth;

	assert_false(lt_gobirths_find(&none, PROCESS, G, &birth));
	assert_int_equal(lt_gobirths_each_made(&none, PROCESS, add, NULL), -EBADF);
	lt_gobirths_forget(&none, PROCESS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_find),      TEST(test_torn),   TEST(test_made),
		TEST(test_many_made), TEST(test_forget), TEST(test_unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
