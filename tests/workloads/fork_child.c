// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The child of a fork frees the whole inherited heap and allocates more: the parent's books must
 * not change by it.
 *
 *	fork_child [BLOCKS]
 */
#include <sys/mman.h>
#include <sys/wait.h>

#include "truth.h"

#define CHILD_FACTOR 10

enum { SITE_parent_block, SITE_COUNT };
static const char *const site_names[] = { "parent_block" };

SITE static void *parent_block(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	return p;
}

static void child(void **blocks, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++)
		free(blocks[i]);
	for (unsigned long i = 0; i < CHILD_FACTOR * count; i++)
		if (!parent_block(72))
			_exit(1);
	_exit(0);
}

int main(int argc, char **argv)
{
	unsigned long count = argument(argc, argv, 1, 5000);
	void **blocks = mmap(NULL, count * sizeof(*blocks), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status = 0;
	pid_t pid;

	if (blocks == MAP_FAILED)
		return 1;
	ready_and_go();
	for (unsigned long i = 0; i < count; i++) {
		blocks[i] = parent_block(72);
		truth_acquire(SITE_parent_block, 72);
	}
	pid = fork();
	if (!pid)
		child(blocks, count);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		return 1;
	for (unsigned long i = 0; i < count; i += 2) {
		free(blocks[i]);
		truth_release(SITE_parent_block, 72);
	}
	truth_print(site_names, SITE_COUNT);
	wait_for("quit");
	return 0;
}
