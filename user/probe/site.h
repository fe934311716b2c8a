/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where in a function to put the breakpoint.  The kernel emulates a few instructions
 * under a uprobe and single-steps the rest at 10–30 times the cost; so the first instruction is
 * chosen that is emulated, that every (non-NULL) call reaches exactly once, before which no read
 * argument register is overwritten and the stack pointer has not moved.  Pure; decodes with Zydis.
 */
#ifndef LT_PROBE_SITE_H
#define LT_PROBE_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lt_site_request {
	const uint8_t *code; /* bytes of the function from its entry */
	size_t code_len;     /* the function's size, or what is known of it */
	int arguments;       /* argument registers that must be intact: rdi, rsi, rdx, rcx, ... */
	bool null_is_noop;   /* calls with rdi == 0 need not be seen */
};

struct lt_site_choice {
	uint32_t offset;      /* bytes from the entry */
	bool emulated;        /* false: fell back to the entry, single-stepped */
	char instruction[96]; /* disassembly of the chosen instruction */
	char reason[128];     /* why there, or why not further: one clause for --explain */
};

void lt_site_choose(const struct lt_site_request *request, struct lt_site_choice *choice);

#endif
