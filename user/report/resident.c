// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/resident.h"

#include <math.h>

#include "base/kind.h"

/* Where the pages of kinds lie that are addresses first of all. */
static const struct {
	uint8_t kind; /* enum lt_kind */
	enum lt_resident resident;
} places[] = {
	{ LT_KIND_MMAP, LT_RESIDENT_MAPPED_PLAIN },
	{ LT_KIND_STACK, LT_RESIDENT_MAPPED_STACK },
};

double lt_resident_share(const struct lt_event_process *process, size_t kind, uint64_t live_size)
{
	if (lt_kind_infos[kind].memory)
		return 1;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (places[i].kind != lt_kind_infos[kind].value)
			continue;
		if (!process || process->resident_count <= places[i].resident || !live_size)
			return NAN;
		/* More than all of it: the look at the process was another moment's. */
		return fmin((double)process->resident[places[i].resident] / (double)live_size, 1);
	}
	return 0;
}
