/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unwind tables: what user space builds from .eh_frame (user/elf/ehframe.c) and the BPF side walks
 * stacks by (bpf/unwind.bpf.h).
 *
 * A table covers the text of one file, whatever address it is mapped at, in pages of
 * LT_UNWIND_PAGE bytes.  It is a run of 32-bit words in one of the segments:
 *
 *	page_count + 1 words   where each page's rows begin, relative to the table's first word
 *	rows                   offset in the page << 16 | number of the rule, ascending
 *
 * The first row of each page has offset 0, so a search never leaves its page.  A row holds until
 * the next one.  Rules are shared by all tables, for there are few (300 in libc).
 *
 * Include after <linux/types.h>.
 */
#ifndef LEAKTRACE_UNWIND_H
#define LEAKTRACE_UNWIND_H

#include "limits.h"

#define LT_UNWIND_PAGE_SHIFT 10
#define LT_UNWIND_PAGE       (1 << LT_UNWIND_PAGE_SHIFT)

/*
 * How to find the canonical frame address (the caller's stack pointer) and with it the return
 * address, which lies just below it.  Values are in tables: append-only.
 */
enum lt_cfa {
	LT_CFA_NONE = 0,     /* no CFI for this code: try the frame pointer */
	LT_CFA_SP = 1,       /* RSP + offset */
	LT_CFA_BP = 2,       /* RBP + offset */
	LT_CFA_REGISTER = 3, /* register + offset; known in a leaf or an interrupted frame only */
	LT_CFA_BP_DEREF = 4, /* *(RBP + offset): gcc's realigned stacks */
	LT_CFA_PLT = 5,      /* RSP + 8, or + 16 from the offset'th byte of a 16-byte slot on */
	LT_CFA_SIGNAL = 6,   /* RSP points at struct ucontext: every register is in there */
	LT_CFA_END = 7,      /* the return address is undefined: the outermost frame */
	LT_CFA_UNSUPPORTED = 8, /* CFI beyond these forms */
	LT_CFA_NO_CODE = 9,     /* not in a table: the address is in no executable mapping */
	LT_CFA_PENDING = 10,    /* not in a table: mapped, but its table is not there yet */
	LT_CFA_START = 11, /* the next address was laid there, not pushed by a call: RSP + offset; 0
				   (not in a table): a stack begins here */
	LT_CFA_SWITCH = 12, /* RBP + offset, on whatever stack: Go code that changes stacks; with a
				   register n, what asmcgocall noted at RSP + 8 * (n - 1), + offset */
};

/*
 * One rule in 64 bits:
 *	 0..3	enum lt_cfa
 *	 4..7	DWARF number of the register (LT_CFA_REGISTER), place of a note (LT_CFA_SWITCH)
 *	 8..15	not in tables: the tag of the range that the code is in (lt_code_range.tag)
 *	16..31	where the caller's RBP is: 0: still in RBP; LT_BP_LOST: unknown; LT_BP_AT_BP; else
 *		signed offset from the CFA in bytes
 *	32..63	signed offset in bytes
 */
#define LT_BP_LOST  0x8000 /* as an unsigned 16-bit field */
#define LT_BP_AT_BP 0x8001 /* at *RBP: gcc's realigned stacks */
#define LT_RULE(cfa, reg, bp, offset)                                                              \
	((__u64)(cfa) | (__u64)((reg)&15) << 4 | (__u64)(__u16)(bp) << 16 |                        \
	 (__u64)(__u32)(offset) << 32)
#define LT_RULE_CFA(rule)           ((__u8)(rule)&15)
#define LT_RULE_REGISTER(rule)      ((__u8)(rule) >> 4)
#define LT_RULE_TAG(rule)           ((__u8)((rule) >> 8))
#define LT_RULE_WITH_TAG(rule, tag) ((rule) | (__u64)(__u8)(tag) << 8)
#define LT_RULE_BP(rule)            ((__s16)((rule) >> 16))
#define LT_RULE_OFFSET(rule)        ((__s32)((rule) >> 32))

#define LT_ROW(offset, rule) ((__u32)(offset) << 16 | (__u16)(rule))
#define LT_ROW_RULE(row)     ((__u16)(row))

/* What the code of a mapping is unwound by: lt_code_range.source */
enum lt_code_source {
	LT_CODE_PENDING = 0, /* not known yet: a walk ends here, marked */
	LT_CODE_TABLE = 1,
	LT_CODE_FRAME_POINTER = 2, /* no CFI: JIT code, Go, odd files */
};

/* One executable mapping; sorted by start and padded with start = ~0. */
struct lt_code_range {
	__u64 start, end;
	__u64 origin;     /* address of the table's page 0 in the process */
	__u32 word;       /* number of the table's first word, over all segments */
	__u32 page_count; /* of the table */
	__u32 source;     /* enum lt_code_source */
	__u32 tag; /* tells code from other code that was here before; part of a stack's id */
};

#endif
