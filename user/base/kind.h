/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of leaktrace/kinds.def as a table. */
#ifndef LT_BASE_KIND_H
#define LT_BASE_KIND_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lt_kind_info {
	uint8_t value; /* enum lt_kind */
	const char *name, *unit;
	bool memory; /* its growth fills the memory limit */
};

enum {
	LT_KINDS = 0
#define LT_KIND(symbol, value, name, unit, memory) +1
#include "leaktrace/kinds.def"
#undef LT_KIND
};

extern const struct lt_kind_info lt_kind_infos[LT_KINDS];

#endif
