/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What dl_a.c and dl_b.c have in common: a chain of functions under dl_enter(), whose frames are
 * full of addresses that a wrong rule would take for callers.  An unwinder that goes by the other
 * library's tables finds decoy() somewhere.
 */
#ifndef TESTS_WORKLOADS_DL_CHURN_H
#define TESTS_WORKLOADS_DL_CHURN_H

#include <stdint.h>
#include <stdlib.h>

#define DL_SITE __attribute__((noinline, noclone, noipa))

void *dl_enter(size_t size);

DL_SITE static void decoy(void)
{
	for (int i = 0; i < 16; i++)
		__asm__ volatile("nop");
}

/* A frame of count words, all of which are in the middle of decoy(). */
#define DL_DECOYS(count)                                                                           \
	volatile uintptr_t decoys[count] __attribute__((unused));                                  \
                                                                                                   \
	for (unsigned int i_ = 0; i_ < (count); i_++)                                              \
	decoys[i_] = (uintptr_t)decoy + 8

#define DL_STEP(name, count, next)                                                                 \
	DL_SITE static void *name(size_t size)                                                     \
	{                                                                                          \
		void *block;                                                                       \
		DL_DECOYS(count);                                                                  \
                                                                                                   \
		block = next(size);                                                                \
		__asm__ volatile("" : "+r"(block) : : "memory");                                   \
		return block;                                                                      \
	}

#endif
