/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What --explain says of stacks: by what the code of each mapped file would be unwound, and what of
 * its CFI the tables cannot express.  Attaches nothing.
 */
#ifndef LT_CLI_EXPLAIN_H
#define LT_CLI_EXPLAIN_H

#include "base/buf.h"
#include "proc/process.h"

int lt_explain_stacks(const struct lt_process *process, struct lt_buf *out);

#endif
