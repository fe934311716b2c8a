/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of leaktrace/counters.def, for those who print them. */
#ifndef LT_REPORT_COUNTERS_H
#define LT_REPORT_COUNTERS_H

#include "stream/event.h"

/* What the loss can do: counters.def. */
enum lt_counter_class {
	LT_COUNTER_CLASS_RELEASE,
	LT_COUNTER_CLASS_MAPPING,
	LT_COUNTER_CLASS_ACQUIRE,
	LT_COUNTER_CLASS_DETAIL,
	LT_COUNTER_CLASS_NOTE,
};

struct lt_counter_info {
	const char *name, *help;
	enum lt_counter_class class;
};

/* True if a loss of this class may be that of a release of this kind (enum lt_kind). */
bool lt_counter_hits(enum lt_counter_class class, int kind);

extern const struct lt_counter_info lt_counter_infos[LT_COUNTER_COUNT]; /* by enum lt_counter */

#endif
