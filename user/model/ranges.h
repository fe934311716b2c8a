/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ranges of addresses that do not overlap, in order, each with an owner.
 *
 * Neighbours of one owner are one range.  Sorted arrays of limited length in a sorted array: an
 * insertion moves some kilobytes at most.  Bounded by LT_MAX_RANGES.  Not thread-safe.
 */
#ifndef LT_MODEL_RANGES_H
#define LT_MODEL_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lt_ranges;

struct lt_range {
	uint64_t start, end; /* start < end */
	void *owner;
};

int lt_ranges_new(struct lt_ranges **ranges);
void lt_ranges_free(struct lt_ranges *ranges);

/* Into empty space: 0, -EEXIST if it is not, -ENOSPC at the bound, -ENOMEM. */
int lt_ranges_insert(struct lt_ranges *ranges, const struct lt_range *range);
/*
 * Takes away what lies in [start, end) and hands each piece of it to visit, in order.  Usually 0;
 * where a range is cut in two and there is no room for its end: -ENOSPC or -ENOMEM, and the end was
 * taken away and handed out as well.  visit must not change the ranges.
 */
int lt_ranges_remove(struct lt_ranges *ranges, uint64_t start, uint64_t end,
		     void (*visit)(void *context, const struct lt_range *piece), void *context);

/* The first range that ends above the address. */
bool lt_ranges_next(const struct lt_ranges *ranges, uint64_t address, struct lt_range *range);

size_t lt_ranges_count(const struct lt_ranges *ranges);
size_t lt_ranges_memory(const struct lt_ranges *ranges);

#endif
