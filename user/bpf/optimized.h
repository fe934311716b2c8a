/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether this kernel makes a call of a five-byte NOP that is probed, once it was hit (x86, Linux 6.18:
 * arch_uprobe_optimize() in arch/x86/kernel/uprobes.c): then it costs a system call instead of a trap.
 *
 * The call pushes its return address onto the user's stack, right below the stack pointer: only
 * for code that keeps nothing there (Go's does not; C's may, in its red zone).  Later kernels do it to
 * ten-byte NOPs alone for that reason.
 */
#ifndef LT_BPF_OPTIMIZED_H
#define LT_BPF_OPTIMIZED_H

#include <stdbool.h>

/* Tried on a NOP of our own.  Needs uprobe_multi (bpf/features.h); without it, or on any failure: false. */
bool lt_uprobes_optimize_nops(void);

#endif
