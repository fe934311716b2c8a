/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A case of the matrix: one way to get a block and one to let it go, as a row.  Cases stand in one
 * file for each language or API; matrix.c runs all that are linked in.
 *
 *	X(name, needs, passing, get, let_go)
 *
 * NAME is the function that is the site: get and let_go are written in terms of size and p.  NEEDS
 * is a function that not every allocator has, declared weak: without it the case is not run.
 * PASSING blocks are acquired and released again on the way to the one that get returns.
 */
#ifndef TESTS_WORKLOADS_MATRIX_H
#define TESTS_WORKLOADS_MATRIX_H

#define TRUTH_MAX_SITES 160
#include "truth.h"

#ifdef __cplusplus
#define MATRIX_SITE extern "C" SITE
#else
#define MATRIX_SITE SITE static
#endif

#define MAYBE __attribute__((weak)) /* NULL if no allocator in the process has it */

#define ALIGNMENT 64 /* every size is a multiple of it, too */

struct matrix_case {
	const char *name;
	void *(*get)(size_t size);
	void (*let_go)(void *p, size_t size);
	const void *needs;
	unsigned int passing;
	size_t limit; /* of its size; if 0, no block is as good as one */
};

#define CASE_FUNCTIONS(name, needs, passing, get, let_go)                                          \
	MATRIX_SITE void *name(size_t size)                                                        \
	{                                                                                          \
		void *p = get;                                                                     \
                                                                                                   \
		KEEP(p);                                                                           \
		return p;                                                                          \
	}                                                                                          \
                                                                                                   \
	static void release_of_##name(void *p, size_t size)                                        \
	{                                                                                          \
		let_go;                                                                            \
	}

#define ROW_TO(limit, name, needs, passing)                                                        \
	{ #name, name, release_of_##name, (const void *)needs, passing, limit },
#define CASE_ROW(name, needs, passing, get, let_go)       ROW_TO(SIZE_MAX, name, needs, passing)
#define EMPTY_CASE_ROW(name, needs, passing, get, let_go) ROW_TO(0, name, needs, passing)
/* Nothing told the allocator how long a string is: who wants to know must read it. */
#define STRING_CASE_ROW(name, needs, passing, get, let_go) ROW_TO(32 << 10, name, needs, passing)

/* Each ends with a row without a name.  The operators are not in every program. */
#ifdef __cplusplus
extern "C" {
#endif
extern const struct matrix_case matrix_c_cases[];
extern const struct matrix_case matrix_own_cases[];
extern const struct matrix_case matrix_cxx_cases[] MAYBE;
const char *matrix_text(size_t size); /* of that size with its end */
#ifdef __cplusplus
}
#endif

/* No allocator can satisfy this, being all of a process's addresses; the compiler must not know. */
static volatile size_t beyond_memory = (size_t)1 << 47;

static inline void must_fail(const void *result)
{
	if (!result)
		return;
	say("an allocation that cannot succeed did\n");
	_exit(1);
}

#endif
