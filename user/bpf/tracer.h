/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The BPF side of the traced processes, in phases: open (load, no probes; lives of processes are
 * told) → add and attach each process (carry out its plan, gate closed) → activate (gate open:
 * events flow) → more processes and plans → detach → free.
 *
 * The gate opens only when every probe is in place and closes before the first one goes, so that
 * no acquire is ever seen whose release could not be.  One thread.
 */
#ifndef LT_BPF_TRACER_H
#define LT_BPF_TRACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "bpf/code.h"
#include "bpf/features.h"
#include "bpf/gobirths.h"
#include "bpf/gotrace.h"
#include "probe/plan.h"

struct lt_tracer;

struct lt_tracer_options {
	uint64_t ring_bytes; /* per ring, a power of two of at least a page; 0: default */
	uint32_t max_frames; /* of a stack, at most LT_MAX_FRAMES; 0: that */
	uint64_t kinds;      /* to be traced: bit 1 << enum lt_kind */
	bool go_probes;      /* lt_tracer_attach_go() may be told of sites */
	bool follow;         /* children have the probes from their birth on: bpf/inherit.h */
	size_t threads;      /* the targets have now: sizes the pending-call table on old kernels */
};

/* All return 0 or -errno; error gets one line with the remedy. */
int lt_tracer_open(struct lt_tracer **tracer, const struct lt_features *features,
		   const struct lt_tracer_options *options, struct lt_buf *error);
/* This process has this number in events (struct lt_bpf_target); its exec and exit are told. */
int lt_tracer_add(struct lt_tracer *tracer, uint32_t pid, uint32_t process, bool follow);
/* False once it has ended, or become another program. */
bool lt_tracer_has_image(const struct lt_tracer *tracer, uint32_t pid, uint32_t process);
/* May be called again with further plans. */
int lt_tracer_attach(struct lt_tracer *tracer, const struct lt_process *process,
		     const struct lt_plan *plan, struct lt_buf *error);
/*
 * Of a process with a Go runtime, which has this number in events: from now on its stacks have what made
 * their goroutine behind them; and the plan's probes are attached, to it alone, not to its children.
 */
int lt_tracer_attach_go(struct lt_tracer *tracer, const struct lt_process *process, uint32_t number,
			const struct lt_go_plan *plan, struct lt_buf *error);
/* The process of this pid has ended or become another program: its Go probes go. */
void lt_tracer_leave_go(struct lt_tracer *tracer, uint32_t pid);
/* What the probe of creations noted; owned by the tracer. */
const struct lt_gobirths *lt_tracer_go_births(const struct lt_tracer *tracer);
void lt_tracer_activate(struct lt_tracer *tracer);
/*
 * Closes the gate and takes every probe away; when it returns, no program runs any more and every
 * record in the rings is complete.
 */
void lt_tracer_detach(struct lt_tracer *tracer);
/* After it: lt_tracer_free() will wait for the kernel, some seconds (bpf/calls.h). */
bool lt_tracer_lingers(const struct lt_tracer *tracer);
void lt_tracer_free(struct lt_tracer *tracer);

/* Where the stack walker is told of code, at any time after open; owned by the tracer. */
struct lt_code *lt_tracer_code(struct lt_tracer *tracer);

/* Where the control block of a thread is that was made since the gate opened; 0: not known. */
uint64_t lt_tracer_thread_block(const struct lt_tracer *tracer, uint32_t tid);

/* It uses the descriptor table of another process, and its events are that one's. */
bool lt_tracer_borrows_table(const struct lt_tracer *tracer, uint32_t pid);

/* Every stack is sent again when it is next met. */
void lt_tracer_resend_stacks(struct lt_tracer *tracer);

/* Adds the BPF side's counters since open to values[LT_COUNTER_COUNT]. */
void lt_tracer_counters(const struct lt_tracer *tracer, uint64_t *values);

/* The ring that tells of starts and ends of processes, owned by the tracer. */
int lt_tracer_life(const struct lt_tracer *tracer);
/* The ring buffers' map fds, owned by the tracer. */
size_t lt_tracer_rings(const struct lt_tracer *tracer, const int **fds);

#endif
