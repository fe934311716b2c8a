// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Eight threads that make, pass on, replace and close descriptors in every way, at random.
 *
 *	fd_torture own|race OPERATIONS SEED [again]
 *
 * own: each thread closes and replaces numbers of its own only, so that everybody knows what each
 * number is, and the truth is told by function.  race: anybody's, also while others use them: what
 * lives is only known to /proc/PID/fd, and what was made is told without its kind.  Lines of stdin: "go" does the operations and prints the truth; "child" starts
 * the program anew in a child, and waits for its end; "exec" executes it anew; "quit".
 */
#include "fds.h"

#define WORKERS      8
#define OWN_NUMBERS  256  /* of each worker, for dup2() and close_range() ... */
#define OWN_FIRST    2048 /* ... from here on, where the kernel does not go by itself */
#define OWN_MOST     60 /* a worker holds so many, or a few more; two generations hand theirs on */
#define RACE_NUMBERS 256

static struct worker {
	struct tools tools;
	uint64_t random;
	unsigned long operations;
	pthread_t thread;
	int held[OWN_MOST + MADE_MOST];
	unsigned int held_count;
	int outbox; /* that leads to its own inbox */
} workers[WORKERS];

static unsigned int weights;
static int race_first; /* below are numbers that all need */

static unsigned int below(struct worker *worker, unsigned int bound)
{
	return (unsigned int)random_below(&worker->random, bound);
}

static unsigned int choose_maker(struct worker *worker)
{
	unsigned int ticket = below(worker, weights), maker = 0;

	while (ticket >= makers[maker].weight)
		ticket -= makers[maker++].weight;
	return maker;
}

static void hold(struct worker *worker, int fd)
{
	for (unsigned int i = 0; i < worker->held_count; i++)
		if (worker->held[i] == fd)
			return;
	MUST(worker->held_count < OWN_MOST + MADE_MOST);
	worker->held[worker->held_count++] = fd;
}

static void let_go(struct worker *worker, int fd)
{
	for (unsigned int i = 0; i < worker->held_count; i++)
		if (worker->held[i] == fd) {
			worker->held[i] = worker->held[--worker->held_count];
			return;
		}
}

static int own_number(struct worker *worker)
{
	if (worker->held_count && below(worker, 2))
		return worker->held[below(worker, worker->held_count)];
	return worker->tools.floor + (int)below(worker, OWN_NUMBERS);
}

static void own_close_range(struct worker *worker)
{
	int first = worker->tools.floor + (int)below(worker, OWN_NUMBERS - 16);
	int last = first + (int)below(worker, 16);

	for (int fd = first; fd <= last; fd++) {
		let_go(worker, fd);
		forget(fd);
	}
	MUST(!syscall(SYS_close_range, first, last, 0));
}

static void own_close(struct worker *worker)
{
	int fd = own_number(worker);

	let_go(worker, fd);
	if (owners[fd]) /* perhaps inherited: the number is ours */
		drop(fd);
	else
		MUST(close(fd) && errno == EBADF);
}

static void own_make(struct worker *worker)
{
	int made[MADE_MOST], count;

	worker->tools.target = own_number(worker);
	count = make(&worker->tools, choose_maker(worker), made);
	for (int i = 0; i < count; i++)
		hold(worker, made[i]);
}

static void own_operation(struct worker *worker)
{
	unsigned int choice = below(worker, 100);

	if (worker->held_count >= OWN_MOST || choice >= 60)
		own_close(worker);
	else if (choice >= 56)
		own_close_range(worker);
	else
		own_make(worker);
}

static int any_number(struct worker *worker)
{
	return race_first + (int)below(worker, RACE_NUMBERS);
}

static void race_make(struct worker *worker)
{
	int made[MADE_MOST];

	worker->tools.target = any_number(worker);
	worker->tools.floor = any_number(worker);
	make(&worker->tools, choose_maker(worker), made);
}

static void race_operation(struct worker *worker)
{
	unsigned int choice = below(worker, 100);
	int fd = any_number(worker);

	if (choice >= 45)
		close(fd);
	else if (choice >= 40)
		syscall(SYS_close_range, fd, fd + (int)below(worker, 8), 0);
	else if (choice >= 38) /* at once, so that others get the number in between */
		(void)(close(fd) + close(fd));
	else
		race_make(worker);
}

static void *work(void *argument)
{
	struct worker *worker = argument;

	for (unsigned long i = 0; i < worker->operations; i++) {
		worker->tools.outbox = workers[below(worker, WORKERS)].outbox;
		if (racing)
			race_operation(worker);
		else
			own_operation(worker);
	}
	return NULL;
}

static void torture(void)
{
	for (unsigned int i = 0; i < WORKERS; i++)
		MUST(!pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	for (unsigned int i = 0; i < WORKERS; i++)
		MUST(!pthread_join(workers[i].thread, NULL));
	fd_truth_print();
}

static void execute_again(char **argv, unsigned long operations, unsigned long seed)
{
	char count[24], number[24];

	snprintf(count, sizeof(count), "%lu", operations);
	snprintf(number, sizeof(number), "%lu", seed);
	execl(argv[0], argv[0], argv[1], count, number, "again", (char *)NULL);
	_exit(1);
}

static void prepare(unsigned long operations, unsigned long seed)
{
	tools_prepare();
	for (size_t i = 0; i < MAKERS; i++)
		weights += makers[i].weight;
	for (unsigned int i = 0; i < WORKERS; i++) {
		struct worker *worker = &workers[i];

		tools_open(&worker->tools);
		worker->tools.floor = OWN_FIRST + (int)i * OWN_NUMBERS;
		worker->outbox = worker->tools.outbox;
		worker->random = random_seed(seed * WORKERS + i);
		worker->operations = operations / WORKERS;
	}
	remember_all();
	race_first = dup(0);
	MUST(race_first > 0 && !close(race_first));
}

int main(int argc, char **argv)
{
	unsigned long operations = argument(argc, argv, 2, 100000),
		      seed = argument(argc, argv, 3, 1);
	char line[64];
	int status;

	MUST(argc > 3);
	racing = !strcmp(argv[1], "race");
	prepare(operations, seed);
	snprintf(line, sizeof(line), "%s %d\n", argc > 4 ? argv[4] : "ready", (int)getpid());
	say(line);
	while (hear(line, sizeof(line)) && strcmp(line, "quit")) {
		if (!strcmp(line, "go")) {
			torture();
		} else if (!strcmp(line, "exec")) {
			execute_again(argv, operations / 4, seed + 1);
		} else if (!strcmp(line, "child")) {
			pid_t pid = fork();

			if (!pid)
				execute_again(argv, operations / 4, seed + 2);
			MUST(pid > 0 && waitpid(pid, &status, 0) == pid && !status);
			say("ended\n");
		}
	}
	return 0;
}
