// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"

#define NS_PER_S 1000000000ULL

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* To the recording and to the pipeline. */
static int deliver(struct lt_session *session, const struct lt_event *event)
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
	return lt_pipeline_apply(session->pipeline, event);
}

/*
 * While code is being replaced, BPF's stack ids are those of the code that was there before, and
 * may come again when that code does.  So what is in doubt is told under other ids: here of all
 * frames, which no site uses; in emit_doubtful() of those that are sure.
 */
static uint64_t doubtful_id(uint64_t stack_id)
{
	return lt_mix64(stack_id);
}

static int emit_stack(struct lt_session *session, const struct lt_event *event)
{
	struct lt_event placed = *event;
	int cut = lt_modules_place_stack(session->modules, &placed.stack, event->time_ns);

	if (cut > 0) {
		placed.stack = event->stack;
		placed.stack.stack_id = doubtful_id(event->stack.stack_id);
	}
	return cut < 0 ? cut : deliver(session, &placed);
}

/*
 * An acquire that came while code was being replaced.  If its stack leads through that code, it is
 * told under another id, cut there.
 */
static int emit_doubtful(struct lt_session *session, const struct lt_event *event)
{
	struct lt_event acquire = *event, stack = *event;
	uint64_t plain[LT_MAX_FRAMES], stack_id = event->acquire.stack_id;
	const uint64_t *frames = NULL;
	uint16_t count = lt_pipeline_stack(session->pipeline, stack_id, &frames);
	uint16_t first;
	int err;

	if (!count)
		count = lt_pipeline_stack(session->pipeline, doubtful_id(stack_id), &frames);
	for (uint16_t i = 0; i < count; i++)
		plain[i] = lt_address_plain(frames[i]);
	stack.type = LT_EVENT_STACK;
	stack.flags = 0;
	stack.stack = (struct lt_event_stack){ .frames = plain, .frame_count = count };
	first = count ? lt_modules_in_doubt(session->modules, &stack.stack, event->time_ns) : 0;
	if (first == count) /* or its frames come later, by another ring */
		return deliver(session, event);
	stack.stack.frame_count = first + 1;
	stack.stack.end = LT_STACK_PENDING;
	err = lt_modules_place_stack(session->modules, &stack.stack, event->time_ns);
	if (err < 0)
		return err;
	/* By what is sure of it: another time, other code, another id. */
	stack.stack.stack_id = lt_mix64(lt_fnv1a(LT_FNV_SEED, stack.stack.frames,
						 stack.stack.frame_count * sizeof(uint64_t)));
	acquire.acquire.stack_id = stack.stack.stack_id;
	err = deliver(session, &stack);
	return err ? err : deliver(session, &acquire);
}

int lt_feed_emit(void *context, const struct lt_event *event)
{
	struct lt_session *session = context;

	if (event->type == LT_EVENT_STACK)
		return emit_stack(session, event);
	if (event->type == LT_EVENT_ACQUIRE &&
	    lt_modules_doubtful(session->modules, event->time_ns))
		return emit_doubtful(session, event);
	return deliver(session, event);
}

bool lt_feed_target_ended(struct lt_session *session)
{
	int status;

	switch (lt_tracer_ended(session->tracer, &status)) {
	case LT_TRACER_RUNNING:
		return false;
	case LT_TRACER_EXEC:
		session->end = (struct lt_event_end){ .reason = LT_END_EXEC };
		return true;
	case LT_TRACER_EXIT:
		break;
	}
	session->end = WIFSIGNALED(status)
			       ? (struct lt_event_end){ LT_END_KILLED, WTERMSIG(status) }
			       : (struct lt_event_end){ LT_END_EXITED, WEXITSTATUS(status) };
	return true;
}

static struct lt_event session_event(const struct lt_session *session, enum lt_event_type type)
{
	return (struct lt_event){
		.type = (uint8_t)type,
		.tgid = (uint32_t)session->process.tgid_init,
		.time_ns = session->now_ns,
	};
}

static int emit_target(struct lt_session *session)
{
	struct lt_event event = session_event(session, LT_EVENT_TARGET);

	event.target = (struct lt_event_target){
		.start_ticks = session->process.start_ticks,
		.realtime_offset_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC),
		.ns_pid = (uint32_t)session->process.ns_pid,
		.interval_ns = (uint64_t)(session->options->interval_s * NS_PER_S),
		.comm = session->process.comm,
		.exe = session->process.exe,
		.allocator = session->plan.file_count ? session->plan.files[0].family->name : "",
	};
	return lt_feed_emit(session, &event);
}

static int emit_counters(struct lt_session *session)
{
	struct lt_event event = session_event(session, LT_EVENT_COUNTERS);
	uint64_t values[LT_COUNTER_COUNT] = { 0 };

	lt_tracer_counters(session->tracer, values);
	values[LT_COUNTER_BAD_EVENT] += lt_live_bad_events(session->live);
	event.counters = (struct lt_event_counters){ values, LT_COUNTER_COUNT };
	return lt_feed_emit(session, &event);
}

static int emit_process(struct lt_session *session)
{
	struct lt_event event = session_event(session, LT_EVENT_PROCESS);
	struct lt_process self = { .pid = -1, .proc_fd = -1, .pid_fd = -1 };
	struct lt_memory_usage usage;

	/* Gone, or another image: the last figures stand. */
	if (lt_process_memory(&session->process, &usage) || lt_feed_target_ended(session))
		return 0;
	event.process = (struct lt_event_process){
		.rss_bytes = usage.rss_bytes,
		.limit_bytes = usage.limit_bytes,
		.available_bytes = usage.available_bytes,
		.collector_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
	};
	if (lt_process_open(getpid(), &self) == 0) {
		if (lt_process_memory(&self, &usage) == 0)
			event.process.collector_rss_bytes = usage.rss_bytes;
		lt_process_close(&self);
	}
	return lt_feed_emit(session, &event);
}

int lt_feed_follow(struct lt_session *session)
{
	return lt_modules_follow(session->modules, clock_ns(CLOCK_MONOTONIC));
}

int lt_feed_sample(struct lt_session *session)
{
	struct lt_event event;
	int err;

	session->now_ns = clock_ns(CLOCK_MONOTONIC);
	err = lt_modules_update(session->modules, session->now_ns);
	if (!err)
		err = emit_counters(session);
	if (err)
		return err;
	event = session_event(session, LT_EVENT_SAMPLE);
	err = lt_feed_emit(session, &event);
	if (!err && session->recorder)
		lt_recorder_flush(session->recorder);
	return err;
}

int lt_feed_prepare(struct lt_session *session)
{
	int err;

	session->now_ns = clock_ns(CLOCK_MONOTONIC);
	err = lt_modules_update(session->modules, session->now_ns);
	if (!err)
		err = lt_naming_ask(&session->naming, session->now_ns);
	session->report_pending = !err;
	return err;
}

int lt_feed_names(struct lt_session *session)
{
	struct lt_event event = session_event(session, LT_EVENT_SYMBOL);
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	int err = lt_naming_emit(&session->naming, &event, lt_feed_emit, session);

	if (err)
		return err;
	if (session->report_pending && (session->options->verbose || isatty(STDERR_FILENO)))
		lt_naming_tell(&session->naming, now_ns);
	return lt_naming_awaited(&session->naming, now_ns);
}

static int emit_figures(struct lt_session *session)
{
	int err = emit_counters(session);

	return err ? err : emit_process(session);
}

static int emit_report(struct lt_session *session, bool final)
{
	struct lt_event event = session_event(session, LT_EVENT_REPORT);
	int err;

	event.report.final = final;
	session->report_pending = false;
	session->reports++;
	err = lt_feed_emit(session, &event);
	if (!err && session->recorder)
		lt_recorder_flush(session->recorder);
	return err;
}

int lt_feed_report(struct lt_session *session)
{
	int err;

	session->now_ns = clock_ns(CLOCK_MONOTONIC);
	err = emit_figures(session);
	return err ? err : emit_report(session, false);
}

int lt_feed_end(struct lt_session *session)
{
	struct lt_event event;
	int err;

	session->now_ns = clock_ns(CLOCK_MONOTONIC);
	event = session_event(session, LT_EVENT_END);
	event.end = session->end;
	err = lt_feed_emit(session, &event);
	if (!err)
		err = emit_figures(session);
	/* A recording names every site, so that a replay can show more of them. */
	if (!err)
		err = lt_naming_ask_last(&session->naming, session->now_ns, session->recorder);
	session->report_pending = !err;
	return err;
}

int lt_feed_final(struct lt_session *session)
{
	return emit_report(session, true);
}

int lt_feed_start(struct lt_session *session)
{
	int err;

	session->now_ns = clock_ns(CLOCK_MONOTONIC);
	err = emit_target(session);
	if (!err)
		err = lt_modules_start(session->modules, session->now_ns);
	return err ? err : emit_process(session);
}
