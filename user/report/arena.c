// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 65536U /* a usual report fits in a few */

struct lt_arena_block {
	struct lt_arena_block *next;
	size_t used, size;
	alignas(max_align_t) char data[];
};

void *lt_arena_alloc(struct lt_arena *arena, size_t count, size_t size)
{
	struct lt_arena_block *block = arena->blocks;
	size_t need, align = alignof(max_align_t);
	void *given;

	if (__builtin_mul_overflow(count, size, &need) ||
	    __builtin_add_overflow(need, align - 1, &need))
		return NULL;
	need &= ~(align - 1);
	if (!block || block->size - block->used < need) {
		size_t room = need > BLOCK_SIZE ? need : BLOCK_SIZE, total;

		if (__builtin_add_overflow(room, sizeof(*block), &total))
			return NULL;
		block = calloc(1, total);
		if (!block)
			return NULL;
		block->size = room;
		block->next = arena->blocks;
		arena->blocks = block;
	}
	given = block->data + block->used;
	block->used += need;
	return given;
}

const char *lt_arena_strdup(struct lt_arena *arena, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = lt_arena_alloc(arena, size, 1);

	return copy ? memcpy(copy, text, size) : NULL;
}

void lt_arena_free(struct lt_arena *arena)
{
	struct lt_arena_block *block, *next;

	for (block = arena->blocks; block; block = next) {
		next = block->next;
		free(block);
	}
	arena->blocks = NULL;
}
