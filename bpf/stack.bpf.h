/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The user stack of an acquire: recognised or walked, hashed, sent once.
 *
 * stack_walk() is the one door to unwinding.  Most stacks were walked before: stack_recall() copies
 * the words that such a walk depended on and hashes them, which is much cheaper than to walk again
 * and just as sure, for the walk reads nothing else.
 */
#ifndef LT_STACK_BPF_H
#define LT_STACK_BPF_H

#include "common.bpf.h"
#include "go.bpf.h"
#include "ring.bpf.h"
#include "thread.bpf.h"
#include "unwind.bpf.h"

/*
 * Direct-mapped: the slot of a hash holds the id last sent there.  A collision sends frames again,
 * which costs bandwidth and never correctness; no table can fill up.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LT_STACK_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} lt_stacks_sent __weak SEC(".maps");

/* Counted up when everything is to be sent again. */
__u32 lt_stacks_round __weak = 0;

/* Hash of what a walk depended on → stack id.  Direct-mapped, too. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LT_MEMO_SLOTS);
	__type(key, __u32);
	__type(value, struct lt_slot);
} lt_memo __weak SEC(".maps");

/* Walks that did not end LT_STACK_COMPLETE, by their end; user space makes counters of them. */
__u64 lt_walk_ends[LT_STACK_END_COUNT] __weak = {};

#define MISSES_IN_ROW 8

/*
 * Where a stack pointer is, as far as layouts are concerned: by its address, or how deep in a goroutine's
 * stack, for many goroutines come the same way to the same place, each on a stack of its own.
 */
static __always_inline __u64 place_of(const struct lt_thread *thread, __u64 sp)
{
	return thread->stack_top ? thread->stack_top - sp : sp;
}

static __always_inline struct lt_layout *layout_of(struct lt_thread *thread, __u64 ip, __u64 place)
{
	__u32 index = (ip ^ place) * 0x9e3779b97f4a7c15ULL >> 56;

	opaque(index);
	return &thread->layouts[index & (LT_LAYOUTS - 1)];
}

/* The memo's key: values of all words that the layout names.  They are in thread->chunk. */
static __always_inline __u64 layout_hash(const struct lt_thread *thread,
					 const struct lt_layout *layout, __u64 sp, __u64 bp)
{
	__u64 hash = stack_hash(layout->generation, layout->ip), offset;

	/* What RBP holds means nothing without the address of the stack. */
	hash = stack_hash(hash, layout->bp ? sp : layout->place);
	if (layout->bp & LT_LAYOUT_BP_START)
		hash = stack_hash(hash, bp);
	for (__u32 i = 0; i < LT_LAYOUT_SLOTS; i++) {
		if (i >= layout->count)
			break;
		offset = layout->offsets[i];
		opaque(offset);
		if (offset > LT_STACK_CHUNK - sizeof(__u64))
			break;
		hash = stack_hash(hash, *(__u64 *)(thread->chunk + offset));
	}
	return hash;
}

static __always_inline struct lt_slot *memo_slot(__u64 hash)
{
	__u32 index = hash & (LT_MEMO_SLOTS - 1);

	return bpf_map_lookup_elem(&lt_memo, &index);
}

/*
 * Where many paths of different shapes share a slot, remembering them is in vain: then it is tried
 * only now and then.
 */
static __always_inline bool worth_it(const struct lt_layout *layout)
{
	return layout->misses < MISSES_IN_ROW || layout->misses % MISSES_IN_ROW == 0;
}

/* The id of the stack if it was walked before, else 0.  So much of it is in thread->chunk already. */
static __always_inline __u64 stack_recall_read(struct pt_regs *ctx, struct lt_thread *thread,
					       __u32 have)
{
	__u64 ip = PT_REGS_IP(ctx), sp = PT_REGS_SP(ctx), place = place_of(thread, sp);
	__u64 span, hash, stack_id;
	struct lt_layout *layout = layout_of(thread, ip, place);
	struct lt_slot *slot;

	layout->misses++;
	if (layout->ip != ip || layout->place != place || !layout->count ||
	    layout->generation != code_generation(thread) || !worth_it(layout))
		return 0;
	if (layout->span > have) {
		span = layout->span;
		opaque(span);
		if (span > LT_STACK_CHUNK || bpf_probe_read_user(thread->chunk, span, (void *)sp))
			return 0;
	}
	hash = layout_hash(thread, layout, sp, PT_REGS_FP(ctx));
	slot = memo_slot(hash);
	if (!slot)
		return 0;
	stack_id = *(volatile __u64 *)&slot->value; /* once: another CPU may change it meanwhile */
	if ((slot->check ^ stack_id) != hash)
		return 0;
	layout->misses = 0;
	thread->span = layout->span;
	return stack_id;
}

static __always_inline __u64 stack_recall(struct pt_regs *ctx, struct lt_thread *thread)
{
	return stack_recall_read(ctx, thread, 0);
}

/* After a walk that nothing but its layout determined. */
static __always_inline void stack_remember(struct pt_regs *ctx, struct lt_thread *thread,
					   __u64 stack_id)
{
	__u64 ip = PT_REGS_IP(ctx), sp = PT_REGS_SP(ctx), place = place_of(thread, sp), hash;
	struct lt_layout *layout = layout_of(thread, ip, place);
	struct lt_slot *slot;

	if (thread->walk.unique ||
	    (thread->walk.end != LT_STACK_COMPLETE && thread->walk.end != LT_STACK_UNSURE) ||
	    thread->walk.chunk_base != sp || thread->draft.span > thread->walk.chunk_size)
		return;
	if (!worth_it(layout))
		return;
	thread->draft.misses = layout->misses;
	thread->draft.ip = ip;
	thread->draft.place = place;
	thread->draft.generation = thread->walk.generation;
	*layout = thread->draft;
	hash = layout_hash(thread, layout, sp, PT_REGS_FP(ctx));
	slot = memo_slot(hash);
	if (!slot)
		return;
	slot->check = hash ^ stack_id;
	slot->value = stack_id;
}

/* Fills thread->frames from the caller of the returning function outwards; the stack's id. */
static __always_inline __u64 stack_walk(struct pt_regs *ctx, struct lt_thread *thread)
{
	__u32 frames, end;
	__u64 hash;

	/* When the walk began, to be compared with when code was replaced. */
	thread->stack.header.time_ns = bpf_ktime_get_ns();
	unwind(ctx, thread);
	frames = thread->walk.frames;
	end = thread->walk.end;
	/* How it ended is part of what it is. */
	hash = stack_hash(thread->walk.hash, end);
	if (end != LT_STACK_COMPLETE) {
		opaque(end);
		if (end < LT_STACK_END_COUNT)
			__sync_fetch_and_add(&lt_walk_ends[end], 1);
	}
	thread->stack.stack_id = hash;
	thread->stack.frame_count = frames;
	thread->stack.end = end;
	stack_remember(ctx, thread, hash);
	return hash;
}

/* What the slot of a stack holds once it is sent. */
static __always_inline __u64 sent_mark(const struct lt_thread *thread, __u64 stack_id)
{
	/* Each process is told its stacks, though forked ones have the same. */
	return stack_id + lt_stacks_round + thread->process * 0x9e3779b97f4a7c15ULL;
}

static __always_inline __u64 *sent_slot(const struct lt_thread *thread, __u64 stack_id)
{
	__u32 slot = (stack_id ^ thread->process * 0x9e3779b1U) & (LT_STACK_SLOTS - 1);

	return bpf_map_lookup_elem(&lt_stacks_sent, &slot);
}

static __always_inline bool stack_is_sent(const struct lt_thread *thread, __u64 stack_id)
{
	__u64 *sent = sent_slot(thread, stack_id);

	return sent && *sent == sent_mark(thread, stack_id);
}

/*
 * The id of the stack with thread->chain behind it; thread->stack is filled unless that was sent before.
 */
static __always_inline __u64 stack_identify_chained(struct pt_regs *ctx, struct lt_thread *thread)
{
	__u64 stack_id = stack_recall(ctx, thread);

	if (stack_id) {
		if (thread->chain_words)
			stack_id = chain_hash(thread, stack_id);
		if (stack_is_sent(thread, stack_id))
			return stack_id;
	}
	stack_id = stack_walk(ctx, thread);
	return thread->chain_words ? chain_append((__u32)bpf_get_current_pid_tgid()) : stack_id;
}

/* The same with what made the goroutine behind it, if one runs here. */
static __always_inline __u64 stack_identify(struct pt_regs *ctx, struct lt_thread *thread)
{
	thread->chain_words = 0;
	thread->stack_top = 0;
	if (thread->has_go)
		chain_find((__u32)bpf_get_current_pid_tgid(), ctx->r14, ctx->rsp);
	return stack_identify_chained(ctx, thread);
}

/* Sends the frames of a stack ahead of the first event that names it. */
static __always_inline void stack_send(const struct ring_ref *ref, struct lt_thread *thread,
				       __u64 stack_id, __u8 kind)
{
	__u64 *sent = sent_slot(thread, stack_id), time_ns = thread->stack.header.time_ns;
	__u64 size;

	/* Another thread may have taken the slot since: then the next event walks and sends. */
	if (!sent || *sent == sent_mark(thread, stack_id) || thread->stack.stack_id != stack_id)
		return;
	*sent = sent_mark(thread, stack_id);
	fill_header(&thread->stack.header, LT_WIRE_STACK, kind, 0, thread->process);
	thread->stack.header.time_ns = time_ns;
	size = sizeof(struct lt_wire_stack) + thread->stack.frame_count * sizeof(__u64);
	opaque(size);
	if (size > sizeof(struct lt_wire_stack) + LT_MAX_FRAMES * sizeof(__u64))
		return;
	if (bpf_ringbuf_output(ref->ring, &thread->stack, size, ring_flags(ref))) {
		*sent = 0; /* the next event with this stack tries again */
		count(LT_COUNTER_STACK_RING_FULL);
	}
}

/* One acquire with the stack of the returning function's caller. */
static __always_inline void send_acquire(struct pt_regs *ctx, struct lt_thread *thread, __u8 kind,
					 __u8 flags, __u64 id, __u64 size)
{
	struct lt_wire_acquire *record;
	struct ring_ref ref;
	__u64 stack_id;

	if (!ring_of(id, &ref) || !ring_takes_acquire(&ref)) {
		count(LT_COUNTER_ACQUIRE_RING_FULL);
		return;
	}
	stack_id = stack_identify(ctx, thread);
	stack_send(&ref, thread, stack_id, kind);
	record = bpf_ringbuf_reserve(ref.ring, sizeof(*record), 0);
	if (!record) {
		count(LT_COUNTER_ACQUIRE_RING_FULL);
		return;
	}
	fill_header(&record->header, LT_WIRE_ACQUIRE, kind, flags, thread->process);
	record->id = id;
	record->size = size;
	record->stack_id = stack_id;
	bpf_ringbuf_submit(record, ring_flags(&ref));
}

#endif
