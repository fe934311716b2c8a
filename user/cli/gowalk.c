// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/gowalk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "bpf/gobirths.h"

/* Of a stack's words these many are left to who made the goroutine, and who made that one. */
#define CREATION_WORDS 40

/* A goroutine that a walk met. */
struct known {
	uint64_t id;
	uint64_t stack_id; /* of its site; 0: of none, it is the runtime's own */
	uint64_t made;     /* the stack that it was made in, as the probe saw it; 0: not known */
	bool again;        /* not known yet: it may have been met just before the probe noted it */
};

/* Of the goroutines that were made in one stack. */
struct creations {
	uint64_t stack_id;
	uint64_t made;   /* by the probe's count, before the walk under way */
	uint64_t met;    /* by walks */
	uint64_t passed; /* that were told to have come and gone */
	UT_hash_handle hh;
};

struct lt_gowalk {
	struct lt_go_walker *walker;
	const struct lt_gobirths *births; /* NULL: no probe */
	struct known *known;              /* by ascending id */
	size_t known_count;
	struct creations *creations; /* by stack_id */
};

/* The words of a site's stack, and its id. */
struct group {
	uint64_t words[LT_MAX_FRAMES];
	uint16_t count, end;
	uint64_t stack_id; /* hash of the words so far, until all are there */
};

int lt_gowalk_new(struct lt_gowalk **result, struct lt_go_program *program,
		  const struct lt_gobirths *births)
{
	struct lt_gowalk *walk = calloc(1, sizeof(*walk));
	int err;

	if (!walk)
		return -ENOMEM;
	walk->births = births;
	err = lt_go_walker_new(&walk->walker, program);
	if (err) {
		free(walk);
		return err;
	}
	*result = walk;
	return 0;
}

void lt_gowalk_free(struct lt_gowalk *walk)
{
	struct creations *creations, *next;

	if (!walk)
		return;
	HASH_ITER(hh, walk->creations, creations, next) {
		HASH_DEL(walk->creations, creations);
		free(creations);
	}
	lt_go_walker_free(walk->walker);
	free(walk->known);
	free(walk);
}

void lt_gowalk_reset(struct lt_gowalk *walk)
{
	lt_go_walker_reset(walk->walker);
}

/* Found or made; NULL: no memory. */
static struct creations *creations_of(struct lt_gowalk *walk, uint64_t stack_id)
{
	struct creations *creations;

	HASH_FIND(hh, walk->creations, &stack_id, sizeof(stack_id), creations);
	if (creations)
		return creations;
	creations = calloc(1, sizeof(*creations));
	if (!creations)
		return NULL;
	creations->stack_id = stack_id;
	HASH_ADD(hh, walk->creations, stack_id, sizeof(creations->stack_id), creations);
	if (creations->hh.tbl)
		return creations;
	free(creations);
	return NULL;
}

static int add_made(void *context, uint64_t stack_id, uint64_t count)
{
	struct creations *creations = creations_of(context, stack_id);

	if (!creations)
		return -ENOMEM;
	creations->made += count;
	return 0;
}

static int count_made(struct lt_gowalk *walk, const struct lt_target *target)
{
	for (struct creations *of = walk->creations; of; of = of->hh.next)
		of->made = 0;
	return walk->births ? lt_gobirths_each_made(walk->births, target->number, add_made, walk)
			    : 0;
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

/* Who made it: as the probe saw it, else the one address that the runtime keeps. */
static void add_creation(struct group *group, const struct lt_target *target, uint64_t made,
			 const struct lt_goroutine *goroutine)
{
	const uint64_t *frames = NULL;
	uint16_t count = made ? lt_pipeline_stack(target->pipeline, made, &frames) : 0;

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
		       uint64_t made)
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
	add_creation(group, target, made, goroutine);
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

static int tell_passed(struct lt_session *session, const struct lt_target *target,
		       uint64_t stack_id, uint64_t count)
{
	struct lt_event event = event_of(target, LT_EVENT_PASSED);

	event.passed = (struct lt_event_passed){ stack_id, count };
	return lt_feed_emit(session, &event);
}

/* What a walk is compared with, and what it leaves for the next. */
struct comparison {
	struct lt_gowalk *walk;
	struct lt_session *session;
	const struct lt_target *target;
	const struct lt_goroutines *all;
	uint64_t look;                    /* its number */
	const struct known *before, *end; /* of the walk before, not met yet; by ascending id */
	struct known *now;
	size_t count;
};

/*
 * Who made it, if the probe saw that.  0: its place was given to a new one since the walk began: that may be this
 * one, or it has ended; the next walk will know.  1; or -errno.
 */
static int learn(const struct comparison *with, const struct lt_goroutine *goroutine,
		 struct known *now)
{
	struct creations *creations;
	struct lt_go_birth birth;

	if (!lt_gobirths_find(with->walk->births, with->target->number, goroutine->g, &birth))
		return 1;
	if (birth.look >= with->look)
		return 0;
	if (birth.gopc != goroutine->created_pc)
		return 1; /* the one before it: it was made where there is no probe (iter.Pull) */
	creations = creations_of(with->walk, birth.stack_id);
	if (!creations)
		return -ENOMEM;
	creations->met++;
	now->made = birth.stack_id;
	now->again = false;
	return 1;
}

/* One goroutine of a walk, and what was known of it at the one before, if it was there. */
static int tell_goroutine(struct comparison *with, const struct lt_goroutine *goroutine,
			  const struct known *before, struct known *now)
{
	struct group group;
	int err;

	/* It moved while it was read: it is where it was, until it is seen again. */
	if (before && goroutine->cut && !stands_by_chance(goroutine) &&
	    !is_full(&with->all->stacks[goroutine->stack]))
		return 0;
	make_group(&group, with->target, with->all, goroutine, now->made);
	if (now->stack_id == group.stack_id)
		return 0;
	now->stack_id = group.stack_id;
	err = tell_stack(with->session, with->target, &group);
	if (err)
		return err;
	if (before)
		return tell_move(with->session, with->target, goroutine->id, group.stack_id);
	return tell_acquire(with->session, with->target, goroutine->id, group.stack_id,
			    goroutine->waits_since_ns);
}

static int tell_gone(const struct comparison *with, const struct known *known)
{
	return known->stack_id ? tell_release(with->session, with->target, known->id) : 0;
}

/* Here it is, and there it was before, if it was: *now is for the next walk, unless it has ended. */
static int meet(struct comparison *with, const struct lt_goroutine *goroutine,
		const struct known *before, struct lt_gowalk_result *result)
{
	struct known now = before ? *before
				  : (struct known){ .id = goroutine->id,
						    .again = with->walk->births };
	bool last = before && before->again;
	int lives = now.again ? learn(with, goroutine, &now) : 1;
	int err;

	if (lives <= 0)
		return lives < 0 || !before ? lives : tell_gone(with, before);
	if (last)
		now.again = false;
	result->goroutines += !goroutine->runtime;
	result->runtime_goroutines += goroutine->runtime;
	err = goroutine->runtime ? 0 : tell_goroutine(with, goroutine, before, &now);
	with->now[with->count++] = now;
	return err;
}

/*
 * Those of the walk before with lesser ids are missing.  Where not all could be read they may be among
 * these, and stay for the next walk to say.
 */
static int pass(struct comparison *with, uint64_t id)
{
	int err = 0;

	for (; with->before < with->end && with->before->id < id && !err; with->before++)
		if (with->all->beyond)
			with->now[with->count++] = *with->before;
		else
			err = tell_gone(with, with->before);
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
		if (!err)
			err = meet(with, goroutine, same, result);
		if (err)
			return err;
	}
	return pass(with, UINT64_MAX);
}

/*
 * Made before the walk began, and met by none: they came and went, but for so many that could not be read.  met
 * may be ahead of made by those that were made since; then the next walk tells the rest.
 */
static int tell_unmet(struct lt_gowalk *walk, struct lt_session *session,
		      const struct lt_target *target, size_t unread)
{
	int err = 0;

	for (struct creations *of = walk->creations; of && !err; of = of->hh.next) {
		uint64_t known = of->met + of->passed;
		uint64_t unmet = of->made > known ? of->made - known : 0;
		uint64_t kept = unmet < unread ? unmet : unread;

		unread -= kept;
		if (unmet > kept)
			err = tell_passed(session, target, of->stack_id, unmet - kept);
		of->passed += unmet - kept;
	}
	return err;
}

static int tell_walk(struct lt_gowalk *walk, struct lt_session *session,
		     const struct lt_target *target, const struct lt_goroutines *all, uint64_t look,
		     struct lt_gowalk_result *result)
{
	struct comparison with = {
		.walk = walk,
		.session = session,
		.target = target,
		.all = all,
		.look = look,
		.before = walk->known,
		.end = walk->known + walk->known_count,
		/* Those of the walk before may have to stay. */
		.now = calloc(all->count + walk->known_count + 1, sizeof(*with.now)),
	};
	int err;

	if (!with.now)
		return -ENOMEM;
	err = compare(&with, result);
	free(walk->known);
	walk->known = with.now;
	walk->known_count = with.count;
	return err ? err : tell_unmet(walk, session, target, all->beyond);
}

int lt_gowalk_take(struct lt_gowalk *walk, struct lt_session *session, struct lt_target *target,
		   struct lt_gowalk_result *result)
{
	const struct lt_goroutines *all;
	uint64_t began_ns = lt_feed_now();
	uint64_t look = walk->births ? lt_gobirths_look(walk->births) : 0;
	int err = count_made(walk, target);

	if (!err)
		err = lt_go_walk(walk->walker, &all);
	if (err)
		return err;
	*result = (struct lt_gowalk_result){
		.walk_ns = lt_feed_now() - began_ns,
		.unread = all->unsettled + all->beyond,
	};
	/* The stacks that the probe walked: they are in a ring. */
	err = walk->births ? lt_feed_drain(session) : 0;
	return err ? err : tell_walk(walk, session, target, all, look, result);
}

int lt_gowalk_end(struct lt_gowalk *walk, struct lt_session *session,
		  const struct lt_target *target)
{
	int err = count_made(walk, target);

	return err ? err : tell_unmet(walk, session, target, 0);
}
