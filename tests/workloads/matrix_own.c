// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What allocators have under names of their own, for matrix.c.  Their headers are not used: they
 * would rename the malloc family, and a program has at most some of these functions.
 */
#include "matrix.h"

/* jemalloc, jemalloc.3 */
void *mallocx(size_t, int) MAYBE;
void *rallocx(void *, size_t, int) MAYBE;
size_t xallocx(void *, size_t, size_t, int) MAYBE;
void dallocx(void *, int) MAYBE;
void sdallocx(void *, size_t, int) MAYBE;

#define JE_ALIGN 6    /* MALLOCX_ALIGN(64) */
#define JE_ZERO  0x40 /* MALLOCX_ZERO */

static void *je_in_place(void *p, size_t size)
{
	return xallocx(p, size, 0, 0) >= size ? p : NULL;
}

static void *je_after_failure(size_t size)
{
	void *p = mallocx(size, 0);

	must_fail(mallocx(beyond_memory, 0));
	must_fail(rallocx(p, beyond_memory, 0));
	must_fail(xallocx(p, beyond_memory, 0, 0) < beyond_memory ? NULL : p);
	return p;
}

#define JEMALLOC_CASES(X)                                                                          \
	X(jemalloc_mallocx, mallocx, 0, mallocx(size, 0), dallocx(p, 0))                           \
	X(jemalloc_aligned, mallocx, 0, mallocx(size, JE_ALIGN), dallocx(p, JE_ALIGN))             \
	X(jemalloc_sized, mallocx, 0, mallocx(size, JE_ZERO), sdallocx(p, size, 0))                \
	X(jemalloc_sized_aligned, mallocx, 0, mallocx(size, JE_ALIGN),                             \
	  sdallocx(p, size, JE_ALIGN))                                                             \
	X(jemalloc_rallocx, mallocx, 1, rallocx(mallocx(size / 2, 0), size, 0), dallocx(p, 0))     \
	X(jemalloc_xallocx, mallocx, 1, je_in_place(mallocx(size, 0), size), dallocx(p, 0))        \
	X(jemalloc_fails, mallocx, 0, je_after_failure(size), dallocx(p, 0))

/* gperftools/tcmalloc.h */
void *tc_malloc(size_t) MAYBE;
void *tc_malloc_skip_new_handler(size_t) MAYBE;
void *tc_calloc(size_t, size_t) MAYBE;
void *tc_realloc(void *, size_t) MAYBE;
void *tc_memalign(size_t, size_t) MAYBE;
int tc_posix_memalign(void **, size_t, size_t) MAYBE;
void *tc_valloc(size_t) MAYBE;
void *tc_pvalloc(size_t) MAYBE;
void *tc_new(size_t) MAYBE;
void *tc_newarray(size_t) MAYBE;
void *tc_new_nothrow(size_t, const void *) MAYBE;
void *tc_newarray_nothrow(size_t, const void *) MAYBE;
void *tc_new_aligned(size_t, size_t) MAYBE;
void *tc_newarray_aligned_nothrow(size_t, size_t, const void *) MAYBE;
void tc_free(void *) MAYBE;
void tc_cfree(void *) MAYBE;
void tc_free_sized(void *, size_t) MAYBE;
void tc_delete(void *) MAYBE;
void tc_deletearray(void *) MAYBE;
void tc_delete_nothrow(void *, const void *) MAYBE;
void tc_deletearray_nothrow(void *, const void *) MAYBE;
void tc_delete_sized(void *, size_t) MAYBE;
void tc_deletearray_sized(void *, size_t) MAYBE;
void tc_delete_aligned(void *, size_t) MAYBE;
void tc_delete_sized_aligned(void *, size_t, size_t) MAYBE;
void tc_deletearray_aligned_nothrow(void *, size_t, const void *) MAYBE;

static const char nothrow; /* std::nothrow: of no content */

static void *tc_posix_aligned(size_t size)
{
	void *p = NULL;

	return tc_posix_memalign(&p, ALIGNMENT, size) ? NULL : p;
}

#define TCMALLOC_CASES(X)                                                                          \
	X(tcmalloc_malloc, tc_malloc, 0, tc_malloc(size), tc_free(p))                              \
	X(tcmalloc_skip_new_handler, tc_malloc, 0, tc_malloc_skip_new_handler(size), tc_free(p))   \
	X(tcmalloc_calloc, tc_malloc, 0, tc_calloc(size / 16, 16), tc_cfree(p))                    \
	X(tcmalloc_realloc, tc_malloc, 1, tc_realloc(tc_malloc(size / 2), size), tc_free(p))       \
	X(tcmalloc_memalign, tc_malloc, 0, tc_memalign(ALIGNMENT, size), tc_free(p))               \
	X(tcmalloc_posix, tc_malloc, 0, tc_posix_aligned(size), tc_free(p))                        \
	X(tcmalloc_valloc, tc_malloc, 0, tc_valloc(size), tc_free(p))                              \
	X(tcmalloc_pvalloc, tc_malloc, 0, tc_pvalloc(size), tc_free(p))                            \
	X(tcmalloc_sized, tc_malloc, 0, tc_malloc(size), tc_free_sized(p, size))                   \
	X(tcmalloc_new, tc_malloc, 0, tc_new(size), tc_delete(p))                                  \
	X(tcmalloc_newarray, tc_malloc, 0, tc_newarray(size), tc_deletearray(p))                   \
	X(tcmalloc_new_nothrow, tc_malloc, 0, tc_new_nothrow(size, &nothrow),                      \
	  tc_delete_nothrow(p, &nothrow))                                                          \
	X(tcmalloc_newarray_nothrow, tc_malloc, 0, tc_newarray_nothrow(size, &nothrow),            \
	  tc_deletearray_nothrow(p, &nothrow))                                                     \
	X(tcmalloc_new_sized, tc_malloc, 0, tc_new(size), tc_delete_sized(p, size))                \
	X(tcmalloc_newarray_sized, tc_malloc, 0, tc_newarray(size), tc_deletearray_sized(p, size)) \
	X(tcmalloc_new_aligned, tc_malloc, 0, tc_new_aligned(size, ALIGNMENT),                     \
	  tc_delete_aligned(p, ALIGNMENT))                                                         \
	X(tcmalloc_new_aligned_sized, tc_malloc, 0, tc_new_aligned(size, ALIGNMENT),               \
	  tc_delete_sized_aligned(p, size, ALIGNMENT))                                             \
	X(tcmalloc_newarray_aligned_nothrow, tc_malloc, 0,                                         \
	  tc_newarray_aligned_nothrow(size, ALIGNMENT, &nothrow),                                  \
	  tc_deletearray_aligned_nothrow(p, ALIGNMENT, &nothrow))

/* mimalloc.h */
void *mi_malloc(size_t) MAYBE;
void *mi_malloc_small(size_t) MAYBE;
void *mi_zalloc(size_t) MAYBE;
void *mi_zalloc_small(size_t) MAYBE;
void *mi_calloc(size_t, size_t) MAYBE;
void *mi_mallocn(size_t, size_t) MAYBE;
void *mi_realloc(void *, size_t) MAYBE;
void *mi_reallocf(void *, size_t) MAYBE;
void *mi_reallocn(void *, size_t, size_t) MAYBE;
void *mi_reallocarray(void *, size_t, size_t) MAYBE;
void *mi_rezalloc(void *, size_t) MAYBE;
void *mi_recalloc(void *, size_t, size_t) MAYBE;
void *mi_malloc_aligned(size_t, size_t) MAYBE;
void *mi_malloc_aligned_at(size_t, size_t, size_t) MAYBE;
void *mi_zalloc_aligned(size_t, size_t) MAYBE;
void *mi_calloc_aligned(size_t, size_t, size_t) MAYBE;
void *mi_realloc_aligned(void *, size_t, size_t) MAYBE;
void *mi_recalloc_aligned(void *, size_t, size_t, size_t) MAYBE;
void *mi_memalign(size_t, size_t) MAYBE;
void *mi_aligned_alloc(size_t, size_t) MAYBE;
int mi_posix_memalign(void **, size_t, size_t) MAYBE;
void *mi_valloc(size_t) MAYBE;
void *mi_pvalloc(size_t) MAYBE;
char *mi_strdup(const char *) MAYBE;
char *mi_strndup(const char *, size_t) MAYBE;
char *mi_heap_strdup(void *, const char *) MAYBE;
void *mi_new(size_t) MAYBE;
void *mi_new_n(size_t, size_t) MAYBE;
void *mi_new_nothrow(size_t) MAYBE;
void *mi_new_aligned(size_t, size_t) MAYBE;
void *mi_new_aligned_nothrow(size_t, size_t) MAYBE;
void *mi_new_realloc(void *, size_t) MAYBE;
void *mi_heap_get_default(void) MAYBE;
void *mi_heap_malloc(void *, size_t) MAYBE;
void *mi_heap_malloc_small(void *, size_t) MAYBE;
void *mi_heap_zalloc(void *, size_t) MAYBE;
void *mi_heap_calloc(void *, size_t, size_t) MAYBE;
void *mi_heap_mallocn(void *, size_t, size_t) MAYBE;
void *mi_heap_realloc(void *, void *, size_t) MAYBE;
void *mi_heap_malloc_aligned(void *, size_t, size_t) MAYBE;
void *mi_heap_reallocn(void *, void *, size_t, size_t) MAYBE;
void *mi_heap_recalloc_aligned(void *, void *, size_t, size_t, size_t) MAYBE;
void mi_free(void *) MAYBE;
void mi_cfree(void *) MAYBE;
void mi_free_size(void *, size_t) MAYBE;
void mi_free_size_aligned(void *, size_t, size_t) MAYBE;
void mi_free_aligned(void *, size_t) MAYBE;

#define MI_SMALL 1024 /* at most MI_SMALL_SIZE_MAX */
#define MI_HEAP  mi_heap_get_default()

static void *mi_posix_aligned(size_t size)
{
	void *p = NULL;

	return mi_posix_memalign(&p, ALIGNMENT, size) ? NULL : p;
}

#define MIMALLOC_CASES(X)                                                                          \
	X(mimalloc_malloc, mi_malloc, 0, mi_malloc(size), mi_free(p))                              \
	X(mimalloc_malloc_small, mi_malloc, 0,                                                     \
	  size > MI_SMALL ? mi_malloc(size) : mi_malloc_small(size), mi_cfree(p))                  \
	X(mimalloc_zalloc, mi_malloc, 0, mi_zalloc(size), mi_free(p))                              \
	X(mimalloc_zalloc_small, mi_malloc, 0,                                                     \
	  size > MI_SMALL ? mi_zalloc(size) : mi_zalloc_small(size), mi_free(p))                   \
	X(mimalloc_calloc, mi_malloc, 0, mi_calloc(size / 16, 16), mi_free(p))                     \
	X(mimalloc_mallocn, mi_malloc, 0, mi_mallocn(size / 16, 16), mi_free(p))                   \
	X(mimalloc_realloc, mi_malloc, 1, mi_realloc(mi_malloc(size / 2), size), mi_free(p))       \
	X(mimalloc_reallocf, mi_malloc, 1, mi_reallocf(mi_malloc(size / 2), size), mi_free(p))     \
	X(mimalloc_reallocn, mi_malloc, 1, mi_reallocn(mi_malloc(16), size / 16, 16), mi_free(p))  \
	X(mimalloc_reallocarray, mi_malloc, 1, mi_reallocarray(mi_malloc(16), size / 16, 16),      \
	  mi_free(p))                                                                              \
	X(mimalloc_rezalloc, mi_malloc, 1, mi_rezalloc(mi_zalloc(size / 2), size), mi_free(p))     \
	X(mimalloc_recalloc, mi_malloc, 1, mi_recalloc(mi_zalloc(16), size / 16, 16), mi_free(p))  \
	X(mimalloc_aligned, mi_malloc, 0, mi_malloc_aligned(size, ALIGNMENT),                      \
	  mi_free_aligned(p, ALIGNMENT))                                                           \
	X(mimalloc_aligned_at, mi_malloc, 0, mi_malloc_aligned_at(size, ALIGNMENT, 16),            \
	  mi_free(p))                                                                              \
	X(mimalloc_zalloc_aligned, mi_malloc, 0, mi_zalloc_aligned(size, ALIGNMENT), mi_free(p))   \
	X(mimalloc_calloc_aligned, mi_malloc, 0, mi_calloc_aligned(size / 16, 16, ALIGNMENT),      \
	  mi_free(p))                                                                              \
	X(mimalloc_realloc_aligned, mi_malloc, 1,                                                  \
	  mi_realloc_aligned(mi_malloc_aligned(16, ALIGNMENT), size, ALIGNMENT), mi_free(p))       \
	X(mimalloc_recalloc_aligned, mi_malloc, 1,                                                 \
	  mi_recalloc_aligned(mi_zalloc_aligned(16, ALIGNMENT), size / 16, 16, ALIGNMENT),         \
	  mi_free(p))                                                                              \
	X(mimalloc_memalign, mi_malloc, 0, mi_memalign(ALIGNMENT, size), mi_free(p))               \
	X(mimalloc_aligned_alloc, mi_malloc, 0, mi_aligned_alloc(ALIGNMENT, size), mi_free(p))     \
	X(mimalloc_posix, mi_malloc, 0, mi_posix_aligned(size), mi_free(p))                        \
	X(mimalloc_valloc, mi_malloc, 0, mi_valloc(size), mi_free(p))                              \
	X(mimalloc_pvalloc, mi_malloc, 0, mi_pvalloc(size), mi_free(p))                            \
	X(mimalloc_sized, mi_malloc, 0, mi_malloc(size), mi_free_size(p, size))                    \
	X(mimalloc_sized_aligned, mi_malloc, 0, mi_malloc_aligned(size, ALIGNMENT),                \
	  mi_free_size_aligned(p, size, ALIGNMENT))                                                \
	X(mimalloc_new, mi_malloc, 0, mi_new(size), mi_free(p))                                    \
	X(mimalloc_new_n, mi_malloc, 0, mi_new_n(size / 16, 16), mi_free(p))                       \
	X(mimalloc_new_nothrow, mi_malloc, 0, mi_new_nothrow(size), mi_free(p))                    \
	X(mimalloc_new_aligned, mi_malloc, 0, mi_new_aligned(size, ALIGNMENT), mi_free(p))         \
	X(mimalloc_new_aligned_nothrow, mi_malloc, 0, mi_new_aligned_nothrow(size, ALIGNMENT),     \
	  mi_free(p))                                                                              \
	X(mimalloc_new_realloc, mi_malloc, 1, mi_new_realloc(mi_new(size / 2), size), mi_free(p))  \
	X(mimalloc_heap_malloc, mi_malloc, 0, mi_heap_malloc(MI_HEAP, size), mi_free(p))           \
	X(mimalloc_heap_small, mi_malloc, 0,                                                       \
	  size > MI_SMALL ? mi_heap_malloc(MI_HEAP, size) : mi_heap_malloc_small(MI_HEAP, size),   \
	  mi_free(p))                                                                              \
	X(mimalloc_heap_zalloc, mi_malloc, 0, mi_heap_zalloc(MI_HEAP, size), mi_free(p))           \
	X(mimalloc_heap_calloc, mi_malloc, 0, mi_heap_calloc(MI_HEAP, size / 16, 16), mi_free(p))  \
	X(mimalloc_heap_mallocn, mi_malloc, 0, mi_heap_mallocn(MI_HEAP, size / 16, 16),            \
	  mi_free(p))                                                                              \
	X(mimalloc_heap_realloc, mi_malloc, 1,                                                     \
	  mi_heap_realloc(MI_HEAP, mi_heap_malloc(MI_HEAP, 16), size), mi_free(p))                 \
	X(mimalloc_heap_reallocn, mi_malloc, 1,                                                    \
	  mi_heap_reallocn(MI_HEAP, mi_malloc(16), size / 16, 16), mi_free(p))                     \
	X(mimalloc_heap_recalloc_aligned, mi_malloc, 1,                                            \
	  mi_heap_recalloc_aligned(MI_HEAP, mi_zalloc_aligned(16, ALIGNMENT), size / 16, 16,       \
				   ALIGNMENT),                                                     \
	  mi_free(p))                                                                              \
	X(mimalloc_heap_aligned, mi_malloc, 0, mi_heap_malloc_aligned(MI_HEAP, size, ALIGNMENT),   \
	  mi_free(p))

#define MIMALLOC_STRING_CASES(X)                                                                   \
	X(mimalloc_strdup, mi_malloc, 0, mi_strdup(matrix_text(size)), mi_free(p))                 \
	X(mimalloc_strndup, mi_malloc, 0, mi_strndup(matrix_text(size + ALIGNMENT), size - 1),     \
	  mi_free(p))                                                                              \
	X(mimalloc_heap_strdup, mi_malloc, 0, mi_heap_strdup(MI_HEAP, matrix_text(size)),          \
	  mi_free(p))

/* A jemalloc whose functions got a prefix, next to a malloc that is another allocator's. */
#ifndef MATRIX_PREFIX
#define MATRIX_PREFIX je_
#endif
#define PASTE(prefix, name)  prefix##name
#define PASTED(prefix, name) PASTE(prefix, name)
#define PREFIXED(name)       PASTED(MATRIX_PREFIX, name)

void *PREFIXED(malloc)(size_t) MAYBE;
void *PREFIXED(calloc)(size_t, size_t) MAYBE;
void *PREFIXED(realloc)(void *, size_t) MAYBE;
void *PREFIXED(memalign)(size_t, size_t) MAYBE;
void *PREFIXED(aligned_alloc)(size_t, size_t) MAYBE;
int PREFIXED(posix_memalign)(void **, size_t, size_t) MAYBE;
void *PREFIXED(valloc)(size_t) MAYBE;
void *PREFIXED(mallocx)(size_t, int) MAYBE;
void *PREFIXED(rallocx)(void *, size_t, int) MAYBE;
void PREFIXED(free)(void *) MAYBE;
void PREFIXED(dallocx)(void *, int) MAYBE;
void PREFIXED(sdallocx)(void *, size_t, int) MAYBE;
void PREFIXED(free_sized)(void *, size_t) MAYBE; /* C23 */
void PREFIXED(free_aligned_sized)(void *, size_t, size_t) MAYBE;

/* jemalloc as if it were new enough, where its sdallocx has a name that nobody knows (rules.mk). */
#ifdef MATRIX_HIDDEN_SDALLOCX
void MATRIX_HIDDEN_SDALLOCX(void *, size_t, int);

void PREFIXED(free_sized)(void *p, size_t size)
{
	MATRIX_HIDDEN_SDALLOCX(p, size, 0);
}

void PREFIXED(free_aligned_sized)(void *p, size_t alignment, size_t size)
{
	MATRIX_HIDDEN_SDALLOCX(p, size, alignment == ALIGNMENT ? JE_ALIGN : 0);
}
#endif

static void *prefixed_posix_aligned(size_t size)
{
	void *p = NULL;

	return PREFIXED(posix_memalign)(&p, ALIGNMENT, size) ? NULL : p;
}

#define PREFIXED_CASES(X)                                                                          \
	X(prefixed_malloc, PREFIXED(malloc), 0, PREFIXED(malloc)(size), PREFIXED(free)(p))         \
	X(prefixed_calloc, PREFIXED(malloc), 0, PREFIXED(calloc)(size / 16, 16),                   \
	  PREFIXED(free)(p))                                                                       \
	X(prefixed_realloc, PREFIXED(malloc), 1,                                                   \
	  PREFIXED(realloc)(PREFIXED(malloc)(size / 2), size), PREFIXED(free)(p))                  \
	X(prefixed_memalign, PREFIXED(malloc), 0, PREFIXED(memalign)(ALIGNMENT, size),             \
	  PREFIXED(free)(p))                                                                       \
	X(prefixed_aligned_alloc, PREFIXED(malloc), 0, PREFIXED(aligned_alloc)(ALIGNMENT, size),   \
	  PREFIXED(free)(p))                                                                       \
	X(prefixed_posix, PREFIXED(malloc), 0, prefixed_posix_aligned(size), PREFIXED(free)(p))    \
	X(prefixed_valloc, PREFIXED(malloc), 0, PREFIXED(valloc)(size), PREFIXED(free)(p))         \
	X(prefixed_mallocx, PREFIXED(malloc), 0, PREFIXED(mallocx)(size, 0),                       \
	  PREFIXED(dallocx)(p, 0))                                                                 \
	X(prefixed_rallocx, PREFIXED(malloc), 1,                                                   \
	  PREFIXED(rallocx)(PREFIXED(mallocx)(size / 2, 0), size, 0), PREFIXED(dallocx)(p, 0))     \
	X(prefixed_sized, PREFIXED(sdallocx), 0, PREFIXED(mallocx)(size, JE_ALIGN),                \
	  PREFIXED(sdallocx)(p, size, JE_ALIGN))                                                   \
	X(prefixed_c23_sized, PREFIXED(free_sized), 0, PREFIXED(malloc)(size),                     \
	  PREFIXED(free_sized)(p, size))                                                           \
	X(prefixed_c23_aligned, PREFIXED(free_sized), 0, PREFIXED(aligned_alloc)(ALIGNMENT, size), \
	  PREFIXED(free_aligned_sized)(p, ALIGNMENT, size))

JEMALLOC_CASES(CASE_FUNCTIONS)
TCMALLOC_CASES(CASE_FUNCTIONS)
MIMALLOC_CASES(CASE_FUNCTIONS)
MIMALLOC_STRING_CASES(CASE_FUNCTIONS)
PREFIXED_CASES(CASE_FUNCTIONS)

/* clang-format off */
const struct matrix_case matrix_own_cases[] = {
	JEMALLOC_CASES(CASE_ROW)
	TCMALLOC_CASES(CASE_ROW)
	MIMALLOC_CASES(CASE_ROW)
	MIMALLOC_STRING_CASES(STRING_CASE_ROW)
	PREFIXED_CASES(CASE_ROW)
	{ 0 },
};
