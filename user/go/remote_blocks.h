/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small reads here and there in another process's memory, as along a linked list: blocks around them
 * are read and kept, so that a walk over what was allocated side by side takes few system calls.
 * Each block is as of when it was first read.
 */
#ifndef LT_GO_REMOTE_BLOCKS_H
#define LT_GO_REMOTE_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct lt_remote_blocks;

int lt_remote_blocks_new(struct lt_remote_blocks **blocks, pid_t pid);
void lt_remote_blocks_free(struct lt_remote_blocks *blocks);
/* False: it is not there, or more blocks were asked for than are read (a list that leads anywhere). */
bool lt_remote_blocks_read(struct lt_remote_blocks *blocks, uint64_t address, void *to, size_t len);
/* System calls so far. */
size_t lt_remote_blocks_calls(const struct lt_remote_blocks *blocks);

#endif
