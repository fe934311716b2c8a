/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The live resources that are ranges of addresses, of which any part can be released.
 *
 * A resource lives as long as any byte of it does: sites count it once, and its size byte by byte.
 * Parts keep their resource, and with it site and birth, when they are cut out or moved.  Plain
 * ones belong to sites of kind mmap, stacks to sites of kind stack; what belongs to no site (enum
 * lt_range_class) is counted by class alone.
 * A release is told before the call that makes it, and undone, or sent elsewhere, by a RESTORE of
 * the same range: it takes back what the latest such release took.  Not thread-safe.
 */
#ifndef LT_MODEL_MAPPINGS_H
#define LT_MODEL_MAPPINGS_H

#include "model/sites.h"

struct lt_mappings;

/* Borrows the sites and the totals, in which it counts. */
int lt_mappings_new(struct lt_sites *sites, struct lt_model_totals *totals,
		    struct lt_mappings **mappings);
void lt_mappings_free(struct lt_mappings *mappings);

/* now_s: seconds since the attach, never less than before.  Events have LT_WIRE_F_RANGE. */
void lt_mappings_acquire(struct lt_mappings *mappings, const struct lt_event *event,
			 uint32_t now_s);
void lt_mappings_release(struct lt_mappings *mappings, const struct lt_event *event,
			 uint32_t now_s);
void lt_mappings_restore(struct lt_mappings *mappings, const struct lt_event *event,
			 uint32_t now_s);

/* Lowers births[site index] to that of the oldest live resource, as lt_model_oldest(). */
void lt_mappings_oldest(const struct lt_mappings *mappings, uint32_t *births);
/* Bytes of each class in [start, end). */
void lt_mappings_within(const struct lt_mappings *mappings, uint64_t start, uint64_t end,
			uint64_t bytes[LT_RANGE_CLASSES]);
size_t lt_mappings_memory(const struct lt_mappings *mappings);

#endif
