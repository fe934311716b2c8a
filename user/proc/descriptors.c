// SPDX-License-Identifier: GPL-2.0-or-later
#include "proc/descriptors.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define DELETED       " (deleted)"
#define LISTING_BYTES (64 << 10) /* some 2,700 descriptors a call */
#define MAX_THREADS   16         /* that are asked if the first one has none */

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* "[NUMBER]" and nothing else. */
static bool take_inode(const char *text, uint64_t *inode)
{
	char *end;

	if (text[0] != '[' || !isdigit((unsigned char)text[1]))
		return false;
	errno = 0;
	*inode = strtoull(text + 1, &end, 10);
	return !errno && !strcmp(end, "]");
}

static bool is_socket(char *link, char *rest, struct lt_descriptor *descriptor)
{
	return take_inode(rest, &descriptor->socket_inode);
}

static bool is_numbered(char *link, char *rest, struct lt_descriptor *descriptor)
{
	uint64_t inode;

	return take_inode(rest, &inode);
}

static bool is_namespace(char *link, char *rest, struct lt_descriptor *descriptor)
{
	descriptor->name = link;
	return is_numbered(link, rest, descriptor);
}

static bool is_path(char *link, char *rest, struct lt_descriptor *descriptor)
{
	descriptor->name = link;
	return true;
}

/* A memfd never has a link, so it is always said to be deleted; a file that is called so may be. */
static bool is_memfd(char *link, char *rest, struct lt_descriptor *descriptor)
{
	size_t len = strlen(rest), tail = strlen(DELETED);

	if (len < tail || strcmp(rest + len - tail, DELETED))
		return false;
	rest[len - tail] = '\0';
	descriptor->name = rest;
	return true;
}

/*
 * The names that kernel functions give to anon_inode_getfile() and its like: fs/eventpoll.c,
 * fs/notify, kernel/bpf/syscall.c ...  Most of them put brackets around it.  fs/pidfs.c says the same.
 */
static bool is_anonymous(char *link, char *rest, struct lt_descriptor *descriptor)
{
	static const struct {
		const char *name, *type;
	} names[] = {
		{ "eventfd", "eventfd" },
		{ "eventpoll", "epoll" },
		{ "timerfd", "timerfd" },
		{ "signalfd", "signalfd" },
		{ "inotify", "inotify" },
		{ "fanotify", "fanotify" },
		{ "pidfd", "pidfd" },
		{ "io_uring", "io_uring" },
		{ "userfaultfd", "userfaultfd" },
		{ "perf_event", "perf event" },
		{ "bpf-map", "BPF map" },
		{ "bpf-prog", "BPF program" },
		{ "bpf_link", "BPF link" },
		{ "landlock-ruleset", "landlock ruleset" },
	};
	size_t len = strlen(rest);

	if (len >= 2 && rest[0] == '[' && rest[len - 1] == ']') {
		rest[len - 1] = '\0';
		rest++;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(rest, names[i].name)) {
			descriptor->type = names[i].type;
			return true;
		}
	}
	descriptor->name = rest;
	return true;
}

/*
 * How links start.  Paths come from d_path() and start with a slash, or with "(unreachable)" from
 * where they cannot be seen; the others from the d_dname() of pseudo file systems: net/socket.c,
 * fs/pipe.c, fs/nsfs.c, fs/anon_inodes.c, fs/pidfs.c; mm/shmem.c for memfds.
 */
static const struct start {
	const char *text, *type;
	/* Whether it is one; sets the name, if any. */
	bool (*is)(char *link, char *rest, struct lt_descriptor *descriptor);
} starts[] = {
	{ "socket:", "socket", is_socket },
	{ "pipe:", "pipe", is_numbered },
	{ "pidfd:", "pidfd", is_numbered },
	{ "anon_inode:", "anonymous", is_anonymous },
	{ "cgroup:", "namespace", is_namespace },
	{ "ipc:", "namespace", is_namespace },
	{ "mnt:", "namespace", is_namespace },
	{ "net:", "namespace", is_namespace },
	{ "pid:", "namespace", is_namespace },
	{ "time:", "namespace", is_namespace },
	{ "user:", "namespace", is_namespace },
	{ "uts:", "namespace", is_namespace },
	{ "/memfd:", "memfd", is_memfd },
	{ "/dev/shm/", "file", is_path }, /* POSIX shared memory: files like others */
	{ "/dev/mqueue/", "file", is_path },
	{ "/dev/hugepages/", "file", is_path },
	{ "/dev/", "device", is_path },
	{ "/", "file", is_path },
	{ "(unreachable)", "file", is_path },
};

void lt_descriptor_parse(char *link, struct lt_descriptor *descriptor)
{
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		struct lt_descriptor found = { .fd = descriptor->fd,
					       .type = starts[i].type,
					       .name = "" };
		size_t len = strlen(starts[i].text);

		if (!strncmp(link, starts[i].text, len) && starts[i].is(link, link + len, &found)) {
			*descriptor = found;
			return;
		}
	}
	*descriptor = (struct lt_descriptor){ .fd = descriptor->fd, .type = "other", .name = link };
}

struct list {
	struct lt_descriptor *entries; /* without names */
	size_t count, capacity;
	struct lt_buf names; /* one for each entry, with its zero */
};

static void list_done(struct list *list)
{
	free(list->entries);
	lt_buf_free(&list->names);
}

static int add(struct list *list, const struct lt_descriptor *descriptor)
{
	bool room = list->names.len < LT_MAX_DESCRIPTOR_NAMES;

	if (list->count == list->capacity) {
		size_t more = list->capacity ? list->capacity * 2 : 64;
		void *grown = reallocarray(list->entries, more, sizeof(list->entries[0]));

		if (!grown)
			return -ENOMEM;
		list->entries = grown;
		list->capacity = more;
	}
	list->entries[list->count++] = *descriptor;
	lt_buf_append(&list->names, room ? descriptor->name : "",
		      room ? strlen(descriptor->name) + 1 : 1);
	return lt_buf_error(&list->names);
}

static int add_link(struct list *list, int dir_fd, const char *number)
{
	struct lt_descriptor descriptor = { .fd = (uint32_t)strtoul(number, NULL, 10) };
	char link[PATH_MAX + 1];
	ssize_t len;

	/* As proc_readfd_common() in fs/proc/fd.c goes through the table, with one pass over it. */
	if (list->count && descriptor.fd <= list->entries[list->count - 1].fd)
		return -EBADMSG;
	len = readlinkat(dir_fd, number, link, sizeof(link) - 1);
	if (len < 0 && errno == ENOENT)
		return 0;               /* closed meanwhile */
	link[len > 0 ? len : 0] = '\0'; /* a path may be too long even for the kernel */
	lt_descriptor_parse(link, &descriptor);
	return add(list, &descriptor);
}

static int read_table(int proc_fd, const char *name, struct list *list)
{
	_lt_close_ int dir_fd = openat(proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_lt_free_ char *listing = malloc(LISTING_BYTES);
	ssize_t size;

	if (dir_fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	if (!listing)
		return -ENOMEM;
	while ((size = getdents64(dir_fd, listing, LISTING_BYTES)) > 0) {
		const struct dirent64 *entry;

		for (ssize_t at = 0; at < size; at += entry->d_reclen) {
			int err = 0;

			entry = (const struct dirent64 *)(listing + at);
			if (entry->d_name[0] != '.')
				err = add_link(list, dir_fd, entry->d_name);
			if (err)
				return err;
		}
	}
	return !size ? 0 : errno == ENOENT ? -ESRCH : -errno;
}

/*
 * /proc/PID/fd is the table of the first thread, which is empty when that has ended while others go
 * on: their tables are those of the process then.
 */
static int read_other_tables(const struct lt_process *process, struct list *list)
{
	_lt_free_ pid_t *tids = NULL;
	size_t count, tried = 0;
	int err = lt_process_threads(process, &tids, &count);

	for (size_t i = 0; !err && !list->count && i < count && tried < MAX_THREADS; i++) {
		char name[32];

		if (tids[i] == process->pid)
			continue;
		snprintf(name, sizeof(name), "task/%d/fd", (int)tids[i]);
		err = read_table(process->proc_fd, name, list);
		if (err == -ESRCH)
			err = 0; /* the thread has ended */
		tried++;
	}
	return err;
}

int lt_descriptors_read(const struct lt_process *process, struct lt_descriptors *descriptors)
{
	_lt_cleanup_(list_done) struct list list = { 0 };
	const char *name;
	int err = read_table(process->proc_fd, "fd", &list);

	if (!err && !list.count)
		err = read_other_tables(process, &list);
	if (!err)
		err = lt_process_check(process); /* one that ends has an empty table, too */
	if (err)
		return err;
	name = list.names.data;
	for (size_t i = 0; i < list.count; i++) {
		list.entries[i].name = name;
		name += strlen(name) + 1;
	}
	*descriptors = (struct lt_descriptors){ .count = list.count };
	descriptors->entries = lt_take_ptr(list.entries);
	descriptors->names = list.names.data;
	list.names = (struct lt_buf){ 0 };
	return 0;
}

void lt_descriptors_free(struct lt_descriptors *descriptors)
{
	free(descriptors->entries);
	free(descriptors->names);
	*descriptors = (struct lt_descriptors){ 0 };
}
