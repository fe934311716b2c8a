// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An allocator that is mapped long after the start: loads the library FILE and says "holds"; upon
 * "next" it allocates by what the library brings, and frees half of it.
 *
 *	late FILE ALLOCATE FREE      as in: late libjemalloc.so.2 mallocx dallocx
 */
#include <dlfcn.h>

#include "truth.h"

#define BLOCKS 1000

enum { SITE_late_site, SITE_COUNT };
static const char *const site_names[] = { "late_site" };

typedef void *(*allocate_function)(size_t size, int flags);
typedef void (*free_function)(void *block, int flags);

SITE static void *late_site(allocate_function allocate, size_t size)
{
	void *block = allocate(size, 0);

	KEEP(block);
	return block;
}

int main(int argc, char **argv)
{
	union { /* ISO C knows no way from void * to a function */
		void *pointer;
		allocate_function function;
	} allocate;
	union {
		void *pointer;
		free_function function;
	} release;
	void *library;

	if (argc < 4)
		return 1;
	ready_and_go();
	library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return 2;
	allocate.pointer = dlsym(library, argv[2]);
	release.pointer = dlsym(library, argv[3]);
	if (!allocate.pointer || !release.pointer)
		return 3;
	say("holds\n");
	wait_for("next");
	for (int i = 0; i < BLOCKS; i++) {
		void *block = late_site(allocate.function, 64);

		truth_acquire(SITE_late_site, 64);
		if (i % 2) {
			release.function(block, 0);
			truth_release(SITE_late_site, 64);
		}
	}
	truth_print(site_names, SITE_COUNT);
	wait_for("quit");
	return 0;
}
