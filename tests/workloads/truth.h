/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every workload shares: it prints "ready PID", waits for the line "go", works, prints one
 * line of truth, and waits for "quit" (or the end of stdin) without freeing what still lives.
 *
 *	{"truth":{"function":{"live_count":n,"live_bytes":n,"acquired_count":n,"released_count":n},...}}
 *
 * A function is a site: it calls the allocator itself, so that it is the first frame of its stacks.
 * Counting happens in thread-local memory and nothing here allocates, so that the truth is about
 * the workload alone and costs next to nothing.  A realloc that succeeds releases the old block at
 * the site that acquired it and acquires the new one at its own; one that fails changes nothing.
 */
#ifndef TESTS_WORKLOADS_TRUTH_H
#define TESTS_WORKLOADS_TRUTH_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef TRUTH_MAX_SITES /* a workload may have more */
#define TRUTH_MAX_SITES 64
#endif
#define TRUTH_MAX_OUTPUT (TRUTH_MAX_SITES * 256)

/* A function of its own on the stack, whatever the optimiser thinks of it. */
#define SITE __attribute__((noinline, noclone, noipa))

/* The compiler can neither drop the allocation nor turn the call before it into a jump. */
#define KEEP(pointer) __asm__ volatile("" : "+r"(pointer) : : "memory")

struct truth_count {
	uint64_t acquired_count, acquired_bytes;
	uint64_t released_count, released_bytes;
};

static struct truth_count truth_total[TRUTH_MAX_SITES];
static __thread struct truth_count truth_own[TRUTH_MAX_SITES];
static pthread_mutex_t truth_lock = PTHREAD_MUTEX_INITIALIZER;

static inline void truth_acquire(unsigned int site, size_t size)
{
	truth_own[site].acquired_count++;
	truth_own[site].acquired_bytes += size;
}

static inline void truth_release(unsigned int site, size_t size)
{
	truth_own[site].released_count++;
	truth_own[site].released_bytes += size;
}

/* Adds what this thread counted to the total; each thread calls it before it ends. */
static inline void truth_flush(void)
{
	pthread_mutex_lock(&truth_lock);
	for (unsigned int i = 0; i < TRUTH_MAX_SITES; i++) {
		truth_total[i].acquired_count += truth_own[i].acquired_count;
		truth_total[i].acquired_bytes += truth_own[i].acquired_bytes;
		truth_total[i].released_count += truth_own[i].released_count;
		truth_total[i].released_bytes += truth_own[i].released_bytes;
	}
	memset(truth_own, 0, sizeof(truth_own));
	pthread_mutex_unlock(&truth_lock);
}

static inline void say(const char *text)
{
	size_t len = strlen(text), done = 0;

	while (done < len) {
		ssize_t n = write(STDOUT_FILENO, text + done, len - done);

		if (n <= 0)
			_exit(1);
		done += (size_t)n;
	}
}

/* Fails loudly: what a test believes to have happened must have. */
#define MUST(what)                                                                                 \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			say("failed: " #what "\n");                                                \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static inline void truth_print(const char *const *names, unsigned int count)
{
	static char text[TRUTH_MAX_OUTPUT];
	size_t used = 0;

	truth_flush();
	used += (size_t)snprintf(text, sizeof(text), "{\"truth\":{");
	for (unsigned int i = 0; i < count && used < sizeof(text); i++) {
		const struct truth_count *site = &truth_total[i];

		used += (size_t)snprintf(
			text + used, sizeof(text) - used,
			"%s\"%s\":{\"live_count\":%llu,\"live_bytes\":%llu,"
			"\"acquired_count\":%llu,\"released_count\":%llu}",
			i ? "," : "", names[i],
			(unsigned long long)(site->acquired_count - site->released_count),
			(unsigned long long)(site->acquired_bytes - site->released_bytes),
			(unsigned long long)site->acquired_count,
			(unsigned long long)site->released_count);
	}
	if (used + 4 > sizeof(text))
		_exit(1);
	memcpy(text + used, "}}\n", 4);
	say(text);
}

/* The next line of stdin without its newline; 0 at the end. */
static inline int hear(char *line, size_t size)
{
	size_t len = 0;
	char byte;

	while (read(STDIN_FILENO, &byte, 1) == 1) {
		if (byte == '\n') {
			line[len] = '\0';
			return 1;
		}
		if (len + 1 < size)
			line[len++] = byte;
	}
	return 0;
}

static inline void wait_for(const char *word)
{
	char line[64];

	while (hear(line, sizeof(line)))
		if (!strcmp(line, word))
			return;
	_exit(0); /* whoever drove us is gone */
}

static inline void say_ready(void)
{
	char line[32];

	snprintf(line, sizeof(line), "ready %d\n", (int)getpid());
	say(line);
}

static inline void ready_and_go(void)
{
	say_ready();
	wait_for("go");
}

/* xorshift64*: the same numbers for the same seed, without libc's lock. */
static inline uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dULL;
}

static inline uint64_t random_below(uint64_t *state, uint64_t bound)
{
	return (random_next(state) >> 11) % bound;
}

static inline uint64_t random_seed(uint64_t seed)
{
	return (seed + 1) * 0x9e3779b97f4a7c15ULL; /* never 0 for the seeds in use */
}

static inline unsigned long argument(int argc, char **argv, int index, unsigned long fallback)
{
	return index < argc ? strtoul(argv[index], NULL, 10) : fallback;
}

#endif
