// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Steady load, for attaching and detaching while it runs.  After "go", each line "rate" on stdin is
 * answered with "rate N": the operations of the following second.  "exit N" ends with that status.
 *
 *	victim [THREADS [OPERATIONS-PER-SECOND-AND-THREAD, 0 for as fast as it goes]]
 */
#include <stdatomic.h>
#include <time.h>

#include "truth.h"

#define MAX_THREADS 64
#define HELD        1024
#define PAUSE_NS    1000000L
#define PAUSES_S    1000UL

static _Atomic unsigned long operations;
static unsigned long per_pause;

SITE static void *victim_malloc(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	return p;
}

SITE static void *victim_realloc(void *old, size_t size)
{
	void *p = realloc(old, size);

	KEEP(p);
	return p;
}

static void *work(void *seed)
{
	static const struct timespec pause = { 0, PAUSE_NS };
	uint64_t random = random_seed((uintptr_t)seed);
	unsigned long batch = per_pause ? per_pause : 1000;
	void *held[HELD] = { NULL };

	for (;;) {
		for (unsigned long i = 0; i < batch; i++) {
			void **slot = &held[random_below(&random, HELD)];

			if (!random_below(&random, 16)) {
				*slot = victim_realloc(*slot, 16 + random_below(&random, 3000));
				continue;
			}
			free(*slot);
			*slot = victim_malloc(16 + random_below(&random, 1000));
		}
		atomic_fetch_add_explicit(&operations, batch, memory_order_relaxed);
		if (per_pause)
			nanosleep(&pause, NULL);
	}
	return NULL;
}

static void answer_rate(void)
{
	static const struct timespec second = { 1, 0 };
	unsigned long before = atomic_load(&operations);
	char line[64];

	nanosleep(&second, NULL);
	snprintf(line, sizeof(line), "rate %lu\n", atomic_load(&operations) - before);
	say(line);
}

int main(int argc, char **argv)
{
	unsigned long threads = argument(argc, argv, 1, 1);
	pthread_t thread;
	char line[64];

	per_pause = argument(argc, argv, 2, 0) / PAUSES_S;
	if (!threads || threads > MAX_THREADS)
		return 2;
	ready_and_go();
	for (unsigned long t = 0; t < threads; t++)
		if (pthread_create(&thread, NULL, work, (void *)(uintptr_t)t))
			return 1;
	while (hear(line, sizeof(line))) {
		if (!strcmp(line, "rate"))
			answer_rate();
		else if (!strncmp(line, "exit ", 5))
			_exit(atoi(line + 5));
		else if (!strcmp(line, "quit"))
			break;
	}
	_exit(0);
}
