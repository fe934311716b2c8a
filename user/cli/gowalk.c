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

/* What the probe told of one. */
struct birth {
	uint64_t id, stack_id, born_ns;
	unsigned int walk; /* the latest that met it */
	bool told;         /* its acquire is out */
	bool ended;   /* so is its release; kept until the next walk, which may still know it */
	bool runtime; /* one of the runtime's own: no event tells of it */
	UT_hash_handle hh;
};

struct lt_gowalk {
	struct lt_go_walker *walker;
	struct known *known; /* by ascending id */
	size_t known_count;
	struct birth *births; /* by id */
	unsigned int number;  /* of the walk under way */
	bool draining;        /* what was read may be older than what is noted now */
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

static struct birth *add_birth(struct lt_gowalk *walk, uint64_t id)
{
	struct birth *birth = calloc(1, sizeof(*birth));

	if (!birth)
		return NULL;
	birth->id = id;
	HASH_ADD(hh, walk->births, id, sizeof(birth->id), birth);
	if (birth->hh.tbl)
		return birth;
	free(birth);
	return NULL;
}

static int note_made(struct lt_gowalk *walk, const struct lt_event *event)
{
	struct birth *birth = find_birth(walk, event->acquire.id);

	if (!birth)
		birth = add_birth(walk, event->acquire.id);
	if (!birth)
		return -ENOMEM;
	birth->stack_id = event->acquire.stack_id;
	birth->born_ns = event->time_ns;
	return 1;
}

static void make_acquire(const struct birth *birth, struct lt_event *acquire)
{
	acquire->type = LT_EVENT_ACQUIRE;
	acquire->time_ns = birth->born_ns;
	acquire->acquire = (struct lt_event_acquire){ birth->id, 1, birth->stack_id };
}

/* Those that nobody knew: iter.Pull makes some that the probe does not see. */
static int note_ended(struct lt_gowalk *walk, const struct lt_event *event, struct lt_event *made)
{
	struct birth *birth = find_birth(walk, event->release.id);
	bool known = is_known(walk, event->release.id), silent = birth && birth->runtime;

	if (!birth && !known)
		return 1;
	if (!birth)
		birth = add_birth(walk, event->release.id);
	if (!birth)
		return -ENOMEM;
	if (!birth->told && !known && !silent) {
		*made = *event;
		make_acquire(birth, made);
	}
	birth->ended = true;
	if (!known && !walk->draining) {
		HASH_DEL(walk->births, birth);
		free(birth);
	}
	return silent;
}

int lt_gowalk_note(struct lt_gowalk *walk, const struct lt_event *event, struct lt_event *made)
{
	if (event->type != LT_EVENT_ACQUIRE && event->type != LT_EVENT_RELEASE)
		return 0;
	/* Left in the rings by probes of which others could not be attached. */
	if (!walk->probed)
		return 1;
	return event->type == LT_EVENT_ACQUIRE ? note_made(walk, event)
					       : note_ended(walk, event, made);
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

static bool is_full(const struct lt_go_stack *stack)
{
	return stack->frame_count >= LT_MAX_FRAMES;
}

/*
 * Where one that is about to run stands is chance, as of one that was stopped anywhere or pays for its
 * allocations, and would make ever new sites: like one that runs it is known by what it began with.
 */
static bool stands_by_chance(const struct lt_goroutine *goroutine)
{
	return goroutine->mark == LT_MARK_RUNNABLE || goroutine->mark == LT_MARK_RUNNING ||
	       goroutine->mark == LT_MARK_PREEMPTED || goroutine->mark == LT_MARK_GC_ASSIST ||
	       goroutine->mark == LT_MARK_GC_ASSIST_WAIT;
}

/* Nor has one whose stack does not hold up. */
static bool has_place(const struct lt_goroutine *goroutine, const struct lt_go_stack *stack)
{
	return stack->frame_count && (!stack->cut || is_full(stack)) &&
	       !stands_by_chance(goroutine);
}

static void make_group(struct group *group, const struct lt_target *target,
		       const struct lt_goroutines *all, const struct lt_goroutine *goroutine,
		       const struct birth *birth)
{
	const struct lt_go_stack *stack = &all->stacks[goroutine->stack];

	group->count = 0;
	group->end = goroutine->cut && !stands_by_chance(goroutine) && !is_full(stack)
			     ? LT_STACK_MOVED
			     : LT_STACK_COMPLETE;
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
	struct lt_event event = lt_feed_event(target, type);

	event.kind = LT_KIND_GOROUTINE;
	return event;
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

/* born_ns: since when it lives, at least; 0: since now. */
static int tell_acquire(struct lt_session *session, const struct lt_target *target, uint64_t id,
			uint64_t stack_id, uint64_t born_ns)
{
	struct lt_event event = event_of(target, LT_EVENT_ACQUIRE);

	if (born_ns && born_ns < event.time_ns)
		event.time_ns = born_ns;
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
	struct birth *birth = walk->probed ? find_birth(walk, goroutine->id) : NULL;
	struct group group;
	int err;

	*now = (struct known){ goroutine->id, before ? before->stack_id : 0 };
	/* It moved while it was read: it is where it was, until it is seen again. */
	if (before && goroutine->cut && !stands_by_chance(goroutine) &&
	    !is_full(&all->stacks[goroutine->stack]))
		return 0;
	make_group(&group, target, all, goroutine, birth);
	if (now->stack_id == group.stack_id)
		return 0;
	now->stack_id = group.stack_id;
	err = tell_stack(session, target, &group);
	if (err)
		return err;
	if (before)
		return tell_move(session, target, goroutine->id, group.stack_id);
	if (birth)
		birth->told = true;
	return tell_acquire(session, target, goroutine->id, group.stack_id,
			    birth ? birth->born_ns : goroutine->waits_since_ns);
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

/* Made before the walk began, and never met: it has ended, and nothing else told of that. */
static int tell_unmet(const struct lt_gowalk *walk, struct lt_session *session,
		      const struct lt_target *target, uint64_t began_ns)
{
	int err = 0;

	for (struct birth *birth = walk->births; birth && !err; birth = birth->hh.next) {
		if (birth->ended || birth->walk == walk->number || birth->born_ns >= began_ns)
			continue;
		birth->ended = true;
		if (birth->runtime)
			continue;
		if (!birth->told)
			err = tell_acquire(session, target, birth->id, birth->stack_id,
					   birth->born_ns);
		if (!err)
			err = tell_release(session, target, birth->id);
	}
	return err;
}

/* False: it ended after it was read. */
static bool meet(const struct lt_gowalk *walk, const struct lt_goroutine *goroutine)
{
	struct birth *birth = walk->probed ? find_birth(walk, goroutine->id) : NULL;

	if (birth) {
		birth->walk = walk->number;
		birth->runtime = goroutine->runtime;
	}
	return !birth || !birth->ended;
}

/* What a walk is compared with, and what it leaves for the next. */
struct comparison {
	struct lt_gowalk *walk;
	struct lt_session *session;
	const struct lt_target *target;
	const struct lt_goroutines *all;
	const struct known *before, *end; /* of the walk before, not met yet; by ascending id */
	struct known *now;
	size_t count;
};

static bool has_ended(const struct lt_gowalk *walk, uint64_t id)
{
	const struct birth *birth = walk->probed ? find_birth(walk, id) : NULL;

	return birth && birth->ended;
}

/*
 * Those of the walk before with lesser ids are missing.  Where not all could be read they may be among
 * these, and stay for the next walk to say.
 */
static int pass(struct comparison *with, uint64_t id)
{
	int err = 0;

	for (; with->before < with->end && with->before->id < id && !err; with->before++)
		if (with->all->beyond && !has_ended(with->walk, with->before->id))
			with->now[with->count++] = *with->before;
		else
			err = tell_gone(with->walk, with->session, with->target, with->before->id);
	return err;
}

static int compare(struct comparison *with, struct lt_gowalk_result *result)
{
	for (size_t i = 0; i < with->all->count; i++) {
		const struct lt_goroutine *goroutine = &with->all->items[i];
		const struct known *same = NULL;
		int err = pass(with, goroutine->id);

		if (!err && with->before < with->end && with->before->id == goroutine->id)
			same = with->before++;
		if (!err && meet(with->walk, goroutine)) {
			result->goroutines += !goroutine->runtime;
			result->runtime_goroutines += goroutine->runtime;
			if (!goroutine->runtime)
				err = tell_goroutine(with->walk, with->session, with->target,
						     with->all, goroutine, same,
						     &with->now[with->count++]);
		}
		if (err)
			return err;
	}
	return pass(with, UINT64_MAX);
}

static int tell_walk(struct lt_gowalk *walk, struct lt_session *session,
		     const struct lt_target *target, const struct lt_goroutines *all,
		     uint64_t began_ns, struct lt_gowalk_result *result)
{
	struct comparison with = {
		.walk = walk,
		.session = session,
		.target = target,
		.all = all,
		.before = walk->known,
		.end = walk->known + walk->known_count,
		/* Those of the walk before may have to stay. */
		.now = calloc(all->count + walk->known_count + 1, sizeof(*with.now)),
	};
	int err;

	if (!with.now)
		return -ENOMEM;
	walk->number++;
	err = compare(&with, result);
	free(walk->known);
	walk->known = with.now;
	walk->known_count = with.count;
	if (!err && !all->beyond)
		err = tell_unmet(walk, session, target, began_ns);
	return err;
}

int lt_gowalk_take(struct lt_gowalk *walk, struct lt_session *session, struct lt_target *target,
		   struct lt_gowalk_result *result)
{
	const struct lt_goroutines *all;
	uint64_t began_ns = lt_feed_now();
	int err = lt_go_walk(walk->walker, &all);

	if (!err) {
		*result = (struct lt_gowalk_result){
			.walk_ns = lt_feed_now() - began_ns,
			.unread = all->unsettled + all->beyond,
		};
		/* What the probe told of until now stands before what was read. */
		walk->draining = true;
		err = walk->probed ? lt_feed_drain(session) : 0;
		walk->draining = false;
	}
	if (!err)
		err = tell_walk(walk, session, target, all, began_ns, result);
	forget_births(walk, false);
	return err;
}
