/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pending call of a thread, between a probed function's entry and its return.
 *
 * Allocators call themselves and each other: only the outermost call is recorded, so one
 * record a thread is enough.  Calls are told apart by the stack pointer, as the kernel does it for
 * its own return instances (arch_uretprobe_is_alive): a call inside the pending one has a smaller
 * stack pointer; an equal or greater one means that the pending call is over without a return
 * (longjmp), or ended in a tail call, whose arguments are the ones that count.
 *
 * A call that was left by longjmp must not swallow the deeper ones that follow: a call counts as
 * nested only if it is not plainly made by other code than that of the pending function's mapping.
 */
#ifndef LT_INFLIGHT_BPF_H
#define LT_INFLIGHT_BPF_H

#include "code.bpf.h"
#include "common.bpf.h"
#include "thread.bpf.h"

/*
 * Pending calls that may free a block inside, in all threads: while there are none, a free need not
 * look for one.  Too high after a thread died in such a call, which costs time only.
 */
__u32 lt_pending_frees __weak = 0;

/* The pending call is over, or never returned. */
static __always_inline void pending_drop(struct lt_pending *pending)
{
	pending->sp = 0;
	if (pending->frees)
		__sync_fetch_and_add(&lt_pending_frees, -1);
}

/* Whether a call is made inside the pending one.  At a probed function's entry only. */
static __always_inline bool pending_encloses(struct pt_regs *ctx, struct lt_thread *thread)
{
	struct lt_pending *pending = &thread->pending;
	__u64 sp = PT_REGS_SP(ctx), caller;

	if (pending->sp <= sp || pending->sp - sp >= LT_MAX_NESTED_STACK)
		return false;
	/* An address in no known mapping may be the trampoline of a return probe: nested, then. */
	if (bpf_probe_read_user(&caller, sizeof(caller), (void *)sp) || !is_code(thread, caller) ||
	    in_range(&thread->last_range, pending->ip))
		return true;
	pending_drop(pending);
	count(LT_COUNTER_STALE_CALL);
	return false;
}

/* Entry of a probed function.  False: inside of a pending call, nothing to do. */
static __always_inline bool pending_push(struct pt_regs *ctx, struct lt_thread *thread, __u32 op,
					 __u64 size, __u64 pointer, bool frees)
{
	struct lt_pending *pending = &thread->pending;

	if (pending_encloses(ctx, thread))
		return false;
	if (pending->sp) {
		if (pending->sp != PT_REGS_SP(ctx))
			count(LT_COUNTER_STALE_CALL);
		pending_drop(pending);
	}
	if (frees)
		__sync_fetch_and_add(&lt_pending_frees, 1);
	pending->frees = frees;
	pending->sp = PT_REGS_SP(ctx);
	pending->ip = PT_REGS_IP(ctx);
	pending->op = op;
	pending->size = size;
	pending->pointer = pointer;
	return true;
}

/* Return of a probed function; the stack pointer has passed the return address by now. */
static __always_inline bool pending_pop(struct pt_regs *ctx, struct lt_thread *thread)
{
	struct lt_pending *pending = &thread->pending;
	__u64 sp = PT_REGS_SP(ctx) - sizeof(__u64);

	if (pending->sp == sp) {
		pending_drop(pending);
		pending->popped_sp = sp;
		return true;
	}
	/* A nested call's return, or the second return of a call that ended in a tail call. */
	if (pending->sp < sp && pending->popped_sp != sp)
		count(LT_COUNTER_RETURN_UNMATCHED);
	return false;
}

#endif
