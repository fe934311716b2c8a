/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/kind.h"
#include "model/handles.h"
#include "model/lives.h"
#include "model/mappings.h"
#include "model/observed.h"
#include "model/seen.h"
#include "model/sites.h"

#define NS_PER_S   UINT64_C(1000000000)
#define SIZE_LIMIT ((UINT64_C(1) << 56) - 1) /* what the live set can hold */

/*
 * A realloc's release is told at its entry, and undone if it fails.  Until then the entry waits
 * here, in a set-associative table in which the newest of a set replaces the oldest.  Most reallocs
 * succeed and their entries are never asked for again, so nothing else empties a slot.  A failure
 * follows its entry within a few events, or, if its thread was preempted in between, within some
 * thousand of other threads: for the entry to be gone by then, STASH_WAYS younger ones must have
 * hit its one set (Poisson, after 3,000 of them: 6e-9; with 1,024 sets 1 %, and it happened).  It
 * is counted.
 */
#define STASH_SETS 8192U
#define STASH_WAYS 8U

enum stash_state {
	STASH_EMPTY = 0,
	STASH_KNOWN,
	STASH_UNKNOWN,  /* the id was not live at its release ... */
	STASH_REPEATED, /* ... but had been since the attach */
};

struct stash {
	struct lt_live_entry entry;
	uint64_t sequence; /* when it was put here */
	uint32_t died_s;
	uint8_t state; /* enum stash_state */
};

struct lt_model {
	uint64_t start_ns;
	uint32_t now_s; /* the latest second seen: rings are not ordered among each other */
	struct lt_live_set *live;
	struct lt_sites *sites;
	struct lt_seen *seen;
	struct lt_mappings *mappings;
	struct lt_handles *handles;
	struct lt_observed observed;
	struct lt_model_totals totals;
	uint64_t stash_sequence;
	struct stash stash[STASH_SETS][STASH_WAYS];
};

LT_CLEANUP(struct lt_model *, lt_model_free)

int lt_model_new(uint64_t start_ns, struct lt_model **model)
{
	_lt_cleanup_(lt_model_free_p) struct lt_model *made = calloc(1, sizeof(*made));
	int err;

	if (!made)
		return -ENOMEM;
	made->start_ns = start_ns;
	err = lt_live_set_new(&made->live);
	if (err)
		return err;
	err = lt_sites_new(&made->sites);
	if (err)
		return err;
	err = lt_seen_new(&made->seen);
	if (err)
		return err;
	err = lt_mappings_new(made->sites, &made->totals, &made->mappings);
	if (err)
		return err;
	err = lt_handles_new(made->sites, &made->totals, &made->handles);
	if (err)
		return err;
	*model = lt_take_ptr(made);
	return 0;
}

void lt_model_free(struct lt_model *model)
{
	if (!model)
		return;
	lt_live_set_free(model->live);
	lt_mappings_free(model->mappings);
	lt_handles_free(model->handles);
	lt_sites_free(model->sites);
	lt_seen_free(model->seen);
	free(model);
}

uint32_t lt_model_seconds(const struct lt_model *model, uint64_t time_ns)
{
	uint64_t seconds = time_ns > model->start_ns ? (time_ns - model->start_ns) / NS_PER_S : 0;

	return seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX - 1;
}

static void advance(struct lt_model *model, uint64_t time_ns)
{
	uint32_t now_s = lt_model_seconds(model, time_ns);

	if (now_s > model->now_s)
		model->now_s = now_s;
}

/* A live resource of the site is no more. */
static void retire(struct lt_model *model, const struct lt_live_entry *entry)
{
	struct lt_site *site = lt_sites_at(model->sites, entry->site);

	lt_lives_shrink(&model->totals, site, entry->size);
	lt_lives_died(&model->totals, site, entry->birth_s, model->now_s);
}

/* ... or lives again, as if it had never been retired at died_s. */
static void revive(struct lt_model *model, const struct lt_live_entry *entry, uint32_t died_s)
{
	struct lt_site *site = lt_sites_at(model->sites, entry->site);

	lt_lives_regrow(&model->totals, site, entry->size);
	lt_lives_revived(&model->totals, site, entry->birth_s, died_s, model->now_s);
}

static void count_acquire(struct lt_model *model, struct lt_site *site,
			  const struct lt_live_entry *entry, uint64_t time_ns)
{
	lt_lives_stamp(site, time_ns);
	lt_lives_grow(&model->totals, site, entry->size);
	lt_lives_born(&model->totals, site, entry->birth_s, model->now_s);
}

/* The id is handed out anew though it was live: its release was missed */
static void reuse(struct lt_model *model, const struct lt_live_entry *old)
{
	retire(model, old);
	model->totals.address_reused++;
}

/* An acquire that cannot be kept must not leave the id's former life behind. */
static void drop_acquire(struct lt_model *model, uint8_t kind, uint64_t id, int err)
{
	struct lt_live_entry old;

	if (!lt_live_set_remove(model->live, kind, id, &old))
		reuse(model, &old);
	if (err == -ENOSPC)
		model->totals.sites_full++;
	else
		model->totals.memory_full++;
}

static void acquire(struct lt_model *model, const struct lt_event *event)
{
	const struct lt_event_acquire *what = &event->acquire;
	struct lt_live_entry old, entry = {
		.id = what->id,
		.size = what->size < SIZE_LIMIT ? what->size : SIZE_LIMIT,
		.birth_s = model->now_s,
		.kind = event->kind,
	};
	struct lt_site *site;
	int err = lt_sites_find(model->sites, event->kind, what->stack_id, &site);

	if (err) {
		drop_acquire(model, event->kind, what->id, err);
		return;
	}
	entry.site = site->index;
	err = lt_live_set_insert(model->live, &entry, &old);
	if (err < 0) {
		drop_acquire(model, event->kind, what->id, err);
		return;
	}
	if (err)
		reuse(model, &old);
	lt_seen_add(model->seen, entry.kind, entry.id);
	count_acquire(model, site, &entry, event->time_ns);
}

static struct stash *stash_set(struct lt_model *model, uint8_t kind, uint64_t id)
{
	return model->stash[lt_mix64(id ^ ((uint64_t)kind << 56)) % STASH_SETS];
}

static void stash_put(struct lt_model *model, const struct lt_live_entry *entry,
		      enum stash_state state)
{
	struct stash *set = stash_set(model, entry->kind, entry->id), *slot = set;

	for (unsigned int way = 0; way < STASH_WAYS; way++) {
		bool same = set[way].entry.kind == entry->kind && set[way].entry.id == entry->id;

		if (same || set[way].state == STASH_EMPTY) {
			slot = &set[way];
			if (same)
				break;
		} else if (slot->state != STASH_EMPTY && set[way].sequence < slot->sequence) {
			slot = &set[way];
		}
	}
	*slot = (struct stash){
		.entry = *entry,
		.sequence = ++model->stash_sequence,
		.died_s = model->now_s,
		.state = (uint8_t)state,
	};
}

static bool stash_take(struct lt_model *model, uint8_t kind, uint64_t id, struct stash *kept)
{
	struct stash *set = stash_set(model, kind, id);

	for (unsigned int way = 0; way < STASH_WAYS; way++)
		if (set[way].state && set[way].entry.kind == kind && set[way].entry.id == id) {
			*kept = set[way];
			set[way].state = STASH_EMPTY;
			return true;
		}
	return false;
}

/* Counts a release of an id that was not live, or takes it back. */
static void count_unknown(struct lt_model *model, uint8_t kind, enum stash_state state, int by)
{
	uint64_t change = (uint64_t)(int64_t)by;

	if (state == STASH_REPEATED) {
		model->totals.repeated_released += change;
		return;
	}
	model->totals.unknown_released += change;
	model->totals.unknown_of_kind[kind] += change;
}

static void release(struct lt_model *model, const struct lt_event *event)
{
	struct lt_live_entry entry = { .kind = event->kind, .id = event->release.id };
	enum stash_state state = STASH_KNOWN;

	if (!lt_live_set_remove(model->live, event->kind, event->release.id, &entry)) {
		retire(model, &entry);
	} else {
		state = lt_seen_has(model->seen, entry.kind, entry.id) ? STASH_REPEATED
								       : STASH_UNKNOWN;
		count_unknown(model, event->kind, state, 1);
		/*
		 * What was there before the attach is released once.  (A block that glibc takes for
		 * itself at a thread's start, unseen, and passes to free() at its end has the same
		 * few addresses each time: tcache_init.)
		 */
		if (!(event->flags & LT_WIRE_F_REALLOC))
			lt_seen_add(model->seen, entry.kind, entry.id);
	}
	if (event->flags & LT_WIRE_F_REALLOC)
		stash_put(model, &entry, state);
}

static void restore(struct lt_model *model, const struct lt_event *event)
{
	struct lt_live_entry old;
	struct stash kept;
	int replaced;

	if (!stash_take(model, event->kind, event->release.id, &kept)) {
		model->totals.restore_missed++;
		return;
	}
	if (kept.state != STASH_KNOWN) {
		count_unknown(model, event->kind, kept.state, -1);
		return;
	}
	replaced = lt_live_set_insert(model->live, &kept.entry, &old);
	if (replaced < 0) {
		model->totals.memory_full++;
		return;
	}
	if (replaced)
		reuse(model, &old);
	revive(model, &kept.entry, kept.died_s);
}

static void stack(struct lt_model *model, const struct lt_event *event)
{
	int err = lt_sites_add_stack(model->sites, &event->stack);

	model->totals.sites_full += err == -ENOSPC;
	model->totals.memory_full += err == -ENOMEM;
}

static void observe(struct lt_model *model, const struct lt_event *event)
{
	struct lt_site *site;
	int err;

	if (lt_kind_listing(event->kind))
		return;
	err = lt_sites_find(model->sites, event->kind, event->observe.stack_id, &site);
	model->totals.sites_full += err == -ENOSPC;
	model->totals.memory_full += err == -ENOMEM;
	if (!err)
		lt_observed_apply(&model->observed, &model->totals, site, event, model->now_s);
}

static void runtime(struct lt_model *model, const struct lt_event *event)
{
	if (event->runtime.gc_count != model->observed.collections)
		lt_observed_look(&model->observed, event->time_ns, model->now_s);
	model->observed.collections = event->runtime.gc_count;
}

static void census(struct lt_model *model, const struct lt_event *event)
{
	lt_handles_census(model->handles, event, model->now_s);
}

static void describe(struct lt_model *model, const struct lt_event *event)
{
	lt_handles_describe(model->handles, event);
}

/* Who handles what depends on the kind of resource first: what the kernel lists, ranges, others. */
static const struct handler {
	void (*other)(struct lt_model *model, const struct lt_event *event);
	void (*range)(struct lt_mappings *mappings, const struct lt_event *event, uint32_t now_s);
	void (*listed)(struct lt_handles *handles, const struct lt_event *event, uint32_t now_s);
} handlers[] = {
	[LT_EVENT_ACQUIRE] = { acquire, lt_mappings_acquire, lt_handles_acquire },
	[LT_EVENT_RELEASE] = { release, lt_mappings_release, lt_handles_release },
	[LT_EVENT_RESTORE] = { restore, lt_mappings_restore, lt_handles_restore },
	[LT_EVENT_STACK] = { .other = stack },
	[LT_EVENT_CENSUS] = { .other = census },
	[LT_EVENT_DESCRIBE] = { .other = describe },
	[LT_EVENT_MOVE] = { .listed = lt_handles_move },
	[LT_EVENT_PASSED] = { .listed = lt_handles_passed },
	[LT_EVENT_OBSERVE] = { .other = observe },
	[LT_EVENT_RUNTIME] = { .other = runtime },
};

int lt_model_apply(struct lt_model *model, const struct lt_event *event)
{
	const struct handler *handler;

	if (event->type >= sizeof(handlers) / sizeof(handlers[0]))
		return 0;
	handler = &handlers[event->type];
	if (!handler->other && !handler->listed)
		return 0;
	advance(model, event->time_ns);
	if (handler->listed && lt_kind_listing(event->kind))
		handler->listed(model->handles, event, model->now_s);
	else if (handler->range && event->flags & LT_WIRE_F_RANGE)
		handler->range(model->mappings, event, model->now_s);
	else if (handler->other)
		handler->other(model, event);
	return 0;
}

void lt_model_roll(struct lt_model *model, uint64_t time_ns)
{
	advance(model, time_ns);
	for (size_t i = 0; i < lt_sites_count(model->sites); i++)
		lt_cohorts_roll(&lt_sites_at(model->sites, i)->cohorts, model->now_s);
}

uint16_t lt_model_stack(const struct lt_model *model, uint64_t stack_id, const uint64_t **frames)
{
	return lt_sites_stack(model->sites, stack_id, frames);
}

size_t lt_model_site_count(const struct lt_model *model)
{
	return lt_sites_count(model->sites);
}

const struct lt_site *lt_model_site(const struct lt_model *model, size_t index)
{
	return lt_sites_at(model->sites, index);
}

const struct lt_model_totals *lt_model_totals(const struct lt_model *model)
{
	return &model->totals;
}

static void lower_birth(void *context, const struct lt_live_entry *entry)
{
	uint32_t *births = context;

	if (entry->birth_s < births[entry->site])
		births[entry->site] = entry->birth_s;
}

void lt_model_oldest(const struct lt_model *model, uint32_t *births)
{
	for (size_t i = 0; i < lt_sites_count(model->sites); i++) {
		const struct lt_site *site = lt_sites_at(model->sites, i);

		births[i] = site->observed ? lt_cohorts_oldest(&site->cohorts) : UINT32_MAX;
	}
	lt_live_set_each(model->live, lower_birth, births);
	lt_mappings_oldest(model->mappings, births);
	lt_handles_oldest(model->handles, births);
}

void lt_model_mapped(const struct lt_model *model, uint64_t start, uint64_t end,
		     uint64_t bytes[LT_RANGE_CLASSES])
{
	lt_mappings_within(model->mappings, start, end, bytes);
}

const struct lt_model_listing *lt_model_listing(const struct lt_model *model, uint8_t listing)
{
	return lt_handles_listing(model->handles, listing);
}

void lt_model_handles(const struct lt_model *model,
		      void (*visit)(void *context, const struct lt_handle *handle), void *context)
{
	lt_handles_each(model->handles, visit, context);
}

size_t lt_model_memory(const struct lt_model *model)
{
	return sizeof(*model) + lt_live_set_memory(model->live) + lt_sites_memory(model->sites) +
	       lt_mappings_memory(model->mappings) + lt_handles_memory(model->handles);
}
