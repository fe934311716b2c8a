/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocator families as tables: which exported function does what.  Adding an allocator is a row
 * here and a test.  What an operation does with its arguments lives in BPF, one program per
 * operation (bpf/alloc.bpf.c).
 */
#ifndef LT_PROBE_FAMILY_H
#define LT_PROBE_FAMILY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * LT_OP(SYMBOL, entry program, return program or "", integer arguments read, null_arg_is_noop)
 *
 * An operator new may throw, and no exception passes a return probe alive: RETURN is put at the
 * instructions by which it returns (user/probe/returns.h), and is in no family's table.
 */
#define LT_ALLOC_OPERATIONS                                                                        \
	LT_OP(FREE, "enter_free", "", 1, true)                              /* (pointer) */        \
	LT_OP(REALLOC, "enter_realloc", "exit_acquire", 2, false)           /* (pointer, size) */  \
	LT_OP(REALLOCARRAY, "enter_reallocarray", "exit_acquire", 3, false) /* (p, n, size) */     \
	LT_OP(XALLOCX, "enter_xallocx", "exit_acquire", 2, false)           /* (pointer, size) */  \
	LT_OP(MALLOC, "enter_malloc", "exit_acquire", 1, false) /* (size): also valloc, pvalloc */ \
	LT_OP(CALLOC, "enter_calloc", "exit_acquire", 2, false) /* (n, size) */                    \
	LT_OP(MEMALIGN, "enter_memalign", "exit_acquire", 2, false) /* (align, size) */            \
	LT_OP(POSIX_MEMALIGN, "enter_posix_memalign", "exit_acquire", 3,                           \
	      false) /* (&p, align, size) */                                                       \
	LT_OP(RETURN, "leave_acquire", "", 0, false)                                               \
	LT_OP(NEW, "enter_malloc", "", 1, false) /* (size) */

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

struct lt_family_function {
	const char *symbol;
	enum lt_alloc_op op;
	bool optional; /* absent in some versions: not worth a word */
};

struct lt_family {
	const char *name; /* "glibc" */
	/* An image belongs to the family if it defines all of these functions... */
	const char *const *signature; /* NULL-terminated */
	/* ... and its base file name matches one of these shell patterns (NULL: any). */
	const char *const *file_patterns;
	const struct lt_family_function *functions;
	size_t function_count;
};

/*
 * libc comes last: any other allocator puts itself before it, so that of several in one process the
 * first in this table is the one in use.
 */
extern const struct lt_family lt_families[];
extern const size_t lt_family_count;

#endif
