// SPDX-License-Identifier: GPL-2.0-or-later
#include "proc/select.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/read.h"

#define PF_KTHREAD      0x00200000 /* include/linux/sched.h */
#define MAX_PROCS_BYTES (32 << 20) /* of one cgroup.procs: PID_MAX_LIMIT numbers of 7 digits */

LT_CLEANUP(DIR *, closedir)
#define _lt_closedir_ _lt_cleanup_(closedir_p)

bool lt_pids_add(struct lt_pids *pids, pid_t pid)
{
	size_t at = pids->count;

	while (at && pids->ids[at - 1] >= pid)
		at--;
	if (at < pids->count && pids->ids[at] == pid)
		return true;
	if (pids->count == LT_MAX_TARGETS) {
		pids->left_out++;
		return false;
	}
	memmove(pids->ids + at + 1, pids->ids + at, (pids->count - at) * sizeof(pids->ids[0]));
	pids->ids[at] = pid;
	pids->count++;
	return true;
}

/* A whole positive number, and nothing else; 0 if it is none. */
static pid_t pid_of(const char *text)
{
	char *end;
	long value;

	if (*text < '1' || *text > '9')
		return 0;
	errno = 0;
	value = strtol(text, &end, 10);
	return *end || errno || value > INT_MAX ? 0 : (pid_t)value;
}

/* The beginning of a file that may be long; the rest does not matter.  False if unreadable. */
static bool read_head(int dir_fd, const char *name, char *text, size_t size)
{
	_lt_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);

	if (got < 0)
		return false;
	text[got] = '\0';
	return true;
}

static int open_process(int proc_fd, pid_t pid)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", (int)pid);
	return openat(proc_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Neither a kernel thread nor ended: fields 3 and 9 of proc_pid_stat(5). */
static bool is_alive(int process_fd)
{
	char stat[1024], state;
	unsigned long flags;
	const char *rest;

	if (!read_head(process_fd, "stat", stat, sizeof(stat)))
		return false;
	rest = strrchr(stat, ')'); /* the name in front may hold any byte */
	if (!rest || sscanf(rest + 1, " %c %*d %*d %*d %*d %*d %lu", &state, &flags) != 2)
		return false;
	return !(flags & PF_KTHREAD) && !strchr("ZXx", state);
}

/* What /proc calls us, whatever pid namespace it belongs to. */
static pid_t own_pid(int proc_fd)
{
	char self[16];
	ssize_t len = readlinkat(proc_fd, "self", self, sizeof(self) - 1);

	self[len > 0 ? len : 0] = '\0';
	return pid_of(self);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool matches(const char *wanted, const char *name)
{
	return strpbrk(wanted, "*?[") ? !fnmatch(wanted, name, 0) : !strcmp(wanted, name);
}

static bool has_name(int process_fd, const char *wanted)
{
	static const char deleted[] = " (deleted)";
	char text[PATH_MAX];
	ssize_t len;

	if (read_head(process_fd, "comm", text, sizeof(text))) {
		text[strcspn(text, "\n")] = '\0';
		if (matches(wanted, text))
			return true;
	}
	len = readlinkat(process_fd, "exe", text, sizeof(text) - 1);
	if (len > 0) {
		text[len] = '\0';
		if ((size_t)len >= sizeof(deleted) &&
		    !strcmp(text + len - strlen(deleted), deleted))
			text[(size_t)len - strlen(deleted)] = '\0';
		if (matches(wanted, base_name(text)))
			return true;
	}
	return read_head(process_fd, "cmdline", text, sizeof(text)) && *text &&
	       matches(wanted, base_name(text));
}

__attribute__((format(printf, 3, 4))) static int fail(struct lt_buf *text, int err,
						      const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	lt_buf_str(text, line);
	return err;
}

int lt_select_by_name(int proc_fd, const char *name, struct lt_pids *pids, struct lt_buf *error)
{
	int list_fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_lt_closedir_ DIR *dir = list_fd < 0 ? NULL : fdopendir(list_fd);
	struct lt_pids found = { .count = 0 };
	pid_t self = own_pid(proc_fd);
	const struct dirent *entry;

	if (!dir) {
		int err = -errno;

		if (list_fd >= 0)
			close(list_fd);
		return fail(error, err, "cannot list /proc: %s", strerror(-err));
	}
	while ((entry = readdir(dir))) {
		pid_t pid = pid_of(entry->d_name);
		_lt_close_ int process_fd = -1;

		if (!pid || pid == self)
			continue;
		process_fd = open_process(proc_fd, pid);
		if (process_fd >= 0 && has_name(process_fd, name) && is_alive(process_fd))
			lt_pids_add(&found, pid);
	}
	if (!found.count)
		return fail(error, -ESRCH, "no process is called '%.200s': see ps -e", name);
	*pids = found;
	return 0;
}

/* A walk through a group and those below it. */
struct walk {
	int proc_fd;
	pid_t self;
	size_t groups;
	struct lt_pids found;
};

static void add_member(struct walk *walk, pid_t pid)
{
	_lt_close_ int process_fd = -1;

	if (pid <= 0 || pid == walk->self) /* 0: out of sight, in another pid namespace */
		return;
	process_fd = open_process(walk->proc_fd, pid);
	if (process_fd >= 0 && is_alive(process_fd))
		lt_pids_add(&walk->found, pid);
}

static int add_members(struct walk *walk, int group_fd)
{
	_lt_buf_ struct lt_buf text = { 0 };
	int err = lt_proc_read_at(group_fd, "cgroup.procs", MAX_PROCS_BYTES, &text);
	char *line = text.data, *end;

	if (err)
		return err;
	for (; line && (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		add_member(walk, pid_of(line));
	}
	return 0;
}

/*
 * Groups come and go: one that vanished (ENOENT, ENODEV) or that has threads only (EOPNOTSUPP,
 * cgroups(7): its processes are listed further up) is passed over, but for the first.
 */
static int walk_group(struct walk *walk, int group_fd, unsigned int depth)
{
	int err = add_members(walk, group_fd);
	int list_fd = openat(group_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_lt_closedir_ DIR *dir = list_fd < 0 ? NULL : fdopendir(list_fd);
	const struct dirent *entry;

	if (!dir && list_fd >= 0)
		close(list_fd);
	if (err || !dir)
		return err;
	while ((entry = readdir(dir))) {
		_lt_close_ int child_fd = -1;

		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, ".."))
			continue;
		if (depth == LT_MAX_CGROUP_DEPTH || ++walk->groups > LT_MAX_CGROUPS)
			return -E2BIG;
		child_fd = openat(group_fd, entry->d_name,
				  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child_fd < 0)
			continue;
		err = walk_group(walk, child_fd, depth + 1);
		if (err == -E2BIG || err == -ENOMEM)
			return err;
	}
	return 0;
}

/* The path as the user has it → below LT_CGROUP_ROOT, without slashes in front. */
static const char *strip_root(const char *path)
{
	size_t len = strlen(LT_CGROUP_ROOT);

	if (!strncmp(path, LT_CGROUP_ROOT, len) && (path[len] == '/' || !path[len]))
		path += len;
	return path + strspn(path, "/");
}

/* Never out of the folder, whatever ".." and links say. */
static int open_below(int dir_fd, const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH };
	long fd = syscall(SYS_openat2, dir_fd, *path ? path : ".", &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/*
 * Where hierarchies are by convention (systemd): v2; v2 beside v1; v1, where a group may exist for
 * some controllers only.
 */
static const char *const hierarchies[] = { "",     "unified/", "systemd/", "memory/", "pids/",
					   "cpu/", "cpuset/",  "freezer/", "devices/" };

/* 0: found some; -ENOENT, -ESRCH: not in this hierarchy. */
static int walk_hierarchy(struct walk *walk, int cgroup_fd, const char *hierarchy, const char *path)
{
	_lt_close_ int group_fd = -1;
	char name[PATH_MAX];
	int err;

	if ((size_t)snprintf(name, sizeof(name), "%s%s", hierarchy, path) >= sizeof(name))
		return -ENAMETOOLONG;
	group_fd = open_below(cgroup_fd, name);
	if (group_fd < 0)
		return -ENOENT;
	err = walk_group(walk, group_fd, 0);
	if (err)
		return err == -ENODEV ? -ENOENT : err;
	return walk->found.count ? 0 : -ESRCH;
}

int lt_select_by_cgroup(int cgroup_fd, int proc_fd, const char *path, struct lt_pids *pids,
			struct lt_buf *error)
{
	struct walk walk = { .proc_fd = proc_fd, .self = own_pid(proc_fd) };
	const char *below = strip_root(path);
	int err = -ENOENT;

	for (size_t i = 0; i < sizeof(hierarchies) / sizeof(hierarchies[0]); i++) {
		int last = walk_hierarchy(&walk, cgroup_fd, hierarchies[i], below);

		if (last != -ENOENT)
			err = last;
		if (last != -ENOENT && last != -ESRCH)
			break;
	}
	switch (err) {
	case 0:
		*pids = walk.found;
		return 0;
	case -ENOENT:
		return fail(error, err,
			    "no control group '%.200s' below " LT_CGROUP_ROOT
			    ": /proc/PID/cgroup tells those of a process",
			    path);
	case -ESRCH:
		return fail(error, err, "no process runs in control group '%.200s'", path);
	case -EOPNOTSUPP:
		return fail(error, err,
			    "control group '%.200s' holds threads, not processes: give the one "
			    "that it is in",
			    path);
	case -E2BIG:
		return fail(error, err,
			    "there are too many groups below '%.200s': give one of them", path);
	default:
		return fail(error, err, "cannot read control group '%.200s': %s", path,
			    strerror(-err));
	}
}
