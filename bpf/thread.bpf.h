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

/* A release by a function that may jump on to another release's. */
struct lt_leading {
	__u64 sp; /* 0: none */
	__u64 block;
};

/* A walk through the messages that came with one call: bpf/fd.bpf.c. */
struct lt_receiving {
	__u64 messages; /* the address of what is read of the first one */
	__u64 next, count;
	__u64 at, end;    /* of the control headers in hand */
	__u64 rights_end; /* of the descriptors in hand; at is below it */
};

struct lt_address_range {
	__u64 start, end;
};

/* lt_layout.bp */
#define LT_LAYOUT_BP_START 1 /* RBP as it was at the start counts as well */
#define LT_LAYOUT_BP       2 /* that, or one that lies in the stack, led to a frame */

/*
 * What a walk found for one instruction and place: the words of stack that its result depends on.
 * While they hold the same values, and the tables stay, the stack is the same.
 */
struct lt_layout {
	__u64 ip, place; /* place_of() in stack.bpf.h */
	__u32 generation;
	__u16 span;   /* bytes of stack, from sp on, that hold all of them */
	__u8 count;   /* 0: nothing remembered */
	__u8 bp;      /* LT_LAYOUT_BP... */
	__u32 misses; /* in vain since it last was of use */
	__u32 reserved;
	__u16 offsets[LT_LAYOUT_SLOTS]; /* from sp */
};

/* A walk under way: registers of the frame in hand, and what is known of the stack. */
struct lt_walk {
	__u64 sp, bp;
	__u64 rule;       /* of the frame in hand */
	__u64 hash;       /* of the frames so far */
	__u64 chunk_base; /* address of chunk[0] */
	__u64 context;    /* the frame was interrupted: its registers, a struct ucontext; or 0 */
	__u64 frame_sp;   /* SP at the start ... */
	__u64 rbx, r12, r13, r14, r15; /* ... and what calls preserve besides RBP */
	__u32 chunk_size;              /* bytes of it that are valid */
	__u32 generation;
	__u32 bp_slot; /* where in the stack bp came from, from frame_sp; or a LT_BP_ value */
	__u32 frames;
	__u32 signals;          /* interrupted frames so far */
	__u32 switches;         /* of stacks, so far */
	__u32 unique;           /* the result depends on more than a layout can hold */
	__u32 by_frame_pointer; /* the last frame was stepped over so */
	__u32 unsure;           /* some frame was */
	__u32 end;              /* enum lt_stack_end; LT_STACK_END_COUNT while it goes on */
};

/* lt_walk.bp_slot */
#define LT_BP_START   0xffffffffu /* not changed since the start */
#define LT_BP_UNKNOWN 0xfffffffeu /* not preserved by the code seen */
#define LT_BP_COUNTED                                                                              \
	0xfffffffdu /* the result depends on it already, or it cannot be remembered                \
		     */

/* A mark of what the goroutine does; of each creation, a mark and the id of a stack. */
#define LT_GO_CHAIN_WORDS (1 + 2 * LT_GO_GENERATIONS)

/* Everything a thread needs while one of its calls is handled: no other program runs meanwhile. */
struct lt_thread {
	__u32 process; /* whose thread it is: an exec makes it another one's */
	__u32 tgid;
	__u32 space; /* whose code it runs: bpf/code.bpf.h */
	__u32 spaces_round;
	__u32 has_go; /* the process has a Go runtime: lt_go_layouts knows it, and this is a copy: */
	struct lt_bpf_go go;
	struct lt_pending pending;
	struct lt_leading leading;
	struct lt_address_range last_range; /* executable; of the latest look */
	__u64 stack_end;                    /* beyond it no memory was readable; 0: not met */
	__u64 stack_top; /* of the goroutine whose stack is walked next; 0: of none */
	__u64 g0, m; /* of the Go runtime: the thread's own goroutine, and what it is for; or 0 */
	struct pt_regs returned; /* as if a function had returned already; too large for the
				    BPF stack */
	struct lt_receiving receiving;
	struct lt_walk walk;
	struct lt_layout draft;               /* of the walk under way */
	struct lt_layout layouts[LT_LAYOUTS]; /* direct-mapped */
	/* What made the goroutine that runs, as words of a stack: go.bpf.h. */
	__u64 chain[LT_GO_CHAIN_WORDS];
	__u32 chain_words;
	__u32 span;                      /* of the stack that was recognised last */
	struct lt_wire_stack stack;      /* the record under construction ... */
	__u64 frames[LT_MAX_FRAMES + 1]; /* ... and its frames, contiguous */
	__u64 below[2];                  /* what lies below the copy, if it was read with it */
	__u8 chunk[LT_STACK_CHUNK];      /* a copy of user stack */
};

_Static_assert(__builtin_offsetof(struct lt_thread, chunk) ==
		       __builtin_offsetof(struct lt_thread, below) +
			       sizeof(((struct lt_thread *)0)->below),
	       "one read fills both");

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

/*
 * Which address space's code a process runs, by its number; told by user space, and copied at a
 * fork.  None: space 0, where all is code that is not known yet.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LT_MAX_PROCESSES);
	__type(key, __u32);
	__type(value, __u32);
} lt_process_spaces __weak SEC(".maps");

/* Told by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LT_MAX_TARGETS);
	__type(key, __u32); /* number of the process */
	__type(value, struct lt_bpf_go);
} lt_go_layouts __weak SEC(".maps");

/* Counted up by user space when it changes something in these. */
__u32 lt_spaces_round __weak = 0;

static __always_inline struct lt_thread *thread_add(__u32 tid)
{
	__u32 zero = 0;
	void *empty = bpf_map_lookup_elem(&lt_thread_zero, &zero);

	if (!empty || bpf_map_update_elem(&lt_threads, &tid, empty, BPF_ANY)) {
		count(LT_COUNTER_THREADS_FULL);
		return NULL;
	}
	return thread_find(tid);
}

/* The current thread, made if need be. */
static __always_inline struct lt_thread *thread_get(const struct lt_bpf_target *target)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid(), process = target->process, *space;
	struct lt_thread *thread = thread_find(tid);
	const struct lt_bpf_go *go;

	if (!thread)
		thread = thread_add(tid);
	if (!thread)
		return NULL;
	if (thread->process != process || thread->spaces_round != lt_spaces_round) {
		if (thread->process != process) {
			thread->pending.sp = 0;
			thread->stack_end = 0;
			thread->g0 = 0;
		}
		thread->process = process;
		thread->tgid = bpf_get_current_pid_tgid() >> 32;
		thread->spaces_round = lt_spaces_round;
		space = bpf_map_lookup_elem(&lt_process_spaces, &process);
		thread->space = space ? *space : 0;
		go = bpf_map_lookup_elem(&lt_go_layouts, &process);
		thread->has_go = go != NULL;
		if (go)
			thread->go = *go;
	}
	return thread;
}

/* The current thread if it has a record of this process. */
static __always_inline struct lt_thread *thread_known(const struct lt_bpf_target *target)
{
	struct lt_thread *thread = thread_find((__u32)bpf_get_current_pid_tgid());

	return thread && thread->process == target->process ? thread : NULL;
}

#endif
