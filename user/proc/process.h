/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What /proc says about one process.  A pid is reused; a process is (pid, start time).
 * Functions take the path of the proc mount through the handle, never by string from outside.
 * 0 or -errno; -ESRCH once the process is gone or the pid belongs to another one.
 */
#ifndef LT_PROC_PROCESS_H
#define LT_PROC_PROCESS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct lt_process {
	pid_t pid;            /* thread group leader, in our pid namespace */
	pid_t ns_pid;         /* in its own (last NSpid) */
	pid_t tgid_init;      /* as BPF sees it: initial namespace; equals pid unless we are in a
				 container */
	uint64_t start_ticks; /* stat field 22, clock ticks since boot */
	int proc_fd;          /* directory /proc/PID, owned */
	int pid_fd;           /* pidfd, owned; readable when the process ended */
	bool kernel_thread;
	bool bits32;        /* 32-bit executable */
	char comm[64];      /* as it is: any byte may occur */
	char exe[PATH_MAX]; /* readlink of exe; " (deleted)" kept; "" when unreadable */
};

/* Opens and identifies.  A thread id is resolved to its process.  *process must be freed. */
int lt_process_open(pid_t pid, struct lt_process *process);
void lt_process_close(struct lt_process *process);
/*
 * BPF sees pids of the initial pid namespace; ours are the same only there.
 */
bool lt_process_in_initial_namespace(void);
/* 0 while it is the same living process, else -ESRCH. Zombies count as gone. */
int lt_process_check(const struct lt_process *process);

struct lt_memory_usage {
	uint64_t
		rss_bytes; /* statm: off by some hundred KiB at most (proc_pid_statm(5)); user/proc/smaps.h is exact, and
			      reads all page tables */
	uint64_t
		limit_bytes; /* smallest of cgroup v2/v1 memory limit along the path and MemTotal */
	uint64_t available_bytes; /* how much more until that limit; 0: unknown */
};

int lt_process_memory(const struct lt_process *process, struct lt_memory_usage *usage);
/* The ids of its threads, ascending, from /proc/PID/task; *tids is to be freed. */
int lt_process_threads(const struct lt_process *process, pid_t **tids, size_t *count);
/* For qsort() and bsearch(). */
int lt_process_compare_pids(const void *a, const void *b);

#endif
