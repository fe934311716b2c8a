// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/landlock.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "proc/descriptors.h"

#include "unit/proc/child.h"

static const struct {
	const char *link, *type, *name;
	uint64_t inode;
} links[] = {
	{ "socket:[4026]", "socket", "", 4026 },
	{ "socket:[18446744073709551615]", "socket", "", UINT64_MAX },
	{ "socket:[18446744073709551616]", "other", "socket:[18446744073709551616]", 0 },
	{ "socket:[1]x", "other", "socket:[1]x", 0 },
	{ "socket:[1", "other", "socket:[1", 0 },
	{ "socket:[]", "other", "socket:[]", 0 },
	{ "socket:[-1]", "other", "socket:[-1]", 0 },
	{ "socket:[ 1]", "other", "socket:[ 1]", 0 },
	{ "socket:", "other", "socket:", 0 },
	{ "pipe:[77]", "pipe", "", 0 },
	{ "pipe:[abc]", "other", "pipe:[abc]", 0 },
	{ "pipe:[7", "other", "pipe:[7", 0 },
	{ "anon_inode:[eventfd]", "eventfd", "", 0 },
	{ "anon_inode:inotify", "inotify", "", 0 },
	{ "anon_inode:[inotify]", "inotify", "", 0 },
	{ "anon_inode:[io_uring]", "io_uring", "", 0 },
	{ "anon_inode:[timerfd]", "timerfd", "", 0 },
	{ "anon_inode:[signalfd]", "signalfd", "", 0 },
	{ "anon_inode:[eventpoll]", "epoll", "", 0 },
	{ "anon_inode:[perf_event]", "perf event", "", 0 },
	{ "anon_inode:bpf-map", "BPF map", "", 0 },
	{ "anon_inode:bpf-prog", "BPF program", "", 0 },
	{ "anon_inode:bpf_link", "BPF link", "", 0 },
	{ "anon_inode:[userfaultfd]", "userfaultfd", "", 0 },
	{ "anon_inode:[fanotify]", "fanotify", "", 0 },
	{ "anon_inode:[landlock-ruleset]", "landlock ruleset", "", 0 },
	{ "anon_inode:[pidfd]", "pidfd", "", 0 },
	{ "pidfd:[12]", "pidfd", "", 0 },
	{ "anon_inode:kvm-vcpu:0", "anonymous", "kvm-vcpu:0", 0 },
	{ "anon_inode:[fscontext]", "anonymous", "fscontext", 0 },
	{ "anon_inode:[", "anonymous", "[", 0 },
	{ "anon_inode:[]", "anonymous", "", 0 },
	{ "anon_inode:", "anonymous", "", 0 },
	{ "anon_inode:\n\xff", "anonymous", "\n\xff", 0 },
	{ "net:[4026531840]", "namespace", "net:[4026531840]", 0 },
	{ "user:[4026531837]", "namespace", "user:[4026531837]", 0 },
	{ "net:[x]", "other", "net:[x]", 0 },
	{ "nets:[1]", "other", "nets:[1]", 0 },
	{ "/memfd:name (deleted)", "memfd", "name", 0 },
	{ "/memfd: (deleted) (deleted)", "memfd", " (deleted)", 0 },
	{ "/memfd: (deleted)", "memfd", "", 0 },
	{ "/memfd:a/b\n (deleted)", "memfd", "a/b\n", 0 },
	{ "/memfd:name", "file", "/memfd:name", 0 },
	{ "/memfd:x (deleted", "file", "/memfd:x (deleted", 0 },
	{ "/dev/null", "device", "/dev/null", 0 },
	{ "/dev/pts/0 (deleted)", "device", "/dev/pts/0 (deleted)", 0 },
	{ "/dev/shm/x (deleted)", "file", "/dev/shm/x (deleted)", 0 },
	{ "/dev", "file", "/dev", 0 },
	{ "/", "file", "/", 0 },
	{ "/tmp/socket:[1]", "file", "/tmp/socket:[1]", 0 },
	{ "/a\nb\xff\x1b[1m (deleted)", "file", "/a\nb\xff\x1b[1m (deleted)", 0 },
	{ "(unreachable)/x", "file", "(unreachable)/x", 0 },
	{ "", "other", "", 0 },
	{ "[", "other", "[", 0 },
};

static void test_links(void **state)
{
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		struct lt_descriptor descriptor = { .fd = 5, .socket_inode = 99 };
		char *link = strdup(links[i].link);

		lt_descriptor_parse(link, &descriptor);
		assert_int_equal(descriptor.fd, 5);
		assert_string_equal(descriptor.type, links[i].type);
		assert_string_equal(descriptor.name, links[i].name);
		assert_int_equal(descriptor.socket_inode, links[i].inode);
		free(link);
	}
}

/* What a child made; fd -1 with the error of what it could not. */
struct made {
	int fd, error;
	const char *type, *name;
	uint64_t inode;
};

struct all_made {
	size_t count, sure; /* from there on not every kernel has it, or allows it */
	struct made made[64];
	char texts[4096]; /* names that only the child knows */
	size_t used;
};

static void note(struct all_made *all, long fd, const char *type, const char *name)
{
	struct stat stat;
	struct made made = { (int)fd, errno, type, all->texts + all->used, 0 };

	if (fd >= 0 && !strcmp(type, "socket") && !fstat((int)fd, &stat))
		made.inode = stat.st_ino;
	all->used = (size_t)(stpcpy(all->texts + all->used, name) - all->texts) + 1;
	all->made[all->count++] = made;
}

static void make_pairs(struct all_made *all)
{
	int two[2];

	for (int i = 0; i < 2; i++) {
		long err = i ? pipe(two) : socketpair(AF_UNIX, SOCK_STREAM, 0, two);

		note(all, err ? -1 : two[0], i ? "pipe" : "socket", "");
		note(all, err ? -1 : two[1], i ? "pipe" : "socket", "");
	}
}

static void make_anonymous(struct all_made *all)
{
	sigset_t none;

	sigemptyset(&none);
	note(all, socket(AF_INET, SOCK_STREAM, 0), "socket", "");
	note(all, socket(AF_INET6, SOCK_DGRAM, 0), "socket", "");
	note(all, socket(AF_UNIX, SOCK_DGRAM, 0), "socket", "");
	note(all, eventfd(0, 0), "eventfd", "");
	note(all, epoll_create1(0), "epoll", "");
	note(all, timerfd_create(CLOCK_MONOTONIC, 0), "timerfd", "");
	note(all, signalfd(-1, &none, 0), "signalfd", "");
	note(all, inotify_init(), "inotify", "");
	note(all, memfd_create("a name (deleted)", 0), "memfd", "a name (deleted)");
	note(all, syscall(SYS_pidfd_open, getpid(), 0), "pidfd", "");
}

static void make_files(struct all_made *all)
{
	char ns[64];
	ssize_t len = readlink("/proc/self/ns/net", ns, sizeof(ns) - 1);
	char name[] = "/tmp/leaktrace\n\xff-XXXXXX";
	char deleted[64];
	int fd = mkstemp(name);

	ns[len > 0 ? len : 0] = '\0';
	unlink(name);
	snprintf(deleted, sizeof(deleted), "%s (deleted)", name);
	note(all, fd, "file", deleted);
	note(all, dup(fd), "file", deleted);
	note(all, open("/", O_RDONLY | O_DIRECTORY), "file", "/");
	note(all, open("/", O_PATH), "file", "/");
	note(all, open("/dev/null", O_RDWR), "device", "/dev/null");
	note(all, open("/proc/self/ns/net", O_RDONLY), "namespace", ns);
	note(all, fcntl(fd, F_DUPFD, 900), "file", deleted); /* far behind the others */
}

static void make_rare(struct all_made *all)
{
	struct io_uring_params ring = { 0 };
	struct landlock_ruleset_attr ruleset = { .handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE };
	struct perf_event_attr event = { .type = PERF_TYPE_SOFTWARE,
					 .size = sizeof(event),
					 .config = PERF_COUNT_SW_DUMMY };
	union bpf_attr map = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1
	};

	note(all, syscall(SYS_io_uring_setup, 2, &ring), "io_uring", "");
	note(all, syscall(SYS_userfaultfd, O_CLOEXEC), "userfaultfd", "");
	note(all, fanotify_init(FAN_CLASS_NOTIF, O_RDONLY), "fanotify", "");
	note(all, syscall(SYS_perf_event_open, &event, 0, -1, -1, 0UL), "perf event", "");
	note(all, syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map)), "BPF map", "");
	note(all, syscall(SYS_landlock_create_ruleset, &ruleset, sizeof(ruleset), 0),
	     "landlock ruleset", "");
}

/* Nothing but the pipe and what it makes. */
static void make_every_kind(int ready, void *shared)
{
	struct all_made *all = shared;

	for (int fd = 0; fd < 1024; fd++)
		if (fd != ready)
			close(fd);
	note(all, ready, "pipe", "");
	make_pairs(all);
	make_anonymous(all);
	make_files(all);
	all->sure = all->count;
	make_rare(all);
	child_say(ready, 'y');
}

static const struct lt_descriptor *find(const struct lt_descriptors *list, int fd)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->entries[i].fd == (uint32_t)fd)
			return &list->entries[i];
	return NULL;
}

static void assert_ascending(const struct lt_descriptors *list)
{
	for (size_t i = 1; i < list->count; i++)
		assert_true(list->entries[i - 1].fd < list->entries[i].fd);
}

static void test_every_kind(void **state)
{
	struct all_made *all = share(sizeof(*all));
	struct lt_descriptors list;
	struct child child;
	size_t expected = 0;

	child_start(&child, make_every_kind, all);
	assert_int_equal(child.said, 'y');
	assert_int_equal(lt_descriptors_read(&child.process, &list), 0);
	assert_ascending(&list);
	for (size_t i = 0; i < all->count; i++) {
		const struct made *made = &all->made[i];
		const struct lt_descriptor *found = find(&list, made->fd);

		if (made->fd < 0 && i >= all->sure) {
			print_message("no %s here: %s\n", made->type, strerror(made->error));
			continue;
		}
		assert_non_null(found);
		assert_string_equal(found->type, made->type);
		assert_string_equal(found->name, made->name);
		assert_int_equal(found->socket_inode, made->inode);
		expected++;
	}
	assert_int_equal(list.count, expected);
	lt_descriptors_free(&list);
	lt_descriptors_free(&list); /* harmless */
	child_end(&child);
	munmap(all, sizeof(*all));
}

#define MANY 6000 /* more than one getdents64() gives */

static void make_many(int ready, void *shared)
{
	const struct rlimit enough = { MANY + 1000, MANY + 1000 };
	int null = open("/dev/null", O_RDONLY);

	if (setrlimit(RLIMIT_NOFILE, &enough))
		child_say(ready, 'l');
	for (int fd = 100; fd < 100 + MANY; fd++)
		if (fd % 7 && dup2(null, fd) != fd)
			child_say(ready, 'n');
	child_say(ready, 'y');
}

static void test_many(void **state)
{
	struct lt_descriptors list;
	struct child child;
	size_t expected = 0, found = 0;

	child_start(&child, make_many, NULL);
	assert_int_equal(child.said, 'y');
	assert_int_equal(lt_descriptors_read(&child.process, &list), 0);
	assert_ascending(&list);
	for (uint32_t fd = 100; fd < 100 + MANY; fd++)
		expected += fd % 7 != 0;
	for (size_t i = 0; i < list.count; i++) {
		if (list.entries[i].fd < 100)
			continue;
		assert_int_not_equal(list.entries[i].fd % 7, 0);
		assert_string_equal(list.entries[i].type, "device");
		assert_string_equal(list.entries[i].name, "/dev/null");
		found++;
	}
	assert_int_equal(found, expected);
	lt_descriptors_free(&list);
	child_end(&child);
}

/* /proc/PID/fd shows nothing then. */
static void test_first_thread_gone(void **state)
{
	struct lt_descriptors list;
	struct child child;

	child_start(&child, child_end_first_thread, NULL);
	assert_int_equal(child.said, 'y');
	assert_int_equal(lt_descriptors_read(&child.process, &list), 0);
	assert_non_null(find(&list, 77));
	assert_non_null(find(&list, child.ready));
	assert_string_equal(find(&list, 77)->type, "pipe");
	lt_descriptors_free(&list);
	child_end(&child);
}

static void close_all(int ready, void *shared)
{
	char *said = shared;

	for (int fd = 0; fd < 1024; fd++)
		if (fd != ready)
			close(fd);
	close(ready); /* ends what the test waits for */
	*said = 'y';
	for (;;)
		pause();
}

static void test_none(void **state)
{
	volatile char *said = share(1);
	struct lt_descriptors list;
	struct child child;

	child_start(&child, close_all, (char *)said);
	while (!*said)
		sched_yield();
	assert_int_equal(lt_descriptors_read(&child.process, &list), 0);
	assert_int_equal(list.count, 0);
	lt_descriptors_free(&list);
	child_end(&child);
	munmap((char *)said, 1);
}

static void test_gone(void **state)
{
	struct lt_descriptors list, before;
	struct child child;

	memset(&list, 0x5a, sizeof(list));
	memcpy(&before, &list, sizeof(list));
	child_start(&child, make_many, NULL);
	child_kill(&child, false);
	assert_int_equal(lt_descriptors_read(&child.process, &list), -ESRCH);
	child_kill(&child, true);
	assert_int_equal(lt_descriptors_read(&child.process, &list), -ESRCH);
	assert_memory_equal(&list, &before, sizeof(list));
	lt_process_close(&child.process);
}

/* A path as long as the kernel tells, often: names have a bound.  One beyond that has none. */
#define LEVELS 17
#define LONG   17500

struct tower {
	int fds[LEVELS + 1]; /* each in the one before */
	char name[251];
};

static void hold_long_paths(int ready, void *shared)
{
	const struct rlimit enough = { LONG + 1000, LONG + 1000 };
	const struct tower *tower = shared;

	if (setrlimit(RLIMIT_NOFILE, &enough))
		child_say(ready, 'l');
	for (int fd = 100; fd < 100 + LONG; fd++)
		if (dup2(tower->fds[LEVELS - 1], fd) != fd)
			child_say(ready, 'n');
	child_say(ready, 'y');
}

static void test_long_paths(void **state)
{
	char root[] = "/tmp/leaktrace-descriptors-XXXXXX";
	size_t expected, named = 0, seen = 0;
	struct lt_descriptors list;
	struct tower tower = { 0 };
	struct child child;

	assert_non_null(mkdtemp(root));
	memset(tower.name, 'x', sizeof(tower.name) - 1);
	tower.fds[0] = open(root, O_PATH | O_DIRECTORY);
	for (int i = 0; i < LEVELS; i++) {
		assert_int_equal(mkdirat(tower.fds[i], tower.name, 0700), 0);
		tower.fds[i + 1] = openat(tower.fds[i], tower.name, O_PATH | O_DIRECTORY);
		assert_true(tower.fds[i + 1] >= 0);
	}
	child_start(&child, hold_long_paths, &tower);
	assert_int_equal(child.said, 'y');
	assert_int_equal(lt_descriptors_read(&child.process, &list), 0);
	expected = strlen(root) + (LEVELS - 1) * sizeof(tower.name);
	for (size_t i = 0; i < list.count; i++) {
		if (list.entries[i].fd < 100)
			continue;
		assert_string_equal(list.entries[i].type, "file");
		seen++;
		named += strlen(list.entries[i].name) == expected;
		assert_true(!*list.entries[i].name || strlen(list.entries[i].name) == expected);
	}
	assert_int_equal(seen, LONG);
	assert_true(named < LONG);
	assert_true(named * expected <= LT_MAX_DESCRIPTOR_NAMES);
	assert_true((named + 1) * (expected + 1) + 65536 > LT_MAX_DESCRIPTOR_NAMES);
	assert_string_equal(find(&list, tower.fds[LEVELS])->type, "other");
	assert_string_equal(find(&list, tower.fds[LEVELS])->name, "");
	lt_descriptors_free(&list);
	child_end(&child);
	for (int i = LEVELS; i > 0; i--) {
		close(tower.fds[i]);
		assert_int_equal(unlinkat(tower.fds[i - 1], tower.name, AT_REMOVEDIR), 0);
	}
	close(tower.fds[0]);
	assert_int_equal(rmdir(root), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_links),      cmocka_unit_test(test_every_kind),
		cmocka_unit_test(test_many),       cmocka_unit_test(test_first_thread_gone),
		cmocka_unit_test(test_none),       cmocka_unit_test(test_gone),
		cmocka_unit_test(test_long_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
