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
#define LT_STACK_CHUNK      2048 /* bytes of user stack copied at once by the unwinder; power of two */
#define LT_MAX_THREADS      16384     /* threads of the targets with a pending-call record */
#define LT_MAX_EXEC_RANGES  4096      /* executable mappings known to the BPF side; power of two */
#define LT_STACK_SLOTS      (1 << 16) /* direct-mapped "already sent" stack table; power of two */
#define LT_MAX_RINGS        16        /* ring buffers; power of two */
#define LT_MAX_SITES        (1 << 16) /* sites (kind and stack) of one process */
#define LT_MAX_MODULES      8192      /* executable mappings of one process, over its life */
#define LT_MAX_INLINE_DEPTH 32        /* source frames behind one address */
#define LT_MAX_NAME         4096      /* bytes of one function or file name; C++ names get long */
#define LT_MAX_BUILD_ID     32        /* bytes; SHA-1 has 20, xxhash 8, UUID 16 */
#define LT_MAX_REPORT_SITES 1000      /* --top */

#endif
