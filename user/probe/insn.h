/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One instruction of a function, and what matters to a breakpoint on it or before it.  Pure; decodes with
 * Zydis.
 */
#ifndef LT_PROBE_INSN_H
#define LT_PROBE_INSN_H

#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lt_insn {
	uint32_t offset; /* in the function */
	const uint8_t *bytes;
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

ZyanStatus lt_insn_decode(const ZydisDecoder *decoder, const uint8_t *code, size_t len,
			  uint32_t offset, struct lt_insn *out);

/* The kernel emulates it under a uprobe, and need not step over a copy of it. */
bool lt_insn_is_emulated(const struct lt_insn *at);

bool lt_insn_is_control_flow(const struct lt_insn *at);

/* Whole or in part, named or implied, always or under a condition. */
bool lt_insn_writes(const struct lt_insn *at, ZydisRegister reg);

/*
 * Where a direct branch or call leads: the distance from the function's entry, negative ones wrapped
 * around.  False: the instruction is none.
 */
bool lt_insn_target(const struct lt_insn *at, uint64_t *distance);

#endif
