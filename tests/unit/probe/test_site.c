// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "probe/site.h"

#define CODE(...) { __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ })

static const struct {
	const char *what;
	uint8_t code[64];
	size_t len;
	int arguments;
	bool null_is_noop;
	uint32_t offset;
	bool emulated;
	const char *reason; /* part of it; NULL: any */
} cases[] = {
	/* glibc 2.36 as Debian builds it */
	{ "malloc: push %r12", CODE(0x41, 0x54, 0x55, 0x53, 0x48, 0x89, 0xfb), 1, false, 0, true,
	  "every call" },
	{ "free: test; je; push %rbp",
	  CODE(0x48, 0x85, 0xff, 0x0f, 0x84, 0xbf, 0, 0, 0, 0x55, 0x48, 0x8d, 0x77, 0xf0, 0x53), 1,
	  true, 9, true, "every non-NULL call" },
	{ "free, but NULL matters",
	  CODE(0x48, 0x85, 0xff, 0x0f, 0x84, 0xbf, 0, 0, 0, 0x55, 0x48, 0x8d, 0x77, 0xf0, 0x53), 1,
	  false, 3, true, "every call" },
	{ "posix_memalign: cmpb; push %r12",
	  CODE(0x80, 0x3d, 1, 2, 0x14, 0, 0, 0x41, 0x54, 0x49, 0x89, 0xd4, 0x55), 3, false, 7, true,
	  NULL },
	{ "memalign: cmpb; je",
	  CODE(0x80, 0x3d, 0x71, 0x0e, 0x14, 0, 0, 0x74, 7, 0xe9, 0x32, 0xf6, 0xff, 0xff, 0x66,
	       0x90, 0x48, 0x83, 0xec, 0x18),
	  2, false, 7, true, NULL },
	{ "reallocarray: mul clobbers rdx",
	  CODE(0x48, 0x89, 0xf0, 0x48, 0xf7, 0xe2, 0x48, 0x89, 0xc6, 0x70, 5, 0xe9, 0x40, 0xb8,
	       0xf8, 0xff),
	  3, false, 0, false, "overwrites rdx" },
	{ "... which nobody reads with two arguments; but rsi is",
	  CODE(0x48, 0x89, 0xf0, 0x48, 0xf7, 0xe2, 0x48, 0x89, 0xc6, 0x70, 5), 2, false, 0, false,
	  "overwrites rsi" },
	/* jemalloc 5.3 */
	{ "jemalloc malloc: cmp; ja",
	  CODE(0x48, 0x81, 0xff, 0, 0x10, 0, 0, 0x0f, 0x87, 0x93, 0, 0, 0, 0x48, 0x8d, 0x15, 0x5c,
	       0x7f, 0x2c, 0),
	  1, false, 7, true, NULL },
	{ "jemalloc free: jne at +0x30",
	  CODE(0x48, 0x89, 0xf8, 0x48, 0x8b, 0x15, 0x0e, 0x53, 0x0a, 0, 0x48, 0x89, 0xf9, 0x48,
	       0xc1, 0xe8, 0x1a, 0x48, 0x81, 0xe1, 0, 0, 0, 0xc0, 0x25, 0xf0, 0, 0, 0, 0x64, 0x48,
	       3, 4, 0x25, 0, 0, 0, 0, 0x48, 1, 0xd0, 0x48, 0x3b, 0x88, 0xb0, 1, 0, 0, 0x0f, 0x85,
	       0x8a, 0, 0, 0),
	  1, true, 0x30, true, "every call" },
	/* what the kernel emulates, and what looks like it */
	{ "nop", CODE(0x90, 0xc3), 1, false, 0, true, NULL },
	{ "jmp rel8", CODE(0xeb, 0x10), 1, false, 0, true, NULL },
	{ "jmp rel32", CODE(0xe9, 0, 1, 0, 0), 1, false, 0, true, NULL },
	{ "call rel32", CODE(0xe8, 0, 1, 0, 0, 0xc3), 1, false, 0, true, NULL },
	{ "endbr64, then push", CODE(0xf3, 0x0f, 0x1e, 0xfa, 0x55), 1, false, 4, true, NULL },
	{ "multibyte nop, then push", CODE(0x0f, 0x1f, 0x40, 0, 0x55), 1, false, 4, true, NULL },
	{ "pause, then push", CODE(0xf3, 0x90, 0x55), 1, false, 2, true, NULL },
	{ "xchg %ax,%ax, then push", CODE(0x66, 0x90, 0x55), 1, false, 2, true, NULL },
	{ "16-bit push", CODE(0x66, 0x50, 0x55), 1, false, 0, false, "moves the stack pointer" },
	{ "push with REX.W", CODE(0x48, 0x50, 0x55), 1, false, 0, false, "moves the stack" },
	{ "push immediate", CODE(0x6a, 1, 0x55), 1, false, 0, false, "moves the stack pointer" },
	{ "indirect jump", CODE(0xff, 0xe0), 1, false, 0, false, "ends the straight line" },
	{ "ret", CODE(0xc3, 0x55), 1, false, 0, false, "ends the straight line" },
	{ "syscall", CODE(0x0f, 5, 0x55), 1, false, 0, false, "ends the straight line" },
	{ "ud2", CODE(0x0f, 0x0b, 0x55), 1, false, 0, false, "ends the straight line" },
	{ "sub %rsp", CODE(0x48, 0x83, 0xec, 8, 0x55), 1, false, 0, false, "moves the stack" },
	/* arguments */
	{ "partial write: mov $1,%dil", CODE(0x40, 0xb7, 1, 0x55), 1, false, 0, false, "rdi" },
	{ "conditional write: cmovne %rax,%rdi", CODE(0x48, 0x0f, 0x45, 0xf8, 0x55), 1, false, 0,
	  false, "rdi" },
	{ "implied write: rep movsb", CODE(0xf3, 0xa4, 0x55), 1, false, 0, false, "rdi" },
	{ "implied write: cpuid", CODE(0x0f, 0xa2, 0x55), 4, false, 0, false, "rdx" },
	{ "xor %esi,%esi is none of one argument", CODE(0x31, 0xf6, 0x55), 1, false, 2, true,
	  NULL },
	{ "xor %r9d,%r9d of six", CODE(0x45, 0x31, 0xc9, 0x55), 6, false, 0, false, "r9" },
	{ "more arguments than registers", CODE(0x48, 0x89, 0xf8, 0x55), 99, false, 3, true, NULL },
	/* jumps that NULL alone takes */
	{ "test of half the pointer: je is taken for others too",
	  CODE(0x85, 0xff, 0x74, 0x10, 0x55), 1, true, 2, true, "every call" },
	{ "not directly after the test", CODE(0x48, 0x85, 0xff, 0x31, 0xc0, 0x74, 0x10, 0x55), 1,
	  true, 5, true, "every call" },
	{ "jne: NULL falls through", CODE(0x48, 0x85, 0xff, 0x75, 0x10, 0x55), 1, true, 3, true,
	  "every call" },
	{ "nothing better behind: the jump itself", CODE(0x48, 0x85, 0xff, 0x74, 0x10, 0xc3), 1,
	  true, 3, true, "every call" },
	{ "NULL comes back behind the jump: the jump itself",
	  CODE(0x48, 0x85, 0xff, 0x74, 5, 0x90, 0x31, 0xc0, 0xc3, 0xc3, 0xeb, 0xf9), 1, true, 3,
	  true, NULL },
	/* branches back */
	{ "onto the site", CODE(0x31, 0xc0, 0x55, 0xc3, 0xeb, 0xfc), 1, false, 0, false,
	  "leads to +2" },
	{ "before the site", CODE(0x31, 0xc0, 0x31, 0xd2, 0x55, 0xc3, 0x75, 0xfa), 1, false, 0,
	  false, "leads to +2" },
	{ "behind the site is harmless", CODE(0x31, 0xc0, 0x55, 0xc3, 0xeb, 0xfd), 1, false, 2,
	  true, NULL },
	{ "to the entry", CODE(0x31, 0xc0, 0x55, 0xc3, 0xeb, 0xfa), 1, false, 0, false,
	  "back to the entry" },
	{ "to the entry, emulated", CODE(0x55, 0xc3, 0xeb, 0xfc), 1, false, 0, true,
	  "back to the entry" },
	{ "recursion is a call", CODE(0x31, 0xc0, 0x55, 0xe8, 0xf8, 0xff, 0xff, 0xff), 1, false, 2,
	  true, NULL },
	{ "the site jumps to itself", CODE(0x31, 0xc0, 0xeb, 0xfe), 1, false, 0, false,
	  "leads to +2" },
	/* code that does not decode */
	{ "behind the site", CODE(0x31, 0xc0, 0x55, 6, 0xc3), 1, false, 0, false,
	  "does not decode" },
	{ "behind an emulated entry", CODE(0x55, 6, 0xc3), 1, false, 0, true, "every call" },
	{ "at the entry", CODE(6, 0x55), 1, false, 0, false, "decoded at +0" },
	{ "cut short behind the site", CODE(0x31, 0xc0, 0x55, 0xe8, 0), 1, false, 2, true, NULL },
	{ "cut short before it", CODE(0x31, 0xc0, 0xe8, 0), 1, false, 0, false, "decoded at +2" },
	{ "empty", { 0 }, 0, 1, false, 0, false, "ends before" },
};

static void test_choices(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct lt_site_request request = {
			.code = cases[i].code,
			.code_len = cases[i].len,
			.arguments = cases[i].arguments,
			.null_is_noop = cases[i].null_is_noop,
		};
		struct lt_site_choice choice;

		lt_site_choose(&request, &choice);
		if (choice.offset != cases[i].offset || choice.emulated != cases[i].emulated ||
		    (cases[i].reason && !strstr(choice.reason, cases[i].reason)))
			fail_msg("%s: +%u %s, %s: %s", cases[i].what, choice.offset,
				 choice.instruction, choice.emulated ? "emulated" : "stepped",
				 choice.reason);
		assert_true(choice.reason[0] && choice.instruction[0]);
	}
}

static void test_instruction_text(void **state)
{
	static const uint8_t code[] = { 0x48, 0x85, 0xff, 0x41, 0x54 };
	const struct lt_site_request request = { code, sizeof(code), 1, true };
	struct lt_site_choice choice;

	lt_site_choose(&request, &choice);
	assert_string_equal(choice.instruction, "push %r12");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_instruction_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
