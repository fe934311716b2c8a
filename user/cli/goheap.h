/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From looks at a Go program's heap profile to events: what changed since the look before is told, as
 * STACK and OBSERVE.
 */
#ifndef LT_CLI_GOHEAP_H
#define LT_CLI_GOHEAP_H

#include "cli/feed.h"
#include "go/program.h"

struct lt_goheap;

/* program is borrowed: a heap profile was found in it (lt_go_heap_find()).  0 or -ENOMEM. */
int lt_goheap_new(struct lt_goheap **heap, struct lt_go_program *program);
void lt_goheap_free(struct lt_goheap *heap);
/* Other modules may be there. */
void lt_goheap_reset(struct lt_goheap *heap);
/*
 * One look, told; *rate is that of the profile.  0 or -ENOMEM.  A profile that is not there yet, or too large
 * to be told in the time that a look has, is told by later ones.
 */
int lt_goheap_take(struct lt_goheap *heap, struct lt_session *session,
		   const struct lt_target *target, uint64_t *rate);

#endif
