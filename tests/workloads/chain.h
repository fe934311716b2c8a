/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Workloads whose truth is call chains.  Every chain allocates blocks of a size of its own, which
 * nothing else asks for: a site of a report is told by its size, whatever its frames say.  They
 * print
 *
 *	{"truth":{"name":{"size":n,"count":n},...}}
 *
 * and what the chain of a name is stands in the test (tests/e2e/test_stacks.py).
 */
#ifndef TESTS_WORKLOADS_CHAIN_H
#define TESTS_WORKLOADS_CHAIN_H

#ifdef __cplusplus
#define _Thread_local thread_local /* what truth.h has of C alone */
#endif

#include "truth.h"

#define CHAIN_FIRST_SIZE 20010
#define CHAIN_STEP       10
#define CHAIN_SIZE(n)    (CHAIN_FIRST_SIZE + CHAIN_STEP * (size_t)(n))

#define CHAIN_CONSTRUCTOR 0 /* the case of chains.c that dl_ctor.c allocates for by itself */

/* Something left to do after a call: it cannot become a jump. */
#define CHAIN_LINK() __asm__ volatile("" : : : "memory")

/* An allocation that stays, made by the function that this stands in. */
#define CHAIN_KEEP(n)                                                                              \
	do {                                                                                       \
		void *kept_ = malloc(CHAIN_SIZE(n));                                               \
                                                                                                   \
		KEEP(kept_);                                                                       \
		if (!kept_)                                                                        \
			_exit(1);                                                                  \
	} while (0)

static inline void chain_print(const char *const *names, const unsigned long *counts,
			       unsigned int count)
{
	static char text[TRUTH_MAX_OUTPUT];
	size_t used = (size_t)snprintf(text, sizeof(text), "{\"truth\":{");

	for (unsigned int i = 0; i < count && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "%s\"%s\":{\"size\":%zu,\"count\":%lu}", i ? "," : "",
					 names[i], CHAIN_SIZE(i), counts[i]);
	if (used + 4 > sizeof(text))
		_exit(1);
	memcpy(text + used, "}}\n", 4);
	say(text);
}

#endif
