// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "bpf/features.h"
#include "bpf/tracer.h"
#include "cli/exit_code.h"
#include "cli/modules.h"
#include "cli/outputs.h"
#include "cli/pipeline.h"
#include "export/output.h"
#include "probe/plan.h"
#include "stream/live.h"
#include "stream/record.h"
#include "symbol/resolver.h"

#define NS_PER_S 1000000000ULL
/* Rings are also read without a wake-up, so that a slow target's events are not old. */
#define DRAIN_PERIOD_MS 50

struct lt_session {
	const struct lt_options *options;
	struct lt_process process;
	struct lt_plan plan;
	struct lt_features features;
	struct lt_tracer *tracer;
	struct lt_live *live;
	struct lt_pipeline *pipeline;
	struct lt_recorder *recorder;
	struct lt_resolver *resolver;
	struct lt_modules *modules;
	struct lt_outputs outputs;
	int signal_fd, sample_fd, report_fd;
	uint64_t now_ns; /* time of the event under construction */
	unsigned int reports;
	bool over; /* an end was seen: exec, exit */
	struct lt_event_end end;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Every event, from the rings and from here, passes through this door. */
static int emit(void *context, const struct lt_event *event)
{
	struct lt_session *session = context;
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
		}
	}
	if (event->type == LT_EVENT_EXEC) {
		session->over = true;
		session->end.reason = LT_END_EXEC;
	}
	return lt_pipeline_apply(session->pipeline, event);
}

/* The status of the last thread to exit comes through the rings; the pipeline needs it as an END.
 */
static int on_live_event(void *context, const struct lt_event *event)
{
	struct lt_session *session = context;

	if (event->type != LT_EVENT_END)
		return emit(context, event);
	session->over = true;
	session->end = event->end;
	return 0;
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
	return emit(session, &event);
}

static int emit_counters(struct lt_session *session)
{
	struct lt_event event = session_event(session, LT_EVENT_COUNTERS);
	uint64_t values[LT_COUNTER_COUNT] = { 0 };

	lt_tracer_counters(session->tracer, values);
	values[LT_COUNTER_BAD_EVENT] += lt_live_bad_events(session->live);
	event.counters = (struct lt_event_counters){ values, LT_COUNTER_COUNT };
	return emit(session, &event);
}

static int emit_process(struct lt_session *session)
{
	struct lt_event event = session_event(session, LT_EVENT_PROCESS);
	struct lt_process self = { .pid = -1, .proc_fd = -1, .pid_fd = -1 };
	struct lt_memory_usage usage;

	if (lt_process_memory(&session->process, &usage))
		return 0; /* it is gone: the last figures stand */
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
	return emit(session, &event);
}

static int emit_symbol(void *context, uint64_t pc)
{
	struct lt_session *session = context;
	struct lt_event event = session_event(session, LT_EVENT_SYMBOL);
	int err = lt_resolver_lookup(session->resolver, pc, &event.symbol);

	event.symbol.pc = pc;
	return err ? err : emit(session, &event);
}

static int emit_sample(struct lt_session *session)
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
	err = emit(session, &event);
	if (!err && session->recorder)
		lt_recorder_flush(session->recorder);
	return err;
}

static int emit_report(struct lt_session *session, bool final)
{
	struct lt_event event;
	int err;

	session->now_ns = clock_ns(CLOCK_MONOTONIC);
	err = emit_counters(session);
	if (!err)
		err = emit_process(session);
	/* A recording names every site, so that a replay can show more of them. */
	if (!err)
		err = lt_pipeline_wanted(session->pipeline, session->now_ns,
					 final && session->recorder, emit_symbol, session);
	if (err)
		return err;
	event = session_event(session, LT_EVENT_REPORT);
	event.report.final = final;
	session->reports++;
	err = emit(session, &event);
	if (!err && session->recorder)
		lt_recorder_flush(session->recorder);
	return err;
}

static int emit_end(struct lt_session *session)
{
	struct lt_event event;

	session->now_ns = clock_ns(CLOCK_MONOTONIC);
	event = session_event(session, LT_EVENT_END);
	event.end = session->end;
	return emit(session, &event);
}

static int periodic_timer(double seconds)
{
	uint64_t ns = (uint64_t)(seconds * NS_PER_S);
	struct timespec spec = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };
	struct itimerspec timer = { .it_interval = spec, .it_value = spec };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0 && timerfd_settime(fd, 0, &timer, NULL)) {
		close(fd);
		return -errno;
	}
	return fd < 0 ? -errno : fd;
}

static bool expired(int timer)
{
	uint64_t count;

	return read(timer, &count, sizeof(count)) == sizeof(count);
}

/* The first SIGINT or SIGTERM asks for the final report; the next one finds the default action. */
static int catch_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static void release_signals(int fd)
{
	struct signalfd_siginfo info;
	sigset_t set;

	while (read(fd, &info, sizeof(info)) == sizeof(info))
		;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int drain_all(struct lt_session *session)
{
	int more;

	do
		more = lt_live_drain(session->live);
	while (more > 0);
	return more;
}

/* Until a signal, the target's end, or the last report but one. */
static int loop(struct lt_session *session)
{
	struct pollfd fds[] = {
		{ .fd = session->signal_fd, .events = POLLIN },
		{ .fd = session->process.pid_fd, .events = POLLIN },
		{ .fd = session->sample_fd, .events = POLLIN },
		{ .fd = session->report_fd, .events = POLLIN },
		{ .fd = lt_live_fd(session->live), .events = POLLIN },
	};
	int more = 0, err = 0;

	while (!session->over && !err) {
		if (poll(fds, sizeof(fds) / sizeof(*fds), more ? 0 : DRAIN_PERIOD_MS) < 0 &&
		    errno != EINTR)
			return -errno;
		more = lt_live_drain(session->live);
		if (more < 0)
			return more;
		if (fds[0].revents)
			break;
		if (fds[1].revents) {
			session->over = true;
			break;
		}
		if (expired(session->sample_fd))
			err = emit_sample(session);
		if (!err && expired(session->report_fd)) {
			if (session->options->count &&
			    session->reports + 1 >= session->options->count)
				break;
			err = emit_report(session, false);
		}
	}
	return err;
}

static int finish(struct lt_session *session)
{
	int err;

	release_signals(session->signal_fd);
	lt_tracer_deactivate(session->tracer);
	err = drain_all(session);
	if (!err)
		err = emit_sample(session);
	if (!err)
		err = emit_end(session);
	if (!err)
		err = emit_report(session, true);
	return err;
}

static int open_target(struct lt_session *session)
{
	pid_t pid = session->options->pid;
	int err = lt_process_open(pid, &session->process);

	if (err == -ESRCH) {
		lt_error("no process with pid %d: see ps -e", pid);
		return LT_EXIT_NO_TARGET;
	}
	if (err) {
		lt_error("cannot look at pid %d: %s", pid, strerror(-err));
		return err == -EACCES || err == -EPERM ? LT_EXIT_PERMISSION : LT_EXIT_FAILURE;
	}
	if (session->process.kernel_thread) {
		lt_error("pid %d (%s) is a kernel thread: it has no user memory to trace", pid,
			 session->process.comm);
		return LT_EXIT_NO_TARGET;
	}
	return LT_EXIT_DONE;
}

static int make_plan(struct lt_session *session)
{
	struct lt_maps maps = { 0 };
	int err;

	if (session->process.bits32) {
		lt_error("pid %d is a 32-bit program: only 64-bit targets can be traced",
			 session->process.pid);
		return LT_EXIT_NO_TARGET;
	}
	err = lt_maps_read(&session->process, &maps);
	if (!err)
		err = lt_plan_make(&session->process, &maps, &session->plan);
	lt_maps_free(&maps);
	if (err == -EACCES || err == -EPERM) {
		lt_error("cannot read the mappings of pid %d: run as root (sudo leaktrace ...)",
			 session->process.pid);
		return LT_EXIT_PERMISSION;
	}
	if (err && err != -ENOENT) {
		lt_error("cannot read the mappings of pid %d: %s", session->process.pid,
			 strerror(-err));
		return err == -ESRCH ? LT_EXIT_NO_TARGET : LT_EXIT_FAILURE;
	}
	if (err == -ENOENT && !session->options->explain) {
		lt_error("no supported allocator found in pid %d (glibc malloc is): "
			 "leaktrace --explain -p %d says what was looked at",
			 session->process.pid, session->process.pid);
		return LT_EXIT_FAILURE;
	}
	return LT_EXIT_DONE;
}

static int check_features(struct lt_session *session)
{
	const char *missing;

	lt_features_detect(&session->features);
	missing = lt_features_missing(&session->features);
	if (missing)
		lt_error("%s", missing);
	return missing ? LT_EXIT_PERMISSION : LT_EXIT_DONE;
}

static int open_recorder(struct lt_session *session)
{
	FILE *file;
	int err;

	if (!session->options->record)
		return 0;
	err = lt_output_open(session->options->record, &file);
	if (!err)
		err = lt_recorder_open(&session->recorder, file);
	if (err)
		lt_error("cannot write %s: %s", session->options->record, lt_output_error(err));
	return err;
}

static int open_pipeline(struct lt_session *session)
{
	struct lt_pipeline_options options = {
		.top = session->options->top,
		.min_growth_per_hour = session->options->min_growth_per_hour,
		.on_report = lt_outputs_report,
		.context = &session->outputs,
	};
	_lt_buf_ struct lt_buf error = { 0 };
	int err = lt_outputs_open(&session->outputs, session->options, &error);

	if (err) {
		lt_error("%s", error.data ? error.data : strerror(-err));
		return err;
	}
	err = open_recorder(session);
	if (err)
		return err;
	err = lt_pipeline_new(&session->pipeline, &options);
	if (!err)
		err = lt_resolver_new(&session->resolver);
	if (err)
		lt_error("%s", strerror(-err));
	return err;
}

static int attach(struct lt_session *session)
{
	struct lt_tracer_options options = {
		.tgid = (uint32_t)session->process.tgid_init,
		.ring_bytes = session->options->ring_size,
	};
	_lt_buf_ struct lt_buf error = { 0 };
	const int *rings;
	size_t ring_count;
	int err;

	lt_process_thread_count(&session->process, &options.threads);
	err = lt_tracer_open(&session->tracer, &session->features, &options, &error);
	if (!err)
		err = lt_tracer_attach(session->tracer, &session->plan, &error);
	if (err) {
		lt_error("%s", error.data ? error.data : strerror(-err));
		return err;
	}
	ring_count = lt_tracer_rings(session->tracer, &rings);
	err = lt_live_new(&session->live, rings, ring_count, on_live_event, session);
	if (!err)
		err = lt_modules_new(&session->modules, &session->process, session->tracer,
				     session->resolver, emit, session);
	if (err)
		lt_error("cannot attach to pid %d: %s", session->process.pid, strerror(-err));
	return err;
}

static int run(struct lt_session *session)
{
	int err;

	session->signal_fd = catch_signals();
	session->now_ns = clock_ns(CLOCK_MONOTONIC);
	err = emit_target(session);
	if (!err)
		err = lt_modules_update(session->modules, session->now_ns);
	if (!err)
		err = emit_process(session);
	if (err)
		return err;
	session->sample_fd = periodic_timer(1);
	session->report_fd = periodic_timer(session->options->interval_s);
	if (session->signal_fd < 0 || session->sample_fd < 0 || session->report_fd < 0)
		return -EMFILE;
	lt_tracer_activate(session->tracer);
	lt_info("attached to pid %d (%s): %zu probes in %s; Ctrl-C for the final report",
		session->process.pid, session->process.comm, session->plan.probe_count,
		session->plan.files[0].path);
	err = loop(session);
	return err ? err : finish(session);
}

/* Closed in the reverse order of opening; the target is let go first. */
static int close_session(struct lt_session *session, bool clean)
{
	int err = 0, last;

	lt_live_free(session->live);
	lt_tracer_free(session->tracer);
	lt_modules_free(session->modules);
	lt_resolver_free(session->resolver);
	lt_pipeline_free(session->pipeline);
	if (session->recorder) {
		err = lt_recorder_close(session->recorder);
		if (err)
			lt_error("cannot write %s: %s", session->options->record, strerror(-err));
	}
	last = lt_outputs_close(&session->outputs, clean);
	if (last && !err)
		lt_error("cannot write %s: %s", session->options->json, strerror(-last));
	lt_plan_free(&session->plan);
	lt_process_close(&session->process);
	lt_close_p(&session->signal_fd);
	lt_close_p(&session->sample_fd);
	lt_close_p(&session->report_fd);
	return err ? err : last;
}

static const struct lt_session closed_session = {
	.process = { .proc_fd = -1, .pid_fd = -1 },
	.signal_fd = -1,
	.sample_fd = -1,
	.report_fd = -1,
};

/* Modules stay open by fd while the target lives: the default of 1,024 is soon used up. */
static void raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int lt_session_run(const struct lt_options *options)
{
	struct lt_session session = closed_session;
	int code, err = 0;
	size_t leaking;

	session.options = options;
	raise_fd_limit();
	code = open_target(&session);
	if (!code)
		code = check_features(&session);
	if (!code)
		code = make_plan(&session);
	if (!code && (open_pipeline(&session) || attach(&session)))
		code = LT_EXIT_FAILURE;
	if (!code) {
		err = run(&session);
		if (err && err != -EPIPE)
			lt_error("the session ended early: %s", strerror(-err));
	}
	leaking = session.pipeline ? lt_pipeline_leaking(session.pipeline) : 0;
	if (close_session(&session, !code && !err) || err)
		code = code ? code : LT_EXIT_FAILURE;
	if (!code && options->fail_on_leak && leaking)
		code = LT_EXIT_LEAK;
	return code;
}

int lt_session_explain(const struct lt_options *options)
{
	struct lt_session session = closed_session;
	_lt_buf_ struct lt_buf text = { 0 };
	int code;

	session.options = options;
	code = open_target(&session);
	if (!code)
		code = make_plan(&session);
	if (!code) {
		lt_plan_print(&session.plan, &session.process, &text);
		fputs(text.data ? text.data : "", stdout);
		if (fflush(stdout))
			code = LT_EXIT_FAILURE;
	}
	close_session(&session, false);
	return code;
}
