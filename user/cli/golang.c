// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/golang.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/log.h"
#include "cli/goprobes.h"
#include "cli/gowalk.h"
#include "go/figures.h"
#include "go/heap.h"
#include "go/logical.h"
#include "probe/gosites.h"

/* Go's own default: one object of 512 KiB is sampled (runtime/mprof.go). */
#define PROFILE_RATE (512 << 10)

/* Looks for a runtime that has not started yet: about a minute. */
#define MAX_TRIES 60

/* What was last told of a site of the heap. */
struct told {
	uint64_t stack_id;
	uint64_t allocs, frees;
	UT_hash_handle hh;
};

struct lt_golang {
	struct lt_go_program *program; /* NULL: none, or not understood */
	struct lt_gowalk *walk;
	struct told *told;
	uint32_t heap; /* enum lt_runtime_heap */
	bool rate_written;
	unsigned int changes; /* lt_modules_changes() at the latest look for plugins */
	unsigned int tries;
	bool settled; /* it was found, or never will be */
	uint64_t looked_ns, cost_ns;
};

void lt_golang_recognise(struct lt_target *target)
{
	struct lt_maps maps = { 0 };

	target->is_go = target->opened && lt_maps_read(&target->process, &maps) == 0 &&
			lt_go_present(&target->process, &maps);
	lt_maps_free(&maps);
}

bool lt_golang_only(struct lt_session *session)
{
	bool only = session->targets;

	for (struct lt_target *target = session->targets; target; target = target->hh.next) {
		lt_golang_recognise(target);
		only = only && target->is_go;
	}
	return only;
}

uint64_t lt_golang_kinds(const struct lt_options *options)
{
	uint64_t kinds = UINT64_C(1) << LT_KIND_GOROUTINE | UINT64_C(1) << LT_KIND_GO_HEAP;

	if (options->go_probes)
		kinds |= UINT64_C(1) << LT_KIND_HTTP_BODY | UINT64_C(1) << LT_KIND_TICKER;
	return kinds;
}

static bool watches(const struct lt_session *session, uint8_t kind)
{
	return session->options->kinds >> kind & 1;
}

/* Creations of goroutines are told by a probe. */
static bool lives_probed(uint32_t attached)
{
	return attached >> LT_GO_PROBE_CREATE & 1;
}

/* The profile, if the program keeps one, or is made to. */
static void find_heap(const struct lt_session *session, struct lt_target *target)
{
	struct lt_golang *golang = target->golang;
	enum lt_go_heap_state state = lt_go_heap_find(golang->program);

	golang->heap = state == LT_GO_HEAP_OK    ? LT_RUNTIME_HEAP_PROFILE
		       : state == LT_GO_HEAP_OFF ? LT_RUNTIME_HEAP_OFF
						 : LT_RUNTIME_HEAP_UNKNOWN;
	if (state != LT_GO_HEAP_OFF)
		return;
	if (session->options->go_enable_profile) {
		int err = lt_go_heap_set_rate(golang->program, 0, PROFILE_RATE);

		if (err)
			lt_warn("the heap profile of pid %u cannot be switched on: %s", target->pid,
				strerror(-err));
		golang->rate_written = !err;
		golang->heap = err ? golang->heap : LT_RUNTIME_HEAP_ENABLED;
	}
}

static int find(struct lt_session *session, struct lt_target *target)
{
	_lt_buf_ struct lt_buf error = { 0 };
	struct lt_golang *golang = target->golang;
	struct lt_maps maps = { 0 };
	uint32_t attached;
	int err = lt_maps_read(&target->process, &maps);

	if (!err)
		err = lt_go_program_open(&target->process, &maps, &golang->program, &error);
	lt_maps_free(&maps);
	if (err == -EAGAIN && ++golang->tries < MAX_TRIES)
		return 0;
	golang->settled = true;
	if (err == -EAGAIN)
		lt_warn("pid %u: its goroutines cannot be found: Go's runtime has not started, or "
			"is not what it says (%d looks)",
			target->pid, MAX_TRIES);
	if (err) {
		if (err == -ENOTSUP)
			lt_warn("pid %u: %s", target->pid,
				error.data ? error.data : strerror(-err));
		return err == -ENOMEM ? err : 0;
	}
	golang->changes = lt_modules_changes(target->image->modules);
	if (watches(session, LT_KIND_GO_HEAP))
		find_heap(session, target);
	attached = lt_goprobes_attach(
		session, target, golang->program,
		lt_goprobes_wanted(session, golang->heap == LT_RUNTIME_HEAP_OFF));
	if (golang->heap == LT_RUNTIME_HEAP_OFF && attached >> LT_GO_PROBE_SPAN & 1)
		golang->heap = LT_RUNTIME_HEAP_SPANS;
	if (watches(session, LT_KIND_GOROUTINE))
		err = lt_gowalk_new(&golang->walk, golang->program, lives_probed(attached));
	lt_go_figures_find(golang->program);
	return err;
}

static struct lt_event event_of(const struct lt_target *target, enum lt_event_type type)
{
	return (struct lt_event){
		.type = (uint8_t)type,
		.kind = LT_KIND_GO_HEAP,
		.tgid = target->number,
		.time_ns = lt_feed_now(),
	};
}

/* 1: it stands as it was told; 0, or -ENOMEM. */
static int note_told(struct lt_golang *golang, uint64_t stack_id, uint64_t allocs, uint64_t frees)
{
	struct told *told;

	HASH_FIND(hh, golang->told, &stack_id, sizeof(stack_id), told);
	if (told && told->allocs == allocs && told->frees == frees)
		return 1;
	if (!told) {
		told = calloc(1, sizeof(*told));
		if (!told)
			return -ENOMEM;
		told->stack_id = stack_id;
		HASH_ADD(hh, golang->told, stack_id, sizeof(told->stack_id), told);
		if (!told->hh.tbl) {
			free(told);
			return -ENOMEM;
		}
	}
	told->allocs = allocs;
	told->frees = frees;
	return 0;
}

static int tell_bucket(struct lt_session *session, const struct lt_target *target,
		       const struct lt_go_bucket *bucket)
{
	struct lt_golang *golang = target->golang;
	struct lt_event event = event_of(target, LT_EVENT_STACK);
	uint64_t words[LT_MAX_FRAMES], stack_id;
	const uint64_t *known;
	uint16_t count = lt_go_physical(golang->program, bucket->frames, bucket->frame_count,
					words);
	int err;

	if (!count || !bucket->sampled_allocs)
		return 0;
	stack_id = lt_mix64(lt_fnv1a(LT_FNV_SEED, words, count * sizeof(words[0])));
	err = note_told(golang, stack_id, bucket->sampled_allocs, bucket->sampled_frees);
	if (err)
		return err < 0 ? err : 0;
	event.stack = (struct lt_event_stack){ stack_id, words, count, LT_STACK_COMPLETE };
	if (!lt_pipeline_stack(target->pipeline, stack_id, &known))
		err = lt_feed_emit(session, &event);
	if (err)
		return err;
	event = event_of(target, LT_EVENT_OBSERVE);
	event.observe = (struct lt_event_observe){
		.stack_id = stack_id,
		.acquired_count = (uint64_t)(bucket->allocs + 0.5),
		.acquired_size = (uint64_t)(bucket->alloc_bytes + 0.5),
		.released_count = (uint64_t)(bucket->frees + 0.5),
		.released_size = (uint64_t)(bucket->free_bytes + 0.5),
		.sampled = bucket->sampled_allocs > bucket->sampled_frees
				   ? bucket->sampled_allocs - bucket->sampled_frees
				   : 1,
	};
	return lt_feed_emit(session, &event);
}

static int take_heap(struct lt_session *session, const struct lt_target *target, uint64_t *rate)
{
	struct lt_go_heap heap = { 0 };
	int err = lt_go_heap_read(target->golang->program, &heap);

	if (err)
		return err == -ENOMEM ? err : 0;
	*rate = heap.rate;
	for (size_t i = 0; i < heap.count && !err; i++)
		err = tell_bucket(session, target, &heap.buckets[i]);
	lt_go_heap_free(&heap);
	return err;
}

static int tell_runtime(struct lt_session *session, const struct lt_target *target, uint64_t rate,
			const struct lt_gowalk_result *walked)
{
	struct lt_golang *golang = target->golang;
	struct lt_event event = event_of(target, LT_EVENT_RUNTIME);

	event.kind = LT_KIND_NONE;
	if (lt_go_figures_read(golang->program, &event.runtime))
		return 0;
	event.runtime.version = golang->program->version;
	event.runtime.heap = golang->heap;
	event.runtime.heap_rate = rate;
	event.runtime.probes = session->options->go_probes;
	event.runtime.goroutines = walked ? walked->goroutines : LT_UNKNOWN_FIGURE;
	event.runtime.runtime_goroutines = walked ? walked->runtime_goroutines : LT_UNKNOWN_FIGURE;
	event.runtime.unread_goroutines = walked ? walked->unread : LT_UNKNOWN_FIGURE;
	event.runtime.walk_ns = walked ? walked->walk_ns : LT_UNKNOWN_FIGURE;
	return lt_feed_emit(session, &event);
}

static int look_for_plugins(struct lt_target *target)
{
	struct lt_golang *golang = target->golang;
	unsigned int changes = lt_modules_changes(target->image->modules);
	struct lt_maps maps = { 0 };
	int err;

	if (changes == golang->changes)
		return 0;
	golang->changes = changes;
	err = lt_maps_read(&target->process, &maps);
	if (!err)
		err = lt_go_program_update(golang->program, &maps);
	lt_maps_free(&maps);
	if (golang->walk)
		lt_gowalk_reset(golang->walk);
	return err;
}

static int look_at(struct lt_session *session, struct lt_target *target)
{
	struct lt_golang *golang = target->golang;
	struct lt_gowalk_result walked = { 0 };
	uint64_t began_ns = lt_feed_now(), rate = 0;
	int err = golang->settled ? 0 : find(session, target);
	bool has_walk;

	if (err || !golang->program)
		return err;
	err = look_for_plugins(target);
	if (!err && golang->walk)
		err = lt_gowalk_take(golang->walk, session, target, &walked);
	has_walk = !err && golang->walk;
	if (!err &&
	    (golang->heap == LT_RUNTIME_HEAP_PROFILE || golang->heap == LT_RUNTIME_HEAP_ENABLED))
		err = take_heap(session, target, &rate);
	if (!err || err == -EBADMSG)
		err = tell_runtime(session, target, rate, has_walk ? &walked : NULL);
	golang->looked_ns = lt_feed_now();
	golang->cost_ns = golang->looked_ns - began_ns;
	return err == -ENOMEM ? err : 0; /* that it is gone will be told */
}

static bool lives(const struct lt_target *target)
{
	return target->is_go && target->opened && !target->ended && !target->told_end &&
	       target->pipeline && target->image;
}

static bool is_due(const struct lt_target *target)
{
	const struct lt_golang *golang = target->golang;

	return !golang ||
	       (!golang->settled || (golang->program && lt_feed_now() - golang->looked_ns >=
								golang->cost_ns * LT_LOOK_PAUSE));
}

int lt_golang_take(struct lt_session *session, bool all)
{
	int err = 0;

	if (session->detached && !all)
		return 0; /* the last look was taken */
	for (struct lt_target *target = session->targets; target && !err;
	     target = target->hh.next) {
		if (!lives(target) || (!all && !is_due(target)))
			continue;
		if (!target->golang)
			target->golang = calloc(1, sizeof(*target->golang));
		err = target->golang ? look_at(session, target) : -ENOMEM;
	}
	return err;
}

int lt_golang_note(struct lt_target *target, const struct lt_event *event, struct lt_event *made)
{
	return target->golang && target->golang->walk
		       ? lt_gowalk_note(target->golang->walk, event, made)
		       : 0;
}

void lt_golang_describe(const struct lt_target *target, struct lt_buf *out)
{
	if (target->golang && target->golang->program)
		lt_buf_printf(out, ": %s, read from its memory", target->golang->program->version);
}

/* The same process is another program by now. */
static bool lives_on(const struct lt_session *session, const struct lt_target *ended)
{
	const struct lt_target *target = session->targets;

	while (target && (target->pid != ended->pid || target->ended))
		target = target->hh.next;
	return target;
}

void lt_golang_leave(struct lt_session *session, struct lt_target *target)
{
	struct lt_golang *golang = target->golang;
	struct told *told, *next;

	if (!golang)
		return;
	/* Not into another program; nor over what the program has chosen itself meanwhile. */
	if (golang->rate_written && !target->ended &&
	    lt_tracer_has_image(session->tracer, target->pid, target->number))
		lt_go_heap_set_rate(golang->program, PROFILE_RATE, 0);
	if (target->ended && !lives_on(session, target))
		lt_tracer_leave_go(session->tracer, target->pid);
	lt_gowalk_free(golang->walk);
	lt_go_program_free(golang->program);
	HASH_ITER(hh, golang->told, told, next) {
		HASH_DEL(golang->told, told);
		free(told);
	}
	free(golang);
	target->golang = NULL;
}
