/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocator families as tables: which exported function does what.  Adding an allocator is a row
 * here and a test (docs/HOWTO_ADD_ALLOCATOR.md).  What an operation does with its arguments lives
 * in BPF, one program per operation (bpf/alloc.bpf.c).
 */
#ifndef LT_PROBE_FAMILY_H
#define LT_PROBE_FAMILY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/*
 * LT_OP(SYMBOL, entry program, return program or "", integer arguments read, null_arg_is_noop)
 *
 * An operator new may throw, and no exception passes a return probe alive: RETURN is put at the
 * instructions by which it returns (user/probe/returns.h), and is in no family's table.  THROW is
 * what it calls on its way out when it throws; where that is in another file, its calls show it.  Nor is
 * FREE_LEADING, which a FREE becomes that may jump on to another one (user/probe/leads.h).
 */
#define LT_ALLOC_OPERATIONS                                                                        \
	LT_OP(FREE, "enter_free", "", 1, true)                              /* (pointer) */        \
	LT_OP(FREE_LEADING, "enter_free_leading", "", 1, true)              /* (pointer) */        \
	LT_OP(REALLOC, "enter_realloc", "exit_acquire", 2, false)           /* (pointer, size) */  \
	LT_OP(REALLOCARRAY, "enter_reallocarray", "exit_acquire", 3, false) /* (p, n, size) */     \
	LT_OP(HEAP_REALLOC, "enter_heap_realloc", "exit_acquire", 3, false) /* (heap, p, size) */  \
	LT_OP(HEAP_REALLOCARRAY, "enter_heap_reallocarray", "exit_acquire", 4,                     \
	      false)                                              /* (heap, p, n, size) */         \
	LT_OP(XALLOCX, "enter_xallocx", "exit_acquire", 2, false) /* (pointer, size) */            \
	LT_OP(MALLOC, "enter_malloc", "exit_acquire", 1, false) /* (size): also valloc, pvalloc */ \
	LT_OP(PVALLOC, "enter_malloc", "exit_acquire", 1, false) /* (size), which it rounds up */  \
	LT_OP(CALLOC, "enter_calloc", "exit_acquire", 2, false)  /* (n, size) */                   \
	LT_OP(HEAP_CALLOC, "enter_heap_calloc", "exit_acquire", 3, false) /* (heap, n, size) */    \
	LT_OP(MEMALIGN, "enter_memalign", "exit_acquire", 2, false)       /* (align, size) */      \
	LT_OP(HEAP_MALLOC, "enter_memalign", "exit_acquire", 2, false)    /* (heap, size) */       \
	LT_OP(STRDUP, "enter_strdup", "exit_acquire", 1, false) /* (string) or (heap, string) */   \
	LT_OP(POSIX_MEMALIGN, "enter_posix_memalign", "exit_acquire", 3,                           \
	      false) /* (&p, align, size) */                                                       \
	LT_OP(THROW, "leave_by_throw", "", 0, false)                                               \
	LT_OP(RETURN, "leave_acquire", "", 0, false)                                               \
	LT_OP(NEW, "enter_new", "", 1, false)                       /* (size) */                   \
	LT_OP(NEW_ARRAY, "enter_new_array", "", 2, false)           /* (n, size) */                \
	LT_OP(HEAP_NEW, "enter_heap_new", "", 2, false)             /* (heap, size) */             \
	LT_OP(HEAP_NEW_ARRAY, "enter_heap_new_array", "", 3, false) /* (heap, n, size) */

/* Order matters: releases are attached before acquires (docs/ARCHITECTURE.md, "Attaching"). */
enum lt_alloc_op {
#define LT_OP(symbol, entry, exit, args, null_noop) LT_OP_##symbol,
	LT_ALLOC_OPERATIONS
#undef LT_OP
		LT_OP_COUNT
};

struct lt_op_info {
	const char *name;
	const char *entry_program;
	const char *return_program; /* NULL: none */
	int arguments;              /* integer argument registers that the entry program reads */
	bool null_is_noop;          /* a call with a NULL first argument need not be seen */
};

extern const struct lt_op_info lt_op_table[LT_OP_COUNT];

static inline bool lt_op_releases(enum lt_alloc_op op)
{
	return op == LT_OP_FREE || op == LT_OP_FREE_LEADING;
}

static inline bool lt_op_acquires(enum lt_alloc_op op)
{
	return !lt_op_releases(op) && op != LT_OP_RETURN && op != LT_OP_THROW;
}

/* It may throw: no return probe, but probes at its returns. */
static inline bool lt_op_throws(enum lt_alloc_op op)
{
	return op > LT_OP_RETURN;
}

/*
 * What a function is found to do nothing but lead to needs no probe of its own (user/probe/leads.h),
 * so a table lists all that hand out or take back blocks, each behind those that it jumps to.
 */
struct lt_family_function {
	const char *symbol;
	enum lt_alloc_op op;
	bool optional; /* absent in some versions: not worth a word */
};

struct lt_family {
	const char *name; /* "glibc" */
	/* What a build may put before each of these names, "" included; NULL: nothing. */
	const char *const *prefixes;
	/* An image belongs to the family if it defines all functions of one of these lists. */
	const char *const *const *signatures; /* NULL-terminated, as each list is */
	const struct lt_family_function *functions;
	size_t function_count;
};

/*
 * libc comes last: any other allocator puts itself before it, so that of several in one process the
 * first in this table is the one in use.
 */
extern const struct lt_family lt_families[];
extern const size_t lt_family_count;

/* The standard functions, for files that the user names (--allocator); has no signature. */
extern const struct lt_family lt_family_named;

#define LT_MAX_FUNCTION_NAME 128

/* A function's name in a build with this prefix.  C++ operators are called the same in all. */
void lt_family_symbol(char name[LT_MAX_FUNCTION_NAME], const char *prefix, const char *symbol);

/* "jemalloc, tcmalloc, ... and glibc" */
void lt_family_names(struct lt_buf *out);

#endif
