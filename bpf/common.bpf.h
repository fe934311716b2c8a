/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every BPF subject shares: configuration, the gate, counters.
 *
 * Programs see user registers (UAPI struct pt_regs) and a handful of kernel fields (kernel.bpf.h).
 * Definitions are __weak so that each subject's object can carry them and the linker keeps one.
 */
#ifndef LT_COMMON_BPF_H
#define LT_COMMON_BPF_H

#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "leaktrace/config.h"
#include "leaktrace/events.h"
#include "leaktrace/limits.h"
#include "leaktrace/unwind.h"

/* Hides a value's origin from the compiler, which drops masks that the verifier needs to see. */
#define opaque(value) asm volatile("" : "+r"(value))

volatile const struct lt_bpf_config lt_config __weak = {};

/*
 * The gate: 0 until every probe is attached, and again before the first is detached, so that no
 * acquire is seen whose release could not be.
 */
__u32 lt_active __weak = 0;

/* Global rather than per CPU: counted rarely, and a preempted ++ would lose counts. */
__u64 lt_counters[LT_COUNTER_COUNT] __weak = {};

static __always_inline void count(enum lt_counter counter)
{
	__sync_fetch_and_add(&lt_counters[counter], 1);
}

/* Holds nothing, ever. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} lt_no_programs __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LT_MAX_PROCESSES);
	__type(key, __u32); /* pid */
	__type(value, struct lt_bpf_target);
} lt_targets __weak SEC(".maps");

static __always_inline struct lt_bpf_target *target_find(__u32 pid)
{
	return bpf_map_lookup_elem(&lt_targets, &pid);
}

/* The current process if its events are wanted, else NULL. */
static __always_inline struct lt_bpf_target *traced(void)
{
	return lt_active ? target_find(bpf_get_current_pid_tgid() >> 32) : NULL;
}

/*
 * The same for uprobe programs.
 *
 * From 6.13 on, the kernel gives programs of this type a stack of their CPU rather than the task's
 * (bpf_enable_priv_stack() in kernel/bpf/verifier.c).  Uprobe programs can be preempted, and two
 * of them then share it: counts go wrong on preemptible kernels.  Programs with a tail call are
 * spared that, so here is one; it is never made, and the verifier removes it.
 */
static __always_inline struct lt_bpf_target *wanted(void *ctx)
{
	if (!lt_config.ring_mask)
		bpf_tail_call(ctx, &lt_no_programs, 0);
	return traced();
}

static __always_inline void fill_header(struct lt_wire_header *header, __u8 type, __u8 kind,
					__u8 flags, __u32 process)
{
	header->version = LT_WIRE_VERSION;
	header->type = type;
	header->kind = kind;
	header->flags = flags;
	header->process = process;
	header->time_ns = bpf_ktime_get_ns();
}

#endif
