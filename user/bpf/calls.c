// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf/calls.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <linux/types.h>

#include "base/cleanup.h"
#include "bpf/tracefs.h"
#include "leaktrace/events.h"

#define MAPPINGS    (1U << LT_KIND_MMAP | 1U << LT_KIND_STACK)
#define DESCRIPTORS (1U << LT_KIND_SOCKET | 1U << LT_KIND_FD)

/* The first rows of a kind at an entry and at an exit must be there; others are not in all kernels. */
static const struct call {
	const char *name;
	unsigned int kinds;
	const char *enter, *leave; /* NULL: not looked at there */
} calls[] = {
	{ "mmap", MAPPINGS, "enter_mapping", "leave_mapping" },
	{ "munmap", MAPPINGS, "enter_mapping", "leave_mapping" },
	{ "mremap", MAPPINGS, "enter_mapping", "leave_mapping" },
	{ "brk", MAPPINGS, "enter_mapping", "leave_mapping" },
	{ "shmat", MAPPINGS, "enter_mapping", "leave_mapping" },
	{ "shmdt", MAPPINGS, "enter_mapping", "leave_mapping" },
	{ "mprotect", MAPPINGS, NULL, "leave_mapping" },
	{ "pkey_mprotect", MAPPINGS, NULL, "leave_mapping" },

	{ "close", DESCRIPTORS, "enter_close", NULL },
	{ "dup2", DESCRIPTORS, "enter_dup_over", "leave_dup_over" },
	{ "close_range", DESCRIPTORS, "enter_close_range", "leave_close_range" },
	{ "dup3", DESCRIPTORS, "enter_dup_over", "leave_dup_over" },
	{ "pipe", DESCRIPTORS, NULL, "leave_making_two" },
	{ "pipe2", DESCRIPTORS, NULL, "leave_making_two" },
	{ "socketpair", DESCRIPTORS, NULL, "leave_making_two" },
	{ "recvmsg", DESCRIPTORS, NULL, "leave_recvmsg" },
	{ "recvmmsg", DESCRIPTORS, NULL, "leave_recvmmsg" },
	{ "clone", DESCRIPTORS, NULL, "leave_clone" },
	{ "clone3", DESCRIPTORS, NULL, "leave_clone" },
#define MAKES(name)                                                                                \
	{                                                                                          \
		name, DESCRIPTORS, NULL, "leave_making"                                            \
	}
	MAKES("socket"),
	MAKES("accept"),
	MAKES("accept4"),
	MAKES("open"),
	MAKES("openat"),
	MAKES("openat2"),
	MAKES("creat"),
	MAKES("open_by_handle_at"),
	MAKES("open_tree"),
	MAKES("open_tree_attr"),
	MAKES("fsopen"),
	MAKES("fsmount"),
	MAKES("fspick"),
	MAKES("dup"),
	MAKES("fcntl"),
	MAKES("eventfd"),
	MAKES("eventfd2"),
	MAKES("epoll_create"),
	MAKES("epoll_create1"),
	MAKES("timerfd_create"),
	MAKES("signalfd"),
	MAKES("signalfd4"),
	MAKES("inotify_init"),
	MAKES("inotify_init1"),
	MAKES("fanotify_init"),
	MAKES("memfd_create"),
	MAKES("memfd_secret"),
	MAKES("mq_open"),
	MAKES("pidfd_open"),
	MAKES("pidfd_getfd"),
	MAKES("userfaultfd"),
	MAKES("io_uring_setup"),
	MAKES("perf_event_open"),
	MAKES("bpf"),
	MAKES("landlock_create_ruleset"),
	MAKES("seccomp"),
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static void leave_out(struct bpf_object *object, const char *program)
{
	if (program)
		bpf_program__set_autoload(bpf_object__find_program_by_name(object, program), false);
}

void lt_calls_choose(struct bpf_object *object, uint64_t kinds)
{
	for (size_t i = 0; i < CALLS; i++) {
		if (calls[i].kinds & kinds)
			continue;
		leave_out(object, calls[i].enter);
		leave_out(object, calls[i].leave);
	}
}

static int watch(struct lt_calls *watched, int tracefs_fd, const char *side, const char *call,
		 const struct bpf_program *program)
{
	char name[64];
	int event;

	snprintf(name, sizeof(name), "syscalls/sys_%s_%s", side, call);
	event = lt_tracefs_event(tracefs_fd, name);
	if (event >= 0)
		event = lt_tracefs_perf_event(event, -1, false, bpf_program__fd(program));
	if (event < 0)
		return event;
	watched->events[watched->count++] = event;
	return 0;
}

static int watch_side(struct lt_calls *watched, struct bpf_object *object, uint64_t kinds,
		      int tracefs_fd, bool enter)
{
	unsigned int seen = 0;

	for (size_t i = 0; i < CALLS; i++) {
		const char *program = enter ? calls[i].enter : calls[i].leave;
		bool first = calls[i].kinds & ~seen;
		int err;

		if (!program || !(calls[i].kinds & kinds))
			continue;
		seen |= calls[i].kinds;
		err = watch(watched, tracefs_fd, enter ? "enter" : "exit", calls[i].name,
			    bpf_object__find_program_by_name(object, program));
		if (err && (err != -ENOENT || first))
			return err;
	}
	return 0;
}

int lt_calls_watch(struct lt_calls *watched, struct bpf_object *object, uint64_t kinds)
{
	_lt_close_ int tracefs_fd = -1;
	int err;

	if (!(kinds & (MAPPINGS | DESCRIPTORS)))
		return 0;
	tracefs_fd = lt_tracefs_open();
	if (tracefs_fd < 0)
		return tracefs_fd;
	watched->events = calloc(2 * CALLS, sizeof(*watched->events));
	if (!watched->events)
		return -ENOMEM;
	/* The exits first, so that no entry lacks its exit. */
	err = watch_side(watched, object, kinds, tracefs_fd, false);
	return err ? err : watch_side(watched, object, kinds, tracefs_fd, true);
}

static void *close_rest(void *context)
{
	struct lt_calls *watched = context;

	for (size_t left = watched->count; left; left--) {
		close(watched->events[left - 1]);
		__atomic_store_n(&watched->count, left - 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

void lt_calls_close(struct lt_calls *watched)
{
	if (watched->closing || !watched->count)
		return;
	close(watched->events[--watched->count]);
	watched->closing = !pthread_create(&watched->closer, NULL, close_rest, watched);
	if (!watched->closing)
		close_rest(watched);
}

bool lt_calls_closing(const struct lt_calls *watched)
{
	return watched->closing && __atomic_load_n(&watched->count, __ATOMIC_RELAXED);
}

void lt_calls_wait(struct lt_calls *watched)
{
	if (watched->closing)
		pthread_join(watched->closer, NULL);
	free(watched->events);
	*watched = (struct lt_calls){ 0 };
}
