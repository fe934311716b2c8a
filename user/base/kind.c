// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/kind.h"

const struct lt_kind_info lt_kind_infos[LT_KINDS] = {
#define LT_KIND(symbol, value, name, unit, memory) { value, name, unit, memory },
#include "leaktrace/kinds.def"
#undef LT_KIND
};
