/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether this kernel makes a call of a five-byte NOP that is probed, once it was hit (x86, Linux 6.18:
 * arch_uprobe_optimize() in arch/x86/kernel/uprobes.c): then it costs a system call instead of a trap.
 *
 * A process that is forked then has the call, but not what is called (probe/goforks.h).
 *
 * The call writes to the user's stack, right below the stack pointer, where a function that calls no other may
 * keep something (the red zone): only for a NOP right before a call, which writes there, too.  Later
 * kernels do it to ten-byte NOPs alone for that reason.
 */
#ifndef LT_BPF_OPTIMIZED_H
#define LT_BPF_OPTIMIZED_H

#include <stdbool.h>

/*
 * ... and takes it back when the probe goes.  Tried on a NOP of our own, in a child.  Needs uprobe_multi
 * (bpf/features.h); without it, or on any failure: false.
 */
bool lt_uprobes_optimize_nops(void);

#endif
