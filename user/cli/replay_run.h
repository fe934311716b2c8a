/* SPDX-License-Identifier: GPL-2.0-or-later */
/* leaktrace replay FILE: the reports of a recording, without root, on any machine. */
#ifndef LT_CLI_REPLAY_RUN_H
#define LT_CLI_REPLAY_RUN_H

#include "cli/options.h"

/* Returns the exit code of the program; errors are logged. */
int lt_replay_run(const struct lt_options *options);

#endif
