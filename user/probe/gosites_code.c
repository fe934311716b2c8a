// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/gosites_code.h"

#include <string.h>

#include "probe/gosites.h"
#include "probe/insn.h"

/* Before its frame a function has at most lea or mov and sub, cmp, and jumps. */
#define ENTRY_BYTES 48

/* g.stackguard0 and stackguard1 (struct g, runtime/runtime2.go: behind stack.lo and hi). */
#define STACK_GUARD_0 16
#define STACK_GUARD_1 24

struct decoder {
	ZydisDecoder zydis;
	const struct lt_go_code *code;
};

static bool decode(const struct decoder *decoder, uint32_t offset, struct lt_insn *at)
{
	return offset < decoder->code->len &&
	       ZYAN_SUCCESS(lt_insn_decode(&decoder->zydis, decoder->code->bytes,
					   decoder->code->len, offset, at));
}

/*
 * Whether something jumps to one of [first, last]; so it is taken to be when part of the function cannot be
 * decoded.  Calls are no jumps.  Jump tables lead to the cases of a switch, which are neither before a
 * function's frame nor directly behind a call, nor begin with one: its arguments come first.
 */
static bool is_jumped_to(const struct decoder *decoder, uint32_t first, uint32_t last)
{
	struct lt_insn at;
	uint64_t target;

	for (uint32_t offset = 0; offset < decoder->code->len; offset += at.insn.length) {
		if (!decode(decoder, offset, &at))
			return true;
		if (at.insn.meta.category != ZYDIS_CATEGORY_CALL && lt_insn_target(&at, &target) &&
		    target >= first && target <= last)
			return true;
	}
	return false;
}

/* Straight on, with the register and the stack as they were? */
static bool goes_on(const struct decoder *decoder, const struct lt_insn *at)
{
	return (at->insn.meta.category == ZYDIS_CATEGORY_COND_BR || !lt_insn_is_control_flow(at)) &&
	       !lt_insn_writes(at, decoder->code->reg) && !lt_insn_writes(at, ZYDIS_REGISTER_RSP);
}

/*
 * cmp %rsp or %r12, with the end of the goroutine's stack (cmd/internal/obj/x86/obj6.go, stacksplit());
 * R14 is g since register arguments (cmd/compile/abi-internal.md).
 */
static bool is_stack_compare(const struct lt_insn *at)
{
	const ZydisDecodedOperand *a = &at->operands[0], *b = &at->operands[1];

	return at->insn.mnemonic == ZYDIS_MNEMONIC_CMP && a->type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       (a->reg.value == ZYDIS_REGISTER_RSP || a->reg.value == ZYDIS_REGISTER_R12) &&
	       b->type == ZYDIS_OPERAND_TYPE_MEMORY && b->mem.base == ZYDIS_REGISTER_R14 &&
	       b->mem.index == ZYDIS_REGISTER_NONE &&
	       (b->mem.disp.value == STACK_GUARD_0 || b->mem.disp.value == STACK_GUARD_1);
}

/*
 * The jump of the stack check; of a function without one (nosplit), the first instruction that is emulated.
 * When the stack has grown the function begins anew, so the check comes again; what else came twice
 * would count calls twice.
 */
static size_t search_entry(const struct decoder *decoder, struct lt_go_code_site *site)
{
	struct lt_go_code_site found = { 0 };
	bool compared = false;
	struct lt_insn at;

	for (uint32_t offset = 0; offset < ENTRY_BYTES && !found.stack_check;
	     offset += at.insn.length) {
		if (!decode(decoder, offset, &at))
			break;
		found.stack_check = compared && at.insn.meta.category == ZYDIS_CATEGORY_COND_BR &&
				    lt_insn_is_emulated(&at);
		if (found.stack_check || (!found.emulated && lt_insn_is_emulated(&at))) {
			found.offset = offset;
			found.emulated = true;
		}
		if (!goes_on(decoder, &at))
			break;
		compared |= is_stack_compare(&at);
	}
	if (!found.emulated || is_jumped_to(decoder, found.stack_check, found.offset))
		return 0;
	*site = found;
	return 1;
}

/* Directly behind the call, or better, where the kernel need not step. */
static bool choose_behind(const struct decoder *decoder, uint32_t start,
			  struct lt_go_code_site *site)
{
	struct lt_insn at;

	if (!decode(decoder, start, &at) || is_jumped_to(decoder, start, start))
		return false;
	*site = (struct lt_go_code_site){ .offset = start, .emulated = lt_insn_is_emulated(&at) };
	for (uint32_t offset = start; decode(decoder, offset, &at); offset += at.insn.length) {
		if (lt_insn_is_emulated(&at)) {
			if (!is_jumped_to(decoder, start, offset))
				*site = (struct lt_go_code_site){ .offset = offset,
								  .emulated = true };
			return true;
		}
		if (!goes_on(decoder, &at))
			return true;
	}
	return true;
}

/* call rel32 without prefixes, as Go's linker writes it */
static bool is_wanted_call(const struct decoder *decoder, const struct lt_insn *at)
{
	uint64_t target;

	return at->bytes[0] == 0xe8 && at->insn.length == 5 && lt_insn_target(at, &target) &&
	       decoder->code->address + target == decoder->code->callee;
}

/* nopl 0(%rax,%rax,1), as the kernel and Go's assembler both write one of five bytes */
static bool is_long_nop(const struct lt_insn *at)
{
	static const uint8_t nop[LT_GO_NOP_BYTES] = { 0x0f, 0x1f, 0x44, 0, 0 };

	return at->insn.length == sizeof(nop) && !memcmp(at->bytes, nop, sizeof(nop));
}

static size_t search_calls(const struct decoder *decoder,
			   struct lt_go_code_site sites[LT_GO_CODE_SITES])
{
	struct lt_go_code_site found[LT_GO_CODE_SITES];
	bool behind_nop = false;
	size_t count = 0;
	struct lt_insn at;

	for (uint32_t offset = 0; offset < decoder->code->len; offset += at.insn.length) {
		bool padded = behind_nop;

		if (!decode(decoder, offset, &at))
			return 0;
		behind_nop = is_long_nop(&at);
		if (!is_wanted_call(decoder, &at))
			continue;
		if (count == LT_GO_CODE_SITES)
			return 0;
		found[count] = (struct lt_go_code_site){
			.offset = offset,
			.emulated = true,
			.padded = padded && decoder->code->place == LT_GO_AT_CALL &&
				  !is_jumped_to(decoder, offset, offset),
		};
		if (decoder->code->place == LT_GO_BEHIND_CALL &&
		    !choose_behind(decoder, offset + at.insn.length, &found[count]))
			return 0;
		count++;
	}
	for (size_t i = 0; i < count; i++)
		sites[i] = found[i];
	return count;
}

size_t lt_go_code_search(const struct lt_go_code *code,
			 struct lt_go_code_site sites[LT_GO_CODE_SITES])
{
	struct decoder decoder = { .code = code };

	if (code->len > LT_GO_CODE_MAX)
		return 0;
	ZydisDecoderInit(&decoder.zydis, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	return code->place == LT_GO_AT_ENTRY ? search_entry(&decoder, sites)
					     : search_calls(&decoder, sites);
}
