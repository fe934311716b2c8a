/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pending call of a thread, between a probed function's entry and its return.
 *
 * Allocators call themselves and each other (TRAPS 1): only the outermost call is recorded, so one
 * record a thread is enough.  Calls are told apart by the stack pointer, as the kernel does it for
 * its own return instances (arch_uretprobe_is_alive): a call inside the pending one has a smaller
 * stack pointer; an equal or greater one means that the pending call is over without a return
 * (longjmp), or ended in a tail call, whose arguments are the ones that count.
 */
#ifndef LT_INFLIGHT_BPF_H
#define LT_INFLIGHT_BPF_H

#include "common.bpf.h"

struct lt_pending {
	__u64 sp; /* at entry, pointing at the return address; 0: none pending */
	__u64 size;
	__u64 pointer; /* realloc: the old block; posix_memalign: where the result goes */
	__u32 op;
	__u32 reserved;
};

/* Everything a thread needs while one of its calls is handled: no other program runs meanwhile. */
struct lt_thread {
	struct lt_pending pending;
	struct lt_exec_range last_range; /* of the latest walked frame: most frames share it */
	struct lt_wire_stack stack;      /* the record under construction ... */
	__u64 frames[LT_MAX_FRAMES + 1]; /* ... and its frames, contiguous */
	__u8 chunk[LT_STACK_CHUNK];      /* a copy of user stack */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LT_MAX_THREADS);
	__type(key, __u32); /* thread id */
	__type(value, struct lt_thread);
} lt_threads __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lt_thread);
} lt_thread_zero __weak SEC(".maps"); /* too large for the BPF stack */

static __always_inline struct lt_thread *thread_find(void)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();

	return bpf_map_lookup_elem(&lt_threads, &tid);
}

static __always_inline struct lt_thread *thread_get(void)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid(), zero = 0;
	struct lt_thread *thread = bpf_map_lookup_elem(&lt_threads, &tid);
	void *empty;

	if (thread)
		return thread;
	empty = bpf_map_lookup_elem(&lt_thread_zero, &zero);
	if (!empty || bpf_map_update_elem(&lt_threads, &tid, empty, BPF_ANY)) {
		count(LT_COUNTER_THREADS_FULL);
		return NULL;
	}
	return bpf_map_lookup_elem(&lt_threads, &tid);
}

/* A call whose entry has this stack pointer runs inside the pending one. */
static __always_inline bool pending_encloses(const struct lt_pending *pending, __u64 sp)
{
	return pending->sp > sp && pending->sp - sp < LT_MAX_NESTED_STACK;
}

/* Entry of a probed function.  False: inside of a pending call, nothing to do. */
static __always_inline bool pending_push(struct lt_thread *thread, __u64 sp, __u32 op, __u64 size,
					 __u64 pointer)
{
	if (pending_encloses(&thread->pending, sp))
		return false;
	if (thread->pending.sp && thread->pending.sp != sp)
		count(LT_COUNTER_STALE_CALL);
	thread->pending.sp = sp;
	thread->pending.op = op;
	thread->pending.size = size;
	thread->pending.pointer = pointer;
	return true;
}

/* Return of a probed function; the stack pointer has passed the return address by now. */
static __always_inline bool pending_pop(struct lt_thread *thread, __u64 sp)
{
	if (thread->pending.sp == 0 || thread->pending.sp + sizeof(__u64) != sp) {
		if (!pending_encloses(&thread->pending, sp - sizeof(__u64)))
			count(LT_COUNTER_RETURN_UNMATCHED);
		return false;
	}
	thread->pending.sp = 0;
	return true;
}

#endif
