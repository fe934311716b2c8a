/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every bound of leaktrace stands here.  Reaching one is counted (counters.def) and printed.
 * Shared by BPF and user space: plain macros only.
 */
#ifndef LEAKTRACE_LIMITS_H
#define LEAKTRACE_LIMITS_H

#define LT_MAX_FRAMES 127 /* frames of one stack, leaf first; the kernel's PERF_MAX_STACK_DEPTH */
#define LT_MAX_NESTED_STACK                                                                        \
	65536 /* bytes of stack that an allocator uses inside one call, at most */
#define LT_STACK_CHUNK       4096 /* bytes of user stack that the unwinder holds; power of two */
#define LT_LAYOUTS           16   /* stack layouts remembered for each thread; power of two */
#define LT_LAYOUT_SLOTS      64   /* words of stack that a remembered walk depends on */
#define LT_MEMO_SLOTS        (1 << 16) /* direct-mapped table of known stacks; power of two */
#define LT_RULE_SLOTS        (1 << 14) /* direct-mapped cache of unwind rules; power of two */
#define LT_MAX_SIGNAL_FRAMES 8         /* signal handlers on top of each other in one stack */
#define LT_MAX_THREADS       16384     /* threads of the targets with a pending-call record */
#define LT_MAX_CODE_RANGES   8192 /* executable mappings of one process known to BPF; power of two */
#define LT_MAX_SPACES        256 /* address spaces whose code BPF knows; power of two, see generation */
#define LT_SPACE_SHIFT                                                                             \
	24 /* of a space in a generation: 2^23 changes of its code take a day or more */
#define LT_COMM_BYTES        16         /* TASK_COMM_LEN of include/linux/sched.h */
#define LT_MAX_PROCESSES     8192       /* processes traced at a time */
#define LT_UNWIND_SEGMENT    (1 << 18)  /* 32-bit words of unwind tables in one map; power of two */
#define LT_MAX_SEGMENTS      64         /* 16 M words in all: more than 10 M rows; power of two */
#define LT_MAX_UNWIND_ROWS   (10 << 20) /* rows of one file's unwind table */
#define LT_MAX_RULES         16384      /* distinct unwind rules of all tables; power of two */
#define LT_STACK_SLOTS       (1 << 16)  /* direct-mapped "already sent" stack table; power of two */
#define LT_LIFE_RING_BYTES   (1 << 18) /* starts and ends of processes not read yet; 56 bytes each */
#define LT_MAX_RINGS         16        /* ring buffers; power of two */
#define LT_MAX_SITES         (1 << 16) /* sites (kind and stack) of one process */
#define LT_MAX_RANGES        (1 << 20) /* mappings, and parts of them, of one process */
#define LT_MAX_ATTACHED      4096      /* System V segments attached at a time, of all targets */
#define LT_MAX_MODULES       8192      /* executable mappings of one process, over its life */
#define LT_MAX_INLINE_DEPTH  32        /* source frames behind one address */
#define LT_MAX_NAME          4096      /* bytes of one function or file name; C++ names get long */
#define LT_MAX_BUILD_ID      32        /* bytes; SHA-1 has 20, xxhash 8, UUID 16 */
#define LT_MAX_REPORT_SITES  1000      /* --top */
#define LT_MAX_TARGETS       256       /* processes that leaktrace is pointed at */
#define LT_MAX_CGROUPS       65536     /* groups below --cgroup that are looked into */
#define LT_MAX_CGROUP_DEPTH  64        /* levels of groups below --cgroup */
#define LT_MAX_GOROUTINES    (4 << 20) /* of one process that a walk looks at */
#define LT_MAX_GO_STACKS     65536     /* distinct stacks of goroutines in one walk */
#define LT_MAX_GO_BUCKETS    (1 << 18) /* of one process's heap profile */
#define LT_MAX_GO_MODULES    64        /* a program and its plugins */
#define LT_MAX_GO_TABLE      (512 << 20) /* bytes of one file's pclntab */
#define LT_MAX_GO_BIRTHS     (1 << 20)   /* struct g of which the latest creation is remembered */
#define LT_MAX_GO_MADE       (1 << 18)   /* counts of creations: of stacks, and shares of CPUs */
#define LT_MAX_GO_LIVE       (1 << 20) /* bodies, tickers and contexts of Go that live at a time */
#define LT_GO_GENERATIONS    4         /* of creations behind a goroutine that are told */
#define LT_MAX_STARTUP_CALLS 100000    /* system calls of a command's dynamic linker */

#endif
