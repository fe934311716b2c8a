// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Threads that end in every way while they allocate: they return, call pthread_exit deep inside, or
 * are cancelled asynchronously in the middle of malloc or free.
 *
 *	thread_cancel [SHORT-LIVED-THREADS [CANCELLED-THREADS]]
 *
 * An asynchronous cancel must not hit a thread that holds an allocator lock: the process would
 * hang, traced or not.  So that thread first fills its thread cache, from which malloc serves
 * without one. At most one block is lost with each cancelled thread; cancelled_malloc is therefore
 * not in the truth.
 */
#include <stdatomic.h>
#include <time.h>

#include "truth.h"

#define LEAKS_PER_THREAD 3
#define CACHED_BLOCKS    7 /* of one size, that glibc's thread cache holds */
#define CACHED_SIZE      64

enum { SITE_short_lived_leak, SITE_exiting_leak, SITE_before_cancel_leak, SITE_COUNT };
static const char *const site_names[] = { "short_lived_leak", "exiting_leak",
					  "before_cancel_leak" };

static atomic_int warmed_up;
static void (*volatile leave)(void *) = pthread_exit; /* else the compiler sees endless recursion */

SITE static void *short_lived_leak(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	return p;
}

SITE static void *exiting_leak(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	return p;
}

SITE static void *before_cancel_leak(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	return p;
}

SITE static void *cancelled_malloc(void)
{
	void *p = malloc(CACHED_SIZE);

	KEEP(p);
	return p;
}

static void leak(unsigned int site, void *(*call)(size_t size))
{
	for (size_t i = 1; i <= LEAKS_PER_THREAD; i++) {
		if (!call(40 * i))
			_exit(1);
		truth_acquire(site, 40 * i);
	}
}

static void *short_lived(void *unused)
{
	leak(SITE_short_lived_leak, short_lived_leak);
	truth_flush();
	return NULL;
}

SITE static void exit_from_depth(unsigned int depth)
{
	if (depth) {
		exit_from_depth(depth - 1);
		return;
	}
	leak(SITE_exiting_leak, exiting_leak);
	truth_flush();
	leave(NULL);
}

static void *exiting(void *unused)
{
	exit_from_depth(20);
	return NULL;
}

static void *cancelled(void *unused)
{
	void *blocks[CACHED_BLOCKS];
	int old;

	leak(SITE_before_cancel_leak, before_cancel_leak);
	truth_flush();
	for (unsigned int i = 0; i < CACHED_BLOCKS; i++)
		blocks[i] = cancelled_malloc();
	for (unsigned int i = 0; i < CACHED_BLOCKS; i++)
		free(blocks[i]);
	atomic_store(&warmed_up, 1);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
	for (;;)
		free(cancelled_malloc());
	return NULL;
}

static void run(void *(*work)(void *unused))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, work, NULL))
		_exit(1);
	pthread_join(thread, NULL);
}

static void run_and_cancel(unsigned long nth)
{
	static const struct timespec poll = { 0, 100000 };
	const struct timespec load = { 0, 200000 + (long)(nth % 16) * 7919 };
	pthread_t thread;

	atomic_store(&warmed_up, 0);
	if (pthread_create(&thread, NULL, cancelled, NULL))
		_exit(1);
	while (!atomic_load(&warmed_up))
		nanosleep(&poll, NULL);
	nanosleep(&load, NULL);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	unsigned long short_count = argument(argc, argv, 1, 1000);
	unsigned long cancel_count = argument(argc, argv, 2, 200);

	ready_and_go();
	for (unsigned long i = 0; i < short_count; i++) {
		run(short_lived);
		if (i % 10 == 0)
			run(exiting);
	}
	for (unsigned long i = 0; i < cancel_count; i++)
		run_and_cancel(i);
	truth_print(site_names, SITE_COUNT);
	wait_for("quit");
	return 0;
}
