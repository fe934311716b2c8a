// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one malloc and free cost: prints "ready PID"; each line "run PAIRS" then lets every thread
 *make that many pairs at the given stack depth and answers "pair_ns=X", the mean over the threads.
 *Ends with its input.
 *
 *	pair [DEPTH [THREADS]]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS   64
#define DEFAULT_DEPTH 10
#define BLOCK_SIZE    100

struct worker {
	pthread_t thread;
	unsigned long pairs, depth;
	double pair_ns;
};

static pthread_barrier_t start;

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

__attribute__((noipa)) static unsigned long allocate_and_free(unsigned long pairs)
{
	for (unsigned long i = 0; i < pairs; i++) {
		void *p = malloc(BLOCK_SIZE);

		__asm__ volatile("" : "+r"(p) : : "memory");
		free(p);
	}
	return pairs;
}

/* The sum keeps each level on the stack: no jump replaces the call. */
__attribute__((noipa)) static unsigned long descend(unsigned long depth, unsigned long pairs)
{
	return depth > 1 ? descend(depth - 1, pairs) + 1 : allocate_and_free(pairs);
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	double begin;

	pthread_barrier_wait(&start);
	begin = now_ns();
	descend(worker->depth, worker->pairs);
	worker->pair_ns = (now_ns() - begin) / (double)worker->pairs;
	return NULL;
}

static double measure(unsigned long threads, unsigned long depth, unsigned long pairs)
{
	struct worker workers[MAX_THREADS];
	double sum = 0;

	pthread_barrier_init(&start, NULL, (unsigned int)threads);
	for (unsigned long t = 0; t < threads; t++) {
		workers[t] = (struct worker){ .pairs = pairs, .depth = depth };
		if (pthread_create(&workers[t].thread, NULL, work, &workers[t]))
			exit(1);
	}
	for (unsigned long t = 0; t < threads; t++) {
		pthread_join(workers[t].thread, NULL);
		sum += workers[t].pair_ns;
	}
	pthread_barrier_destroy(&start);
	return sum / (double)threads;
}

int main(int argc, char **argv)
{
	unsigned long depth = argc > 1 ? strtoul(argv[1], NULL, 10) : DEFAULT_DEPTH;
	unsigned long threads = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	unsigned long pairs;

	if (!depth || !threads || threads > MAX_THREADS)
		return 2;
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	while (scanf(" run %lu", &pairs) == 1 && pairs) {
		printf("pair_ns=%.1f\n", measure(threads, depth, pairs));
		fflush(stdout);
	}
	return 0;
}
