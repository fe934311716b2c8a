// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/handle_table.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "model/lives.h"

/* Hashes of ids; uthash's own function would only cost time. */
#undef HASH_FUNCTION
#define HASH_FUNCTION(key, len, hashv) ((hashv) = (unsigned int)lt_mix64(*(const uint64_t *)(key)))

/*
 * How many that live no more are remembered between two censuses.  Who is forgotten too early may
 * be doubted without need, or not be restored; the next censuses mend both.
 */
#define DEAD_MAX 65536U
/* Goids are never used again: all that may still come of one is what is under way. */
#define DEAD_GOROUTINES_MAX 1024U

LT_CLEANUP(struct lt_handles *, lt_handles_free)

int lt_handles_new(struct lt_sites *sites, struct lt_model_totals *totals,
		   struct lt_handles **handles)
{
	_lt_cleanup_(lt_handles_free_p) struct lt_handles *made = calloc(1, sizeof(*made));
	int err;

	if (!made)
		return -ENOMEM;
	made->sites = sites;
	made->totals = totals;
	made->listings = calloc(LT_LISTINGS, sizeof(*made->listings));
	if (!made->listings)
		return -ENOMEM;
	for (unsigned int i = 0; i < LT_LISTINGS; i++)
		TAILQ_INIT(&made->listings[i].dead);
	err = lt_texts_new(&made->texts);
	if (err)
		return err;
	*handles = lt_take_ptr(made);
	return 0;
}

void lt_handles_free(struct lt_handles *handles)
{
	if (!handles)
		return;
	for (unsigned int i = 0; handles->listings && i < LT_LISTINGS; i++) {
		struct lt_handle_entry *entry, *next;

		HASH_ITER(hh, handles->listings[i].entries, entry, next) {
			HASH_DEL(handles->listings[i].entries, entry);
			free(entry);
		}
	}
	free(handles->listings);
	lt_texts_free(handles->texts);
	free(handles);
}

struct lt_handle_entry *lt_handle_find(const struct lt_handle_list *listing, uint64_t id)
{
	struct lt_handle_entry *entry;

	HASH_FIND(hh, listing->entries, &id, sizeof(id), entry);
	return entry;
}

void lt_handle_set_state(struct lt_handle_list *listing, struct lt_handle_entry *entry,
			 enum lt_handle_state state)
{
	if (entry->state == LT_HANDLE_DEAD) {
		TAILQ_REMOVE(&listing->dead, entry, link);
		listing->dead_count--;
	}
	entry->state = (uint8_t)state;
	if (state == LT_HANDLE_DEAD) {
		TAILQ_INSERT_TAIL(&listing->dead, entry, link);
		listing->dead_count++;
	}
}

static void describe(struct lt_handle_entry *entry, const char *type, const char *name,
		     const char *local, const char *state)
{
	entry->handle.type = type;
	entry->handle.name = name;
	entry->handle.local = local;
	entry->handle.state = state;
}

static void drop_texts(struct lt_handles *handles, const struct lt_handle *handle)
{
	lt_texts_drop(handles->texts, handle->type);
	lt_texts_drop(handles->texts, handle->name);
	lt_texts_drop(handles->texts, handle->local);
	lt_texts_drop(handles->texts, handle->state);
}

void lt_handle_forget(struct lt_handles *handles, struct lt_handle_entry *entry)
{
	drop_texts(handles, &entry->handle);
	describe(entry, "", "", "", "");
	entry->handle.described = false;
	entry->handle.key = 0;
}

void lt_handle_drop(struct lt_handles *handles, struct lt_handle_list *listing,
		    struct lt_handle_entry *entry)
{
	lt_handle_set_state(listing, entry, LT_HANDLE_DOUBTED); /* no list has it */
	drop_texts(handles, &entry->handle);
	HASH_DEL(listing->entries, entry);
	free(entry);
}

struct lt_handle_entry *lt_handle_obtain(struct lt_handles *handles, uint8_t number, uint64_t id)
{
	struct lt_handle_list *listing = &handles->listings[number];
	struct lt_handle_entry *entry = lt_handle_find(listing, id);

	if (entry)
		return entry;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		goto no_memory;
	entry->handle.id = id;
	entry->handle.listing = number;
	describe(entry, "", "", "", "");
	HASH_ADD(hh, listing->entries, handle.id, sizeof(entry->handle.id), entry);
	if (!entry->hh.tbl) { /* uthash found no memory */
		free(entry);
		goto no_memory;
	}
	listing->sorted = false;
	lt_handle_set_state(listing, entry, LT_HANDLE_DEAD);
	return entry;
no_memory:
	handles->totals->memory_full++;
	return NULL;
}

void lt_handle_bury(struct lt_handles *handles, struct lt_handle_list *listing)
{
	size_t max = listing == &handles->listings[LT_LISTING_GOROUTINES] ? DEAD_GOROUTINES_MAX
									  : DEAD_MAX;

	while (listing->entries && listing->dead_count > max)
		lt_handle_drop(handles, listing, TAILQ_FIRST(&listing->dead));
}

static struct lt_site *site_of(const struct lt_handles *handles,
			       const struct lt_handle_entry *entry)
{
	return lt_sites_at(handles->sites, entry->handle.site);
}

void lt_handle_retire(struct lt_handles *handles, struct lt_handle_list *listing,
		      struct lt_handle_entry *entry)
{
	struct lt_site *site = site_of(handles, entry);

	lt_lives_shrink(handles->totals, site, 1);
	lt_lives_died(handles->totals, site, entry->handle.birth_s, handles->now_s);
	listing->live--;
	listing->result.before -= lt_handle_from_before(handles, entry);
	entry->died_s = handles->now_s;
	entry->lived = true;
	entry->idle = 0;
	entry->unknown = LT_KIND_NONE;
	lt_handle_set_state(listing, entry, LT_HANDLE_DEAD);
}

void lt_handle_revive(struct lt_handles *handles, struct lt_handle_list *listing,
		      struct lt_handle_entry *entry)
{
	struct lt_site *site = site_of(handles, entry);

	lt_lives_regrow(handles->totals, site, 1);
	lt_lives_revived(handles->totals, site, entry->handle.birth_s, entry->died_s,
			 handles->now_s);
	listing->live++;
	listing->result.before += lt_handle_from_before(handles, entry);
	handles->totals->unknown_of_kind[entry->handle.kind] -= lt_handle_from_before(handles,
										      entry);
	lt_handle_set_state(listing, entry, LT_HANDLE_LIVE);
}

/* For so many.  NULL: there is none, which is counted. */
static struct lt_site *find_site(struct lt_handles *handles, uint8_t kind, uint64_t stack_id,
				 uint64_t count)
{
	struct lt_site *site = NULL;
	int err = lt_sites_find(handles->sites, kind, stack_id, &site);

	handles->totals->sites_full += err == -ENOSPC ? count : 0;
	handles->totals->memory_full += err && err != -ENOSPC ? count : 0;
	return err ? NULL : site;
}

bool lt_handle_begin(struct lt_handles *handles, struct lt_handle_entry *entry, uint8_t kind,
		     uint64_t stack_id, uint64_t time_ns)
{
	struct lt_handle_list *listing = &handles->listings[entry->handle.listing];
	struct lt_site *site = find_site(handles, kind, stack_id, 1);

	if (entry->state == LT_HANDLE_LIVE)
		lt_handle_retire(handles, listing, entry);
	entry->doubt_ns = 0;
	entry->lived = false;
	entry->idle = 0;
	entry->unknown = LT_KIND_NONE;
	if (!site)
		return false;
	entry->handle.kind = kind;
	entry->handle.site = site->index;
	entry->handle.birth_s = lt_handle_from_before(handles, entry) ? 0 : handles->now_s;
	lt_lives_stamp(site, time_ns);
	lt_lives_grow(handles->totals, site, 1);
	lt_lives_born(handles->totals, site, entry->handle.birth_s, handles->now_s);
	listing->live++;
	listing->result.before += lt_handle_from_before(handles, entry);
	lt_handle_set_state(listing, entry, LT_HANDLE_LIVE);
	return true;
}

void lt_handle_pass(struct lt_handles *handles, uint8_t kind, uint64_t stack_id, uint64_t count,
		    uint64_t time_ns)
{
	struct lt_site *site = find_site(handles, kind, stack_id, count);

	if (!site)
		return;
	lt_lives_stamp(site, time_ns);
	lt_lives_passed(handles->totals, site, count, handles->now_s);
}

void lt_handle_move(struct lt_handles *handles, struct lt_handle_entry *entry, uint64_t stack_id,
		    uint64_t time_ns)
{
	struct lt_handle_list *listing = &handles->listings[entry->handle.listing];
	struct lt_site *from = site_of(handles, entry);
	struct lt_site *to = find_site(handles, entry->handle.kind, stack_id, 1);

	if (!to || to == from)
		return;
	listing->result.before -= lt_handle_from_before(handles, entry);
	lt_lives_stamp(to, time_ns);
	lt_lives_moved(handles->totals, from, to, entry->handle.birth_s, handles->now_s);
	entry->handle.site = to->index;
	entry->handle.birth_s = handles->now_s;
	listing->result.before += lt_handle_from_before(handles, entry);
}

void lt_handles_describe(struct lt_handles *handles, const struct lt_event *event)
{
	const struct lt_event_describe *what = &event->describe;
	const char *type, *name, *local, *state;
	struct lt_handle_entry *entry;

	if (what->listing >= LT_LISTINGS)
		return;
	entry = lt_handle_find(&handles->listings[what->listing], what->id);
	if (!entry || entry->state == LT_HANDLE_DEAD)
		return;
	type = lt_texts_hold(handles->texts, what->type);
	name = lt_texts_hold(handles->texts, what->name);
	local = lt_texts_hold(handles->texts, what->local);
	state = lt_texts_hold(handles->texts, what->state);
	handles->totals->memory_full += !type || !name || !local || !state;
	drop_texts(handles, &entry->handle);
	describe(entry, type ? type : "", name ? name : "", local ? local : "", state ? state : "");
	entry->handle.key = what->key;
	entry->handle.described = true;
}

const struct lt_model_listing *lt_handles_listing(const struct lt_handles *handles, uint8_t listing)
{
	return &handles->listings[listing < LT_LISTINGS ? listing : LT_LISTING_NOWHERE].result;
}

static int by_id(const struct lt_handle_entry *a, const struct lt_handle_entry *b)
{
	return (a->handle.id > b->handle.id) - (a->handle.id < b->handle.id);
}

static void walk(const struct lt_handles *handles,
		 void (*visit)(void *context, const struct lt_handle *handle), void *context)
{
	for (unsigned int i = 0; i < LT_LISTINGS; i++) {
		struct lt_handle_entry *entry, *next;

		HASH_ITER(hh, handles->listings[i].entries, entry, next)
			if (entry->state == LT_HANDLE_LIVE)
				visit(context, &entry->handle);
	}
}

/* Sorts the entries where they are: their order means nothing else. */
void lt_handles_each(const struct lt_handles *handles,
		     void (*visit)(void *context, const struct lt_handle *handle), void *context)
{
	for (unsigned int i = 0; i < LT_LISTINGS; i++) {
		struct lt_handle_list *listing = &handles->listings[i];

		if (!listing->sorted)
			HASH_SORT(listing->entries, by_id);
		listing->sorted = true;
	}
	walk(handles, visit, context);
}

static void lower_birth(void *context, const struct lt_handle *handle)
{
	uint32_t *births = context;

	if (handle->birth_s < births[handle->site])
		births[handle->site] = handle->birth_s;
}

void lt_handles_oldest(const struct lt_handles *handles, uint32_t *births)
{
	walk(handles, lower_birth, births);
}

size_t lt_handles_memory(const struct lt_handles *handles)
{
	/* HASH_OVERHEAD counts the handles within entries. */
	const size_t size = sizeof(struct lt_handle_entry) - sizeof(UT_hash_handle);
	size_t memory = sizeof(*handles) + LT_LISTINGS * sizeof(*handles->listings) +
			lt_texts_memory(handles->texts);

	for (unsigned int i = 0; i < LT_LISTINGS; i++) {
		const struct lt_handle_entry *entries = handles->listings[i].entries;

		memory += HASH_COUNT(entries) * size + HASH_OVERHEAD(hh, entries);
	}
	return memory;
}
