/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processes of a live session: those that the user named, and with --follow what they fork and
 * execute.  A target is one process image; its exec makes another one.  For session.c and feed.c.
 */
#ifndef LT_CLI_TARGETS_H
#define LT_CLI_TARGETS_H

#include "cli/feed.h"

/* NULL: none of this number. */
struct lt_target *lt_targets_find(const struct lt_session *session, uint32_t number);
/* That have not ended, as far as we were told. */
size_t lt_targets_alive(const struct lt_session *session);

/* Exit codes of leaktrace (cli/exit_code.h); what is wrong has been said. */
int lt_targets_open(struct lt_session *session, pid_t pid);
/* patient: it has just been started, and gets a second to map its allocator. */
int lt_targets_plan(struct lt_session *session, struct lt_target *target, bool patient);

/* The rest: 0 or -errno. */

/* Adds to the plan what it maps by now.  -ENOENT: it maps no allocator. */
int lt_targets_look(struct lt_session *session, struct lt_target *target);
/* Traced no more. */
void lt_targets_drop(struct lt_session *session, struct lt_target *target);

/* Probes into what was planned and is not attached yet; error gets one line. */
int lt_targets_attach(struct lt_session *session, struct lt_target *target, struct lt_buf *error);
/* It has the probes that it needs. */
bool lt_targets_ready(const struct lt_session *session, const struct lt_target *target);
/* An lt_event_sink of LIFE events. */
int lt_targets_life(void *session, const struct lt_event *event);
/* All events of those that ended before are through: they can go, unless they are the last ones. */
int lt_targets_settle(struct lt_session *session);
/* Attaches to allocators that were mapped since the last look. */
int lt_targets_follow(struct lt_session *session);
/* For lt_modules_shared: tells of new mappings. */
void lt_targets_listen(void *session);
void lt_targets_free(struct lt_session *session);

#endif
