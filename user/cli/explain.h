/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What --explain says of stacks: by what the code of each mapped file would be unwound, and what of
 * its CFI the tables cannot express; and of a Go program.  Attaches nothing.
 */
#ifndef LT_CLI_EXPLAIN_H
#define LT_CLI_EXPLAIN_H

#include <stdbool.h>

#include "base/buf.h"
#include "proc/process.h"

/* What would be done with a Go program, probes: also with --go-probes; nothing of any other. */
void lt_explain_go(struct lt_process *process, bool probes, struct lt_buf *out);
int lt_explain_stacks(const struct lt_process *process, struct lt_buf *out);

#endif
