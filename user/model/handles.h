/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The live resources that the kernel can list, of one process generation: descriptors (kinds socket
 * and fd, which share their numbers) and threads.  What events miss, a census mends.  Goroutines are
 * listed as well, by their runtime; whoever looks tells what came, went and moved, so that they need
 * no census.
 *
 * Events may cross with a census, for it takes time and so do they: a difference is only believed if
 * the next census shows it again, and no event about that id came in between.  The first census of a
 * listing seeds it: what it shows and no event told of is FROM_BEFORE, and its release is an unknown
 * one, as that of memory acquired before the attach (lt_model_totals.unknown_of_kind).
 *
 * Differences are no loss: they are mended and counted.  Sizes are 1.  Not thread-safe.
 */
#ifndef LT_MODEL_HANDLES_H
#define LT_MODEL_HANDLES_H

#include "model/sites.h"

/* Strings are owned by the handles and live until the next event about this one. */
struct lt_handle {
	uint64_t id;
	uint8_t kind;     /* enum lt_kind */
	uint8_t listing;  /* enum lt_listing */
	bool described;   /* since it lives */
	uint32_t site;    /* index */
	uint32_t birth_s; /* since the attach, at this site; 0 for those FROM_BEFORE */
	uint64_t born_ns; /* event time; may be before the attach; 0: unknown */
	uint64_t key;     /* as in struct lt_event_describe, as these; "" before that */
	const char *type, *name, *local, *state;
};

struct lt_handles;

/* totals and sites are borrowed: counts go there. */
int lt_handles_new(struct lt_sites *sites, struct lt_model_totals *totals,
		   struct lt_handles **handles);
void lt_handles_free(struct lt_handles *handles);

/* ACQUIRE, RELEASE (of one id, or with LT_WIRE_F_RANGE of many), RESTORE of a kind with a listing. */
void lt_handles_acquire(struct lt_handles *handles, const struct lt_event *event, uint32_t now_s);
void lt_handles_release(struct lt_handles *handles, const struct lt_event *event, uint32_t now_s);
void lt_handles_restore(struct lt_handles *handles, const struct lt_event *event, uint32_t now_s);
/* MOVE: a live one belongs to another site, where it is new; born_ns stays.  Others are ignored. */
void lt_handles_move(struct lt_handles *handles, const struct lt_event *event, uint32_t now_s);
/* PASSED: so many at once of which no id is known. */
void lt_handles_passed(struct lt_handles *handles, const struct lt_event *event, uint32_t now_s);
void lt_handles_census(struct lt_handles *handles, const struct lt_event *event, uint32_t now_s);
void lt_handles_describe(struct lt_handles *handles, const struct lt_event *event);

const struct lt_model_listing *lt_handles_listing(const struct lt_handles *handles,
						  uint8_t listing);
/* By listing and ascending id. */
void lt_handles_each(const struct lt_handles *handles,
		     void (*visit)(void *context, const struct lt_handle *handle), void *context);
/* Lowers births[site] to the earliest birth of its live handles. */
void lt_handles_oldest(const struct lt_handles *handles, uint32_t *births);
size_t lt_handles_memory(const struct lt_handles *handles);

#endif
