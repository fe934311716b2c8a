// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/targets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/exit_code.h"
#include "cli/golang.h"
#include "cli/images.h"
#include "cli/setup.h"

#define STARTUP_TRIES   20
#define STARTUP_WAIT_NS 50000000L

struct lt_target *lt_targets_find(const struct lt_session *session, uint32_t number)
{
	struct lt_target *target;

	HASH_FIND(hh, session->targets, &number, sizeof(number), target);
	return target;
}

size_t lt_targets_alive(const struct lt_session *session)
{
	size_t alive = 0;

	for (const struct lt_target *target = session->targets; target; target = target->hh.next)
		alive += !target->ended;
	return alive;
}

static struct lt_target *add(struct lt_session *session, uint32_t number, uint32_t pid)
{
	struct lt_target *target = calloc(1, sizeof(*target));

	if (!target)
		return NULL;
	target->number = number;
	target->pid = pid;
	target->process = (struct lt_process){ .proc_fd = -1, .pid_fd = -1 };
	HASH_ADD(hh, session->targets, number, sizeof(target->number), target);
	if (target->hh.tbl)
		return target;
	free(target);
	return NULL;
}

void lt_targets_drop(struct lt_session *session, struct lt_target *target)
{
	HASH_DEL(session->targets, target);
	lt_golang_leave(session, target);
	if (session->tracer)
		lt_code_forget(lt_tracer_code(session->tracer), target->number);
	lt_images_leave(session, target);
	lt_plan_free(&target->plan);
	lt_process_close(&target->process);
	free(target);
}

void lt_targets_free(struct lt_session *session)
{
	struct lt_target *target, *next;

	HASH_ITER(hh, session->targets, target, next)
		lt_targets_drop(session, target);
	lt_plan_free(&session->plan);
}

/* Plans */

int lt_targets_open(struct lt_session *session, pid_t pid)
{
	struct lt_process process = { .proc_fd = -1, .pid_fd = -1 };
	int err = lt_process_open(pid, &process);
	struct lt_target *target;

	if (err == -ESRCH) {
		lt_error("no process with pid %d: see ps -e", pid);
		return LT_EXIT_NO_TARGET;
	}
	if (err) {
		lt_error("cannot look at pid %d: %s", pid, strerror(-err));
		return lt_setup_exit_code(err);
	}
	if (process.kernel_thread || process.bits32) {
		lt_error(process.bits32
				 ? "pid %d (%s) is a 32-bit program: only 64-bit targets can "
				   "be traced"
				 : "pid %d (%s) is a kernel thread: it has no user memory to "
				   "trace",
			 pid, process.comm);
		lt_process_close(&process);
		return LT_EXIT_NO_TARGET;
	}
	/* A thread's id means its process, which may have been named already. */
	if (lt_targets_find(session, (uint32_t)process.tgid_init)) {
		lt_process_close(&process);
		return LT_EXIT_DONE;
	}
	target = add(session, (uint32_t)process.tgid_init, (uint32_t)process.tgid_init);
	if (!target) {
		lt_process_close(&process);
		return LT_EXIT_FAILURE;
	}
	target->process = process;
	target->opened = target->given = true;
	return LT_EXIT_DONE;
}

/* Where probes are remembered: what is inherited serves all processes alike. */
static struct lt_plan *plan_of(struct lt_session *session, struct lt_target *target)
{
	return session->options->follow ? &session->plan : &target->plan;
}

/* Adds what the process maps by now and nobody looked at before.  -ENOENT: no allocator in it. */
static int plan_more(struct lt_session *session, struct lt_target *target,
		     const struct lt_maps *maps)
{
	struct lt_plan *known = plan_of(session, target), more = { 0 };
	int err = lt_plan_more(&target->process, maps, &session->options->plan, known, &more);

	if (err && err != -ENOENT)
		return err;
	return lt_plan_append(known, &more) ?: err;
}

static bool maps_file(const struct lt_maps *maps, const struct lt_plan_file *file)
{
	for (size_t i = 0; i < maps->count; i++)
		if (maps->entries[i].executable && maps->entries[i].inode == file->inode &&
		    maps->entries[i].device == file->device)
			return true;
	return false;
}

static bool has_allocator(struct lt_session *session, struct lt_target *target,
			  const struct lt_maps *maps)
{
	const struct lt_plan *plan = plan_of(session, target);

	for (size_t i = 0; i < plan->file_count; i++)
		if (maps_file(maps, &plan->files[i]))
			return true;
	return false;
}

/*
 * Only the heap needs probes: all else is seen by the kernel.  What Go programs allocate in C has to be
 * asked for.
 */
static bool wants_probes(const struct lt_session *session, const struct lt_target *target)
{
	return session->options->kinds >> LT_KIND_HEAP & 1 &&
	       !(target->is_go && session->kinds_by_target);
}

int lt_targets_look(struct lt_session *session, struct lt_target *target)
{
	struct lt_maps maps = { 0 };
	int err;

	if (!wants_probes(session, target))
		return 0;
	err = lt_maps_read(&target->process, &maps);
	if (!err)
		err = plan_more(session, target, &maps);
	if ((!err || err == -ENOENT))
		err = has_allocator(session, target, &maps) ? 0 : -ENOENT;
	lt_maps_free(&maps);
	return err;
}

static void tell_skips(const struct lt_plan *plan)
{
	for (size_t i = 0; i < plan->skip_count; i++)
		if (plan->skips[i].allocator)
			lt_warn("%s has an allocator of a kind that is not known: what it "
				"allocates "
				"is not seen (--allocator names it)",
				plan->skips[i].what);
		else if (plan->skips[i].unmatched)
			lt_warn("--allocator %s: %s", plan->skips[i].what, plan->skips[i].why);
}

int lt_targets_plan(struct lt_session *session, struct lt_target *target, bool patient)
{
	pid_t pid = target->process.pid;
	int err = lt_targets_look(session, target);

	/* A process that has just been started has not mapped its C library yet. */
	for (int tries = 1; patient && !target->is_go && tries < STARTUP_TRIES && err == -ENOENT;
	     tries++) {
		nanosleep(&(struct timespec){ .tv_nsec = STARTUP_WAIT_NS }, NULL);
		err = lt_targets_look(session, target);
	}
	if (err == -ESRCH && session->launch)
		return LT_EXIT_NO_TARGET; /* its end will be told */
	if (err == -EACCES || err == -EPERM) {
		lt_error("cannot read the mappings of pid %d: run as root (sudo leaktrace ...)",
			 pid);
		return LT_EXIT_PERMISSION;
	}
	if (err && err != -ENOENT) {
		lt_error("cannot read the mappings of pid %d: %s", pid, strerror(-err));
		return lt_setup_exit_code(err);
	}
	if (session->options->explain)
		return LT_EXIT_DONE;
	tell_skips(plan_of(session, target));
	/* Go has an allocator of its own, and is seen without probes. */
	if (err == -ENOENT && !target->is_go) {
		_lt_buf_ struct lt_buf names = { 0 };

		lt_family_names(&names);
		lt_error("no supported allocator found in pid %d (%s are): "
			 "leaktrace --explain -p %d says what was looked at, and --kinds without "
			 "heap "
			 "does without",
			 pid, lt_buf_error(&names) ? "no" : names.data, pid);
		return LT_EXIT_FAILURE;
	}
	return LT_EXIT_DONE;
}

/* False: there is no room for it. */
static bool set_adds(struct lt_file_set *set, size_t file)
{
	if (file >= LT_SET_FILES)
		return false;
	set->count += !lt_file_set_has(set, file);
	set->words[file / 64] |= UINT64_C(1) << file % 64;
	return true;
}

/* A plan that borrows all from another one: the files that the process maps and has no probes in. */
static int select_files(const struct lt_plan *plan, const struct lt_maps *maps,
			struct lt_file_set *attached, struct lt_plan *chosen)
{
	_lt_free_ bool *mapped = calloc(plan->file_count + 1, sizeof(*mapped));
	const struct lt_file_set before = *attached;

	*chosen = *plan;
	chosen->probes = calloc(plan->probe_count + 1, sizeof(*chosen->probes));
	if (!mapped || !chosen->probes)
		return -ENOMEM;
	chosen->probe_count = 0;
	for (size_t i = 0; i < plan->file_count; i++)
		mapped[i] = maps_file(maps, &plan->files[i]);
	for (size_t i = 0; i < plan->probe_count; i++) {
		uint32_t file = plan->probes[i].file;

		if (mapped[file] && !lt_file_set_has(&before, file) && set_adds(attached, file))
			chosen->probes[chosen->probe_count++] = plan->probes[i];
	}
	return 0;
}

int lt_targets_attach(struct lt_session *session, struct lt_target *target, struct lt_buf *error)
{
	struct lt_file_set attached = target->attached;
	struct lt_maps maps = { 0 };
	struct lt_plan chosen = { 0 };
	int err;

	if (!wants_probes(session, target))
		return 0;
	err = lt_maps_read(&target->process, &maps);
	if (!err)
		err = select_files(plan_of(session, target), &maps, &attached, &chosen);
	if (err)
		lt_buf_printf(error, "probes cannot be attached to pid %u: %s", target->pid,
			      strerror(-err));
	if (!err && chosen.probe_count)
		err = lt_tracer_attach(session->tracer, &target->process, &chosen, error);
	if (!err)
		target->attached = attached;
	if (!err && chosen.probe_count)
		target->attached_ns = lt_feed_now();
	free(chosen.probes);
	lt_maps_free(&maps);
	return err;
}

bool lt_targets_ready(const struct lt_session *session, const struct lt_target *target)
{
	return target->attached.count || target->is_go || !wants_probes(session, target);
}

/* An allocator that is mapped later, or by another program: not worth the session if it fails. */
static void attach_later(struct lt_session *session, struct lt_target *target)
{
	_lt_buf_ struct lt_buf error = { 0 };
	int err = lt_targets_look(session, target);

	if (!err && lt_targets_attach(session, target, &error) &&
	    !lt_process_check(&target->process))
		lt_warn("%s", error.data ? error.data : "out of memory");
}

static int own_image(struct lt_session *session, struct lt_target *target)
{
	int err;

	target->strayed = false;
	lt_images_leave(session, target);
	err = lt_images_add(session, target);
	if (err) /* it is gone, as far as names are concerned */
		return err == -ENOMEM ? err : 0;
	target->planned = 0;
	return lt_feed_unshare(session, target);
}

int lt_targets_follow(struct lt_session *session)
{
	int err;

	for (struct lt_target *target = session->targets; target; target = target->hh.next) {
		unsigned int changes;

		if (!target->image || target->ended)
			continue;
		/* What an exec has mapped is not this one's. */
		err = target->strayed && lt_tracer_has_image(session->tracer, target->pid,
							     target->number)
			      ? own_image(session, target)
			      : 0;
		if (err)
			return err;
		if (!target->image)
			continue;
		changes = lt_modules_changes(target->image->modules);
		if (target->planned == changes)
			continue;
		target->planned = changes;
		attach_later(session, target);
	}
	return 0;
}

/* Lives */

static struct lt_target *find_pid(struct lt_session *session, uint32_t pid)
{
	struct lt_target *target = session->targets;

	while (target && (target->pid != pid || target->ended))
		target = target->hh.next;
	return target;
}

static void note_change(void *context, const struct lt_map_change *change)
{
	struct lt_session *session = context;
	struct lt_target *target = find_pid(session, change->pid);

	if (!target || !target->image)
		return;
	if (target->image->process.tgid_init == (pid_t)change->pid)
		lt_modules_note(target->image->modules, change);
	else
		target->strayed = true; /* it shared another's code until now */
}

void lt_targets_listen(void *context)
{
	struct lt_session *session = context;

	if (!session->watch ||
	    lt_map_watch_read(session->watch, note_change, session) != -EOVERFLOW)
		return;
	for (struct lt_image *image = session->images; image; image = image->next)
		lt_modules_doubt(image->modules);
}

static void end(const struct lt_session *session, struct lt_target *target, uint32_t reason,
		int32_t status)
{
	target->ended = true;
	target->ended_turn = session->turn;
	target->end = (struct lt_event_end){ reason, status };
}

/* A new process image: of a fork, with the code of its parent, or of an exec, with its own. */
static int begin(struct lt_session *session, const struct lt_event *event, struct lt_target *before,
		 bool same_code)
{
	struct lt_target *target = add(session, event->life.process, event->life.pid);
	int err;

	if (!target)
		return -ENOMEM;
	if (before) {
		target->parent_pid = event->life.what == LT_WIRE_EXEC ? before->parent_pid
								      : before->pid;
		target->given = before->given && event->life.what == LT_WIRE_EXEC;
		/* What was forked while its parent got its probes has some of them. */
		if (event->time_ns > before->attached_ns)
			target->attached = before->attached;
	}
	target->opened = lt_process_open((pid_t)event->life.pid, &target->process) == 0;
	/* It, and not another one that has its pid by now, or another program. */
	if (target->opened && !lt_tracer_has_image(session->tracer, target->pid, target->number)) {
		lt_process_close(&target->process);
		target->process = (struct lt_process){ .proc_fd = -1, .pid_fd = -1 };
		target->opened = false;
	}
	if (!target->opened) {
		snprintf(target->process.comm, sizeof(target->process.comm), "%s",
			 event->life.comm);
		target->process.ns_pid = before && before->pid == (uint32_t)before->process.ns_pid
						 ? (pid_t)event->life.pid
						 : 0;
	}
	if (same_code && before && before->image) {
		lt_targets_listen(session); /* what its parent had mapped it has as well */
		target->strayed = before->strayed;
		target->image = before->image;
		target->image->holders++;
		target->planned = lt_modules_changes(target->image->modules) -
				  !target->attached.count;
		/* BPF gave it the space that its parent had then. */
		err = lt_modules_serve(target->image->modules, target->number);
		/* Too many processes at a time: its code is not known to BPF. */
		return err && err != -E2BIG ? err : lt_feed_start(session, target, before);
	}
	/* What is gone already cannot be looked at: its events come without names. */
	lt_golang_recognise(target);
	err = target->opened ? lt_images_add(session, target) : 0;
	if (err == -ENOMEM)
		return err;
	if (target->image)
		attach_later(session, target);
	return lt_feed_start(session, target, NULL);
}

int lt_targets_life(void *context, const struct lt_event *event)
{
	struct lt_session *session = context;
	struct lt_target *target = lt_targets_find(session, event->tgid);
	int status = (int)event->life.status;

	switch (event->life.what) {
	case LT_WIRE_FORK:
		return begin(session, event, target, status == 0);
	case LT_WIRE_EXEC:
		if (target)
			end(session, target, LT_END_EXEC, 0);
		return event->life.process ? begin(session, event, target, false) : 0;
	case LT_WIRE_EXIT:
		if (!target)
			session->strays++;
		else if (WIFSIGNALED(status))
			end(session, target, LT_END_KILLED, WTERMSIG(status));
		else
			end(session, target, LT_END_EXITED, WEXITSTATUS(status));
	}
	return 0;
}

/* In a report of its own, as one that the user knows of; else in the sum. */
static int settle(struct lt_session *session, struct lt_target *target, bool known)
{
	int err = known && !target->told_end ? lt_feed_leave(session, target) : 0;

	if (err || (known && !lt_feed_may_go(target)))
		return err;
	err = lt_feed_gone(session, target);
	lt_targets_drop(session, target);
	return err;
}

int lt_targets_settle(struct lt_session *session)
{
	bool last = !lt_targets_alive(session); /* the session's final reports come */
	struct lt_target *target, *next;
	int err = 0;

	HASH_ITER(hh, session->targets, target, next) {
		bool known = target->given || target->reports;

		if (!target->ended || target->ended_turn == session->turn || err || (last && known))
			continue;
		err = settle(session, target, known);
	}
	return err;
}
