/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symbol/regular.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

int lt_regular_reopen(int inode_fd)
{
	char link[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
	struct stat status;
	int fd;

	if (fstat(inode_fd, &status) || !S_ISREG(status.st_mode))
		return -ENOENT;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", inode_fd);
	fd = open(link, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
