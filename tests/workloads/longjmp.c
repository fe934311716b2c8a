// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A call that never returns: realloc of a bad pointer aborts inside glibc, and the handler jumps
 * out of it.  What the thread does afterwards, deeper on the same stack, must be seen all the same.
 */
#include <setjmp.h>
#include <signal.h>
#include <unistd.h>

#include "truth.h"

#define ROUNDS 1000

enum { SITE_after_the_jump, SITE_kept_from_before, SITE_COUNT };
static const char *const site_names[] = { "after_the_jump", "kept_from_before" };
static sigjmp_buf way_out;

static void on_abort(int number)
{
	siglongjmp(way_out, 1);
}

SITE static void *after_the_jump(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	return p;
}

SITE static void *kept_from_before(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	return p;
}

/* Deeper than main, where the pending call was left. */
SITE static void work(void *old)
{
	char depth[512], *deep = depth;

	KEEP(deep);
	truth_release(SITE_kept_from_before, 77);
	free(old);
	for (int i = 0; i < ROUNDS; i++) {
		void *p = after_the_jump(100);

		truth_acquire(SITE_after_the_jump, 100);
		if (i % 10 == 0)
			continue;
		truth_release(SITE_after_the_jump, 100);
		free(p);
	}
}

int main(void)
{
	static char bad[64] __attribute__((aligned(64)));
	void *old;

	signal(SIGABRT, on_abort);
	ready_and_go();
	old = kept_from_before(77);
	truth_acquire(SITE_kept_from_before, 77);
	if (!sigsetjmp(way_out, 1)) {
		char *middle = bad + 8;
		void *p;

		KEEP(middle);
		p = realloc(middle, 10); /* "invalid pointer" */
		KEEP(p);
	}
	work(old);
	truth_print(site_names, SITE_COUNT);
	wait_for("quit");
	return 0;
}
