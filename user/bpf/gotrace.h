/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The probes of --go-probes in the traced processes: which program goes to which site (bpf/go.bpf.c). */
#ifndef LT_BPF_GOTRACE_H
#define LT_BPF_GOTRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/types.h>

#include "bpf/features.h"
#include "leaktrace/config.h"
#include "probe/gosites.h"

struct bpf_link;
struct bpf_object;

/* What is done for one process with a Go runtime. */
struct lt_go_plan {
	struct lt_bpf_go layout;
	const struct lt_go_sites
		*sites;   /* NULL: none; stacks tell of their goroutines all the same */
	const char *path; /* of the file that the sites are in: /proc/self/fd/N will do */
	bool keeps_nops;  /* no call may be made of a NOP: probe/goforks.h */
};

struct lt_gotrace {       /* all zero: none */
	int *multi_links; /* uprobe_multi link fds */
	uint32_t *multi_pids;
	size_t multi_count;
	struct bpf_link **links; /* perf uprobes */
	uint32_t *link_pids;
	size_t link_count;
	bool uprobe_multi;
	bool nops_called; /* probed NOPs become calls: bpf/optimized.h */
};

/* Before the load.  wanted: else the programs are left out, and their tables are small. */
void lt_gotrace_choose(struct lt_gotrace *trace, struct bpf_object *object,
		       const struct lt_features *features, bool wanted);
/*
 * Releases before acquires.  pid is in the initial namespace; all threads of this process, and no child's.
 * On failure some are in place, until the close.
 */
int lt_gotrace_attach(struct lt_gotrace *trace, const struct bpf_object *object, uint32_t pid,
		      const struct lt_go_plan *plan);
/* Of one process, which has ended or executed something: its probes would go on. */
void lt_gotrace_leave(struct lt_gotrace *trace, uint32_t pid);
void lt_gotrace_close(struct lt_gotrace *trace);

#endif
