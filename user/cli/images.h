/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program code of targets, for the walker and for names: shared by those who were forked off each other.  For
 * targets.c and setup.c.
 */
#ifndef LT_CLI_IMAGES_H
#define LT_CLI_IMAGES_H

#include "cli/feed.h"

/* One of its own.  0 or -errno. */
int lt_images_add(struct lt_session *session, struct lt_target *target);
/* The target lets go of the one it has, if it has one. */
void lt_images_leave(struct lt_session *session, struct lt_target *target);

#endif
