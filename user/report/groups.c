// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/groups.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define NS_PER_S   1e9
#define HIDDEN     UINT32_MAX
#define GOOD_SHARE 12 /* a group of one part in so many of its site is worth telling */
#define FIRST_ROOM 64

struct entry {
	uint32_t slot; /* position of its site among the shown */
	uint8_t kind;
	uint64_t born_ns, key, hash;
	const char *type, *name, *local, *state;
};

struct lt_groups {
	uint32_t *slots; /* of each site of the model; HIDDEN */
	size_t sites;
	uint64_t *oldest_ns; /* of each slot; UINT64_MAX: unknown */
	struct entry *entries;
	size_t count, room;
	int error;
};

/* What an entry has in common with others of its group. */
struct trait {
	const char *type, *relation;
	const char *text; /* so many bytes of it */
	size_t len;
	const char *extra; /* in parentheses behind it; "" nothing */
	uint64_t offset;   /* behind it if numeric: code without a name */
	bool numeric;
};

struct found {
	struct trait trait;
	const struct entry *first;
	size_t count;
};

int lt_groups_new(const struct lt_ranked *ranking, size_t shown, size_t sites,
		  struct lt_groups **groups)
{
	struct lt_groups *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	made->slots = malloc((sites + 1) * sizeof(*made->slots));
	made->oldest_ns = malloc((shown + 1) * sizeof(*made->oldest_ns));
	if (!made->slots || !made->oldest_ns) {
		lt_groups_free(made);
		return -ENOMEM;
	}
	made->sites = sites;
	for (size_t i = 0; i < sites; i++)
		made->slots[i] = HIDDEN;
	for (size_t i = 0; i < shown; i++) {
		made->slots[ranking[i].site->index] = (uint32_t)i;
		made->oldest_ns[i] = UINT64_MAX;
	}
	*groups = made;
	return 0;
}

void lt_groups_free(struct lt_groups *groups)
{
	if (!groups)
		return;
	free(groups->slots);
	free(groups->oldest_ns);
	free(groups->entries);
	free(groups);
}

static bool make_room(struct lt_groups *groups)
{
	size_t room = groups->room ? 2 * groups->room : FIRST_ROOM;
	struct entry *entries;

	if (groups->count < groups->room)
		return true;
	entries = reallocarray(groups->entries, room, sizeof(*entries));
	if (!entries)
		return false;
	groups->entries = entries;
	groups->room = room;
	return true;
}

void lt_groups_add(void *context, const struct lt_handle *handle)
{
	struct lt_groups *groups = context;
	uint32_t slot = handle->site < groups->sites ? groups->slots[handle->site] : HIDDEN;

	if (slot == HIDDEN)
		return;
	if (handle->born_ns && handle->born_ns < groups->oldest_ns[slot])
		groups->oldest_ns[slot] = handle->born_ns;
	/* What goroutines have in common is their site. */
	if (lt_kind_listing(handle->kind) == LT_LISTING_GOROUTINES ||
	    groups->count >= LT_GROUPS_MAX)
		return;
	if (!make_room(groups)) {
		groups->error = -ENOMEM;
		return;
	}
	groups->entries[groups->count++] = (struct entry){
		.slot = slot,
		.kind = handle->kind,
		.born_ns = handle->born_ns,
		.key = handle->key,
		.type = handle->type,
		.name = handle->name,
		.local = handle->local,
		.state = handle->state,
	};
}

static struct trait nothing_more(const struct lt_report_input *input, const struct entry *entry)
{
	const char *type = entry->type;

	for (size_t i = 0; i < LT_KINDS && !type[0]; i++) /* nobody told */
		if (lt_kind_infos[i].value == entry->kind)
			type = lt_kind_infos[i].name;
	return (struct trait){ .type = type, .relation = "", .text = "", .extra = "" };
}

static struct trait with(const struct lt_report_input *input, const struct entry *entry,
			 const char *relation, const char *text, size_t len)
{
	struct trait trait = nothing_more(input, entry);

	trait.relation = len ? relation : "";
	trait.text = text;
	trait.len = len;
	return trait;
}

static struct trait local_end(const struct lt_report_input *input, const struct entry *entry)
{
	return with(input, entry, "at", entry->local, strlen(entry->local));
}

static struct trait remote_end(const struct lt_report_input *input, const struct entry *entry)
{
	return entry->name[0] ? with(input, entry, "to", entry->name, strlen(entry->name))
			      : local_end(input, entry);
}

/* A descriptor may be the copy of a socket's, and then has a local end. */
static struct trait path(const struct lt_report_input *input, const struct entry *entry)
{
	return entry->local[0] ? remote_end(input, entry)
			       : with(input, entry, "", entry->name, strlen(entry->name));
}

static struct trait folder(const struct lt_report_input *input, const struct entry *entry)
{
	const char *slash = strrchr(entry->name, '/');
	size_t len = slash == entry->name ? 1 : slash ? (size_t)(slash - entry->name) : 0;

	if (entry->local[0])
		return local_end(input, entry);
	return with(input, entry, "in", entry->name, entry->name[0] == '/' ? len : 0);
}

static struct trait start(const struct lt_report_input *input, const struct entry *entry)
{
	const struct lt_module *module = lt_symbol_store_module(input->symbols, entry->key);
	const struct lt_source_frame *frames;
	struct trait trait;
	uint32_t count;

	if (!entry->key)
		return nothing_more(input, entry);
	if (!lt_symbol_store_symbol(input->symbols, entry->key, &frames, &count) && count &&
	    frames[count - 1].function[0])
		return with(input, entry, "running", frames[count - 1].function,
			    strlen(frames[count - 1].function));
	trait = with(input, entry, "", "", 0);
	trait.relation = "running";
	trait.numeric = true;
	trait.offset = lt_address_plain(entry->key);
	if (module) {
		const char *slash = strrchr(module->path, '/');

		trait.text = slash ? slash + 1 : module->path;
		trait.len = strlen(trait.text);
		trait.offset = entry->key - module->start + module->file_offset;
	}
	return trait;
}

/* Until it gets another, a thread has the name of the one that made it: the process's, mostly. */
static struct trait start_and_name(const struct lt_report_input *input, const struct entry *entry)
{
	struct trait trait = start(input, entry);

	if (input->target && !strcmp(entry->name, input->target->comm))
		return trait;
	if (!entry->key)
		return with(input, entry, "", entry->name, strlen(entry->name));
	trait.extra = entry->name;
	return trait;
}

typedef struct trait (*aspect)(const struct lt_report_input *input, const struct entry *entry);

enum { ASPECTS = 3 };

/* What may be common to the resources of a kind, what tells most first. */
static const aspect aspects[LT_KIND_COUNT][ASPECTS] = {
	[LT_KIND_SOCKET] = { remote_end, local_end, nothing_more },
	[LT_KIND_FD] = { path, folder, nothing_more },
	[LT_KIND_THREAD] = { start_and_name, start, nothing_more },
};

static struct trait trait_of(const struct lt_report_input *input, const struct entry *entry,
			     size_t level)
{
	aspect of_kind = entry->kind < LT_KIND_COUNT ? aspects[entry->kind][level] : NULL;

	return of_kind ? of_kind(input, entry) : nothing_more(input, entry);
}

static uint64_t hash_text(uint64_t seed, const char *text, size_t len)
{
	return lt_mix64(lt_fnv1a(seed, text, len) ^ len);
}

static uint64_t hash_of(const struct trait *trait)
{
	uint64_t hash = hash_text(LT_FNV_SEED, trait->type, strlen(trait->type));

	hash = hash_text(hash, trait->relation, strlen(trait->relation));
	hash = hash_text(hash, trait->text, trait->len);
	hash = hash_text(hash, trait->extra, strlen(trait->extra));
	return trait->numeric ? lt_mix64(hash ^ trait->offset) : hash;
}

static int compare_slots(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;

	return (a->slot > b->slot) - (a->slot < b->slot);
}

static int compare_hashes(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;

	return (a->hash > b->hash) - (a->hash < b->hash);
}

static size_t run_length(const struct entry *entries, size_t count)
{
	size_t length = 1;

	while (length < count && entries[length].hash == entries[0].hash)
		length++;
	return length;
}

/* Puts the entries of a group side by side; returns how many groups there are. */
static size_t sort_by(const struct lt_report_input *input, struct entry *entries, size_t count,
		      size_t level)
{
	size_t groups = 0;

	for (size_t i = 0; i < count; i++) {
		struct trait trait = trait_of(input, &entries[i], level);

		entries[i].hash = hash_of(&trait);
	}
	qsort(entries, count, sizeof(*entries), compare_hashes);
	for (size_t i = 0; i < count; i += run_length(entries + i, count - i))
		groups++;
	return groups;
}

static int compare_texts(const char *a, size_t len_a, const char *b, size_t len_b)
{
	int order = memcmp(a, b, len_a < len_b ? len_a : len_b);

	return order ? order : (len_a > len_b) - (len_a < len_b);
}

/* More first; then by what is written. */
static int compare_found(const struct found *a, const struct found *b)
{
	int order = (a->count < b->count) - (a->count > b->count);

	if (!order)
		order = strcmp(a->trait.type, b->trait.type);
	if (!order)
		order = strcmp(a->trait.relation, b->trait.relation);
	if (!order)
		order = compare_texts(a->trait.text, a->trait.len, b->trait.text, b->trait.len);
	if (!order)
		order = strcmp(a->trait.extra, b->trait.extra);
	return order ? order
		     : (a->trait.offset > b->trait.offset) - (a->trait.offset < b->trait.offset);
}

/* The largest groups, in order. */
struct largest {
	struct found found[LT_GROUPS_SHOWN];
	size_t count;
};

static void consider(struct largest *largest, const struct found *one)
{
	size_t at = largest->count;

	for (; at > 0 && compare_found(one, &largest->found[at - 1]) < 0; at--)
		if (at < LT_GROUPS_SHOWN)
			largest->found[at] = largest->found[at - 1];
	if (at < LT_GROUPS_SHOWN)
		largest->found[at] = *one;
	if (largest->count < LT_GROUPS_SHOWN)
		largest->count++;
}

/* Moves so many entries to an earlier place; what was there comes behind them, in any order. */
static void move_forward(struct entry *to, struct entry *from, size_t count)
{
	for (size_t i = 0; to != from && i < count; i++) {
		struct entry moved = from[i];

		from[i] = to[i];
		to[i] = moved;
	}
}

/* The next level says just the same of it, and may of more entries. */
static bool comes_again(const struct lt_report_input *input, const struct entry *entry,
			size_t level)
{
	struct trait next = trait_of(input, entry, level + 1);

	return hash_of(&next) == entry->hash;
}

/*
 * Finds the groups that are worth telling by what these entries have in common at this level: those
 * with a good share of the site, or all if they are few, or if no other level comes.  Puts their
 * entries to the front; returns how many these are.
 */
static size_t take_groups(const struct lt_report_input *input, struct entry *entries, size_t count,
			  size_t of_site, size_t level, struct largest *largest)
{
	size_t groups = sort_by(input, entries, count, level), taken = 0, run;
	bool all = level + 1 == ASPECTS || groups + largest->count <= LT_GROUPS_SHOWN;

	for (size_t i = 0; i < count; i += run) {
		run = run_length(entries + i, count - i);
		if (!all && (run == 1 || run < (of_site + GOOD_SHARE - 1) / GOOD_SHARE ||
			     comes_again(input, &entries[i], level)))
			continue;
		move_forward(entries + taken, entries + i, run);
		consider(largest, &(struct found){ trait_of(input, &entries[taken], level),
						   &entries[taken], run });
		taken += run;
	}
	return taken;
}

static int compare_states(const void *left, const void *right)
{
	const struct lt_report_state *a = left, *b = right;
	int order = (a->count < b->count) - (a->count > b->count);

	return order ? order : strcmp(a->name, b->name);
}

static int fill_states(const struct found *found, struct lt_arena *arena,
		       struct lt_report_group *group)
{
	struct lt_report_state states[LT_GROUPS_STATES], *kept;
	size_t count = 0, at;

	for (size_t i = 0; i < found->count; i++) {
		const char *state = found->first[i].state;

		for (at = 0; at < count && strcmp(states[at].name, state) != 0; at++)
			;
		if (!state[0] || at == LT_GROUPS_STATES)
			continue;
		if (at == count)
			states[count++] = (struct lt_report_state){ state, 0 };
		states[at].count++;
	}
	if (!count)
		return 0;
	qsort(states, count, sizeof(*states), compare_states);
	kept = lt_arena_alloc(arena, count, sizeof(*kept));
	if (!kept)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		kept[i] = states[i];
		kept[i].name = lt_arena_strdup(arena, states[i].name);
		if (!kept[i].name)
			return -ENOMEM;
	}
	group->states = kept;
	group->state_count = count;
	return 0;
}

static const char *compose(const struct trait *trait, struct lt_arena *arena)
{
	size_t size = trait->len + strlen(trait->extra) + sizeof("+0x0123456789abcdef ()");
	char *text = lt_arena_alloc(arena, size, 1);
	char offset[sizeof("+0x0123456789abcdef")] = "";

	if (!text)
		return NULL;
	if (trait->numeric)
		snprintf(offset, sizeof(offset), "%s0x%" PRIx64, trait->len ? "+" : "",
			 trait->offset);
	snprintf(text, size, "%.*s%s%s%s%s", (int)trait->len, trait->text, offset,
		 trait->extra[0] ? " (" : "", trait->extra, trait->extra[0] ? ")" : "");
	return text;
}

static double age_s(const struct lt_report_input *input, uint64_t born_ns)
{
	if (born_ns == UINT64_MAX)
		return NAN;
	return born_ns < input->time_ns ? (double)(input->time_ns - born_ns) / NS_PER_S : 0;
}

static int fill_group(const struct lt_report_input *input, const struct found *found,
		      struct lt_arena *arena, struct lt_report_group *group)
{
	uint64_t oldest_ns = UINT64_MAX;

	for (size_t i = 0; i < found->count; i++)
		if (found->first[i].born_ns && found->first[i].born_ns < oldest_ns)
			oldest_ns = found->first[i].born_ns;
	group->type = lt_arena_strdup(arena, found->trait.type);
	group->relation = found->trait.relation; /* static */
	group->what = compose(&found->trait, arena);
	group->count = found->count;
	group->oldest_age_s = age_s(input, oldest_ns);
	if (!group->type || !group->what)
		return -ENOMEM;
	return fill_states(found, arena, group);
}

static int fill_site(const struct lt_report_input *input, struct entry *entries, size_t count,
		     struct lt_arena *arena, struct lt_report_site *site)
{
	struct largest largest = { .count = 0 };
	struct lt_report_group *groups;
	size_t taken = 0;

	for (size_t level = 0; level < ASPECTS; level++)
		taken += take_groups(input, entries + taken, count - taken, count, level, &largest);
	groups = lt_arena_alloc(arena, largest.count, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	site->groups = groups;
	site->group_count = largest.count;
	site->group_rest = site->live_count;
	for (size_t i = 0; i < largest.count; i++) {
		const struct found *found = &largest.found[i];
		int err = fill_group(input, found, arena, &groups[i]);

		if (err)
			return err;
		site->group_rest -= found->count < site->group_rest ? found->count
								    : site->group_rest;
	}
	return 0;
}

int lt_groups_fill(struct lt_groups *groups, const struct lt_report_input *input,
		   struct lt_arena *arena, struct lt_report_site *sites)
{
	struct entry *entries = groups->entries;
	int err = groups->error;
	size_t of_site;

	if (!groups->count)
		return err;
	qsort(entries, groups->count, sizeof(*entries), compare_slots);
	for (size_t i = 0; i < groups->count && !err; i += of_site) {
		uint32_t slot = entries[i].slot;

		of_site = 1;
		while (i + of_site < groups->count && entries[i + of_site].slot == slot)
			of_site++;
		err = fill_site(input, entries + i, of_site, arena, &sites[slot]);
		if (groups->oldest_ns[slot] != UINT64_MAX)
			sites[slot].oldest_age_s = age_s(input, groups->oldest_ns[slot]);
	}
	return err;
}

int lt_groups_wanted(const struct lt_groups *groups, const struct lt_report_input *input,
		     int (*want)(void *context, uint64_t pc), void *context)
{
	const struct lt_source_frame *frames;
	uint32_t count;
	uint64_t last = 0;
	int err = groups->error;

	for (size_t i = 0; i < groups->count && !err; i++) {
		uint64_t key = groups->entries[i].key;

		if (!key || key == last)
			continue;
		last = key;
		if (lt_symbol_store_symbol(input->symbols, key, &frames, &count) == -ENOENT)
			err = want(context, key);
	}
	return err;
}
