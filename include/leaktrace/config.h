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
 * What --go-probes see of a goroutine's creation: by the address of its struct g, which is used again for others
 * once it has ended, so that there are few: no goroutine needs a place of its own in lt_go_births.
 */
struct lt_go_birth_key {
	__u64 g;
	__u32 process;
	__u32 reserved;
};

struct lt_go_birth {
	__u64 gopc;     /* return address in who made it, as struct g has it */
	__u64 stack_id; /* of one that has not run yet: what made it */
	__u64 look;     /* how many there had been: lt_go_looks */
	__u64 check;    /* lt_go_birth_check(): written in place, it may be read by halves */
	/* The ids of the stacks that it, its creator, and so on were made in; 0: from here on not known. */
	__u64 stacks[LT_GO_GENERATIONS];
};

static inline __u64 lt_go_birth_check(const struct lt_go_birth *birth)
{
	return ~(birth->gopc ^ birth->stack_id * 0x9e3779b97f4a7c15ULL ^ birth->look << 48);
}

/* How many were made there: key of lt_go_made, whose values are counts.  The sum of all shares is told. */
struct lt_go_made_key {
	__u64 stack_id;
	__u32 process;
	__u32 share; /* of the CPUs, so that they do not fight for one word */
};

#define LT_GO_MADE_SHARES 16

/*
 * Numbers of processes: those that leaktrace was pointed at have their pid (below 1 << 22,
 * PID_MAX_LIMIT in include/linux/threads.h), those that BPF gives have this bit.
 */
#define LT_PROCESS_BORN 0x80000000U

#endif
