// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/places.h"

#include <errno.h>
#include <stdlib.h>

#include "cli/tenancy.h"
#include "leaktrace/limits.h"

#define JIT_NEARBY (64ULL << 20)

static bool overlap(const struct lt_place *a, const struct lt_place *b)
{
	return a->start < b->end && b->start < a->end;
}

/* JIT code means nothing by its addresses: its places only keep those of files apart from it. */
static bool is_jit(const struct lt_place *place)
{
	return !place->version;
}

static bool nearby(const struct lt_place *a, const struct lt_place *b)
{
	return a->start < b->end + JIT_NEARBY && b->start < a->end + JIT_NEARBY;
}

/* The place that is meant by a new one, or NULL; made->tag is one that no other has there. */
static struct lt_place *find_place(const struct lt_places *places, struct lt_place *made)
{
	struct lt_place *found = NULL;
	uint64_t above_files = 0;

	made->tag = 0;
	for (size_t i = 0; i < places->count; i++) {
		struct lt_place *place = &places->entries[i];

		if (!overlap(place, made))
			continue;
		if (place->tag >= made->tag)
			made->tag = place->tag + 1;
		if (!is_jit(place) && place->tag >= above_files)
			above_files = place->tag + 1;
		if (!is_jit(made) && place->device == made->device && place->inode == made->inode &&
		    place->version == made->version && place->bias == made->bias)
			found = place;
	}
	/* One place serves all JIT code around, as long as no file there has the same tag. */
	for (size_t i = 0; is_jit(made) && !found && i < places->count; i++) {
		struct lt_place *place = &places->entries[i];

		if (is_jit(place) && place->tag >= above_files && nearby(place, made))
			found = place;
	}
	return found;
}

static int add_place(struct lt_places *places, const struct lt_place *made)
{
	size_t count = places->count;
	struct lt_place *entries;

	if ((count & (count - 1)) == 0) { /* a power of two: full */
		entries = reallocarray(places->entries, count ? count * 2 : 1, sizeof(*entries));
		if (!entries)
			return -ENOMEM;
		places->entries = entries;
	}
	places->entries[places->count++] = *made;
	return 0;
}

int lt_places_choose(struct lt_places *places, struct lt_place *made, bool *told)
{
	struct lt_place *found = find_place(places, made);

	*told = is_jit(made);
	if (!found)
		return places->count < LT_MAX_MODULES && made->tag < LT_TAG_UNKNOWN
			       ? add_place(places, made)
			       : -E2BIG;
	made->tag = found->tag;
	*told |= found->start <= made->start && made->end <= found->end;
	if (made->start < found->start)
		found->start = made->start;
	if (made->end > found->end)
		found->end = made->end;
	return 0;
}

void lt_places_free(struct lt_places *places)
{
	free(places->entries);
	*places = (struct lt_places){ 0 };
}
