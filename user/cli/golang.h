/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Go programs among the targets: walks of their goroutines, their heap profile and the runtime's
 * figures, told as events.  For session.c, setup.c, targets.c and feed.c.
 */
#ifndef LT_CLI_GOLANG_H
#define LT_CLI_GOLANG_H

#include "cli/feed.h"

struct lt_golang; /* of one target */

/* Is the target a Go program?  Sets is_go. */
void lt_golang_recognise(struct lt_target *target);
/* Looks which targets are Go programs.  True: all of them. */
bool lt_golang_only(struct lt_session *session);
/*
 * What is watched of them if the user does not say: what costs them little.  A server makes a context
 * for each request, and several system calls.
 */
uint64_t lt_golang_kinds(const struct lt_options *options);

/* 0 or -errno, which a target that is gone or not understood is not. */

/*
 * Before the gate opens, of those that run already: what BPF knows of their runtime is part of the stacks of their
 * first events.
 */
int lt_golang_begin(struct lt_session *session);
/* What is left to be told of one that has ended; of others nothing. */
int lt_golang_end(struct lt_session *session, const struct lt_target *target);
/* At each report, and whenever a look is cheap. */
int lt_golang_take(struct lt_session *session, bool all);
/* ": go1.22.12, read from its memory"; nothing of what is no Go program, or not understood. */
void lt_golang_describe(const struct lt_target *target, struct lt_buf *out);
/* Takes back what was written into the target, and forgets all of it. */
void lt_golang_leave(struct lt_session *session, struct lt_target *target);

#endif
