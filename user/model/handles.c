// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/handles.h"

#include "base/kind.h"
#include "model/handle_table.h"

/* Releases of ranges that are this close to each other are kept as one. */
#define SWEEP_NS UINT64_C(1000000000)

/* Something happened to the id: no census before it can tell of now. */
static void touch(struct lt_handle_entry *entry, uint64_t time_ns)
{
	entry->doubt_ns = 0;
	if (time_ns > entry->last_event_ns)
		entry->last_event_ns = time_ns;
}

/* dup2() ends what had the number; else a release was missed, or not told of yet to a census. */
void lt_handles_acquire(struct lt_handles *handles, const struct lt_event *event, uint32_t now_s)
{
	uint8_t number = lt_kind_listing(event->kind);
	struct lt_handle_list *listing = &handles->listings[number];
	struct lt_handle_entry *entry = lt_handle_obtain(handles, number, event->acquire.id);

	handles->now_s = now_s;
	if (!entry)
		return;
	if (entry->state == LT_HANDLE_LIVE && !(event->flags & LT_WIRE_F_REALLOC))
		listing->result.went++;
	lt_handle_forget(handles, entry);
	entry->handle.born_ns = event->time_ns;
	lt_handle_begin(handles, entry, event->kind, event->acquire.stack_id, event->time_ns);
	touch(entry, event->time_ns);
	lt_handle_bury(handles, listing);
}

static void release_one(struct lt_handles *handles, struct lt_handle_entry *entry,
			const struct lt_event *event)
{
	struct lt_handle_list *listing = &handles->listings[entry->handle.listing];
	struct lt_model_totals *totals = handles->totals;

	touch(entry, event->time_ns);
	if (entry->state == LT_HANDLE_LIVE) {
		totals->unknown_of_kind[entry->handle.kind] += lt_handle_from_before(handles,
										     entry);
		lt_handle_retire(handles, listing, entry);
		entry->swept = event->flags & LT_WIRE_F_RANGE;
		return;
	}
	entry->idle++;
	/* From before the attach, unless it is known to be released: the first census knows. */
	if (!listing->result.taken && !(event->flags & (LT_WIRE_F_REALLOC | LT_WIRE_F_RANGE)) &&
	    !entry->lived && !entry->unknown) {
		entry->unknown = event->kind;
		totals->unknown_released++;
		totals->unknown_of_kind[event->kind]++;
	}
	lt_handle_set_state(listing, entry, LT_HANDLE_DEAD); /* now as the last one */
}

/*
 * The release took nothing if there were more of them than there was to take: of two threads that
 * close the same descriptor one fails, whichever event came first.
 */
static void restore_one(struct lt_handles *handles, struct lt_handle_entry *entry,
			const struct lt_event *event)
{
	touch(entry, event->time_ns);
	if (entry->state == LT_HANDLE_LIVE)
		return;
	if (entry->idle) {
		entry->idle--;
		if (entry->unknown && !entry->idle) {
			handles->totals->unknown_released--;
			handles->totals->unknown_of_kind[entry->unknown]--;
			entry->unknown = LT_KIND_NONE;
		}
	} else if (entry->lived && entry->swept == !!(event->flags & LT_WIRE_F_RANGE)) {
		lt_handle_revive(handles, &handles->listings[entry->handle.listing], entry);
	}
}

/* False: it is empty. */
static bool range_of(const struct lt_event *event, struct lt_id_range *range)
{
	uint64_t first = event->release.id, more = event->release.size - 1;

	*range = (struct lt_id_range){ first,
				       more < UINT64_MAX - first ? first + more : UINT64_MAX };
	return event->release.size;
}

/* All known ids of the event's range: in as many steps as there are ids, or entries. */
static void each_of_range(struct lt_handles *handles, const struct lt_event *event,
			  void (*apply)(struct lt_handles *, struct lt_handle_entry *,
					const struct lt_event *))
{
	struct lt_handle_list *listing = &handles->listings[lt_kind_listing(event->kind)];
	struct lt_handle_entry *entry, *next;
	struct lt_id_range range;

	if (!range_of(event, &range))
		return;
	if (event->release.size > HASH_COUNT(listing->entries)) {
		HASH_ITER(hh, listing->entries, entry, next)
			if (lt_id_within(&range, entry->handle.id))
				apply(handles, entry, event);
		return;
	}
	for (uint64_t i = 0; i <= range.last - range.first; i++) {
		entry = lt_handle_find(listing, range.first + i);
		if (entry)
			apply(handles, entry, event);
	}
}

static void note_sweep(struct lt_handle_list *listing, const struct lt_event *event)
{
	struct lt_id_range *sweep = &listing->sweep, range;

	if (!range_of(event, &range))
		return;
	if (!listing->sweep_ns || event->time_ns > listing->sweep_ns + SWEEP_NS)
		*sweep = range;
	if (range.first < sweep->first)
		sweep->first = range.first;
	if (range.last > sweep->last)
		sweep->last = range.last;
	if (event->time_ns > listing->sweep_ns)
		listing->sweep_ns = event->time_ns;
}

void lt_handles_release(struct lt_handles *handles, const struct lt_event *event, uint32_t now_s)
{
	uint8_t number = lt_kind_listing(event->kind);
	struct lt_handle_list *listing = &handles->listings[number];
	struct lt_handle_entry *entry;

	handles->now_s = now_s;
	if (event->flags & LT_WIRE_F_RANGE) {
		note_sweep(listing, event);
		each_of_range(handles, event, release_one);
	} else {
		entry = lt_handle_obtain(handles, number, event->release.id);
		if (entry)
			release_one(handles, entry, event);
	}
	lt_handle_bury(handles, listing);
}

void lt_handles_restore(struct lt_handles *handles, const struct lt_event *event, uint32_t now_s)
{
	struct lt_handle_entry *entry;

	handles->now_s = now_s;
	if (event->flags & LT_WIRE_F_RANGE) {
		each_of_range(handles, event, restore_one);
		return;
	}
	entry = lt_handle_find(&handles->listings[lt_kind_listing(event->kind)], event->release.id);
	if (entry)
		restore_one(handles, entry, event);
}

void lt_handles_move(struct lt_handles *handles, const struct lt_event *event, uint32_t now_s)
{
	struct lt_handle_list *listing = &handles->listings[lt_kind_listing(event->kind)];
	struct lt_handle_entry *entry = lt_handle_find(listing, event->move.id);

	handles->now_s = now_s;
	if (!entry || entry->state != LT_HANDLE_LIVE)
		return;
	touch(entry, event->time_ns);
	lt_handle_move(handles, entry, event->move.stack_id, event->time_ns);
}

void lt_handles_passed(struct lt_handles *handles, const struct lt_event *event, uint32_t now_s)
{
	handles->now_s = now_s;
	lt_handle_pass(handles, event->kind, event->passed.stack_id, event->passed.count,
		       event->time_ns);
}
