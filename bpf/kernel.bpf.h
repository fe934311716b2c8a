/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's fields that are read here, and no others: CO-RE finds them in the running kernel, so
 * no vmlinux.h is needed.
 */
#ifndef LT_KERNEL_BPF_H
#define LT_KERNEL_BPF_H

#include "common.bpf.h"

#include <bpf/bpf_core_read.h>

struct mm_struct;

struct signal_struct {
	struct {
		int counter;
	} live;
	int group_exit_code;
	unsigned int flags;
} __attribute__((preserve_access_index));

/* A return probe under way: kernel/events/uprobes.c. */
struct return_instance {
	unsigned long stack; /* where the return address was */
	unsigned long orig_ret_vaddr;
	struct return_instance *next;
} __attribute__((preserve_access_index));

struct uprobe_task {
	struct return_instance *return_instances;
} __attribute__((preserve_access_index));

struct task_struct {
	int exit_code;
	int pid, tgid;
	struct mm_struct *mm; /* only compared */
	struct signal_struct *signal;
	struct uprobe_task *utask;
} __attribute__((preserve_access_index));

#endif
