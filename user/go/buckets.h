/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of buckets in which Go's runtime counts sampled allocations (runtime/mprof.go: bucket,
 * memRecord): one for each stack and size.  The list is the target's, thus hostile.
 */
#ifndef LT_GO_BUCKETS_H
#define LT_GO_BUCKETS_H

#include <sys/types.h>

#include "go/heap.h"

#define LT_MAX_GO_BUCKET_DEPTH 1024 /* runtime/mprof.go: maxProfStackDepth */

struct lt_go_bucket_list {
	pid_t pid;
	uint64_t head;
	uint64_t rate;    /* MemProfileRate */
	bool counts_only; /* from 1.27 on a cycle has no sums of bytes: they are count × size */
	size_t max;       /* buckets to look at */
};

/*
 * Buckets of one stack are put together.  0, *heap to be freed; -ENOENT: at the head is no bucket of
 * the heap profile; -ENOMEM.  Where the list does not hold up later on, it ends: heap->cut.
 */
int lt_go_buckets_read(const struct lt_go_bucket_list *list, struct lt_go_heap *heap);

/* How much one sampled object of a size stands for (runtime/pprof/protomem.go: scaleHeapSample). */
double lt_go_sample_scale(uint64_t size, uint64_t rate);

#endif
