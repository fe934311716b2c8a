// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/pipelines.h"
#include "symbol/store.h"

#define S          1000000000ULL
#define MAX_ROUNDS 16
#define BASE       0x400000

struct round {
	size_t count;
	uint32_t pids[8];
	bool several, leaver, final;
	struct lt_ended_summary ended;
};

struct fixture {
	struct lt_pipelines *pipelines;
	struct round rounds[MAX_ROUNDS];
	size_t round_count;
	int result; /* of on_round */
};

static int on_round(void *context, const struct lt_round *round)
{
	struct fixture *fixture = context;
	struct round *kept = &fixture->rounds[fixture->round_count++ % MAX_ROUNDS];

	*kept = (struct round){ .count = round->count,
				.several = round->several,
				.leaver = round->leaver,
				.final = round->reports[0]->final,
				.ended = round->ended };
	for (size_t i = 0; i < round->count && i < 8; i++)
		kept->pids[i] = round->reports[i]->target.pid;
	return fixture->result;
}

static int set_up(void **state)
{
	static struct fixture fixture;
	struct lt_pipelines_options options = { .top = 10,
						.on_round = on_round,
						.context = &fixture };

	fixture = (struct fixture){ 0 };
	*state = &fixture;
	return lt_pipelines_new(&fixture.pipelines, &options);
}

static int tear_down(void **state)
{
	lt_pipelines_free(((struct fixture *)*state)->pipelines);
	return 0;
}

static int send(struct fixture *fixture, const struct lt_event *event)
{
	return lt_pipelines_apply(fixture->pipelines, event);
}

static int target(struct fixture *fixture, uint32_t process, uint32_t shares)
{
	return send(fixture, &(struct lt_event){ .type = LT_EVENT_TARGET,
						 .tgid = process,
						 .time_ns = S,
						 .target = { .comm = "c",
							     .exe = "/c",
							     .allocator = "glibc",
							     .pid = process,
							     .shares = shares } });
}

static int plain(struct fixture *fixture, uint8_t type, uint32_t process)
{
	return send(fixture, &(struct lt_event){ .type = type, .tgid = process, .time_ns = 2 * S });
}

static int report(struct fixture *fixture, uint32_t process, bool final)
{
	return send(fixture, &(struct lt_event){ .type = LT_EVENT_REPORT,
						 .tgid = process,
						 .time_ns = 3 * S,
						 .report = { final } });
}

static int acquire(struct fixture *fixture, uint32_t process, uint64_t id, uint64_t size)
{
	return send(fixture, &(struct lt_event){ .type = LT_EVENT_ACQUIRE,
						 .kind = LT_KIND_HEAP,
						 .tgid = process,
						 .time_ns = 2 * S,
						 .acquire = { id, size, 1 } });
}

static int release(struct fixture *fixture, uint32_t process, uint64_t id)
{
	return send(fixture, &(struct lt_event){ .type = LT_EVENT_RELEASE,
						 .kind = LT_KIND_HEAP,
						 .tgid = process,
						 .time_ns = 2 * S,
						 .release = { .id = id } });
}

/* A thread's: 8 MiB of addresses. */
static int map_stack(struct fixture *fixture, uint32_t process)
{
	return send(fixture, &(struct lt_event){ .type = LT_EVENT_ACQUIRE,
						 .kind = LT_KIND_MMAP,
						 .flags = LT_WIRE_CLASS_FLAG(LT_RANGE_STACK),
						 .tgid = process,
						 .time_ns = 2 * S,
						 .acquire = { 0x7f0000000000, 8 << 20, 1 } });
}

static int module(struct fixture *fixture, uint32_t process, const char *path)
{
	return send(fixture, &(struct lt_event){ .type = LT_EVENT_MODULE,
						 .tgid = process,
						 .time_ns = 2 * S,
						 .module = { .start = BASE,
							     .end = BASE + 0x1000,
							     .path = path,
							     .build_id = (const uint8_t *)"" } });
}

/* What the process calls the file at BASE, or "". */
static const char *path_of(const struct fixture *fixture, uint32_t process)
{
	const struct lt_pipeline *pipeline = lt_pipelines_find(fixture->pipelines, process);
	const struct lt_module *found = lt_symbol_store_module(lt_pipeline_symbols(pipeline), BASE);

	return found ? found->path : "";
}

static void each_process_has_figures_of_its_own(void **state)
{
	struct fixture *fixture = *state;
	const struct lt_model_totals *totals;

	assert_int_equal(target(fixture, 1, 0), 0);
	assert_int_equal(target(fixture, 2, 1), 0);
	assert_int_equal(acquire(fixture, 1, 0x1000, 10), 0);
	assert_int_equal(acquire(fixture, 2, 0x1000, 30), 0);
	assert_int_equal(release(fixture, 1, 0x1000), 0);
	totals = lt_pipeline_totals(lt_pipelines_find(fixture->pipelines, 1));
	assert_int_equal(totals->live_count, 0);
	totals = lt_pipeline_totals(lt_pipelines_find(fixture->pipelines, 2));
	assert_int_equal(totals->live_size, 30);
	assert_int_equal(totals->address_reused, 0);
	assert_null(lt_pipelines_find(fixture->pipelines, 3));
}

static void names_are_shared_until_they_are_not(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(target(fixture, 1, 0), 0);
	assert_int_equal(target(fixture, 2, 1), 0);
	assert_int_equal(target(fixture, 3, 2), 0);
	assert_int_equal(module(fixture, 1, "/one"), 0);
	assert_string_equal(path_of(fixture, 3), "/one");
	assert_int_equal(plain(fixture, LT_EVENT_UNSHARE, 2), 0);
	assert_string_equal(path_of(fixture, 2), "");
	assert_int_equal(module(fixture, 2, "/two"), 0);
	assert_string_equal(path_of(fixture, 1), "/one");
	assert_string_equal(path_of(fixture, 2), "/two");
	/* The names outlive the process that they were told of, and stay open to more. */
	assert_int_equal(plain(fixture, LT_EVENT_GONE, 1), 0);
	assert_string_equal(path_of(fixture, 3), "/one");
	assert_int_equal(module(fixture, 3, "/three"), 0);
	assert_string_equal(path_of(fixture, 3), "/three");
	assert_string_equal(path_of(fixture, 2), "/two");
}

static void reports_in_a_row_are_a_round(void **state)
{
	struct fixture *fixture = *state;
	const struct round *rounds = fixture->rounds;

	assert_int_equal(target(fixture, 1, 0), 0);
	assert_int_equal(report(fixture, 1, false), 0);
	assert_int_equal(fixture->round_count, 0);
	assert_int_equal(plain(fixture, LT_EVENT_SAMPLE, 1), 0);
	assert_int_equal(fixture->round_count, 1);
	assert_false(rounds[0].several);
	assert_int_equal(target(fixture, 2, 0), 0);
	assert_int_equal(report(fixture, 1, false), 0);
	assert_int_equal(report(fixture, 2, false), 0);
	assert_int_equal(lt_pipelines_flush(fixture->pipelines), 0);
	assert_int_equal(lt_pipelines_flush(fixture->pipelines), 0);
	assert_int_equal(fixture->round_count, 2);
	assert_int_equal(rounds[1].count, 2);
	assert_int_equal(rounds[1].pids[0], 1);
	assert_int_equal(rounds[1].pids[1], 2);
	assert_true(rounds[1].several);
	assert_false(rounds[1].leaver);
}

static void who_is_gone_is_summed_up(void **state)
{
	struct fixture *fixture = *state;
	const struct round *rounds = fixture->rounds;

	for (uint32_t process = 1; process <= 3; process++)
		assert_int_equal(target(fixture, process, 0), 0);
	for (uint32_t process = 2; process <= 3; process++) {
		assert_int_equal(acquire(fixture, process, 0x1000, 10), 0);
		assert_int_equal(acquire(fixture, process, 0x2000, 5), 0);
		assert_int_equal(release(fixture, process, 0x1000), 0);
		assert_int_equal(release(fixture, process, 0x3000), 0);
	}
	assert_int_equal(map_stack(fixture, 3), 0); /* a resource, but no memory */
	/* One with a last report of its own ... */
	assert_int_equal(report(fixture, 2, true), 0);
	assert_int_equal(plain(fixture, LT_EVENT_GONE, 2), 0);
	assert_int_equal(fixture->round_count, 1);
	assert_true(rounds[0].leaver);
	assert_true(rounds[0].final);
	assert_int_equal(rounds[0].ended.processes, 0);
	/* ... one without, behind which comes a round that has nothing to do with it. */
	assert_int_equal(plain(fixture, LT_EVENT_GONE, 3), 0);
	assert_int_equal(report(fixture, 1, false), 0);
	assert_int_equal(lt_pipelines_flush(fixture->pipelines), 0);
	assert_int_equal(fixture->round_count, 2);
	assert_false(rounds[1].leaver);
	assert_true(rounds[1].several);
	assert_memory_equal(&rounds[1].ended, (&(struct lt_ended_summary){ 2, 5, 2, 3, 10, 2 }),
			    sizeof(rounds[1].ended));
	assert_int_equal(plain(fixture, LT_EVENT_SAMPLE, 2), -EBADMSG);
}

static void what_was_cut_short_is_ended(void **state)
{
	struct fixture *fixture = *state;
	const struct round *rounds = fixture->rounds;
	size_t ended;

	for (uint32_t process = 1; process <= 3; process++)
		assert_int_equal(target(fixture, process, 0), 0);
	assert_int_equal(report(fixture, 1, true), 0);
	assert_int_equal(plain(fixture, LT_EVENT_END, 2), 0);
	assert_int_equal(lt_pipelines_end(fixture->pipelines, &ended), 0);
	assert_int_equal(ended, 2);
	assert_int_equal(fixture->round_count, 2);
	assert_int_equal(rounds[1].count, 2);
	assert_true(rounds[1].final);
	assert_true(lt_pipeline_ended(lt_pipelines_find(fixture->pipelines, 3)));
}

static void nonsense_is_refused(void **state)
{
	struct fixture *fixture = *state;
	size_t ended;

	assert_int_equal(plain(fixture, LT_EVENT_SAMPLE, 1), -EBADMSG);
	assert_int_equal(report(fixture, 1, true), -EBADMSG);
	assert_int_equal(plain(fixture, LT_EVENT_GONE, 1), -EBADMSG);
	assert_int_equal(target(fixture, 1, 1), -EBADMSG);
	assert_int_equal(target(fixture, 1, 9), -EBADMSG);
	assert_int_equal(target(fixture, 1, 0), 0);
	assert_int_equal(target(fixture, 1, 0), -EBADMSG);
	assert_int_equal(plain(fixture, LT_EVENT_LIFE, 1), -EBADMSG);
	assert_int_equal(plain(fixture, 99, 1), -EBADMSG);
	assert_int_equal(plain(fixture, LT_EVENT_GONE, 1), 0);
	assert_int_equal(target(fixture, 2, 1), -EBADMSG);
	assert_int_equal(lt_pipelines_end(fixture->pipelines, &ended), 0);
	assert_int_equal(ended, 0);
}

static void an_error_of_the_round_is_handed_on(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(target(fixture, 1, 0), 0);
	assert_int_equal(report(fixture, 1, false), 0);
	fixture->result = -EPIPE;
	assert_int_equal(plain(fixture, LT_EVENT_SAMPLE, 1), -EPIPE);
}

static uint32_t next_random(uint32_t *seed) /* the same everywhere */
{
	*seed = *seed * 1664525u + 1013904223u; /* Numerical Recipes, 7.1 */
	return *seed >> 8;
}

/* Any order of events: what is refused changes nothing, and nothing is used after it is freed. */
static void any_order(void **state)
{
	static const uint8_t types[] = { LT_EVENT_SAMPLE,  LT_EVENT_END,  LT_EVENT_GONE,
					 LT_EVENT_UNSHARE, LT_EVENT_LIFE, LT_EVENT_GONE };
	struct fixture *fixture = *state;
	uint32_t seed = 1;
	size_t accepted = 0, ended;

	for (int i = 0; i < 50000; i++) {
		uint32_t process = 1 + next_random(&seed) % 6, choice = next_random(&seed) % 16;
		uint32_t other = next_random(&seed) % 7;

		accepted += (choice < 4    ? target(fixture, process, other)
			     : choice < 6  ? report(fixture, process, other > 4)
			     : choice < 8  ? module(fixture, process, other > 4 ? "/a" : "/b")
			     : choice < 10 ? acquire(fixture, process, other << 12, other)
			     : choice < 12 ? release(fixture, process, other << 12)
					   : plain(fixture, types[other % 6], process)) == 0;
	}
	assert_int_equal(lt_pipelines_end(fixture->pipelines, &ended), 0);
	assert_in_range(accepted, 10000, 50000);
	assert_in_range(fixture->round_count, 1000, 50000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_process_has_figures_of_its_own, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(names_are_shared_until_they_are_not, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(reports_in_a_row_are_a_round, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_is_gone_is_summed_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_cut_short_is_ended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nonsense_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_error_of_the_round_is_handed_on, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(any_order, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
