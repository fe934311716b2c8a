// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/gowalk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/* Of a stack's words these many are left to who made the goroutine, and who made that one. */
#define CREATION_WORDS 40

/* A goroutine that the model was told of. */
struct known {
	uint64_t id, stack_id;
};

/* What the probe told of one: with which stack it was made; once it has ended, until the next walk. */
struct birth {
	uint64_t id, stack_id;
	bool ended;
	bool runtime; /* one of the runtime's own, as a walk showed: no event tells of it any more */
	uint64_t born_ns;
	unsigned int walk; /* the latest that met it */
	UT_hash_handle hh;
};

struct lt_gowalk {
	struct lt_go_walker *walker;
	struct known *known; /* by ascending id */
	size_t known_count;
	struct birth *births; /* by id */
	unsigned int number;  /* of the walk under way */
	bool probed;
};

/* The words of a site's stack, and its id. */
struct group {
	uint64_t words[LT_MAX_FRAMES];
	uint16_t count, end;
	uint64_t stack_id; /* hash of the words so far, until all are there */
};

int lt_gowalk_new(struct lt_gowalk **result, struct lt_go_program *program, bool probed)
{
	struct lt_gowalk *walk = calloc(1, sizeof(*walk));
	int err;

	if (!walk)
		return -ENOMEM;
	walk->probed = probed;
	err = lt_go_walker_new(&walk->walker, program);
	if (err) {
		free(walk);
		return err;
	}
	*result = walk;
	return 0;
}

static void forget_births(struct lt_gowalk *walk, bool all)
{
	struct birth *birth, *next;

	HASH_ITER(hh, walk->births, birth, next) {
		if (!birth->ended && !all)
			continue;
		HASH_DEL(walk->births, birth);
		free(birth);
	}
}

void lt_gowalk_free(struct lt_gowalk *walk)
{
	if (!walk)
		return;
	forget_births(walk, true);
	lt_go_walker_free(walk->walker);
	free(walk->known);
	free(walk);
}

void lt_gowalk_reset(struct lt_gowalk *walk)
{
	lt_go_walker_reset(walk->walker);
}

static struct birth *find_birth(const struct lt_gowalk *walk, uint64_t id)
{
	struct birth *birth;

	HASH_FIND(hh, walk->births, &id, sizeof(id), birth);
	return birth;
}

static int compare_ids(const void *a, const void *b)
{
	const struct known *left = a, *right = b;

	return left->id < right->id ? -1 : left->id > right->id;
}

static bool is_known(const struct lt_gowalk *walk, uint64_t id)
{
	struct known wanted = { .id = id };

	return walk->known_count &&
	       bsearch(&wanted, walk->known, walk->known_count, sizeof(*walk->known), compare_ids);
}

int lt_gowalk_note(struct lt_gowalk *walk, const struct lt_event *event)
{
	bool made = event->type == LT_EVENT_ACQUIRE;
	uint64_t id = made ? event->acquire.id : event->release.id;
	struct birth *birth = find_birth(walk, id);
	bool drop = !made && (birth ? birth->runtime : !is_known(walk, id));

	if (!walk->probed || (!made && event->type != LT_EVENT_RELEASE))
		return 0;
	if (!birth) {
		birth = calloc(1, sizeof(*birth));
		if (!birth)
			return -ENOMEM;
		birth->id = id;
		HASH_ADD(hh, walk->births, id, sizeof(birth->id), birth);
		if (!birth->hh.tbl) {
			free(birth);
			return -ENOMEM;
		}
	}
	if (made) {
		birth->stack_id = event->acquire.stack_id;
		birth->born_ns = event->time_ns;
	}
	birth->ended = !made;
	return drop;
}

static void add_word(struct group *group, uint64_t word)
{
	if (group->count >= LT_MAX_FRAMES) {
		group->end = LT_STACK_LIMIT;
		return;
	}
	group->words[group->count++] = word;
	group->stack_id = lt_fnv1a(group->stack_id, &word, sizeof(word));
}

/* Who made it: as the probes saw it, else the one address that the runtime keeps. */
static void add_creation(struct group *group, const struct lt_target *target,
			 const struct birth *birth, const struct lt_goroutine *goroutine)
{
	const uint64_t *frames = NULL;
	uint16_t count = birth ? lt_pipeline_stack(target->pipeline, birth->stack_id, &frames) : 0;

	/* The first word is the mark STARTED. */
	for (uint16_t i = 1; i < count; i++)
		add_word(group, lt_address_plain(frames[i]));
	if (count <= 1 && goroutine->created_pc) {
		add_word(group, LT_MARK_CREATED);
		add_word(group, goroutine->created_pc);
	}
}

/*
 * Where one that is about to run stands is chance, and would make ever new sites: like one that runs
 * it is known by what it began with.
 */
static bool has_place(const struct lt_goroutine *goroutine, const struct lt_go_stack *stack)
{
	return stack->frame_count && goroutine->mark != LT_MARK_RUNNABLE &&
	       goroutine->mark != LT_MARK_RUNNING;
}

static void make_group(struct group *group, const struct lt_target *target,
		       const struct lt_goroutines *all, const struct lt_goroutine *goroutine,
		       const struct birth *birth)
{
	const struct lt_go_stack *stack = &all->stacks[goroutine->stack];

	group->count = 0;
	group->end = LT_STACK_COMPLETE;
	group->stack_id = LT_FNV_SEED;
	add_word(group, goroutine->mark);
	if (!has_place(goroutine, stack) && goroutine->start_pc)
		add_word(group, goroutine->start_pc + 1); /* as a return address */
	for (uint16_t i = 0; has_place(goroutine, stack) && i < stack->frame_count; i++) {
		if (group->count >= LT_MAX_FRAMES - CREATION_WORDS) {
			group->end = LT_STACK_LIMIT;
			break;
		}
		add_word(group, stack->frames[i]);
	}
	add_creation(group, target, birth, goroutine);
	group->stack_id = lt_mix64(group->stack_id);
}

static struct lt_event event_of(const struct lt_target *target, enum lt_event_type type)
{
	return (struct lt_event){
		.type = (uint8_t)type,
		.kind = LT_KIND_GOROUTINE,
		.tgid = target->number,
		.time_ns = lt_feed_now(),
	};
}

static int tell_stack(struct lt_session *session, const struct lt_target *target,
		      const struct group *group)
{
	struct lt_event event = event_of(target, LT_EVENT_STACK);
	const uint64_t *frames;

	if (lt_pipeline_stack(target->pipeline, group->stack_id, &frames))
		return 0;
	event.stack = (struct lt_event_stack){ group->stack_id, group->words, group->count,
					       group->end };
	return lt_feed_emit(session, &event);
}

static int tell_acquire(struct lt_session *session, const struct lt_target *target, uint64_t id,
			uint64_t stack_id)
{
	struct lt_event event = event_of(target, LT_EVENT_ACQUIRE);

	event.acquire = (struct lt_event_acquire){ id, 1, stack_id };
	return lt_feed_emit(session, &event);
}

static int tell_move(struct lt_session *session, const struct lt_target *target, uint64_t id,
		     uint64_t stack_id)
{
	struct lt_event event = event_of(target, LT_EVENT_MOVE);

	event.move = (struct lt_event_move){ id, stack_id };
	return lt_feed_emit(session, &event);
}

static int tell_release(struct lt_session *session, const struct lt_target *target, uint64_t id)
{
	struct lt_event event = event_of(target, LT_EVENT_RELEASE);

	event.release = (struct lt_event_release){ .id = id };
	return lt_feed_emit(session, &event);
}

/* One goroutine of a walk, and where it was at the one before, if it was there: *now is for the next. */
static int tell_goroutine(struct lt_gowalk *walk, struct lt_session *session,
			  const struct lt_target *target, const struct lt_goroutines *all,
			  const struct lt_goroutine *goroutine, const struct known *before,
			  struct known *now)
{
	const struct birth *birth = walk->probed ? find_birth(walk, goroutine->id) : NULL;
	uint64_t was = before ? before->stack_id : birth ? birth->stack_id : 0;
	struct group group;
	int err;

	*now = (struct known){ goroutine->id, was };
	/* It moved while it was read: it is where it was, until it is seen again. */
	if (goroutine->cut && was && goroutine->mark != LT_MARK_RUNNING)
		return 0;
	make_group(&group, target, all, goroutine, birth);
	now->stack_id = group.stack_id;
	if (was == group.stack_id)
		return 0;
	err = tell_stack(session, target, &group);
	if (err)
		return err;
	return was ? tell_move(session, target, goroutine->id, group.stack_id)
		   : tell_acquire(session, target, goroutine->id, group.stack_id);
}

/* It is in no walk any more; with the probe its end may have been told already. */
static int tell_gone(const struct lt_gowalk *walk, struct lt_session *session,
		     const struct lt_target *target, uint64_t id)
{
	struct birth *birth = walk->probed ? find_birth(walk, id) : NULL;

	if (birth && birth->ended)
		return 0;
	if (birth)
		birth->ended = true;
	return tell_release(session, target, id);
}

/* Made before the walk began, and not met: it has ended, and nothing else told of that. */
static int tell_unmet(const struct lt_gowalk *walk, struct lt_session *session,
		      const struct lt_target *target, uint64_t began_ns)
{
	int err = 0;

	for (struct birth *birth = walk->births; birth && !err; birth = birth->hh.next) {
		if (birth->ended || birth->walk == walk->number || birth->born_ns >= began_ns)
			continue;
		birth->ended = true;
		if (!birth->runtime)
			err = tell_release(session, target, birth->id);
	}
	return err;
}

/* False: it ended after it was read. */
static bool meet(const struct lt_gowalk *walk, uint64_t id)
{
	struct birth *birth = walk->probed ? find_birth(walk, id) : NULL;

	if (birth)
		birth->walk = walk->number;
	return !birth || !birth->ended;
}

/* A probe told of it before anybody knew that it is the runtime's. */
static int disown(const struct lt_gowalk *walk, struct lt_session *session,
		  const struct lt_target *target, uint64_t id)
{
	struct birth *birth = walk->probed ? find_birth(walk, id) : NULL;

	if (!birth || birth->ended || birth->runtime)
		return 0;
	birth->runtime = true;
	return tell_release(session, target, id);
}

/* Both are by ascending id. */
static int compare(struct lt_gowalk *walk, struct lt_session *session,
		   const struct lt_target *target, const struct lt_goroutines *all,
		   struct known *now, struct lt_gowalk_result *result)
{
	const struct known *before = walk->known, *end = walk->known + walk->known_count;
	size_t count = 0;
	int err = 0;

	for (size_t i = 0; i < all->count && !err; i++) {
		const struct lt_goroutine *goroutine = &all->items[i];
		const struct known *same = NULL;
		bool lives = meet(walk, goroutine->id);

		if (goroutine->runtime) {
			result->runtime_goroutines++;
			err = disown(walk, session, target, goroutine->id);
			continue;
		}
		while (before < end && before->id < goroutine->id && !err)
			err = tell_gone(walk, session, target, (before++)->id);
		if (before < end && before->id == goroutine->id)
			same = before++;
		if (!lives)
			continue;
		result->goroutines++;
		if (!err)
			err = tell_goroutine(walk, session, target, all, goroutine, same,
					     &now[count++]);
	}
	while (before < end && !err)
		err = tell_gone(walk, session, target, (before++)->id);
	free(walk->known);
	walk->known = now;
	walk->known_count = count;
	return err;
}

int lt_gowalk_take(struct lt_gowalk *walk, struct lt_session *session, struct lt_target *target,
		   struct lt_gowalk_result *result)
{
	const struct lt_goroutines *all;
	uint64_t began_ns = lt_feed_now();
	struct known *now;
	int err = lt_go_walk(walk->walker, &all);

	if (err)
		return err;
	*result = (struct lt_gowalk_result){ .walk_ns = lt_feed_now() - began_ns,
					     .unread = all->unsettled };
	/* What the probes told of until now stands before what was read. */
	err = walk->probed ? lt_feed_drain(session) : 0;
	if (err)
		return err;
	now = calloc(all->count + 1, sizeof(*now));
	if (!now)
		return -ENOMEM;
	walk->number++;
	err = compare(walk, session, target, all, now, result);
	if (!err)
		err = tell_unmet(walk, session, target, began_ns);
	forget_births(walk, false);
	return err;
}
