/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wire between BPF and user space: what one ring buffer record holds.
 *
 * Both sides compile this header; layouts are fixed by the assertions below.  Enums are append-only
 * with explicit values.  Times are CLOCK_MONOTONIC in nanoseconds (bpf_ktime_get_ns), sizes bytes.
 * Records of one resource id travel in one ring and keep their order.  Only BPF writes them, but
 * the reader treats them as hostile bytes (user/stream/decode.h).
 *
 * Include after <linux/types.h> or vmlinux.h, which bring the __uNN types.
 */
#ifndef LEAKTRACE_EVENTS_H
#define LEAKTRACE_EVENTS_H

#include "limits.h"

#define LT_WIRE_VERSION 1

enum lt_wire_type {
	LT_WIRE_ACQUIRE = 1,
	LT_WIRE_RELEASE = 2,
	LT_WIRE_RESTORE =
		3, /* the release of this id was undone: a realloc failed, the old block lives */
	LT_WIRE_STACK =
		4, /* the frames behind a stack id; may be repeated, may follow its first use */
	/* Records of the life ring: struct lt_wire_life. */
	LT_WIRE_EXEC = 5,  /* the process image was replaced: everything it held is gone */
	LT_WIRE_EXIT = 6,  /* the last thread of the process ended */
	LT_WIRE_FORK = 16, /* a process that is traced from its birth on */
	/* Of a range of addresses, or of descriptors (close_range): struct lt_wire_range. */
	LT_WIRE_RANGE_RELEASE = 32,
	LT_WIRE_RANGE_RESTORE =
		33, /* what this release took lives on, at the target: a call failed, or moved it */
};

/* lt_wire_header.kind */
enum lt_kind {
	LT_KIND_NONE = 0,
#define LT_KIND(symbol, value, name, unit, memory, listing, help) LT_KIND_##symbol = (value),
#include "kinds.def"
#undef LT_KIND
	LT_KIND_COUNT
};

/*
 * Where the kernel lists all resources of a kind that live, so that what was missed can be seen.
 * Values are in recordings.
 */
enum lt_listing {
	LT_LISTING_NOWHERE = 0,
	LT_LISTING_DESCRIPTORS = 1, /* /proc/PID/fd; ids are descriptors */
	LT_LISTING_THREADS = 2,     /* /proc/PID/task; ids are thread ids */
	LT_LISTING_GOROUTINES = 3,  /* the Go runtime's allgs; ids are goids */
	LT_LISTINGS
};

/* lt_wire_header.flags */
enum lt_wire_flags {
	/*
	 * One half of a realloc; a range's release: of a call that maps something instead; of a
	 * descriptor: dup2(), of what had its number, if there was anything.
	 */
	LT_WIRE_F_REALLOC = 1,
	LT_WIRE_F_RANGE =
		2, /* a range of addresses, of which any part may be released; or of ids */
	/*
	 * An acquire of what is mapped already, if its class is PLAIN or RESERVED: mprotect.  With
	 * class STACK: the mapping of that class that holds the id is that of a thread made now.
	 */
	LT_WIRE_F_PROTECT = 4,
	LT_WIRE_F_CLASS = 24, /* enum lt_range_class, of an acquired range */
};

#define LT_WIRE_CLASS(flags)     (((flags)&LT_WIRE_F_CLASS) >> 3)
#define LT_WIRE_CLASS_FLAG(what) ((what) << 3)

/*
 * What a mapping is for: lt_wire_header.flags of acquires with LT_WIRE_F_RANGE hold it, see
 * LT_WIRE_CLASS().  Plain ones belong to a site of kind mmap, stacks to one of kind stack; the others
 * are counted by class alone.
 */
enum lt_range_class {
	LT_RANGE_PLAIN = 0,
	LT_RANGE_ALLOCATOR = 1, /* made by an allocator, for what it hands out */
	LT_RANGE_STACK = 2,    /* of a thread: MAP_STACK; libraries keep them for the next thread */
	LT_RANGE_RESERVED = 3, /* PROT_NONE: addresses without memory */
	LT_RANGE_CLASSES
};

/*
 * Why the unwinder stopped: lt_wire_stack.end.  LT_STACK_END(SYMBOL, value, counter, phrase): the
 * counter is of walks that ended so, the phrase is for reports.
 */
#define LT_STACK_ENDS                                                                              \
	LT_STACK_END(COMPLETE, 0, COUNT, "")                                                       \
	LT_STACK_END(LIMIT, 1, STACK_TRUNCATED, "frame limit reached")                             \
	LT_STACK_END(FAULT, 2, STACK_FAULT, "stack memory unreadable")                             \
	LT_STACK_END(NO_FRAME, 3, STACK_NO_FRAME, "no unwind table and no frame pointer")          \
	LT_STACK_END(NO_CODE, 4, STACK_NO_CODE, "return address in no known code")                 \
	LT_STACK_END(UNSUPPORTED, 5, STACK_UNSUPPORTED, "unwind rule not supported")               \
	LT_STACK_END(PENDING, 6, STACK_PENDING, "code just mapped or replaced")                    \
	LT_STACK_END(IMPLAUSIBLE, 7, STACK_IMPLAUSIBLE, "frames do not climb the stack")           \
	LT_STACK_END(UNSURE, 8, STACK_UNSURE, "by frame pointers in part: callers may be missing") \
	LT_STACK_END(MOVED, 9, COUNT, "it ran on while it was read: where it waits is not known")

enum lt_stack_end {
#define LT_STACK_END(symbol, value, counter, phrase) LT_STACK_##symbol = (value),
	LT_STACK_ENDS
#undef LT_STACK_END
		LT_STACK_END_COUNT
};

/* Stack ids of what has no stack: those that BPF makes are hashes, and none of these. */
enum lt_stack_origin {
	LT_STACK_FROM_BEFORE = 1, /* it was there when we came, or was inherited */
	LT_STACK_UNSEEN = 2,      /* listed by the kernel, but made by no call that was seen */
	LT_STACK_ORIGINS
};

/* Words of a stack that are no addresses: marks.def */
enum lt_mark {
	LT_MARK_NONE = 0,
#define LT_MARK(symbol, value, class, text) LT_MARK_##symbol = (value),
#include "marks.def"
#undef LT_MARK
	LT_MARK_LIMIT = 4096, /* what is less is none, or a mark that is not known */
};

enum lt_counter {
#define LT_COUNTER(symbol, name, class, help) LT_COUNTER_##symbol,
#include "counters.def"
#undef LT_COUNTER
	LT_COUNTER_COUNT
};

struct lt_wire_header {
	__u8 version;  /* LT_WIRE_VERSION */
	__u8 type;     /* enum lt_wire_type */
	__u8 kind;     /* enum lt_kind */
	__u8 flags;    /* enum lt_wire_flags */
	__u32 process; /* number of the process: struct lt_bpf_target in config.h */
	__u64 time_ns;
};

struct lt_wire_acquire {
	struct lt_wire_header header;
	__u64 id; /* address, descriptor, thread id, ... within the kind */
	__u64 size;
	__u64 stack_id;
};

struct lt_wire_release { /* also RESTORE */
	struct lt_wire_header header;
	__u64 id;
};

struct lt_wire_life { /* FORK: header.process is the parent's; EXEC: the old image's */
	struct lt_wire_header header;
	__u32 process; /* FORK, EXEC: of the new one; EXEC: 0 if it is not followed */
	__u32 pid;     /* in the initial pid namespace */
	__u32 status;  /* EXIT: as wait(2) gives it; FORK: 1 if it has executed another program */
	__u32 reserved;
	char comm[LT_COMM_BYTES]; /* of the new one; ends with a zero */
};

struct lt_wire_range { /* RANGE_RELEASE, RANGE_RESTORE; flags: LT_WIRE_F_RANGE */
	struct lt_wire_header header;
	__u64 id;
	__u64 size;
	__u64 target; /* RANGE_RESTORE: where its start is now; else 0 */
};

struct lt_wire_stack {
	struct lt_wire_header header;
	__u64 stack_id;
	__u16 frame_count;
	__u16 end; /* enum lt_stack_end */
	__u32 reserved;
	/*
	 * Leaf first.  Names are looked up at frame - 1, in the call: a frame is a return address,
	 * or the address after that of the instruction at which a signal came.
	 */
	__u64 frames[];
};

_Static_assert(sizeof(struct lt_wire_header) == 16, "wire layout");
_Static_assert(sizeof(struct lt_wire_acquire) == 40, "wire layout");
_Static_assert(sizeof(struct lt_wire_release) == 24, "wire layout");
_Static_assert(sizeof(struct lt_wire_range) == 40, "wire layout");
_Static_assert(sizeof(struct lt_wire_stack) == 32, "wire layout");
_Static_assert(sizeof(struct lt_wire_life) == 48, "wire layout");

#endif
