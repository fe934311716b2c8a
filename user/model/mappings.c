// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/mappings.h"

#include <errno.h>
#include <stdlib.h>

#include "model/lives.h"
#include "model/ranges.h"

/*
 * What releases took, for a while: a call that fails follows its entry within the events of the
 * calls that other threads make meanwhile.  A release of more pieces than this cannot be undone,
 * which is counted.
 */
#define UNDO_RELEASES 4096U  /* power of two */
#define UNDO_PIECES   16384U /* power of two */

/* The kind of site that a class belongs to; 0: none. */
static const uint8_t site_kinds[LT_RANGE_CLASSES] = {
	[LT_RANGE_PLAIN] = LT_KIND_MMAP,
	[LT_RANGE_STACK] = LT_KIND_STACK,
};

/* One acquire.  Lives until no byte of it is mapped, nor could be restored. */
struct mapping {
	struct lt_site *site; /* NULL: of no site; such are static */
	uint64_t live_size;
	uint64_t undo_size; /* in pieces that may be restored */
	uint32_t birth_s;
	uint32_t died_s; /* when the last byte was released */
	uint8_t class;   /* enum lt_range_class */
};

/* Positions count up for ever; they lie at their remainder. */
struct released {
	uint64_t start, size;
	uint64_t first_piece;
	uint64_t piece_count;
	bool restored;
	bool unknown; /* nothing was there, as far as is known: counted as such */
};

struct lt_mappings {
	struct lt_sites *sites;
	struct lt_model_totals *totals;
	struct lt_ranges *ranges;
	uint32_t now_s;
	size_t mapping_count;
	struct mapping of_class[LT_RANGE_CLASSES]; /* of those without sites */
	uint64_t release_count, piece_count;
	struct released releases[UNDO_RELEASES];
	struct lt_range pieces[UNDO_PIECES];
};

int lt_mappings_new(struct lt_sites *sites, struct lt_model_totals *totals,
		    struct lt_mappings **mappings)
{
	struct lt_mappings *made = calloc(1, sizeof(*made));
	int err = made ? lt_ranges_new(&made->ranges) : -ENOMEM;

	if (err) {
		free(made);
		return err;
	}
	made->sites = sites;
	made->totals = totals;
	for (unsigned int class = 0; class < LT_RANGE_CLASSES; class ++)
		made->of_class[class].class = (uint8_t) class;
	*mappings = made;
	return 0;
}

static void unref(struct lt_mappings *mappings, struct mapping *mapping)
{
	if (!mapping->site || mapping->live_size || mapping->undo_size)
		return;
	mappings->mapping_count--;
	free(mapping);
}

static void forget_piece(struct lt_mappings *mappings, struct lt_range *piece)
{
	struct mapping *mapping = piece->owner;

	if (!mapping)
		return;
	piece->owner = NULL;
	mapping->undo_size -= piece->end - piece->start;
	unref(mappings, mapping);
}

static void ignore_piece(void *context, const struct lt_range *piece)
{
	struct mapping *mapping = piece->owner;

	mapping->live_size -= piece->end - piece->start;
	unref(context, mapping);
}

void lt_mappings_free(struct lt_mappings *mappings)
{
	if (!mappings)
		return;
	for (size_t i = 0; i < UNDO_PIECES && i < mappings->piece_count; i++)
		forget_piece(mappings, &mappings->pieces[i]);
	lt_ranges_remove(mappings->ranges, 0, UINT64_MAX, ignore_piece, mappings);
	lt_ranges_free(mappings->ranges);
	free(mappings);
}

/* Bytes of the mapping are no more. */
static void lose(struct lt_mappings *mappings, struct mapping *mapping, uint64_t size)
{
	mapping->live_size -= size;
	mappings->totals->mapped_size[mapping->class] -= size;
	if (!mapping->site)
		return;
	lt_lives_shrink(mappings->totals, mapping->site, size);
	if (mapping->live_size)
		return;
	mapping->died_s = mappings->now_s;
	lt_lives_died(mappings->totals, mapping->site, mapping->birth_s, mappings->now_s);
}

/* ... or live again, as if they had never been released. */
static void regain(struct lt_mappings *mappings, struct mapping *mapping, uint64_t size)
{
	bool dead = !mapping->live_size;

	mapping->live_size += size;
	mappings->totals->mapped_size[mapping->class] += size;
	if (!mapping->site)
		return;
	lt_lives_regrow(mappings->totals, mapping->site, size);
	if (dead)
		lt_lives_revived(mappings->totals, mapping->site, mapping->birth_s, mapping->died_s,
				 mappings->now_s);
}

/* Bytes of the mapping are new; its first ones make it a resource. */
static void gain(struct lt_mappings *mappings, struct mapping *mapping, uint64_t size)
{
	bool first = !mapping->live_size;

	mapping->live_size += size;
	mappings->totals->mapped_size[mapping->class] += size;
	if (!mapping->site)
		return;
	lt_lives_grow(mappings->totals, mapping->site, size);
	if (first)
		lt_lives_born(mappings->totals, mapping->site, mapping->birth_s, mappings->now_s);
}

/* A piece that no release was told of, or that cannot be kept. */
static void drop_piece(void *context, const struct lt_range *piece)
{
	lose(context, piece->owner, piece->end - piece->start);
	unref(context, piece->owner);
}

/* A piece of the latest release. */
static void release_piece(void *context, const struct lt_range *piece)
{
	struct lt_mappings *mappings = context;
	struct lt_range *kept = &mappings->pieces[mappings->piece_count++ % UNDO_PIECES];
	struct mapping *mapping = piece->owner;

	forget_piece(mappings, kept);
	*kept = *piece;
	mapping->undo_size += piece->end - piece->start;
	lose(mappings, mapping, piece->end - piece->start);
	mappings->releases[(mappings->release_count - 1) % UNDO_RELEASES].piece_count++;
}

/*
 * Puts a range where it is now, whatever was thought to be there; counted is what its owner gets.
 * False: there is no room for it, and the owner may be gone.
 */
static bool place(struct lt_mappings *mappings, const struct lt_range *range,
		  void (*count)(struct lt_mappings *, struct mapping *, uint64_t))
{
	struct mapping *mapping = range->owner;
	int err = lt_ranges_remove(mappings->ranges, range->start, range->end, drop_piece,
				   mappings);

	mappings->totals->memory_full += err != 0;
	count(mappings, mapping, range->end - range->start);
	if (!lt_ranges_insert(mappings->ranges, range))
		return true;
	mappings->totals->memory_full++;
	drop_piece(mappings, range);
	return false;
}

/* Old recordings have stacks without a stack id: nothing can be said of who made them. */
static bool has_site(uint8_t class, uint64_t stack_id)
{
	return site_kinds[class] && (class == LT_RANGE_PLAIN || stack_id);
}

static struct mapping *new_mapping(struct lt_mappings *mappings, const struct lt_event *event)
{
	uint8_t class = LT_WIRE_CLASS(event->flags);
	struct mapping *made;
	struct lt_site *site;
	int err;

	if (!has_site(class, event->acquire.stack_id))
		return &mappings->of_class[class];
	err = lt_sites_find(mappings->sites, site_kinds[class], event->acquire.stack_id, &site);
	made = err ? NULL : calloc(1, sizeof(*made));
	if (!made) {
		mappings->totals->sites_full += err == -ENOSPC;
		mappings->totals->memory_full += err != -ENOSPC;
		return NULL;
	}
	made->site = site;
	made->class = class;
	made->birth_s = mappings->now_s;
	lt_lives_stamp(site, event->time_ns);
	mappings->mapping_count++;
	return made;
}

/* False: no range of addresses. */
static bool range_of(uint64_t start, uint64_t size, struct lt_range *range)
{
	*range = (struct lt_range){ .start = start, .end = start + size };
	return range->start < range->end;
}

static bool convertible(const struct mapping *mapping, uint8_t class)
{
	return mapping->class != class &&
	       (mapping->class == LT_RANGE_PLAIN || mapping->class == LT_RANGE_RESERVED);
}

/* mprotect: reservations become memory, and the other way round; all else stays what it is. */
static void protect(struct lt_mappings *mappings, const struct lt_event *event,
		    const struct lt_range *all)
{
	struct mapping *mapping = NULL;
	uint64_t from = all->start;
	struct lt_range piece;

	while (from < all->end && lt_ranges_next(mappings->ranges, from, &piece) &&
	       piece.start < all->end) {
		if (piece.start < from)
			piece.start = from;
		if (piece.end > all->end)
			piece.end = all->end;
		from = piece.end;
		if (!convertible(piece.owner, LT_WIRE_CLASS(event->flags)))
			continue;
		if (!mapping)
			mapping = new_mapping(mappings, event);
		if (!mapping)
			return;
		piece.owner = mapping;
		if (!place(mappings, &piece, gain))
			mapping = NULL;
	}
}

/*
 * The C library keeps the stacks of threads that have ended for other ones, whoever makes them.  So
 * a stack is given up by the one site, and acquired anew at the other, even if that is the same.
 */
static void hand_over(struct lt_mappings *mappings, const struct lt_event *event)
{
	struct mapping *mapping;
	struct lt_range range;
	struct lt_site *site;

	if (!lt_ranges_next(mappings->ranges, event->acquire.id, &range) ||
	    range.start > event->acquire.id)
		return;
	mapping = range.owner;
	if (mapping->class != LT_RANGE_STACK || !mapping->site)
		return;
	if (lt_sites_find(mappings->sites, site_kinds[LT_RANGE_STACK], event->acquire.stack_id,
			  &site)) {
		mappings->totals->sites_full++;
		return;
	}
	lt_lives_shrink(mappings->totals, mapping->site, mapping->live_size);
	lt_lives_died(mappings->totals, mapping->site, mapping->birth_s, mappings->now_s);
	mapping->site = site;
	mapping->birth_s = mappings->now_s;
	lt_lives_stamp(site, event->time_ns);
	lt_lives_grow(mappings->totals, site, mapping->live_size);
	lt_lives_born(mappings->totals, site, mapping->birth_s, mappings->now_s);
}

void lt_mappings_acquire(struct lt_mappings *mappings, const struct lt_event *event, uint32_t now_s)
{
	struct lt_range range, old;

	mappings->now_s = now_s;
	if (!range_of(event->acquire.id, event->acquire.size, &range))
		return;
	if (event->flags & LT_WIRE_F_PROTECT && LT_WIRE_CLASS(event->flags) == LT_RANGE_STACK) {
		hand_over(mappings, event);
		return;
	}
	if (event->flags & LT_WIRE_F_PROTECT) {
		protect(mappings, event, &range);
		return;
	}
	/* What is still there must have been released unseen */
	mappings->totals->mapping_reused += lt_ranges_next(mappings->ranges, range.start, &old) &&
					    old.start < range.end;
	range.owner = new_mapping(mappings, event);
	if (range.owner)
		place(mappings, &range, gain);
	else
		lt_ranges_remove(mappings->ranges, range.start, range.end, drop_piece, mappings);
}

/*
 * Where nothing is known, there was something from before the attach; but what a call replaces may
 * as well be nothing.
 */
void lt_mappings_release(struct lt_mappings *mappings, const struct lt_event *event, uint32_t now_s)
{
	struct released *release = &mappings->releases[mappings->release_count % UNDO_RELEASES];
	struct lt_range range;

	mappings->now_s = now_s;
	if (!range_of(event->release.id, event->release.size, &range))
		return;
	mappings->release_count++;
	*release = (struct released){ .start = range.start,
				      .size = event->release.size,
				      .first_piece = mappings->piece_count };
	if (lt_ranges_remove(mappings->ranges, range.start, range.end, release_piece, mappings))
		mappings->totals->memory_full++;
	release->unknown = !release->piece_count && !(event->flags & LT_WIRE_F_REALLOC);
	mappings->totals->unknown_released += release->unknown;
	mappings->totals->unknown_of_kind[event->kind] += release->unknown;
}

/* The latest release of exactly this range that was not undone yet. */
static struct released *find_release(struct lt_mappings *mappings, const struct lt_event *event)
{
	for (uint64_t back = 1; back <= UNDO_RELEASES && back <= mappings->release_count; back++) {
		struct released *release =
			&mappings->releases[(mappings->release_count - back) % UNDO_RELEASES];

		if (!release->restored && release->start == event->release.id &&
		    release->size == event->release.size)
			return release;
	}
	return NULL;
}

void lt_mappings_restore(struct lt_mappings *mappings, const struct lt_event *event, uint32_t now_s)
{
	struct released *release = find_release(mappings, event);
	struct lt_range range;

	mappings->now_s = now_s;
	if (!range_of(event->release.id, event->release.size, &range))
		return;
	if (!release || mappings->piece_count - release->first_piece > UNDO_PIECES) {
		mappings->totals->restore_missed++;
		return;
	}
	release->restored = true;
	mappings->totals->unknown_released -= release->unknown;
	mappings->totals->unknown_of_kind[event->kind] -= release->unknown;
	for (uint64_t i = 0; i < release->piece_count; i++) {
		struct lt_range *kept = &mappings->pieces[(release->first_piece + i) % UNDO_PIECES];
		struct lt_range piece;

		if (range_of(event->release.target + (kept->start - release->start),
			     kept->end - kept->start, &piece)) {
			piece.owner = kept->owner;
			place(mappings, &piece, regain);
		}
		forget_piece(mappings, kept); /* which kept its owner until now */
	}
}

void lt_mappings_oldest(const struct lt_mappings *mappings, uint32_t *births)
{
	struct lt_range range = { 0 };

	while (lt_ranges_next(mappings->ranges, range.end, &range)) {
		const struct mapping *mapping = range.owner;

		if (mapping->site && mapping->birth_s < births[mapping->site->index])
			births[mapping->site->index] = mapping->birth_s;
	}
}

void lt_mappings_within(const struct lt_mappings *mappings, uint64_t start, uint64_t end,
			uint64_t bytes[LT_RANGE_CLASSES])
{
	struct lt_range range = { .end = start };

	for (unsigned int class = 0; class < LT_RANGE_CLASSES; class ++)
		bytes[class] = 0;
	while (lt_ranges_next(mappings->ranges, range.end, &range) && range.start < end) {
		const struct mapping *mapping = range.owner;
		uint64_t first = range.start > start ? range.start : start;

		bytes[mapping->class] += (range.end < end ? range.end : end) - first;
	}
}

size_t lt_mappings_memory(const struct lt_mappings *mappings)
{
	return sizeof(*mappings) + lt_ranges_memory(mappings->ranges) +
	       mappings->mapping_count * sizeof(struct mapping);
}
