// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A fake does the lookups: each waits at a gate, so that what is asked meanwhile is certain to come
 * while it is in hand.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "proc/maps.h"
#include "symbol/symbolizer.h"

#define LIMIT_MS     60000
#define FOREVER      1000000
#define NAMELESS     0x100 /* an address without a name */
#define STRANGE      0x200 /* a lookup that fails */
#define STARVED      0x300 /* one without memory */
#define MAX_RECORDED 64

struct fake {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	unsigned int permits;    /* lookups that may go through the gate */
	unsigned int generation; /* modules added so far */
	unsigned int begun, ended;
	pid_t until_asleep; /* the lookup ends once this thread sleeps; 0: does not matter */
	bool freed;
	char log[MAX_RECORDED][32]; /* in the order of the calls */
	size_t logged;
	char function[64], file[64]; /* of the last answer, overwritten by the next */
	struct lt_source_frame frames[2];
};

struct answers {
	uint64_t pc[MAX_RECORDED];
	char text[MAX_RECORDED][64]; /* function of the first frame */
	size_t count;
	int fail; /* what the callback returns */
};

static void record(struct fake *fake, const char *what, uint64_t value)
{
	if (fake->logged < MAX_RECORDED)
		snprintf(fake->log[fake->logged++], sizeof(fake->log[0]), "%s %" PRIx64, what,
			 value);
}

static int fake_add_module(void *context, const struct lt_event_module *module, int fd)
{
	struct fake *fake = context;

	assert_string_equal(module->path, "/a/file");
	assert_int_equal(module->build_id_len, 4);
	assert_memory_equal(module->build_id, "abcd", 4);
	pthread_mutex_lock(&fake->mutex);
	record(fake, "module", module->start);
	fake->generation++;
	pthread_mutex_unlock(&fake->mutex);
	lt_close_p(&fd);
	return 0;
}

static void wait_until_asleep(pid_t thread)
{
	char path[64], text[512] = "";

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", thread);
	do {
		_lt_fclose_ FILE *file = fopen(path, "re");

		assert_non_null(file);
		assert_non_null(fgets(text, sizeof(text), file));
		sched_yield();
	} while (!strstr(text, ") S "));
}

static int fake_lookup(void *context, uint64_t pc, struct lt_event_symbol *symbol)
{
	struct fake *fake = context;
	unsigned int generation;
	pid_t thread;

	pthread_mutex_lock(&fake->mutex);
	record(fake, "lookup", pc);
	generation = fake->generation;
	fake->begun++;
	pthread_cond_broadcast(&fake->changed);
	while (!fake->permits)
		pthread_cond_wait(&fake->changed, &fake->mutex);
	fake->permits--;
	thread = fake->until_asleep;
	pthread_mutex_unlock(&fake->mutex);
	if (thread)
		wait_until_asleep(thread);
	pthread_mutex_lock(&fake->mutex);
	fake->ended++;
	pthread_mutex_unlock(&fake->mutex);
	if (pc == STRANGE || pc == STARVED)
		return pc == STRANGE ? -EIO : -ENOMEM;
	snprintf(fake->function, sizeof(fake->function), "f%" PRIx64 " of %u", pc, generation);
	snprintf(fake->file, sizeof(fake->file), "%" PRIx64 ".c", pc);
	fake->frames[0] = (struct lt_source_frame){ fake->function, fake->file, 7, true };
	fake->frames[1] = (struct lt_source_frame){ "caller", "", 0, false };
	*symbol = (struct lt_event_symbol){ pc, fake->frames, pc == NAMELESS ? 0 : 2 };
	return 0;
}

static void fake_free(void *context)
{
	struct fake *fake = context;

	fake->freed = true;
}

static void permit(struct fake *fake, unsigned int lookups)
{
	pthread_mutex_lock(&fake->mutex);
	fake->permits = lookups;
	pthread_cond_broadcast(&fake->changed);
	pthread_mutex_unlock(&fake->mutex);
}

static void wait_begun(struct fake *fake, unsigned int lookups)
{
	pthread_mutex_lock(&fake->mutex);
	while (fake->begun < lookups)
		pthread_cond_wait(&fake->changed, &fake->mutex);
	pthread_mutex_unlock(&fake->mutex);
}

static struct lt_symbolizer *start(struct fake *fake)
{
	struct lt_lookups lookups = { fake_add_module, fake_lookup, fake_free, fake };
	struct lt_symbolizer *symbolizer = NULL;

	*fake = (struct fake){ .mutex = PTHREAD_MUTEX_INITIALIZER,
			       .changed = PTHREAD_COND_INITIALIZER };
	assert_int_equal(lt_symbolizer_new_with(&symbolizer, &lookups), 0);
	return symbolizer;
}

static void stop(struct lt_symbolizer *symbolizer, struct fake *fake)
{
	permit(fake, FOREVER);
	lt_symbolizer_free(symbolizer);
	assert_true(fake->freed);
}

static int add_module(struct lt_symbolizer *symbolizer, uint64_t first, uint64_t end, int fd)
{
	char path[] = "/a/file";
	uint8_t build_id[] = { 'a', 'b', 'c', 'd' };
	struct lt_event_module module = {
		.start = first, .end = end, .path = path, .build_id = build_id, .build_id_len = 4
	};
	int err = lt_symbolizer_add_module(symbolizer, &module, fd);

	memset(path, 'x', sizeof(path) - 1); /* borrowed until the call returns */
	memset(build_id, 0, sizeof(build_id));
	return err;
}

static void ask(struct lt_symbolizer *symbolizer, uint64_t pc)
{
	assert_int_equal(lt_symbolizer_ask(symbolizer, pc), 0);
}

static void wait_readable(const struct lt_symbolizer *symbolizer)
{
	struct pollfd fd = { .fd = lt_symbolizer_fd(symbolizer), .events = POLLIN };

	assert_int_equal(poll(&fd, 1, LIMIT_MS), 1);
}

static int collect(void *context, const struct lt_event_symbol *symbol)
{
	struct answers *answers = context;

	assert_true(answers->count < MAX_RECORDED);
	if (symbol->frame_count) {
		assert_int_equal(symbol->frame_count, 2);
		assert_int_equal(symbol->frames[0].line, 7);
		assert_true(symbol->frames[0].inlined);
		assert_string_equal(symbol->frames[1].function, "caller");
		assert_string_equal(symbol->frames[1].file, "");
		snprintf(answers->text[answers->count], sizeof(answers->text[0]), "%s in %s",
			 symbol->frames[0].function, symbol->frames[0].file);
	}
	answers->pc[answers->count++] = symbol->pc;
	return answers->fail;
}

/* Everything that was asked. */
static void collect_all(struct lt_symbolizer *symbolizer, struct answers *answers)
{
	while (lt_symbolizer_pending(symbolizer)) {
		wait_readable(symbolizer);
		assert_int_equal(lt_symbolizer_fetch(symbolizer, collect, answers), 0);
	}
}

static bool is_closed(int fd)
{
	return fcntl(fd, F_GETFD) < 0 && errno == EBADF;
}

static int some_fd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void test_order(void **state)
{
	static const char *const expected[] = { "module 1000", "lookup 1010", "module 2000",
						"lookup 2010", "lookup 1020" };
	struct answers answers = { 0 };
	struct fake fake;
	struct lt_symbolizer *symbolizer = start(&fake);
	int fd = some_fd();

	assert_int_equal(add_module(symbolizer, 0x1000, 0x2000, fd), 0);
	ask(symbolizer, 0x1010);
	assert_int_equal(add_module(symbolizer, 0x2000, 0x3000, -1), 0);
	ask(symbolizer, 0x2010);
	ask(symbolizer, 0x1020);
	assert_int_equal(lt_symbolizer_pending(symbolizer), 3);
	permit(&fake, FOREVER);
	collect_all(symbolizer, &answers);
	assert_int_equal(answers.count, 3);
	assert_string_equal(answers.text[0], "f1010 of 1 in 1010.c");
	assert_string_equal(answers.text[1], "f2010 of 2 in 2010.c");
	assert_string_equal(answers.text[2], "f1020 of 2 in 1020.c");
	assert_int_equal(fake.logged, 5);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(fake.log[i], expected[i]);
	assert_true(is_closed(fd));
	stop(symbolizer, &fake);
}

static void test_asking_never_waits(void **state)
{
	struct answers answers = { 0 };
	struct fake fake;
	struct lt_symbolizer *symbolizer = start(&fake);
	uint64_t pc = 0;

	assert_false(lt_symbolizer_current(symbolizer, &pc));
	ask(symbolizer, 0x1010);
	wait_begun(&fake, 1);
	ask(symbolizer, 0x1020);
	ask(symbolizer, 0x1010); /* in hand */
	ask(symbolizer, 0x1020); /* in the queue */
	assert_true(lt_symbolizer_current(symbolizer, &pc));
	assert_int_equal(pc, 0x1010);
	assert_int_equal(lt_symbolizer_pending(symbolizer), 2);
	assert_int_equal(lt_symbolizer_fetch(symbolizer, collect, &answers), 0);
	assert_int_equal(answers.count, 0);
	permit(&fake, 1);
	wait_readable(symbolizer);
	ask(symbolizer, 0x1010); /* answered, not fetched */
	assert_int_equal(lt_symbolizer_fetch(symbolizer, collect, &answers), 0);
	assert_int_equal(answers.count, 1);
	assert_int_equal(lt_symbolizer_pending(symbolizer), 1);
	permit(&fake, FOREVER);
	collect_all(symbolizer, &answers);
	assert_int_equal(answers.count, 2);
	assert_int_equal(fake.begun, 2);
	assert_false(lt_symbolizer_current(symbolizer, &pc));
	stop(symbolizer, &fake);
}

/* One address whose lookup began before its module was replaced, one that was answered before. */
static void test_replaced_module(void **state)
{
	struct answers answers = { 0 };
	struct fake fake;
	struct lt_symbolizer *symbolizer = start(&fake);

	assert_int_equal(add_module(symbolizer, 0x1000, 0x9000, -1), 0);
	ask(symbolizer, 0x1000);
	ask(symbolizer, 0x1fff);
	permit(&fake, 1);
	wait_readable(symbolizer);
	wait_begun(&fake, 2);
	ask(symbolizer, 0x0fff); /* outside on either side, in the queue */
	ask(symbolizer, 0x2000);
	assert_int_equal(add_module(symbolizer, 0x1000, 0x2000, -1), 0);
	assert_int_equal(lt_symbolizer_fetch(symbolizer, collect, &answers), 0);
	assert_int_equal(answers.count, 0);
	assert_int_equal(lt_symbolizer_pending(symbolizer), 4);
	permit(&fake, FOREVER);
	collect_all(symbolizer, &answers);
	assert_int_equal(answers.count, 4);
	assert_int_equal(fake.begun, 6);
	for (size_t i = 0; i < 4; i++) {
		char expected[64];

		/* The outer two were in the queue before the module, and stay as they were. */
		snprintf(expected, sizeof(expected), "f%" PRIx64 " of %d in %" PRIx64 ".c",
			 answers.pc[i], answers.pc[i] / 0x1000 == 1 ? 2 : 1, answers.pc[i]);
		assert_string_equal(answers.text[i], expected);
	}
	stop(symbolizer, &fake);
}

static void test_answered_for_good(void **state)
{
	struct answers answers = { 0 };
	struct fake fake;
	struct lt_symbolizer *symbolizer = start(&fake);

	permit(&fake, FOREVER);
	ask(symbolizer, 0x1010);
	collect_all(symbolizer, &answers);
	assert_int_equal(add_module(symbolizer, 0x1000, 0x2000, -1), 0);
	assert_int_equal(lt_symbolizer_pending(symbolizer), 0);
	ask(symbolizer, 0x1010);
	collect_all(symbolizer, &answers);
	assert_int_equal(answers.count, 2);
	assert_string_equal(answers.text[1], "f1010 of 1 in 1010.c");
	stop(symbolizer, &fake);
}

static void test_failures(void **state)
{
	struct answers answers = { 0 };
	struct fake fake;
	struct lt_symbolizer *symbolizer = start(&fake);

	permit(&fake, FOREVER);
	ask(symbolizer, NAMELESS);
	ask(symbolizer, STRANGE);
	ask(symbolizer, 0x1010);
	collect_all(symbolizer, &answers);
	assert_int_equal(answers.count, 3);
	assert_int_equal(answers.pc[0], NAMELESS);
	assert_string_equal(answers.text[0], "");
	assert_int_equal(answers.pc[1], STRANGE);
	assert_string_equal(answers.text[1], "");
	assert_string_equal(answers.text[2], "f1010 of 0 in 1010.c");
	ask(symbolizer, STARVED);
	wait_readable(symbolizer);
	assert_int_equal(lt_symbolizer_fetch(symbolizer, collect, &answers), -ENOMEM);
	assert_int_equal(answers.count, 3);
	stop(symbolizer, &fake);
}

static void test_failing_callback(void **state)
{
	struct answers answers = { .fail = -EPIPE };
	struct fake fake;
	struct lt_symbolizer *symbolizer = start(&fake);

	permit(&fake, 2);
	for (uint64_t pc = 0x1000; pc < 0x1003; pc++)
		ask(symbolizer, pc);
	wait_begun(&fake, 3);
	assert_int_equal(lt_symbolizer_fetch(symbolizer, collect, &answers), -EPIPE);
	assert_int_equal(answers.count, 1);
	assert_int_equal(lt_symbolizer_pending(symbolizer), 1);
	stop(symbolizer, &fake);
}

/* The lookup in hand ends when this thread sleeps: when it waits for the worker to end. */
static void test_free_while_busy(void **state)
{
	struct fake fake;
	struct lt_symbolizer *symbolizer = start(&fake);
	int fd = some_fd();

	ask(symbolizer, 0x1010);
	wait_begun(&fake, 1);
	ask(symbolizer, 0x1020);
	assert_int_equal(add_module(symbolizer, 0x1000, 0x2000, fd), 0);
	fake.until_asleep = gettid();
	stop(symbolizer, &fake);
	assert_int_equal(fake.begun, 1);
	assert_int_equal(fake.ended, 1);
	assert_int_equal(fake.generation, 0);
	assert_true(is_closed(fd));
}

static void test_free_with_answers_unfetched(void **state)
{
	struct fake fake;
	struct lt_symbolizer *symbolizer = start(&fake);

	permit(&fake, 2);
	ask(symbolizer, 0x1010);
	ask(symbolizer, 0x1020);
	ask(symbolizer, 0x1030);
	wait_begun(&fake, 3);
	stop(symbolizer, &fake);
	assert_int_equal(fake.ended, 3);
	lt_symbolizer_free(NULL);
}

static void test_refused_module(void **state)
{
	struct fake fake;
	struct lt_symbolizer *symbolizer = start(&fake);
	int fd = some_fd();

	assert_int_equal(add_module(symbolizer, 0x1000, 0x1000, fd), -EINVAL);
	assert_true(is_closed(fd));
	stop(symbolizer, &fake);
	assert_int_equal(fake.generation, 0);
}

static int count_answer(void *context, const struct lt_event_symbol *symbol)
{
	++*(size_t *)context;
	return 0;
}

static void test_bound(void **state)
{
	struct fake fake;
	struct lt_symbolizer *symbolizer = start(&fake);
	size_t answered = 0;

	for (uint64_t i = 0; i < LT_MAX_LOOKUPS; i++)
		ask(symbolizer, 0x10000 + i);
	assert_int_equal(lt_symbolizer_ask(symbolizer, 0x10000), 0);
	assert_int_equal(lt_symbolizer_ask(symbolizer, 0x1000), -ENOSPC);
	assert_int_equal(lt_symbolizer_pending(symbolizer), LT_MAX_LOOKUPS);
	permit(&fake, FOREVER);
	while (lt_symbolizer_pending(symbolizer)) {
		wait_readable(symbolizer);
		assert_int_equal(lt_symbolizer_fetch(symbolizer, count_answer, &answered), 0);
	}
	assert_int_equal(answered, LT_MAX_LOOKUPS);
	ask(symbolizer, 0x1000);
	stop(symbolizer, &fake);
}

static int keep_name(void *context, const struct lt_event_symbol *symbol)
{
	assert_int_equal(symbol->frame_count, 1);
	snprintf(context, 64, "%s", symbol->frames[0].function);
	return 0;
}

/* Itself, with the resolver. */
__attribute__((noinline)) void lt_test_landmark(void);

__attribute__((noinline)) void lt_test_landmark(void)
{
	__asm__ volatile("");
}

static void test_with_the_resolver(void **state)
{
	struct lt_process self = { .pid = -1, .proc_fd = -1, .pid_fd = -1 };
	uint64_t pc = (uint64_t)(uintptr_t)lt_test_landmark;
	struct lt_symbolizer *symbolizer = NULL;
	const struct lt_mapping *mapping;
	struct lt_resolver *resolver = NULL;
	struct lt_event_module module = { 0 };
	struct lt_maps maps = { 0 };
	char name[64] = "";

	assert_int_equal(lt_process_open(getpid(), &self), 0);
	assert_int_equal(lt_maps_read(&self, &maps), 0);
	mapping = lt_maps_find(&maps, pc);
	assert_non_null(mapping);
	module.start = mapping->start;
	module.end = mapping->end;
	module.file_offset = mapping->file_offset;
	module.path = mapping->path;
	assert_int_equal(lt_resolver_new(&resolver), 0);
	assert_int_equal(lt_symbolizer_new(&symbolizer, resolver), 0);
	assert_int_equal(lt_symbolizer_add_module(symbolizer, &module,
						  open("/proc/self/exe", O_RDONLY | O_CLOEXEC)),
			 0);
	ask(symbolizer, pc);
	wait_readable(symbolizer);
	assert_int_equal(lt_symbolizer_fetch(symbolizer, keep_name, name), 0);
	assert_string_equal(name, "lt_test_landmark");
	lt_symbolizer_free(symbolizer);
	lt_maps_free(&maps);
	lt_process_close(&self);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_asking_never_waits),
		cmocka_unit_test(test_replaced_module),
		cmocka_unit_test(test_answered_for_good),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_failing_callback),
		cmocka_unit_test(test_free_while_busy),
		cmocka_unit_test(test_free_with_answers_unfetched),
		cmocka_unit_test(test_refused_module),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_with_the_resolver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
