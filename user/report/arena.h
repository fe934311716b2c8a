/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that is given back all at once.  Pointers stay valid until then.  Not thread-safe.
 */
#ifndef LT_REPORT_ARENA_H
#define LT_REPORT_ARENA_H

#include <stddef.h>

struct lt_arena_block;

struct lt_arena { /* all zero: empty */
	struct lt_arena_block *blocks;
};

/* Zeroed and aligned for any type; NULL without memory.  count * size may overflow: NULL then. */
void *lt_arena_alloc(struct lt_arena *arena, size_t count, size_t size);
const char *lt_arena_strdup(struct lt_arena *arena, const char *text);
void lt_arena_free(struct lt_arena *arena);

#endif
