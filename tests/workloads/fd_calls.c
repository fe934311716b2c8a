// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every call that makes descriptors, or fails to, and every one that ends them.
 *
 *	fd_calls		does what each line of stdin says (see commands), and prints its truth
 *	fd_calls again		the same, executed by itself: says "again PID"
 *
 * A step opens nothing but what it is about: /proc/PID/fd is the truth.
 */
#include "fds.h"

/* Both want to write there. */
#define AMBIGUOUS_CLONE (CLONE_PIDFD | CLONE_PARENT_SETTID)

#define HIGH 700 /* numbers that only steps about ranges use: 700 to 799 */

static struct tools tools;
static int old_file, old_socket; /* from before the attach, and to be closed */
static char *self;
static uint32_t allow_action = SECCOMP_RET_ALLOW;

static void fail(const char *what, long result, int error)
{
	char line[128];

	snprintf(line, sizeof(line), "failed: %s: %ld, errno %d\n", what, result, error);
	say(line);
	_exit(1);
}

static void choose_number(void)
{
	tools.target = tools.floor = HIGH + 10;
	while (owners[tools.target])
		tools.target++;
}

static void make_each(bool unseen)
{
	int made[MADE_MOST];

	for (unsigned int i = 0; i < MAKERS; i++) {
		if (makers[i].unseen != unseen)
			continue;
		choose_number();
		skipped[i] = make(&tools, i, made) < 0 ? errno : 0;
	}
}

static void step_make(void)
{
	make_each(false);
}

static void step_unseen(void)
{
	int no = 0;

	make_each(true);
	setsockopt(tools.inbox, SOL_SOCKET, PASS_PIDFD, &no, sizeof(no));
}

/* As step_make, with no number left. */
static void step_make_too_many(void)
{
	struct rlimit limit, none = { .rlim_cur = 3 };
	int made[MADE_MOST];

	MUST(!getrlimit(RLIMIT_NOFILE, &limit));
	none.rlim_max = limit.rlim_max;
	MUST(!setrlimit(RLIMIT_NOFILE, &none));
	choose_number();
	for (unsigned int i = 0; i < MAKERS; i++)
		if (!makers[i].unseen && make(&tools, i, made) > 0)
			fail(makers[i].name, 1, 0);
	MUST(!setrlimit(RLIMIT_NOFILE, &limit));
}

#define FD_MANY(name, weight, count)
#define FD_UNSEEN(name, count)
#define FD_NONE(name, error, call)                                                                 \
	SITE static long name(struct tools *t)                                                     \
	{                                                                                          \
		return call;                                                                       \
	}
#include "fd_makers.def"
#undef FD_NONE
#define FD_NONE(name, error, call) { #name, error, name },
static const struct {
	const char *name;
	int error;
	long (*call)(struct tools *t);
} failures[] = {
#include "fd_makers.def"
};

static void step_fail(void)
{
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		long result = failures[i].call(&tools);
		int error = result < 0 ? errno : 0;

		if (error != failures[i].error)
			fail(failures[i].name, result, error);
	}
}

/* By a step; those from before are needed, or handed on. */
static bool is_made(int fd)
{
	return owners[fd] && owners[fd] <= MAKERS * FD_KINDS;
}

static void step_close_some(void)
{
	for (int fd = 0, open = 0; fd < HIGH; fd++)
		if (is_made(fd) && open++ % 3)
			drop(fd);
}

static void step_close_wrongly(void)
{
	int fd = dup(tools.file);

	MUST(fd >= 0 && !close(fd));
	for (int i = 0; i < 3; i++)
		MUST(close(fd) && errno == EBADF);
	MUST(close(-1) && close(UNUSED_NUMBER) && close(1 << 30));
	MUST(syscall(SYS_close, 0xffffffff00000000UL | (unsigned int)UNUSED_NUMBER));
}

static void step_dup_over(void)
{
	int made[MADE_MOST];
	static const unsigned int by[] = { MAKER_make_dup2, MAKER_make_dup2_socket, MAKER_make_dup3,
					   MAKER_make_dup3_file };

	for (int fd = 0, open = 0; fd < HIGH && open < 40; fd++) {
		if (!is_made(fd))
			continue;
		tools.target = fd;
		MUST(make(&tools, by[open++ % 4], made) == 1 && made[0] == fd);
	}
}

/* Numbers from HIGH + 30 on, so many. */
static void fill(unsigned int count)
{
	int made[MADE_MOST];

	for (unsigned int i = 0; i < count; i++) {
		tools.target = HIGH + 30 + (int)i;
		MUST(make(&tools, i % 3 ? MAKER_make_dup2 : MAKER_make_dup2_socket, made) == 1);
	}
}

static void range(unsigned int first, unsigned int last)
{
	for (unsigned int fd = first; fd <= last && fd < FD_LIMIT; fd++)
		forget((int)fd);
	MUST(!syscall(SYS_close_range, first, last, 0));
}

static void step_close_range(void)
{
	fill(30);
	range(HIGH + 35, HIGH + 39);
	range(HIGH + 30, HIGH + 37); /* some are closed already */
	range(HIGH + 59, HIGH + 59);
	range(HIGH + 75, HIGH + 80); /* nothing there */
	fill(4);
	MUST(syscall(SYS_close_range, HIGH + 40, HIGH + 39, 0) && errno == EINVAL);
	MUST(syscall(SYS_close_range, HIGH, HIGH + 90, 1) && errno == EINVAL);
	MUST(!syscall(SYS_close_range, HIGH, ~0U, CLOSE_RANGE_CLOEXEC));
	MUST(!syscall(SYS_close_range, HIGH + 75, HIGH + 80, CLOSE_RANGE_UNSHARE));
}

static void step_close_range_to_the_end(void)
{
	fill(10);
	range(HIGH + 35, ~0U);
}

static void step_close_range_unshare(void)
{
	fill(10);
	for (int fd = HIGH + 32; fd <= HIGH + 36; fd++)
		forget(fd);
	MUST(!syscall(SYS_close_range, HIGH + 32, HIGH + 36, CLOSE_RANGE_UNSHARE));
}

/* Its descriptors are its own. */
static void step_child(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		MUST(open("/dev/null", O_RDONLY) >= 0 && dup2(tools.file, HIGH + 95) >= 0);
		close(old_file);
		MUST(!syscall(SYS_close_range, 3, 600, 0));
		MUST(!syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_UNSHARE));
		_exit(0);
	}
	MUST(pid > 0 && waitpid(pid, &status, 0) == pid && !status);
}

static void step_close_old(void)
{
	int made[MADE_MOST];

	drop(old_file);
	tools.target = old_socket;
	MUST(make(&tools, MAKER_make_dup2, made) == 1);
	drop(old_socket);
}

/* The kernel closes one for io_uring. */
static void step_close_unseen(void)
{
	int made[MADE_MOST];

	if (!tools.ring_memory)
		return;
	MUST(make(&tools, MAKER_make_open, made) == 1);
	forget(made[0]);
	MUST(!uring_do(&tools, (struct io_uring_sqe){ .opcode = IORING_OP_CLOSE, .fd = made[0] }));
}

static void step_close_all(void)
{
	for (int fd = 0; fd < FD_LIMIT; fd++)
		if (is_made(fd))
			drop(fd);
}

static void step_exec(void)
{
	execl(self, self, "again", (char *)NULL);
	MUST(false);
}

static const struct {
	const char *name;
	void (*run)(void);
} commands[] = {
	{ "make", step_make },
	{ "make_too_many", step_make_too_many },
	{ "fail", step_fail },
	{ "unseen", step_unseen },
	{ "close_some", step_close_some },
	{ "close_wrongly", step_close_wrongly },
	{ "dup_over", step_dup_over },
	{ "close_range", step_close_range },
	{ "close_range_to_the_end", step_close_range_to_the_end },
	{ "close_range_unshare", step_close_range_unshare },
	{ "child", step_child },
	{ "close_old", step_close_old },
	{ "close_unseen", step_close_unseen },
	{ "close_all", step_close_all },
	{ "exec", step_exec },
};

static void command(const char *line)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(line, commands[i].name)) {
			commands[i].run();
			fd_truth_print();
			return;
		}
	_exit(strcmp(line, "quit") ? 2 : 0);
}

int main(int argc, char **argv)
{
	bool again = argc > 1 && !strcmp(argv[1], "again");
	char line[64];

	self = argv[0];
	tools_prepare();
	tools_open(&tools);
	old_file = dup(tools.file);
	old_socket = dup(tools.socket);
	remember_all();
	snprintf(line, sizeof(line), "%s %d\n", again ? "again" : "ready", (int)getpid());
	say(line);
	while (hear(line, sizeof(line)))
		command(line);
	return 0;
}
