// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/buckets.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "go/remote_blocks.h"

#define MAX_FRAMES (16U << 20) /* of all buckets together */
#define TYPE_HEAP  1           /* runtime/mprof.go: memProfile */
/*
 * Of one insertion: the target chooses the hashes.  In a table that is at most half full, chance
 * makes it less than 100 for LT_MAX_GO_BUCKETS.
 */
#define MAX_PROBES 256
#define MAX_SUM    0x1p62 /* what it is made of may be anything: it is to fit into an integer */

/* runtime/mprof.go: bucket; the same in all versions.  Stack and memRecord follow. */
struct header {
	uint64_t next, allnext, type, hash, size, depth;
};

/* runtime/mprof.go: memRecordCycle.  The bytes are not there in 1.27 (counts_only). */
struct cycle {
	uint64_t allocs, frees, alloc_bytes, free_bytes;
};

#define CYCLES 4 /* runtime/mprof.go: memRecord: active, future[3] */

struct slot {            /* of the hash table */
	uint32_t bucket; /* + 1; 0: free */
	uint32_t first;  /* of its frames in heap->frames */
};

struct reading {
	const struct lt_go_bucket_list *list;
	struct lt_remote_blocks *blocks;
	struct lt_go_heap *heap;
	bool all_cycles; /* those to come as well */
	bool seen;       /* anything counted */
	size_t bucket_capacity, frame_count, frame_capacity;
	struct slot *slots;
	size_t slot_count;                      /* a power of two */
	uint64_t stack[LT_MAX_GO_BUCKET_DEPTH]; /* of the bucket being read */
};

double lt_go_sample_scale(uint64_t size, uint64_t rate)
{
	if (rate <= 1 || !size)
		return 1;
	return 1 / -expm1(-(double)size / (double)rate);
}

/* Where it is, or where it goes.  NULL: nowhere. */
static struct slot *find_slot(const struct reading *reading, uint64_t hash, size_t depth)
{
	const struct lt_go_heap *heap = reading->heap;

	for (size_t i = 0; i < MAX_PROBES; i++) {
		struct slot *slot = &reading->slots[(hash + i) & (reading->slot_count - 1)];
		const struct lt_go_bucket *bucket;

		if (!slot->bucket)
			return slot;
		bucket = &heap->buckets[slot->bucket - 1];
		if (bucket->hash != hash)
			continue;
		/* Chance does not make two stacks of one hash. */
		if (bucket->frame_count != depth ||
		    memcmp(heap->frames + slot->first, reading->stack, depth * sizeof(uint64_t)) !=
			    0)
			return NULL;
		return slot;
	}
	return NULL;
}

/* NULL: there is none near. */
static struct slot *free_slot(struct slot *slots, size_t count, uint64_t hash)
{
	for (size_t i = 0; i < MAX_PROBES; i++)
		if (!slots[(hash + i) & (count - 1)].bucket)
			return &slots[(hash + i) & (count - 1)];
	return NULL;
}

/* -E2BIG: the hashes are made to meet. */
static int grow_slots(struct reading *reading)
{
	size_t count = reading->slot_count ? 2 * reading->slot_count : 1024;
	_lt_free_ struct slot *slots = NULL;

	if (2 * reading->heap->count < reading->slot_count)
		return 0;
	slots = calloc(count, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < reading->slot_count; i++) {
		const struct slot *old = &reading->slots[i];
		struct slot *slot;

		if (!old->bucket)
			continue;
		slot = free_slot(slots, count, reading->heap->buckets[old->bucket - 1].hash);
		if (!slot)
			return -E2BIG;
		*slot = *old;
	}
	free(reading->slots);
	reading->slots = lt_take_ptr(slots);
	reading->slot_count = count;
	return 0;
}

/* With room for so many items; NULL: no memory, nothing is changed. */
static void *reserve(void *items, size_t size, size_t *capacity, size_t wanted)
{
	size_t larger = *capacity ? *capacity : 256;

	if (wanted <= *capacity)
		return items;
	while (larger < wanted)
		larger *= 2;
	items = reallocarray(items, larger, size);
	if (items)
		*capacity = larger;
	return items;
}

static int reserve_bucket(struct reading *reading, size_t depth)
{
	struct lt_go_heap *heap = reading->heap;
	void *buckets, *frames;

	if (reading->frame_count + depth > MAX_FRAMES)
		return -E2BIG;
	buckets = reserve(heap->buckets, sizeof(*heap->buckets), &reading->bucket_capacity,
			  heap->count + 1);
	if (!buckets)
		return -ENOMEM;
	heap->buckets = buckets;
	frames = reserve(heap->frames, sizeof(*heap->frames), &reading->frame_capacity,
			 reading->frame_count + depth);
	if (!frames)
		return -ENOMEM;
	heap->frames = frames;
	return 0;
}

/* The bucket of reading->stack, made if it is new.  -E2BIG: no more of them are kept. */
static int find_bucket(struct reading *reading, size_t depth, struct lt_go_bucket **bucket)
{
	struct lt_go_heap *heap = reading->heap;
	uint64_t hash = lt_mix64(lt_fnv1a(LT_FNV_SEED, reading->stack, depth * sizeof(uint64_t)));
	struct slot *slot;
	int rc = grow_slots(reading);

	if (rc)
		return rc;
	slot = find_slot(reading, hash, depth);
	if (!slot)
		return -E2BIG;
	if (slot->bucket) {
		*bucket = &heap->buckets[slot->bucket - 1];
		return 0;
	}
	rc = reserve_bucket(reading, depth);
	if (rc)
		return rc;
	*slot = (struct slot){ (uint32_t)heap->count + 1, (uint32_t)reading->frame_count };
	memcpy(heap->frames + reading->frame_count, reading->stack, depth * sizeof(uint64_t));
	reading->frame_count += depth;
	*bucket = &heap->buckets[heap->count++];
	**bucket = (struct lt_go_bucket){ .hash = hash, .frame_count = (uint16_t)depth };
	return 0;
}

static struct cycle sum_cycles(const struct reading *reading, const uint64_t *record, uint64_t size)
{
	size_t width = reading->list->counts_only ? 2 : 4;
	struct cycle sum = {};

	for (size_t i = 0; i < (reading->all_cycles ? CYCLES : 1); i++, record += width) {
		sum.allocs += record[0];
		sum.frees += record[1];
		if (!reading->list->counts_only) {
			sum.alloc_bytes += record[2];
			sum.free_bytes += record[3];
		}
	}
	if (reading->list->counts_only) {
		sum.alloc_bytes = sum.allocs * size;
		sum.free_bytes = sum.frees * size;
	}
	return sum;
}

static void add_scaled(double *sum, uint64_t value, double scale)
{
	*sum = fmin(*sum + (double)value * scale, MAX_SUM);
}

static void add_cycle(struct lt_go_bucket *bucket, const struct cycle *cycle, double scale)
{
	bucket->sampled_allocs += cycle->allocs;
	bucket->sampled_frees += cycle->frees;
	add_scaled(&bucket->allocs, cycle->allocs, scale);
	add_scaled(&bucket->frees, cycle->frees, scale);
	add_scaled(&bucket->alloc_bytes, cycle->alloc_bytes, scale);
	add_scaled(&bucket->free_bytes, cycle->free_bytes, scale);
}

/* 0, *next is the address of the next one; -EBADMSG: that is no bucket; -E2BIG; -ENOMEM */
static int read_bucket(struct reading *reading, uint64_t address, uint64_t *next)
{
	uint64_t record[4 * CYCLES] = {};
	size_t record_bytes = sizeof(record) / (reading->list->counts_only ? 2 : 1);
	struct lt_go_bucket *bucket;
	struct header header;
	struct cycle cycle;
	uint64_t stack = address + sizeof(header);
	size_t stack_bytes;
	int rc;

	if (address % 8 ||
	    !lt_remote_blocks_read(reading->blocks, address, &header, sizeof(header)) ||
	    header.type != TYPE_HEAP || !header.depth || header.depth > LT_MAX_GO_BUCKET_DEPTH)
		return -EBADMSG;
	stack_bytes = header.depth * sizeof(uint64_t);
	if (!lt_remote_blocks_read(reading->blocks, stack, reading->stack, stack_bytes) ||
	    !lt_remote_blocks_read(reading->blocks, stack + stack_bytes, record, record_bytes))
		return -EBADMSG;
	rc = find_bucket(reading, header.depth, &bucket);
	if (rc)
		return rc;
	cycle = sum_cycles(reading, record, header.size);
	reading->seen |= cycle.allocs || cycle.frees;
	add_cycle(bucket, &cycle, lt_go_sample_scale(header.size, reading->list->rate));
	*next = header.allnext;
	return 0;
}

/* The address at every power of two is remembered: a list that comes back to it is a circle. */
static int read_list(struct reading *reading)
{
	uint64_t address = reading->list->head, remembered = 0;

	for (size_t i = 0; address && !reading->heap->cut; i++) {
		int rc = i == reading->list->max ? -E2BIG : read_bucket(reading, address, &address);

		if (rc == -ENOMEM)
			return rc;
		if (rc && !i)
			return -ENOENT;
		reading->heap->cut = rc || (address && address == remembered);
		if (!(i & (i + 1)))
			remembered = address;
	}
	return reading->heap->count ? 0 : -ENOENT;
}

static void place_frames(struct lt_go_heap *heap)
{
	const uint64_t *frames = heap->frames;

	for (size_t i = 0; i < heap->count; frames += heap->buckets[i++].frame_count)
		heap->buckets[i].frames = frames;
}

static int read_once(const struct lt_go_bucket_list *list, bool all_cycles, bool *seen,
		     struct lt_go_heap *heap)
{
	_lt_free_ struct reading *reading = calloc(1, sizeof(*reading));
	struct lt_go_heap result = { .rate = list->rate };
	int rc;

	if (!reading)
		return -ENOMEM;
	reading->list = list;
	reading->heap = &result;
	reading->all_cycles = all_cycles;
	rc = lt_remote_blocks_new(&reading->blocks, list->pid);
	if (!rc)
		rc = read_list(reading);
	lt_remote_blocks_free(reading->blocks);
	free(reading->slots);
	*seen = reading->seen;
	if (rc) {
		lt_go_heap_free(&result);
		return rc;
	}
	place_frames(&result);
	*heap = result;
	return 0;
}

/*
 * While no collection has published anything yet: all that was counted so far, as
 * runtime.MemProfile() tells it.  What is published first is as of an earlier moment, so counts can
 * be smaller at the next look.
 */
int lt_go_buckets_read(const struct lt_go_bucket_list *list, struct lt_go_heap *heap)
{
	struct lt_go_heap result;
	bool seen;
	int rc = read_once(list, false, &seen, &result);

	if (!rc && !seen) {
		lt_go_heap_free(&result);
		rc = read_once(list, true, &seen, &result);
	}
	if (!rc)
		*heap = result;
	return rc;
}

void lt_go_heap_free(struct lt_go_heap *heap)
{
	free(heap->buckets);
	free(heap->frames);
	*heap = (struct lt_go_heap){};
}
