/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the probe of goroutines' creations noted in BPF's tables (bpf/go.bpf.c): nothing of it is told, for most
 * goroutines are gone before anybody asks.
 */
#ifndef LT_BPF_GOBIRTHS_H
#define LT_BPF_GOBIRTHS_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "leaktrace/config.h"

struct lt_gobirths {
	int births_fd, made_fd; /* borrowed */
	uint64_t *
		looks; /* how many there were: what is made from now on is younger than the latest */
};

/* Another look at a process begins: its number. */
uint64_t lt_gobirths_look(const struct lt_gobirths *births);
/* The latest creation of a goroutine of the process whose struct g is there.  False: none was seen. */
bool lt_gobirths_find(const struct lt_gobirths *births, uint32_t process, uint64_t g,
		      struct lt_go_birth *birth);
/*
 * How many were made so far, by the stack that made them; in parts, which are to be added up.  What tell
 * returns other than 0 is handed on; or -errno.
 */
int lt_gobirths_each_made(const struct lt_gobirths *births, uint32_t process,
			  int (*tell)(void *context, uint64_t stack_id, uint64_t count),
			  void *context);
/* The process is no more. */
void lt_gobirths_forget(const struct lt_gobirths *births, uint32_t process);

#endif
