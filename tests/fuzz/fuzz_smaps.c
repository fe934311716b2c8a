// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as /proc/PID/smaps: summed up so that the parts add up, or refused. */
#include <stdint.h>
#include <stdlib.h>

#include "proc/smaps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Anything, but the same for the same mapping. */
static void sizes(void *context, uint64_t start, uint64_t end, uint64_t bytes[LT_SMAPS_CLASSES])
{
	if (start >= end)
		abort();
	for (size_t i = 0; i < LT_SMAPS_CLASSES; i++)
		bytes[i] = (end - start) >> (i + 1);
	bytes[0] ^= start;
}

static uint64_t total(const struct lt_smaps *smaps)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < smaps->resident_count; i++)
		sum += smaps->resident[i];
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct lt_smaps_tracked tracked = { sizes, NULL };
	struct lt_smaps plain = { 0 }, split = { 0 };
	int err = lt_smaps_parse((const char *)data, size, NULL, &plain);

	if (err != lt_smaps_parse((const char *)data, size, &tracked, &split))
		abort();
	if (total(&plain) != plain.rss_bytes || total(&split) != split.rss_bytes ||
	    plain.rss_bytes != split.rss_bytes || plain.swap_bytes != split.swap_bytes)
		abort();
	return 0;
}
