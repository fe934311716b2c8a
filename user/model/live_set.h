/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every live resource of one process generation: (kind, id) → size, site, birth.
 *
 * Open addressing in many small segments, so that growth never copies more than one segment (no
 * stall of the reader, no doubling of the whole) and a live resource costs at most 64 bytes, also
 * while the set grows.  Not thread-safe.
 */
#ifndef LT_MODEL_LIVE_SET_H
#define LT_MODEL_LIVE_SET_H

#include <stddef.h>
#include <stdint.h>

struct lt_live_set;

struct lt_live_entry {
	uint64_t id;
	uint64_t size;    /* bytes; below 2^56 (larger sizes are stored as 2^56 - 1) */
	uint32_t site;    /* index in the site table */
	uint32_t birth_s; /* seconds since the attach, event time */
	uint8_t kind;
};

int lt_live_set_new(struct lt_live_set **set);
void lt_live_set_free(struct lt_live_set *set);

/*
 * Inserts.  If (kind, id) is live already, the old entry is replaced and handed out:
 * returns 0 inserted, 1 replaced (*old filled), -ENOMEM (set unchanged).
 */
int lt_live_set_insert(struct lt_live_set *set, const struct lt_live_entry *entry,
		       struct lt_live_entry *old);
/* Removes and hands out: 0, or -ENOENT. */
int lt_live_set_remove(struct lt_live_set *set, uint8_t kind, uint64_t id,
		       struct lt_live_entry *entry);
void lt_live_set_clear(struct lt_live_set *set);

size_t lt_live_set_count(const struct lt_live_set *set);
size_t lt_live_set_memory(const struct lt_live_set *set); /* bytes held by the set itself */

/* Every entry, in no particular but deterministic order. */
void lt_live_set_each(const struct lt_live_set *set,
		      void (*visit)(void *context, const struct lt_live_entry *entry),
		      void *context);

#endif
