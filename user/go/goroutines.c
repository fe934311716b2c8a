// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/goroutines.h"

#include <errno.h>
#include <linux/types.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "go/allgs.h"
#include "go/batch.h"
#include "go/stackset.h"
#include "leaktrace/events.h"

#define TRIES 4 /* looks at a goroutine that moves */
/* In a program that does not lie all are valid; each that is not costs a system call. */
#define MAX_INVALID 1024
/* A goroutine takes a few microseconds; one of memory that lies takes whatever it can. */
#define BUDGET_NS               250000000ULL
#define BUDGET_NS_PER_GOROUTINE 20000ULL

struct lt_go_walker {
	struct lt_go_program *program; /* borrowed */
	struct lt_go_pcs pcs;
	struct lt_go_batch *batch; /* owned, as what follows */
	uint64_t *addresses;       /* of the goroutines' structs */
	uint64_t *unsettled;       /* of those that moved */
	size_t room, item_room;
	size_t unsettled_count;
	size_t valid, invalid;
	struct lt_go_stackset stacks;
	struct lt_goroutines result;
};

LT_CLEANUP(struct lt_go_walker *, lt_go_walker_free)

int lt_go_walker_new(struct lt_go_walker **result, struct lt_go_program *program)
{
	_lt_cleanup_(lt_go_walker_free_p) struct lt_go_walker *walker = calloc(1, sizeof(*walker));

	if (!walker)
		return -ENOMEM;
	walker->batch = calloc(1, sizeof(*walker->batch));
	if (!walker->batch)
		return -ENOMEM;
	walker->program = program;
	walker->pcs.program = program;
	walker->batch->program = program;
	walker->batch->pcs = &walker->pcs;
	*result = lt_take_ptr(walker);
	return 0;
}

void lt_go_walker_free(struct lt_go_walker *walker)
{
	if (!walker)
		return;
	lt_go_pcs_free(&walker->pcs);
	lt_go_stackset_free(&walker->stacks);
	free(walker->batch);
	free(walker->addresses);
	free(walker->unsettled);
	free(walker->result.items);
	free(walker);
}

void lt_go_walker_reset(struct lt_go_walker *walker)
{
	lt_go_pcs_free(&walker->pcs);
}

static int make_room(struct lt_go_walker *walker, size_t count)
{
	size_t room = count + count / 4 + LT_GO_BATCH;
	uint64_t *addresses, *unsettled;

	if (count <= walker->room)
		return 0;
	addresses = reallocarray(walker->addresses, room, sizeof(*addresses));
	if (!addresses)
		return -ENOMEM;
	walker->addresses = addresses;
	unsettled = reallocarray(walker->unsettled, room, sizeof(*unsettled));
	if (!unsettled)
		return -ENOMEM;
	walker->unsettled = unsettled;
	walker->room = room;
	return 0;
}

static int read_one(struct lt_go_walker *walker, uint64_t address, void *to, size_t len)
{
	walker->batch->calls++;
	return lt_remote_read(walker->program->process->pid, address, to, len);
}

/*
 * The array moves when it grows, and the old one may be given back: so it has to be the same before
 * and after it is read.
 */
static int read_addresses(struct lt_go_walker *walker, size_t *count)
{
	struct lt_go_slice slice, after;

	for (int tries = 0; tries < TRIES; tries++) {
		size_t len;
		int err = read_one(walker, walker->program->allgs, &slice, sizeof(slice));

		if (err)
			return err;
		if (!lt_go_allgs_plausible(&slice))
			continue; /* its three words are not written at once */
		len = slice.len < LT_MAX_GOROUTINES ? (size_t)slice.len : LT_MAX_GOROUTINES;
		err = make_room(walker, len);
		if (err)
			return err;
		err = read_one(walker, slice.data, walker->addresses, len * sizeof(uint64_t));
		if (!err)
			err = read_one(walker, walker->program->allgs, &after, sizeof(after));
		if (err && err != -EFAULT)
			return err;
		if (!err && after.data == slice.data && after.len >= slice.len) {
			walker->result.beyond = slice.len - len;
			*count = len;
			return 0;
		}
	}
	return -EBADMSG;
}

static int add_item(struct lt_go_walker *walker, const struct lt_goroutine *item)
{
	struct lt_goroutines *result = &walker->result;

	if (result->count == walker->item_room) {
		size_t more = walker->item_room ? walker->item_room * 2 : LT_GO_BATCH;
		struct lt_goroutine *items = reallocarray(result->items, more, sizeof(*items));

		if (!items)
			return -ENOMEM;
		result->items = items;
		walker->item_room = more;
	}
	result->items[result->count++] = *item;
	return 0;
}

static bool waits(uint8_t status)
{
	return status == LT_GO_WAITING || status == LT_GO_SYSCALL || status == LT_GO_LEAKED;
}

static int take_stack(struct lt_go_walker *walker, const struct lt_go_look *look,
		      struct lt_goroutine *item)
{
	const struct lt_go_unwind *unwind = &look->unwind;
	int err;

	item->cut = true; /* until its beginning was seen */
	if (look->settled && !look->stopped)
		return 0; /* it runs: its stack is in registers of a CPU */
	if (!look->settled) {
		walker->result.unsettled++;
		return 0;
	}
	err = lt_go_stackset_add(&walker->stacks, unwind->frames, unwind->count,
				 unwind->state != LT_GO_UNWIND_WHOLE, &item->stack);
	if (!err)
		item->cut = unwind->state != LT_GO_UNWIND_WHOLE;
	if (err == -ENOSPC || unwind->state == LT_GO_UNWIND_LOST)
		walker->result.unsettled++;
	return err == -ENOSPC ? 0 : err;
}

static int take(struct lt_go_walker *walker, const struct lt_go_look *look)
{
	const struct lt_go_g *g = &look->g;
	struct lt_goroutine item = {
		.id = g->goid,
		.g = g->address,
		.created_pc = g->goid == 1 ? 0 : g->gopc,
		.start_pc = g->startpc,
		.waits_since_ns = waits(g->status) ? g->waitsince : 0,
		.mark = lt_go_g_mark(walker->program->layout, g),
		.runtime = lt_go_pcs_get(&walker->pcs, g->startpc).flags & LT_GO_PC_RUNTIME,
	};
	int err = take_stack(walker, look, &item);

	return err ? err : add_item(walker, &item);
}

/* All of these once; what moved, or does not hold up, is for another try unless this is the last. */
static int look_at(struct lt_go_walker *walker, const uint64_t *addresses, size_t count, bool last)
{
	int err = lt_go_batch_look(walker->batch, addresses, count);

	last = last || lt_go_batch_late(walker->batch);
	for (size_t i = 0; !err && i < count; i++) {
		const struct lt_go_look *look = &walker->batch->looks[i];
		bool lost = look->stopped && look->unwind.state == LT_GO_UNWIND_LOST;

		if (!look->valid) {
			walker->invalid++;
			continue;
		}
		walker->valid++;
		if (!lt_go_g_alive(&look->g))
			continue;
		if (!last && (!look->settled || lost))
			walker->unsettled[walker->unsettled_count++] = look->g.address;
		else
			err = take(walker, look);
	}
	return err;
}

static int look_at_all(struct lt_go_walker *walker, const uint64_t *addresses, size_t count,
		       bool last)
{
	int err = 0;

	walker->unsettled_count = 0;
	for (size_t done = 0; !err && done < count; done += LT_GO_BATCH) {
		if (lt_go_batch_late(walker->batch)) {
			walker->result.beyond += count - done;
			break;
		}
		err = look_at(walker, addresses + done,
			      count - done < LT_GO_BATCH ? count - done : LT_GO_BATCH, last);
		if (!err && walker->invalid > MAX_INVALID)
			err = -EBADMSG;
	}
	return err;
}

static int compare_ids(const void *a, const void *b)
{
	const struct lt_goroutine *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* No id is there twice, except in memory that lies. */
static void sort(struct lt_goroutines *result)
{
	size_t kept = 0;

	qsort(result->items, result->count, sizeof(*result->items), compare_ids);
	for (size_t i = 0; i < result->count; i++)
		if (!kept || result->items[i].id != result->items[kept - 1].id)
			result->items[kept++] = result->items[i];
	result->count = kept;
}

static int compare_addresses(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Neighbours are read together.  None is there twice, except in memory that lies. */
static size_t sort_addresses(uint64_t *addresses, size_t count)
{
	size_t kept = 0;

	qsort(addresses, count, sizeof(*addresses), compare_addresses);
	for (size_t i = 0; i < count; i++)
		if (!kept || addresses[i] != addresses[kept - 1])
			addresses[kept++] = addresses[i];
	return kept;
}

static int walk(struct lt_go_walker *walker)
{
	size_t count = 0;
	int err = lt_go_stackset_reset(&walker->stacks);

	if (!err)
		err = read_addresses(walker, &count);
	if (!err) {
		count = sort_addresses(walker->addresses, count);
		lt_go_batch_allow(walker->batch, BUDGET_NS + count * BUDGET_NS_PER_GOROUTINE);
		err = look_at_all(walker, walker->addresses, count, false);
	}
	for (int tries = 2; !err && tries <= TRIES && walker->unsettled_count; tries++) {
		uint64_t *again = walker->unsettled;

		count = walker->unsettled_count;
		walker->unsettled = walker->addresses;
		walker->addresses = again;
		err = look_at_all(walker, again, count, tries == TRIES);
	}
	return err;
}

int lt_go_walk(struct lt_go_walker *walker, const struct lt_goroutines **result)
{
	struct lt_goroutines *own = &walker->result;
	int err;

	*own = (struct lt_goroutines){ .items = own->items };
	walker->valid = walker->invalid = 0;
	walker->batch->calls = 0;
	err = walk(walker);
	/* Pages of another process, or of an array that was given back. */
	if (err == -EFAULT || (!err && walker->invalid > walker->valid))
		err = -EBADMSG;
	if (err)
		return err;
	own->beyond += walker->invalid;
	if (own->count)
		sort(own);
	lt_go_stackset_finish(&walker->stacks);
	own->stacks = walker->stacks.stacks;
	own->stack_count = walker->stacks.count;
	own->calls = walker->batch->calls;
	*result = own;
	return 0;
}
