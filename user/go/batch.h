/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A look at up to LT_GO_BATCH goroutines of a live process: their structs, their stacks, and their
 * structs again, each for all of them in one system call, so that little time passes meanwhile.
 */
#ifndef LT_GO_BATCH_H
#define LT_GO_BATCH_H

#include "go/gstruct.h"
#include "go/pcs.h"
#include "go/program.h"
#include "go/remote.h"
#include "go/unwind.h"

#define LT_GO_BATCH  1024 /* pieces that one process_vm_readv() takes */
#define LT_GO_WINDOW 2048 /* bytes of stack that are read at a time: the smallest stack */

struct lt_go_look {
	struct lt_go_g g;
	bool valid;                 /* can be a goroutine */
	bool stopped;               /* unwind holds its stack */
	bool settled;               /* it did not run meanwhile */
	uint64_t hash;              /* of what was read first, if it is read twice */
	struct lt_go_unwind unwind; /* whole, full, or lost */
};

struct lt_go_batch {
	const struct lt_go_program *program; /* borrowed */
	struct lt_go_pcs *pcs;               /* borrowed */
	struct lt_go_look looks[LT_GO_BATCH];
	size_t count;
	size_t calls;         /* of process_vm_readv(), over all looks */
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
	struct lt_remote_piece pieces[LT_GO_BATCH];
	uint16_t of_piece[LT_GO_BATCH]; /* which look a piece is for */
	uint16_t of_look[LT_GO_BATCH];  /* in which piece a look's struct is */
	uint8_t bytes[LT_GO_BATCH * LT_GO_WINDOW];
};

/* From now on, over all looks: stacks that are not read by then are lost. */
void lt_go_batch_allow(struct lt_go_batch *batch, uint64_t ns);
bool lt_go_batch_late(const struct lt_go_batch *batch);
/*
 * Fills looks for these addresses of struct g, best ascending, at most LT_GO_BATCH of them:
 * 0, -ESRCH, -EPERM.
 */
int lt_go_batch_look(struct lt_go_batch *batch, const uint64_t *addresses, size_t count);

#endif
