// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Dies by SIGKILL on the line "die", with all its threads in the middle of malloc and free.
 *
 *	killed [THREADS]
 */
#include <signal.h>

#include "truth.h"

#define KEPT 500

enum { SITE_kept_to_death, SITE_COUNT };
static const char *const site_names[] = { "kept_to_death" };

SITE static void *kept_to_death(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	return p;
}

SITE static void *dying_malloc(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	return p;
}

static void *work(void *unused)
{
	for (size_t size = 16;; size = size < 4096 ? size + 16 : 16)
		free(dying_malloc(size));
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned long threads = argument(argc, argv, 1, 2);
	pthread_t thread;

	ready_and_go();
	for (unsigned long i = 0; i < KEPT; i++) {
		if (!kept_to_death(48))
			return 1;
		truth_acquire(SITE_kept_to_death, 48);
	}
	for (unsigned long t = 0; t < threads; t++)
		if (pthread_create(&thread, NULL, work, NULL))
			return 1;
	truth_print(site_names, SITE_COUNT);
	wait_for("die");
	kill(getpid(), SIGKILL);
	return 1;
}
