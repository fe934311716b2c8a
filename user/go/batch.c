// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/batch.h"

#include <time.h>

#include "base/hash.h"

_Static_assert(LT_MAX_GO_G_BYTES <= LT_GO_WINDOW, "structs fit where windows do");

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

void lt_go_batch_allow(struct lt_go_batch *batch, uint64_t ns)
{
	batch->deadline_ns = now_ns() + ns;
}

bool lt_go_batch_late(const struct lt_go_batch *batch)
{
	return now_ns() >= batch->deadline_ns;
}

static struct lt_go_pc look_up(void *context, uint64_t pc)
{
	return lt_go_pcs_get(context, pc);
}

static int read_pieces(struct lt_go_batch *batch, size_t count)
{
	return lt_remote_read_counted(batch->program->process->pid, batch->pieces, count,
				      &batch->calls);
}

static size_t add_window(struct lt_go_batch *batch, size_t count, size_t look)
{
	const struct lt_go_unwind *unwind = &batch->looks[look].unwind;
	uint64_t left = unwind->limit - unwind->slot;

	batch->pieces[count] = (struct lt_remote_piece){
		.address = unwind->slot,
		.to = batch->bytes + count * LT_GO_WINDOW,
		.len = left < LT_GO_WINDOW ? (size_t)left : LT_GO_WINDOW,
	};
	batch->of_piece[count] = (uint16_t)look;
	return count + 1;
}

/* One piece for structs that lie side by side: pages cost the kernel more than their bytes do. */
static size_t add_struct(struct lt_go_batch *batch, size_t count, size_t look, uint64_t address)
{
	size_t len = batch->program->layout->g_bytes;
	struct lt_remote_piece *last = count ? &batch->pieces[count - 1] : NULL;

	if (last && address > last->address &&
	    address - (last->address + last->len) < LT_MAX_GO_G_BYTES - len) {
		last->len = address + len - last->address;
		batch->of_look[look] = (uint16_t)(count - 1);
		return count;
	}
	batch->pieces[count] = (struct lt_remote_piece){
		.address = address, .to = batch->bytes + look * LT_MAX_GO_G_BYTES, .len = len
	};
	batch->of_look[look] = (uint16_t)count;
	return count + 1;
}

/* NULL: could not be read. */
static const uint8_t *struct_of(const struct lt_go_batch *batch, size_t look, uint64_t address)
{
	const struct lt_remote_piece *piece = &batch->pieces[batch->of_look[look]];

	return piece->ok ? (const uint8_t *)piece->to + (address - piece->address) : NULL;
}

static int read_structs(struct lt_go_batch *batch, const uint64_t *addresses)
{
	size_t pieces = 0;
	int err;

	for (size_t i = 0; i < batch->count; i++)
		pieces = add_struct(batch, pieces, i, addresses[i]);
	err = read_pieces(batch, pieces);
	if (err)
		return err;
	for (size_t i = 0; i < batch->count; i++) {
		const uint8_t *bytes = struct_of(batch, i, addresses[i]);
		struct lt_go_look *look = &batch->looks[i];
		struct lt_go_g *g = &look->g;

		look->valid = look->stopped = look->settled = false;
		if (!bytes)
			continue;
		lt_go_g_decode(batch->program->layout, bytes, addresses[i], g);
		/* startpc does not count: it may lie in a plugin that could not be opened. */
		look->valid = lt_go_g_plausible(g) && (g->goid || !lt_go_g_alive(g));
		look->stopped = look->valid && lt_go_g_alive(g) && lt_go_g_stopped(g);
		/* One that runs is what it is. */
		look->settled = look->valid && !look->stopped;
	}
	return 0;
}

static void begin(struct lt_go_batch *batch, struct lt_go_look *look)
{
	const struct lt_go_g *g = &look->g;
	/* One of a C thread that is not in Go just now is in a system call without having entered it. */
	bool syscall = g->status == LT_GO_SYSCALL && g->syscallsp;

	look->unwind.lookup = look_up;
	look->unwind.context = batch->pcs;
	look->unwind.count = 0;
	look->unwind.state = LT_GO_UNWIND_LOST;
	if (lt_go_batch_late(batch))
		return;
	lt_go_unwind_begin(&look->unwind, syscall ? g->syscallpc : g->sched_pc,
			   syscall ? g->syscallsp : g->sched_sp, g->stack_lo, g->stack_hi, syscall);
}

/* Reads on in all stacks that need it, until none does: each round is one frame more at least. */
static int unwind_all(struct lt_go_batch *batch)
{
	for (size_t round = 0; round <= LT_MAX_FRAMES; round++) {
		size_t count = 0;
		int err;

		for (size_t i = 0; i < batch->count; i++) {
			const struct lt_go_look *look = &batch->looks[i];

			if (look->stopped && look->unwind.state == LT_GO_UNWIND_MORE)
				count = add_window(batch, count, i);
		}
		if (!count)
			return 0;
		err = read_pieces(batch, count);
		if (err)
			return err;
		for (size_t i = 0; i < count; i++) {
			const struct lt_remote_piece *piece = &batch->pieces[i];
			struct lt_go_unwind *unwind = &batch->looks[batch->of_piece[i]].unwind;

			/* Look-ups take long in tables of a hostile file. */
			if (piece->ok && !lt_go_batch_late(batch))
				lt_go_unwind_continue(unwind, piece->address, piece->to,
						      piece->len);
			else
				unwind->state = LT_GO_UNWIND_LOST;
		}
	}
	return 0;
}

static uint64_t hash_of(const struct lt_go_unwind *unwind)
{
	uint64_t hash = unwind->state;

	for (uint16_t i = 0; i < unwind->count; i++)
		hash = lt_mix64(hash ^ unwind->frames[i]);
	return hash;
}

/* Where the struct does not tell whether it ran meanwhile, two looks at the stack do. */
static bool read_twice(const struct lt_go_batch *batch, const struct lt_go_look *look)
{
	return look->stopped && !lt_go_g_counted(batch->program->layout, &look->g);
}

static int read_stacks(struct lt_go_batch *batch)
{
	bool again = false;
	int err;

	for (size_t i = 0; i < batch->count; i++)
		if (batch->looks[i].stopped)
			begin(batch, &batch->looks[i]);
	err = unwind_all(batch);
	for (size_t i = 0; !err && i < batch->count; i++) {
		struct lt_go_look *look = &batch->looks[i];

		if (!read_twice(batch, look))
			continue;
		look->hash = hash_of(&look->unwind);
		begin(batch, look);
		again = true;
	}
	if (err || !again)
		return err;
	err = unwind_all(batch);
	for (size_t i = 0; i < batch->count; i++) {
		struct lt_go_look *look = &batch->looks[i];

		if (read_twice(batch, look) && look->hash != hash_of(&look->unwind))
			look->unwind.state = LT_GO_UNWIND_LOST;
	}
	return err;
}

/* Whether the structs are as they were before the stacks were read. */
static int read_again(struct lt_go_batch *batch)
{
	size_t pieces = 0;
	int err;

	for (size_t i = 0; i < batch->count; i++)
		if (batch->looks[i].stopped)
			pieces = add_struct(batch, pieces, i, batch->looks[i].g.address);
	err = pieces ? read_pieces(batch, pieces) : 0;
	if (err)
		return err;
	for (size_t i = 0; i < batch->count; i++) {
		struct lt_go_look *look = &batch->looks[i];
		const uint8_t *bytes;
		struct lt_go_g after;

		if (!look->stopped)
			continue;
		bytes = struct_of(batch, i, look->g.address);
		if (!bytes)
			continue;
		lt_go_g_decode(batch->program->layout, bytes, look->g.address, &after);
		look->settled = lt_go_g_same(&look->g, &after);
	}
	return 0;
}

int lt_go_batch_look(struct lt_go_batch *batch, const uint64_t *addresses, size_t count)
{
	int err;

	batch->count = count;
	err = read_structs(batch, addresses);
	if (!err)
		err = read_stacks(batch);
	return err ? err : read_again(batch);
}
