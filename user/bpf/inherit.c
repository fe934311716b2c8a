// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bpf/close_all.h"
#include "bpf/tracefs.h"

#define GROUP "leaktrace_" /* and our pid: Documentation/trace/uprobetracer.rst */

struct probe { /* defined in tracefs */
	uint64_t device, inode, offset;
	bool at_return;
	int program_fd;
	unsigned int number;
	int event;
	bool has_program;
};

struct lt_inherit {
	int tracefs_fd;
	struct probe *probes;
	size_t probe_count;
	int *events; /* perf events, each of one probe and one thread */
	size_t event_count, event_capacity;
};

static int command(const struct lt_inherit *inherit, const char *text)
{
	_lt_close_ int fd = openat(inherit->tracefs_fd, "uprobe_events",
				   O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

/* Definitions of a leaktrace that was killed stay: they do nothing, but nobody wants them. */
static void remove_stale(const struct lt_inherit *inherit)
{
	_lt_close_ int fd = openat(inherit->tracefs_fd, "uprobe_events", O_RDONLY | O_CLOEXEC);
	_lt_fclose_ FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	char line[4096], text[256], name[64];
	int pid;

	if (!file)
		return;
	lt_take_fd(&fd);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*c:" GROUP "%d/%63[a-z0-9]", &pid, name) != 2 ||
		    pid == getpid() || kill(pid, 0) == 0 || errno != ESRCH)
			continue;
		snprintf(text, sizeof(text), "-:" GROUP "%d/%s\n", pid, name);
		command(inherit, text);
	}
}

int lt_inherit_new(struct lt_inherit **result)
{
	struct lt_inherit *inherit = calloc(1, sizeof(*inherit));
	int err;

	if (!inherit)
		return -ENOMEM;
	inherit->tracefs_fd = lt_tracefs_open();
	err = inherit->tracefs_fd;
	if (err >= 0)
		err = faccessat(inherit->tracefs_fd, "uprobe_events", W_OK, 0) ? -errno : 0;
	if (err) {
		lt_inherit_free(inherit);
		return err;
	}
	remove_stale(inherit);
	*result = inherit;
	return 0;
}

void lt_inherit_free(struct lt_inherit *inherit)
{
	char text[128];

	if (!inherit)
		return;
	lt_close_all(inherit->events, inherit->event_count);
	for (size_t i = 0; i < inherit->probe_count; i++) {
		snprintf(text, sizeof(text), "-:" GROUP "%d/p%u\n", getpid(),
			 inherit->probes[i].number);
		command(inherit, text);
	}
	lt_close_p(&inherit->tracefs_fd);
	free(inherit->probes);
	free(inherit->events);
	free(inherit);
}

static int define(struct lt_inherit *inherit, const struct lt_inherit_probe *wanted,
		  struct probe **result)
{
	struct probe *probes = reallocarray(inherit->probes, inherit->probe_count + 1,
					    sizeof(*probes));
	struct probe probe = {
		.device = wanted->device,
		.inode = wanted->inode,
		.offset = wanted->offset,
		.at_return = wanted->at_return,
		.program_fd = wanted->program_fd,
		.number = (unsigned int)inherit->probe_count,
	};
	char text[512];
	int err;

	if (!probes)
		return -ENOMEM;
	inherit->probes = probes;
	snprintf(text, sizeof(text), "%c:" GROUP "%d/p%u %s:0x%" PRIx64 "\n",
		 wanted->at_return ? 'r' : 'p', getpid(), probe.number, wanted->path,
		 wanted->offset);
	err = command(inherit, text);
	if (err)
		return err;
	*result = &probes[inherit->probe_count++];
	**result = probe;
	snprintf(text, sizeof(text), GROUP "%d/p%u", getpid(), probe.number);
	(*result)->event = lt_tracefs_event(inherit->tracefs_fd, text);
	return (*result)->event < 0 ? (*result)->event : 0;
}

static struct probe *find(struct lt_inherit *inherit, const struct lt_inherit_probe *wanted)
{
	for (size_t i = 0; i < inherit->probe_count; i++) {
		struct probe *probe = &inherit->probes[i];

		if (probe->device == wanted->device && probe->inode == wanted->inode &&
		    probe->offset == wanted->offset && probe->at_return == wanted->at_return &&
		    probe->program_fd == wanted->program_fd)
			return probe;
	}
	return NULL;
}

static int keep_event(struct lt_inherit *inherit, int fd)
{
	if (inherit->event_count == inherit->event_capacity) {
		size_t more = inherit->event_capacity ? inherit->event_capacity * 2 : 64;
		int *events = reallocarray(inherit->events, more, sizeof(*events));

		if (!events)
			return -ENOMEM;
		inherit->events = events;
		inherit->event_capacity = more;
	}
	inherit->events[inherit->event_count++] = fd;
	return 0;
}

/*
 * The program belongs to the probe, whichever event brings it.  It must not be one that is
 * inherited: a child's copy would take the program away from all when the child ends
 * (perf_event_alloc(), perf_event_free_bpf_prog() in kernel/events/core.c), and wait for a grace
 * period each time.
 */
static int give_program(struct lt_inherit *inherit, struct probe *probe, pid_t tid)
{
	_lt_close_ int fd = lt_tracefs_perf_event(probe->event, tid, false, probe->program_fd);
	int err;

	if (fd < 0)
		return fd;
	err = keep_event(inherit, fd);
	if (!err)
		lt_take_fd(&fd);
	probe->has_program = !err;
	return err;
}

static int attach_thread(struct lt_inherit *inherit, struct probe *probe, pid_t tid)
{
	_lt_close_ int fd = -1;
	int err = probe->has_program ? 0 : give_program(inherit, probe, tid);

	if (err)
		return err;
	fd = lt_tracefs_perf_event(probe->event, tid, true, -1);
	if (fd < 0)
		return fd;
	err = keep_event(inherit, fd);
	if (!err)
		lt_take_fd(&fd);
	return err;
}

int lt_inherit_attach(struct lt_inherit *inherit, const struct lt_inherit_probe *wanted,
		      const pid_t *tids, size_t tid_count)
{
	struct probe *probe = find(inherit, wanted);
	int err = probe ? 0 : define(inherit, wanted, &probe);

	for (size_t i = 0; i < tid_count && !err; i++) {
		err = attach_thread(inherit, probe, tids[i]);
		if (err == -ESRCH)
			err = 0;
	}
	return err;
}
