// SPDX-License-Identifier: GPL-2.0-or-later
#include "proc/process.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "proc/cgroup.h"
#include "proc/read.h"

#define PROC_ROOT        "/proc"
#define CGROUP_ROOT      "/sys/fs/cgroup"
#define PF_KTHREAD       0x00200000 /* include/linux/sched.h */
#define SMALL_FILE_BYTES (1 << 20)

/* A vanished process shows as one of these, depending on when it vanished. */
static int gone_is_esrch(int error)
{
	return error == -ENOENT || error == -ENOTDIR ? -ESRCH : error;
}

static int open_proc_dir(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), PROC_ROOT "/%d", (int)pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? gone_is_esrch(-errno) : fd;
}

/* /proc/TID works for every thread, though it is not listed there. */
static int resolve_tgid(pid_t pid, pid_t *tgid)
{
	_lt_buf_ struct lt_buf status = { 0 };
	_lt_close_ int fd = -1;
	uint64_t value;
	int err;

	if (pid <= 0)
		return -ESRCH;
	fd = open_proc_dir(pid);
	if (fd < 0)
		return fd;
	err = lt_proc_read_at(fd, "status", SMALL_FILE_BYTES, &status);
	if (err)
		return gone_is_esrch(err);
	if (!lt_proc_field(status.data, "Tgid", &value) || !value || value > INT_MAX)
		return -EBADMSG;
	*tgid = (pid_t)value;
	return 0;
}

/* Fields 9 (flags) and 22 (start time), proc_pid_stat(5).  The name in front may hold ") R 1". */
static int read_stat(struct lt_process *process)
{
	_lt_buf_ struct lt_buf stat = { 0 };
	unsigned long long start_ticks;
	unsigned long flags;
	const char *rest;
	int err = lt_proc_read_at(process->proc_fd, "stat", SMALL_FILE_BYTES, &stat);

	if (err)
		return gone_is_esrch(err);
	rest = memrchr(stat.data, ')', stat.len);
	if (!rest ||
	    sscanf(rest + 1,
		   " %*c %*d %*d %*d %*d %*d %lu %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
		   "%llu",
		   &flags, &start_ticks) != 2)
		return -EBADMSG;
	process->kernel_thread = flags & PF_KTHREAD;
	process->start_ticks = start_ticks;
	return 0;
}

/* "NSpid: 4711 12 1": from our namespace inwards; the last one is what the process calls itself. */
static int read_ns_pid(struct lt_process *process)
{
	_lt_buf_ struct lt_buf status = { 0 };
	int err = lt_proc_read_at(process->proc_fd, "status", SMALL_FILE_BYTES, &status);
	const char *line;
	char *end;

	if (err)
		return gone_is_esrch(err);
	process->ns_pid = process->pid;
	line = strstr(status.data, "\nNSpid:");
	if (!line)
		return 0;
	for (line += strlen("\nNSpid:"); *line == ' ' || *line == '\t'; line = end) {
		long value = strtol(line, &end, 10);

		if (end == line)
			break;
		if (value > 0 && value <= INT_MAX)
			process->ns_pid = (pid_t)value;
	}
	return 0;
}

static int read_comm(struct lt_process *process)
{
	_lt_buf_ struct lt_buf comm = { 0 };
	int err = lt_proc_read_at(process->proc_fd, "comm", SMALL_FILE_BYTES, &comm);
	size_t len = comm.len;

	if (err)
		return gone_is_esrch(err);
	if (len && comm.data[len - 1] == '\n')
		len--;
	if (len >= sizeof(process->comm))
		len = sizeof(process->comm) - 1;
	memcpy(process->comm, comm.data, len);
	process->comm[len] = '\0';
	return 0;
}

/* Both stay unknown when we lack the right to look. */
static void read_exe(struct lt_process *process)
{
	ssize_t len = readlinkat(process->proc_fd, "exe", process->exe, sizeof(process->exe) - 1);
	unsigned char ident[EI_NIDENT];
	_lt_close_ int fd = -1;

	process->exe[len > 0 ? len : 0] = '\0';
	if (len <= 0)
		return;
	fd = openat(process->proc_fd, "exe", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && pread(fd, ident, sizeof(ident), 0) == (ssize_t)sizeof(ident) &&
	    !memcmp(ident, ELFMAG, SELFMAG))
		process->bits32 = ident[EI_CLASS] == ELFCLASS32;
}

static int identify(struct lt_process *process)
{
	int err = read_stat(process);

	if (!err)
		err = read_ns_pid(process);
	if (!err)
		err = read_comm(process);
	if (err)
		return err;
	read_exe(process);
	/*
	 * Last: proc_fd belongs to one process for ever, and it still answers; so the pid had not
	 * been reused when pid_fd was opened, and both are the same process.
	 */
	err = read_stat(process);
	return err ? err : lt_process_check(process);
}

int lt_process_open(pid_t pid, struct lt_process *process)
{
	struct lt_process opened = { .proc_fd = -1, .pid_fd = -1 };
	int err = resolve_tgid(pid, &opened.pid);

	if (err)
		return err;
	/*
	 * BPF sees the number in the initial namespace, which nothing inside of a container tells.
	 * Outside of one it is our own number for it.
	 */
	opened.tgid_init = opened.pid;
	opened.proc_fd = open_proc_dir(opened.pid);
	if (opened.proc_fd < 0)
		return opened.proc_fd;
	opened.pid_fd = (int)syscall(SYS_pidfd_open, opened.pid, 0);
	err = opened.pid_fd < 0 ? -errno : identify(&opened);
	if (err) {
		lt_process_close(&opened);
		return err;
	}
	*process = opened;
	return 0;
}

void lt_process_close(struct lt_process *process)
{
	lt_close_p(&process->proc_fd);
	lt_close_p(&process->pid_fd);
	process->proc_fd = process->pid_fd = -1;
}

int lt_process_check(const struct lt_process *process)
{
	struct pollfd end = { .fd = process->pid_fd, .events = POLLIN };
	int ready;

	do {
		ready = poll(&end, 1, 0);
	} while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return -errno;
	/* Readable once the last thread has ended, reaped or not (pidfd_open(2)). */
	return ready ? -ESRCH : 0;
}

static int read_rss(const struct lt_process *process, uint64_t *rss_bytes)
{
	_lt_buf_ struct lt_buf text = { 0 };
	unsigned long long pages;
	int err;

	err = lt_proc_read_at(process->proc_fd, "statm", SMALL_FILE_BYTES, &text);
	if (err)
		return gone_is_esrch(err);
	if (sscanf(text.data, "%*u %llu", &pages) != 1)
		return -EBADMSG;
	*rss_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

int lt_process_memory(const struct lt_process *process, struct lt_memory_usage *usage)
{
	_lt_buf_ struct lt_buf meminfo = { 0 }, cgroup = { 0 };
	struct lt_memory_usage found = { .limit_bytes = UINT64_MAX, .available_bytes = UINT64_MAX };
	uint64_t kib;
	int err = lt_process_check(process);

	if (!err)
		err = read_rss(process, &found.rss_bytes);
	if (!err)
		err = lt_proc_read_at(AT_FDCWD, PROC_ROOT "/meminfo", SMALL_FILE_BYTES, &meminfo);
	if (err)
		return err;
	if (lt_proc_field(meminfo.data, "MemTotal", &kib))
		found.limit_bytes = kib * 1024;
	if (lt_proc_field(meminfo.data, "MemAvailable", &kib))
		found.available_bytes = kib * 1024;
	err = lt_proc_read_at(process->proc_fd, "cgroup", SMALL_FILE_BYTES, &cgroup);
	if (!err)
		lt_cgroup_apply_limits(cgroup.data, CGROUP_ROOT, &found.limit_bytes,
				       &found.available_bytes);
	if (found.available_bytes == UINT64_MAX)
		found.available_bytes = 0;
	*usage = found;
	return 0;
}

int lt_process_compare_pids(const void *a, const void *b)
{
	const pid_t *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

int lt_process_threads(const struct lt_process *process, pid_t **result, size_t *count)
{
	int fd = openat(process->proc_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_lt_free_ pid_t *tids = NULL;
	const struct dirent *entry;
	size_t filled = 0, capacity = 0;
	DIR *dir;

	if (fd < 0)
		return gone_is_esrch(-errno);
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(dir))) {
		pid_t *more;

		if (entry->d_name[0] == '.')
			continue;
		if (filled == capacity) {
			capacity = capacity ? capacity * 2 : 64;
			more = reallocarray(tids, capacity, sizeof(*tids));
			if (!more) {
				closedir(dir);
				return -ENOMEM;
			}
			tids = more;
		}
		tids[filled++] = (pid_t)strtol(entry->d_name, NULL, 10);
	}
	closedir(dir);
	if (!filled)
		return -ESRCH;
	qsort(tids, filled, sizeof(*tids), lt_process_compare_pids);
	*result = lt_take_ptr(tids);
	*count = filled;
	return 0;
}

bool lt_process_in_initial_namespace(void)
{
	struct stat ns;

	/* PROC_PID_INIT_INO, include/linux/proc_ns.h: fixed since Linux 3.8. */
	return stat("/proc/self/ns/pid", &ns) == 0 && ns.st_ino == 0xeffffffc;
}
