/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of leaktrace/marks.def: words of a stack that are no addresses. */
#ifndef LT_REPORT_MARKS_H
#define LT_REPORT_MARKS_H

#include <stdbool.h>
#include <stdint.h>

/* What a mark says: marks.def. */
enum lt_mark_class {
	LT_MARK_CLASS_UNKNOWN, /* of a later version, or of a damaged recording */
	LT_MARK_CLASS_CHAIN,
	LT_MARK_CLASS_STATE,
	LT_MARK_CLASS_WAIT,
};

struct lt_mark_info {
	uint64_t value; /* enum lt_mark */
	enum lt_mark_class class;
	const char *text;
};

/* 0 is none: it is the address of a call through a null pointer. */
bool lt_mark_is(uint64_t word);
const struct lt_mark_info *lt_mark_find(uint64_t word); /* NULL: not known */

#endif
