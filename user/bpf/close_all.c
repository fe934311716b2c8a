// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf/close_all.h"

#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#define MAX_THREADS 64

struct stripe {
	int *fds;
	size_t count, first, step;
};

static void *close_stripe(void *argument)
{
	const struct stripe *stripe = argument;

	for (size_t i = stripe->first; i < stripe->count; i += stripe->step)
		close(stripe->fds[i]);
	return NULL;
}

void lt_close_all(int *fds, size_t count)
{
	size_t step = count < MAX_THREADS ? count : MAX_THREADS;
	struct stripe stripes[MAX_THREADS];
	pthread_t threads[MAX_THREADS];
	bool started[MAX_THREADS];

	for (size_t i = 0; i < step; i++) {
		stripes[i] = (struct stripe){ fds, count, i, step };
		started[i] = !pthread_create(&threads[i], NULL, close_stripe, &stripes[i]);
	}
	for (size_t i = 0; i < step; i++) {
		if (started[i])
			pthread_join(threads[i], NULL);
		else
			close_stripe(&stripes[i]);
	}
}
