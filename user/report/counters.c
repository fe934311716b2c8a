// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/counters.h"

const struct lt_counter_info lt_counter_infos[LT_COUNTER_COUNT] = {
#define LT_COUNTER(symbol, name, class, help) { name, help, LT_COUNTER_CLASS_##class },
#include "leaktrace/counters.def"
#undef LT_COUNTER
};

bool lt_counter_hits(enum lt_counter_class class, int kind)
{
	return class == LT_COUNTER_CLASS_RELEASE ||
	       (class == LT_COUNTER_CLASS_MAPPING &&
		(kind == LT_KIND_MMAP || kind == LT_KIND_STACK));
}
