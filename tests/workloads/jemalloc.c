// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What jemalloc has beyond the malloc family: its own functions and every operator new and delete
 * of C++, called by their names in the library, which must be loaded.
 *
 *	LD_PRELOAD=libjemalloc.so.2 jemalloc [ROUNDS]
 */
#include <dlfcn.h>
#include <stdbool.h>

#include "truth.h"

#define LG_ALIGN_64 6 /* MALLOCX_LG_ALIGN(6) */

/* X(site, first frame of its stacks) */
#define SITES(X)                                                                                   \
	X(use_mallocx, "use_mallocx")                                                              \
	X(use_rallocx, "use_rallocx")                                                              \
	X(use_xallocx, "use_xallocx")                                                              \
	X(fail_xallocx, "fail_xallocx")                                                            \
	X(fail_mallocx, "fail_mallocx")                                                            \
	X(fail_rallocx, "fail_rallocx")                                                            \
	X(use_Znwm, "use_Znwm")                                                                    \
	X(use_Znam, "use_Znam")                                                                    \
	X(use_Znwm_nothrow, "use_Znwm_nothrow")                                                    \
	X(use_Znam_nothrow, "use_Znam_nothrow")                                                    \
	X(use_Znwm_align, "use_Znwm_align")                                                        \
	X(use_Znam_align, "use_Znam_align")                                                        \
	X(use_Znwm_align_nothrow, "use_Znwm_align_nothrow")                                        \
	X(use_Znam_align_nothrow, "use_Znam_align_nothrow")                                        \
	X(fail_Znwm_nothrow, "fail_Znwm_nothrow")

#define SITE_ENUM(site, name) SITE_##site,
#define SITE_NAME(site, name) name,
enum { SITES(SITE_ENUM) SITE_COUNT };
static const char *const site_names[] = { SITES(SITE_NAME) };

/* FUNCTION(name in the library, result, arguments) */
#define FUNCTIONS(X)                                                                               \
	X(mallocx, void *, (size_t, int))                                                          \
	X(rallocx, void *, (void *, size_t, int))                                                  \
	X(xallocx, size_t, (void *, size_t, size_t, int))                                          \
	X(dallocx, void, (void *, int))                                                            \
	X(sdallocx, void, (void *, size_t, int))                                                   \
	X(_Znwm, void *, (size_t))                                                                 \
	X(_Znam, void *, (size_t))                                                                 \
	X(_ZnwmRKSt9nothrow_t, void *, (size_t, const void *))                                     \
	X(_ZnamRKSt9nothrow_t, void *, (size_t, const void *))                                     \
	X(_ZnwmSt11align_val_t, void *, (size_t, size_t))                                          \
	X(_ZnamSt11align_val_t, void *, (size_t, size_t))                                          \
	X(_ZnwmSt11align_val_tRKSt9nothrow_t, void *, (size_t, size_t, const void *))              \
	X(_ZnamSt11align_val_tRKSt9nothrow_t, void *, (size_t, size_t, const void *))              \
	X(_ZdlPv, void, (void *))                                                                  \
	X(_ZdaPv, void, (void *))                                                                  \
	X(_ZdlPvm, void, (void *, size_t))                                                         \
	X(_ZdaPvm, void, (void *, size_t))                                                         \
	X(_ZdlPvRKSt9nothrow_t, void, (void *, const void *))                                      \
	X(_ZdaPvRKSt9nothrow_t, void, (void *, const void *))                                      \
	X(_ZdlPvSt11align_val_t, void, (void *, size_t))                                           \
	X(_ZdaPvSt11align_val_t, void, (void *, size_t))                                           \
	X(_ZdlPvSt11align_val_tRKSt9nothrow_t, void, (void *, size_t, const void *))               \
	X(_ZdaPvSt11align_val_tRKSt9nothrow_t, void, (void *, size_t, const void *))               \
	X(_ZdlPvmSt11align_val_t, void, (void *, size_t, size_t))                                  \
	X(_ZdaPvmSt11align_val_t, void, (void *, size_t, size_t))

#define FUNCTION_POINTER(name, result, arguments) result(*name) arguments;
#define FUNCTION_SLOT(name, result, arguments)    { #name, &je.name },

static struct {
	FUNCTIONS(FUNCTION_POINTER)
} je;

static const struct {
	const char *name;
	void *slot;
} slots[] = { FUNCTIONS(FUNCTION_SLOT) };

struct block {
	void *pointer;
	size_t size;
	unsigned int site;
};

static uint64_t state;
static const char nothrow;
static volatile size_t beyond_memory = (size_t)1 << 47;

/* SITE_FUNCTION(name, call): a function that hands out what the call does */
#define SITE_FUNCTION(name, call)                                                                  \
	SITE static void *name(size_t size)                                                        \
	{                                                                                          \
		void *p = call;                                                                    \
                                                                                                   \
		KEEP(p);                                                                           \
		return p;                                                                          \
	}

SITE_FUNCTION(use_mallocx, je.mallocx(size, LG_ALIGN_64))
SITE_FUNCTION(fail_mallocx, je.mallocx(beyond_memory + size, 0))
SITE_FUNCTION(use_Znwm, je._Znwm(size))
SITE_FUNCTION(use_Znam, je._Znam(size))
SITE_FUNCTION(use_Znwm_nothrow, je._ZnwmRKSt9nothrow_t(size, &nothrow))
SITE_FUNCTION(use_Znam_nothrow, je._ZnamRKSt9nothrow_t(size, &nothrow))
SITE_FUNCTION(use_Znwm_align, je._ZnwmSt11align_val_t(size, 64))
SITE_FUNCTION(use_Znam_align, je._ZnamSt11align_val_t(size, 64))
SITE_FUNCTION(use_Znwm_align_nothrow, je._ZnwmSt11align_val_tRKSt9nothrow_t(size, 64, &nothrow))
SITE_FUNCTION(use_Znam_align_nothrow, je._ZnamSt11align_val_tRKSt9nothrow_t(size, 64, &nothrow))
SITE_FUNCTION(fail_Znwm_nothrow, je._ZnwmRKSt9nothrow_t(beyond_memory + size, &nothrow))

static const struct {
	void *(*call)(size_t size);
	unsigned int site;
	bool aligned; /* to 64 bytes */
} acquirers[] = {
	{ use_mallocx, SITE_use_mallocx, true },
	{ use_Znwm, SITE_use_Znwm, false },
	{ use_Znam, SITE_use_Znam, false },
	{ use_Znwm_nothrow, SITE_use_Znwm_nothrow, false },
	{ use_Znam_nothrow, SITE_use_Znam_nothrow, false },
	{ use_Znwm_align, SITE_use_Znwm_align, true },
	{ use_Znam_align, SITE_use_Znam_align, true },
	{ use_Znwm_align_nothrow, SITE_use_Znwm_align_nothrow, true },
	{ use_Znam_align_nothrow, SITE_use_Znam_align_nothrow, true },
};

SITE static void *use_rallocx(void *old, size_t size)
{
	void *p = je.rallocx(old, size, 0);

	KEEP(p);
	return p;
}

SITE static void *fail_rallocx(void *old)
{
	void *p = je.rallocx(old, beyond_memory, 0);

	KEEP(p);
	return p;
}

SITE static size_t use_xallocx(void *p, size_t size, size_t extra)
{
	size_t got = je.xallocx(p, size, extra, 0);

	KEEP(got);
	return got;
}

SITE static size_t fail_xallocx(void *p)
{
	size_t got = je.xallocx(p, beyond_memory, 0, 0);

	KEEP(got);
	return got;
}

static void acquired(struct block *block, void *p, size_t size, unsigned int site)
{
	*block = (struct block){ p, size, site };
	truth_acquire(site, size);
	memset(p, (int)site, size);
}

static void released(const struct block *block)
{
	truth_release(block->site, block->size);
}

/* Ways to let go of any block */
static void release_unsized(void *p)
{
	switch (random_below(&state, 9)) {
	case 0:
		return je.dallocx(p, 0);
	case 1:
		return je._ZdlPv(p);
	case 2:
		return je._ZdaPv(p);
	case 3:
		return je._ZdlPvRKSt9nothrow_t(p, &nothrow);
	case 4:
		return je._ZdaPvRKSt9nothrow_t(p, &nothrow);
	case 5:
		return je._ZdlPvSt11align_val_t(p, 64);
	case 6:
		return je._ZdaPvSt11align_val_t(p, 64);
	case 7:
		return je._ZdlPvSt11align_val_tRKSt9nothrow_t(p, 64, &nothrow);
	default:
		return je._ZdaPvSt11align_val_tRKSt9nothrow_t(p, 64, &nothrow);
	}
}

/* ... that need its size and alignment */
static void release_sized(void *p, size_t size, bool aligned)
{
	switch (random_below(&state, 3)) {
	case 0:
		return aligned ? je._ZdlPvmSt11align_val_t(p, size, 64) : je._ZdlPvm(p, size);
	case 1:
		return aligned ? je._ZdaPvmSt11align_val_t(p, size, 64) : je._ZdaPvm(p, size);
	default:
		return je.sdallocx(p, size, aligned ? LG_ALIGN_64 : 0);
	}
}

static void must_be(int true_value)
{
	if (true_value)
		return;
	say("jemalloc does what it should not\n");
	_exit(1);
}

/* An acquire by one way, sometimes resized, and let go by a way that fits it; each eighth stays. */
static void round_of_use(void)
{
	size_t which = random_below(&state, sizeof(acquirers) / sizeof(acquirers[0]));
	size_t size = 1 + random_below(&state, random_below(&state, 8) ? 6000 : 300000);
	bool aligned = acquirers[which].aligned, resized = false;
	void *p = acquirers[which].call(size);
	struct block block;

	must_be(p != NULL);
	acquired(&block, p, size, acquirers[which].site);
	if (!random_below(&state, 4)) {
		size = 1 + random_below(&state, 100000);
		p = use_rallocx(block.pointer, size);
		must_be(p != NULL);
		released(&block);
		acquired(&block, p, size, SITE_use_rallocx);
		resized = true;
	}
	if (!random_below(&state, 4)) {
		size = 1 + random_below(&state, 2 * block.size);
		if (use_xallocx(block.pointer, size, random_below(&state, 2) * 4096) >= size) {
			released(&block);
			acquired(&block, block.pointer, size, SITE_use_xallocx);
		}
		resized = true;
	}
	if (!random_below(&state, 16)) {
		must_be(fail_xallocx(block.pointer) < beyond_memory);
		must_be(!fail_rallocx(block.pointer));
		must_be(!fail_mallocx(size) && !fail_Znwm_nothrow(size));
	}
	if (!random_below(&state, 8))
		return;
	released(&block);
	if (resized || random_below(&state, 2))
		release_unsized(block.pointer);
	else
		release_sized(block.pointer, block.size, aligned);
}

int main(int argc, char **argv)
{
	unsigned long rounds = argument(argc, argv, 1, 100000);

	for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		void *function = dlsym(RTLD_DEFAULT, slots[i].name);

		if (!function)
			return 2;
		memcpy(slots[i].slot, &function, sizeof(function));
	}
	state = random_seed(1);
	ready_and_go();
	for (unsigned long i = 0; i < rounds; i++)
		round_of_use();
	truth_print(site_names, SITE_COUNT);
	wait_for("quit");
	return 0;
}
