// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every function of the malloc family, in every size class, with their failures, realloc chains and
 * frees in other threads than the allocating one.
 *
 *	family [THREADS [OPERATIONS-PER-THREAD [SEED]]]
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "truth.h"

#define MAX_THREADS    64
#define SLOTS          256 /* blocks in the hands of one thread */
#define EXCHANGE_SLOTS 128 /* blocks on their way from one thread to another */

#define SITES(X)                                                                                   \
	X(use_malloc)                                                                              \
	X(use_calloc)                                                                              \
	X(use_realloc_null)                                                                        \
	X(use_reallocarray_null)                                                                   \
	X(use_memalign)                                                                            \
	X(use_aligned_alloc)                                                                       \
	X(use_posix_memalign)                                                                      \
	X(use_valloc)                                                                              \
	X(use_pvalloc)                                                                             \
	X(use_realloc)                                                                             \
	X(use_reallocarray)                                                                        \
	X(realloc_chain)                                                                           \
	X(realloc_to_zero)                                                                         \
	X(reallocarray_to_zero)                                                                    \
	X(fail_malloc)                                                                             \
	X(fail_calloc)                                                                             \
	X(fail_realloc)                                                                            \
	X(fail_reallocarray)                                                                       \
	X(fail_memalign)                                                                           \
	X(fail_posix_memalign)                                                                     \
	X(fail_pvalloc)

#define SITE_ENUM(name) SITE_##name,
#define SITE_NAME(name) #name,
enum { SITES(SITE_ENUM) SITE_COUNT };
static const char *const site_names[] = { SITES(SITE_NAME) };

struct block {
	char *pointer; /* NULL: empty */
	size_t size;
	unsigned int site;
};

struct worker {
	pthread_t thread;
	uint64_t random;
	unsigned long operations;
	struct block *slots[SLOTS];
};

static struct block block_pool[MAX_THREADS * SLOTS + EXCHANGE_SLOTS];
static _Atomic(struct block *) exchange[EXCHANGE_SLOTS];
static struct worker workers[MAX_THREADS];

/* No malloc can satisfy these; volatile hides it from the compiler. */
static volatile size_t beyond_limit = SIZE_MAX / 2 + 1;
static volatile size_t beyond_memory = (size_t)1 << 47; /* all of a process's address space */
static volatile size_t zero;

/* An allocator put before libc's may lack this one, and cannot free what libc's hands out. */
static void *(*page_alloc)(size_t) = pvalloc;

static void choose_page_alloc(void)
{
	Dl_info all, pages;

	if (dladdr((void *)malloc, &all) && dladdr((void *)pvalloc, &pages) &&
	    all.dli_fbase != pages.dli_fbase)
		page_alloc = valloc;
}

SITE static void *use_malloc(uint64_t *random, size_t *size)
{
	void *p = malloc(*size);

	KEEP(p);
	return p;
}

SITE static void *use_calloc(uint64_t *random, size_t *size)
{
	size_t member = 1 + random_below(random, 24), count = *size / member;
	void *p = calloc(count, member);

	KEEP(p);
	*size = count * member;
	return p;
}

SITE static void *use_realloc_null(uint64_t *random, size_t *size)
{
	void *p = realloc(NULL, *size);

	KEEP(p);
	return p;
}

SITE static void *use_reallocarray_null(uint64_t *random, size_t *size)
{
	size_t member = 1 + random_below(random, 24), count = *size / member;
	void *p = reallocarray(NULL, count, member);

	KEEP(p);
	*size = count * member;
	return p;
}

static size_t some_alignment(uint64_t *random)
{
	return (size_t)8 << random_below(random, 10); /* 8 .. 4096 */
}

SITE static void *use_memalign(uint64_t *random, size_t *size)
{
	void *p = memalign(some_alignment(random), *size);

	KEEP(p);
	return p;
}

SITE static void *use_aligned_alloc(uint64_t *random, size_t *size)
{
	size_t alignment = some_alignment(random);
	void *p;

	*size -= *size % alignment;
	p = aligned_alloc(alignment, *size);
	KEEP(p);
	return p;
}

SITE static void *use_posix_memalign(uint64_t *random, size_t *size)
{
	void *p = NULL;

	if (posix_memalign(&p, some_alignment(random), *size))
		return NULL;
	KEEP(p);
	return p;
}

SITE static void *use_valloc(uint64_t *random, size_t *size)
{
	void *p = valloc(*size);

	KEEP(p);
	return p;
}

SITE static void *use_pvalloc(uint64_t *random, size_t *size)
{
	void *p = page_alloc(*size);

	KEEP(p);
	return p;
}

SITE static void *use_realloc(void *old, size_t size)
{
	void *p = realloc(old, size);

	KEEP(p);
	return p;
}

SITE static void *use_reallocarray(void *old, size_t size)
{
	void *p = reallocarray(old, size, 1);

	KEEP(p);
	return p;
}

SITE static void *realloc_chain(void *old, size_t size)
{
	void *p = realloc(old, size);

	KEEP(p);
	return p;
}

SITE static void *realloc_to_zero(void *old)
{
	void *p = realloc(old, zero);

	KEEP(p);
	return p;
}

SITE static void *reallocarray_to_zero(void *old)
{
	void *p = reallocarray(old, 16, zero);

	KEEP(p);
	return p;
}

SITE static void *fail_malloc(uint64_t *random)
{
	void *p = malloc(random_below(random, 2) ? beyond_limit : beyond_memory);

	KEEP(p);
	return p;
}

SITE static void *fail_calloc(uint64_t *random)
{
	void *p = calloc(beyond_limit, 16); /* the product wraps to 0 */

	KEEP(p);
	return p;
}

SITE static void *fail_realloc(void *old, uint64_t *random)
{
	void *p = realloc(old, random_below(random, 2) ? beyond_limit : beyond_memory);

	KEEP(p);
	return p;
}

SITE static void *fail_reallocarray(void *old)
{
	void *p = reallocarray(old, beyond_limit, 16);

	KEEP(p);
	return p;
}

SITE static void *fail_memalign(uint64_t *random)
{
	void *p = random_below(random, 2) ? memalign(64, beyond_memory)
					  : aligned_alloc(4096, beyond_limit);

	KEEP(p);
	return p;
}

/* A pointer in the caller's hands is not touched by a failure: what lies there is no result. */
SITE static void *fail_posix_memalign(uint64_t *random)
{
	static char stale[16];
	void *p = stale;
	int error = random_below(random, 2) ? posix_memalign(&p, 24, 64)
					    : posix_memalign(&p, 64, beyond_memory);

	KEEP(p);
	return error ? NULL : p;
}

SITE static void *fail_pvalloc(uint64_t *random)
{
	void *p = random_below(random, 2) ? page_alloc(SIZE_MAX - zero) : valloc(beyond_memory);

	KEEP(p);
	return p;
}

static const struct {
	void *(*call)(uint64_t *random, size_t *size);
	unsigned int site;
} acquirers[] = {
	{ use_malloc, SITE_use_malloc },
	{ use_malloc, SITE_use_malloc },
	{ use_malloc, SITE_use_malloc },
	{ use_calloc, SITE_use_calloc },
	{ use_realloc_null, SITE_use_realloc_null },
	{ use_reallocarray_null, SITE_use_reallocarray_null },
	{ use_memalign, SITE_use_memalign },
	{ use_aligned_alloc, SITE_use_aligned_alloc },
	{ use_posix_memalign, SITE_use_posix_memalign },
	{ use_valloc, SITE_use_valloc },
	{ use_pvalloc, SITE_use_pvalloc },
};

static void *(*const failures[])(uint64_t *random) = {
	fail_malloc, fail_calloc, fail_memalign, fail_posix_memalign, fail_pvalloc,
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static size_t some_size(uint64_t *random)
{
	uint64_t class = random_below(random, 1000);

	if (class < 20)
		return 0;
	if (class < 600)
		return 1 + random_below(random, 1032); /* thread caches */
	if (class < 900)
		return 1 + random_below(random, 16 << 10);
	if (class < 990)
		return 1 + random_below(random, 128 << 10);
	return (128 << 10) + random_below(random, 6 << 20); /* mapped on their own */
}

static void touch(const struct block *block)
{
	if (!block->size)
		return;
	block->pointer[0] = (char)block->site;
	block->pointer[block->size - 1] = (char)block->site;
}

static void must_fail(const void *result)
{
	if (!result)
		return;
	say("an allocation that cannot succeed did\n");
	_exit(1);
}

static void acquire(struct worker *worker, struct block *block)
{
	uint64_t choice = random_below(&worker->random, COUNT_OF(acquirers));
	size_t size = some_size(&worker->random);

	if (!random_below(&worker->random, 16)) {
		choice = random_below(&worker->random, COUNT_OF(failures));
		must_fail(failures[choice](&worker->random));
		return;
	}
	block->pointer = acquirers[choice].call(&worker->random, &size);
	if (!block->pointer)
		return;
	block->size = size;
	block->site = acquirers[choice].site;
	truth_acquire(block->site, size);
	touch(block);
}

static void released(struct block *block)
{
	truth_release(block->site, block->size);
	block->pointer = NULL;
}

static void resize(struct worker *worker, struct block *block, unsigned int site,
		   void *(*call)(void *old, size_t size), size_t size)
{
	char *p = call(block->pointer, size);

	if (!p)
		return;
	released(block);
	*block = (struct block){ p, size, site };
	truth_acquire(site, size);
	touch(block);
}

/* Frees the block; what it returns is NULL in glibc, a block of its own in some allocators. */
static void resize_to_zero(struct worker *worker, struct block *block)
{
	bool array = random_below(&worker->random, 2);
	unsigned int site = array ? SITE_reallocarray_to_zero : SITE_realloc_to_zero;
	char *p = array ? reallocarray_to_zero(block->pointer) : realloc_to_zero(block->pointer);

	released(block);
	if (!p)
		return;
	*block = (struct block){ p, 0, site };
	truth_acquire(site, 0);
}

static void use(struct worker *worker, struct block **slot)
{
	struct block *block = *slot;
	uint64_t choice = random_below(&worker->random, 20);

	if (choice < 7) {
		free(block->pointer);
		released(block);
	} else if (choice < 10) {
		resize(worker, block, SITE_use_realloc, use_realloc,
		       1 + some_size(&worker->random));
	} else if (choice < 12) {
		resize(worker, block, SITE_use_reallocarray, use_reallocarray,
		       1 + some_size(&worker->random));
	} else if (choice < 13) {
		for (size_t size = 24; size < 50000; size = size * 2 + 8)
			resize(worker, block, SITE_realloc_chain, realloc_chain, size);
	} else if (choice < 14) {
		resize_to_zero(worker, block);
	} else if (choice < 15) {
		must_fail(random_below(&worker->random, 2)
				  ? fail_realloc(block->pointer, &worker->random)
				  : fail_reallocarray(block->pointer));
		touch(block); /* still ours */
	} else if (choice < 16) {
		free(NULL);
		if (malloc_usable_size(block->pointer) < block->size)
			_exit(1);
	} else {
		*slot = atomic_exchange(&exchange[random_below(&worker->random, EXCHANGE_SLOTS)],
					block);
	}
}

static void *work(void *argument_)
{
	struct worker *worker = argument_;

	for (unsigned long i = 0; i < worker->operations; i++) {
		struct block **slot = &worker->slots[random_below(&worker->random, SLOTS)];

		if ((*slot)->pointer)
			use(worker, slot);
		else
			acquire(worker, *slot);
	}
	truth_flush();
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned long threads = argument(argc, argv, 1, 1);
	unsigned long operations = argument(argc, argv, 2, 100000);
	unsigned long seed = argument(argc, argv, 3, 1);
	struct block *next = block_pool;

	if (!threads || threads > MAX_THREADS)
		return 2;
	for (unsigned int i = 0; i < EXCHANGE_SLOTS; i++)
		exchange[i] = next++;
	for (unsigned long t = 0; t < threads; t++) {
		workers[t].random = random_seed(seed * MAX_THREADS + t);
		workers[t].operations = operations;
		for (unsigned int i = 0; i < SLOTS; i++)
			workers[t].slots[i] = next++;
	}
	choose_page_alloc();
	ready_and_go();
	for (unsigned long t = 0; t < threads; t++)
		if (pthread_create(&workers[t].thread, NULL, work, &workers[t]))
			return 1;
	for (unsigned long t = 0; t < threads; t++)
		pthread_join(workers[t].thread, NULL);
	truth_print(site_names, SITE_COUNT);
	wait_for("quit");
	return 0;
}
