/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stacks that BPF walked while code was being replaced: cut where they lead through it, and told under
 * other ids; so is what names them.  For feed.c.  All return 0 or -errno.
 */
#ifndef LT_CLI_DOUBT_H
#define LT_CLI_DOUBT_H

#include "cli/feed.h"

int lt_doubt_stack(struct lt_session *session, struct lt_modules *modules,
		   const struct lt_event *event);
int lt_doubt_acquire(struct lt_session *session, const struct lt_target *target,
		     const struct lt_event *event);
int lt_doubt_passed(struct lt_session *session, const struct lt_event *event);

#endif
