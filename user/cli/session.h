/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A live session: attach, turn what the outside says into events, drive the pipeline, detach.
 */
#ifndef LT_CLI_SESSION_H
#define LT_CLI_SESSION_H

#include "cli/options.h"

/* Both return the exit code of the program; errors are logged. */
int lt_session_run(const struct lt_options *options);
int lt_session_explain(const struct lt_options *options);

#endif
