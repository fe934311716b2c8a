// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process that forks children which allocate, free some of it and end; one of them stays, and one
 * in eight executes this program again.  Beside the sites of the parent the truth tells of the children in all
 * ("child_site", which nobody sees as a site once they are gone) and how many there were.
 *
 *	forks [CHILDREN [PAUSE-US [THREADS]]]   THREADS: as many fork, each its share
 *	forks image                             what is executed
 */
#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>

#include "truth.h"

#define BLOCKS 40 /* of a child ... */
#define KEPT   7  /* ... that it ends with */
#define EXECS  8  /* one child in so many */

enum { SITE_parent_site, SITE_child_site, SITE_image_site, SITE_children, SITE_COUNT };
static const char *const site_names[] = { "parent_site", "child_site", "image_site", "children" };

static unsigned long pause_us, children_each;
static char *self;
extern char **environ;

SITE static void *parent_site(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	return p;
}

SITE static void *child_site(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	return p;
}

SITE static void *image_site(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	return p;
}

/* All but the last ones are freed. */
static void allocate(void *(*site)(size_t size))
{
	for (int i = 0; i < BLOCKS; i++) {
		void *p = site(100);

		if (i >= KEPT)
			free(p);
	}
}

static void count_child(unsigned int site)
{
	for (int i = 0; i < BLOCKS; i++) {
		truth_acquire(site, 100);
		if (i >= KEPT)
			truth_release(site, 100);
	}
	truth_acquire(SITE_children, 1);
}

static void reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) != pid)
		if (errno != EINTR)
			_exit(3);
	if (status)
		_exit(4);
}

static pid_t execute(void)
{
	char *arguments[] = { self, "image", NULL };
	pid_t pid;

	if (posix_spawn(&pid, self, NULL, NULL, arguments, environ)) /* glibc: CLONE_VFORK */
		_exit(5);
	return pid;
}

static void *work(void *argument)
{
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (unsigned long i = 0; i < children_each; i++) {
		void *inherited = parent_site(50);
		pid_t pid;

		if (i % EXECS == 0) {
			pid = execute();
			count_child(SITE_image_site);
		} else {
			pid = fork();
			if (!pid) {
				free(inherited);
				allocate(child_site);
				_exit(0);
			}
			count_child(SITE_child_site);
		}
		truth_acquire(SITE_parent_site, 50);
		reap(pid);
		if (i % 2) {
			free(inherited);
			truth_release(SITE_parent_site, 50);
		}
		next.tv_nsec += (long)pause_us * 1000;
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	truth_flush();
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned long threads = argument(argc, argv, 3, 1);
	pthread_t ids[16];

	if (argc > 1 && !strcmp(argv[1], "image")) {
		allocate(image_site);
		return 0;
	}
	self = argv[0];
	pause_us = argument(argc, argv, 2, 5000);
	children_each = argument(argc, argv, 1, 100) / threads;
	if (threads > 16)
		return 1;
	ready_and_go();
	for (unsigned long i = 1; i < threads; i++)
		if (pthread_create(&ids[i], NULL, work, NULL))
			return 1;
	work(NULL);
	for (unsigned long i = 1; i < threads; i++)
		pthread_join(ids[i], NULL);
	truth_print(site_names, SITE_COUNT);
	wait_for("quit");
	return 0;
}
