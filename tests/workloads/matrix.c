// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The malloc family of C case by case, and the program that runs these cases and those of
 * matrix_own.c and matrix_cxx.cc.  It is linked with each allocator in each way (rules.mk).
 *
 *	matrix [THREADS [ROUNDS [WHAT-TO-LEAVE-OUT...]]]
 *
 * What is left out is told by the beginning of its name: a case or a group.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "matrix.h"

#define MAX_THREADS 16
#define BIGGEST     (300 << 10) /* more than glibc's threshold of mapping */

void *pvalloc(size_t) MAYBE;
void free_sized(void *, size_t) MAYBE; /* C23 */
void free_aligned_sized(void *, size_t, size_t) MAYBE;

static char text[BIGGEST + ALIGNMENT + 1]; /* ends at its last byte */
static volatile size_t zero;
static volatile size_t half_of_all = SIZE_MAX / 2 + 1;

const char *matrix_text(size_t size)
{
	return text + sizeof(text) - size;
}

static void *malloc_after_failure(size_t size)
{
	must_fail(malloc(beyond_memory));
	must_fail(calloc(half_of_all, 16)); /* the product wraps to 0 */
	return malloc(size);
}

static void *realloc_that_fails(size_t size)
{
	void *p = malloc(size), *kept = p;

	KEEP(kept);
	must_fail(realloc(p, beyond_memory));
	return kept;
}

static void *reallocarray_that_fails(size_t size)
{
	void *p = malloc(size), *kept = p;

	KEEP(kept);
	must_fail(reallocarray(p, half_of_all, 16));
	return kept;
}

static void *posix_aligned(size_t alignment, size_t size)
{
	void *p = NULL;

	return posix_memalign(&p, alignment, size) ? NULL : p;
}

/* What lies at the result's place is no result of a call that fails. */
static void *aligned_after_failure(size_t size)
{
	void *p = text;

	must_fail(memalign(ALIGNMENT, beyond_memory));
	must_fail(aligned_alloc(ALIGNMENT, beyond_memory));
	must_fail(posix_memalign(&p, ALIGNMENT, beyond_memory) ? NULL : p);
	must_fail(posix_memalign(&p, 3 * sizeof(p), size) ? NULL : p);
	return memalign(ALIGNMENT, size);
}

#define C_CASES(X)                                                                                 \
	X(malloc_plain, malloc, 0, malloc(size), free(p))                                          \
	X(malloc_calloc, malloc, 0, calloc(size / 16, 16), free(p))                                \
	X(malloc_strdup, malloc, 0, strdup(matrix_text(size)), free(p))                            \
	X(malloc_fails, malloc, 0, malloc_after_failure(size), free(p))                            \
	X(realloc_null, malloc, 0, realloc(NULL, size), free(p))                                   \
	X(realloc_grow, malloc, 1, realloc(malloc(size / 2), size), free(p))                       \
	X(realloc_shrink, malloc, 1, realloc(malloc(size * 2), size), free(p))                     \
	X(realloc_chain, malloc, 2, realloc(realloc(calloc(1, size), size * 3), size), free(p))    \
	X(realloc_fails, malloc, 0, realloc_that_fails(size), free(p))                             \
	X(realloc_array_null, malloc, 0, reallocarray(NULL, size / 16, 16), free(p))               \
	X(realloc_array, malloc, 1, reallocarray(malloc(16), size / 16, 16), free(p))              \
	X(realloc_array_fails, malloc, 0, reallocarray_that_fails(size), free(p))                  \
	X(aligned_memalign, malloc, 0, memalign(ALIGNMENT, size), free(p))                         \
	X(aligned_page, malloc, 0, memalign(4096, size), free(p))                                  \
	X(aligned_alloc_c11, malloc, 0, aligned_alloc(ALIGNMENT, size), free(p))                   \
	X(aligned_posix, malloc, 0, posix_aligned(ALIGNMENT, size), free(p))                       \
	X(aligned_valloc, malloc, 0, valloc(size), free(p))                                        \
	X(aligned_pvalloc, pvalloc, 0, pvalloc(size), free(p))                                     \
	X(aligned_realloc, malloc, 1, realloc(memalign(ALIGNMENT, size * 2), size), free(p))       \
	X(aligned_fails, malloc, 0, aligned_after_failure(size), free(p))                          \
	X(sized_malloc, free_sized, 0, malloc(size), free_sized(p, size))                          \
	X(sized_calloc, free_sized, 0, calloc(1, size), free_sized(p, size))                       \
	X(sized_realloc, free_sized, 1, realloc(malloc(16), size), free_sized(p, size))            \
	X(sized_aligned, free_aligned_sized, 0, aligned_alloc(ALIGNMENT, size),                    \
	  free_aligned_sized(p, ALIGNMENT, size))

#define EMPTY_C_CASES(X)                                                                           \
	X(malloc_zero, malloc, 0, malloc(zero), free(p))                                           \
	X(realloc_to_zero, malloc, 1, realloc(malloc(100), zero), free(p))

C_CASES(CASE_FUNCTIONS)
EMPTY_C_CASES(CASE_FUNCTIONS)

/* clang-format off */
const struct matrix_case matrix_c_cases[] = {
	C_CASES(CASE_ROW)
	EMPTY_C_CASES(EMPTY_CASE_ROW)
	{ 0 },
};
/* clang-format on */

struct worker {
	pthread_t thread;
	uint64_t random;
	unsigned long rounds;
};

static const struct matrix_case *cases[TRUTH_MAX_SITES];
static const char *names[TRUTH_MAX_SITES];
static bool left_out[TRUTH_MAX_SITES];
static unsigned int case_count;
static _Atomic(void *) parcels[TRUTH_MAX_SITES]; /* blocks on their way to another thread */
static struct worker workers[MAX_THREADS];

static size_t some_size(uint64_t *random)
{
	uint64_t class = random_below(random, 64);
	size_t bound = class < 56 ? 4096 : class < 63 ? 64 << 10 : BIGGEST;

	return ALIGNMENT * (1 + random_below(random, bound / ALIGNMENT));
}

/* A block carries its size, so that whoever gets it can let it go. */
static void mark(char *p, size_t size)
{
	p[size - 1] = 1;
	memcpy(p, &size, sizeof(size));
}

/* One block of the case: an eighth of them stays, a part of the others goes to another thread. */
static void turn(uint64_t *random, unsigned int site)
{
	const struct matrix_case *row = cases[site];
	size_t size = some_size(random);
	void *p;

	if (size > row->limit)
		size = row->limit;
	p = row->get(size);

	for (unsigned int i = 0; i < row->passing; i++) {
		truth_acquire(site, 0);
		truth_release(site, 0);
	}
	if (!p) {
		if (!row->limit)
			return;
		say(row->name);
		say(" failed\n");
		_exit(1);
	}
	truth_acquire(site, size);
	if (size)
		mark(p, size);
	if (!random_below(random, 8))
		return;
	if (size && !random_below(random, 4)) {
		p = atomic_exchange(&parcels[site], p);
		if (!p)
			return;
		memcpy(&size, p, sizeof(size));
	}
	truth_release(site, size);
	row->let_go(p, size);
}

static void *work(void *argument_)
{
	struct worker *worker = argument_;

	for (unsigned long round = 0; round < worker->rounds; round++)
		for (unsigned int i = 0; i < case_count; i++)
			if (!left_out[i])
				turn(&worker->random, i);
	truth_flush();
	return NULL;
}

/* An allocator may lack what libc has, and knows nothing of libc's blocks. */
static bool beside_malloc(const void *function)
{
	Dl_info its, mallocs;

	return function && (!dladdr((void *)malloc, &mallocs) || !dladdr(function, &its) ||
			    mallocs.dli_fbase == its.dli_fbase);
}

static void add_cases(const struct matrix_case *rows, char **unwanted)
{
	for (; rows && rows->name; rows++, case_count++) {
		if (case_count >= TRUTH_MAX_SITES)
			_exit(2);
		cases[case_count] = rows;
		names[case_count] = rows->name;
		left_out[case_count] = !rows->needs;
		for (char **name = unwanted; *name; name++)
			if (!strncmp(*name, rows->name, strlen(*name)))
				left_out[case_count] = true;
	}
}

int main(int argc, char **argv)
{
	unsigned long threads = argument(argc, argv, 1, 1);
	unsigned long rounds = argument(argc, argv, 2, 1000);
	char **unwanted = argv + (argc < 3 ? argc : 3);

	if (!threads || threads > MAX_THREADS)
		return 2;
	memset(text, 'x', sizeof(text) - 1);
	add_cases(matrix_c_cases, unwanted);
	for (unsigned int i = 0; i < case_count; i++)
		left_out[i] |= !beside_malloc(cases[i]->needs);
	add_cases(matrix_own_cases, unwanted);
	add_cases(matrix_cxx_cases, unwanted);
	for (unsigned long t = 0; t < threads; t++)
		workers[t] = (struct worker){ .random = random_seed(t), .rounds = rounds };
	ready_and_go();
	for (unsigned long t = 1; t < threads; t++)
		if (pthread_create(&workers[t].thread, NULL, work, &workers[t]))
			return 1;
	work(&workers[0]);
	for (unsigned long t = 1; t < threads; t++)
		pthread_join(workers[t].thread, NULL);
	truth_print(names, case_count);
	wait_for("quit");
	return 0;
}
