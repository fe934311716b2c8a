// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/site.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "probe/insn.h"

#if defined(__x86_64__)
#define HOST_IS_X86_64 true
#else
#define HOST_IS_X86_64 false
#endif

struct candidate {
	bool found;
	uint32_t offset;
	bool skips_null; /* calls with a NULL first argument do not come here */
};

/* What the branches of the whole function do to its beginning. */
struct survey {
	bool undecodable;
	uint32_t bad_offset;
	bool loops_to_entry;
	bool enters_prologue;
	uint32_t lowest_target; /* smallest offset > 0 that a branch leads to, if any does */
	uint32_t lowest_source;
};

static const ZydisRegister argument_registers[] = {
	ZYDIS_REGISTER_RDI, ZYDIS_REGISTER_RSI, ZYDIS_REGISTER_RDX,
	ZYDIS_REGISTER_RCX, ZYDIS_REGISTER_R8,  ZYDIS_REGISTER_R9, /* System V AMD64 ABI 3.2.3 */
};
#define MAX_ARGUMENTS ((int)(sizeof(argument_registers) / sizeof(argument_registers[0])))

__attribute__((format(printf, 2, 3))) static void say(struct lt_site_choice *choice,
						      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(choice->reason, sizeof(choice->reason), format, args);
	va_end(args);
}

static ZyanStatus decode(const ZydisDecoder *decoder, const struct lt_site_request *request,
			 uint32_t offset, struct lt_insn *out)
{
	return lt_insn_decode(decoder, request->code, request->code_len, offset, out);
}

static bool is_null_test(const struct lt_insn *at)
{
	return at->insn.mnemonic == ZYDIS_MNEMONIC_TEST &&
	       at->operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       at->operands[0].reg.value == ZYDIS_REGISTER_RDI &&
	       at->operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       at->operands[1].reg.value == ZYDIS_REGISTER_RDI;
}

/* Why the straight line cannot be followed beyond this instruction; false: it can. */
static bool stops(const struct lt_insn *at, const struct lt_site_request *request,
		  struct lt_site_choice *choice)
{
	int arguments = request->arguments < MAX_ARGUMENTS ? request->arguments : MAX_ARGUMENTS;
	const char *name = ZydisMnemonicGetString(at->insn.mnemonic);

	if (lt_insn_is_control_flow(at)) {
		say(choice, "%s at +%u ends the straight line before an emulated instruction", name,
		    at->offset);
		return true;
	}
	if (lt_insn_writes(at, ZYDIS_REGISTER_RSP)) {
		say(choice, "%s at +%u moves the stack pointer before an emulated instruction",
		    name, at->offset);
		return true;
	}
	for (int i = 0; i < arguments; i++) {
		if (lt_insn_writes(at, argument_registers[i])) {
			say(choice, "%s at +%u overwrites %s before an emulated instruction", name,
			    at->offset, ZydisRegisterGetString(argument_registers[i]));
			return true;
		}
	}
	return false;
}

/*
 * The first emulated instruction on the straight line from the entry.  A jump that a NULL alone
 * takes is passed when such calls need not be seen, which spares the probe for them; it is itself a
 * candidate, second to what follows.
 */
static void walk(const ZydisDecoder *decoder, const struct lt_site_request *request,
		 struct candidate candidates[2], struct lt_site_choice *choice)
{
	bool after_null_test = false, skips_null = false;
	struct lt_insn at;

	for (uint32_t offset = 0; offset < request->code_len; offset += at.insn.length) {
		if (!ZYAN_SUCCESS(decode(decoder, request, offset, &at))) {
			say(choice, "no instruction can be decoded at +%u", offset);
			return;
		}
		if (lt_insn_is_emulated(&at)) {
			bool null_jump = after_null_test && request->null_is_noop && !skips_null &&
					 at.insn.mnemonic == ZYDIS_MNEMONIC_JZ;

			candidates[null_jump ? 1 : 0] = (struct candidate){ true, offset,
									    skips_null };
			if (!null_jump)
				return;
			skips_null = true;
			after_null_test = false;
			continue;
		}
		if (stops(&at, request, choice))
			return;
		after_null_test = is_null_test(&at);
	}
	say(choice, "the known code ends before an emulated instruction");
}

static void note_branch(struct survey *survey, const struct lt_insn *at)
{
	uint64_t target;

	if (!lt_insn_target(at, &target) || target > UINT32_MAX)
		return;
	if (target == 0) /* to call itself is a call like any other */
		survey->loops_to_entry |= at->insn.meta.category != ZYDIS_CATEGORY_CALL;
	else if (!survey->enters_prologue || target < survey->lowest_target) {
		survey->enters_prologue = true;
		survey->lowest_target = (uint32_t)target;
		survey->lowest_source = at->offset;
	}
}

/*
 * Indirect jumps are taken to lead elsewhere: jump tables lead to the cases of a switch, which are
 * not at the entry of a function, and tail calls out of it.
 */
static struct survey survey_branches(const ZydisDecoder *decoder,
				     const struct lt_site_request *request)
{
	struct survey survey = { 0 };
	struct lt_insn at;

	for (uint32_t offset = 0; offset < request->code_len; offset += at.insn.length) {
		ZyanStatus status = decode(decoder, request, offset, &at);

		if (status == ZYDIS_STATUS_NO_MORE_DATA)
			break; /* the end of what is known, in the middle of an instruction */
		if (!ZYAN_SUCCESS(status)) {
			survey.undecodable = true;
			survey.bad_offset = offset;
			break;
		}
		note_branch(&survey, &at);
	}
	return survey;
}

static bool is_exact(const struct survey *survey, const struct candidate *candidate,
		     struct lt_site_choice *choice)
{
	if (candidate->offset == 0)
		return true;
	if (survey->undecodable)
		say(choice, "code at +%u does not decode: branches to +%u cannot be ruled out",
		    survey->bad_offset, candidate->offset);
	else if (survey->loops_to_entry)
		say(choice, "a branch leads back to the entry: loops count as calls");
	else if (survey->enters_prologue && survey->lowest_target <= candidate->offset)
		say(choice, "the branch at +%u leads to +%u: +%u would not see each call once",
		    survey->lowest_source, survey->lowest_target, candidate->offset);
	else
		return true;
	return false;
}

static void describe(const ZydisDecoder *decoder, const struct lt_site_request *request,
		     uint32_t offset, struct lt_site_choice *choice)
{
	ZydisFormatter formatter;
	struct lt_insn at;

	choice->offset = offset;
	choice->emulated = false;
	snprintf(choice->instruction, sizeof(choice->instruction), "(bad)");
	if (offset >= request->code_len || !ZYAN_SUCCESS(decode(decoder, request, offset, &at)))
		return;
	choice->emulated = lt_insn_is_emulated(&at);
	ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_ATT);
	if (!ZYAN_SUCCESS(ZydisFormatterFormatInstruction(
		    &formatter, &at.insn, at.operands, at.insn.operand_count_visible,
		    choice->instruction, sizeof(choice->instruction), ZYDIS_RUNTIME_ADDRESS_NONE,
		    NULL)))
		snprintf(choice->instruction, sizeof(choice->instruction), "%s",
			 ZydisMnemonicGetString(at.insn.mnemonic));
}

void lt_site_choose(const struct lt_site_request *request, struct lt_site_choice *choice)
{
	struct candidate candidates[2] = { { 0 } };
	struct survey survey;
	ZydisDecoder decoder;

	*choice = (struct lt_site_choice){ .instruction = "?" };
	if (!HOST_IS_X86_64) {
		say(choice, "sites are not chosen on this architecture");
		return;
	}
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	walk(&decoder, request, candidates, choice);
	survey = survey_branches(&decoder, request);
	for (int i = 0; i < 2; i++) {
		const struct candidate *candidate = &candidates[i];

		if (!candidate->found || !is_exact(&survey, candidate, choice))
			continue;
		describe(&decoder, request, candidate->offset, choice);
		if (candidate->offset == 0 && survey.loops_to_entry)
			say(choice, "a branch leads back to the entry: loops count as calls");
		else
			say(choice, "first emulated instruction, reached by every %scall",
			    candidate->skips_null ? "non-NULL " : "");
		return;
	}
	describe(&decoder, request, 0, choice);
}
