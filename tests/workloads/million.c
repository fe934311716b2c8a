// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Many live blocks at once, of which a third is freed again.
 *
 *	million [BLOCKS]
 */
#include <sys/mman.h>

#include "truth.h"

enum { SITE_build_node, SITE_build_edge, SITE_COUNT };
static const char *const site_names[] = { "build_node", "build_edge" };

SITE static char *build_node(size_t size)
{
	char *p = malloc(size);

	KEEP(p);
	return p;
}

SITE static char *build_edge(size_t size)
{
	char *p = calloc(1, size);

	KEEP(p);
	return p;
}

static size_t size_of(unsigned long i)
{
	return 16 + i % 48;
}

int main(int argc, char **argv)
{
	unsigned long count = argument(argc, argv, 1, 2000000);
	char **blocks = mmap(NULL, count * sizeof(*blocks), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (blocks == MAP_FAILED)
		return 1;
	ready_and_go();
	for (unsigned long i = 0; i < count; i++) {
		unsigned int site = i % 5 ? SITE_build_node : SITE_build_edge;

		blocks[i] = site == SITE_build_node ? build_node(size_of(i))
						    : build_edge(size_of(i));
		if (!blocks[i])
			return 1;
		truth_acquire(site, size_of(i));
	}
	for (unsigned long i = 0; i < count; i += 3) {
		free(blocks[i]);
		truth_release(i % 5 ? SITE_build_node : SITE_build_edge, size_of(i));
	}
	truth_print(site_names, SITE_COUNT);
	wait_for("quit");
	return 0;
}
