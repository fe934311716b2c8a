/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel says of a target's descriptors and threads, told as CENSUS, DESCRIBE and LIMIT
 * events.  The rings are drained between the look and its telling, so that what happened before it
 * stands before it.  For session.c and feed.c.
 */
#ifndef LT_CLI_CENSUS_H
#define LT_CLI_CENSUS_H

#include "cli/feed.h"

/* 0 or -errno, which a target that is gone is not. */

/* Of all targets that live. */
int lt_census_take(struct lt_session *session);
/* Of those whose first one is missing, or whose latest one showed what the next must confirm. */
int lt_census_confirm(struct lt_session *session);

#endif
