// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/leads.h"

#include <Zydis/Zydis.h>
#include <string.h>

#define MAX_HOPS 16 /* mimalloc: 3 functions, one behind the other, each through a stub */

static void init_decoder(ZydisDecoder *decoder)
{
	ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
}

/* The address that a branch or call goes to, or 0; name as in lt_leads_follow. */
static uint64_t target_of(const struct lt_image *image, uint64_t address,
			  const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operand,
			  const char **name)
{
	struct lt_image_slot slot;
	ZyanU64 target;

	if (!ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(insn, operand, address, &target)))
		return 0;
	if (operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
		return target;
	if (!lt_image_slot_at(image, target, &slot))
		return 0;
	*name = slot.name;
	return slot.function;
}

uint64_t lt_leads_follow(const struct lt_image *image, uint64_t address,
			 const struct lt_leads_stop *stop, const char **name)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	ZydisDecoder decoder;

	*name = NULL;
	init_decoder(&decoder);
	for (int hop = 0; address && hop < MAX_HOPS && !(stop && stop->at(stop->context, address));
	     hop++) {
		uint8_t code[2 * ZYDIS_MAX_INSTRUCTION_LENGTH];
		long len = lt_image_read(image, address, code, sizeof(code));
		size_t at = len >= 4 && !memcmp(code, "\xf3\x0f\x1e\xfa", 4) ? 4 : 0; /* endbr64 */

		if (len <= 0 ||
		    !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code + at, (ZyanUSize)len - at,
							 &insn, operands)) ||
		    insn.meta.category != ZYDIS_CATEGORY_UNCOND_BR)
			return address;
		address = target_of(image, address + at, &insn, &operands[0], name);
	}
	return address;
}

/* What a walk through one function's code needs. */
struct walk {
	const struct lt_image *image;
	uint64_t start;
	size_t len;
	const struct lt_leads_stop *stop;
	struct lt_leads *leads;
};

static void note(const struct walk *walk, uint64_t target, const char *name, bool call)
{
	struct lt_leads *leads = walk->leads;
	uint64_t *list = call ? leads->calls : leads->jumps;
	size_t *count = call ? &leads->call_count : &leads->jump_count;

	if (target)
		target = lt_leads_follow(walk->image, target, walk->stop, &name);
	if (target && *count < LT_MAX_LEADS)
		list[(*count)++] = target;
	else if (!call)
		leads->returns = true;
	leads->calls_free |= !target && name && !strcmp(name, "free");
	leads->calls_malloc |= !target && name && !strcmp(name, "malloc");
}

static void look_at(const struct walk *walk, uint64_t address, const ZydisDecodedInstruction *insn,
		    const ZydisDecodedOperand *operands)
{
	const char *name = NULL;
	uint64_t target;

	switch (insn->meta.category) {
	case ZYDIS_CATEGORY_RET:
		walk->leads->returns = true;
		break;
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_UNCOND_BR:
		target = target_of(walk->image, address, insn, &operands[0], &name);
		if (!target || target - walk->start >= walk->len)
			note(walk, target, name, insn->meta.category == ZYDIS_CATEGORY_CALL);
		break;
	default:
		break;
	}
}

void lt_leads_find(const struct lt_image *image, uint64_t address, const uint8_t *code, size_t len,
		   const struct lt_leads_stop *stop, struct lt_leads *leads)
{
	const struct walk walk = { image, address, len, stop, leads };
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	ZydisDecoder decoder;

	*leads = (struct lt_leads){ 0 };
	init_decoder(&decoder);
	for (size_t at = 0; at < len; at += insn.length) {
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code + at, len - at, &insn,
							 operands))) {
			leads->returns = true;
			return;
		}
		look_at(&walk, address + at, &insn, operands);
	}
}
