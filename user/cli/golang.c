// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/golang.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/goheap.h"
#include "cli/goprobes.h"
#include "cli/gowalk.h"
#include "cli/targets.h"
#include "go/figures.h"
#include "go/heap.h"
#include "probe/gosites.h"

/* Go's own default: one object of 512 KiB is sampled (runtime/mprof.go). */
#define PROFILE_RATE (512 << 10)

/* Looks for a runtime that has not started yet: about a minute. */
#define MAX_TRIES 60
/* They take one part in so many of the time at most: what starts is not to be missed for long. */
#define TRY_PAUSE 5

struct lt_golang {
	struct lt_go_program *program; /* NULL: none, or not understood */
	struct lt_gowalk *walk;
	struct lt_goheap *profile;
	uint32_t heap; /* enum lt_runtime_heap */
	bool rate_written;
	uint32_t attached;    /* probes: bits 1 << enum lt_go_probe */
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

/* A probe sees creations of goroutines. */
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
	golang->attached = attached;
	if (golang->heap == LT_RUNTIME_HEAP_OFF && attached >> LT_GO_PROBE_SPAN & 1)
		golang->heap = LT_RUNTIME_HEAP_SPANS;
	if (golang->heap == LT_RUNTIME_HEAP_PROFILE || golang->heap == LT_RUNTIME_HEAP_ENABLED)
		err = lt_goheap_new(&golang->profile, golang->program);
	if (!err && watches(session, LT_KIND_GOROUTINE))
		err = lt_gowalk_new(&golang->walk, golang->program,
				    lives_probed(attached) ? lt_tracer_go_births(session->tracer)
							   : NULL);
	lt_go_figures_find(golang->program);
	return err;
}

static int tell_runtime(struct lt_session *session, const struct lt_target *target, uint64_t rate,
			const struct lt_gowalk_result *walked)
{
	struct lt_golang *golang = target->golang;
	struct lt_event event = lt_feed_event(target, LT_EVENT_RUNTIME);

	if (lt_go_figures_read(golang->program, &event.runtime))
		return 0;
	event.runtime.version = golang->program->version;
	event.runtime.heap = golang->heap;
	event.runtime.heap_rate = rate;
	event.runtime.probes = golang->attached != 0;
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
	if (golang->profile)
		lt_goheap_reset(golang->profile);
	return err;
}

static int look(struct lt_session *session, struct lt_target *target)
{
	struct lt_golang *golang = target->golang;
	struct lt_gowalk_result walked = { 0 };
	uint64_t rate = 0;
	int err = golang->settled ? 0 : find(session, target);
	bool has_walk;

	if (err || !golang->program)
		return err;
	err = look_for_plugins(target);
	if (!err && golang->walk)
		err = lt_gowalk_take(golang->walk, session, target, &walked);
	has_walk = !err && golang->walk;
	if (!err && golang->profile)
		err = lt_goheap_take(golang->profile, session, target, &rate);
	if (!err || err == -EBADMSG)
		err = tell_runtime(session, target, rate, has_walk ? &walked : NULL);
	return err == -ENOMEM ? err : 0; /* that it is gone will be told */
}

static int look_at(struct lt_session *session, struct lt_target *target)
{
	uint64_t began_ns = lt_feed_now();
	int err = look(session, target);

	target->golang->looked_ns = lt_feed_now();
	target->golang->cost_ns = target->golang->looked_ns - began_ns;
	return err;
}

static bool lives(const struct lt_target *target)
{
	return target->is_go && target->opened && !target->ended && !target->told_end &&
	       target->pipeline && target->image;
}

static bool is_due(const struct lt_target *target)
{
	const struct lt_golang *golang = target->golang;
	uint64_t pause = golang && golang->settled ? LT_LOOK_PAUSE : TRY_PAUSE;

	return !golang || ((golang->program || !golang->settled) &&
			   lt_feed_now() - golang->looked_ns >= golang->cost_ns * pause);
}

/* What is known of each; NULL: no memory. */
static struct lt_golang *golang_of(struct lt_target *target)
{
	if (!target->golang)
		target->golang = calloc(1, sizeof(*target->golang));
	return target->golang;
}

int lt_golang_begin(struct lt_session *session)
{
	int err = 0;

	for (struct lt_target *target = session->targets; target && !err; target = target->hh.next)
		if (lives(target))
			err = golang_of(target) ? find(session, target) : -ENOMEM;
	return err;
}

int lt_golang_end(struct lt_session *session, const struct lt_target *target)
{
	struct lt_gowalk *walk = target->golang && target->ended ? target->golang->walk : NULL;

	return walk ? lt_gowalk_end(walk, session, target) : 0;
}

int lt_golang_take(struct lt_session *session, bool all)
{
	int err = 0;

	if (session->detached && !all)
		return 0; /* the last look was taken */
	for (struct lt_target *target = session->targets; target && !err;
	     target = target->hh.next) {
		if (all)
			err = lt_golang_end(session, target);
		if (!lives(target) || (!all && !is_due(target)))
			continue;
		err = golang_of(target) ? look_at(session, target) : -ENOMEM;
	}
	return err;
}

void lt_golang_describe(const struct lt_target *target, struct lt_buf *out)
{
	if (target->golang && target->golang->program)
		lt_buf_printf(out, ": %s, read from its memory", target->golang->program->version);
}

/* The same process is another Go program by now, with probes of its own. */
static bool lives_on(const struct lt_session *session, const struct lt_target *ended)
{
	const struct lt_target *target = session->targets;

	while (target && (target->pid != ended->pid || target->ended || !target->golang ||
			  !target->golang->program))
		target = target->hh.next;
	return target;
}

void lt_golang_leave(struct lt_session *session, struct lt_target *target)
{
	struct lt_golang *golang = target->golang;

	if (!golang)
		return;
	/* Not into another program; nor over what the program has chosen itself meanwhile. */
	if (golang->rate_written && !target->ended &&
	    lt_tracer_has_image(session->tracer, target->pid, target->number))
		lt_go_heap_set_rate(golang->program, PROFILE_RATE, 0);
	if (target->ended && !lives_on(session, target))
		lt_tracer_leave_go(session->tracer, target->pid);
	if (target->ended && !session->detached && lives_probed(golang->attached))
		lt_gobirths_forget(lt_tracer_go_births(session->tracer), target->number);
	lt_gowalk_free(golang->walk);
	lt_go_program_free(golang->program);
	lt_goheap_free(golang->profile);
	free(golang);
	target->golang = NULL;
}
