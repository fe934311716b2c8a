/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory of another process by process_vm_readv(2): many pieces in few system calls.  A piece that
 * cannot be read does not spoil the others.  Never stops the process; what is read together need
 * not be of one moment.
 */
#ifndef LT_GO_REMOTE_H
#define LT_GO_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct lt_remote_piece {
	uint64_t address;
	void *to;
	size_t len;
	bool ok; /* set: all of it was read */
};

/*
 * 0, or -ESRCH / -EPERM when nothing of the process can be read.  Once 64 pieces could not be
 * read, those that follow are not tried.
 */
int lt_remote_read_all(pid_t pid, struct lt_remote_piece *pieces, size_t count);
/* The same; *calls grows by the system calls that it took. */
int lt_remote_read_counted(pid_t pid, struct lt_remote_piece *pieces, size_t count, size_t *calls);
/* One piece: 0, or -EFAULT, -ESRCH, -EPERM. */
int lt_remote_read(pid_t pid, uint64_t address, void *to, size_t len);

#endif
