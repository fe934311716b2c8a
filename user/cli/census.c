// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/census.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/kind.h"
#include "base/log.h"
#include "cli/targets.h"
#include "model/handles.h"
#include "probe/starts.h"
#include "proc/descriptors.h"
#include "proc/limits.h"
#include "proc/sockets.h"
#include "proc/tasks.h"

/* How long a look at a network's sockets may take, while nobody reads the rings. */
#define SOCKETS_BUDGET_NS (200 * 1000000ULL)
/* Threads whose names are looked up each time; of more, only those of new ones are. */
#define MAX_RENAMED 1024
/* Targets whose limits are looked up: that is a look at all processes of the machine each time. */
#define MAX_LIMITED 16

/* The sockets of the networks that were met in one round. */
struct network {
	dev_t device;
	ino_t inode;
	struct lt_sockets sockets;
	struct network *next;
};

/* One look at one target. */
struct look {
	struct lt_session *session;
	struct lt_target *target;
	uint64_t from_ns;
	bool listed[LT_LISTINGS];
	struct lt_descriptors descriptors;
	pid_t *tids;
	size_t tid_count;
};

struct round {
	struct network *networks;
	bool limits; /* are looked up */
};

static bool wants(const struct lt_session *session, uint8_t listing)
{
	for (size_t i = 0; i < LT_KINDS; i++)
		if (lt_kind_infos[i].listing == listing &&
		    session->options->kinds >> lt_kind_infos[i].value & 1)
			return true;
	return false;
}

/*
 * What is done to a table of descriptors that several share is told of its owner alone.  Goroutines are not
 * the kernel's: cli/gowalk.h.
 */
static bool has(const struct lt_session *session, const struct lt_target *target, uint8_t listing)
{
	return wants(session, listing) && listing != LT_LISTING_GOROUTINES &&
	       (listing != LT_LISTING_DESCRIPTORS ||
		!lt_tracer_borrows_table(session->tracer, target->pid));
}

static struct lt_event event_of(const struct look *look, enum lt_event_type type)
{
	return (struct lt_event){ .type = (uint8_t)type,
				  .tgid = look->target->number,
				  .time_ns = look->from_ns };
}

static int read_lists(struct look *look)
{
	const struct lt_process *process = &look->target->process;
	int err = 0;

	for (int listing = LT_LISTING_NOWHERE + 1; listing < LT_LISTINGS; listing++)
		look->listed[listing] = has(look->session, look->target, (uint8_t)listing);
	look->from_ns = lt_feed_now();
	if (look->listed[LT_LISTING_DESCRIPTORS])
		err = lt_descriptors_read(process, &look->descriptors);
	if (!err && look->listed[LT_LISTING_THREADS])
		err = lt_process_threads(process, &look->tids, &look->tid_count);
	/* What was listed is that of the image that events tell of. */
	if (!err &&
	    !lt_tracer_has_image(look->session->tracer, look->target->pid, look->target->number))
		err = -ESRCH;
	return err;
}

/* In pieces, each of which says which ids it covers. */
static int tell_listing(const struct look *look, uint8_t listing, const struct lt_listed *items,
			size_t count)
{
	struct lt_event event = event_of(look, LT_EVENT_CENSUS);
	uint64_t low = 0;
	int err = 0;

	for (size_t at = 0; !err && (at < count || !at); at += LT_CENSUS_ITEMS) {
		size_t left = count - at;
		bool last = left <= LT_CENSUS_ITEMS;
		uint32_t part = last ? (uint32_t)left : LT_CENSUS_ITEMS;
		uint64_t high = last ? UINT64_MAX : items[at + part - 1].id;

		event.census = (struct lt_event_census){
			.listing = listing,
			.count = part,
			.from_ns = look->from_ns,
			.low = low,
			.high = high,
			.items = items + at,
		};
		err = lt_feed_emit(look->session, &event);
		low = high + 1;
		if (last)
			break;
	}
	return err;
}

static int tell_descriptors(const struct look *look)
{
	const struct lt_descriptors *list = &look->descriptors;
	_lt_free_ struct lt_listed *items = calloc(list->count + 1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++)
		items[i] = (struct lt_listed){
			.id = list->entries[i].fd,
			.kind = list->entries[i].socket_inode ? LT_KIND_SOCKET : LT_KIND_FD,
		};
	return tell_listing(look, LT_LISTING_DESCRIPTORS, items, list->count);
}

/* Those that events told of need not be dated. */
struct known_threads {
	struct lt_listed *items;
	size_t count, at;
};

static void note_known(void *context, const struct lt_handle *handle)
{
	struct known_threads *known = context;

	if (handle->listing != LT_LISTING_THREADS || !handle->born_ns)
		return;
	while (known->at < known->count && known->items[known->at].id < handle->id)
		known->at++;
	if (known->at < known->count && known->items[known->at].id == handle->id)
		known->items[known->at].born_ns = handle->born_ns;
}

static int tell_threads(const struct look *look)
{
	_lt_free_ struct lt_listed *items = calloc(look->tid_count + 1, sizeof(*items));
	struct known_threads known = { items, look->tid_count, 0 };
	struct lt_task task;

	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < look->tid_count; i++)
		items[i] = (struct lt_listed){ .id = (uint64_t)look->tids[i],
					       .kind = LT_KIND_THREAD };
	lt_pipeline_handles(look->target->pipeline, note_known, &known);
	for (size_t i = 0; i < look->tid_count; i++)
		if (!items[i].born_ns &&
		    !lt_task_read(&look->target->process, (uint32_t)items[i].id, &task))
			items[i].born_ns = task.born_ns;
	return tell_listing(look, LT_LISTING_THREADS, items, look->tid_count);
}

/* Sockets of the target's network; NULL: the kernel does not tell of them. */
static const struct lt_sockets *sockets_of(struct look *look, struct network **networks)
{
	const struct lt_process *process = &look->target->process;
	struct network *network;
	struct stat status;
	int err;

	if (fstatat(process->proc_fd, "ns/net", &status, 0))
		return NULL;
	for (network = *networks; network; network = network->next)
		if (network->device == status.st_dev && network->inode == status.st_ino)
			return &network->sockets;
	network = calloc(1, sizeof(*network));
	if (!network)
		return NULL;
	network->device = status.st_dev;
	network->inode = status.st_ino;
	err = lt_sockets_read(process, SOCKETS_BUDGET_NS, &network->sockets);
	if (err && err != -ESRCH && !look->session->told_no_sockets) {
		look->session->told_no_sockets = true;
		lt_warn("what sockets are connected to is not known: %s%s", strerror(-err),
			err == -ENOENT ? " (modprobe inet_diag tcp_diag udp_diag unix_diag)" : "");
	}
	network->next = *networks;
	*networks = network;
	return &network->sockets;
}

/* What a resource is now; strings are borrowed. */
struct description {
	uint8_t listing;
	uint64_t id, key;
	const char *type, *name, *local, *state;
	char comm[LT_COMM_BYTES];
};

/* Those that are new or have changed since they were told. */
struct changes {
	struct look *look;
	const struct lt_sockets *sockets;
	struct description *items;
	size_t count, room;
};

static bool differs(const struct lt_handle *handle, const struct description *now)
{
	return !handle->described || handle->key != now->key || strcmp(handle->type, now->type) ||
	       strcmp(handle->name, now->name) || strcmp(handle->local, now->local) ||
	       strcmp(handle->state, now->state);
}

static int compare_fds(const void *a, const void *b)
{
	const struct lt_descriptor *left = a, *right = b;

	return (left->fd > right->fd) - (left->fd < right->fd);
}

/*
 * A socket that the kernel tells no more of: its connection was reset or is closed on both sides.  It
 * was connected to what it was told to be.
 */
static bool describe_unlisted(const struct changes *changes, const struct lt_handle *handle,
			      const struct lt_descriptor *entry, struct description *now)
{
	const struct lt_sockets *sockets = changes->sockets;
	const char *type;

	if (handle->described && (!sockets || sockets->cut))
		return false;
	type = lt_socket_type(&changes->look->target->process, entry->fd);
	now->type = type ? type : entry->type;
	if (handle->described && handle->name[0] && !strcmp(now->type, handle->type)) {
		now->name = handle->name;
		now->local = handle->local;
		now->state = handle->state[0] ? "CLOSE" : "";
	}
	return true;
}

static bool describe_descriptor(const struct changes *changes, const struct lt_handle *handle,
				struct description *now)
{
	const struct lt_descriptors *list = &changes->look->descriptors;
	struct lt_descriptor wanted = { .fd = (uint32_t)handle->id };
	const struct lt_descriptor *entry = list->count
						    ? bsearch(&wanted, list->entries, list->count,
							      sizeof(wanted), compare_fds)
						    : NULL;
	const struct lt_sockets *sockets = changes->sockets;
	const struct lt_socket *socket = NULL;

	if (!entry)
		return false;
	now->type = entry->type;
	now->name = entry->name;
	if (entry->socket_inode && sockets)
		socket = lt_sockets_find(sockets, entry->socket_inode);
	if (entry->socket_inode && !socket)
		return describe_unlisted(changes, handle, entry, now);
	if (socket) {
		now->type = socket->type;
		now->name = socket->remote;
		now->local = socket->local;
		now->state = socket->state;
	}
	return true;
}

/* 0: not known. */
static uint64_t start_of(const struct look *look, uint32_t tid)
{
	uint64_t block = lt_tracer_thread_block(look->session->tracer, tid);
	struct lt_target *target = look->target;

	if (!block)
		return 0;
	if (!target->starts_looked_for)
		target->start_offset = lt_start_offset(&target->process);
	target->starts_looked_for = true;
	return lt_start_function((pid_t)tid, block, target->start_offset);
}

static bool describe_thread(const struct changes *changes, const struct lt_handle *handle,
			    struct description *now)
{
	struct look *look = changes->look;
	const struct lt_process *process = &look->target->process;
	uint32_t tid = (uint32_t)handle->id;
	struct lt_task task;

	if ((handle->described && look->tid_count > MAX_RENAMED) ||
	    lt_task_read(process, tid, &task))
		return false;
	memcpy(now->comm, task.comm, sizeof(now->comm));
	now->type = "thread";
	now->key = handle->described ? handle->key : start_of(look, tid);
	return true;
}

static void note_change(void *context, const struct lt_handle *handle)
{
	static bool (*const describe[LT_LISTINGS])(const struct changes *changes,
						   const struct lt_handle *handle,
						   struct description *now) = {
		[LT_LISTING_DESCRIPTORS] = describe_descriptor,
		[LT_LISTING_THREADS] = describe_thread,
	};
	struct changes *changes = context;
	struct description now = {
		.listing = handle->listing, .id = handle->id, .name = "", .local = "", .state = ""
	};

	if (!describe[handle->listing] || !describe[handle->listing](changes, handle, &now))
		return;
	if (now.comm[0])
		now.name = now.comm;
	if (!differs(handle, &now))
		return;
	if (changes->count == changes->room) {
		size_t room = changes->room ? 2 * changes->room : 64;
		struct description *items = reallocarray(changes->items, room, sizeof(*items));

		if (!items)
			return; /* told at the next look */
		changes->items = items;
		changes->room = room;
	}
	changes->items[changes->count++] = now;
}

static bool holds_sockets(const struct lt_descriptors *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->entries[i].socket_inode)
			return true;
	return false;
}

static int tell_changes(struct look *look, struct network **networks)
{
	struct changes changes = { .look = look };
	struct lt_event event = event_of(look, LT_EVENT_DESCRIBE);
	int err = 0;

	if (holds_sockets(&look->descriptors))
		changes.sockets = sockets_of(look, networks);
	lt_pipeline_handles(look->target->pipeline, note_change, &changes);
	for (size_t i = 0; i < changes.count && !err; i++) {
		const struct description *now = &changes.items[i];

		event.describe = (struct lt_event_describe){
			.listing = now->listing,
			.id = now->id,
			.key = now->key,
			.type = now->type,
			.name = now->comm[0] ? now->comm : now->name,
			.local = now->local,
			.state = now->state,
		};
		err = lt_feed_emit(look->session, &event);
	}
	free(changes.items);
	return err;
}

/* Which listing has what an enum lt_limit limits. */
static uint8_t listing_of(uint32_t limit)
{
	return limit == LT_LIMIT_DESCRIPTORS ? LT_LISTING_DESCRIPTORS : LT_LISTING_THREADS;
}

static int tell_limits(const struct look *look)
{
	struct lt_event event = event_of(look, LT_EVENT_LIMIT);
	struct lt_limit_use uses[LT_LIMITS] = { 0 };
	int err = 0;

	if (lt_limits_read(&look->target->process, uses))
		return 0;
	uses[LT_LIMIT_DESCRIPTORS].used = look->descriptors.count;
	for (uint32_t i = 0; i < LT_LIMITS && !err; i++) {
		if (!uses[i].limit || !look->listed[listing_of(i)])
			continue;
		event.limit = (struct lt_event_limit){ i, uses[i].used, uses[i].limit };
		err = lt_feed_emit(look->session, &event);
	}
	return err;
}

static int tell(struct look *look, struct round *round)
{
	int err = 0;

	if (look->listed[LT_LISTING_DESCRIPTORS])
		err = tell_descriptors(look);
	if (!err && look->listed[LT_LISTING_THREADS])
		err = tell_threads(look);
	if (!err)
		err = tell_changes(look, &round->networks);
	if (!err && round->limits)
		err = tell_limits(look);
	return err;
}

static int look_at(struct lt_session *session, struct lt_target *target, struct round *round)
{
	struct look look = { .session = session, .target = target };
	int err = read_lists(&look);
	bool failed = err;

	if (err && err != -ESRCH && !session->told_no_list) {
		session->told_no_list = true;
		lt_warn("descriptors and threads of pid %u cannot be listed: %s", target->pid,
			strerror(-err));
	}
	target->looked_ns = lt_feed_now();
	target->look_cost_ns = target->looked_ns - look.from_ns;
	if (!err)
		err = lt_feed_drain(session);
	if (!err)
		err = tell(&look, round);
	lt_descriptors_free(&look.descriptors);
	free(look.tids);
	return failed ? 0 : err; /* that it is gone will be told */
}

static bool lives(const struct lt_target *target)
{
	return target->opened && !target->ended && !target->told_end && target->pipeline;
}

static bool is_due(const struct lt_session *session, const struct lt_target *target)
{
	if (lt_feed_now() - target->looked_ns < target->look_cost_ns * LT_LOOK_PAUSE)
		return false;
	for (int listing = LT_LISTING_NOWHERE + 1; listing < LT_LISTINGS; listing++) {
		const struct lt_model_listing *latest = lt_pipeline_listing(target->pipeline,
									    (uint8_t)listing);

		if ((!latest->taken || latest->unknown || latest->vanished) &&
		    has(session, target, (uint8_t)listing))
			return true;
	}
	return false;
}

static int take(struct lt_session *session, bool all)
{
	struct round round = { .limits = all && lt_targets_alive(session) <= MAX_LIMITED };
	int err = 0;

	if (!wants(session, LT_LISTING_DESCRIPTORS) && !wants(session, LT_LISTING_THREADS))
		return 0;
	for (struct lt_target *target = session->targets; target && !err; target = target->hh.next)
		if (lives(target) && (all || is_due(session, target)))
			err = look_at(session, target, &round);
	while (round.networks) {
		struct network *next = round.networks->next;

		lt_sockets_free(&round.networks->sockets);
		free(round.networks);
		round.networks = next;
	}
	return err;
}

int lt_census_take(struct lt_session *session)
{
	return take(session, true);
}

int lt_census_confirm(struct lt_session *session)
{
	/* What changes without being told is no difference to mend. */
	return session->detached ? 0 : take(session, false);
}
