/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What user space tells the BPF side before loading (read-only data) and while it runs (tables).
 * Include after <linux/types.h>.
 */
#ifndef LEAKTRACE_CONFIG_H
#define LEAKTRACE_CONFIG_H

#include "limits.h"

struct lt_bpf_config {       /* constant from load on */
	__u32 cpu_bits;      /* CPUs have numbers below 1 << this */
	__u32 ring_mask;     /* rings - 1, never 0 */
	__u64 acquire_limit; /* bytes in a ring above which acquires are dropped: the rest is for
				releases */
	__u32 max_frames;    /* of a stack, 1 to LT_MAX_FRAMES: it is cut there */
	__u32 reserved;
	__u64 wake_level; /* bytes in a ring at which the reader is woken early */
};

/* A process that is traced: value of lt_targets, by its pid in the initial namespace. */
struct lt_bpf_target {
	__u32 process; /* the number of this process image; no other ever has it in a session */
	__u32 flags;   /* LT_TARGET_ */
};

#define LT_TARGET_FOLLOW   2 /* what it forks and executes is traced as well */
#define LT_TARGET_BORROWED 4 /* between vfork and exec: it runs in its parent's memory */

/* Whose descriptor table a process shares: value of lt_table_lenders, by its pid. */
struct lt_bpf_lender {
	__u64 table;   /* the kernel's address of it */
	__u32 process; /* number of the one whose it is */
	__u32 reserved;
};

/*
 * Of a process with a Go runtime: value of lt_go_layouts, by the number of the process.  Offsets are those
 * of fields in struct g and struct m of runtime/runtime2.go, in the version at hand.
 */
struct lt_bpf_go {
	__u16 g_m, g_goid, g_gopc, g_sched_sp, g_sched_bp;
	__u16 m_curg;
	__u32 reserved;
	/* Where the runtime makes mappings for itself: its sysMmap, and with cgo its callCgoMmap. */
	struct {
		__u64 start, end; /* 0, 0: there is none */
	} mapper, cgo_mapper;
};

/*
 * Numbers of processes: those that leaktrace was pointed at have their pid (below 1 << 22,
 * PID_MAX_LIMIT in include/linux/threads.h), those that BPF gives have this bit.
 */
#define LT_PROCESS_BORN 0x80000000U

#endif
