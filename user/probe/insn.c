// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/insn.h"

/* Code is decoded as if the entry were here, so that targets before it do not wrap around. */
#define ENTRY_ADDRESS 0x100000000ULL

ZyanStatus lt_insn_decode(const ZydisDecoder *decoder, const uint8_t *code, size_t len,
			  uint32_t offset, struct lt_insn *out)
{
	out->offset = offset;
	out->bytes = code + offset;
	return ZydisDecoderDecodeFull(decoder, out->bytes, len - offset, &out->insn, out->operands);
}

/*
 * What every supported kernel emulates instead of stepping over a copy: branch_setup_xol_ops()
 * (nop, jmp, jcc, call) and push_setup_xol_ops() (push of a 64-bit register) in
 * arch/x86/kernel/uprobes.c.  By bytes, as there.  A push takes no prefix but REX.B alone; the
 * kernel refuses branches with 0x66, on which processors disagree, and we take none with any
 * prefix.
 */
bool lt_insn_is_emulated(const struct lt_insn *at)
{
	const uint8_t *byte = at->bytes;
	bool rex_b = byte[0] == 0x41 && at->insn.length == 2;
	uint8_t opcode = byte[rex_b ? 1 : 0];

	if (opcode >= 0x50 && opcode <= 0x57)
		return true;
	if (byte[0] == 0x0f)
		return at->insn.length == 6 && byte[1] >= 0x80 && byte[1] <= 0x8f;
	return byte[0] == 0x90 || byte[0] == 0xeb || byte[0] == 0xe9 || byte[0] == 0xe8 ||
	       (byte[0] >= 0x70 && byte[0] <= 0x7f);
}

bool lt_insn_is_control_flow(const struct lt_insn *at)
{
	switch (at->insn.meta.category) {
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSRET:
	case ZYDIS_CATEGORY_SYSTEM:
		return true;
	default:
		return at->insn.mnemonic == ZYDIS_MNEMONIC_UD0 ||
		       at->insn.mnemonic == ZYDIS_MNEMONIC_UD1 ||
		       at->insn.mnemonic == ZYDIS_MNEMONIC_UD2;
	}
}

bool lt_insn_writes(const struct lt_insn *at, ZydisRegister reg)
{
	for (int i = 0; i < at->insn.operand_count; i++) {
		const ZydisDecodedOperand *operand = &at->operands[i];

		if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) &&
		    ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64,
						     operand->reg.value) == reg)
			return true;
	}
	return false;
}

bool lt_insn_target(const struct lt_insn *at, uint64_t *distance)
{
	for (int i = 0; i < at->insn.operand_count; i++) {
		const ZydisDecodedOperand *operand = &at->operands[i];
		ZyanU64 address;

		if (operand->type != ZYDIS_OPERAND_TYPE_IMMEDIATE || !operand->imm.is_relative ||
		    !ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&at->insn, operand,
							   ENTRY_ADDRESS + at->offset, &address)))
			continue;
		*distance = address - ENTRY_ADDRESS;
		return true;
	}
	return false;
}
