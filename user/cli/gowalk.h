/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From walks of goroutines to events: each walk is compared with the one before.  A goroutine belongs
 * to the site of what it waits for, where, and who made it; its acquire, moves and release are told.
 *
 * With a probe each creation is counted, and noted at the place of the goroutine in memory (bpf/gobirths.h): a
 * walk looks there who made those that are new.  Of those that were made and that no walk met only the
 * number is told, by who made them: so each one counts once, however short it lived.
 */
#ifndef LT_CLI_GOWALK_H
#define LT_CLI_GOWALK_H

#include "cli/feed.h"
#include "go/goroutines.h"

struct lt_gobirths;
struct lt_gowalk;

/* births: where a probe notes creations, or NULL.  It, program and target are borrowed. */
int lt_gowalk_new(struct lt_gowalk **walk, struct lt_go_program *program,
		  const struct lt_gobirths *births);
void lt_gowalk_free(struct lt_gowalk *walk);

/* Other modules may be there. */
void lt_gowalk_reset(struct lt_gowalk *walk);

struct lt_gowalk_result {
	uint64_t goroutines, runtime_goroutines, unread;
	uint64_t walk_ns;
};

/* One walk, told.  -ESRCH: the process is gone; -EBADMSG: its memory made no sense. */
int lt_gowalk_take(struct lt_gowalk *walk, struct lt_session *session, struct lt_target *target,
		   struct lt_gowalk_result *result);

/* The target has ended, and cannot be walked: what was made since the last walk is told to have gone. */
int lt_gowalk_end(struct lt_gowalk *walk, struct lt_session *session,
		  const struct lt_target *target);

#endif
