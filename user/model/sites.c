/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/sites.h"

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "leaktrace/limits.h"

/* Keys are made of hashes; uthash's own function would only cost time. */
#define HASH_FUNCTION(key, len, hashv) ((hashv) = hash_words(key, len))
#define HASH_NONFATAL_OOM              1
#include <uthash.h>

#define CACHE_SLOTS 1024U /* power of two; direct-mapped, in front of the hash table */

struct site_key {
	uint64_t stack_id;
	uint64_t kind;
};

struct site_node {
	struct lt_site site;
	struct site_key key;
	UT_hash_handle hh;
};

struct stack_node {
	uint64_t stack_id;
	UT_hash_handle hh;
	uint16_t frame_count, end;
	uint64_t frames[];
};

struct lt_sites {
	struct site_node *by_key;
	struct stack_node *stacks;
	struct site_node *cache[CACHE_SLOTS];
	struct site_node **nodes; /* by index */
	size_t count, capacity;
	size_t node_memory;
};

static const uint8_t kinds[] = {
#define LT_KIND(symbol, value, name, unit, memory, listing, help) (value),
#include "leaktrace/kinds.def"
#undef LT_KIND
};

static unsigned int hash_words(const void *key, size_t len)
{
	uint64_t words[2] = { 0 };

	memcpy(words, key, len);
	return (unsigned int)lt_mix64(words[0] ^ words[1] << 56);
}

int lt_sites_new(struct lt_sites **sites)
{
	struct lt_sites *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	*sites = made;
	return 0;
}

void lt_sites_free(struct lt_sites *sites)
{
	struct stack_node *stack, *next;

	if (!sites)
		return;
	HASH_ITER(hh, sites->stacks, stack, next) {
		HASH_DEL(sites->stacks, stack);
		free(stack);
	}
	HASH_CLEAR(hh, sites->by_key);
	for (size_t i = 0; i < sites->count; i++)
		free(sites->nodes[i]);
	free(sites->nodes);
	free(sites);
}

static void attach_stack(struct lt_site *site, const struct stack_node *stack)
{
	site->frames = stack->frames;
	site->frame_count = stack->frame_count;
	site->stack_end = (uint8_t)stack->end;
}

static int reserve(struct lt_sites *sites)
{
	size_t capacity = sites->capacity ? 2 * sites->capacity : 64;
	struct site_node **nodes;

	if (sites->count < sites->capacity)
		return 0;
	if (sites->count >= LT_MAX_SITES)
		return -ENOSPC;
	nodes = realloc(sites->nodes,
			capacity * sizeof(*nodes)); /* NOLINT(bugprone-sizeof-expression) */
	if (!nodes)
		return -ENOMEM;
	sites->nodes = nodes;
	sites->capacity = capacity;
	return 0;
}

static int make_site(struct lt_sites *sites, const struct site_key *key, struct site_node **node)
{
	struct stack_node *stack;
	struct site_node *made;
	int err = reserve(sites);

	if (err)
		return err;
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->key = *key;
	made->site.index = (uint32_t)sites->count;
	made->site.kind = (uint8_t)key->kind;
	made->site.stack_id = key->stack_id;
	HASH_ADD(hh, sites->by_key, key, sizeof(made->key), made);
	if (!made->hh.tbl) { /* uthash found no memory */
		free(made);
		return -ENOMEM;
	}
	HASH_FIND(hh, sites->stacks, &key->stack_id, sizeof(key->stack_id), stack);
	if (stack)
		attach_stack(&made->site, stack);
	sites->nodes[sites->count++] = made;
	sites->node_memory += malloc_usable_size(made);
	*node = made;
	return 0;
}

int lt_sites_find(struct lt_sites *sites, uint8_t kind, uint64_t stack_id, struct lt_site **site)
{
	struct site_key key = { .stack_id = stack_id, .kind = kind };
	struct site_node **cached = &sites->cache[(stack_id ^ kind) % CACHE_SLOTS], *node = *cached;

	if (!node || node->key.stack_id != stack_id || node->key.kind != kind) {
		HASH_FIND(hh, sites->by_key, &key, sizeof(key), node);
		if (!node) {
			int err = make_site(sites, &key, &node);

			if (err)
				return err;
		}
		*cached = node;
	}
	*site = &node->site;
	return 0;
}

/* A stack that was cut for what was not known of the code then may come whole later. */
static bool improves(const struct lt_event_stack *stack, const struct stack_node *node)
{
	return node->end == LT_STACK_PENDING &&
	       (stack->end != LT_STACK_PENDING || stack->frame_count > node->frame_count);
}

static void drop_stack(struct lt_sites *sites, struct stack_node *node)
{
	sites->node_memory -= malloc_usable_size(node);
	HASH_DEL(sites->stacks, node);
	free(node);
}

int lt_sites_add_stack(struct lt_sites *sites, const struct lt_event_stack *stack)
{
	size_t frames_size = stack->frame_count * sizeof(stack->frames[0]);
	struct stack_node *node, *before;

	HASH_FIND(hh, sites->stacks, &stack->stack_id, sizeof(stack->stack_id), before);
	if (!stack->frame_count || stack->frame_count > LT_MAX_FRAMES ||
	    (before && !improves(stack, before)))
		return 0;
	if (!before && HASH_COUNT(sites->stacks) >= LT_MAX_SITES)
		return -ENOSPC;
	node = calloc(1, sizeof(*node) + frames_size);
	if (!node)
		return -ENOMEM;
	node->stack_id = stack->stack_id;
	node->frame_count = stack->frame_count;
	node->end = stack->end;
	memcpy(node->frames, stack->frames, frames_size);
	HASH_ADD(hh, sites->stacks, stack_id, sizeof(node->stack_id), node);
	if (!node->hh.tbl) {
		free(node);
		return -ENOMEM;
	}
	sites->node_memory += malloc_usable_size(node);
	for (size_t i = 0; i < sizeof(kinds); i++) {
		struct site_key key = { .stack_id = stack->stack_id, .kind = kinds[i] };
		struct site_node *site;

		HASH_FIND(hh, sites->by_key, &key, sizeof(key), site);
		if (site)
			attach_stack(&site->site, node);
	}
	if (before)
		drop_stack(sites, before);
	return 0;
}

uint16_t lt_sites_stack(const struct lt_sites *sites, uint64_t stack_id, const uint64_t **frames)
{
	const struct stack_node *node;

	HASH_FIND(hh, sites->stacks, &stack_id, sizeof(stack_id), node);
	if (!node)
		return 0;
	*frames = node->frames;
	return node->frame_count;
}

size_t lt_sites_count(const struct lt_sites *sites)
{
	return sites->count;
}

struct lt_site *lt_sites_at(const struct lt_sites *sites, size_t index)
{
	return index < sites->count ? &sites->nodes[index]->site : NULL;
}

size_t lt_sites_memory(const struct lt_sites *sites)
{
	return sizeof(*sites) + sites->node_memory + sites->capacity * sizeof(sites->nodes[0]) +
	       HASH_OVERHEAD(hh, sites->by_key) + HASH_OVERHEAD(hh, sites->stacks);
}
