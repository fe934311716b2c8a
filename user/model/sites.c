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
	uint64_t stack_id, content;
	UT_hash_handle hh, hh_content;
	uint16_t frame_count, end;
	uint64_t frames[];
};

/*
 * An id for a stack that is known by another one: after code was replaced, every stack comes with a
 * new id (lt_code_epoch), and most of them are the same as before.
 */
struct alias_node {
	uint64_t stack_id, known_id;
	UT_hash_handle hh;
};

struct cache_slot {
	uint64_t stack_id;
	struct site_node *node;
};

struct lt_sites {
	struct site_node *by_key;
	struct stack_node *stacks, *by_content;
	struct alias_node *aliases; /* oldest first */
	struct cache_slot cache[CACHE_SLOTS];
	struct site_node **nodes; /* by index */
	size_t count, capacity;
	size_t node_memory;
};

static const uint8_t kinds[] = {
#define LT_KIND(symbol, value, name, unit) (value),
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
	struct alias_node *alias, *next_alias;

	if (!sites)
		return;
	HASH_ITER(hh, sites->aliases, alias, next_alias) {
		HASH_DEL(sites->aliases, alias);
		free(alias);
	}
	HASH_CLEAR(hh_content, sites->by_content);
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
	struct cache_slot *cached = &sites->cache[(stack_id ^ kind) % CACHE_SLOTS];
	struct site_node *node = cached->node;

	if (!node || cached->stack_id != stack_id || node->key.kind != kind) {
		struct site_key key = { .stack_id = stack_id, .kind = kind };
		struct alias_node *alias;

		HASH_FIND(hh, sites->aliases, &stack_id, sizeof(stack_id), alias);
		if (alias)
			key.stack_id = alias->known_id;
		HASH_FIND(hh, sites->by_key, &key, sizeof(key), node);
		if (!node) {
			int err = make_site(sites, &key, &node);

			if (err)
				return err;
		}
		*cached = (struct cache_slot){ stack_id, node };
	}
	*site = &node->site;
	return 0;
}

static uint64_t content_of(const struct lt_event_stack *stack)
{
	return lt_fnv1a(LT_FNV_SEED ^ stack->end, stack->frames,
			stack->frame_count * sizeof(stack->frames[0]));
}

static bool same_stack(const struct stack_node *node, const struct lt_event_stack *stack)
{
	return node->end == stack->end && node->frame_count == stack->frame_count &&
	       memcmp(node->frames, stack->frames, stack->frame_count * sizeof(stack->frames[0])) ==
		       0;
}

/* Gives the sites of a stack id its frames.  True: there is one. */
static bool attach_sites(struct lt_sites *sites, uint64_t stack_id, const struct stack_node *node)
{
	bool found = false;

	for (size_t i = 0; i < sizeof(kinds); i++) {
		struct site_key key = { .stack_id = stack_id, .kind = kinds[i] };
		struct site_node *site;

		HASH_FIND(hh, sites->by_key, &key, sizeof(key), site);
		if (site)
			attach_stack(&site->site, node);
		found |= site != NULL;
	}
	return found;
}

/* Ids of long ago come no more: the oldest make room. */
static int add_alias(struct lt_sites *sites, uint64_t stack_id, uint64_t known_id)
{
	struct alias_node *alias;

	HASH_FIND(hh, sites->aliases, &stack_id, sizeof(stack_id), alias);
	if (alias)
		return 0;
	if (HASH_COUNT(sites->aliases) >= LT_MAX_SITES) {
		alias = sites->aliases;
		HASH_DEL(sites->aliases, alias);
	} else {
		alias = calloc(1, sizeof(*alias));
		if (!alias)
			return -ENOMEM;
		sites->node_memory += malloc_usable_size(alias);
	}
	alias->stack_id = stack_id;
	alias->known_id = known_id;
	HASH_ADD(hh, sites->aliases, stack_id, sizeof(alias->stack_id), alias);
	if (!alias->hh.tbl) {
		free(alias);
		return -ENOMEM;
	}
	return 0;
}

static int add_node(struct lt_sites *sites, const struct lt_event_stack *stack, uint64_t content,
		    struct stack_node **result)
{
	size_t frames_size = stack->frame_count * sizeof(stack->frames[0]);
	struct stack_node *node;

	if (HASH_COUNT(sites->stacks) >= LT_MAX_SITES)
		return -ENOSPC;
	node = calloc(1, sizeof(*node) + frames_size);
	if (!node)
		return -ENOMEM;
	node->stack_id = stack->stack_id;
	node->content = content;
	node->frame_count = stack->frame_count;
	node->end = stack->end;
	memcpy(node->frames, stack->frames, frames_size);
	HASH_ADD(hh, sites->stacks, stack_id, sizeof(node->stack_id), node);
	if (!node->hh.tbl) {
		free(node);
		return -ENOMEM;
	}
	/* Without memory for this entry the stack is only not recognised under another id. */
	HASH_ADD(hh_content, sites->by_content, content, sizeof(node->content), node);
	sites->node_memory += malloc_usable_size(node);
	*result = node;
	return 0;
}

int lt_sites_add_stack(struct lt_sites *sites, const struct lt_event_stack *stack)
{
	struct stack_node *node, *known;
	uint64_t content;
	int err;

	HASH_FIND(hh, sites->stacks, &stack->stack_id, sizeof(stack->stack_id), node);
	if (node || !stack->frame_count || stack->frame_count > LT_MAX_FRAMES)
		return 0;
	content = content_of(stack);
	HASH_FIND(hh_content, sites->by_content, &content, sizeof(content), known);
	/* An id whose acquires came before its frames has a site of its own. */
	if (known && same_stack(known, stack) && !attach_sites(sites, stack->stack_id, known))
		return add_alias(sites, stack->stack_id, known->stack_id);
	if (known && same_stack(known, stack))
		return 0;
	err = add_node(sites, stack, content, &node);
	if (!err)
		attach_sites(sites, stack->stack_id, node);
	return err;
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
	       HASH_OVERHEAD(hh, sites->by_key) + HASH_OVERHEAD(hh, sites->stacks) +
	       HASH_OVERHEAD(hh_content, sites->by_content) + HASH_OVERHEAD(hh, sites->aliases);
}
