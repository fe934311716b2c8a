/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The heap profile that Go's runtime keeps by itself (runtime/mprof.go): in each 512 KiB (on average)
 * that are allocated, one object is sampled with its stack.  Read from memory; nothing is stopped.
 * What is published is as of the last but one garbage collection.  A collection that publishes while
 * the buckets are read makes some of them older than others, until the next look.
 */
#ifndef LT_GO_HEAP_H
#define LT_GO_HEAP_H

#include "go/program.h"
#include "leaktrace/limits.h"

struct lt_go_bucket {           /* one stack, all sizes of it together */
	uint64_t hash;          /* of its frames */
	const uint64_t *frames; /* addresses in the process, leaf first; return addresses */
	uint16_t frame_count;
	/* As sampled: heap?debug=1 prints these ("active": allocated minus freed). */
	uint64_t sampled_allocs, sampled_frees;
	/* Scaled as pprof does, size by size (runtime/pprof/protomem.go: scaleHeapSample); < 2^63. */
	double allocs, frees, alloc_bytes, free_bytes;
};

struct lt_go_heap {
	struct lt_go_bucket *buckets; /* in no order */
	size_t count;
	uint64_t *frames; /* of all buckets; owned */
	uint64_t rate;    /* MemProfileRate; 0: the program samples nothing */
	bool cut;         /* there are more: LT_MAX_GO_BUCKETS; or their list does not hold up */
};

/* Why there is no profile. */
enum lt_go_heap_state {
	LT_GO_HEAP_OK = 0,
	LT_GO_HEAP_OFF,     /* rate 0: linked without a reader of the profile, or switched off */
	LT_GO_HEAP_UNKNOWN, /* its variables were not found */
};

#define LT_MAX_GO_HEADS 64

struct lt_go_heap_places {
	uint64_t rate;                   /* address of runtime.MemProfileRate; 0: not found */
	uint64_t heads[LT_MAX_GO_HEADS]; /* addresses, one of which is of runtime.mbuckets */
	size_t head_count;               /* 1: found; 0: never will be */
	bool counts_only;                /* lt_go_bucket_list.counts_only */
};

/* Looks for mbuckets and MemProfileRate; once for a program. */
enum lt_go_heap_state lt_go_heap_find(struct lt_go_program *program);
void lt_go_heap_places_free(struct lt_go_heap_places *places);
/* 0, *heap to be freed; -ESRCH; -ENOENT: not found or no bucket yet. */
int lt_go_heap_read(struct lt_go_program *program, struct lt_go_heap *heap);
void lt_go_heap_free(struct lt_go_heap *heap);

/*
 * Writes MemProfileRate into the process, if it is what is expected: what was not sampled before is from now
 * on.  The one thing that leaktrace ever writes into a target, at the user's word, and puts back.
 * -ENOENT: not found; -ESRCH: it is gone; -EEXIST: it is something else by now.
 */
int lt_go_heap_set_rate(struct lt_go_program *program, uint64_t expected, uint64_t rate);

#endif
