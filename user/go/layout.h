/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Offsets in the structures of Go's runtime, by version: what its source and the DWARF of programs
 * built with it say (tests/go/offsets.py prints them from a program).  amd64.
 */
#ifndef LT_GO_LAYOUT_H
#define LT_GO_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#define LT_GO_NONE UINT16_MAX /* this version has no such field */

struct lt_go_layout {
	unsigned int minor_first, minor_last; /* Go 1.first to 1.last */
	/* struct g, runtime/runtime2.go */
	uint16_t g_stack_lo, g_stack_hi, g_m, g_sched_sp, g_sched_pc, g_sched_g, g_sched_bp,
		g_syscallsp, g_syscallpc, g_status, g_goid, g_waitsince, g_waitreason,
		g_parent_goid, g_gopc, g_startpc, g_labels, g_bytes;
	/* counts, modulo 256, how often it stopped running (casgstatus(), from 1.17 on) */
	uint16_t g_tracking_seq;
	uint16_t m_curg;
	/* waitReason → enum lt_mark (leaktrace/marks.def), by its number; 0: none such */
	const uint8_t *wait_marks;
	uint8_t wait_mark_count;
};

#define LT_GO_KNOWN_VERSIONS "1.15 and 1.19 to 1.27" /* for messages */

/* NULL: not known. */
const struct lt_go_layout *lt_go_layout_of(unsigned int minor);

#endif
