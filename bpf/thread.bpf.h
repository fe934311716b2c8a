/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is kept for each thread of the target: its pending call, and the room to walk its stack.  A
 * thread's probes never run at the same time, so none of it needs a lock or a busy mark.
 */
#ifndef LT_THREAD_BPF_H
#define LT_THREAD_BPF_H

#include "common.bpf.h"

struct lt_pending {
	__u64 sp;        /* at entry, pointing at the return address; 0: none pending */
	__u64 ip;        /* of the probed function */
	__u64 popped_sp; /* of the call that returned last */
	__u64 size;
	__u64 pointer; /* realloc: the old block; posix_memalign: where the result goes */
	__u32 op;
	__u32 frees; /* it may free a block inside */
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

static __always_inline struct lt_thread *thread_find(__u32 tid)
{
	return bpf_map_lookup_elem(&lt_threads, &tid);
}

static __always_inline struct lt_thread *thread_get(__u32 tid)
{
	struct lt_thread *thread = thread_find(tid);
	__u32 zero = 0;
	void *empty;

	if (thread)
		return thread;
	empty = bpf_map_lookup_elem(&lt_thread_zero, &zero);
	if (!empty || bpf_map_update_elem(&lt_threads, &tid, empty, BPF_ANY)) {
		count(LT_COUNTER_THREADS_FULL);
		return NULL;
	}
	return thread_find(tid);
}

#endif
