// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/census.h"
#include "cli/chain.h"
#include "cli/doubt.h"
#include "cli/golang.h"
#include "cli/targets.h"
#include "proc/smaps.h"

#define NS_PER_S 1000000000ULL
/* Turns of reading the rings until what is older than a look has been read, but by a very fast target. */
#define MAX_DRAINS 64

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t lt_feed_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

struct lt_event lt_feed_event(const struct lt_target *target, enum lt_event_type type)
{
	return (struct lt_event){ .type = (uint8_t)type,
				  .tgid = target->number,
				  .time_ns = lt_feed_now() };
}

int lt_feed_deliver(struct lt_session *session, const struct lt_event *event)
{
	int err;

	if (session->recorder) {
		err = lt_recorder_write(session->recorder, event);
		if (err == -EINVAL) {
			lt_warn("an event of type %u is too large for the recording", event->type);
		} else if (err) {
			lt_error("cannot write %s: %s; recording stops here",
				 session->options->record, strerror(-err));
			lt_recorder_close(session->recorder);
			session->recorder = NULL;
			session->record_failed = true;
		}
	}
	return lt_pipelines_apply(session->pipelines, event);
}

int lt_feed_emit(void *context, const struct lt_event *event)
{
	struct lt_session *session = context;
	const struct lt_target *target = lt_targets_find(session, event->tgid);
	int more = 1;

	/* One that was born since this turn began. */
	while (!target && more > 0) {
		more = lt_live_drain(session->life);
		target = lt_targets_find(session, event->tgid);
	}
	if (!target) {
		session->strays++;
		return 0;
	}
	if (event->type == LT_EVENT_STACK && target->image) {
		uint64_t words[LT_MAX_FRAMES];
		struct lt_event whole = *event;

		if (lt_chain_has(&event->stack))
			lt_chain_expand(target->pipeline, &whole.stack, words);
		return lt_doubt_stack(session, target->image->modules, &whole);
	}
	if (event->type == LT_EVENT_ACQUIRE)
		return lt_doubt_acquire(session, target, event);
	if (event->type == LT_EVENT_PASSED)
		return lt_doubt_passed(session, event);
	return lt_feed_deliver(session, event);
}

int lt_feed_drain(const struct lt_session *session)
{
	int more = 1;

	for (int i = 0; i < MAX_DRAINS && more > 0; i++) {
		more = lt_live_drain(session->life);
		if (more >= 0)
			more = lt_live_drain(session->live);
	}
	return more < 0 ? more : 0;
}

static struct lt_event target_event(const struct lt_session *session,
				    const struct lt_target *target, enum lt_event_type type)
{
	return (struct lt_event){
		.type = (uint8_t)type,
		.tgid = target->number,
		.time_ns = session->now_ns,
	};
}

/* The one in use of those that it has: the first in the table of families (probe/family.h). */
static const char *allocator_of(const struct lt_session *session, const struct lt_target *target)
{
	const struct lt_plan *plan = session->options->follow ? &session->plan : &target->plan;
	const struct lt_family *family = NULL;

	for (size_t i = 0; i < plan->file_count; i++)
		if (lt_file_set_has(&target->attached, i) &&
		    (!family || plan->files[i].family < family))
			family = plan->files[i].family;
	return family ? family->name : "";
}

static int emit_target(struct lt_session *session, struct lt_target *target,
		       const struct lt_target *shares)
{
	struct lt_event event = target_event(session, target, LT_EVENT_TARGET);

	event.target = (struct lt_event_target){
		.start_ticks = target->process.start_ticks,
		.realtime_offset_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC),
		.ns_pid = (uint32_t)target->process.ns_pid,
		.interval_ns = (uint64_t)(session->options->interval_s * NS_PER_S),
		.comm = target->process.comm,
		.exe = target->process.exe,
		.allocator = allocator_of(session, target),
		.pid = target->pid,
		.parent_pid = target->parent_pid,
		.shares = shares ? shares->number : 0,
	};
	return lt_feed_deliver(session, &event);
}

static void read_counters(const struct lt_session *session, uint64_t *values)
{
	lt_tracer_counters(session->tracer, values);
	values[LT_COUNTER_BAD_EVENT] += lt_live_bad_events(session->live) +
					lt_live_bad_events(session->life);
	values[LT_COUNTER_LIFE_LOST] += session->strays;
	values[LT_COUNTER_STACK_PENDING] += session->cuts;
}

/* Nobody knows which process a loss hit: each that was there then hears of it. */
static int emit_counters(struct lt_session *session, const struct lt_target *target)
{
	struct lt_event event = target_event(session, target, LT_EVENT_COUNTERS);
	uint64_t values[LT_COUNTER_COUNT] = { 0 };

	read_counters(session, values);
	for (int i = 0; i < LT_COUNTER_COUNT; i++)
		values[i] -= target->losses[i];
	event.counters = (struct lt_event_counters){ values, LT_COUNTER_COUNT };
	return lt_feed_deliver(session, &event);
}

/* How long a look at a target's mappings may take, while nobody reads the rings. */
#define SMAPS_BUDGET_NS (100 * 1000000ULL)

static void mapped(void *context, uint64_t start, uint64_t end, uint64_t bytes[LT_SMAPS_CLASSES])
{
	lt_pipeline_mapped(context, start, end, bytes);
}

/* Where its memory lies.  Of a process that has too much for this, only how much is known. */
static void add_smaps(const struct lt_session *session, const struct lt_target *target,
		      struct lt_event_process *process)
{
	bool ranges = session->options->kinds & UINT64_C(1) << LT_KIND_MMAP;
	const struct lt_smaps_tracked tracked = { mapped, target->pipeline };
	struct lt_smaps smaps;

	if (lt_smaps_read(&target->process, SMAPS_BUDGET_NS, ranges ? &tracked : NULL, &smaps))
		return;
	process->rss_bytes = smaps.rss_bytes;
	process->swap_bytes = smaps.swap_bytes;
	process->resident_count = smaps.resident_count;
	memcpy(process->resident, smaps.resident, sizeof(process->resident));
}

/* Once a second is enough: with many processes it would cost more than all else. */
static uint64_t own_rss(struct lt_session *session)
{
	struct lt_process self = { .pid = -1, .proc_fd = -1, .pid_fd = -1 };
	struct lt_memory_usage usage;

	if (session->own_rss_ns && session->now_ns - session->own_rss_ns < NS_PER_S)
		return session->own_rss_bytes;
	session->own_rss_ns = session->now_ns;
	if (lt_process_open(getpid(), &self) == 0) {
		if (lt_process_memory(&self, &usage) == 0)
			session->own_rss_bytes = usage.rss_bytes;
		lt_process_close(&self);
	}
	return session->own_rss_bytes;
}

static int emit_process(struct lt_session *session, const struct lt_target *target)
{
	struct lt_event event = target_event(session, target, LT_EVENT_PROCESS);
	struct lt_memory_usage usage;

	/* Gone, or another image: the last figures stand. */
	if (!target->opened || target->ended || lt_process_memory(&target->process, &usage) ||
	    !lt_tracer_has_image(session->tracer, target->pid, target->number))
		return 0;
	event.process = (struct lt_event_process){
		.rss_bytes = usage.rss_bytes,
		.limit_bytes = usage.limit_bytes,
		.available_bytes = usage.available_bytes,
		.collector_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
		.collector_rss_bytes = own_rss(session),
	};
	add_smaps(session, target, &event.process);
	return lt_feed_deliver(session, &event);
}

static void name_by(struct lt_target *target)
{
	target->image->symbols = lt_symbol_store_hold(lt_pipeline_symbols(target->pipeline));
	target->image->naming.symbols = target->image->symbols;
}

int lt_feed_unshare(struct lt_session *session, struct lt_target *target)
{
	struct lt_event event;
	int err;

	session->now_ns = clock_ns(CLOCK_MONOTONIC);
	event = target_event(session, target, LT_EVENT_UNSHARE);
	err = lt_feed_deliver(session, &event);
	if (err)
		return err;
	name_by(target);
	return lt_modules_update(target->image->modules, session->now_ns);
}

int lt_feed_start(struct lt_session *session, struct lt_target *target,
		  const struct lt_target *shares)
{
	int err;

	session->now_ns = clock_ns(CLOCK_MONOTONIC);
	if (target->parent_pid)
		read_counters(session, target->losses);
	err = emit_target(session, target, shares);
	if (err)
		return err;
	target->pipeline = lt_pipelines_find(session->pipelines, target->number);
	if (shares || !target->image)
		return 0; /* a child: its first figures are those of its first report */
	name_by(target);
	/* Of a program that runs already what is not known yet must not be waited for. */
	err = (target->given ? lt_modules_start : lt_modules_update)(target->image->modules,
								     session->now_ns);
	return err ? err : emit_process(session, target);
}

int lt_feed_follow(struct lt_session *session)
{
	bool changed = lt_tables_collect(session->tables);
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	int err = 0;

	session->shared.listen(session);
	for (struct lt_image *image = session->images; image && !err; image = image->next)
		if (image->holders)
			err = lt_modules_follow(image->modules, now_ns, changed);
	return err;
}

/* What is due each second, and once more at the end. */
static int sample(struct lt_session *session, const struct lt_target *target)
{
	struct lt_event event = target_event(session, target, LT_EVENT_SAMPLE);
	int err = emit_counters(session, target);

	return err ? err : lt_feed_deliver(session, &event);
}

static int update_images(struct lt_session *session)
{
	int err = 0;

	for (struct lt_image *image = session->images; image && !err; image = image->next)
		if (image->holders)
			err = lt_modules_update(image->modules, session->now_ns);
	return err;
}

int lt_feed_sample(struct lt_session *session)
{
	int err;

	session->now_ns = clock_ns(CLOCK_MONOTONIC);
	err = update_images(session);
	if (!err)
		err = lt_census_confirm(session);
	if (!err)
		err = lt_golang_take(session, false);
	session->now_ns = clock_ns(CLOCK_MONOTONIC);
	for (struct lt_target *target = session->targets; target && !err; target = target->hh.next)
		err = target->told_end ? 0 : sample(session, target);
	if (!err && session->recorder)
		lt_recorder_flush(session->recorder);
	return err;
}

int lt_feed_prepare(struct lt_session *session)
{
	int err;

	session->now_ns = clock_ns(CLOCK_MONOTONIC);
	err = update_images(session);
	if (!err)
		err = lt_census_take(session);
	if (!err)
		err = lt_golang_take(session, true);
	session->now_ns = clock_ns(CLOCK_MONOTONIC);
	for (struct lt_target *target = session->targets; target && !err; target = target->hh.next)
		if (target->image && !target->told_end)
			err = lt_naming_ask(&target->image->naming, target->pipeline,
					    session->now_ns);
	session->report_pending = !err;
	return err;
}

/* Any target of an image speaks for it: they have their names in common. */
static const struct lt_target *speaker(const struct lt_session *session,
				       const struct lt_image *image)
{
	const struct lt_target *target = session->targets;

	while (target && target->image != image)
		target = target->hh.next;
	return target;
}

static int image_names(struct lt_session *session, struct lt_image *image, uint64_t now_ns)
{
	const struct lt_target *target = speaker(session, image);
	struct lt_event event;
	int err;

	if (!target)
		return 0;
	event = target_event(session, target, LT_EVENT_SYMBOL);
	err = lt_naming_emit(&image->naming, &event, lt_feed_emit, session);
	if (err)
		return err;
	if (session->report_pending && (session->options->verbose || isatty(STDERR_FILENO)))
		lt_naming_tell(&image->naming, now_ns);
	return lt_naming_awaited(&image->naming, now_ns);
}

int lt_feed_names(struct lt_session *session)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	int awaited = 0;

	for (struct lt_image *image = session->images; image; image = image->next) {
		int err = image_names(session, image, now_ns);

		if (err < 0)
			return err;
		awaited |= err;
	}
	return awaited;
}

size_t lt_feed_missing(const struct lt_session *session)
{
	size_t missing = 0;

	for (const struct lt_image *image = session->images; image; image = image->next)
		if (image->holders)
			missing += lt_symbolizer_pending(image->symbolizer);
	return missing;
}

static int emit_figures(struct lt_session *session, const struct lt_target *target)
{
	int err = emit_counters(session, target);

	return err ? err : emit_process(session, target);
}

static int emit_report(struct lt_session *session, struct lt_target *target, bool final)
{
	struct lt_event event = target_event(session, target, LT_EVENT_REPORT);

	event.report.final = final;
	target->reports++;
	return lt_feed_deliver(session, &event);
}

/* The reports of one round follow each other, without an event in between. */
static int emit_round(struct lt_session *session, bool final)
{
	int err = 0;

	session->report_pending = false;
	session->rounds++;
	for (struct lt_target *target = session->targets; target && !err; target = target->hh.next)
		err = target->told_end && !final ? 0 : emit_report(session, target, final);
	if (!err)
		err = lt_pipelines_flush(session->pipelines);
	if (!err && session->recorder)
		lt_recorder_flush(session->recorder);
	return err;
}

/* A look at many processes takes long: the rings are read in between. */
static int drained_figures(struct lt_session *session, const struct lt_target *target)
{
	int err = lt_live_drain(session->life);

	if (err >= 0)
		err = lt_live_drain(session->live);
	return err < 0 ? err : emit_figures(session, target);
}

int lt_feed_report(struct lt_session *session)
{
	int err = 0;

	session->now_ns = clock_ns(CLOCK_MONOTONIC);
	for (struct lt_target *target = session->targets; target && !err; target = target->hh.next)
		err = target->told_end ? 0 : drained_figures(session, target);
	return err ? err : emit_round(session, false);
}

static int end_target(struct lt_session *session, struct lt_target *target)
{
	struct lt_event event = target_event(session, target, LT_EVENT_END);
	int err;

	if (target->told_end)
		return 0;
	target->told_end = true;
	event.end = target->end;
	err = lt_golang_end(session, target) ?: lt_feed_deliver(session, &event);
	return err ? err : emit_figures(session, target);
}

int lt_feed_end(struct lt_session *session)
{
	int err = 0;

	session->now_ns = clock_ns(CLOCK_MONOTONIC);
	for (struct lt_target *target = session->targets; target && !err;
	     target = target->hh.next) {
		err = end_target(session, target);
		/* A recording names every site, so that a replay can show more of them. */
		if (!err && target->image)
			err = lt_naming_ask_last(&target->image->naming, target->pipeline,
						 session->now_ns, session->recorder);
	}
	session->report_pending = !err;
	return err;
}

int lt_feed_final(struct lt_session *session)
{
	return emit_round(session, true);
}

int lt_feed_leave(struct lt_session *session, struct lt_target *target)
{
	int err;

	session->now_ns = clock_ns(CLOCK_MONOTONIC);
	err = sample(session, target);
	if (!err)
		err = end_target(session, target);
	if (!err && target->image)
		err = lt_naming_ask(&target->image->naming, target->pipeline, session->now_ns);
	return err;
}

bool lt_feed_may_go(const struct lt_target *target)
{
	return !target->image ||
	       !lt_naming_awaited(&target->image->naming, clock_ns(CLOCK_MONOTONIC));
}

int lt_feed_gone(struct lt_session *session, struct lt_target *target)
{
	struct lt_event event;
	int err;

	session->now_ns = clock_ns(CLOCK_MONOTONIC);
	/* An event first, so that a replay does not count it among the reports of a round before. */
	if (target->told_end)
		err = emit_counters(session, target) ?: emit_report(session, target, true);
	else
		err = end_target(session, target);
	event = target_event(session, target, LT_EVENT_GONE);
	return err ? err : lt_feed_deliver(session, &event);
}
