/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which global variables the code of a function refers to.  Stripped programs have no symbols for
 * variables, but the names of all functions: a variable is where the code that uses it says.
 * Go's amd64 code reaches its own globals relative to RIP, in programs of any build mode.
 */
#ifndef LT_GO_GLOBALS_H
#define LT_GO_GLOBALS_H

#include "go/program.h"

#define LT_MAX_GO_CODE (256 << 10) /* bytes of one function that are looked at */

struct lt_go_references {
	uint64_t *addresses; /* ascending, each once */
	size_t count;
};

/*
 * What code at an address refers to, instruction after instruction, in addition to what is there.
 * Bytes that are no instruction end it.  0 or -ENOMEM.  Pure.
 */
int lt_go_references_add(struct lt_go_references *references, const uint8_t *code, size_t len,
			 uint64_t address);
/* What a function refers to, as addresses in the process.  -ENOENT: there is no such function. */
int lt_go_references_of(const struct lt_go_module *module, const char *function,
			struct lt_go_references *references);
void lt_go_references_free(struct lt_go_references *references);

bool lt_go_references_have(const struct lt_go_references *references, uint64_t address);
/*
 * Where a structure begins of which the fields at all of these offsets are referred to.
 * 0: nowhere, or in more than one place.
 */
uint64_t lt_go_references_base(const struct lt_go_references *references, const uint16_t *offsets,
			       size_t count);
/* The module's variables: data, bss, and those without pointers. */
bool lt_go_global(const struct lt_go_module *module, uint64_t address);

#endif
