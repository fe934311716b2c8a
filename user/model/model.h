/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of one process generation: live set, site table, stacks, lifecycles.  Driven by events
 * alone (ACQUIRE, RELEASE, RESTORE, STACK, CENSUS, DESCRIBE, MOVE, OBSERVE, RUNTIME); reads no
 * clock, makes no system call.  A site is a (kind, stack id).  Counts are exact 64-bit counters,
 * but where they are observed.  Not thread-safe.
 */
#ifndef LT_MODEL_MODEL_H
#define LT_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/cohorts.h"
#include "model/live_set.h"
#include "stream/event.h"

struct lt_site {
	uint32_t index; /* dense, from 0; stable */
	uint8_t kind;
	uint8_t stack_end;    /* enum lt_stack_end; meaningful once frame_count > 0 */
	uint16_t frame_count; /* 0 until the STACK event came */
	uint64_t stack_id;    /* as on the wire */
	const uint64_t *frames;
	uint64_t acquired_count, acquired_size; /* size: bytes, or count where sizes are 1 */
	uint64_t released_count, released_size;
	uint64_t live_count, live_size; /* acquired - released */
	uint64_t peak_size;
	uint64_t first_ns, last_ns; /* event times of the first and latest acquire */
	struct lt_cohorts cohorts;
	/* OBSERVE (model/observed.h): counts may be estimates, and cohorts are at any rate. */
	bool observed;
	uint64_t sampled; /* how many that live the estimate is made from; 0: it is exact */
	struct lt_observed_sums {
		uint64_t acquired_count, acquired_size, released_count, released_size;
	} observed_sums; /* as told last: what others counted at the site is not in it */
};

struct lt_model_totals {
	uint64_t acquired_count, released_count; /* of known resources */
	uint64_t live_count, live_size;
	uint64_t moved; /* MOVEs: each a release and an acquire at sites, but neither here */
	uint64_t unknown_released; /* releases of ids never seen: acquired before the attach */
	uint64_t unknown_of_kind[LT_KIND_COUNT]; /* the same, by kind */
	uint64_t repeated_released; /* releases of ids released already: model/seen.h */
	uint64_t mapping_reused;    /* the same for mappings, of which a system call was missed */
	uint64_t address_reused;    /* acquires of a live id: a release was missed */
	uint64_t restore_missed;
	uint64_t sites_full, memory_full; /* acquires not kept */
	/* Bytes mapped since the attach, and still mapped; those with a site are in live_size */
	uint64_t mapped_size[LT_RANGE_CLASSES];
};

/* How the model stands to what the kernel lists: enum lt_listing. */
struct lt_model_listing {
	bool taken;          /* there was a whole census */
	uint64_t listed;     /* by the kernel, at the latest one */
	uint64_t tracked;    /* alive here, with what that one mended */
	uint64_t unknown;    /* listed, not alive here: looked at again at the next one ... */
	uint64_t vanished;   /* ... and the other way round */
	uint64_t came, went; /* mended, cumulative: acquires and releases that were not seen */
	uint64_t before;     /* alive and FROM_BEFORE, now */
};

struct lt_model;

/* start_ns: event time of the attach; seconds count from there. */
int lt_model_new(uint64_t start_ns, struct lt_model **model);
void lt_model_free(struct lt_model *model);

/* Applies one event; other types are ignored.  0, or -ENOMEM for what cannot be counted instead. */
int lt_model_apply(struct lt_model *model, const struct lt_event *event);

/* Brings every site's cohorts to this time: call before reading them. */
void lt_model_roll(struct lt_model *model, uint64_t time_ns);

/* The frames of a stack id, borrowed until the next event; 0: not known. */
uint16_t lt_model_stack(const struct lt_model *model, uint64_t stack_id, const uint64_t **frames);
size_t lt_model_site_count(const struct lt_model *model);
const struct lt_site *lt_model_site(const struct lt_model *model, size_t index);
const struct lt_model_totals *lt_model_totals(const struct lt_model *model);
uint32_t lt_model_seconds(const struct lt_model *model, uint64_t time_ns); /* since the attach */
/*
 * Birth (seconds since attach) of the oldest live resource of every site; UINT32_MAX where nothing
 * lives.  One pass over the live set; births has room for lt_model_site_count() values.
 */
void lt_model_oldest(const struct lt_model *model, uint32_t *births);
/* Bytes in [start, end) that were mapped since the attach, by class. */
void lt_model_mapped(const struct lt_model *model, uint64_t start, uint64_t end,
		     uint64_t bytes[LT_RANGE_CLASSES]);
const struct lt_model_listing *lt_model_listing(const struct lt_model *model, uint8_t listing);
/* Every live resource that the kernel lists: model/handles.h. */
struct lt_handle;
void lt_model_handles(const struct lt_model *model,
		      void (*visit)(void *context, const struct lt_handle *handle), void *context);
size_t lt_model_memory(const struct lt_model *model);

#endif
