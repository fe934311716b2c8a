/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What model/handles.h keeps, for those who change it: events (handles.c) and censuses
 * (handle_census.c).  Nobody else includes this.
 *
 * There is one entry for each id of a listing.  It stays after the release until a census from
 * later than its last event: only then can nothing tell of that life any more.  Of the dead only so many
 * are kept, the latest; of goroutines, which no census lists, few (handle_table.c).
 */
#ifndef LT_MODEL_HANDLE_TABLE_H
#define LT_MODEL_HANDLE_TABLE_H

#include <sys/queue.h>

#include "model/handles.h"
#include "model/texts.h"

/* A failed insertion leaves hh.tbl NULL instead of ending the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

enum lt_handle_state {
	LT_HANDLE_LIVE,
	LT_HANDLE_DEAD,    /* released: in the list of the dead */
	LT_HANDLE_DOUBTED, /* not live, but a census listed it */
};

struct lt_handle_entry {
	struct lt_handle handle; /* first: visitors get it */
	UT_hash_handle hh;
	TAILQ_ENTRY(lt_handle_entry) link; /* of the dead */
	uint64_t last_event_ns;
	/*
	 * from_ns of the first census that showed something else than we believe, if nothing
	 * happened to the id since; 0: none did.
	 */
	uint64_t doubt_ns;
	uint32_t census; /* number of the one that listed it last */
	uint32_t died_s;
	uint32_t idle;   /* releases since then, of which each took nothing */
	uint8_t state;   /* enum lt_handle_state */
	uint8_t shown;   /* in doubt: the kind that was listed; 0: it was not */
	bool lived;      /* dead: its last release took what handle describes ... */
	bool swept;      /* ... as one of a range */
	uint8_t unknown; /* the kind of which an idle one is counted as unknown; 0: none is */
};

struct lt_id_range {
	uint64_t first, last;
};

struct lt_handle_list {
	struct lt_handle_entry *entries;
	bool sorted;                        /* by id, as far as their table keeps an order */
	TAILQ_HEAD(, lt_handle_entry) dead; /* by their last event, as they came */
	size_t dead_count;
	uint64_t live;
	struct lt_model_listing result;
	/* What a census under way has found so far. */
	struct lt_model_listing found;
	uint64_t from_ns, next_low;
	uint32_t number;
	bool under_way;
	/* What releases of ranges covered lately, and may have ended without our knowing it. */
	struct lt_id_range sweep;
	uint64_t sweep_ns;
};

struct lt_handles {
	struct lt_sites *sites;
	struct lt_model_totals *totals;
	struct lt_texts *texts;
	struct lt_handle_list *listings; /* by enum lt_listing; NOWHERE's stays empty */
	uint32_t now_s;
};

static inline bool lt_id_within(const struct lt_id_range *range, uint64_t id)
{
	return id >= range->first && id <= range->last;
}

static inline bool lt_handle_from_before(const struct lt_handles *handles,
					 const struct lt_handle_entry *entry)
{
	return lt_sites_at(handles->sites, entry->handle.site)->stack_id == LT_STACK_FROM_BEFORE;
}

struct lt_handle_entry *lt_handle_find(const struct lt_handle_list *listing, uint64_t id);
/* Finds or makes it, dead.  NULL: no memory, which is counted. */
struct lt_handle_entry *lt_handle_obtain(struct lt_handles *handles, uint8_t number, uint64_t id);
void lt_handle_drop(struct lt_handles *handles, struct lt_handle_list *listing,
		    struct lt_handle_entry *entry);
/* Drops those that died first, if there are too many.  Not while entries are walked through. */
void lt_handle_bury(struct lt_handles *handles, struct lt_handle_list *listing);
void lt_handle_set_state(struct lt_handle_list *listing, struct lt_handle_entry *entry,
			 enum lt_handle_state state);
/* Forgets its description. */
void lt_handle_forget(struct lt_handles *handles, struct lt_handle_entry *entry);

/*
 * The id is a new resource from now on; what it was before is retired.  False: it cannot be
 * attributed, and is not kept.
 */
bool lt_handle_begin(struct lt_handles *handles, struct lt_handle_entry *entry, uint8_t kind,
		     uint64_t stack_id, uint64_t time_ns);
/* A live one belongs to this stack from now on; if that cannot be, it stays where it is. */
void lt_handle_move(struct lt_handles *handles, struct lt_handle_entry *entry, uint64_t stack_id,
		    uint64_t time_ns);
/* So many began and ended at this stack. */
void lt_handle_pass(struct lt_handles *handles, uint8_t kind, uint64_t stack_id, uint64_t count,
		    uint64_t time_ns);
/* A live one is dead, and a dead one lives on as if it had never been. */
void lt_handle_retire(struct lt_handles *handles, struct lt_handle_list *listing,
		      struct lt_handle_entry *entry);
void lt_handle_revive(struct lt_handles *handles, struct lt_handle_list *listing,
		      struct lt_handle_entry *entry);

#endif
