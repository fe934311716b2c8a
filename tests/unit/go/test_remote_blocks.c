// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "go/remote_blocks.h"

#define PAGES 64U
#define BYTES ((size_t)PAGES * 4096)

struct fixture {
	uint8_t *memory; /* the last page cannot be read */
	uint64_t address;
	struct lt_remote_blocks *blocks;
};

static int setup(void **state)
{
	static struct fixture fixture;

	fixture.memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			      0);
	if (fixture.memory == MAP_FAILED)
		return -1;
	for (size_t i = 0; i < BYTES - 4096; i++)
		fixture.memory[i] = (uint8_t)(i * 31 + i / 4096);
	fixture.address = (uintptr_t)fixture.memory;
	*state = &fixture;
	return mprotect(fixture.memory + BYTES - 4096, 4096, PROT_NONE) ||
	       lt_remote_blocks_new(&fixture.blocks, getpid());
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	lt_remote_blocks_free(fixture->blocks);
	return munmap(fixture->memory, BYTES);
}

static void reads_much_with_few_calls(void **state)
{
	struct fixture *fixture = *state;
	uint8_t bytes[300];

	for (size_t at = 0; at + sizeof(bytes) <= BYTES - 4096; at += 100) {
		assert_true(lt_remote_blocks_read(fixture->blocks, fixture->address + at, bytes,
						  sizeof(bytes)));
		assert_memory_equal(bytes, fixture->memory + at, sizeof(bytes));
	}
	/* 8 pages a block, and it need not begin with one */
	assert_true(lt_remote_blocks_calls(fixture->blocks) <= PAGES / 8 + 1);
}

static void reads_across_blocks(void **state)
{
	struct fixture *fixture = *state;
	static uint8_t bytes[BYTES - 4096];

	assert_true(lt_remote_blocks_read(fixture->blocks, fixture->address, bytes, sizeof(bytes)));
	assert_memory_equal(bytes, fixture->memory, sizeof(bytes));
}

static void says_what_cannot_be_read(void **state)
{
	struct fixture *fixture = *state;
	uint64_t end = fixture->address + BYTES - 4096;
	uint8_t bytes[16] = {};

	assert_true(lt_remote_blocks_read(fixture->blocks, end - 16, bytes, 16));
	assert_memory_equal(bytes, fixture->memory + BYTES - 4096 - 16, 16);
	assert_false(lt_remote_blocks_read(fixture->blocks, end - 15, bytes, 16));
	assert_false(lt_remote_blocks_read(fixture->blocks, end, bytes, 1));
	assert_false(lt_remote_blocks_read(fixture->blocks, 0, bytes, 8));
	assert_false(lt_remote_blocks_read(fixture->blocks, UINT64_MAX - 7, bytes, 16));
	assert_false(lt_remote_blocks_read(fixture->blocks, UINT64_MAX - 15, bytes, 15));
}

static void ends_somewhere(void **state)
{
	struct fixture *fixture = *state;
	uint64_t address = 1ULL << 48; /* nothing is there */
	uint8_t byte;

	for (size_t i = 0; i < 40000; i++, address += 1U << 15)
		lt_remote_blocks_read(fixture->blocks, address, &byte, 1);
	assert_int_equal(lt_remote_blocks_calls(fixture->blocks), 32768);
	assert_false(lt_remote_blocks_read(fixture->blocks, fixture->address, &byte, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_much_with_few_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(reads_across_blocks, setup, teardown),
		cmocka_unit_test_setup_teardown(says_what_cannot_be_read, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_somewhere, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
