// SPDX-License-Identifier: GPL-2.0-or-later
#include "symbol/store.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/* A failed insertion leaves hh.tbl NULL instead of ending the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct name { /* each text is kept once: the same few thousand stand behind all frames */
	UT_hash_handle hh;
	char text[];
};

struct symbol {
	uint64_t pc;
	UT_hash_handle hh;
	uint32_t frame_count;
	struct lt_source_frame frames[];
};

struct lt_symbol_store {
	struct lt_module *modules; /* ascending, without overlap */
	size_t module_count, module_capacity;
	size_t added; /* accepted by add_module: what LT_MAX_MODULES bounds */
	struct name *names;
	struct symbol *symbols;
	unsigned int holders;
};

int lt_symbol_store_new(struct lt_symbol_store **store)
{
	struct lt_symbol_store *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	made->holders = 1;
	*store = made;
	return 0;
}

struct lt_symbol_store *lt_symbol_store_hold(struct lt_symbol_store *store)
{
	store->holders++;
	return store;
}

void lt_symbol_store_free(struct lt_symbol_store *store)
{
	struct symbol *symbol, *next_symbol;
	struct name *name, *next_name;

	if (!store || --store->holders)
		return;
	HASH_ITER(hh, store->symbols, symbol, next_symbol) {
		HASH_DEL(store->symbols, symbol);
		free(symbol);
	}
	HASH_ITER(hh, store->names, name, next_name) {
		HASH_DEL(store->names, name);
		free(name);
	}
	free(store->modules);
	free(store);
}

static int intern(struct lt_symbol_store *store, const char *text, const char **kept)
{
	size_t len = strnlen(text, LT_MAX_NAME);
	struct name *name;

	HASH_FIND(hh, store->names, text, len, name);
	if (!name) {
		name = calloc(1, sizeof(*name) + len + 1);
		if (!name)
			return -ENOMEM;
		memcpy(name->text, text, len);
		HASH_ADD_KEYPTR(hh, store->names, name->text, len, name);
		if (!name->hh.tbl) {
			free(name);
			return -ENOMEM;
		}
	}
	*kept = name->text;
	return 0;
}

/* Index of the first module that ends above the address. */
static size_t find_module(const struct lt_symbol_store *store, uint64_t address)
{
	size_t low = 0, high = store->module_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (store->modules[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct lt_module *module_at(const struct lt_symbol_store *store, uint64_t address)
{
	size_t index = find_module(store, address);

	if (index == store->module_count || store->modules[index].start > address)
		return NULL;
	return &store->modules[index];
}

/* "", or a name that the process gave its memory by prctl(PR_SET_VMA_ANON_NAME): "[anon:v8]". */
static bool is_anonymous(const struct lt_module *module)
{
	static const char prefix[] = "[anon";

	return !module->path[0] || !strncmp(module->path, prefix, sizeof(prefix) - 1);
}

const struct lt_module *lt_symbol_store_module(const struct lt_symbol_store *store,
					       uint64_t address)
{
	const struct lt_module *module = module_at(store, address);

	return module && !is_anonymous(module) ? module : NULL;
}

static bool same_module(const struct lt_module *a, const struct lt_module *b)
{
	return a->start == b->start && a->end == b->end && a->file_offset == b->file_offset &&
	       a->path == b->path && a->build_id_len == b->build_id_len &&
	       !memcmp(a->build_id, b->build_id, a->build_id_len);
}

static int reserve_modules(struct lt_symbol_store *store, size_t more)
{
	size_t capacity = store->module_capacity ? store->module_capacity : 32;
	struct lt_module *modules;

	while (capacity < store->module_count + more)
		capacity *= 2; /* bounded: an addition makes two entries at most */
	if (capacity == store->module_capacity)
		return 0;
	modules = realloc(store->modules, capacity * sizeof(*modules));
	if (!modules)
		return -ENOMEM;
	store->modules = modules;
	store->module_capacity = capacity;
	return 0;
}

/* What is left of an overlapped module: its head below start, its tail from end on. */
static size_t remains(const struct lt_module *old, uint64_t start, uint64_t end,
		      struct lt_module parts[2])
{
	size_t count = 0;

	if (old->start < start) {
		parts[count] = *old;
		parts[count++].end = start;
	}
	if (old->end > end) {
		parts[count] = *old;
		parts[count].file_offset += end - old->start;
		parts[count++].start = end;
	}
	return count;
}

/* Room for two more entries was reserved: one module can at most be split in three. */
static void insert_module(struct lt_symbol_store *store, const struct lt_module *module)
{
	size_t first = find_module(store, module->start), last = first, count = 0;
	struct lt_module parts[5];
	size_t made;

	for (; last < store->module_count && store->modules[last].start < module->end; last++) {
		made = remains(&store->modules[last], module->start, module->end, &parts[count]);
		/* Only the first can leave a head, only the last a tail. */
		count += made;
	}
	parts[count++] = *module;
	/* In order: head, module, tail. */
	for (size_t i = count - 1; i > 0 && parts[i - 1].start > parts[i].start; i--) {
		struct lt_module swap = parts[i - 1];

		parts[i - 1] = parts[i];
		parts[i] = swap;
	}
	memmove(&store->modules[first + count], &store->modules[last],
		(store->module_count - last) * sizeof(*store->modules));
	memcpy(&store->modules[first], parts, count * sizeof(*parts));
	store->module_count += count - (last - first);
}

/*
 * What was looked up in this range was another library's (dlclose, then dlopen at the same
 * address), or looked up before its module was known.
 */
static void drop_symbols(struct lt_symbol_store *store, uint64_t start, uint64_t end)
{
	struct symbol *symbol, *next;

	HASH_ITER(hh, store->symbols, symbol, next) {
		if (symbol->pc < start || symbol->pc >= end)
			continue;
		HASH_DEL(store->symbols, symbol);
		free(symbol);
	}
}

int lt_symbol_store_add_module(struct lt_symbol_store *store, const struct lt_event_module *module)
{
	struct lt_module made = { .start = module->start,
				  .end = module->end,
				  .file_offset = module->file_offset,
				  .build_id_len = module->build_id_len };
	const struct lt_module *known;
	int err;

	if (module->start >= module->end || module->build_id_len > LT_MAX_BUILD_ID)
		return -EINVAL;
	err = intern(store, module->path, &made.path);
	if (err)
		return err;
	if (module->build_id_len)
		memcpy(made.build_id, module->build_id, module->build_id_len);
	known = module_at(store, made.start);
	if (known && same_module(known, &made))
		return 0; /* told again, by a rescan */
	if (store->added >= LT_MAX_MODULES)
		return -E2BIG;
	err = reserve_modules(store, 2);
	if (err)
		return err;
	insert_module(store, &made);
	drop_symbols(store, made.start, made.end);
	store->added++;
	return 0;
}

int lt_symbol_store_add_symbol(struct lt_symbol_store *store, const struct lt_event_symbol *symbol)
{
	uint32_t count = symbol->frame_count < LT_MAX_INLINE_DEPTH ? symbol->frame_count
								   : LT_MAX_INLINE_DEPTH;
	struct symbol *made = calloc(1, sizeof(*made) + count * sizeof(made->frames[0])), *old;
	int err = made ? 0 : -ENOMEM;

	if (err)
		return err;
	made->pc = symbol->pc;
	made->frame_count = count;
	for (uint32_t i = 0; i < count && !err; i++) {
		made->frames[i] = symbol->frames[i];
		err = intern(store, symbol->frames[i].function, &made->frames[i].function);
		if (!err)
			err = intern(store, symbol->frames[i].file, &made->frames[i].file);
	}
	if (!err) {
		HASH_FIND(hh, store->symbols, &made->pc, sizeof(made->pc), old);
		HASH_ADD(hh, store->symbols, pc, sizeof(made->pc), made);
		if (!made->hh.tbl)
			err = -ENOMEM;
	}
	if (err) {
		free(made);
		return err;
	}
	if (old) {
		HASH_DEL(store->symbols, old);
		free(old);
	}
	return 0;
}

int lt_symbol_store_symbol(const struct lt_symbol_store *store, uint64_t pc,
			   const struct lt_source_frame **frames, uint32_t *count)
{
	const struct symbol *symbol;

	HASH_FIND(hh, store->symbols, &pc, sizeof(pc), symbol);
	if (!symbol)
		return -ENOENT;
	*frames = symbol->frames;
	*count = symbol->frame_count;
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

uint64_t lt_symbol_store_stable_id(const struct lt_symbol_store *store, const uint64_t *frames,
				   size_t count)
{
	uint64_t hash = LT_FNV_SEED;

	for (size_t i = 0; i < count; i++) {
		uint64_t value = lt_symbol_lookup_pc(frames[i]);
		const struct lt_module *module = lt_symbol_store_module(store, value);

		if (module) {
			const char *name = base_name(module->path);

			value = value - module->start + module->file_offset;
			hash = module->build_id_len
				       ? lt_fnv1a(hash, module->build_id, module->build_id_len)
				       : lt_fnv1a(hash, name, strlen(name));
		}
		value = lt_address_plain(value);
		hash = lt_fnv1a(hash, &value, sizeof(value));
	}
	return lt_mix64(hash);
}
