/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which sites are told first. */
#ifndef LT_REPORT_RANKING_H
#define LT_REPORT_RANKING_H

#include "report/report.h"

struct lt_ranked {
	const struct lt_site *site;
	const struct lt_evidence *evidence;
	size_t kind;  /* index in lt_kind_infos */
	bool fills;   /* struct lt_report_site */
	size_t place; /* among those of its gravity and unit */
};

/*
 * All sites of the model: gravest verdict first, then the fastest growth, then most alive.  Bytes do
 * not compare with numbers of things, so that of one verdict, these two take turns: the fastest
 * leak of sockets is told no later than the second of memory.
 *
 * Of one verdict, what fills a limit that is nearly full comes first, and what has nothing alive
 * last.  What fills a limit is also before all that alarms nobody: once the limit is full nothing
 * grows, and so no verdict is grave.  *ranking is the caller's to free; 0 or -ENOMEM.
 */
int lt_ranking_make(const struct lt_report_input *input, struct lt_ranked **ranking, size_t *count);
/* How many of them are shown. */
size_t lt_ranking_shown(const struct lt_report_input *input, size_t count);

bool lt_ranking_in_bytes(size_t kind);

#endif
