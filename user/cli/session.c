// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/session.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/census.h"
#include "cli/exit_code.h"
#include "cli/explain.h"
#include "cli/feed.h"
#include "cli/golang.h"
#include "cli/setup.h"
#include "cli/targets.h"

/* Rings are also read without a wake-up, so that a slow target's events are not old. */
#define DRAIN_PERIOD_MS 50
/* How often it is seen what the final report waits for; a signal ends the period. */
#define NAMES_PERIOD_MS 500
#define MAX_WAKES       16
#define COMMAND_WAIT_NS 20000000L

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
	/* A terminal that is closed, too: what was written into a target is to be taken back. */
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, before;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(&action.sa_mask, numbers[i]);
	signal(SIGPIPE, SIG_IGN);
	signal_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (signal_event < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (sigaction(numbers[i], NULL, &before))
			return -errno;
		/* nohup */
		if (numbers[i] == SIGHUP && before.sa_handler == SIG_IGN)
			continue;
		if (sigaction(numbers[i], &action, NULL))
			return -errno;
	}
	return signal_event;
}

static int drain_all(struct lt_session *session)
{
	int more;

	do {
		more = lt_live_drain(session->life);
		session->turn++;
		if (more >= 0)
			more = lt_live_drain(session->live);
	} while (more > 0);
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
	if (session->options->count && session->rounds + 1 >= session->options->count)
		return 1;
	return lt_feed_prepare(session);
}

/* The end of a process that BPF could not tell of, and of the command, whose status is ours to take. */
static void look_for_ends(struct lt_session *session)
{
	for (struct lt_target *target = session->targets; target; target = target->hh.next)
		if (!target->ended &&
		    (target->opened ? lt_process_check(&target->process)
				    : !lt_tracer_has_image(session->tracer, target->pid,
							   target->number))) {
			target->ended = true;
			target->end = (struct lt_event_end){ LT_END_EXITED, -1 };
		}
}

/* What the timers and the symbolizer have to say.  1: the final report is next. */
static int feed(struct lt_session *session)
{
	int err = 0;

	if (expired(session->sample_fd)) {
		err = lt_live_drain(session->life) < 0 ? -EIO : 0;
		look_for_ends(session);
		if (!err)
			err = lt_feed_sample(session);
	}
	if (!err && expired(session->report_fd))
		err = begin_report(session);
	if (err)
		return err;
	err = lt_feed_names(session);
	if (err == 0 && session->report_pending)
		err = write_report(session, lt_feed_report);
	return err < 0 ? err : 0;
}

static int turn(struct lt_session *session, int *more)
{
	int err = lt_live_drain(session->life);

	if (err < 0)
		return err;
	session->turn++;
	*more = lt_live_drain(session->live);
	if (*more < 0)
		return *more;
	/* What ended before this drain began has nothing more in the rings. */
	err = *more ? 0 : lt_targets_settle(session);
	if (!err)
		err = lt_feed_follow(session);
	if (!err)
		err = lt_targets_follow(session);
	return err ? err : feed(session);
}

/* Until a signal, the end of all targets, or the last report but one. */
static int loop(struct lt_session *session)
{
	struct epoll_event events[MAX_WAKES];
	int more = 0, err = 0;

	while (!err && !signals && lt_targets_alive(session)) {
		if (epoll_wait(session->wake_fd, events, MAX_WAKES, more ? 0 : DRAIN_PERIOD_MS) <
			    0 &&
		    errno != EINTR)
			return -errno;
		err = turn(session, &more);
	}
	return err < 0 ? err : 0;
}

static int wait_for_names(struct lt_session *session, int enough)
{
	struct epoll_event events[MAX_WAKES];
	size_t missing;
	int err;

	while ((err = lt_feed_names(session)) > 0 && signals < enough)
		if (epoll_wait(session->wake_fd, events, MAX_WAKES, NAMES_PERIOD_MS) < 0 &&
		    errno != EINTR)
			return -errno;
	missing = lt_feed_missing(session);
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
	int enough = signals ? 2 : 1;
	int err = lt_census_take(session);

	/* What it showed for the first time must be seen twice. */
	if (!err)
		err = lt_census_confirm(session);
	lt_tracer_detach(session->tracer);
	session->detached = true;
	for (struct lt_image *image = session->images; image && signals; image = image->next)
		lt_resolver_stop_network(image->resolver);
	if (!err)
		err = drain_all(session);
	look_for_ends(session);
	/* After all events: what lives at the last look is what lives. */
	if (!err)
		err = lt_golang_take(session, true);
	for (struct lt_target *target = session->targets; target; target = target->hh.next)
		lt_golang_leave(session, target);
	if (!err)
		err = lt_targets_settle(session);
	if (!err)
		err = lt_feed_sample(session);
	if (!err)
		err = lt_feed_end(session);
	if (!err)
		err = wait_for_names(session, enough);
	return err ? err : write_report(session, lt_feed_final);
}

static int add_wakes(struct lt_session *session)
{
	const int fds[] = { session->signal_fd,
			    session->sample_fd,
			    session->report_fd,
			    lt_live_fd(session->live),
			    lt_live_fd(session->life),
			    lt_tables_fd(session->tables),
			    session->watch ? lt_map_watch_fd(session->watch) : -1 };
	struct epoll_event event = { .events = EPOLLIN };

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] >= 0 && epoll_ctl(session->wake_fd, EPOLL_CTL_ADD, fds[i], &event))
			return -errno;
	return 0;
}

static void tell_tables(const struct lt_session *session)
{
	for (const struct lt_image *image = session->images; image; image = image->next) {
		_lt_buf_ struct lt_buf text = { 0 };

		lt_modules_print(image->modules, &text);
		lt_info("%s", text.data ? text.data : "");
	}
}

static void tell_attached(const struct lt_session *session)
{
	for (const struct lt_target *target = session->targets; target; target = target->hh.next) {
		const struct lt_plan *plan = session->options->follow ? &session->plan
								      : &target->plan;
		_lt_buf_ struct lt_buf others = { 0 }, where = { 0 };

		if (plan->file_count > 1)
			lt_buf_printf(&others, " and %zu other file%s", plan->file_count - 1,
				      plan->file_count == 2 ? "" : "s");
		lt_golang_describe(target, &where);
		if (target->attached.count)
			lt_buf_printf(&where, ": %zu probes in %s%s", plan->probe_count,
				      plan->file_count ? plan->files[0].path : "no file yet",
				      others.data ? others.data : "");
		lt_info("attached to pid %u (%s)%s; Ctrl-C for the final report", target->pid,
			target->process.comm, where.data ? where.data : "");
	}
}

static int run(struct lt_session *session)
{
	int err;

	session->signal_fd = catch_signals();
	session->sample_fd = periodic_timer(1);
	session->report_fd = periodic_timer(session->options->interval_s);
	if (session->signal_fd < 0 || session->sample_fd < 0 || session->report_fd < 0)
		return -EMFILE;
	err = add_wakes(session);
	if (err)
		return err;
	if (!session->launch)
		err = lt_setup_start(session) ?: lt_golang_begin(session);
	if (err)
		return err;
	lt_tracer_activate(session->tracer);
	if (session->launch)
		err = lt_setup_start_command(session);
	if (err)
		return err;
	err = lt_census_take(session);
	if (!err)
		err = lt_golang_take(session, true);
	if (err)
		return err;
	tell_attached(session);
	if (session->kinds_by_target && session->options->kinds != lt_options_all_kinds())
		lt_info("of Go programs goroutines and heap are watched%s: --kinds all adds %s",
			session->options->go_probes ? ", and what its probes see" : "",
			session->options->go_probes
				? "contexts, descriptors, threads, mappings, C memory"
				: "descriptors, threads, mappings, C memory");
	if (session->options->verbose)
		tell_tables(session);
	err = loop(session);
	return err ? err : finish(session);
}

/* Closed in the reverse order of opening; the targets are let go first. */
static int close_session(struct lt_session *session, bool clean)
{
	int err = 0, last;

	lt_live_free(session->live);
	lt_live_free(session->life);
	if (session->tracer)
		lt_tracer_detach(session->tracer);
	for (struct lt_image *image = session->images; image; image = image->next)
		lt_resolver_stop_network(image->resolver);
	lt_targets_free(session);
	lt_map_watch_close(session->watch);
	lt_pipelines_free(session->pipelines);
	if (session->recorder) {
		err = lt_recorder_close(session->recorder);
		if (err)
			lt_error("cannot write %s: %s", session->options->record, strerror(-err));
	}
	last = lt_outputs_close(&session->outputs, clean);
	if (last && !err)
		lt_error("cannot write %s: %s", session->options->json, strerror(-last));
	lt_close_p(&session->signal_fd);
	lt_close_p(&session->sample_fd);
	lt_close_p(&session->report_fd);
	lt_close_p(&session->wake_fd);
	return err ? err : last;
}

/*
 * A lookup in hand may take minutes, and would be waited for; exit() would take the libraries from
 * under it.  Its image still stands in the list; all else is closed by now.
 */
static int leave(struct lt_session *session, int code)
{
	if (session->detached && !session->options->quiet && isatty(STDERR_FILENO) &&
	    lt_tracer_lingers(session->tracer))
		lt_info("the process is free; the kernel takes some seconds to let go of system "
			"calls");
	if (session->images) {
		fflush(NULL);
		_exit(code);
	}
	lt_tables_free(session->tables);
	lt_tracer_free(session->tracer);
	return code;
}

static const struct lt_session closed_session = {
	.signal_fd = -1,
	.sample_fd = -1,
	.report_fd = -1,
	.wake_fd = -1,
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

/*
 * The command's own, for which we wait: a signal that ends the wait, ends us.  Only if all is well
 * with it do our findings count.
 */
static int exit_code_of_command(struct lt_session *session, int code)
{
	int status, ended;

	if (!session->options->propagate_exit || !session->launch || (code && code != LT_EXIT_LEAK))
		return code;
	if (signals) {
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
	}
	while ((ended = lt_launch_wait(session->launch, &status)) == 0)
		nanosleep(&(struct timespec){ .tv_nsec = COMMAND_WAIT_NS }, NULL);
	if (ended < 0)
		return code ? code : LT_EXIT_FAILURE;
	return lt_launch_exit_code(status) ? lt_launch_exit_code(status) : code;
}

int lt_session_run(const struct lt_options *options)
{
	struct lt_session session = closed_session;
	int code, err = 0;
	size_t leaking;

	session.chosen = *options;
	session.options = &session.chosen;
	code = lt_setup_launch(&session);
	raise_fd_limit();
	if (!code)
		code = lt_setup_targets(&session);
	if (!code)
		lt_setup_kinds(&session);
	if (!code)
		code = lt_setup_features(&session);
	if (!code && !session.launch)
		code = lt_setup_plans(&session);
	if (!code && lt_setup_pipelines(&session))
		code = LT_EXIT_FAILURE;
	if (!code) {
		err = lt_setup_tracer(&session);
		if (!err)
			err = lt_setup_attach(&session);
		code = err ? lt_setup_exit_code(err) : LT_EXIT_DONE;
	}
	if (!code) {
		err = run(&session);
		if (err && err != -EPIPE)
			lt_error("the session ended early: %s", strerror(-err));
	}
	leaking = session.pipelines ? lt_pipelines_leaking(session.pipelines) : 0;
	if (close_session(&session, !code && !err) || err || session.record_failed)
		code = code ? code : LT_EXIT_FAILURE;
	if (!code && options->fail_on_leak && leaking)
		code = LT_EXIT_LEAK;
	code = exit_code_of_command(&session, code);
	lt_launch_free(session.launch);
	return leave(&session, code);
}

int lt_session_explain(const struct lt_options *options)
{
	struct lt_session session = closed_session;
	_lt_buf_ struct lt_buf text = { 0 };
	int code;

	session.chosen = *options;
	session.options = &session.chosen;
	code = lt_setup_targets(&session);
	if (!code)
		lt_setup_kinds(&session);
	for (struct lt_target *target = session.targets; target && !code;
	     target = target->hh.next) {
		code = lt_targets_plan(&session, target, false);
		if (code)
			break;
		lt_plan_print(options->follow ? &session.plan : &target->plan, &target->process,
			      &text);
		lt_explain_go(&target->process, options->go_probes, &text);
		lt_explain_stacks(&target->process, &text);
	}
	if (!code) {
		fputs(text.data ? text.data : "", stdout);
		if (fflush(stdout))
			code = LT_EXIT_FAILURE;
	}
	close_session(&session, false);
	return code;
}
