// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/kind.h"

#include "leaktrace/events.h"

const struct lt_kind_info lt_kind_infos[LT_KINDS] = {
#define LT_KIND(symbol, value, name, unit, memory, listing, help)                                  \
	{ value, name, unit, memory, LT_LISTING_##listing, help },
#include "leaktrace/kinds.def"
#undef LT_KIND
};

uint8_t lt_kind_listing(uint8_t kind)
{
	static const uint8_t listings[LT_KIND_COUNT] = {
#define LT_KIND(symbol, value, name, unit, memory, listing, help) [value] = LT_LISTING_##listing,
#include "leaktrace/kinds.def"
#undef LT_KIND
	};

	return kind < LT_KIND_COUNT ? listings[kind] : LT_LISTING_NOWHERE;
}
