/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a session begins, step by step, in this order.  For session.c.  Those that return an exit code
 * (cli/exit_code.h) or -errno have said what is wrong.
 */
#ifndef LT_CLI_SETUP_H
#define LT_CLI_SETUP_H

#include "cli/feed.h"

/* Exit codes. */
int lt_setup_exit_code(int err);
/* The command, if there is one: it stands before its first instruction.  Before anything else. */
int lt_setup_launch(struct lt_session *session);
/* The processes that the options name. */
int lt_setup_targets(struct lt_session *session);
/* What is watched, if the user did not say: by what the processes are. */
void lt_setup_kinds(struct lt_session *session);
int lt_setup_features(struct lt_session *session);
/* Not for a command, which has mapped nothing yet. */
int lt_setup_plans(struct lt_session *session);

/* 0 or -errno. */
int lt_setup_pipelines(struct lt_session *session);
int lt_setup_tracer(struct lt_session *session);
int lt_setup_attach(struct lt_session *session);
/* The first events of all; or, with the gate open, those of the command while it is loaded. */
int lt_setup_start(struct lt_session *session);
int lt_setup_start_command(struct lt_session *session);

#endif
