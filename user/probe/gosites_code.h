/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decoding half of probe/gosites.h: where in the code of one Go function a breakpoint goes.  Pure.
 */
#ifndef LT_PROBE_GOSITES_CODE_H
#define LT_PROBE_GOSITES_CODE_H

#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LT_GO_CODE_SITES 4         /* in one function; those of the runtime have one */
#define LT_GO_CODE_MAX   (1 << 18) /* bytes of one function that are decoded */

enum lt_go_place {
	LT_GO_AT_ENTRY, /* before the frame: at the check of the stack's end, where there is one */
	LT_GO_AT_CALL,  /* at each direct call of another function */
	LT_GO_BEHIND_CALL, /* where its result is still in the register */
};

struct lt_go_code {
	const uint8_t *bytes; /* the whole function */
	size_t len;
	uint64_t address; /* of the first byte */
	enum lt_go_place place;
	ZydisRegister
		reg;     /* 64 bits wide; at the site it holds what it held at the entry or call */
	uint64_t callee; /* entry of the function that is called */
};

struct lt_go_code_site {
	uint32_t offset;
	bool emulated;
	bool stack_check; /* comes again when the stack has grown */
	bool padded;      /* lt_go_site.padded */
};

/* How many sites; 0: the code is not of a known form. */
size_t lt_go_code_search(const struct lt_go_code *code,
			 struct lt_go_code_site sites[LT_GO_CODE_SITES]);

#endif
