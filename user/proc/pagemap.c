// SPDX-License-Identifier: GPL-2.0-or-later
#include "proc/pagemap.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S      1000000000ULL
#define PRESENT       (UINT64_C(1) << 63) /* Documentation/admin-guide/mm/pagemap.rst */
#define CHUNK_ENTRIES 1024

struct counter {
	int fd;
	const struct lt_smaps_tracked *tracked;
	uint64_t deadline_ns, page_bytes;
	uint64_t *pages;
};

uint64_t lt_pagemap_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Adds the pages present in [first, end), by number. */
static int add_present(const struct counter *counter, uint64_t first, uint64_t end, uint64_t *pages)
{
	uint64_t entries[CHUNK_ENTRIES];

	while (first < end) {
		size_t want = end - first < CHUNK_ENTRIES ? (size_t)(end - first) : CHUNK_ENTRIES;
		ssize_t got = pread(counter->fd, entries, want * sizeof(*entries),
				    (off_t)(first * sizeof(*entries)));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < (ssize_t)sizeof(*entries))
			return got < 0 ? -errno : -EIO;
		for (size_t i = 0; i < (size_t)got / sizeof(*entries); i++)
			*pages += (entries[i] & PRESENT) != 0;
		first += (size_t)got / sizeof(*entries);
		if (lt_pagemap_clock() > counter->deadline_ns)
			return -ETIME;
	}
	return 0;
}

/* Whose all of [start, end) is; -1 when it has several owners. */
static int owner_of(const struct counter *counter, uint64_t start, uint64_t end)
{
	uint64_t sizes[LT_SMAPS_CLASSES] = { 0 };
	int owner = LT_SMAPS_CLASSES;

	counter->tracked->sizes(counter->tracked->context, start, end, sizes);
	for (int i = 0; i < LT_SMAPS_CLASSES; i++) {
		if (sizes[i] >= end - start)
			return i;
		if (sizes[i])
			owner = -1;
	}
	return owner;
}

/* By halves, until each has one owner.  Not deep: of 2^36 pages each step leaves half. */
static int count(const struct counter *counter, uint64_t first, uint64_t end)
{
	int owner = owner_of(counter, first * counter->page_bytes, end * counter->page_bytes);
	uint64_t middle = first + (end - first) / 2;
	int err;

	if (owner < 0 && end - first == 1)
		owner = LT_SMAPS_CLASSES; /* ranges are of pages: this one is not */
	if (owner >= 0)
		return add_present(counter, first, end, &counter->pages[owner]);
	err = count(counter, first, middle);
	return err ? err : count(counter, middle, end);
}

int lt_pagemap_count(int fd, uint64_t start, uint64_t end, const struct lt_smaps_tracked *tracked,
		     uint64_t deadline_ns, uint64_t pages[LT_SMAPS_CLASSES + 1])
{
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	const struct counter counter = { fd, tracked, deadline_ns, page_bytes, pages };

	if (start / page_bytes >= end / page_bytes)
		return -EINVAL;
	for (size_t i = 0; i <= LT_SMAPS_CLASSES; i++)
		pages[i] = 0;
	return count(&counter, start / page_bytes, end / page_bytes);
}
