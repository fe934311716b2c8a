/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes that share the descriptor table of another one (CLONE_FILES): what they do to it is told
 * as the other's.
 */
#ifndef LT_SHARE_BPF_H
#define LT_SHARE_BPF_H

#include "common.bpf.h"
#include "kernel.bpf.h"

struct files_struct;

struct task_struct___files {
	struct task_struct___files *group_leader;
	struct files_struct *files;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LT_MAX_PROCESSES);
	__type(key, __u32); /* pid */
	__type(value, struct lt_bpf_lender);
} lt_table_lenders __weak SEC(".maps");

/* How many there are: while there are none, nobody need look. */
__u32 lt_borrowed_tables __weak = 0;

/* At a fork.  process: the number of the one that forks; 0: it is not traced. */
static __always_inline void table_lend(struct task_struct *parent, struct task_struct *child,
				       __u32 parent_pid, __u32 pid, __u32 process)
{
	struct task_struct___files *from = (void *)parent, *to = (void *)child;
	struct lt_bpf_lender lender = { .table = (__u64)BPF_CORE_READ(to, files),
					.process = process };
	struct lt_bpf_lender *before = lt_borrowed_tables
					       ? bpf_map_lookup_elem(&lt_table_lenders, &parent_pid)
					       : NULL;

	if (before && before->table == lender.table)
		lender.process = before->process;
	if (!lender.process || (__u64)BPF_CORE_READ(from, files) != lender.table)
		return;
	if (bpf_map_update_elem(&lt_table_lenders, &pid, &lender, BPF_NOEXIST) == 0)
		__sync_fetch_and_add(&lt_borrowed_tables, 1);
}

/* At an exec, which makes the table the process's own, at its end, and when it has got another one. */
static __always_inline void table_give_back(__u32 pid)
{
	if (lt_borrowed_tables && bpf_map_delete_elem(&lt_table_lenders, &pid) == 0)
		__sync_fetch_and_add(&lt_borrowed_tables, -1);
}

#endif
