/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the running kernel offers, found by trying.  Detection and judgement are apart, so that the
 * judgement is tested without such a kernel.
 */
#ifndef LT_BPF_FEATURES_H
#define LT_BPF_FEATURES_H

#include <stdbool.h>

struct lt_features {
	bool root;           /* effective user 0: a refusal is not for lack of sudo */
	bool syscall;        /* bpf(2), CONFIG_BPF_SYSCALL */
	bool permitted;      /* bpf(2) lets us create maps and load programs */
	bool probe_programs; /* program type kprobe, which uprobes run: CONFIG_BPF_EVENTS */
	bool ring_buffer;    /* BPF_MAP_TYPE_RINGBUF, 5.8 */
	bool btf;            /* /sys/kernel/btf/vmlinux */
	bool uprobes;        /* can be attached, one way or another: CONFIG_UPROBE_EVENTS */
	bool kernel_reads;   /* programs may read kernel memory: not locked down */
	bool map_on_demand; /* hash elements may be allocated inside a probe, 6.1 (bpf_mem_alloc) */
	bool uprobe_multi;  /* one link, many offsets, a pid filter that knows threads, 6.10 */
	char release[65];   /* uname -r */
};

void lt_features_detect(struct lt_features *features);
/* NULL if leaktrace can run, else one line saying what is missing and what to do. Static text. */
const char *lt_features_missing(const struct lt_features *features);

#endif
