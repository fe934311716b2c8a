// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/remote_blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "go/remote.h"

/*
 * runtime/malloc.go: persistentalloc() takes memory in chunks of 256 KiB, one for each P at a time: with
 * many CPUs a list goes to and fro between as many chunks.
 */
#define PAGE        4096U
#define BLOCK_PAGES 8U
#define BLOCK       (PAGE * BLOCK_PAGES)
#define CHUNK_BITS  3 /* blocks */
#define SLOT_BITS   9
#define SLOTS       (1U << SLOT_BITS)
#define MAX_CALLS   32768 /* 1 GiB */

struct block {
	uint64_t number;  /* + 1; 0: free */
	uint8_t readable; /* a bit for each page */
};

struct lt_remote_blocks {
	pid_t pid;
	size_t calls;
	struct block blocks[SLOTS];
	uint8_t bytes[SLOTS][BLOCK];
};

int lt_remote_blocks_new(struct lt_remote_blocks **blocks, pid_t pid)
{
	struct lt_remote_blocks *made = malloc(sizeof(*made));

	if (!made)
		return -ENOMEM;
	made->pid = pid;
	made->calls = 0;
	memset(made->blocks, 0, sizeof(made->blocks));
	*blocks = made;
	return 0;
}

void lt_remote_blocks_free(struct lt_remote_blocks *blocks)
{
	free(blocks);
}

/* A block may lie across the end of a mapping: by pages. */
static bool fill(struct lt_remote_blocks *blocks, struct block *block, uint64_t number)
{
	struct lt_remote_piece pieces[BLOCK_PAGES];

	if (blocks->calls == MAX_CALLS)
		return false;
	blocks->calls++;
	for (size_t i = 0; i < BLOCK_PAGES; i++)
		pieces[i] = (struct lt_remote_piece){
			.address = number * BLOCK + i * PAGE,
			.to = blocks->bytes[block - blocks->blocks] + i * PAGE,
			.len = PAGE,
		};
	*block = (struct block){ .number = number + 1 };
	if (lt_remote_read_all(blocks->pid, pieces, BLOCK_PAGES))
		return true;
	for (size_t i = 0; i < BLOCK_PAGES; i++)
		block->readable |= (uint8_t)(pieces[i].ok << i);
	return true;
}

/* What lies within one page. */
static bool read_page(struct lt_remote_blocks *blocks, uint64_t address, void *to, size_t len)
{
	uint64_t number = address / BLOCK;
	/* The blocks of a chunk beside each other: what lies across two of them must not go to and fro. */
	size_t chunk = lt_mix64(number >> CHUNK_BITS) >> (64 - (SLOT_BITS - CHUNK_BITS));
	size_t slot = chunk << CHUNK_BITS | (number & ((1U << CHUNK_BITS) - 1));
	struct block *block = &blocks->blocks[slot];

	if (block->number != number + 1 && !fill(blocks, block, number))
		return false;
	if (!(block->readable & 1U << address % BLOCK / PAGE))
		return false;
	memcpy(to, blocks->bytes[slot] + address % BLOCK, len);
	return true;
}

bool lt_remote_blocks_read(struct lt_remote_blocks *blocks, uint64_t address, void *to, size_t len)
{
	if (len > UINT64_MAX - address)
		return false;
	for (uint8_t *at = to; len;) {
		size_t part = PAGE - address % PAGE;

		part = part < len ? part : len;
		if (!read_page(blocks, address, at, part))
			return false;
		at += part;
		address += part;
		len -= part;
	}
	return true;
}

size_t lt_remote_blocks_calls(const struct lt_remote_blocks *blocks)
{
	return blocks->calls;
}
