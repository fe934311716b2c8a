// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as /proc/PID/maps: parsed into ascending, disjoint mappings, or refused. */
#include <stdint.h>
#include <stdlib.h>

#include "proc/maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lt_maps maps;

	if (lt_maps_parse((const char *)data, size, &maps))
		return 0;
	for (size_t i = 0; i < maps.count; i++) {
		const struct lt_mapping *mapping = &maps.entries[i];

		if (mapping->start >= mapping->end || !mapping->path ||
		    (i && maps.entries[i - 1].end > mapping->start) ||
		    lt_maps_find(&maps, mapping->start) != mapping ||
		    lt_maps_find(&maps, mapping->end - 1) != mapping)
			abort();
	}
	lt_maps_free(&maps);
	return 0;
}
