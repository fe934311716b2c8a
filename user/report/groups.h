/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the live resources of a site are, in a few groups: by the remote ends of sockets, or where
 * these all differ by the local ones; by path, or by folder; by the function that threads run.
 * Collects what lives of the shown sites in one pass, then groups it.  Not thread-safe.
 */
#ifndef LT_REPORT_GROUPS_H
#define LT_REPORT_GROUPS_H

#include "model/handles.h"
#include "report/arena.h"
#include "report/ranking.h"

#define LT_GROUPS_SHOWN  3         /* of a site, at most */
#define LT_GROUPS_STATES 16        /* of a group: TCP has 13 (include/net/tcp_states.h) */
#define LT_GROUPS_MAX    (1 << 18) /* resources looked at; what is beyond is in group_rest */

struct lt_groups;

/* Of the first shown of all sites of the model; 0 or -ENOMEM. */
int lt_groups_new(const struct lt_ranked *ranking, size_t shown, size_t sites,
		  struct lt_groups **groups);
void lt_groups_free(struct lt_groups *groups);
/* For lt_model_handles(); strings are borrowed. */
void lt_groups_add(void *groups, const struct lt_handle *handle);

/*
 * Fills groups, group_rest and, if births are known, oldest_age_s of sites, which are in the order
 * of the ranking and have all else.  0 or -ENOMEM.
 */
int lt_groups_fill(struct lt_groups *groups, const struct lt_report_input *input,
		   struct lt_arena *arena, struct lt_report_site *sites);
/* Calls want for the addresses that lt_groups_fill() would like to have names for. */
int lt_groups_wanted(const struct lt_groups *groups, const struct lt_report_input *input,
		     int (*want)(void *context, uint64_t pc), void *context);

#endif
