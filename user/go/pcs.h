/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tables of a Go program say of addresses, kept: walks ask for the same ones again. */
#ifndef LT_GO_PCS_H
#define LT_GO_PCS_H

#include "go/program.h"
#include "go/unwind.h"

struct lt_go_pcs {
	const struct lt_go_program *program; /* borrowed */
	struct lt_go_pc *slots;              /* owned; pc 0: free */
	size_t size, used;                   /* size is a power of two, or 0 */
};

void lt_go_pcs_free(struct lt_go_pcs *pcs); /* forgets all; may go on to be used */
struct lt_go_pc lt_go_pcs_get(struct lt_go_pcs *pcs, uint64_t pc);
/* How many functions of the source are there, all but one of them inlined; 1 if that is not known. */
uint8_t lt_go_pcs_depth(struct lt_go_pcs *pcs, uint64_t pc);

#endif
