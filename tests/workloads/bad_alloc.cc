// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Operator new fails by throwing, and the program lives on.  Rounds of it, then a truth of what did
 * not fail: three blocks a round, two of which are deleted.
 *
 *	bad_alloc [ROUNDS]
 */
#include <new>

#define _Thread_local thread_local /* for a header in C */
#include "truth.h"

enum { SITE_use_new, SITE_use_new_array, SITE_fail_new, SITE_COUNT };
static const char *const site_names[] = { "use_new", "use_new_array", "fail_new" };

static volatile size_t beyond_memory = (size_t)1 << 47;
static unsigned long caught;

extern "C" {
SITE void *use_new(size_t size)
{
	void *p = ::operator new(size);

	KEEP(p);
	truth_acquire(SITE_use_new, size);
	return p;
}

SITE void *use_new_array(size_t size)
{
	void *p = ::operator new[](size);

	KEEP(p);
	truth_acquire(SITE_use_new_array, size);
	return p;
}

SITE void fail_new(bool array)
{
	try {
		void *p = array ? ::operator new[](beyond_memory) : ::operator new(beyond_memory);

		KEEP(p);
	} catch (const std::bad_alloc &) {
		caught++;
	}
}
}

static void pass_through(bool array)
{
	char frame[256];
	void *p = frame;

	KEEP(p);
	fail_new(array);
}

int main(int argc, char **argv)
{
	unsigned long rounds = argument(argc, argv, 1, 1000);

	ready_and_go();
	for (unsigned long i = 0; i < rounds; i++) {
		void *kept = use_new(100), *single = use_new(10), *array = use_new_array(5000);

		KEEP(kept);
		pass_through(i & 1);
		::operator delete(single);
		truth_release(SITE_use_new, 10);
		::operator delete[](array, 5000);
		truth_release(SITE_use_new_array, 5000);
	}
	if (caught != rounds)
		return 3;
	truth_print(site_names, SITE_COUNT);
	wait_for("quit");
	return 0;
}
