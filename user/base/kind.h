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
	bool memory;     /* its growth fills the memory limit */
	uint8_t listing; /* enum lt_listing */
	const char *help;
};

enum {
	LT_KINDS = 0
#define LT_KIND(symbol, value, name, unit, memory, listing, help) +1
#include "leaktrace/kinds.def"
#undef LT_KIND
};

extern const struct lt_kind_info lt_kind_infos[LT_KINDS];

/* enum lt_listing of an enum lt_kind; NOWHERE of what is none. */
uint8_t lt_kind_listing(uint8_t kind);

#endif
