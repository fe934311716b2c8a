/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From walks of goroutines to events: each walk is compared with the one before.  A goroutine belongs
 * to the site of what it waits for, where, and who made it; its acquire, moves and release are told.
 * With a probe (bpf/go.bpf.c) acquires come from there, and the releases of those whose place in memory is
 * given to another one; the walk tells of the rest: by each walk all numbers are exact.
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
 * An event of kind goroutine that a probe told of.  1: it is to be dropped: the end of one that nobody
 * knew (iter.Pull makes some that no probe sees), or that is the runtime's own.  0 or -errno.
 */
int lt_gowalk_note(struct lt_gowalk *walk, const struct lt_event *event);

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
