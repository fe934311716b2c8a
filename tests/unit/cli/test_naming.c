// SPDX-License-Identifier: GPL-2.0-or-later
/* A pipeline with one site whose frames are in a file and in code made at run time; a fake looks
 * up. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/naming.h"

#define S         1000000000ULL
#define LIMIT_MS  60000
#define FILE_BASE 0x10000
#define JIT_BASE  0x20000
#define NAMED     (FILE_BASE + 0x10)
#define NAMELESS  (FILE_BASE + 0x20)
#define JIT       (JIT_BASE + 0x10)

struct fixture {
	struct lt_pipeline *pipeline;
	struct lt_naming naming;
	pthread_mutex_t gate; /* no lookup ends while it is held */
	bool jit_named;
	uint64_t emitted[8];
	size_t emitted_count;
	unsigned int looked_up;
};

static int add_module(void *context, const struct lt_event_module *module, int fd)
{
	return 0;
}

static int lookup(void *context, uint64_t pc, struct lt_event_symbol *symbol)
{
	static const struct lt_source_frame frame = { "name", "", 0, false };
	struct fixture *fixture = context;

	pthread_mutex_lock(&fixture->gate);
	fixture->looked_up++;
	*symbol = (struct lt_event_symbol){ pc, &frame,
					    pc == NAMED || (pc == JIT && fixture->jit_named) };
	pthread_mutex_unlock(&fixture->gate);
	return 0;
}

static void free_nothing(void *context)
{
}

static int on_report(void *context, struct lt_report *report)
{
	lt_report_free(report);
	return 0;
}

static void apply(struct fixture *fixture, struct lt_event event)
{
	event.tgid = 1;
	assert_int_equal(lt_pipeline_apply(fixture->pipeline, &event), 0);
}

static int sink(void *context, const struct lt_event *event)
{
	struct fixture *fixture = context;

	assert_int_equal(event->type, LT_EVENT_SYMBOL);
	assert_int_equal(event->tgid, 1);
	assert_true(fixture->emitted_count < 8);
	fixture->emitted[fixture->emitted_count++] = event->symbol.pc;
	return lt_pipeline_apply(fixture->pipeline, event);
}

static void set_up(struct fixture *fixture)
{
	static const uint64_t frames[] = { NAMED + 1, NAMELESS + 1, JIT + 1, NAMED + 1 };
	struct lt_pipeline_options options = { .top = 10, .on_report = on_report };
	struct lt_lookups lookups = { add_module, lookup, free_nothing, fixture };

	*fixture = (struct fixture){ .gate = PTHREAD_MUTEX_INITIALIZER };
	assert_int_equal(lt_pipeline_new(&fixture->pipeline, &options), 0);
	assert_int_equal(lt_symbolizer_new_with(&fixture->naming.symbolizer, &lookups), 0);
	fixture->naming.symbols = lt_pipeline_symbols(fixture->pipeline);
	apply(fixture,
	      (struct lt_event){ .type = LT_EVENT_TARGET,
				 .target = { .comm = "c", .exe = "/c", .allocator = "" } });
	apply(fixture, (struct lt_event){ .type = LT_EVENT_MODULE,
					  .module = { .start = FILE_BASE,
						      .end = FILE_BASE + 0x1000,
						      .path = "/lib/some" } });
	apply(fixture, (struct lt_event){ .type = LT_EVENT_MODULE,
					  .module = { .module_id = 1,
						      .start = JIT_BASE,
						      .end = JIT_BASE + 0x1000,
						      .path = "" } });
	apply(fixture,
	      (struct lt_event){ .type = LT_EVENT_STACK,
				 .kind = LT_KIND_HEAP,
				 .stack = { .stack_id = 9, .frames = frames, .frame_count = 4 } });
	apply(fixture,
	      (struct lt_event){ .type = LT_EVENT_ACQUIRE,
				 .kind = LT_KIND_HEAP,
				 .acquire = { .id = 0x5000, .size = 100, .stack_id = 9 } });
}

static void tear_down(struct fixture *fixture)
{
	lt_symbolizer_free(fixture->naming.symbolizer);
	lt_naming_free(&fixture->naming);
	lt_pipeline_free(fixture->pipeline);
}

static void emit_all(struct fixture *fixture)
{
	struct pollfd fd = { .fd = lt_symbolizer_fd(fixture->naming.symbolizer), .events = POLLIN };
	struct lt_event event = { .tgid = 1 };

	fixture->emitted_count = 0;
	while (lt_symbolizer_pending(fixture->naming.symbolizer)) {
		assert_int_equal(poll(&fd, 1, LIMIT_MS), 1);
		assert_int_equal(lt_naming_emit(&fixture->naming, &event, sink, fixture), 0);
	}
}

static void test_each_address_is_asked_once(void **state)
{
	struct fixture fixture;

	set_up(&fixture);
	assert_false(lt_naming_awaited(&fixture.naming, 1 * S));
	fixture.jit_named = true;
	pthread_mutex_lock(&fixture.gate);
	assert_int_equal(lt_naming_ask(&fixture.naming, fixture.pipeline, 1 * S), 0);
	assert_int_equal(lt_naming_ask_last(&fixture.naming, fixture.pipeline, 1 * S, true), 0);
	assert_int_equal(lt_symbolizer_pending(fixture.naming.symbolizer), 3);
	assert_true(lt_naming_awaited(&fixture.naming, 1 * S));
	pthread_mutex_unlock(&fixture.gate);
	emit_all(&fixture);
	assert_int_equal(fixture.emitted_count, 3);
	assert_int_equal(fixture.emitted[0], NAMED);
	assert_int_equal(fixture.emitted[1], NAMELESS);
	assert_int_equal(fixture.emitted[2], JIT);
	assert_false(lt_naming_awaited(&fixture.naming, 1 * S));
	assert_int_equal(lt_naming_ask(&fixture.naming, fixture.pipeline, 2 * S), 0);
	assert_int_equal(lt_symbolizer_pending(fixture.naming.symbolizer), 0);
	assert_int_equal(fixture.looked_up, 3);
	tear_down(&fixture);
}

static void test_code_made_at_run_time_gets_its_name_later(void **state)
{
	struct fixture fixture;

	set_up(&fixture);
	assert_int_equal(lt_naming_ask(&fixture.naming, fixture.pipeline, 1 * S), 0);
	emit_all(&fixture);
	assert_int_equal(fixture.emitted_count, 2);
	assert_int_equal(lt_naming_ask(&fixture.naming, fixture.pipeline, 2 * S), 0);
	assert_int_equal(lt_symbolizer_pending(fixture.naming.symbolizer), 1);
	emit_all(&fixture);
	assert_int_equal(fixture.emitted_count, 0);
	fixture.jit_named = true;
	assert_int_equal(lt_naming_ask(&fixture.naming, fixture.pipeline, 3 * S), 0);
	emit_all(&fixture);
	assert_int_equal(fixture.emitted_count, 1);
	assert_int_equal(fixture.emitted[0], JIT);
	assert_int_equal(lt_naming_ask(&fixture.naming, fixture.pipeline, 4 * S), 0);
	assert_int_equal(lt_symbolizer_pending(fixture.naming.symbolizer), 0);
	tear_down(&fixture);
}

static void test_patience_has_an_end(void **state)
{
	struct fixture fixture;

	set_up(&fixture);
	pthread_mutex_lock(&fixture.gate);
	assert_int_equal(lt_naming_ask(&fixture.naming, fixture.pipeline, 100 * S), 0);
	assert_true(lt_naming_awaited(&fixture.naming, 103 * S));
	assert_false(lt_naming_awaited(&fixture.naming, 160 * S));
	/* Asked again behind the same file: the next report does not wait as long once more. */
	assert_int_equal(lt_naming_ask(&fixture.naming, fixture.pipeline, 160 * S), 0);
	assert_false(lt_naming_awaited(&fixture.naming, 160 * S));
	pthread_mutex_unlock(&fixture.gate);
	emit_all(&fixture);
	assert_int_equal(fixture.emitted_count, 2);
	/* All were answered: a new wait. */
	pthread_mutex_lock(&fixture.gate);
	assert_int_equal(lt_naming_ask(&fixture.naming, fixture.pipeline, 200 * S), 0);
	assert_true(lt_naming_awaited(&fixture.naming, 201 * S));
	pthread_mutex_unlock(&fixture.gate);
	tear_down(&fixture);
}

static void test_the_last_report_waits_for_longer_but_not_for_ever(void **state)
{
	struct fixture fixture;

	set_up(&fixture);
	pthread_mutex_lock(&fixture.gate);
	assert_int_equal(lt_naming_ask(&fixture.naming, fixture.pipeline, 100 * S), 0);
	assert_false(lt_naming_awaited(&fixture.naming, 1000 * S));
	/* However long others waited before. */
	assert_int_equal(lt_naming_ask_last(&fixture.naming, fixture.pipeline, 1000 * S, false), 0);
	assert_true(lt_naming_awaited(&fixture.naming, 1059 * S));
	assert_false(lt_naming_awaited(&fixture.naming, 1060 * S));
	pthread_mutex_unlock(&fixture.gate);
	emit_all(&fixture);
	assert_false(lt_naming_awaited(&fixture.naming, 1001 * S));
	tear_down(&fixture);
}

static void test_a_wait_is_told_without_a_file(void **state)
{
	struct fixture fixture;
	uint64_t pc;

	set_up(&fixture);
	pthread_mutex_lock(&fixture.gate);
	assert_int_equal(lt_symbolizer_ask(fixture.naming.symbolizer, JIT), 0);
	fixture.naming.since_ns = 100 * S;
	while (!lt_symbolizer_current(fixture.naming.symbolizer, &pc))
		poll(NULL, 0, 1);
	lt_naming_tell(&fixture.naming, 101 * S);
	assert_false(fixture.naming.told_wait);
	lt_naming_tell(&fixture.naming, 103 * S);
	assert_true(fixture.naming.told_wait);
	assert_int_equal(fixture.naming.told.len, 0);
	/* What can be done about it is said anew. */
	assert_int_equal(lt_naming_ask_last(&fixture.naming, fixture.pipeline, 104 * S, false), 0);
	assert_false(fixture.naming.told_wait);
	pthread_mutex_unlock(&fixture.gate);
	emit_all(&fixture);
	lt_naming_tell(&fixture.naming, 110 * S); /* nothing is awaited */
	assert_false(fixture.naming.told_wait);
	tear_down(&fixture);
}

static void test_the_file_waited_for_is_told(void **state)
{
	struct fixture fixture;
	uint64_t pc;

	set_up(&fixture);
	pthread_mutex_lock(&fixture.gate);
	assert_int_equal(lt_naming_ask(&fixture.naming, fixture.pipeline, 100 * S), 0);
	while (!lt_symbolizer_current(fixture.naming.symbolizer, &pc))
		poll(NULL, 0, 1);
	lt_naming_tell(&fixture.naming, 101 * S);
	assert_null(fixture.naming.told.data);
	lt_naming_tell(&fixture.naming, 103 * S);
	assert_string_equal(fixture.naming.told.data, "/lib/some");
	pthread_mutex_unlock(&fixture.gate);
	emit_all(&fixture);
	lt_buf_clear(&fixture.naming.told);
	lt_naming_tell(&fixture.naming, 110 * S); /* nothing in hand */
	assert_int_equal(fixture.naming.told.len, 0);
	tear_down(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_address_is_asked_once),
		cmocka_unit_test(test_code_made_at_run_time_gets_its_name_later),
		cmocka_unit_test(test_patience_has_an_end),
		cmocka_unit_test(test_the_last_report_waits_for_longer_but_not_for_ever),
		cmocka_unit_test(test_a_wait_is_told_without_a_file),
		cmocka_unit_test(test_the_file_waited_for_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
