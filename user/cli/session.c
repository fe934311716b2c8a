// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/session.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "bpf/features.h"
#include "cli/exit_code.h"
#include "cli/explain.h"
#include "cli/feed.h"
#include "export/output.h"

/* Rings are also read without a wake-up, so that a slow target's events are not old. */
#define DRAIN_PERIOD_MS 50
/* How often it is seen what the final report waits for; a signal ends the period. */
#define NAMES_PERIOD_MS 500
#define STARTUP_TRIES   20
#define STARTUP_WAIT_NS 50000000L

static int periodic_timer(double seconds)
{
	struct timespec spec = { (time_t)seconds, (long)((seconds - floor(seconds)) * 1e9) };
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

/*
 * The first SIGINT or SIGTERM asks for the final report, the second for the report at once, without
 * the names that are still looked up.  The default action comes with the third, or with the second
 * while a report is being written: the reader of a pipe may have stopped to read.
 */
static int signal_event = -1;
static volatile sig_atomic_t signals, writing;

static void on_signal(int number)
{
	uint64_t one = 1;
	int saved = errno;

	signals = signals + 1;
	if (signals > 1) {
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		if (writing)
			raise(number); /* delivered when the handler returns */
	}
	if (write(signal_event, &one, sizeof(one)) < 0)
		_exit(LT_EXIT_FAILURE);
	errno = saved;
}

static int write_report(struct lt_session *session, int (*report)(struct lt_session *))
{
	int err;

	writing = true;
	err = report(session);
	writing = false;
	return err;
}

static int catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	sigaddset(&action.sa_mask, SIGINT);
	sigaddset(&action.sa_mask, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	signal_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (signal_event < 0 || sigaction(SIGINT, &action, NULL) ||
	    sigaction(SIGTERM, &action, NULL))
		return -errno;
	return signal_event;
}

static int drain_all(struct lt_session *session)
{
	int more;

	do
		more = lt_live_drain(session->live);
	while (more > 0);
	return more;
}

/*
 * At a tick of the report timer, a report begins.  One that still waits for its names goes out
 * without them, so that none is late by more than an interval.  Returns 1 when the next one is the
 * last.
 */
static int begin_report(struct lt_session *session)
{
	int err = session->report_pending ? write_report(session, lt_feed_report) : 0;

	if (err)
		return err;
	if (session->options->count && session->reports + 1 >= session->options->count)
		return 1;
	return lt_feed_prepare(session);
}

/* What the timers and the symbolizer have to say.  1: the final report is next. */
static int feed(struct lt_session *session)
{
	int err = expired(session->sample_fd) ? lt_feed_sample(session) : 0;

	if (!err && expired(session->report_fd))
		err = begin_report(session);
	if (err)
		return err;
	err = lt_feed_names(session);
	if (err == 0 && session->report_pending)
		err = write_report(session, lt_feed_report);
	return err < 0 ? err : 0;
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
		{ .fd = lt_symbolizer_fd(session->symbolizer), .events = POLLIN },
		{ .fd = lt_modules_fd(session->modules), .events = POLLIN },
	};
	int more = 0, err = 0;

	while (!err && !lt_feed_target_ended(session)) {
		if (poll(fds, sizeof(fds) / sizeof(*fds), more ? 0 : DRAIN_PERIOD_MS) < 0 &&
		    errno != EINTR)
			return -errno;
		more = lt_live_drain(session->live);
		if (more < 0)
			return more;
		if (fds[0].revents || fds[1].revents)
			break;
		err = lt_feed_follow(session);
		if (!err)
			err = feed(session);
	}
	return err < 0 ? err : 0;
}

static int wait_for_names(struct lt_session *session, int enough)
{
	struct pollfd fd = { .fd = lt_symbolizer_fd(session->symbolizer), .events = POLLIN };
	size_t missing;
	int err;

	while ((err = lt_feed_names(session)) > 0 && signals < enough)
		if (poll(&fd, 1, NAMES_PERIOD_MS) < 0 && errno != EINTR)
			return -errno;
	missing = lt_symbolizer_pending(session->symbolizer);
	if (missing && err >= 0)
		lt_warn("the report goes out without %zu name%s that were still looked up", missing,
			missing == 1 ? "" : "s");
	return err < 0 ? err : 0;
}

/*
 * The target is let go before anything that takes long.  Who ends the session waits for what is on
 * this machine, but not for the network; without a person, one signal is enough to wait no more.
 */
static int finish(struct lt_session *session)
{
	int enough = signals ? 2 : 1, err;

	lt_tracer_detach(session->tracer);
	if (signals)
		lt_resolver_stop_network(session->resolver);
	err = drain_all(session);
	if (!lt_feed_target_ended(session) && lt_process_check(&session->process))
		session->end = (struct lt_event_end){ LT_END_EXITED, -1 }; /* status unknown */
	if (!err)
		err = lt_feed_sample(session);
	if (!err)
		err = lt_feed_end(session);
	if (!err)
		err = wait_for_names(session, enough);
	return err ? err : write_report(session, lt_feed_final);
}

static int exit_code_of(int err)
{
	return err == -EACCES || err == -EPERM ? LT_EXIT_PERMISSION
	       : err == -ESRCH                 ? LT_EXIT_NO_TARGET
					       : LT_EXIT_FAILURE;
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
		return exit_code_of(err);
	}
	if (session->process.kernel_thread) {
		lt_error("pid %d (%s) is a kernel thread: it has no user memory to trace", pid,
			 session->process.comm);
		return LT_EXIT_NO_TARGET;
	}
	return LT_EXIT_DONE;
}

/* A process that has just been started has not mapped its C library yet: it gets a second. */
static int plan_soon(struct lt_session *session)
{
	int err = -ENOENT;

	for (int tries = 0; tries < STARTUP_TRIES && err == -ENOENT; tries++) {
		struct lt_maps maps = { 0 };

		if (tries) {
			lt_plan_free(&session->plan);
			session->plan = (struct lt_plan){ 0 };
			nanosleep(&(struct timespec){ .tv_nsec = STARTUP_WAIT_NS }, NULL);
		}
		err = lt_maps_read(&session->process, &maps);
		if (!err)
			err = lt_plan_make(&session->process, &maps, &session->plan);
		lt_maps_free(&maps);
	}
	return err;
}

static int make_plan(struct lt_session *session)
{
	int err;

	if (session->process.bits32) {
		lt_error("pid %d is a 32-bit program: only 64-bit targets can be traced",
			 session->process.pid);
		return LT_EXIT_NO_TARGET;
	}
	err = plan_soon(session);
	if (err == -EACCES || err == -EPERM) {
		lt_error("cannot read the mappings of pid %d: run as root (sudo leaktrace ...)",
			 session->process.pid);
		return LT_EXIT_PERMISSION;
	}
	if (err && err != -ENOENT) {
		lt_error("cannot read the mappings of pid %d: %s", session->process.pid,
			 strerror(-err));
		return exit_code_of(err);
	}
	for (size_t i = 0; i < session->plan.skip_count; i++)
		if (session->plan.skips[i].allocator && !session->options->explain)
			lt_warn("%s has an allocator of a kind not supported yet: what it "
				"allocates is not seen",
				session->plan.skips[i].what);
	if (err == -ENOENT && !session->options->explain) {
		lt_error("no supported allocator found in pid %d (glibc and jemalloc are): "
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
	if (!missing && !lt_process_in_initial_namespace())
		missing = "BPF sees the pids of the host: run in the host's pid namespace";
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

static int open_symbolizer(struct lt_session *session)
{
	_lt_buf_ struct lt_buf error = { 0 };
	struct lt_resolver *resolver;
	int err = lt_resolver_new(&resolver);

	if (err)
		return err;
	err = lt_resolver_set_process(resolver, &session->process);
	if (!err && session->options->debuginfod)
		err = lt_resolver_set_debuginfod(resolver, session->options->debuginfod, &error);
	if (!err)
		err = lt_symbolizer_new(&session->symbolizer, resolver);
	if (err) {
		lt_error("%s", error.data ? error.data : strerror(-err));
		lt_resolver_free(resolver);
		return err;
	}
	session->resolver = resolver;
	session->naming.pipeline = session->pipeline;
	session->naming.symbolizer = session->symbolizer;
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
	if (err) {
		lt_error("%s", strerror(-err));
		return err;
	}
	return open_symbolizer(session);
}

/* From here on an exec is told by BPF; one that came before made the plan another program's. */
static int check_image(const struct lt_session *session)
{
	struct lt_maps maps = { 0 };
	int err = lt_maps_read(&session->process, &maps);

	for (size_t i = 0; i < session->plan.probe_count && !err; i++) {
		const struct lt_plan_probe *probe = &session->plan.probes[i];
		const struct lt_plan_file *file = &session->plan.files[probe->file];
		const struct lt_mapping *mapping = lt_maps_find(&maps,
								file->base + probe->file_offset);

		if (!mapping || mapping->inode != file->inode || mapping->device != file->device)
			err = -ESRCH;
	}
	lt_maps_free(&maps);
	if (err == -ESRCH)
		lt_error("pid %d ended or became another program just now: run leaktrace again",
			 session->process.pid);
	return err;
}

static int attach(struct lt_session *session)
{
	struct lt_tracer_options options = {
		.tgid = (uint32_t)session->process.tgid_init,
		.ring_bytes = session->options->ring_size,
		.max_frames = session->options->max_frames,
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
	err = check_image(session);
	if (err)
		return err;
	ring_count = lt_tracer_rings(session->tracer, &rings);
	err = lt_live_new(&session->live, rings, ring_count, lt_feed_emit, session);
	if (!err)
		err = lt_modules_new(&session->modules, &session->process, session->tracer,
				     session->symbolizer, lt_feed_emit, session);
	if (err)
		lt_error("cannot attach to pid %d: %s", session->process.pid, strerror(-err));
	return err;
}

static void tell_tables(const struct lt_session *session)
{
	_lt_buf_ struct lt_buf text = { 0 };

	lt_modules_print(session->modules, &text);
	lt_info("%s", text.data ? text.data : "");
}

static void tell_attached(const struct lt_session *session)
{
	const struct lt_plan *plan = &session->plan;
	_lt_buf_ struct lt_buf others = { 0 };

	if (plan->file_count > 1)
		lt_buf_printf(&others, " and %zu other file%s", plan->file_count - 1,
			      plan->file_count == 2 ? "" : "s");
	lt_info("attached to pid %d (%s): %zu probes in %s%s; Ctrl-C for the final report",
		session->process.pid, session->process.comm, plan->probe_count, plan->files[0].path,
		others.data ? others.data : "");
}

static int run(struct lt_session *session)
{
	int err;

	session->signal_fd = catch_signals();
	err = lt_feed_start(session);
	if (err)
		return err;
	session->sample_fd = periodic_timer(1);
	session->report_fd = periodic_timer(session->options->interval_s);
	if (session->signal_fd < 0 || session->sample_fd < 0 || session->report_fd < 0)
		return -EMFILE;
	lt_tracer_activate(session->tracer);
	tell_attached(session);
	if (session->options->verbose)
		tell_tables(session);
	err = loop(session);
	return err ? err : finish(session);
}

/* Closed in the reverse order of opening; the target is let go first. */
static int close_session(struct lt_session *session, bool clean)
{
	int err = 0, last;

	lt_live_free(session->live);
	lt_tracer_free(session->tracer);
	if (session->resolver)
		lt_resolver_stop_network(session->resolver);
	lt_modules_free(session->modules);
	lt_naming_free(&session->naming);
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

/*
 * A lookup in hand may take minutes, and is waited for by lt_symbolizer_free(); exit() would take
 * the libraries from under it.  All else is closed by now.
 */
static int leave(struct lt_session *session, int code)
{
	if (session->symbolizer && lt_symbolizer_pending(session->symbolizer)) {
		fflush(NULL);
		_exit(code);
	}
	lt_symbolizer_free(session->symbolizer);
	return code;
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
	if (!code && open_pipeline(&session))
		code = LT_EXIT_FAILURE;
	if (!code) {
		err = attach(&session);
		code = err ? exit_code_of(err) : LT_EXIT_DONE;
	}
	if (!code) {
		err = run(&session);
		if (err && err != -EPIPE)
			lt_error("the session ended early: %s", strerror(-err));
	}
	leaking = session.pipeline ? lt_pipeline_leaking(session.pipeline) : 0;
	if (close_session(&session, !code && !err) || err || session.record_failed)
		code = code ? code : LT_EXIT_FAILURE;
	if (!code && options->fail_on_leak && leaking)
		code = LT_EXIT_LEAK;
	return leave(&session, code);
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
		lt_explain_stacks(&session.process, &text);
		fputs(text.data ? text.data : "", stdout);
		if (fflush(stdout))
			code = LT_EXIT_FAILURE;
	}
	close_session(&session, false);
	return code;
}
