/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One event of the stream, decoded and checked: what flows from the rings, or from a recording,
 * to the model.  Everything that is not deterministic enters as an event, so that a recording
 * replays to the same report.
 *
 * Pointers inside an event are borrowed: they live until the sink returns.  Strings are
 * NUL-terminated, never NULL.  Times are CLOCK_MONOTONIC nanoseconds of the traced machine.
 */
#ifndef LT_STREAM_EVENT_H
#define LT_STREAM_EVENT_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "leaktrace/events.h"
#include "leaktrace/limits.h"

/*
 * Code may take the place of other code.  So that an address has one meaning for ever, those in
 * STACK, MODULE and SYMBOL events carry in the bits from LT_ADDRESS_BITS on how many others were
 * there before: user space ends at bit 47 (Documentation/arch/x86/x86_64/mm.rst; 57-bit
 * addresses are given only to those who ask for them).
 */
#define LT_ADDRESS_BITS 48

static inline uint64_t lt_address_plain(uint64_t address)
{
	return address & ((UINT64_C(1) << LT_ADDRESS_BITS) - 1);
}

/* Values are in recordings: append-only. */
enum lt_event_type {
	LT_EVENT_ACQUIRE = 1, /* from the wire */
	LT_EVENT_RELEASE = 2,
	LT_EVENT_RESTORE = 3,
	LT_EVENT_STACK = 4,
	LT_EVENT_LIFE = 15,     /* a process starts or ends; never in a recording */
	LT_EVENT_TARGET = 16,   /* from the session: first of a process generation */
	LT_EVENT_MODULE = 17,   /* an executable mapping appeared */
	LT_EVENT_SYMBOL = 18,   /* what an address means */
	LT_EVENT_COUNTERS = 19, /* loss so far */
	LT_EVENT_PROCESS = 20,  /* the kernel's view: RSS, limits */
	LT_EVENT_SAMPLE = 21,   /* once a second: series and cohorts advance */
	LT_EVENT_REPORT = 22,   /* freeze and print a report */
	LT_EVENT_END = 23,      /* no more events of this process, and why */
	LT_EVENT_UNSHARE = 25,  /* it has mapped other code: its MODULEs are its own from now on */
	LT_EVENT_GONE = 24,     /* behind its END and last REPORT: the process is only summed up */
	LT_EVENT_CENSUS = 26,   /* what the kernel lists: struct lt_event_census */
	LT_EVENT_DESCRIBE = 27, /* what a listed resource is, when first told, and as it changes */
	LT_EVENT_LIMIT = 28,    /* how far the process is from one of its limits */
	LT_EVENT_MOVE = 29, /* a listed resource that lives belongs to another site from now on */
	LT_EVENT_OBSERVE = 30, /* what a runtime's own statistics say of a site */
	LT_EVENT_RUNTIME = 31, /* what a runtime says of itself */
};

struct lt_event_acquire {
	uint64_t id;
	uint64_t size; /* bytes, or 1 */
	uint64_t stack_id;
};

struct lt_event_life {    /* struct lt_wire_life */
	uint32_t what;    /* LT_WIRE_FORK, LT_WIRE_EXEC or LT_WIRE_EXIT */
	uint32_t process; /* FORK, EXEC: the number of the new one; 0: it is not followed */
	uint32_t pid, status;
	const char *comm;
};

struct lt_event_release { /* also RESTORE */
	uint64_t id;
	uint64_t size, target; /* as in struct lt_wire_range, with LT_WIRE_F_RANGE; else 0 */
};

struct lt_event_stack {
	uint64_t stack_id;
	const uint64_t *frames; /* leaf first; each one a return address */
	uint16_t frame_count;   /* 1 .. LT_MAX_FRAMES */
	uint16_t end;           /* enum lt_stack_end */
};

struct lt_event_target {
	uint64_t start_ticks;        /* /proc/PID/stat field 22: with the pid, the identity */
	uint64_t realtime_offset_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC at the attach */
	uint32_t ns_pid;             /* pid inside the target's own namespace */
	uint64_t interval_ns;        /* report interval */
	const char *comm;
	const char *exe;       /* path as the kernel shows it */
	const char *allocator; /* family name from the plan, e.g. "glibc" */
	/* Not in recordings before format 1.1: 0. */
	uint32_t pid;        /* as our /proc names it; 0: the event's tgid */
	uint32_t parent_pid; /* likewise; 0: not known, or its parent is not of this session */
	uint32_t
		shares; /* tgid of the process whose MODULEs and SYMBOLs are its own as well: it was
				forked off it; 0: none */
};

struct lt_event_module {
	uint32_t module_id;   /* dense, from 0 */
	uint64_t start, end;  /* address range */
	uint64_t file_offset; /* of start */
	const char *path;
	const uint8_t *build_id;
	uint32_t build_id_len; /* 0: none */
};

struct lt_source_frame {
	const char *function; /* demangled; "" if unknown */
	const char *file;     /* "" if unknown */
	uint32_t line;        /* 0 if unknown */
	bool inlined;         /* inlined into the next frame */
};

struct lt_event_symbol {
	uint64_t pc;                          /* as looked up: return address - 1 */
	const struct lt_source_frame *frames; /* innermost first */
	uint32_t frame_count;                 /* 0: nothing known */
};

struct lt_event_counters {
	const uint64_t *values; /* cumulative, indexed by enum lt_counter */
	uint32_t count;         /* may be less than LT_COUNTER_COUNT in old recordings */
};

/*
 * Where a resident page lies, as /proc/PID/smaps tells it.  Positions are in recordings:
 * append-only.
 */
enum lt_resident {
	LT_RESIDENT_HEAP,      /* [heap]: what brk() made */
	LT_RESIDENT_ANONYMOUS, /* other private memory of no file */
	LT_RESIDENT_STACK,     /* [stack]: the first thread's */
	LT_RESIDENT_COPIED,    /* private copies of a file's data pages: global variables */
	LT_RESIDENT_FILE,
	LT_RESIDENT_SHARED, /* memory shared without a file: memfd, System V, /dev/shm */
	LT_RESIDENT_OTHER,  /* what the kernel maps itself; code with breakpoints, such as probes */
	/* Whatever it is, in a mapping that is tracked since it was made: by enum lt_range_class. */
	LT_RESIDENT_MAPPED,
	LT_RESIDENT_MAPPED_PLAIN = LT_RESIDENT_MAPPED,
	LT_RESIDENT_MAPPED_ALLOCATOR,
	LT_RESIDENT_MAPPED_STACK,
	LT_RESIDENT_MAPPED_RESERVED,
	LT_RESIDENT_COUNT,
};

struct lt_event_process {
	uint64_t rss_bytes;        /* the sum of resident; else smaps_rollup Rss, else statm */
	uint64_t limit_bytes;      /* the nearest of cgroup limit and machine; 0: unknown */
	uint64_t available_bytes;  /* until that limit, now; 0: unknown */
	uint64_t collector_cpu_ns; /* our own cost, cumulative */
	uint64_t collector_rss_bytes;
	/* Not in recordings before format 1.1: 0. */
	uint64_t swap_bytes;
	/* How many of resident are known: none, those before LT_RESIDENT_MAPPED, or all. */
	uint16_t resident_count;
	uint64_t resident[LT_RESIDENT_COUNT]; /* bytes; they add up to rss_bytes */
};

struct lt_event_report {
	bool final;
};

struct lt_listed {
	uint64_t id;
	uint64_t born_ns; /* by the clock of events; may be before the attach; 0: unknown */
	uint8_t kind;     /* enum lt_kind */
};

/*
 * All that the kernel listed with ids of [low, high].  A long listing comes in several of these,
 * from low = 0 on; the last one has high = UINT64_MAX.
 */
#define LT_CENSUS_ITEMS 4096 /* of one event, at most */

struct lt_event_census {
	uint32_t listing; /* enum lt_listing, not NOWHERE */
	uint32_t count;
	uint64_t from_ns; /* before the kernel was asked: what happened later may not be in it */
	uint64_t low, high;
	const struct lt_listed *items; /* by ascending id */
};

struct lt_event_describe {
	uint32_t listing;
	uint64_t id;
	uint64_t key;      /* thread: address of its start function; else 0 */
	const char *type;  /* "TCP", "file", "pipe", "eventfd", "thread" ... */
	const char *name;  /* remote end, path, name of the thread ...; "" none */
	const char *local; /* socket: its own end; else "" */
	const char *state; /* TCP state; else "" */
};

/* Of goroutines: it waits somewhere else now. */
struct lt_event_move {
	uint64_t id;
	uint64_t stack_id;
};

/*
 * Of kinds that are observed rather than followed: there is no event for each resource, but sums,
 * which may be estimates from a sample.  Cumulative since the process began; they never decrease.
 */
struct lt_event_observe {
	uint64_t stack_id;
	uint64_t acquired_count, acquired_size, released_count, released_size;
	/* How many resources that live the estimate is made from; 0: it is exact, or none live */
	uint64_t sampled;
};

/* Figures of a Go runtime; UINT64_MAX: not known. */
#define LT_UNKNOWN_FIGURE UINT64_MAX

/* Where what is told of the heap comes from.  Values are in recordings: append-only. */
enum lt_runtime_heap {
	LT_RUNTIME_HEAP_NONE = 0,    /* not watched */
	LT_RUNTIME_HEAP_PROFILE = 1, /* the runtime's own profile */
	LT_RUNTIME_HEAP_OFF = 2,     /* that one is off, and nothing else was asked for */
	LT_RUNTIME_HEAP_SPANS = 3,   /* spans, seen by probes (--go-probes) */
	LT_RUNTIME_HEAP_UNKNOWN = 4, /* it was not found */
	LT_RUNTIME_HEAP_ENABLED = 5, /* the profile, switched on by us (--go-enable-profile) */
	LT_RUNTIME_HEAPS
};

struct lt_event_runtime {
	const char *version; /* "go1.22.12" */
	uint32_t heap;       /* enum lt_runtime_heap */
	uint32_t probes;     /* 1: --go-probes are in place */
	uint64_t heap_rate;  /* bytes per sample; 0: none */
	/* bytes */
	uint64_t heap_inuse_bytes, heap_idle_bytes, heap_released_bytes, stacks_inuse_bytes,
		next_gc_bytes, heap_live_bytes;
	uint64_t gc_count, gc_pause_total_ns, gc_pause_last_ns;
	uint64_t last_gc_ns;                     /* CLOCK_MONOTONIC; 0: none yet */
	uint64_t goroutines, runtime_goroutines; /* the user's, the runtime's own */
	uint64_t unread_goroutines; /* of these: without a usable stack at the last walk */
	uint64_t walk_ns;           /* how long that one took */
};

/* Values are in recordings: append-only. */
enum lt_limit {
	LT_LIMIT_DESCRIPTORS = 0,    /* RLIMIT_NOFILE */
	LT_LIMIT_USER_THREADS = 1,   /* RLIMIT_NPROC; used: by all of its real user */
	LT_LIMIT_CGROUP_THREADS = 2, /* pids.max of the nearest such group; used: by all in it */
	LT_LIMIT_SYSTEM_THREADS = 3, /* kernel.threads-max or pid_max; used: by all processes */
	LT_LIMITS
};

struct lt_event_limit {
	uint32_t which; /* enum lt_limit */
	uint64_t used, limit;
};

/* Values are in recordings: append-only. */
enum lt_end_reason {
	LT_END_DETACHED = 0,
	LT_END_EXITED = 1,
	LT_END_KILLED = 2, /* by a signal; status is its number */
	LT_END_EXEC = 3,
	LT_END_TRUNCATED = 4, /* the recording stops without an end: a crash of leaktrace */
};

struct lt_event_end {
	uint32_t reason; /* enum lt_end_reason */
	int32_t status;
};

struct lt_event {
	uint8_t type;  /* enum lt_event_type */
	uint8_t kind;  /* enum lt_kind, or 0 */
	uint8_t flags; /* enum lt_wire_flags */
	uint32_t tgid; /* number of the process: its pid, or one of its own if it was born later */
	uint64_t time_ns;
	union {
		struct lt_event_acquire acquire;
		struct lt_event_life life;
		struct lt_event_release release;
		struct lt_event_stack stack;
		struct lt_event_target target;
		struct lt_event_module module;
		struct lt_event_symbol symbol;
		struct lt_event_counters counters;
		struct lt_event_process process;
		struct lt_event_report report;
		struct lt_event_end end;
		struct lt_event_census census;
		struct lt_event_describe describe;
		struct lt_event_limit limit;
		struct lt_event_move move;
		struct lt_event_observe observe;
		struct lt_event_runtime runtime;
	};
};

/* Receives events in stream order.  0, or -errno, which stops the source and is handed on. */
typedef int (*lt_event_sink)(void *context, const struct lt_event *event);

#endif
