// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/goheap.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "go/heap.h"
#include "go/logical.h"

/*
 * How long a look may take over new stacks, while nobody reads the rings: each address takes some µs once.  The
 * first look meets them all, and is what growth is counted from; the last one has nothing after it.
 */
#define BUDGET_NS      (500 * 1000000ULL)
#define LONG_BUDGET_NS (5000 * 1000000ULL)

/* What was last told of a stack of the profile. */
struct told {
	uint64_t stack_id;
	uint64_t allocs, frees; /* as sampled */
	UT_hash_handle hh;
};

struct lt_goheap {
	struct lt_go_program *program; /* borrowed */
	struct lt_go_pcs pcs;
	struct told *told;
	bool warned, warned_late;
};

struct look {
	struct lt_goheap *heap;
	struct lt_session *session;
	const struct lt_target *target;
	uint64_t time_ns; /* of what is told */
	uint64_t deadline_ns;
	bool late;     /* stacks are left to the next look */
	bool left_out; /* stacks that will never be told */
};

int lt_goheap_new(struct lt_goheap **heap, struct lt_go_program *program)
{
	*heap = calloc(1, sizeof(**heap));
	if (!*heap)
		return -ENOMEM;
	(*heap)->program = program;
	(*heap)->pcs.program = program;
	return 0;
}

void lt_goheap_free(struct lt_goheap *heap)
{
	struct told *told, *next;

	if (!heap)
		return;
	HASH_ITER(hh, heap->told, told, next) {
		HASH_DEL(heap->told, told);
		free(told);
	}
	lt_go_pcs_free(&heap->pcs);
	free(heap);
}

void lt_goheap_reset(struct lt_goheap *heap)
{
	lt_go_pcs_free(&heap->pcs);
}

static struct lt_event event_of(const struct look *look, enum lt_event_type type)
{
	struct lt_event event = lt_feed_event(look->target, type);

	event.kind = LT_KIND_GO_HEAP;
	event.time_ns = look->time_ns;
	return event;
}

/*
 * The stack of a bucket that is met for the first time: 0, *told is NULL if it is not told now; or -errno.  Its id
 * is the bucket's: stacks that differ only in what is cut are not one, and two sums under one id would overwrite
 * each other.
 */
static int tell_stack(struct look *look, const struct lt_go_bucket *bucket, struct told **told)
{
	struct lt_event event = event_of(look, LT_EVENT_STACK);
	struct lt_goheap *heap = look->heap;
	struct lt_go_machine_stack stack;
	const uint64_t *known;

	*told = NULL;
	/* The model has no room for more. */
	if (HASH_COUNT(heap->told) >= LT_MAX_SITES) {
		look->left_out = true;
		return 0;
	}
	if (!lt_go_logical_to_machine(&heap->pcs, bucket->frames, bucket->frame_count,
				      look->deadline_ns, &stack)) {
		look->late = true;
		return 0;
	}
	*told = calloc(1, sizeof(**told));
	if (!*told)
		return -ENOMEM;
	(*told)->stack_id = bucket->hash;
	HASH_ADD(hh, heap->told, stack_id, sizeof((*told)->stack_id), *told);
	if (!(*told)->hh.tbl) {
		free(*told);
		return -ENOMEM;
	}
	if (lt_pipeline_stack(look->target->pipeline, bucket->hash, &known))
		return 0;
	event.stack = (struct lt_event_stack){ bucket->hash, stack.frames, stack.count,
					       stack.cut ? LT_STACK_LIMIT : LT_STACK_COMPLETE };
	return lt_feed_emit(look->session, &event);
}

static int tell_bucket(struct look *look, const struct lt_go_bucket *bucket)
{
	struct lt_event event;
	struct told *told;
	int err = 0;

	if (!bucket->sampled_allocs)
		return 0;
	HASH_FIND(hh, look->heap->told, &bucket->hash, sizeof(bucket->hash), told);
	if (told && told->allocs == bucket->sampled_allocs && told->frees == bucket->sampled_frees)
		return 0;
	if (!told)
		err = tell_stack(look, bucket, &told);
	if (err || !told)
		return err;
	told->allocs = bucket->sampled_allocs;
	told->frees = bucket->sampled_frees;
	event = event_of(look, LT_EVENT_OBSERVE);
	event.observe = (struct lt_event_observe){
		.stack_id = told->stack_id,
		.acquired_count = (uint64_t)(bucket->allocs + 0.5),
		.acquired_size = (uint64_t)(bucket->alloc_bytes + 0.5),
		.released_count = (uint64_t)(bucket->frees + 0.5),
		.released_size = (uint64_t)(bucket->free_bytes + 0.5),
		.sampled = bucket->sampled_allocs > bucket->sampled_frees
				   ? bucket->sampled_allocs - bucket->sampled_frees
				   : 1,
	};
	return lt_feed_emit(look->session, &event);
}

static void warn(struct look *look)
{
	struct lt_goheap *heap = look->heap;

	if (look->left_out && !heap->warned)
		lt_warn("pid %u: its heap profile has too many stacks, or does not hold up: some "
			"are left out",
			look->target->pid);
	if (look->late && !heap->warned_late)
		lt_warn("pid %u: its heap profile could not be read whole in time: some stacks "
			"come "
			"later",
			look->target->pid);
	heap->warned |= look->left_out;
	heap->warned_late |= look->late;
}

int lt_goheap_take(struct lt_goheap *heap, struct lt_session *session,
		   const struct lt_target *target, uint64_t *rate)
{
	struct look look = { .heap = heap, .session = session, .target = target };
	struct lt_go_heap profile = { 0 };
	int err = lt_go_heap_read(heap->program, &profile);

	if (err)
		return err == -ENOMEM ? err : 0;
	*rate = profile.rate;
	look.left_out = profile.cut;
	look.time_ns = lt_feed_now();
	look.deadline_ns = look.time_ns +
			   (!heap->told || session->detached ? LONG_BUDGET_NS : BUDGET_NS);
	for (size_t i = 0; i < profile.count && !err; i++)
		err = tell_bucket(&look, &profile.buckets[i]);
	lt_go_heap_free(&profile);
	warn(&look);
	return err;
}
