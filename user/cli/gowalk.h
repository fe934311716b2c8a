/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From walks of goroutines to events: each walk is compared with the one before.  A goroutine belongs
 * to the site of what it waits for, where, and who made it; its acquire, moves and release are told.
 *
 * With a probe (bpf/go.bpf.c) each creation is told from there, and the end of those whose place in memory is
 * given to another one.  A creation is kept until a walk meets the goroutine or its end is known: so
 * what counts as alive is what a walk has seen, and each one counts once, however short it lived.
 */
#ifndef LT_CLI_GOWALK_H
#define LT_CLI_GOWALK_H

#include "cli/feed.h"
#include "go/goroutines.h"

struct lt_gowalk;

/* probed: creations and exits are told by probes.  program and target are borrowed. */
int lt_gowalk_new(struct lt_gowalk **walk, struct lt_go_program *program, bool probed);
void lt_gowalk_free(struct lt_gowalk *walk);
/*
 * An event of kind goroutine that a probe told of.  1: nobody else is to hear of it now; 0: it is to be told; or
 * -errno.  In place of an end that comes before any walk, *made is filled: it is to be told first.
 */
int lt_gowalk_note(struct lt_gowalk *walk, const struct lt_event *event, struct lt_event *made);

/* Other modules may be there. */
void lt_gowalk_reset(struct lt_gowalk *walk);

struct lt_gowalk_result {
	uint64_t goroutines, runtime_goroutines, unread;
	uint64_t walk_ns;
};

/* One walk, told.  -ESRCH: the process is gone; -EBADMSG: its memory made no sense. */
int lt_gowalk_take(struct lt_gowalk *walk, struct lt_session *session, struct lt_target *target,
		   struct lt_gowalk_result *result);

#endif
