// SPDX-License-Identifier: GPL-2.0-or-later
#include "proc/tasks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "proc/read.h"

#define NS             UINT64_C(1000000000)
#define MAX_STAT_BYTES 4096

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now = { 0 };

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS + (uint64_t)now.tv_nsec;
}

/*
 * The kernel counts from the boot on, with the time that the machine was suspended; events do not.
 * How much of that came before is not known: all of it is taken for it.
 */
static uint64_t ticks_to_monotonic(uint64_t ticks)
{
	uint64_t per_second = (uint64_t)sysconf(_SC_CLK_TCK);
	uint64_t since_boot = ticks / per_second * NS + ticks % per_second * NS / per_second;
	uint64_t monotonic = now_ns(CLOCK_MONOTONIC);
	uint64_t suspended = now_ns(CLOCK_BOOTTIME) - monotonic;

	return since_boot > suspended ? since_boot - suspended : 1;
}

/* PID (COMM) STATE ...: any byte may be in the name, ")" and newlines as well; the rest has none. */
static int parse(const struct lt_buf *stat, struct lt_task *task)
{
	const char *name = memchr(stat->data, '(', stat->len);
	const char *end = memrchr(stat->data, ')', stat->len);
	struct lt_task found = { 0 };
	unsigned long long ticks;
	size_t len;

	if (!name || !end || end < name ||
	    sscanf(end + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
		   "%llu", /* field 22 of proc_pid_stat(5) */
		   &ticks) != 1)
		return -EBADMSG;
	name++;
	len = (size_t)(end - name);
	memcpy(found.comm, name, len < sizeof(found.comm) ? len : sizeof(found.comm) - 1);
	found.born_ns = ticks_to_monotonic(ticks);
	*task = found;
	return 0;
}

int lt_task_read(const struct lt_process *process, uint32_t tid, struct lt_task *task)
{
	_lt_buf_ struct lt_buf stat = { 0 };
	char name[32];
	int err;

	snprintf(name, sizeof(name), "task/%u/stat", tid);
	err = lt_proc_read_at(process->proc_fd, name, MAX_STAT_BYTES, &stat);
	if (err)
		return err == -ENOENT ? -ESRCH : err;
	return stat.data ? parse(&stat, task) : -EBADMSG;
}
