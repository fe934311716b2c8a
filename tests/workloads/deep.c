// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A leak at the end of a chain of fourteen functions without frame pointers.  Frames have sizes
 * from a word to more than a page, one is known at run time only, and every function leaves a number
 * in the register that would be the frame pointer.
 *
 *	deep [BLOCKS]
 */
#pragma GCC optimize("O2", "omit-frame-pointer") /* whatever the other workloads are built with */

#include <alloca.h>

#include "truth.h"

static const char *const site_names[] = { "deep_leak" };

SITE static void *deep_leak(size_t size)
{
	void *p = malloc(size); /* LEAK */

	KEEP(p);
	return p;
}

#define LEVEL(number, bytes, next)                                                                 \
	SITE static void *level_##number(size_t size)                                              \
	{                                                                                          \
		char room[bytes];                                                                  \
		void *p;                                                                           \
                                                                                                   \
		__asm__ volatile("mov %1, %%ebp" : : "m"(room), "i"(bytes) : "rbp");               \
		p = next(size);                                                                    \
		KEEP(p);                                                                           \
		return p;                                                                          \
	}

LEVEL(12, 8, deep_leak)
LEVEL(11, 4200, level_12)
LEVEL(10, 24, level_11)
LEVEL(09, 520, level_10)

/* GCC addresses this frame by rbp: the rule for its caller depends on what rbp was here. */
SITE static void *level_08(size_t size)
{
	char *room = alloca(size + 100);
	void *p;

	__asm__ volatile("" : : "r"(room) : "memory");
	p = level_09(size);
	KEEP(p);
	return p;
}

LEVEL(07, 40, level_08)
LEVEL(06, 2056, level_07)
LEVEL(05, 72, level_06)
LEVEL(04, 264, level_05)
LEVEL(03, 16, level_04)
LEVEL(02, 136, level_03)
LEVEL(01, 1032, level_02)

int main(int argc, char **argv)
{
	unsigned long blocks = argument(argc, argv, 1, 100);

	ready_and_go();
	for (unsigned long i = 0; i < blocks; i++) {
		if (!level_01(16 + i % 64))
			return 1;
		truth_acquire(0, 16 + i % 64);
	}
	truth_print(site_names, 1);
	wait_for("quit");
	return 0;
}
