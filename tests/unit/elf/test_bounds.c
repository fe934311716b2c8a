// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "elf/bounds.h"

/* Two neighbours in code of their own: linkers sort the table, not the code. */
__asm__(".pushsection .text.bounds, \"ax\", @progbits\n"
	".globl bounds_first, bounds_second, bounds_end\n"
	"bounds_first: .cfi_startproc\n"
	"	nop; nop; nop; ret\n"
	"	.cfi_endproc\n"
	"	.skip 4, 0x90\n"
	"bounds_second: .cfi_startproc\n"
	"	nop; ret\n"
	"	.cfi_endproc\n"
	"bounds_end: .cfi_startproc\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".popsection\n");
extern const char bounds_first[], bounds_second[], bounds_end[];

struct fixture {
	int fd;
	struct lt_image *image;
	uint64_t bias; /* address here - address in the file */
};

static int note_bias(struct dl_phdr_info *info, size_t size, void *bias)
{
	*(uint64_t *)bias = info->dlpi_addr;
	return 1; /* the executable comes first */
}

static int setup(void **state)
{
	static struct fixture fixture;

	*state = &fixture;
	fixture.fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	dl_iterate_phdr(note_bias, &fixture.bias);
	return fixture.fd < 0 ? -1 : lt_image_open(&fixture.image, fixture.fd);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	lt_image_close(fixture->image);
	close(fixture->fd);
	return 0;
}

static void test_neighbours(void **state)
{
	const struct fixture *fixture = *state;
	const struct {
		const char *address, *start, *end;
	} cases[] = {
		{ bounds_first, bounds_first, bounds_second },
		{ bounds_first + 3, bounds_first, bounds_second },
		{ bounds_first + 5, bounds_first, bounds_second }, /* padding */
		{ bounds_second, bounds_second, bounds_end },
		{ bounds_second + 1, bounds_second, bounds_end },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t start, end;

		assert_int_equal(lt_bounds_find(fixture->image, fixture->fd,
						(uintptr_t)cases[i].address - fixture->bias, &start,
						&end),
				 0);
		assert_int_equal(start + fixture->bias, (uintptr_t)cases[i].start);
		assert_int_equal(end + fixture->bias, (uintptr_t)cases[i].end);
	}
}

static void test_outside(void **state)
{
	const struct fixture *fixture = *state;
	uint64_t start = 1, end = 2;

	assert_int_equal(lt_bounds_find(fixture->image, fixture->fd, 0, &start, &end), -ESRCH);
	assert_int_equal(lt_bounds_find(fixture->image, fixture->fd, UINT64_MAX, &start, &end),
			 -ESRCH);
	assert_int_equal(start, 1);
	assert_int_equal(end, 2);
}

static void test_no_table(void **state)
{
	const struct fixture *fixture = *state;
	_lt_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	uint64_t start, end;

	assert_int_equal(
		lt_bounds_find(fixture->image, null, (uintptr_t)bounds_first, &start, &end),
		-ENODATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_outside),
		cmocka_unit_test(test_no_table),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
