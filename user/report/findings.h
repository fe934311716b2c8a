/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sites of different kinds that rise in step are one finding: a connection that is never closed is
 * a socket, its buffers and maybe its thread.  docs/VERDICT.md has the rules.
 */
#ifndef LT_REPORT_FINDINGS_H
#define LT_REPORT_FINDINGS_H

#include "report/arena.h"
#include "report/ranking.h"

#define LT_FINDING_CANDIDATES                                                                      \
	64                 /* the gravest that are shown; what is not shown is in no finding */
#define LT_FINDING_SITES 8 /* of one finding; of each kind the gravest are kept */
#define LT_FINDINGS_MAX  16

/*
 * Fills findings, and the finding of each site.  sites: those shown, in the order of the ranking,
 * with their frames and evidence.  0 or -ENOMEM.
 */
int lt_findings_build(const struct lt_report_input *input, const struct lt_ranked *ranking,
		      struct lt_arena *arena, struct lt_report *report,
		      struct lt_report_site *sites);

#endif
