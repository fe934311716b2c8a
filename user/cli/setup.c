// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "bpf/features.h"
#include "cli/exit_code.h"
#include "cli/golang.h"
#include "cli/images.h"
#include "cli/targets.h"
#include "export/output.h"
#include "proc/select.h"

int lt_setup_exit_code(int err)
{
	return err == -EACCES || err == -EPERM ? LT_EXIT_PERMISSION
	       : err == -ESRCH                 ? LT_EXIT_NO_TARGET
					       : LT_EXIT_FAILURE;
}

int lt_setup_launch(struct lt_session *session)
{
	char **command = session->options->command;
	int err;

	if (!command)
		return LT_EXIT_DONE;
	err = lt_launch_start(command, &session->launch);
	if (err)
		lt_error("cannot start %s: %s", command[0], strerror(-err));
	return err ? lt_setup_exit_code(err) : LT_EXIT_DONE;
}

/* Those that the options name; the command has been started by now. */
int lt_setup_targets(struct lt_session *session)
{
	const struct lt_options *options = session->options;
	_lt_buf_ struct lt_buf error = { 0 };
	_lt_close_ int proc_fd = open(LT_PROC_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_lt_close_ int cgroup_fd = -1;
	struct lt_pids pids = options->pids;
	int err = 0, code = LT_EXIT_DONE;

	if (options->name) {
		err = lt_select_by_name(proc_fd, options->name, &pids, &error);
	} else if (options->cgroup) {
		cgroup_fd = open(LT_CGROUP_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		err = lt_select_by_cgroup(cgroup_fd, proc_fd, options->cgroup, &pids, &error);
	} else if (session->launch) {
		pids.count = 0;
		lt_pids_add(&pids, lt_launch_pid(session->launch));
	}
	if (err) {
		lt_error("%s", error.data ? error.data : strerror(-err));
		return err == -ESRCH || err == -ENOENT ? LT_EXIT_NO_TARGET
						       : lt_setup_exit_code(err);
	}
	if (pids.left_out)
		lt_warn("%zu processes more are left out: %d are traced at most", pids.left_out,
			LT_MAX_TARGETS);
	for (size_t i = 0; i < pids.count && !code; i++) {
		code = lt_targets_open(session, pids.ids[i]);
		/* Of many that were found one may have gone since. */
		if (code == LT_EXIT_NO_TARGET && pids.count > 1 && !options->pids.count)
			code = LT_EXIT_DONE;
	}
	if (!code && !session->targets)
		code = LT_EXIT_NO_TARGET;
	return code;
}

void lt_setup_kinds(struct lt_session *session)
{
	bool only = lt_golang_only(session);

	if (session->chosen.kinds)
		return;
	session->kinds_by_target = true;
	session->chosen.kinds = only ? lt_golang_kinds(&session->chosen) : lt_options_all_kinds();
}

/* One without an allocator does not spoil the session for the others. */
int lt_setup_plans(struct lt_session *session)
{
	struct lt_target *target, *next;
	int code = LT_EXIT_DONE;
	size_t planned = 0;

	HASH_ITER(hh, session->targets, target, next) {
		code = lt_targets_plan(session, target, planned == 0);
		if (!code)
			planned++;
		else if (HASH_COUNT(session->targets) > 1)
			lt_targets_drop(session, target);
	}
	return planned ? LT_EXIT_DONE : code;
}

int lt_setup_features(struct lt_session *session)
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

int lt_setup_pipelines(struct lt_session *session)
{
	struct lt_pipelines_options options = {
		.top = session->options->top,
		.min_growth_per_hour = session->options->min_growth_per_hour,
		.on_round = lt_outputs_round,
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
	err = lt_pipelines_new(&session->pipelines, &options);
	if (err)
		lt_error("%s", strerror(-err));
	return err;
}

/* All that is there before the first process. */
int lt_setup_tracer(struct lt_session *session)
{
	struct lt_tracer_options options = {
		.ring_bytes = session->options->ring_size,
		.max_frames = session->options->max_frames,
		.kinds = session->options->kinds,
		.go_probes = session->options->go_probes,
		.follow = session->options->follow,
	};
	_lt_buf_ struct lt_buf error = { 0 };
	const int *rings;
	size_t ring_count;
	int err, life;

	for (struct lt_target *target = session->targets; target; target = target->hh.next) {
		_lt_free_ pid_t *tids = NULL;
		size_t count = 0;

		lt_process_threads(&target->process, &tids, &count);
		options.threads += count;
	}
	err = lt_tracer_open(&session->tracer, &session->features, &options, &error);
	if (err) {
		lt_error("%s", error.data ? error.data : strerror(-err));
		return err;
	}
	life = lt_tracer_life(session->tracer);
	ring_count = lt_tracer_rings(session->tracer, &rings);
	err = lt_live_new(&session->live, rings, ring_count, lt_feed_emit, session);
	if (!err)
		err = lt_live_new(&session->life, &life, 1, lt_targets_life, session);
	if (!err)
		err = lt_tables_new(&session->tables, lt_tracer_code(session->tracer));
	if (!err && lt_map_watch_open(&session->watch))
		session->watch = NULL; /* a look now and then has to do */
	session->wake_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!err && session->wake_fd < 0)
		err = -errno;
	session->shared = (struct lt_modules_shared){ .tracer = session->tracer,
						      .tables = session->tables,
						      .sink = lt_feed_emit,
						      .listen = lt_targets_listen,
						      .context = session };
	if (err)
		lt_error("tracing cannot begin: %s", strerror(-err));
	return err;
}

/*
 * Its exec and exit are told from now on; one that came before shows: the plan is of another
 * program's files.
 */
static int attach_target(struct lt_session *session, struct lt_target *target)
{
	_lt_buf_ struct lt_buf error = { 0 };
	int err = lt_tracer_add(session->tracer, target->pid, target->number,
				session->options->follow);

	if (!err)
		err = lt_targets_attach(session, target, &error);
	if (!err && !lt_targets_ready(session, target) && !session->launch)
		err = -ESRCH;
	if (!err)
		err = lt_images_add(session, target);
	if (err == -ESRCH)
		lt_error("pid %u ended or became another program just now: run leaktrace again",
			 target->pid);
	else if (err)
		lt_error("%s", error.data ? error.data : strerror(-err));
	return err;
}

int lt_setup_attach(struct lt_session *session)
{
	struct lt_target *target, *next;
	int err = 0;

	HASH_ITER(hh, session->targets, target, next) {
		err = attach_target(session, target);
		if (!err)
			continue;
		if (err != -ESRCH || HASH_COUNT(session->targets) == 1)
			break;
		lt_targets_drop(session, target);
		err = 0;
	}
	return err;
}

int lt_setup_start(struct lt_session *session)
{
	int err = 0;

	for (struct lt_target *target = session->targets; target && !err; target = target->hh.next)
		err = lt_feed_start(session, target, NULL);
	return err;
}

/*
 * The command stands whenever it has mapped code: each time what is new gets its probes and its
 * unwind table, so that its first allocation is seen.
 */
int lt_setup_start_command(struct lt_session *session)
{
	struct lt_target *target = session->targets;
	bool started = false;
	int err, code = LT_EXIT_DONE;

	while ((err = lt_launch_next(session->launch)) == 1) {
		_lt_buf_ struct lt_buf error = { 0 };

		err = lt_targets_look(session, target);
		if (!err)
			err = lt_targets_attach(session, target, &error);
		if (!err && lt_targets_ready(session, target) && !started) {
			started = true;
			err = lt_feed_start(session, target, NULL);
		} else if (!err && started) {
			err = lt_modules_start(target->image->modules, lt_feed_now());
		}
		if (err && err != -ENOENT)
			return err;
	}
	if (!err && !started)
		code = lt_targets_plan(session, target, true);
	/* What has ended already has a report as well: it says how. */
	if (err == -ECHILD || code == LT_EXIT_NO_TARGET)
		err = code = 0;
	if (!err && !started)
		err = code ? -ENOENT : lt_feed_start(session, target, NULL);
	return err;
}
