/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Uprobes that children have from their birth on: perf events of kind tracepoint, which fork() copies
 * to the child (perf_event_attr.inherit), on probes defined in tracefs.  Links of uprobe_multi and
 * perf's own uprobe events know one process alone; to attach to each child after its birth would
 * miss what it did before.
 *
 * It costs each fork and each switch between processes some time for each probe, and is used only
 * for those whose children are followed.  One thread.
 */
#ifndef LT_BPF_INHERIT_H
#define LT_BPF_INHERIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct lt_inherit;

struct lt_inherit_probe {
	const char *path; /* without blanks, as /proc/self/fd/N */
	uint64_t device, inode, offset;
	int program_fd; /* borrowed */
	bool at_return;
};

/* -errno: tracefs or uprobes in it are not to be had. */
int lt_inherit_new(struct lt_inherit **inherit);
/* Takes all probes away, from all children as well. */
void lt_inherit_free(struct lt_inherit *inherit);

/*
 * Puts the probe, which is made only once, into the process of these threads.  A thread that is
 * gone does not matter.
 */
int lt_inherit_attach(struct lt_inherit *inherit, const struct lt_inherit_probe *probe,
		      const pid_t *tids, size_t tid_count);

#endif
