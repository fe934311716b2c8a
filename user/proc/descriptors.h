/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What /proc/PID/fd lists: the descriptors that a process holds now, and what each of them is.
 * 0 or -errno; -ESRCH once the process is gone.  What closes while we look is left out.
 */
#ifndef LT_PROC_DESCRIPTORS_H
#define LT_PROC_DESCRIPTORS_H

#include "proc/process.h"

struct lt_descriptor {
	uint32_t fd;
	uint64_t socket_inode; /* 0: no socket */
	const char *type; /* "file", "pipe", "eventfd", "epoll", "memfd", "socket", ...; static */
	const char *name; /* path, or name of a memfd; "" none.  Owned by the list */
};

struct lt_descriptors {
	struct lt_descriptor *entries; /* by ascending fd */
	size_t count;
	char *names; /* behind the entries' names */
};

/* Of one process; descriptors beyond that have no names.  A path has 4 KiB at most. */
#define LT_MAX_DESCRIPTOR_NAMES (64u << 20)

/* Costs some 2 us a descriptor. */
int lt_descriptors_read(const struct lt_process *process, struct lt_descriptors *descriptors);
void lt_descriptors_free(struct lt_descriptors *descriptors);

/*
 * What the text of a link in /proc/PID/fd says.  Fills all but the fd; the name points into the
 * text, of which the end may be cut off.
 */
void lt_descriptor_parse(char *link, struct lt_descriptor *descriptor);

#endif
