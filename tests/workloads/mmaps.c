// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mappings in every way that they are made, cut, moved and ended.
 *
 *	mmaps steps	does one step for each line "step", and prints "done NAME", or "end"
 *	mmaps leak SECONDS	one mapping in two is never unmapped; beside it healthy turnover, caches
 *			that fill, and threads that come and go
 *
 * A step neither allocates nor maps anything but what it is about: /proc/PID/maps is the truth.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <time.h>

#include "truth.h"

#define PAGE    4096UL
#define RW      (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)
#define THREADS 8
#define ROUNDS  3000
#define SLOTS   64

static char *old; /* from before the attach */
static char *first, *second, *third, *area;

static char *map_at(void *where, size_t pages, int protection, int flags)
{
	char *p = mmap(where, pages * PAGE, protection, PRIVATE | flags, -1, 0);

	MUST(p != MAP_FAILED);
	return p;
}

static char *map(size_t pages)
{
	return map_at(NULL, pages, RW, 0);
}

/* Addresses that nothing else uses: reserved, and given back. */
static char *hole(size_t pages)
{
	char *p = map_at(NULL, pages, PROT_NONE, 0);

	MUST(!munmap(p, pages * PAGE));
	return p;
}

static void step_plain(void)
{
	first = map(64);
	second = map(64);
	third = map_at(NULL, 64, PROT_READ, 0);
}

static void step_unmap_parts(void)
{
	MUST(!munmap(first, PAGE));
	MUST(!munmap(first + 20 * PAGE, 7 * PAGE - 100)); /* sizes are rounded up */
	MUST(!munmap(first + 60 * PAGE, 4 * PAGE));
	MUST(!munmap(second + 10 * PAGE, 1));
}

static void step_unmap_across(void)
{
	area = hole(100);
	map_at(area + 10 * PAGE, 20, RW, MAP_FIXED);
	map_at(area + 40 * PAGE, 20, PROT_READ, MAP_FIXED);
	map_at(area + 60 * PAGE, 20, PROT_NONE, MAP_FIXED);
	MUST(!munmap(area, 100 * PAGE)); /* all of it and holes around */
	map_at(area + 10 * PAGE, 20, RW, MAP_FIXED);
	map_at(area + 40 * PAGE, 20, PROT_READ, MAP_FIXED);
	map_at(area + 60 * PAGE, 20, PROT_NONE, MAP_FIXED);
	MUST(!munmap(area + 25 * PAGE, 40 * PAGE));
}

static void step_fixed_over_reservation(void)
{
	area = map_at(NULL, 256, PROT_NONE, MAP_NORESERVE);
	map_at(area + 16 * PAGE, 16, RW, MAP_FIXED);
	map_at(area + 240 * PAGE, 16, RW, MAP_FIXED);
	map_at(area + 20 * PAGE, 2, PROT_NONE, MAP_FIXED);
}

static void step_fixed_across(void)
{
	char *p = hole(64);

	map_at(p, 16, RW, MAP_FIXED);
	map_at(p + 16 * PAGE, 16, PROT_READ, MAP_FIXED);
	map_at(p + 40 * PAGE, 16, RW, MAP_FIXED);
	map_at(p + 8 * PAGE, 40, RW, MAP_FIXED);
	map_at(p + 12 * PAGE, 4, PROT_NONE, MAP_FIXED);
}

static void step_failures(void)
{
	char *p = second + 20 * PAGE;

	MUST(mmap(p, PAGE, RW, PRIVATE | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED);
	MUST(mmap(p, PAGE, RW, MAP_PRIVATE | MAP_FIXED, 9999, 0) == MAP_FAILED);
	MUST(mmap(NULL, 0, RW, PRIVATE, -1, 0) == MAP_FAILED);
	MUST(munmap(p + 1, PAGE));
	MUST(munmap(p, 0));
	MUST(munmap(p, 1UL << 60));
	MUST(mremap(p, 2 * PAGE, 4 * PAGE, 0) == MAP_FAILED); /* no room behind */
	MUST(mremap(p, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE) == MAP_FAILED);
	MUST(mremap(p, 2 * PAGE, 1UL << 50, MREMAP_MAYMOVE) == MAP_FAILED);
	MUST(mremap(p, 2 * PAGE, 2 * PAGE, 1024) == MAP_FAILED);
	MUST(mprotect(p + 1, PAGE, PROT_NONE));
}

static void step_grow_in_place(void)
{
	char *p = hole(64);

	map_at(p, 32, RW, MAP_FIXED);
	MUST(mremap(p, 32 * PAGE, 48 * PAGE, 0) == p);
	MUST(mremap(p + 40 * PAGE, 8 * PAGE, 10 * PAGE, MREMAP_MAYMOVE) == p + 40 * PAGE);
}

static void step_grow_by_moving(void)
{
	char *p = hole(64), *moved;

	map_at(p, 16, RW, MAP_FIXED);
	map_at(p + 16 * PAGE, 16, PROT_READ, MAP_FIXED); /* in the way */
	moved = mremap(p + 4 * PAGE, 12 * PAGE, 100 * PAGE, MREMAP_MAYMOVE);
	MUST(moved != MAP_FAILED && moved != p + 4 * PAGE);
	MUST(!munmap(moved + 6 * PAGE, 12 * PAGE)); /* of what moved, and of what is new */
}

static void step_shrink(void)
{
	char *p = map(64);

	MUST(mremap(p, 64 * PAGE, 50 * PAGE, 0) == p);
	MUST(mremap(p + 10 * PAGE, 40 * PAGE, 39 * PAGE + 1, MREMAP_MAYMOVE) == p + 10 * PAGE);
	MUST(mremap(p + 10 * PAGE, 40 * PAGE, 8 * PAGE, MREMAP_MAYMOVE) == p + 10 * PAGE);
}

static void step_move_over_something(void)
{
	char *p = hole(128);

	map_at(p, 32, RW, MAP_FIXED);
	map_at(p + 64 * PAGE, 16, PROT_READ, MAP_FIXED);
	map_at(p + 80 * PAGE, 16, PROT_NONE, MAP_FIXED);
	/* The same size, then larger, then smaller. */
	MUST(mremap(p, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + 60 * PAGE) ==
	     p + 60 * PAGE);
	MUST(mremap(p + 8 * PAGE, 8 * PAGE, 12 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		    p + 70 * PAGE) == p + 70 * PAGE);
	MUST(mremap(p + 16 * PAGE, 16 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		    p + 86 * PAGE) == p + 86 * PAGE);
}

static void step_dontunmap(void)
{
	char *p = map(16), *copy;

	copy = mremap(p, 16 * PAGE, 16 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	MUST(copy != MAP_FAILED && copy != p);
	MUST(!munmap(p, 4 * PAGE));
	copy = mmap(NULL, 8 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(copy != MAP_FAILED);
	MUST(mremap(copy, 0, 8 * PAGE, MREMAP_MAYMOVE) != MAP_FAILED); /* once more */
}

static void step_protect(void)
{
	char *p = map_at(NULL, 128, PROT_NONE, 0);

	MUST(!mprotect(p, 32 * PAGE, RW));
	MUST(!mprotect(p + 64 * PAGE, 10 * PAGE, PROT_READ));
	MUST(!mprotect(p + 8 * PAGE, 4 * PAGE, PROT_NONE));
	MUST(!mprotect(p + 10 * PAGE, 60 * PAGE, RW));
	MUST(!munmap(p + 30 * PAGE, 4 * PAGE));
	p = map(8);
	MUST(!mprotect(p, PAGE, PROT_NONE)); /* a guard page */
	MUST(!mprotect(old, PAGE, PROT_NONE));
	MUST(!mprotect(old, PAGE, RW));
}

static void step_break_up(void)
{
	MUST(sbrk(100 * PAGE + 123) != (void *)-1);
	MUST(sbrk(77) != (void *)-1);
}

static void step_break_down(void)
{
	MUST(sbrk(-40 * (long)PAGE - 50) != (void *)-1);
	errno = 0;
	MUST(brk((void *)(1UL << 60)) && errno == ENOMEM);
}

static void step_system_v(void)
{
	int kept = shmget(IPC_PRIVATE, 5 * PAGE - 1, 0600), ended = shmget(IPC_PRIVATE, PAGE, 0600);
	char *there = hole(8);
	void *p;

	MUST(kept >= 0 && ended >= 0);
	p = shmat(kept, NULL, 0);
	MUST(p != (void *)-1);
	p = shmat(ended, there, 0);
	MUST(p == there);
	MUST(!shmctl(kept, IPC_RMID, NULL) && !shmctl(ended, IPC_RMID, NULL));
	MUST(!shmdt(there));
}

static void step_old(void)
{
	MUST(!munmap(old, 4 * PAGE));
}

/* A mapping, or a part of one, that whoever takes it out may change. */
static struct slot {
	char *start;
	size_t pages;
} slots[SLOTS];
static pthread_mutex_t slot_locks[SLOTS];

static void change(struct slot *slot, uint64_t *random)
{
	size_t part = slot->pages ? random_below(random, slot->pages) : 0;
	char *moved;

	if (!slot->pages) {
		slot->pages = 1 + random_below(random, 16);
		slot->start = map_at(NULL, slot->pages, random_below(random, 4) ? RW : PROT_NONE,
				     0);
		return;
	}
	switch (random_below(random, 6)) {
	case 0:
		MUST(!munmap(slot->start, slot->pages * PAGE));
		slot->pages = 0;
		break;
	case 1: /* its head */
		MUST(!munmap(slot->start, (part + 1) * PAGE));
		slot->start += (part + 1) * PAGE;
		slot->pages -= part + 1;
		break;
	case 2: /* anew, in part */
		map_at(slot->start + part * PAGE, slot->pages - part, RW, MAP_FIXED);
		break;
	case 3:
		MUST(!mprotect(slot->start, (part + 1) * PAGE,
			       random_below(random, 2) ? RW : PROT_NONE));
		break;
	default: /* its last page grows, in place or not */
		if (part + 1 < slot->pages)
			MUST(!munmap(slot->start + (part + 1) * PAGE,
				     (slot->pages - part - 1) * PAGE));
		moved = mremap(slot->start + part * PAGE, PAGE, (2 + part) * PAGE, MREMAP_MAYMOVE);
		MUST(moved != MAP_FAILED);
		MUST(!munmap(moved, (1 + part) * PAGE));
		if (random_below(random, 4))
			MUST(!munmap(moved + (1 + part) * PAGE, PAGE));
		slot->pages = part;
	}
}

static void *torture(void *number)
{
	uint64_t random = random_seed((uint64_t)(uintptr_t)number);

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t which = random_below(&random, SLOTS);

		pthread_mutex_lock(&slot_locks[which]);
		change(&slots[which], &random);
		pthread_mutex_unlock(&slot_locks[which]);
	}
	return NULL;
}

static void with_threads(void *(*body)(void *), unsigned int count)
{
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < count; i++)
		MUST(!pthread_create(&threads[i], NULL, body, (void *)i));
	for (unsigned int i = 0; i < count; i++)
		MUST(!pthread_join(threads[i], NULL));
}

static void step_threads(void)
{
	with_threads(torture, THREADS);
}

SITE static void *little(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	return p;
}

static pthread_barrier_t all_there;

static void *allocate(void *unused)
{
	/* All at once, or they would share arenas. */
	pthread_barrier_wait(&all_there);
	little(100);
	pthread_barrier_wait(&all_there);
	return NULL;
}

static void step_arenas(void)
{
	MUST(!pthread_barrier_init(&all_there, NULL, 4));
	with_threads(allocate, 4);
}

static const struct {
	const char *name;
	void (*run)(void);
} steps[] = {
	{ "plain", step_plain },
	{ "unmap_parts", step_unmap_parts },
	{ "unmap_across", step_unmap_across },
	{ "fixed_over_reservation", step_fixed_over_reservation },
	{ "fixed_across", step_fixed_across },
	{ "failures", step_failures },
	{ "grow_in_place", step_grow_in_place },
	{ "grow_by_moving", step_grow_by_moving },
	{ "shrink", step_shrink },
	{ "move_over_something", step_move_over_something },
	{ "dontunmap", step_dontunmap },
	{ "protect", step_protect },
	{ "break_up", step_break_up },
	{ "break_down", step_break_down },
	{ "system_v", step_system_v },
	{ "old", step_old },
	{ "threads", step_threads },
	{ "arenas", step_arenas },
};

static void run_steps(void)
{
	char line[64];

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		wait_for("step");
		steps[i].run();
		snprintf(line, sizeof(line), "done %s\n", steps[i].name);
		say(line);
	}
	wait_for("step");
	say("end\n");
}

static void tick(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
}

SITE static void *leak_mapping(void)
{
	void *p = mmap(NULL, 16 * PAGE, RW, PRIVATE, -1, 0); /* LEAK */

	KEEP(p);
	return p;
}

SITE static void *healthy_mapping(void)
{
	void *p = mmap(NULL, 16 * PAGE, RW, PRIVATE, -1, 0);

	KEEP(p);
	return p;
}

static void *come_and_go(void *unused)
{
	void *p = little(1000);

	free(p);
	return NULL;
}

/* A thread's stack stays cached after its join, and so does its arena: nobody leaks them. */
static void leak(unsigned long seconds)
{
	void *kept[10] = { NULL };

	for (unsigned long i = 0; i < 50 * seconds; i++) {
		void *p = leak_mapping();

		if (i % 2)
			MUST(!munmap(p, 16 * PAGE));
		if (kept[i % 10])
			MUST(!munmap(kept[i % 10], 16 * PAGE));
		kept[i % 10] = healthy_mapping();
		if (i % 100 == 0)
			with_threads(come_and_go, 1 + i / 100 % THREADS);
		tick();
	}
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < SLOTS; i++)
		pthread_mutex_init(&slot_locks[i], NULL);
	old = map(8);
	free(little(10)); /* the break is where it is */
	if (argc > 1 && !strcmp(argv[1], "leak")) {
		ready_and_go();
		leak(argument(argc, argv, 2, 75));
		say("end\n");
	} else {
		say_ready();
		run_steps();
	}
	wait_for("quit");
	return 0;
}
