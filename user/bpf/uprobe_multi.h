/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BPF_LINK_CREATE of type uprobe_multi, which libbpf 1.1 and Debian 12's <linux/bpf.h> do not know.
 * Layout: union bpf_attr, link_create.uprobe_multi, in include/uapi/linux/bpf.h of Linux 6.6.
 */
#ifndef LT_BPF_UPROBE_MULTI_H
#define LT_BPF_UPROBE_MULTI_H

#include <stdbool.h>
#include <stdint.h>

#define LT_BPF_TRACE_UPROBE_MULTI 48 /* enum bpf_attach_type */

struct lt_uprobe_multi {
	int program_fd;
	const char *path;
	const uint64_t *offsets; /* file offsets */
	uint32_t count;
	uint32_t pid; /* process, all of its threads */
	bool at_return;
};

/* A program that does nothing, for such links: its fd, or -errno. */
int lt_uprobe_multi_load_empty(void);

/* Returns the link's fd, which detaches when closed, or -errno. */
int lt_uprobe_multi_attach(const struct lt_uprobe_multi *request);

#endif
