// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one malloc and free cost: prints "ready PID"; each line "run PAIRS" then lets every thread
 * make that many pairs and answers "pair_ns=X", the mean over the threads.  Ends with its input.
 *
 *	pair [DEPTH [THREADS [PATHS]]]
 *
 * Each pair is made at the end of DEPTH calls.  Of the two functions that may come at each level,
 * with frames of different sizes, the bits of a path's random number choose, and of PATHS paths
 * each pair takes a random one.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS   64
#define MAX_PATHS     65536
#define DEFAULT_DEPTH 10
#define BLOCK_SIZE    100

struct worker {
	pthread_t thread;
	unsigned long pairs, depth;
	double pair_ns;
};

static pthread_barrier_t start;
static uint64_t paths[MAX_PATHS] = { 0x5555555555555555 };
static unsigned long path_count = 1;

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static uint64_t random_next(uint64_t *state)
{
	/* Knuth's MMIX generator; its high bits are good. */
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 32;
}

__attribute__((noipa)) static unsigned long allocate_and_free(void)
{
	void *p = malloc(BLOCK_SIZE);

	__asm__ volatile("" : "+r"(p) : : "memory");
	free(p);
	return 1;
}

static unsigned long small(unsigned long depth, uint64_t path);

/* After a call, keeps its caller on the stack: neither a jump nor a loop replaces the call. */
static inline unsigned long returned(unsigned long sum)
{
	__asm__ volatile("" : "+r"(sum));
	return sum;
}

__attribute__((noipa)) static unsigned long large(unsigned long depth, uint64_t path)
{
	volatile char room[64];
	unsigned long sum;

	room[0] = (char)path;
	if (depth <= 1)
		sum = allocate_and_free();
	else
		sum = path & 1 ? large(depth - 1, path >> 1) : small(depth - 1, path >> 1);
	return returned(sum) + (unsigned long)room[0];
}

__attribute__((noipa)) static unsigned long small(unsigned long depth, uint64_t path)
{
	unsigned long sum;

	if (depth <= 1)
		sum = allocate_and_free();
	else
		sum = path & 1 ? large(depth - 1, path >> 1) : small(depth - 1, path >> 1);
	return returned(sum) + depth;
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	uint64_t state = worker->pairs;
	double begin;

	pthread_barrier_wait(&start);
	begin = now_ns();
	for (unsigned long i = 0; i < worker->pairs; i++)
		small(worker->depth, paths[random_next(&state) % path_count]);
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
	uint64_t state = 1;

	if (argc > 3)
		path_count = strtoul(argv[3], NULL, 10);
	if (!depth || !threads || threads > MAX_THREADS || !path_count || path_count > MAX_PATHS)
		return 2;
	for (unsigned long i = 1; i < path_count; i++)
		paths[i] = random_next(&state) << 32 | random_next(&state);
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	while (scanf(" run %lu", &pairs) == 1 && pairs) {
		printf("pair_ns=%.1f\n", measure(threads, depth, pairs));
		fflush(stdout);
	}
	return 0;
}
