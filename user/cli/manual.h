/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What there is to read about the options, made from their table (options.def). */
#ifndef LT_CLI_MANUAL_H
#define LT_CLI_MANUAL_H

#include "base/buf.h"

void lt_manual_help(struct lt_buf *out);
void lt_manual_page(struct lt_buf *out);       /* leaktrace.8, in roff */
void lt_manual_completion(struct lt_buf *out); /* for bash */

#endif
