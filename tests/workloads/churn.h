/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Paced allocation with planned deaths: time advances in ticks of 10 ms, and a wheel frees each
 * block in the tick it was scheduled for.  One thread only.
 */
#ifndef TESTS_WORKLOADS_CHURN_H
#define TESTS_WORKLOADS_CHURN_H

#include <time.h>

#include "truth.h"

#define CHURN_TICK_NS      10000000L
#define CHURN_TICKS_PER_S  100
#define CHURN_WHEEL        128 /* ticks; more than the longest life */
#define CHURN_LONGEST_LIFE 100 /* 1 s */

struct churn_block { /* lives at the start of the allocation itself */
	struct churn_block *next;
	uint32_t size;
	uint32_t site;
};

struct churn {
	struct churn_block *wheel[CHURN_WHEEL];
	unsigned long tick;
	uint64_t random;
	struct timespec next;
};

static inline struct churn_block *churn_new(struct churn *churn, unsigned int site,
					    void *(*call)(size_t size))
{
	size_t size = sizeof(struct churn_block) + random_below(&churn->random, 240);
	struct churn_block *block = call(size);

	if (!block)
		_exit(1);
	*block = (struct churn_block){ NULL, (uint32_t)size, site };
	truth_acquire(site, size);
	return block;
}

static inline void churn_free(struct churn_block *block)
{
	truth_release(block->site, block->size);
	free(block);
}

static inline void churn_die_after(struct churn *churn, struct churn_block *block,
				   unsigned long ticks)
{
	struct churn_block **slot = &churn->wheel[(churn->tick + ticks) % CHURN_WHEEL];

	block->next = *slot;
	*slot = block;
}

/* Sleeps until the next tick, then frees what is due. */
static inline void churn_advance(struct churn *churn)
{
	struct churn_block *block, *next;

	if (!churn->next.tv_sec)
		clock_gettime(CLOCK_MONOTONIC, &churn->next);
	churn->next.tv_nsec += CHURN_TICK_NS;
	if (churn->next.tv_nsec >= 1000000000L) {
		churn->next.tv_nsec -= 1000000000L;
		churn->next.tv_sec++;
	}
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &churn->next, NULL);
	churn->tick++;
	block = churn->wheel[churn->tick % CHURN_WHEEL];
	churn->wheel[churn->tick % CHURN_WHEEL] = NULL;
	for (; block; block = next) {
		next = block->next;
		churn_free(block);
	}
}

/* How many to make in this tick, so that the rate holds over time. */
static inline unsigned long churn_due(unsigned long *credit, unsigned long per_second)
{
	unsigned long due;

	*credit += per_second;
	due = *credit / CHURN_TICKS_PER_S;
	*credit %= CHURN_TICKS_PER_S;
	return due;
}

#endif
