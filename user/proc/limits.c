// SPDX-License-Identifier: GPL-2.0-or-later
#include "proc/limits.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "proc/cgroup.h"
#include "proc/read.h"
#include "proc/select.h"

#define PROC_ROOT        "/proc"
#define SMALL_FILE_BYTES (1 << 20)
#define USER_INIT_INO    0xeffffffd /* PROC_USER_INIT_INO, include/linux/proc_ns.h */

/* The soft limit in a text like /proc/PID/limits; "unlimited" is 0. */
static uint64_t soft_limit(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) || line[len] != ' ')
			continue;
		line += len + strspn(line + len, " ");
		return isdigit((unsigned char)*line) ? strtoull(line, NULL, 10) : 0;
	}
	return 0;
}

/* The real user, and how many threads there are, of a text like /proc/PID/status. */
static bool owner_of(const struct lt_buf *status, uint64_t *uid, uint64_t *threads)
{
	return status->data && lt_proc_field(status->data, "Uid", uid) &&
	       lt_proc_field(status->data, "Threads", threads);
}

/*
 * As copy_process() in kernel/fork.c has it: RLIMIT_NPROC is not for INIT_USER, nor for who is capable
 * in the initial user namespace of one of two things.
 */
static bool may_exceed(const struct lt_process *process, const char *status, uint64_t uid)
{
	const uint64_t either = UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_SYS_RESOURCE;
	const char *effective = strstr(status, "\nCapEff:");
	struct stat ns;

	if (!uid)
		return true;
	return effective && (strtoull(effective + strlen("\nCapEff:"), NULL, 16) & either) &&
	       (fstatat(process->proc_fd, "ns/user", &ns, 0) || ns.st_ino == USER_INIT_INO);
}

/* False if there are too many processes to look at. */
static bool count_threads(uint64_t uid, uint64_t *sum)
{
	_lt_buf_ struct lt_buf status = { 0 };
	const struct dirent *entry;
	uint64_t total = 0, owner, threads;
	DIR *dir = opendir(PROC_ROOT);
	size_t left = LT_MAX_COUNTED_PROCESSES;

	if (!dir)
		return false;
	while (left && (entry = readdir(dir))) {
		char name[sizeof(entry->d_name) + sizeof("/status")];

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		left--;
		lt_buf_clear(&status);
		snprintf(name, sizeof(name), "%s/status", entry->d_name);
		if (!lt_proc_read_at(dirfd(dir), name, SMALL_FILE_BYTES, &status) &&
		    owner_of(&status, &owner, &threads) && owner == uid)
			total += threads;
	}
	closedir(dir);
	*sum = total;
	return left;
}

static struct lt_limit_use user_threads(const struct lt_process *process, const char *limits,
					const struct lt_buf *status)
{
	struct lt_limit_use use = { .limit = soft_limit(limits, "Max processes") };
	uint64_t uid, threads;

	if (!use.limit || !owner_of(status, &uid, &threads) ||
	    may_exceed(process, status->data, uid) || !count_threads(uid, &use.used))
		return (struct lt_limit_use){ 0 };
	return use;
}

static uint64_t read_number(const char *path)
{
	_lt_buf_ struct lt_buf text = { 0 };

	if (lt_proc_read_at(AT_FDCWD, path, SMALL_FILE_BYTES, &text) || !text.data)
		return 0;
	return strtoull(text.data, NULL, 10);
}

/* copy_process() compares the number of threads, of which each needs a number of its own as well. */
static struct lt_limit_use system_threads(void)
{
	_lt_buf_ struct lt_buf loadavg = { 0 };
	uint64_t threads_max = read_number(PROC_ROOT "/sys/kernel/threads-max");
	uint64_t pid_max = read_number(PROC_ROOT "/sys/kernel/pid_max");
	unsigned long long used;

	/* Averages, RUNNING/ALL, the last pid: proc_loadavg(5) */
	if (!threads_max || !pid_max ||
	    lt_proc_read_at(AT_FDCWD, PROC_ROOT "/loadavg", SMALL_FILE_BYTES, &loadavg) ||
	    !loadavg.data || sscanf(loadavg.data, "%*s %*s %*s %*u/%llu", &used) != 1)
		return (struct lt_limit_use){ 0 };
	return (struct lt_limit_use){ used, threads_max < pid_max ? threads_max : pid_max };
}

int lt_limits_read(const struct lt_process *process, struct lt_limit_use uses[LT_LIMITS])
{
	_lt_buf_ struct lt_buf limits = { 0 }, status = { 0 }, cgroup = { 0 };
	struct lt_limit_use found[LT_LIMITS] = { 0 }, *group = &found[LT_LIMIT_CGROUP_THREADS];
	int err = lt_process_check(process);

	if (!err)
		err = lt_proc_read_at(process->proc_fd, "limits", SMALL_FILE_BYTES, &limits);
	if (!err)
		err = lt_proc_read_at(process->proc_fd, "status", SMALL_FILE_BYTES, &status);
	if (err)
		return err == -ENOENT ? -ESRCH : err;
	if (!limits.data)
		return -EBADMSG;
	found[LT_LIMIT_DESCRIPTORS].limit = soft_limit(limits.data, "Max open files");
	found[LT_LIMIT_USER_THREADS] = user_threads(process, limits.data, &status);
	found[LT_LIMIT_SYSTEM_THREADS] = system_threads();
	if (!lt_proc_read_at(process->proc_fd, "cgroup", SMALL_FILE_BYTES, &cgroup) && cgroup.data)
		lt_cgroup_threads(cgroup.data, LT_CGROUP_ROOT, &group->used, &group->limit);
	memcpy(uses, found, sizeof(found));
	return 0;
}
