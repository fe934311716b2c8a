// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/leads.h"

#define FUNCTION(name, code)                                                                       \
	".globl " name "\n" name ": " code "\n" name "_end: .globl " name "_end\n"

/* The ways in which allocators' functions lead to each other, seen in mimalloc, tcmalloc, musl. */
__asm__(".pushsection .text.leads, \"ax\", @progbits\n"
	/* clang-format off */
	FUNCTION("does_it", "test %rdi, %rdi; ret")
	FUNCTION("jumps", "jmp does_it")
	FUNCTION("jumps_twice", "endbr64; jmp jumps")
	FUNCTION("through_stub", "jmp free@plt")
	FUNCTION("through_slot", "jmp *free@GOTPCREL(%rip)")
	FUNCTION("prepares", "mov %rsi, %rdx; test %rdi, %rdi; je jumps; jmp does_it")
	FUNCTION("may_return", "test %rdi, %rdi; je 1f; jmp does_it; 1: ret")
	FUNCTION("calls", "push %rbx; call jumps; pop %rbx; ret")
	FUNCTION("loops", "1: dec %rdi; jne 1b; jmp 1b")
	FUNCTION("anywhere", "jmp *%rax")
	FUNCTION("calls_anywhere", "call *%rax; jmp does_it")
	FUNCTION("nonsense", "jmp does_it; .byte 6")
	/* clang-format on */
	".popsection\n");
extern const uint8_t does_it[], jumps[], jumps_end[], jumps_twice[], jumps_twice_end[],
	through_stub[], through_stub_end[], through_slot[], through_slot_end[], prepares[],
	prepares_end[], may_return[], may_return_end[], calls[], calls_end[], loops[], loops_end[],
	anywhere[], anywhere_end[], calls_anywhere[], calls_anywhere_end[], nonsense[],
	nonsense_end[];

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

static struct lt_leads leads_of(const struct fixture *fixture, const uint8_t *from,
				const uint8_t *to, const struct lt_leads_stop *stop)
{
	struct lt_leads leads;

	lt_leads_find(fixture->image, (uintptr_t)from - fixture->bias, from, (size_t)(to - from),
		      stop, &leads);
	return leads;
}

static void test_ends(void **state)
{
	const struct fixture *fixture = *state;
	const struct {
		const uint8_t *from, *to;
		size_t jumps, calls; /* to does_it, all of them */
		bool returns, calls_free;
	} cases[] = {
		{ jumps, jumps_end, 1, 0, false, false },
		{ jumps_twice, jumps_twice_end, 1, 0, false, false },
		{ through_stub, through_stub_end, 0, 0, true, true },
		{ through_slot, through_slot_end, 0, 0, true, true },
		{ prepares, prepares_end, 2, 0, false, false },
		{ may_return, may_return_end, 1, 0, true, false },
		{ calls, calls_end, 0, 1, true, false },
		{ loops, loops_end, 0, 0, false, false },
		{ anywhere, anywhere_end, 0, 0, true, false },
		{ calls_anywhere, calls_anywhere_end, 1, 0, false, false },
		{ nonsense, nonsense_end, 1, 0, true, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lt_leads leads = leads_of(fixture, cases[i].from, cases[i].to, NULL);

		assert_int_equal(leads.jump_count, cases[i].jumps);
		assert_int_equal(leads.call_count, cases[i].calls);
		assert_int_equal(leads.returns, cases[i].returns);
		assert_int_equal(leads.calls_free, cases[i].calls_free);
		for (size_t j = 0; j < leads.jump_count; j++)
			assert_int_equal(leads.jumps[j] + fixture->bias, (uintptr_t)does_it);
		for (size_t j = 0; j < leads.call_count; j++)
			assert_int_equal(leads.calls[j] + fixture->bias, (uintptr_t)does_it);
	}
}

static bool is_jumps(void *context, uint64_t address)
{
	const struct fixture *fixture = context;

	return address + fixture->bias == (uintptr_t)jumps;
}

/* What the caller knows is not followed further. */
static void test_stop(void **state)
{
	struct fixture *fixture = *state;
	const struct lt_leads_stop stop = { is_jumps, fixture };
	struct lt_leads leads = leads_of(fixture, jumps_twice, jumps_twice_end, &stop);
	const char *name = "";

	assert_int_equal(leads.jump_count, 1);
	assert_int_equal(leads.jumps[0] + fixture->bias, (uintptr_t)jumps);
	assert_int_equal(lt_leads_follow(fixture->image, (uintptr_t)through_stub - fixture->bias,
					 NULL, &name),
			 0);
	assert_string_equal(name, "free");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_stop),
	};

	free(malloc(1)); /* so that there is a slot for it */
	return cmocka_run_group_tests(tests, setup, teardown);
}
