/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which system calls are watched for which kinds, and by which program (bpf/mmap.bpf.c, bpf/fd.bpf.c). */
#ifndef LT_BPF_CALLS_H
#define LT_BPF_CALLS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpf_object;

struct lt_calls {    /* all zero: none */
	int *events; /* perf events */
	size_t count;
	pthread_t closer;
	bool closing; /* by that thread */
};

/* Before the load: programs for calls that these kinds (bit 1 << enum lt_kind) do not need are left out. */
void lt_calls_choose(struct bpf_object *object, uint64_t kinds);
/* Watches them, for all processes.  0 or -errno. */
int lt_calls_watch(struct lt_calls *calls, struct bpf_object *object, uint64_t kinds);
/*
 * Lets go of them.  When it returns, no program that ran before still runs; but for each call the
 * kernel waits for a grace period, one after the other (some 40 ms): that goes on by itself.
 */
void lt_calls_close(struct lt_calls *calls);
/* Whether that is still so. */
bool lt_calls_closing(const struct lt_calls *calls);
/* Waits until it is done. */
void lt_calls_wait(struct lt_calls *calls);

#endif
