// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/remote.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE 4096

/* Two pages, the second of which cannot be read. */
static uint8_t *half_mapped(void)
{
	uint8_t *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			      -1, 0);

	assert_ptr_not_equal(pages, MAP_FAILED);
	for (size_t i = 0; i < PAGE; i++)
		pages[i] = (uint8_t)(i * 7);
	assert_int_equal(munmap(pages + PAGE, PAGE), 0);
	return pages;
}

static void test_one(void **state)
{
	uint8_t *pages = half_mapped(), to[64];

	assert_int_equal(lt_remote_read(getpid(), (uintptr_t)pages + 8, to, sizeof(to)), 0);
	assert_memory_equal(to, pages + 8, sizeof(to));
	assert_int_equal(lt_remote_read(getpid(), (uintptr_t)pages + PAGE - 32, to, sizeof(to)),
			 -EFAULT);
	assert_int_equal(lt_remote_read(getpid(), UINT64_MAX - 8, to, sizeof(to)), -EFAULT);
	assert_int_equal(lt_remote_read(getpid(), 0, to, sizeof(to)), -EFAULT);
	munmap(pages, PAGE);
}

/* Every fiftieth lies where nothing can be read, in part or in full; the others are right. */
static void test_many(void **state)
{
	enum { COUNT = 3000, HOLE = 50 };
	static struct lt_remote_piece pieces[COUNT];
	static uint8_t to[COUNT][16];
	uint8_t *pages = half_mapped();
	size_t calls = 0;

	for (size_t i = 0; i < COUNT; i++)
		pieces[i] = (struct lt_remote_piece){
			.address = (uintptr_t)pages + (i % HOLE ? i : PAGE - i / HOLE % 2 * 8),
			.to = to[i],
			.len = sizeof(to[i]),
			.ok = true,
		};
	assert_int_equal(lt_remote_read_counted(getpid(), pieces, COUNT, &calls), 0);
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(pieces[i].ok, i % HOLE != 0);
		if (i % HOLE)
			assert_memory_equal(to[i], pages + i, sizeof(to[i]));
	}
	assert_true(calls >= COUNT / HOLE && calls <= COUNT / HOLE + 4);
	munmap(pages, PAGE);
}

static void test_in_few_calls(void **state)
{
	enum { COUNT = 2500 };
	static struct lt_remote_piece pieces[COUNT];
	static uint64_t from[COUNT], to[COUNT];
	size_t calls = 0;

	for (size_t i = 0; i < COUNT; i++) {
		from[i] = i;
		pieces[i] = (struct lt_remote_piece){ (uintptr_t)&from[i], &to[i], 8, false };
	}
	assert_int_equal(lt_remote_read_counted(getpid(), pieces, COUNT, &calls), 0);
	assert_memory_equal(from, to, sizeof(from));
	assert_int_equal(calls, 3);
	assert_int_equal(lt_remote_read_all(getpid(), NULL, 0), 0);
}

/* A target that has nothing but holes costs a bounded number of calls. */
static void test_only_holes(void **state)
{
	enum { COUNT = 20000 };
	struct lt_remote_piece *pieces = calloc(COUNT, sizeof(*pieces));
	uint64_t to;
	size_t calls = 0;

	assert_non_null(pieces);
	for (size_t i = 0; i < COUNT; i++)
		pieces[i] = (struct lt_remote_piece){ 8, &to, sizeof(to), true };
	assert_int_equal(lt_remote_read_counted(getpid(), pieces, COUNT, &calls), 0);
	assert_int_equal(calls, 64);
	for (size_t i = 0; i < COUNT; i++)
		assert_false(pieces[i].ok);
	free(pieces);
}

static void test_gone(void **state)
{
	pid_t pid = fork();
	uint64_t word = 0;

	if (!pid)
		_exit(0);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(lt_remote_read(pid, (uintptr_t)&word, &word, sizeof(word)), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one),          cmocka_unit_test(test_many),
		cmocka_unit_test(test_in_few_calls), cmocka_unit_test(test_only_holes),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
