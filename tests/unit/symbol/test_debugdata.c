/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stripped programs that carry their symbols in .gnu_debugdata. */
#include "unit/symbol/program.h"

#include <errno.h>
#include <lzma.h>
#include <sys/stat.h>

#include "symbol/debugdata.h"
#include "symbol/functions.h"

#define LARGE (65U << 20) /* more than is expanded */

/* Makes "prog", stripped, with data as its .gnu_debugdata. */
static void add_section(const struct fixture *fixture, const void *data, size_t len)
{
	write_file(fixture, "data", data, len);
	shell(fixture, "objcopy -S --add-section .gnu_debugdata=data full prog2 && mv prog2 prog");
}

static size_t compress(const void *data, size_t len, uint8_t **packed)
{
	size_t size = lzma_stream_buffer_bound(len), packed_len = 0;

	*packed = malloc(size);
	assert_non_null(*packed);
	assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, NULL, data, len, *packed,
						 &packed_len, size),
			 LZMA_OK);
	return packed_len;
}

/* The symbols of "full", in xz. */
static size_t pack_symbols(const struct fixture *fixture, uint8_t **packed)
{
	_lt_free_ uint8_t *data = NULL;
	_lt_close_ int fd = -1;
	struct stat status;

	shell(fixture, "gcc -O2 -o full main.c && objcopy --only-keep-debug full symbols && "
		       "cp symbols prog");
	fd = open_program(fixture);
	assert_int_equal(fstat(fd, &status), 0);
	data = malloc((size_t)status.st_size);
	assert_non_null(data);
	assert_int_equal(read(fd, data, (size_t)status.st_size), status.st_size);
	return compress(data, (size_t)status.st_size, packed);
}

static void check_unknown(const struct fixture *fixture)
{
	struct run run;

	assert_int_equal(lookup_program(fixture, &run).frame_count, 0);
}

static void test_names(void **state)
{
	_lt_free_ uint8_t *packed = NULL;
	size_t len = pack_symbols(*state, &packed);

	add_section(*state, packed, len);
	check_symbol_only(*state);
}

static void test_broken(void **state)
{
	_lt_free_ uint8_t *packed = NULL, *other = NULL;
	size_t len = pack_symbols(*state, &packed);

	add_section(*state, packed, len - 1);
	check_unknown(*state);
	add_section(*state, packed, 5);
	check_unknown(*state);
	packed[len / 2] ^= 1;
	add_section(*state, packed, len);
	check_unknown(*state);
	len = compress("no ELF file", 11, &other);
	add_section(*state, other, len);
	check_unknown(*state);
}

static int read_program(const struct fixture *fixture, struct lt_buf *image, uint64_t *budget)
{
	_lt_close_ int fd = open_program(fixture);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	int error;

	assert_non_null(elf);
	error = lt_debugdata_read(elf, image, budget);
	elf_end(elf);
	return error;
}

static void test_bounds(void **state)
{
	_lt_free_ uint8_t *packed = NULL, *zeros = calloc(1, LARGE), *large = NULL;
	size_t len = pack_symbols(*state, &packed);
	struct lt_buf image = { 0 };
	uint64_t budget = UINT64_MAX;

	assert_non_null(zeros);
	add_section(*state, packed, len);
	assert_int_equal(read_program(*state, &image, &budget), 0);
	assert_true(image.len > len && budget == UINT64_MAX - image.len);
	budget = image.len - 1;
	lt_buf_free(&image);
	assert_int_equal(read_program(*state, &image, &budget), -ENODATA);
	assert_null(image.data);
	budget++;
	assert_int_equal(read_program(*state, &image, &budget), 0);
	assert_true(budget == 0);
	lt_buf_free(&image);

	budget = UINT64_MAX;
	len = compress(zeros, LARGE, &large);
	add_section(*state, large, len);
	assert_int_equal(read_program(*state, &image, &budget), -ENODATA);
	assert_true(budget == UINT64_MAX);
	shell(*state, "cp full prog");
	assert_int_equal(read_program(*state, &image, &budget), -ENODATA); /* none */
}

/* xorshift64 (Marsaglia): repeatable damage. */
static uint64_t next_random(uint64_t random)
{
	random ^= random << 13;
	random ^= random >> 7;
	return random ^ random << 17;
}

/* The expanded file is read where it lies in memory, unlike others. */
static void test_damaged_image(void **state)
{
	_lt_free_ uint8_t *packed = NULL, *damaged = NULL;
	uint64_t random = 88172645463325252u, budget = UINT64_MAX;
	struct lt_buf image = { 0 };
	size_t len = pack_symbols(*state, &packed);

	add_section(*state, packed, len);
	assert_int_equal(read_program(*state, &image, &budget), 0);
	for (int round = 0; round < 2000; round++) {
		struct lt_functions *functions;
		Elf *elf;

		/* Of its exact size, so that a read beyond it is seen. */
		len = round % 2 ? image.len : random % image.len + 1;
		damaged = realloc(damaged, len);
		assert_non_null(damaged);
		memcpy(damaged, image.data, len);
		for (int i = 0; i < round % 30; i++) {
			random = next_random(random);
			damaged[(round & 2 ? random % 1024 : random) % len] = (uint8_t)(random >>
											40);
		}
		elf = elf_memory((char *)damaged, len);
		if (!elf)
			continue;
		assert_int_equal(lt_functions_load(&functions, &elf, 1), 0);
		for (uint64_t address = 0; address < 0x3000; address += 13)
			lt_functions_name(functions, address);
		lt_functions_free(functions);
		elf_end(elf);
	}
	lt_buf_free(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PROGRAM_TEST(test_names),
		PROGRAM_TEST(test_broken),
		PROGRAM_TEST(test_bounds),
		PROGRAM_TEST(test_damaged_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
