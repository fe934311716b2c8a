// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Threads that are made and end in every way, and whoever else uses, or copies, their descriptors.
 *
 *	thread_kinds [again]	does what each line of stdin says (see commands), and prints its truth
 *
 * The truth counts threads by the function that made them, and descriptors by the one that opened
 * them: {"truth":{"FUNCTION":[acquired,released],...}}.  What happens in a table of descriptors
 * that is not the process's counts for nothing.  Executed by itself it says "again PID".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <threads.h>

#include "truth.h"

#define STACK_BYTES  262144 /* glibc keeps 40 MiB of them for the next threads */
#define OLD          3      /* threads from before the attach */
#define SOME         10
#define NEVER_JOINED 20
#define RUNNING      12
#define CHURNERS     8
#define CHURN        2500 /* threads of each of these */
#define AT_ONCE      8    /* detached ones of each, at most */
#define HELD         10   /* descriptors that are there when others come */
#define ANY          "/dev/null"

#define SITES(X)                                                                                   \
	X(create_old)                                                                              \
	X(create_joined)                                                                           \
	X(create_detached)                                                                         \
	X(create_never_joined)                                                                     \
	X(create_running)                                                                          \
	X(create_c11)                                                                              \
	X(create_raw)                                                                              \
	X(create_churner)                                                                          \
	X(create_churn_joined)                                                                     \
	X(create_churn_detached)                                                                   \
	X(create_other)                                                                            \
	X(open_held)                                                                               \
	X(open_shared)                                                                             \
	X(open_shared_over)                                                                        \
	X(open_elsewhere)                                                                          \
	X(open_late)

#define SITE_NUMBER(name) SITE_##name,
#define SITE_NAME(name)   #name,
enum { SITES(SITE_NUMBER) SITE_COUNT };
static const char *const names[] = { SITES(SITE_NAME) };
static _Atomic unsigned long acquired[SITE_COUNT], released[SITE_COUNT];

typedef void *start_function(void *argument);

static pthread_attr_t detached;

static char raw_stack[65536] __attribute__((aligned(16)));

#define RAW_THREAD                                                                                 \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

/* Each on a line of its own, which tests look up here. */
#define CREATES(name, call)                                                                        \
	SITE static void name(pthread_t *id, start_function *start, void *argument)                \
	{                                                                                          \
		bool failed = call;                                                                \
                                                                                                   \
		MUST(!failed);                                                                     \
		acquired[SITE_##name]++;                                                           \
	}
#define OPENS(name, call)                                                                          \
	SITE static int name(int from, int to)                                                     \
	{                                                                                          \
		int fd = call;                                                                     \
                                                                                                   \
		MUST(fd >= 0);                                                                     \
		return fd;                                                                         \
	}

static int start_c11(void *argument);
static int start_raw(void *argument);

/* clang-format off */
CREATES(create_old, pthread_create(id, NULL, start, argument))
CREATES(create_joined, pthread_create(id, NULL, start, argument))
CREATES(create_detached, pthread_create(id, &detached, start, argument))
CREATES(create_never_joined, pthread_create(id, NULL, start, argument))
CREATES(create_running, pthread_create(id, NULL, start, argument))
CREATES(create_c11, thrd_create(id, start_c11, argument))
CREATES(create_raw, clone(start_raw, raw_stack + sizeof(raw_stack), RAW_THREAD, argument) < 0)
CREATES(create_churner, pthread_create(id, NULL, start, argument))
CREATES(create_churn_joined, pthread_create(id, NULL, start, argument))
CREATES(create_churn_detached, pthread_create(id, &detached, start, argument))
CREATES(create_other, pthread_create(id, NULL, start, argument))
OPENS(open_held, open(ANY, O_RDWR))
OPENS(open_shared, open(ANY, O_RDWR))
OPENS(open_shared_over, dup2(from, to))
OPENS(open_elsewhere, open(ANY, O_RDWR))
OPENS(open_late, open(ANY, O_RDWR))
/* clang-format on */

static pthread_t old[OLD], running[RUNNING], other;
static int held[HELD];
static int stop_old, stop_running, turn, done; /* eventfds */
static unsigned int old_count = OLD;
static pid_t sharer;
static char *self;

static void give(int event, uint64_t count)
{
	MUST(write(event, &count, sizeof(count)) == sizeof(count));
}

static void take(int event)
{
	uint64_t one;

	MUST(read(event, &one, sizeof(one)) == sizeof(one));
}

static unsigned int threads_now(void)
{
	struct stat status;

	MUST(!stat("/proc/self/task", &status));
	return (unsigned int)status.st_nlink - 2;
}

/* Those that end take a moment to go, also when they are joined. */
static void wait_for_threads(void)
{
	unsigned long count = 1 + old_count;

	for (int i = 0; i <= SITE_create_other; i++)
		count += acquired[i] - released[i];
	while (threads_now() > count)
		usleep(500);
	MUST(threads_now() == count);
}

static void rename_thread(const char *name)
{
	MUST(!pthread_setname_np(pthread_self(), name));
}

static void *start_old(void *argument)
{
	rename_thread("old one");
	take(stop_old);
	return NULL;
}

static void *start_short(void *argument)
{
	rename_thread("short");
	return NULL;
}

static void *start_never_joined(void *argument)
{
	rename_thread("never joined");
	return NULL;
}

static void *start_running(void *argument)
{
	rename_thread("running");
	take(stop_running);
	return NULL;
}

static int start_c11(void *argument)
{
	return 0;
}

static int start_raw(void *argument)
{
	return 0; /* and nothing else: it has no memory of its own that libc would know of */
}

static void step_never_joined(void)
{
	pthread_t id;

	for (int i = 0; i < NEVER_JOINED; i++)
		create_never_joined(&id, start_never_joined, NULL);
	released[SITE_create_never_joined] += NEVER_JOINED;
}

static void step_joined(void)
{
	pthread_t ids[SOME];

	for (int i = 0; i < SOME; i++)
		create_joined(&ids[i], start_short, NULL);
	for (int i = 0; i < SOME; i++)
		MUST(!pthread_join(ids[i], NULL));
	released[SITE_create_joined] += SOME;
}

/* The stack of the one that is joined is that of the next one, which never is. */
static void step_alternating(void)
{
	pthread_t id;

	for (int i = 0; i < NEVER_JOINED; i++) {
		create_joined(&id, start_short, NULL);
		MUST(!pthread_join(id, NULL));
		create_never_joined(&id, start_never_joined, NULL);
	}
	released[SITE_create_joined] += NEVER_JOINED;
	released[SITE_create_never_joined] += NEVER_JOINED;
}

static void step_detached(void)
{
	pthread_t id;

	for (int i = 0; i < SOME; i++)
		create_detached(&id, start_short, NULL);
	released[SITE_create_detached] += SOME;
}

static void step_running(void)
{
	for (int i = 0; i < RUNNING; i++)
		create_running(&running[i], start_running, NULL);
}

static void step_other_ways(void)
{
	pthread_t id;
	int status;

	create_c11(&id, NULL, NULL);
	MUST(thrd_join(id, &status) == thrd_success);
	released[SITE_create_c11]++;
	create_raw(NULL, NULL, NULL);
	released[SITE_create_raw]++;
}

static void *count_down(void *argument)
{
	_Atomic unsigned int *left = argument;

	if (left)
		--*left;
	return NULL;
}

static void *churn(void *argument)
{
	_Atomic unsigned int left = 0;
	pthread_t id;

	for (int i = 0; i < CHURN; i++) {
		if (i % 2) {
			create_churn_joined(&id, count_down, NULL);
			MUST(!pthread_join(id, NULL));
			continue;
		}
		while (left >= AT_ONCE)
			sched_yield();
		++left;
		create_churn_detached(&id, count_down, &left);
	}
	while (left)
		sched_yield();
	return NULL;
}

static void step_churn(void)
{
	pthread_t ids[CHURNERS];

	for (int i = 0; i < CHURNERS; i++)
		create_churner(&ids[i], churn, NULL);
	for (int i = 0; i < CHURNERS; i++)
		MUST(!pthread_join(ids[i], NULL));
	released[SITE_create_churner] += CHURNERS;
	released[SITE_create_churn_joined] += CHURNERS * CHURN / 2;
	released[SITE_create_churn_detached] += CHURNERS * CHURN / 2;
}

static void join_all(pthread_t *ids, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		MUST(!pthread_join(ids[i], NULL));
}

static void step_end_running(void)
{
	give(stop_running, RUNNING);
	join_all(running, RUNNING);
	released[SITE_create_running] += RUNNING;
}

static void step_end_old(void)
{
	give(stop_old, OLD);
	join_all(old, OLD);
	old_count = 0;
}

static void step_hold(void)
{
	for (int i = 0; i < HELD; i++)
		held[i] = open_held(0, 0);
	acquired[SITE_open_held] += HELD;
}

static pid_t share_descriptors(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

	MUST(pid >= 0);
	return pid;
}

static void reap(pid_t pid)
{
	int status;

	MUST(waitpid(pid, &status, 0) == pid && !status);
}

/* A process that is no thread, and uses our descriptors. */
static void share(void)
{
	int fds[5];

	for (int i = 0; i < 5; i++)
		fds[i] = open_shared(0, 0);
	for (int i = 0; i < 3; i++)
		MUST(!close(held[i]));
	give(done, 1);
	take(turn);
	open_shared_over(held[9], fds[0]);
	MUST(!close(fds[1]));
	give(done, 1);
	take(turn);
	/* From here on it has its own. */
	MUST(!syscall(SYS_close_range, held[3], ~0U, CLOSE_RANGE_UNSHARE));
	open_elsewhere(0, 0);
	_exit(0);
}

static void step_share(void)
{
	sharer = share_descriptors();
	if (!sharer)
		share();
	take(done);
	acquired[SITE_open_shared] += 5;
	released[SITE_open_held] += 3;
}

static void step_share_more(void)
{
	give(turn, 1);
	take(done);
	acquired[SITE_open_shared_over]++;
	released[SITE_open_shared] += 2;
}

static void step_share_no_more(void)
{
	give(turn, 1);
	reap(sharer);
}

/* To execute something makes a copy of the descriptors first. */
static void step_share_and_execute(void)
{
	pid_t pid = share_descriptors();

	if (!pid) {
		MUST(!fcntl(open_shared(0, 0), F_SETFD, FD_CLOEXEC));
		execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	acquired[SITE_open_shared]++;
	reap(pid);
}

static void step_vfork(void)
{
	pid_t pid = vfork();

	if (!pid) {
		open_elsewhere(0, 0);
		if (close(held[7]) || dup2(held[8], held[9]) < 0 || dup2(held[8], 300) < 0 ||
		    syscall(SYS_close_range, held[8], held[9], 0))
			_exit(1);
		execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	MUST(pid > 0);
	reap(pid);
}

static void step_spawn(void)
{
	char *arguments[] = { "true", NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid;

	MUST(!posix_spawn_file_actions_init(&actions));
	MUST(!posix_spawn_file_actions_addopen(&actions, 310, ANY, O_RDONLY, 0));
	MUST(!posix_spawn_file_actions_addclose(&actions, held[7]));
	MUST(!posix_spawn_file_actions_adddup2(&actions, held[8], held[9]));
	MUST(!posix_spawn_file_actions_addclosefrom_np(&actions, 3));
	MUST(!posix_spawn(&pid, "/bin/true", &actions, NULL, arguments, environ));
	posix_spawn_file_actions_destroy(&actions);
	reap(pid);
}

static void *start_apart(void *argument)
{
	MUST(!unshare(CLONE_FILES));
	for (int i = 0; i < 5; i++)
		open_elsewhere(0, 0);
	MUST(!close(held[7]) && dup2(held[8], held[9]) == held[9]);
	MUST(!syscall(SYS_close_range, held[4], held[6], 0));
	give(done, 1);
	take(turn);
	MUST(!close(held[8]));
	return NULL;
}

static void step_apart(void)
{
	create_other(&other, start_apart, NULL);
	take(done);
}

static void step_apart_no_more(void)
{
	give(turn, 1);
	MUST(!pthread_join(other, NULL));
	released[SITE_create_other]++;
}

static void *start_left_behind(void *argument)
{
	give(done, 1);
	take(turn);
	open_elsewhere(0, 0);
	MUST(!close(held[7]));
	return NULL;
}

/* The first thread takes its descriptors elsewhere: those of the process, as far as /proc knows. */
static void step_leave_others(void)
{
	create_other(&other, start_left_behind, NULL);
	take(done);
	MUST(!unshare(CLONE_FILES));
	open_late(0, 0);
	acquired[SITE_open_late]++;
	give(turn, 1);
	MUST(!pthread_join(other, NULL));
	released[SITE_create_other]++;
}

static void step_close_held(void)
{
	for (int i = 3; i < HELD; i++)
		MUST(!close(held[i]));
	released[SITE_open_held] += HELD - 3;
}

static void step_late(void)
{
	open_late(0, 0);
	MUST(!close(open_late(0, 0)));
	acquired[SITE_open_late] += 2;
	released[SITE_open_late]++;
}

static void *start_execute(void *argument)
{
	execl(self, self, "again", (char *)NULL);
	MUST(false);
	return NULL;
}

static void step_execute(void)
{
	create_other(&other, start_execute, NULL);
	for (;;)
		pause();
}

static void *commands(void *argument);

/* Its number stays listed, and the others go on. */
static void step_first_ends(void)
{
	create_other(&other, commands, NULL);
	pthread_exit(NULL);
}

static const struct {
	const char *name;
	void (*run)(void);
} steps[] = {
	{ "never_joined", step_never_joined },
	{ "alternating", step_alternating },
	{ "joined", step_joined },
	{ "detached", step_detached },
	{ "running", step_running },
	{ "other_ways", step_other_ways },
	{ "churn", step_churn },
	{ "end_running", step_end_running },
	{ "end_old", step_end_old },
	{ "hold", step_hold },
	{ "share", step_share },
	{ "share_more", step_share_more },
	{ "share_no_more", step_share_no_more },
	{ "share_and_execute", step_share_and_execute },
	{ "vfork", step_vfork },
	{ "spawn", step_spawn },
	{ "apart", step_apart },
	{ "apart_no_more", step_apart_no_more },
	{ "leave_others", step_leave_others },
	{ "close_held", step_close_held },
	{ "first_ends", step_first_ends },
	{ "late", step_late },
	{ "execute", step_execute },
};

static void tell(void)
{
	char text[4096];
	size_t used = (size_t)snprintf(text, sizeof(text), "{\"truth\":{");

	wait_for_threads();
	for (int i = 0; i < SITE_COUNT; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s\"%s\":[%lu,%lu]",
					 i ? "," : "", names[i], acquired[i], released[i]);
	MUST(used + 4 < sizeof(text));
	memcpy(text + used, "}}\n", 4);
	say(text);
}

/* Until that thread is no more than listed. */
static void wait_for_zombie(pid_t tid)
{
	char path[64], text[128];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	do {
		fd = open(path, O_RDONLY);
		got = read(fd, text, sizeof(text) - 1);
		MUST(got > 0 && !close(fd));
		text[got] = '\0';
	} while (!strstr(text, ") Z"));
}

static void *commands(void *argument)
{
	char line[64];
	size_t i;

	if (getpid() != gettid()) {
		wait_for_zombie(getpid());
		tell();
	}
	while (hear(line, sizeof(line)) && strcmp(line, "quit")) {
		for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
			if (!strcmp(line, steps[i].name))
				break;
		MUST(i < sizeof(steps) / sizeof(steps[0]));
		steps[i].run();
		tell();
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	char line[64];
	pthread_attr_t usual;

	self = argv[0];
	pthread_attr_init(&usual);
	MUST(!pthread_attr_setstacksize(&usual, STACK_BYTES) &&
	     !pthread_setattr_default_np(&usual));
	pthread_attr_init(&detached);
	MUST(!pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED));
	stop_old = eventfd(0, EFD_SEMAPHORE);
	stop_running = eventfd(0, EFD_SEMAPHORE);
	turn = eventfd(0, EFD_SEMAPHORE);
	done = eventfd(0, EFD_SEMAPHORE);
	MUST(threads_now() == 1);
	for (int i = 0; i < OLD; i++)
		create_old(&old[i], start_old, NULL);
	acquired[SITE_create_old] = 0; /* before anybody looks */
	snprintf(line, sizeof(line), "%s %d\n", argc > 1 ? argv[1] : "ready", (int)getpid());
	say(line);
	commands(NULL);
}
