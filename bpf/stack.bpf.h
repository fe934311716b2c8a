/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The user stack of an acquire: walked, hashed, sent once.
 *
 * stack_walk() is the one door to unwinding: it fills thread->frames and says why it stopped.  It
 * follows frame pointers, and starts at a *return* probe, where the program counter is in the
 * direct caller: frame 0 is right whatever the frame pointer holds.  A frame counts only if the
 * frame pointer climbs, is aligned, and the return address lies in an executable mapping of the
 * target, so that data in %rbp (code without frame pointers) does not pass for code.
 *
 * Stack memory is copied in pieces of up to 2 KiB that never cross a page: one read of 2 KiB costs
 * as much as two of 8 bytes (measured: 30-50 ns against 25), and a read that crosses the end of the
 * stack mapping would fault (16 us).
 */
#ifndef LT_STACK_BPF_H
#define LT_STACK_BPF_H

#include "code.bpf.h"
#include "common.bpf.h"
#include "ring.bpf.h"
#include "thread.bpf.h"

#define MAX_FRAME_BYTES (8 << 20) /* a frame beyond the default stack limit is no frame */
#define USER_PAGE       4096

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

static __always_inline __u64 stack_hash(__u64 hash, __u64 frame)
{
	hash = (hash ^ frame) * 0xff51afd7ed558ccdULL;
	return hash ^ hash >> 32;
}

/* Fills thread->frames from the caller of the returning function outwards; returns the stack's id.
 */
static __always_inline __u64 stack_walk(struct pt_regs *ctx, struct lt_thread *thread)
{
	__u64 fp = PT_REGS_FP(ctx), low = PT_REGS_SP(ctx), base = 0, length = 0;
	__u64 hash = stack_hash(0, PT_REGS_IP(ctx)), offset, next, frame;
	__u16 end = LT_STACK_LIMIT, count_frames = 1;

	thread->frames[0] = PT_REGS_IP(ctx);
	for (__u32 i = 1; i < LT_MAX_FRAMES; i++) {
		if (fp == 0) {
			end = LT_STACK_COMPLETE; /* the psABI marks the outermost frame so */
			break;
		}
		if (fp < low || fp - low > MAX_FRAME_BYTES || (fp & 7)) {
			end = LT_STACK_NO_FRAME;
			break;
		}
		offset = fp - base;
		if (base == 0 || offset + 16 > length) {
			base = fp;
			offset = 0;
			length = USER_PAGE - (fp & (USER_PAGE - 1));
			if (length > LT_STACK_CHUNK)
				length = LT_STACK_CHUNK;
			if (length < 16) /* a frame record across two pages: rare, read just that */
				length = 16;
			if (bpf_probe_read_user(thread->chunk, length, (void *)base)) {
				end = LT_STACK_FAULT;
				break;
			}
		}
		opaque(offset);
		if (offset > LT_STACK_CHUNK - 16)
			break;
		next = *(__u64 *)(thread->chunk + offset);
		frame = *(__u64 *)(thread->chunk + offset + 8);
		if (!is_code(thread, frame)) {
			end = LT_STACK_NO_FRAME;
			break;
		}
		thread->frames[i] = frame;
		hash = stack_hash(hash, frame);
		count_frames = i + 1;
		low = fp + 16;
		fp = next;
	}
	if (end == LT_STACK_LIMIT)
		count(LT_COUNTER_STACK_TRUNCATED);
	if (end == LT_STACK_FAULT)
		count(LT_COUNTER_STACK_FAULT);
	thread->stack.frame_count = count_frames;
	thread->stack.end = end;
	/* How it ended is part of what it is. */
	return stack_hash(hash, end);
}

/* Sends the frames of thread->stack ahead of the first event that names them. */
static __always_inline void stack_send(const struct ring_ref *ref, struct lt_thread *thread,
				       __u64 stack_id, __u8 kind)
{
	__u32 slot = stack_id & (LT_STACK_SLOTS - 1);
	__u64 *sent = bpf_map_lookup_elem(&lt_stacks_sent, &slot);
	__u64 size;

	if (!sent || *sent == stack_id)
		return;
	*sent = stack_id;
	fill_header(&thread->stack.header, LT_WIRE_STACK, kind, 0);
	thread->stack.stack_id = stack_id;
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
	stack_id = stack_walk(ctx, thread);
	stack_send(&ref, thread, stack_id, kind);
	record = bpf_ringbuf_reserve(ref.ring, sizeof(*record), 0);
	if (!record) {
		count(LT_COUNTER_ACQUIRE_RING_FULL);
		return;
	}
	fill_header(&record->header, LT_WIRE_ACQUIRE, kind, flags);
	record->id = id;
	record->size = size;
	record->stack_id = stack_id;
	bpf_ringbuf_submit(record, ring_flags(&ref));
}

#endif
