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

#include "probe/returns.h"

#define FUNCTION(name, code) ".globl " name "\n" name ": .cfi_startproc\n" code "\n.cfi_endproc\n"

/*
 * As jemalloc's operator new: two returns of its own, a jump to the slow path, which returns or
 * jumps to what throws, partly in a place of its own and by a call that does not come back.
 */
__asm__(".pushsection .text.returns, \"ax\", @progbits\n"
	/* clang-format off */
	FUNCTION("fast", "cmp $1, %rdi; ja 1f; fast_return: .globl fast_return; ret; 1: jmp slow")
	FUNCTION("slow", "test %rax, %rax; je throws; slow_return: .globl slow_return; repz ret")
	FUNCTION("throws", "call fast; test %rax, %rax; je cold; throws_return: .globl throws_return; ret")
	FUNCTION("cold", "test %rdi, %rdi; je throws_return; call throws")
	FUNCTION("neighbour", "ret")
	FUNCTION("indirect", "test %rax, %rax; je 1f; ret; 1: jmp *%rax")
	FUNCTION("to_indirect", "test %rax, %rax; je indirect; ret")
	FUNCTION("endless", "1: jmp 1b")
	FUNCTION("undecodable", "ret; .byte 6")
	FUNCTION("many", ".rept 33; ret; .endr")
	FUNCTION("last", "ret")
	/* clang-format on */
	".popsection\n");
extern const char fast[], fast_return[], slow_return[], throws[], throws_return[], neighbour[],
	indirect[], to_indirect[], endless[], undecodable[], many[];

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

static int find(const struct fixture *fixture, const char *function, struct lt_returns *returns)
{
	return lt_returns_find(fixture->image, fixture->fd, (uintptr_t)function - fixture->bias,
			       returns);
}

static void test_all_returns(void **state)
{
	const struct fixture *fixture = *state;
	struct lt_returns returns;

	assert_int_equal(find(fixture, fast, &returns), 0);
	assert_int_equal(returns.count, 3);
	assert_int_equal(returns.addresses[0] + fixture->bias, (uintptr_t)fast_return);
	assert_int_equal(returns.addresses[1] + fixture->bias, (uintptr_t)slow_return);
	assert_int_equal(returns.addresses[2] + fixture->bias, (uintptr_t)throws_return);

	assert_int_equal(find(fixture, throws, &returns), 0);
	assert_int_equal(returns.count, 1);
	assert_int_equal(find(fixture, neighbour, &returns), 0);
	assert_int_equal(returns.count, 1);
	assert_int_equal(returns.addresses[0] + fixture->bias, (uintptr_t)neighbour);
}

/* Not to know one of them is to know none. */
static void test_refused(void **state)
{
	const struct fixture *fixture = *state;
	const struct {
		const char *function, *why;
	} cases[] = {
		{ indirect, "may lead anywhere" },  { to_indirect, "may lead anywhere" },
		{ endless, "has no return" },       { undecodable, "does not decode" },
		{ many, "in more than 32 places" },
	};
	struct lt_returns returns;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(find(fixture, cases[i].function, &returns), -ENOTSUP);
		assert_non_null(strstr(returns.why, cases[i].why));
	}
	assert_int_equal(lt_returns_find(fixture->image, fixture->fd, 0, &returns), -ENOTSUP);
	assert_non_null(strstr(returns.why, "no end is known"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_returns),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
