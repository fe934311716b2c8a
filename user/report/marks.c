// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/marks.h"

#include <linux/types.h>
#include <stddef.h>

#include "leaktrace/events.h"

static const struct lt_mark_info marks[] = {
#define LT_MARK(symbol, value, class, text) { value, LT_MARK_CLASS_##class, text },
#include "leaktrace/marks.def"
#undef LT_MARK
};

bool lt_mark_is(uint64_t word)
{
	return word != LT_MARK_NONE && word < LT_MARK_LIMIT;
}

const struct lt_mark_info *lt_mark_find(uint64_t word)
{
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (marks[i].value == word)
			return &marks[i];
	return NULL;
}
