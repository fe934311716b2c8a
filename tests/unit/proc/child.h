/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A child of the test that does something, says so, and waits to be killed. */
#ifndef LT_TEST_CHILD_H
#define LT_TEST_CHILD_H

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/process.h"

struct child {
	struct lt_process process;
	int ready; /* its end of the pipe */
	char said; /* what it said; 0: it ended without a word */
};

/* In the child: tells the test, and stays. */
static inline void child_say(int ready, char what)
{
	if (write(ready, &what, 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* run() calls child_say() in the end; what it has in shared (or NULL) it can hand over. */
static inline void child_start(struct child *child, void (*run)(int ready, void *shared),
			       void *shared)
{
	int pipes[2];
	pid_t pid;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pipes[0]);
		run(pipes[1], shared);
		_exit(1);
	}
	child->ready = pipes[1]; /* the same number in the child */
	close(pipes[1]);
	child->said = 0;
	assert_true(read(pipes[0], &child->said, 1) >= 0);
	close(pipes[0]);
	assert_int_equal(lt_process_open(pid, &child->process), 0);
}

/* It is a zombie, or reaped. */
static inline void child_kill(const struct child *child, bool reap)
{
	siginfo_t info;

	kill(child->process.pid, SIGKILL);
	assert_int_equal(
		waitid(P_PID, (id_t)child->process.pid, &info, WEXITED | (reap ? 0 : WNOWAIT)), 0);
}

static inline void child_end(struct child *child)
{
	child_kill(child, true);
	lt_process_close(&child->process);
}

static inline void *share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

static inline void *child_outlive_first(void *argument)
{
	char path[64], state = 0;
	int ready = *(int *)argument;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)getpid());
	while (state != 'Z') {
		FILE *stat = fopen(path, "re");

		if (!stat || fscanf(stat, "%*d (%*[^)]) %c", &state) != 1)
			child_say(ready, 's');
		fclose(stat);
	}
	child_say(ready, 'y');
	return NULL;
}

/* For child_start(): its first thread has ended when it says y; it has the pipe as 77, too. */
static inline void child_end_first_thread(int ready, void *shared)
{
	static int pipe_end;
	pthread_t thread;

	pipe_end = ready;
	dup2(ready, 77);
	if (pthread_create(&thread, NULL, child_outlive_first, &pipe_end))
		child_say(ready, 't');
	pthread_exit(NULL);
}

#endif
