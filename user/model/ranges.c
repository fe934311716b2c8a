/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "leaktrace/limits.h"

#define CHUNK_RANGES 256U /* 6 KiB: what an insertion moves at most; so is the array of chunks */

struct chunk {
	unsigned int count; /* never 0 */
	struct lt_range ranges[CHUNK_RANGES];
};

struct lt_ranges {
	struct chunk **chunks;
	size_t chunk_count, chunk_capacity;
	size_t count;
};

/* Where a range is, or would be inserted: chunk == chunk_count behind the last one. */
struct place {
	size_t chunk;
	unsigned int index;
};

int lt_ranges_new(struct lt_ranges **ranges)
{
	*ranges = calloc(1, sizeof(**ranges));
	return *ranges ? 0 : -ENOMEM;
}

void lt_ranges_free(struct lt_ranges *ranges)
{
	if (!ranges)
		return;
	for (size_t i = 0; i < ranges->chunk_count; i++)
		free(ranges->chunks[i]);
	free(ranges->chunks);
	free(ranges);
}

/* The first range that ends above the address. */
static struct place find(const struct lt_ranges *ranges, uint64_t address)
{
	size_t low = 0, high = ranges->chunk_count;
	struct place place = { 0 };

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct chunk *chunk = ranges->chunks[middle];

		if (chunk->ranges[chunk->count - 1].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	place.chunk = low;
	if (low == ranges->chunk_count)
		return place;
	for (high = ranges->chunks[place.chunk]->count, low = 0; low < high;) {
		size_t middle = (low + high) / 2;

		if (ranges->chunks[place.chunk]->ranges[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	place.index = (unsigned int)low;
	return place;
}

static struct lt_range *at(const struct lt_ranges *ranges, struct place place)
{
	return place.chunk < ranges->chunk_count ? &ranges->chunks[place.chunk]->ranges[place.index]
						 : NULL;
}

static struct lt_range *before(const struct lt_ranges *ranges, struct place place)
{
	const struct chunk *chunk;

	if (place.index)
		return &ranges->chunks[place.chunk]->ranges[place.index - 1];
	if (!place.chunk)
		return NULL;
	chunk = ranges->chunks[place.chunk - 1];
	return (struct lt_range *)&chunk->ranges[chunk->count - 1];
}

/* An empty chunk at this position: to be filled at once. */
static int add_chunk(struct lt_ranges *ranges, size_t position)
{
	struct chunk *chunk;

	if (ranges->chunk_count == ranges->chunk_capacity) {
		size_t capacity = ranges->chunk_capacity ? 2 * ranges->chunk_capacity : 8;
		struct chunk **chunks = reallocarray(ranges->chunks, capacity, sizeof(chunk));

		if (!chunks)
			return -ENOMEM;
		ranges->chunks = chunks;
		ranges->chunk_capacity = capacity;
	}
	chunk = malloc(sizeof(*chunk));
	if (!chunk)
		return -ENOMEM;
	chunk->count = 0;
	memmove(&ranges->chunks[position + 1], &ranges->chunks[position],
		(ranges->chunk_count - position) * sizeof(chunk));
	ranges->chunks[position] = chunk;
	ranges->chunk_count++;
	return 0;
}

static void drop_chunk(struct lt_ranges *ranges, size_t position)
{
	free(ranges->chunks[position]);
	ranges->chunk_count--;
	memmove(&ranges->chunks[position], &ranges->chunks[position + 1],
		(ranges->chunk_count - position) * sizeof(ranges->chunks[0]));
}

/* Makes sure that the place's chunk exists and has room; the place may move with its range. */
static int make_room(struct lt_ranges *ranges, struct place *place)
{
	struct chunk *chunk, *upper;
	int err;

	if (ranges->count >= LT_MAX_RANGES)
		return -ENOSPC;
	if (!ranges->chunk_count)
		return add_chunk(ranges, 0);
	if (place->chunk == ranges->chunk_count) { /* behind the last range */
		place->chunk--;
		place->index = ranges->chunks[place->chunk]->count;
	}
	chunk = ranges->chunks[place->chunk];
	if (chunk->count < CHUNK_RANGES)
		return 0;
	err = add_chunk(ranges, place->chunk + 1);
	if (err)
		return err;
	upper = ranges->chunks[place->chunk + 1];
	upper->count = CHUNK_RANGES / 2;
	chunk->count -= upper->count;
	memcpy(upper->ranges, &chunk->ranges[chunk->count],
	       upper->count * sizeof(upper->ranges[0]));
	if (place->index > chunk->count) {
		place->index -= chunk->count;
		place->chunk++;
	}
	return 0;
}

static int insert_at(struct lt_ranges *ranges, struct place place, const struct lt_range *range)
{
	struct chunk *chunk;
	int err = make_room(ranges, &place);

	if (err)
		return err;
	chunk = ranges->chunks[place.chunk];
	memmove(&chunk->ranges[place.index + 1], &chunk->ranges[place.index],
		(chunk->count - place.index) * sizeof(*range));
	chunk->ranges[place.index] = *range;
	chunk->count++;
	ranges->count++;
	return 0;
}

/* Sparse neighbours become one, so that chunks are a quarter full on the average. */
static void merge_chunks(struct lt_ranges *ranges, size_t position)
{
	struct chunk *lower, *upper;

	if (position + 1 >= ranges->chunk_count)
		return;
	lower = ranges->chunks[position];
	upper = ranges->chunks[position + 1];
	if (lower->count + upper->count > CHUNK_RANGES / 2)
		return;
	memcpy(&lower->ranges[lower->count], upper->ranges,
	       upper->count * sizeof(upper->ranges[0]));
	lower->count += upper->count;
	drop_chunk(ranges, position + 1);
}

/* Of one chunk. */
static void remove_at(struct lt_ranges *ranges, struct place place, unsigned int count)
{
	struct chunk *chunk = ranges->chunks[place.chunk];

	chunk->count -= count;
	ranges->count -= count;
	memmove(&chunk->ranges[place.index], &chunk->ranges[place.index + count],
		(chunk->count - place.index) * sizeof(chunk->ranges[0]));
	if (!chunk->count)
		drop_chunk(ranges, place.chunk);
	else
		merge_chunks(ranges, place.chunk);
	if (place.chunk)
		merge_chunks(ranges, place.chunk - 1);
}

int lt_ranges_insert(struct lt_ranges *ranges, const struct lt_range *range)
{
	struct place place = find(ranges, range->start);
	struct lt_range *next = at(ranges, place), *last = before(ranges, place);

	if (next && next->start < range->end)
		return -EEXIST;
	if (last && (last->end != range->start || last->owner != range->owner))
		last = NULL;
	if (next && (next->start != range->end || next->owner != range->owner))
		next = NULL;
	if (!last && !next)
		return insert_at(ranges, place, range);
	if (last && next) {
		last->end = next->end;
		remove_at(ranges, place, 1);
	} else if (last) {
		last->end = range->end;
	} else {
		next->start = range->start;
	}
	return 0;
}

/* A hole in the middle of a range. */
static int punch(struct lt_ranges *ranges, struct place place, uint64_t start, uint64_t end,
		 void (*visit)(void *context, const struct lt_range *piece), void *context)
{
	struct lt_range *range = at(ranges, place);
	struct lt_range hole = { start, end, range->owner };
	struct lt_range rest = { end, range->end, range->owner };
	int err;

	range->end = start;
	place.index++;
	err = insert_at(ranges, place, &rest);
	if (err)
		hole.end = rest.end;
	visit(context, &hole);
	return err;
}

int lt_ranges_remove(struct lt_ranges *ranges, uint64_t start, uint64_t end,
		     void (*visit)(void *context, const struct lt_range *piece), void *context)
{
	struct place place;
	struct lt_range *range;

	while (start < end && (range = at(ranges, (place = find(ranges, start)))) &&
	       range->start < end) {
		const struct chunk *chunk = ranges->chunks[place.chunk];
		unsigned int whole = 0;

		if (range->start < start && range->end > end)
			return punch(ranges, place, start, end, visit, context);
		if (range->start < start) { /* its end */
			visit(context, &(struct lt_range){ start, range->end, range->owner });
			range->end = start;
			continue;
		}
		while (place.index + whole < chunk->count && range[whole].end <= end)
			visit(context, &range[whole++]);
		if (whole) {
			remove_at(ranges, place, whole);
			continue;
		}
		visit(context, &(struct lt_range){ range->start, end, range->owner });
		range->start = end;
	}
	return 0;
}

bool lt_ranges_next(const struct lt_ranges *ranges, uint64_t address, struct lt_range *range)
{
	const struct lt_range *found = at(ranges, find(ranges, address));

	if (found)
		*range = *found;
	return found;
}

size_t lt_ranges_count(const struct lt_ranges *ranges)
{
	return ranges->count;
}

size_t lt_ranges_memory(const struct lt_ranges *ranges)
{
	return sizeof(*ranges) + ranges->chunk_capacity * sizeof(ranges->chunks[0]) +
	       ranges->chunk_count * sizeof(*ranges->chunks[0]);
}
