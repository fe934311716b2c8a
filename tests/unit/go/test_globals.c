// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "go/globals.h"

#define AT 0x401000

/* As the compiler emits them: loads, stores, addresses, atomics, compares with immediates. */
static const uint8_t code[] = {
	0x48, 0x8b, 0x05, 0xf9, 0x0f, 0x00, 0x00,             /* mov rax, [402000] */
	0x48, 0x89, 0x0d, 0xfa, 0x0f, 0x00, 0x00,             /* mov [402008], rcx */
	0x48, 0x8d, 0x0d, 0xf3, 0x0f, 0x00, 0x00,             /* lea rcx, [402008] */
	0xf0, 0x48, 0x0f, 0xc1, 0x0d, 0xf2, 0x0f, 0x00, 0x00, /* lock xadd [402010], rcx */
	0x83, 0x3d, 0xfb, 0x0f, 0x00, 0x00, 0x00,             /* cmp dword [402020], 0 */
	0xf2, 0x0f, 0x11, 0x05, 0xf3, 0xff, 0xff, 0xff,       /* movsd [401020], xmm0: behind */
	0x48, 0x8b, 0x44, 0x24, 0x08,                         /* mov rax, [rsp + 8] */
	0xe8, 0x00, 0x00, 0x00, 0x00,                         /* call: no variable */
	0xc3,
};

static void finds_what_is_relative_to_rip(void **state)
{
	static const uint64_t expected[] = { 0x401020, 0x402000, 0x402008, 0x402010, 0x402020 };
	struct lt_go_references references = {};

	assert_int_equal(lt_go_references_add(&references, code, sizeof(code), AT), 0);
	assert_int_equal(references.count, sizeof(expected) / sizeof(*expected));
	assert_memory_equal(references.addresses, expected, sizeof(expected));
	assert_true(lt_go_references_have(&references, 0x402008));
	assert_false(lt_go_references_have(&references, 0x402009));
	lt_go_references_free(&references);
	assert_false(lt_go_references_have(&references, 0x402008));
}

static void adds_to_what_is_there(void **state)
{
	struct lt_go_references references = {};

	assert_int_equal(lt_go_references_add(&references, code, 7, AT), 0);
	assert_int_equal(lt_go_references_add(&references, code, 7, AT + 0x100), 0);
	assert_int_equal(lt_go_references_add(&references, code, 7, AT), 0);
	assert_int_equal(references.count, 2);
	assert_int_equal(references.addresses[1], 0x402100);
	lt_go_references_free(&references);
}

static void stops_at_what_is_no_instruction(void **state)
{
	const uint8_t broken[] = { 0x06, 0x48, 0x8b, 0x05, 0xf9, 0x0f, 0x00, 0x00 };
	struct lt_go_references references = {};

	assert_int_equal(lt_go_references_add(&references, broken, sizeof(broken), AT), 0);
	assert_int_equal(lt_go_references_add(&references, code, 4, AT), 0); /* cut off */
	assert_int_equal(lt_go_references_add(&references, code, 0, AT), 0);
	assert_int_equal(references.count, 0);
	lt_go_references_free(&references);
}

static void keeps_a_bounded_number(void **state)
{
	static uint8_t many[LT_MAX_GO_CODE];
	struct lt_go_references references = {};

	for (size_t i = 0; i + 7 <= sizeof(many); i += 7) {
		many[i] = 0x48;
		many[i + 1] = 0x8b;
		many[i + 2] = 0x05;
	}
	assert_int_equal(lt_go_references_add(&references, many, sizeof(many), AT), 0);
	assert_int_equal(references.count, 16384);
	lt_go_references_free(&references);
}

static void finds_the_base_that_all_fields_agree_on(void **state)
{
	static const uint16_t offsets[] = { 0x10, 0x0, 0x8 }, none[] = { 0x0, 0x8, 0x11 };
	uint64_t addresses[] = { 0x1000, 0x1008, 0x1010, 0x1018, 0x3008 };
	struct lt_go_references references = { addresses, 3 };

	assert_int_equal(lt_go_references_base(&references, offsets, 3), 0x1000);
	assert_int_equal(lt_go_references_base(&references, none, 3), 0);
	assert_int_equal(lt_go_references_base(&references, offsets, 0), 0);
	references.count = 4; /* 0x1000 or 0x1008 */
	assert_int_equal(lt_go_references_base(&references, offsets, 3), 0);
	references.count = 0;
	assert_int_equal(lt_go_references_base(&references, offsets, 3), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_is_relative_to_rip),
		cmocka_unit_test(adds_to_what_is_there),
		cmocka_unit_test(stops_at_what_is_no_instruction),
		cmocka_unit_test(keeps_a_bounded_number),
		cmocka_unit_test(finds_the_base_that_all_fields_agree_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
