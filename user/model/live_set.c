/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/live_set.h"

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/*
 * 1024 segments: at 10 M entries one segment holds 10 k, so that the longest pause, one resize, is
 * some 100 us.  A segment grows by a half when 7/8 full: its load is then never below 7/12, which
 * makes 24 B / (7/12) = 41 B per entry the worst case while growing.
 */
#define SEGMENT_BITS  10
#define SEGMENTS      (1U << SEGMENT_BITS)
#define MIN_CAPACITY  8U
#define SIZE_MAX_56   ((UINT64_C(1) << 56) - 1)
#define MALLOC_HEADER sizeof(size_t) /* of a glibc chunk, beside its usable size */

struct slot {
	uint64_t id;
	uint64_t size_kind;  /* size << 8 | kind */
	uint32_t site_plus1; /* 0: empty */
	uint32_t birth_s;
};

_Static_assert(sizeof(struct slot) == 24, "what an entry costs");

struct segment {
	struct slot *slots;
	uint32_t count;
	uint32_t capacity;
};

struct lt_live_set {
	struct segment segments[SEGMENTS];
	size_t count;
	size_t memory;
};

static uint64_t hash_key(uint8_t kind, uint64_t id)
{
	return lt_mix64(id ^ ((uint64_t)kind << 56));
}

static struct segment *find_segment(struct lt_live_set *set, uint64_t hash)
{
	return &set->segments[hash >> (64 - SEGMENT_BITS)];
}

/* The slot at which probing starts: scales 32 hash bits to any capacity (Lemire, "fastrange"). */
static uint32_t home(const struct segment *segment, uint64_t hash)
{
	return (uint32_t)(((hash & UINT32_MAX) * segment->capacity) >> 32);
}

static uint32_t next_slot(const struct segment *segment, uint32_t index)
{
	return index + 1 == segment->capacity ? 0 : index + 1;
}

static uint8_t slot_kind(const struct slot *slot)
{
	return (uint8_t)slot->size_kind;
}

static uint64_t slot_hash(const struct slot *slot)
{
	return hash_key(slot_kind(slot), slot->id);
}

/* The slot of the key, or the empty one where it belongs; the segment has an empty slot. */
static uint32_t probe(const struct segment *segment, uint64_t hash, uint8_t kind, uint64_t id)
{
	uint32_t index = home(segment, hash);

	while (segment->slots[index].site_plus1 &&
	       (segment->slots[index].id != id || slot_kind(&segment->slots[index]) != kind))
		index = next_slot(segment, index);
	return index;
}

static struct slot encode(const struct lt_live_entry *entry)
{
	uint64_t size = entry->size < SIZE_MAX_56 ? entry->size : SIZE_MAX_56;

	return (struct slot){
		.id = entry->id,
		.size_kind = size << 8 | entry->kind,
		.site_plus1 = entry->site + 1,
		.birth_s = entry->birth_s,
	};
}

static struct lt_live_entry decode(const struct slot *slot)
{
	return (struct lt_live_entry){
		.id = slot->id,
		.size = slot->size_kind >> 8,
		.site = slot->site_plus1 - 1,
		.birth_s = slot->birth_s,
		.kind = slot_kind(slot),
	};
}

static size_t slots_memory(struct slot *slots)
{
	return slots ? malloc_usable_size(slots) + MALLOC_HEADER : 0;
}

static int resize(struct lt_live_set *set, struct segment *segment, uint32_t capacity)
{
	struct segment resized = { .count = segment->count, .capacity = capacity };

	resized.slots = calloc(capacity, sizeof(*resized.slots));
	if (!resized.slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < segment->capacity; i++) {
		const struct slot *slot = &segment->slots[i];

		if (slot->site_plus1)
			resized.slots[probe(&resized, slot_hash(slot), slot_kind(slot), slot->id)] =
				*slot;
	}
	set->memory += slots_memory(resized.slots) - slots_memory(segment->slots);
	free(segment->slots);
	*segment = resized;
	return 0;
}

static int make_room(struct lt_live_set *set, struct segment *segment)
{
	uint64_t capacity = segment->capacity;

	if (segment->count + 1 <= capacity / 8 * 7 + capacity % 8 * 7 / 8)
		return 0;
	capacity = capacity ? capacity + capacity / 2 : MIN_CAPACITY;
	return capacity > UINT32_MAX ? -ENOMEM : resize(set, segment, (uint32_t)capacity);
}

int lt_live_set_new(struct lt_live_set **set)
{
	struct lt_live_set *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	made->memory = malloc_usable_size(made) + MALLOC_HEADER;
	*set = made;
	return 0;
}

void lt_live_set_free(struct lt_live_set *set)
{
	if (!set)
		return;
	lt_live_set_clear(set);
	free(set);
}

int lt_live_set_insert(struct lt_live_set *set, const struct lt_live_entry *entry,
		       struct lt_live_entry *old)
{
	uint64_t hash = hash_key(entry->kind, entry->id);
	struct segment *segment = find_segment(set, hash);
	uint32_t index = 0;
	int err;

	if (segment->capacity) {
		index = probe(segment, hash, entry->kind, entry->id);
		if (segment->slots[index].site_plus1) {
			*old = decode(&segment->slots[index]);
			segment->slots[index] = encode(entry);
			return 1;
		}
	}
	uint32_t capacity = segment->capacity;

	err = make_room(set, segment);
	if (err)
		return err;
	if (segment->capacity != capacity)
		index = probe(segment, hash, entry->kind, entry->id);
	segment->slots[index] = encode(entry);
	segment->count++;
	set->count++;
	return 0;
}

/* Closes the gap at an emptied slot (Knuth 6.4, algorithm R): no tombstones, probes stay short. */
static void close_gap(struct segment *segment, uint32_t gap)
{
	uint32_t index = gap;

	for (;;) {
		index = next_slot(segment, index);
		const struct slot *slot = &segment->slots[index];

		if (!slot->site_plus1)
			break;
		uint32_t start = home(segment, slot_hash(slot));
		/* May stay if its probing starts behind the gap, cyclically. */
		bool stays = gap < index ? gap < start && start <= index
					 : gap < start || start <= index;

		if (stays)
			continue;
		segment->slots[gap] = *slot;
		gap = index;
	}
	segment->slots[gap].site_plus1 = 0;
}

int lt_live_set_remove(struct lt_live_set *set, uint8_t kind, uint64_t id,
		       struct lt_live_entry *entry)
{
	uint64_t hash = hash_key(kind, id);
	struct segment *segment = find_segment(set, hash);

	if (!segment->capacity)
		return -ENOENT;
	uint32_t index = probe(segment, hash, kind, id);

	if (!segment->slots[index].site_plus1)
		return -ENOENT;
	*entry = decode(&segment->slots[index]);
	close_gap(segment, index);
	segment->count--;
	set->count--;
	/* Shrinking is a favour: without the memory for it the segment stays as it is. */
	if (segment->capacity > 4 * MIN_CAPACITY && segment->count < segment->capacity / 8)
		(void)resize(set, segment, segment->capacity / 4);
	return 0;
}

void lt_live_set_clear(struct lt_live_set *set)
{
	for (size_t i = 0; i < SEGMENTS; i++) {
		set->memory -= slots_memory(set->segments[i].slots);
		free(set->segments[i].slots);
		set->segments[i] = (struct segment){ 0 };
	}
	set->count = 0;
}

size_t lt_live_set_count(const struct lt_live_set *set)
{
	return set->count;
}

size_t lt_live_set_memory(const struct lt_live_set *set)
{
	return set->memory;
}

void lt_live_set_each(const struct lt_live_set *set,
		      void (*visit)(void *context, const struct lt_live_entry *entry),
		      void *context)
{
	for (size_t i = 0; i < SEGMENTS; i++) {
		const struct segment *segment = &set->segments[i];

		for (uint32_t j = 0; j < segment->capacity; j++) {
			if (!segment->slots[j].site_plus1)
				continue;
			struct lt_live_entry entry = decode(&segment->slots[j]);

			visit(context, &entry);
		}
	}
}
