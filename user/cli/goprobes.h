/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --go-probes: from what is wanted of a Go program to probes in its modules.  For golang.c. */
#ifndef LT_CLI_GOPROBES_H
#define LT_CLI_GOPROBES_H

#include "cli/feed.h"
#include "go/program.h"

/* Bits 1 << enum lt_go_probe for what the session watches; spans: its heap by these. */
uint32_t lt_goprobes_wanted(const struct lt_session *session, bool spans);
/*
 * Tells BPF of the runtime, and attaches these probes to all of the program's modules.  Bits of those that
 * are there; what is missing has been said.
 */
uint32_t lt_goprobes_attach(struct lt_session *session, const struct lt_target *target,
			    const struct lt_go_program *program, uint32_t wanted);

#endif
