// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define TEMPORARY_SIZE sizeof(".leaktrace-0123456789abcdef.tmp")

/* A path taken apart once: whatever is renamed above it later, we stay in this directory. */
struct place {
	int dir_fd; /* O_PATH, owned */
	char name[NAME_MAX + 1];
};

static void place_close(const struct place *place)
{
	lt_close_p(&place->dir_fd);
}

#define _place_ _lt_cleanup_(place_close)

static int place_open(const char *path, struct place *place)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char directory[PATH_MAX] = ".";
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (!name[0] || !strcmp(name, ".") || !strcmp(name, ".."))
		return path[0] ? -EISDIR : -EINVAL;
	if (strlen(name) > NAME_MAX || len >= sizeof(directory))
		return -ENAMETOOLONG;
	if (slash) {
		memcpy(directory, path, len);
		directory[len] = '\0';
		if (!len)
			strcpy(directory, "/");
	}
	strcpy(place->name, name);
	place->dir_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return place->dir_fd < 0 ? -errno : 0;
}

/* May this file be replaced or truncated by us?  A link planted in a shared folder must not. */
static int check_regular(const struct stat *st)
{
	if (S_ISLNK(st->st_mode))
		return -ELOOP;
	if (S_ISDIR(st->st_mode))
		return -EISDIR;
	if (!S_ISREG(st->st_mode))
		return -ENOTSUP;
	if (st->st_uid != geteuid())
		return -EPERM;
	return st->st_nlink == 1 ? 0 : -EMLINK;
}

/* 0 as well when nothing is there yet. */
static int check_replaceable(const struct place *place)
{
	struct stat st;

	if (fstatat(place->dir_fd, place->name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	return check_regular(&st);
}

static int temporary_open(const struct place *place, char name[TEMPORARY_SIZE], int *fd)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	snprintf(name, TEMPORARY_SIZE, ".leaktrace-%016" PRIx64 ".tmp", random);
	*fd = openat(place->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		     0600);
	return *fd < 0 ? -errno : 0;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t wrote = write(fd, data, len);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return wrote ? -errno : -EIO;
		data += wrote;
		len -= (size_t)wrote;
	}
	return 0;
}

/* Some file systems tell only at close that nothing was written. */
static int close_checked(int *fd)
{
	return close(lt_take_fd(fd)) ? -errno : 0;
}

int lt_output_replace(const char *path, const void *data, size_t len)
{
	_place_ struct place place = { .dir_fd = -1 };
	_lt_close_ int fd = -1;
	char temporary[TEMPORARY_SIZE];
	int err = place_open(path, &place);

	if (!err)
		err = check_replaceable(&place);
	if (!err)
		err = temporary_open(&place, temporary, &fd);
	if (err)
		return err;
	err = write_all(fd, data, len);
	if (!err && fchmod(fd, 0644)) /* whatever the umask: node_exporter must read it */
		err = -errno;
	if (!err)
		err = close_checked(&fd);
	if (!err && renameat(place.dir_fd, temporary, place.dir_fd, place.name))
		err = -errno;
	if (err)
		unlinkat(place.dir_fd, temporary, 0);
	return err;
}

int lt_output_check(const char *path)
{
	_place_ struct place place = { .dir_fd = -1 };
	_lt_close_ int fd = -1;
	char temporary[TEMPORARY_SIZE];
	int err = place_open(path, &place);

	if (!err)
		err = check_replaceable(&place);
	if (!err)
		err = temporary_open(&place, temporary, &fd);
	if (!err && unlinkat(place.dir_fd, temporary, 0))
		err = -errno;
	return err;
}

/* /dev/fd/N: a descriptor that whoever started us gave us, as in --json >(jq …). */
static int inherited(const char *path, int *fd)
{
	static const char prefix[] = "/dev/fd/";
	unsigned int number;
	char rest;

	if (strncmp(path, prefix, sizeof(prefix) - 1) != 0 ||
	    sscanf(path + sizeof(prefix) - 1, "%9u%c", &number, &rest) != 1)
		return 0;
	*fd = fcntl((int)number, F_DUPFD_CLOEXEC, 3);
	return *fd < 0 ? -errno : 1;
}

/* May it be written to?  Another user's FIFO would hand him what only we may see. */
static int check_writable(const struct stat *st)
{
	if (S_ISCHR(st->st_mode))
		return 0;
	if (S_ISFIFO(st->st_mode))
		return st->st_uid == geteuid() || st->st_uid == 0 ? 0 : -EPERM;
	return check_regular(st);
}

static int open_place(const char *path, int *fd)
{
	_place_ struct place place = { .dir_fd = -1 };
	struct stat st;
	int err = place_open(path, &place);

	if (err)
		return err;
	/* First by name, because opening a device or a FIFO can have effects or block. */
	if (!fstatat(place.dir_fd, place.name, &st, AT_SYMLINK_NOFOLLOW))
		err = check_writable(&st);
	else if (errno != ENOENT)
		err = -errno;
	if (err)
		return err;
	*fd = openat(place.dir_fd, place.name,
		     O_WRONLY | O_CREAT | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0644);
	if (*fd < 0)
		return -errno;
	/* Then what was opened: the name may have changed hands in between. */
	if (fstat(*fd, &st))
		return -errno;
	err = check_writable(&st);
	if (!err && S_ISREG(st.st_mode) && ftruncate(*fd, 0))
		err = -errno;
	return err;
}

int lt_output_open(const char *path, FILE **file)
{
	_lt_close_ int fd = -1;
	int err = inherited(path, &fd);
	FILE *opened;

	if (!err)
		err = open_place(path, &fd);
	if (err < 0)
		return err;
	opened = fdopen(fd, "w");
	if (!opened)
		return -errno;
	lt_take_fd(&fd);
	*file = opened;
	return 0;
}

const char *lt_output_error(int error)
{
	static const struct {
		int error;
		const char *text;
	} remedies[] = {
		{ ELOOP, "is a symbolic link, which is not followed: give the path it leads to" },
		{ EMLINK, "has other hard links: remove it or choose another path" },
		{ EPERM, "belongs to another user: remove it or choose another path" },
		{ EISDIR, "is a directory: give a file in it" },
		{ ENOTSUP, "is not a regular file: choose another path" },
		{ ENOENT, "is in a directory that does not exist: create the directory first" },
		{ ENOTDIR, "is below something that is not a directory: correct the path" },
		{ EACCES, "cannot be written there: choose a directory that you may write to" },
		{ EROFS, "is on a read-only file system: choose another path" },
		{ ENOSPC, "does not fit: free some space on the file system" },
		{ EDQUOT, "does not fit in the disk quota: free some space" },
		{ ENAMETOOLONG, "is too long a name: choose a shorter one" },
		{ EINVAL, "is not a usable path: give the name of a file" },
	};

	error = abs(error);
	for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
		if (remedies[i].error == error)
			return remedies[i].text;
	return strerror(error);
}
