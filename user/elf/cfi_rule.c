// SPDX-License-Identifier: GPL-2.0-or-later
/* From what libdw says of a frame to a rule: leaktrace/unwind.h. */
#include <dwarf.h>
#include <elfutils/libdw.h>

#include "elf/cfi.h"

/* Offsets in struct ucontext, as in the CFI of glibc's trampoline (libc_sigaction.c). */
#define CONTEXT_RBP 120
#define CONTEXT_RSP 160
#define CONTEXT_RIP 168

#define UNSUPPORTED LT_RULE(LT_CFA_UNSUPPORTED, 0, 0, 0)

/* RSP + 8 + ((RIP & 15) >= N) * 8: binutils' elf_x86_64_eh_frame_lazy_plt and its likes */
static const Dwarf_Op plt[] = {
	{ .atom = DW_OP_breg7, .number = 8 },
	{ .atom = DW_OP_breg16 },
	{ .atom = DW_OP_lit15 },
	{ .atom = DW_OP_and },
	{ .atom = DW_OP_lit0 }, /* N */
	{ .atom = DW_OP_ge },
	{ .atom = DW_OP_lit3 },
	{ .atom = DW_OP_shl },
	{ .atom = DW_OP_plus },
};
#define PLT_LENGTH  (sizeof(plt) / sizeof(plt[0]))
#define PLT_LITERAL 4

struct place {
	enum {
		UNREADABLE,
		SAME,        /* still in the register */
		UNDEFINED,   /* there is none */
		AT_CFA,      /* saved at CFA + offset */
		AT_REGISTER, /* saved at RSP + offset; signal frames only */
		AT_RBP,      /* saved at RBP + offset */
		ELSEWHERE,
	} kind;
	int64_t offset;
};

static struct place place_of(Dwarf_Frame *frame, int reg)
{
	Dwarf_Op memory[3], *ops;
	size_t count;

	if (dwarf_frame_register(frame, reg, memory, &ops, &count))
		return (struct place){ UNREADABLE, 0 };
	if (count == 0)
		return (struct place){ ops ? UNDEFINED : SAME, 0 };
	if (ops[0].atom != DW_OP_call_frame_cfa)
		return (struct place){ ELSEWHERE, 0 };
	if (count == 1)
		return (struct place){ AT_CFA, 0 };
	if (count == 2 && ops[1].atom == DW_OP_plus_uconst)
		return (struct place){ AT_CFA, (int64_t)ops[1].number };
	if (count == 2 && ops[1].atom == DW_OP_breg7)
		return (struct place){ AT_REGISTER, (int64_t)ops[1].number };
	if (count == 2 && ops[1].atom == DW_OP_breg6)
		return (struct place){ AT_RBP, (int64_t)ops[1].number };
	return (struct place){ ELSEWHERE, 0 };
}

static bool is_at(struct place place, int kind, int64_t offset)
{
	return (int)place.kind == kind && place.offset == offset;
}

static bool is_plt(const Dwarf_Op *ops, size_t count)
{
	if (count != PLT_LENGTH || ops[PLT_LITERAL].atom < DW_OP_lit0 ||
	    ops[PLT_LITERAL].atom > DW_OP_lit15)
		return false;
	for (size_t i = 0; i < count; i++)
		if (i != PLT_LITERAL &&
		    (ops[i].atom != plt[i].atom || ops[i].number != plt[i].number))
			return false;
	return true;
}

/* Register + offset, whichever way it is written. */
static bool is_based(const Dwarf_Op *op, uint64_t *reg, int64_t *offset)
{
	if (op->atom == DW_OP_bregx) {
		*reg = op->number;
		*offset = (int64_t)op->number2;
	} else if (op->atom >= DW_OP_breg0 && op->atom <= DW_OP_breg31) {
		*reg = op->atom - DW_OP_breg0;
		*offset = (int64_t)op->number;
	} else {
		return false;
	}
	return *reg <= LT_DWARF_R15;
}

/* The rule but for RBP. */
static uint64_t cfa_rule(const Dwarf_Op *ops, size_t count, enum lt_cfi_skip *skip)
{
	enum lt_cfa cfa = LT_CFA_REGISTER;
	uint64_t reg;
	int64_t offset;

	if (is_plt(ops, count))
		return LT_RULE(LT_CFA_PLT, 0, 0, ops[PLT_LITERAL].atom - DW_OP_lit0);
	*skip = LT_CFI_SKIP_CFA_EXPRESSION;
	if (count == 0 || count > 2 || !is_based(&ops[0], &reg, &offset))
		return UNSUPPORTED;
	if (count == 2 && (ops[1].atom != DW_OP_deref || reg != LT_DWARF_RBP))
		return UNSUPPORTED;
	*skip = LT_CFI_SKIP_TOO_LARGE;
	if (offset != (int32_t)offset)
		return UNSUPPORTED;
	*skip = LT_CFI_SKIP_COUNT;
	if (reg == LT_DWARF_RSP)
		cfa = LT_CFA_SP;
	else if (reg == LT_DWARF_RBP)
		cfa = count == 2 ? LT_CFA_BP_DEREF : LT_CFA_BP;
	return LT_RULE(cfa, cfa == LT_CFA_REGISTER ? reg : 0, 0, (uint32_t)offset);
}

/* The field of the rule that says where RBP is. */
static uint16_t bp_field(struct place bp, enum lt_cfi_skip *skip)
{
	if (bp.kind == SAME)
		return 0;
	if (is_at(bp, AT_RBP, 0))
		return LT_BP_AT_BP;
	*skip = LT_CFI_SKIP_FRAME_POINTER;
	if (bp.kind != AT_CFA)
		return LT_BP_LOST;
	*skip = LT_CFI_SKIP_TOO_LARGE;
	if (bp.offset == 0 || bp.offset % 8 || bp.offset != (int16_t)bp.offset ||
	    (uint16_t)bp.offset == LT_BP_LOST) /* (LT_BP_AT_BP is no multiple of 8) */
		return LT_BP_LOST;
	*skip = LT_CFI_SKIP_COUNT;
	return (uint16_t)bp.offset;
}

static bool is_context(const Dwarf_Op *ops, size_t count, struct place ra, struct place bp)
{
	uint64_t reg;
	int64_t offset;

	return count == 2 && is_based(&ops[0], &reg, &offset) && reg == LT_DWARF_RSP &&
	       offset == CONTEXT_RSP && ops[1].atom == DW_OP_deref &&
	       is_at(ra, AT_REGISTER, CONTEXT_RIP) && is_at(bp, AT_REGISTER, CONTEXT_RBP);
}

uint64_t lt_cfi_rule(Dwarf_Frame *frame, uint64_t *end, enum lt_cfi_skip *skip)
{
	struct place ra = place_of(frame, LT_DWARF_RIP), bp = place_of(frame, LT_DWARF_RBP);
	Dwarf_Addr from;
	Dwarf_Op *ops;
	size_t count;
	bool signal;
	uint64_t rule;
	int ra_register = dwarf_frame_info(frame, &from, end, &signal);

	*skip = LT_CFI_SKIP_COUNT;
	if (ra_register == LT_DWARF_RIP && ra.kind == UNDEFINED)
		return LT_RULE(LT_CFA_END, 0, 0, 0);
	*skip = LT_CFI_SKIP_BROKEN;
	if (ra.kind == UNREADABLE || bp.kind == UNREADABLE || dwarf_frame_cfa(frame, &ops, &count))
		return UNSUPPORTED;
	*skip = LT_CFI_SKIP_SIGNAL_FRAME;
	if (signal && (ra_register != LT_DWARF_RIP || !is_context(ops, count, ra, bp)))
		return UNSUPPORTED;
	*skip = LT_CFI_SKIP_COUNT;
	if (signal)
		return LT_RULE(LT_CFA_SIGNAL, 0, 0, 0);
	*skip = LT_CFI_SKIP_RETURN_ADDRESS;
	if (ra_register != LT_DWARF_RIP || !is_at(ra, AT_CFA, -8))
		return UNSUPPORTED;
	*skip = LT_CFI_SKIP_COUNT;
	rule = cfa_rule(ops, count, skip);
	if (LT_RULE_CFA(rule) == LT_CFA_UNSUPPORTED)
		return rule;
	return rule | (uint64_t)bp_field(bp, skip) << 16;
}
