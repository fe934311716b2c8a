// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Allocates, and on the line "exec" becomes another program, in the middle of its life.
 *
 *	exec_self [BLOCKS]
 */
#include "truth.h"

enum { SITE_before_exec, SITE_COUNT };
static const char *const site_names[] = { "before_exec" };

SITE static void *before_exec(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	return p;
}

int main(int argc, char **argv)
{
	unsigned long count = argument(argc, argv, 1, 1000);

	ready_and_go();
	for (unsigned long i = 0; i < count; i++) {
		if (!before_exec(100))
			return 1;
		truth_acquire(SITE_before_exec, 100);
	}
	truth_print(site_names, SITE_COUNT);
	wait_for("exec");
	execl("/bin/sleep", "sleep", "60", (char *)NULL);
	return 1;
}
