// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memory: grows by a known size in each way that a process can, after "go".  Megabytes, as
 * test_memory.py has them: blocks 4, and as many freed between them; mappings 6, memory shared by
 * memfd 3, stacks of four threads 1, global variables 1, a mapping from before the attach 5.
 */
#include <sys/mman.h>
#include <sys/prctl.h>

#include "truth.h"

#define MIB           (1UL << 20)
#define BLOCK         4080 /* 4096 with what glibc adds */
#define BLOCKS        (8 * MIB / 4096)
#define STACK_THREADS 4

static char globals[MIB] = { 1 };
static char *blocks[BLOCKS];

SITE static void *keep(size_t size)
{
	void *block = malloc(size);

	KEEP(block);
	truth_acquire(0, size);
	return block;
}

/* Live and free blocks by turns: nothing can be given back to the kernel. */
static void fragment(void)
{
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = keep(BLOCK);
		memset(blocks[i], 1, BLOCK);
	}
	for (size_t i = 0; i < BLOCKS; i += 2) {
		free(blocks[i]);
		truth_release(0, BLOCK);
	}
}

static void *map(size_t size, int flags, int fd)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (memory == MAP_FAILED)
		_exit(1);
	return memory;
}

static pthread_barrier_t touched;

static void *deep(void *unused)
{
	char stack[MIB / STACK_THREADS];
	char *bottom = stack;

	memset(stack, 1, sizeof(stack));
	KEEP(bottom);
	pthread_barrier_wait(&touched);
	pause();
	return unused;
}

int main(void)
{
	static const char *const names[] = { "keep" };
	int fd = memfd_create("memory", MFD_CLOEXEC);
	char *before = map(5 * MIB, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	pthread_t thread;

	/* Pages, not huge pages: what is touched is what is resident. */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	if (ftruncate(fd, 3 * MIB))
		return 1;
	ready_and_go();
	fragment();
	memset(map(6 * MIB, MAP_PRIVATE | MAP_ANONYMOUS, -1), 1, 6 * MIB);
	memset(map(3 * MIB, MAP_SHARED, fd), 1, 3 * MIB);
	memset(before, 1, 5 * MIB);
	memset(globals, 2, sizeof(globals));
	pthread_barrier_init(&touched, NULL, STACK_THREADS + 1);
	for (int i = 0; i < STACK_THREADS; i++)
		if (pthread_create(&thread, NULL, deep, NULL))
			return 1;
	pthread_barrier_wait(&touched);
	truth_print(names, 1);
	wait_for("quit");
	return 0;
}
