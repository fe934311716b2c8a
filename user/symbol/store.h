/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What addresses mean: modules (executable mappings) and source frames by address.  Filled by
 * events only, live or replayed alike; reports read names from here and nowhere else.
 * Copies everything it is given.  Not thread-safe.
 */
#ifndef LT_SYMBOL_STORE_H
#define LT_SYMBOL_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "stream/event.h"

struct lt_symbol_store;

struct lt_module {
	uint64_t start, end, file_offset;
	const char *path;
	uint8_t build_id[LT_MAX_BUILD_ID];
	uint32_t build_id_len;
};

int lt_symbol_store_new(struct lt_symbol_store **store);
/* Forked processes share one: each holds it, and the last to free it does. */
struct lt_symbol_store *lt_symbol_store_hold(struct lt_symbol_store *store);
void lt_symbol_store_free(struct lt_symbol_store *store);

/*
 * A later module takes the addresses of an earlier one that it overlaps; symbols found there before
 * are forgotten, to be looked up again.  Told again, nothing changes.  -E2BIG past LT_MAX_MODULES.
 */
int lt_symbol_store_add_module(struct lt_symbol_store *store, const struct lt_event_module *module);
/*
 * NULL when no file is mapped at the address: nothing there, or anonymous memory (JIT code), whose
 * offsets mean nothing.  Valid until the next change of the store.
 */
const struct lt_module *lt_symbol_store_module(const struct lt_symbol_store *store,
					       uint64_t address);

/* Repeats replace.  Bounded: names at LT_MAX_NAME, frames at LT_MAX_INLINE_DEPTH (cut, not
 * refused). */
int lt_symbol_store_add_symbol(struct lt_symbol_store *store, const struct lt_event_symbol *symbol);
/* Source frames of an address, innermost first; -ENOENT when it was never looked up (0 frames:
 * looked up, unknown). */
int lt_symbol_store_symbol(const struct lt_symbol_store *store, uint64_t pc,
			   const struct lt_source_frame **frames, uint32_t *count);

/*
 * A stack's name that survives a restart: hash over (build-id, file offset) of its frames, with the
 * path's base name where there is no build-id and the bare address where there is no module.
 */
uint64_t lt_symbol_store_stable_id(const struct lt_symbol_store *store, const uint64_t *frames,
				   size_t count);

/* The address to look up for a frame: a return address names the call before it. */
static inline uint64_t lt_symbol_lookup_pc(uint64_t frame)
{
	return frame ? frame - 1 : 0;
}

#endif
