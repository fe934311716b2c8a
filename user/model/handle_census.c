// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/kind.h"
#include "model/handle_table.h"

/* An event is told before or after what it tells of: the kernel's list may show either. */
#define FLUX_NS UINT64_C(10000000)

/* A census of from_ns may show the id as it was before its last event, or after it. */
static bool in_flux(const struct lt_handle_list *listing, uint64_t id,
		    const struct lt_handle_entry *entry, uint64_t from_ns)
{
	uint64_t settled_ns = from_ns > FLUX_NS ? from_ns - FLUX_NS : 0;

	if (entry && entry->last_event_ns > settled_ns)
		return true;
	return listing->sweep_ns > settled_ns && lt_id_within(&listing->sweep, id);
}

/* True: an earlier census showed the same, and nothing happened since; else it is noted. */
static bool believed(struct lt_handle_entry *entry, uint8_t shown, uint64_t from_ns)
{
	if (entry->doubt_ns && entry->shown == shown)
		return entry->doubt_ns < from_ns;
	entry->doubt_ns = from_ns;
	entry->shown = shown;
	return false;
}

/* What the kernel lists, and we do not have, or not as that. */
static void missing_here(struct lt_handles *handles, struct lt_handle_list *listing,
			 struct lt_handle_entry *entry, const struct lt_listed *item,
			 const struct lt_event *event)
{
	bool live = entry->state == LT_HANDLE_LIVE, seed = !live && !listing->result.taken;

	if (entry->state == LT_HANDLE_DEAD)
		lt_handle_forget(handles, entry); /* it is of what died */
	if (!seed && !believed(entry, item->kind, event->census.from_ns)) {
		listing->found.unknown++;
		listing->found.vanished += live;
		if (!live)
			lt_handle_set_state(listing, entry, LT_HANDLE_DOUBTED);
		return;
	}
	listing->result.went += live;
	entry->handle.born_ns = item->born_ns;
	if (lt_handle_begin(handles, entry, item->kind,
			    seed ? LT_STACK_FROM_BEFORE : LT_STACK_UNSEEN, event->time_ns))
		listing->result.came += !seed;
}

static void compare_item(struct lt_handles *handles, struct lt_handle_list *listing,
			 const struct lt_listed *item, const struct lt_event *event)
{
	struct lt_handle_entry *entry = lt_handle_find(listing, item->id);

	if (lt_kind_listing(item->kind) != event->census.listing)
		return;
	listing->found.listed++;
	if (entry)
		entry->census = listing->number;
	if (in_flux(listing, item->id, entry, event->census.from_ns))
		return;
	if (entry && entry->state == LT_HANDLE_LIVE && entry->handle.kind == item->kind) {
		entry->doubt_ns = 0;
		if (!entry->handle.born_ns)
			entry->handle.born_ns = item->born_ns;
		return;
	}
	entry = lt_handle_obtain(handles, (uint8_t)event->census.listing, item->id);
	if (!entry)
		return;
	entry->census = listing->number;
	missing_here(handles, listing, entry, item, event);
}

/* What the whole census did not list, and what need not be remembered behind it. */
static void compare_entries(struct lt_handles *handles, struct lt_handle_list *listing)
{
	struct lt_handle_entry *entry, *next;

	HASH_ITER(hh, listing->entries, entry, next) {
		if (in_flux(listing, entry->handle.id, entry, listing->from_ns) ||
		    (entry->census == listing->number && entry->state != LT_HANDLE_DEAD))
			continue;
		if (entry->state == LT_HANDLE_LIVE) {
			if (!believed(entry, LT_KIND_NONE, listing->from_ns)) {
				listing->found.vanished++;
				continue;
			}
			listing->result.went++;
			lt_handle_retire(handles, listing, entry);
		}
		lt_handle_drop(handles, listing, entry);
	}
}

static void start_census(struct lt_handle_list *listing, uint64_t from_ns)
{
	listing->number++;
	listing->found = (struct lt_model_listing){ 0 };
	listing->from_ns = from_ns;
	listing->next_low = 0;
	listing->under_way = true;
}

static void finish_census(struct lt_handles *handles, struct lt_handle_list *listing)
{
	struct lt_model_listing *result = &listing->result;

	listing->under_way = false;
	compare_entries(handles, listing);
	result->taken = true;
	result->listed = listing->found.listed;
	result->tracked = listing->live;
	result->unknown = listing->found.unknown;
	result->vanished = listing->found.vanished;
}

/* A part that does not continue the one before it belongs to a census that is not whole. */
void lt_handles_census(struct lt_handles *handles, const struct lt_event *event, uint32_t now_s)
{
	const struct lt_event_census *census = &event->census;
	struct lt_handle_list *listing;

	handles->now_s = now_s;
	if (census->listing == LT_LISTING_NOWHERE || census->listing >= LT_LISTINGS)
		return;
	listing = &handles->listings[census->listing];
	if (!census->low)
		start_census(listing, census->from_ns);
	if (!listing->under_way || census->low != listing->next_low) {
		listing->under_way = false;
		return;
	}
	for (uint32_t i = 0; i < census->count; i++)
		compare_item(handles, listing, &census->items[i], event);
	if (census->high == UINT64_MAX)
		finish_census(handles, listing);
	else
		listing->next_low = census->high + 1;
	lt_handle_bury(handles, listing);
}
