// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "report/headroom.h"

struct scene {
	struct lt_event_limit limits[LT_LIMITS];
	struct lt_event_process process;
	struct lt_report_input input;
	struct lt_report report;
	struct lt_arena arena;
};

static size_t index_of(uint8_t kind)
{
	size_t i = 0;

	while (lt_kind_infos[i].value != kind)
		i++;
	return i;
}

static int setup(void **state)
{
	static struct scene scene;

	memset(&scene, 0, sizeof(scene));
	scene.input.limits = scene.limits;
	scene.input.process = &scene.process;
	*state = &scene;
	return 0;
}

static int teardown(void **state)
{
	lt_arena_free(&((struct scene *)*state)->arena);
	return 0;
}

static void limit(struct scene *scene, uint32_t which, uint64_t used, uint64_t max)
{
	scene->limits[which] = (struct lt_event_limit){ which, used, max };
}

static void holds(struct scene *scene, uint8_t kind, uint64_t live, double leaking_per_hour)
{
	scene->report.kinds[index_of(kind)].live_count = live;
	scene->report.kinds[index_of(kind)].leaking_per_hour = leaking_per_hour;
}

static double seconds_of(const struct scene *scene, uint8_t kind, enum lt_verdict verdict,
			 double growth)
{
	struct lt_evidence evidence = { .verdict = verdict, .growth_per_hour = growth };

	return lt_headroom_seconds(&scene->input, &scene->report, index_of(kind), &evidence);
}

static const struct lt_report_headroom *build(struct scene *scene, size_t count)
{
	assert_int_equal(lt_headroom_build(&scene->input, &scene->arena, &scene->report), 0);
	assert_int_equal(scene->report.headroom_count, count);
	return scene->report.headroom;
}

static void without_limits_there_are_no_rows(void **state)
{
	struct scene *scene = *state;

	holds(scene, LT_KIND_SOCKET, 100, 3600);
	build(scene, 0);
	scene->input.limits = NULL;
	scene->input.process = NULL;
	build(scene, 0);
	assert_true(isnan(seconds_of(scene, LT_KIND_SOCKET, LT_VERDICT_LEAKING, 10)));
	assert_true(isnan(seconds_of(scene, LT_KIND_HEAP, LT_VERDICT_LEAKING, 10)));
	assert_false(lt_headroom_fills(&scene->input, LT_LISTING_DESCRIPTORS, 100));
}

/* Sockets and other descriptors share a limit. */
static void descriptors(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_headroom *row;

	limit(scene, LT_LIMIT_DESCRIPTORS, 0, 1024);
	holds(scene, LT_KIND_SOCKET, 400, 1000);
	holds(scene, LT_KIND_FD, 24, 200);
	holds(scene, LT_KIND_THREAD, 7, 5000);
	row = build(scene, 1);
	assert_string_equal(row->what, "descriptors");
	assert_string_equal(row->unit, "");
	assert_string_equal(row->limit, "RLIMIT_NOFILE");
	assert_string_equal(row->whose, "of the process");
	assert_int_equal(row->used, 424);
	assert_int_equal(row->max, 1024);
	assert_true(row->growth_per_hour == 1200);
	assert_true(row->seconds_left == 1800);
	/* A census that is over is not what lives now, which all the rest of the report tells. */
	limit(scene, LT_LIMIT_DESCRIPTORS, 724, 1024);
	scene->report.listings[LT_LISTING_DESCRIPTORS] = (struct lt_model_listing){ .taken = true,
										    .listed = 724 };
	row = build(scene, 1);
	assert_int_equal(row->used, 424);
	assert_true(row->seconds_left == 1800);
}

static void not_growing(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_headroom *row;

	limit(scene, LT_LIMIT_DESCRIPTORS, 0, 1024);
	row = build(scene, 1);
	assert_true(isinf(row->seconds_left));
	assert_true(row->growth_per_hour == 0);
	assert_int_equal(row->used, 0);
}

/* The limit was lowered meanwhile. */
static void beyond_the_limit(void **state)
{
	struct scene *scene = *state;

	limit(scene, LT_LIMIT_DESCRIPTORS, 0, 10);
	holds(scene, LT_KIND_FD, 20, 60);
	assert_true(build(scene, 1)->seconds_left == 0);
	assert_true(scene->report.exhausted);
}

/* Nothing can grow any more, be it by the doing of others. */
static void exhausted(void **state)
{
	static const struct {
		uint32_t which;
		uint64_t used, max;
		bool exhausted;
	} cases[] = {
		{ LT_LIMIT_DESCRIPTORS, 0, 100, true },
		{ LT_LIMIT_DESCRIPTORS, 0, 101, false },
		{ LT_LIMIT_CGROUP_THREADS, 50, 50, true },
		{ LT_LIMIT_CGROUP_THREADS, 49, 50, false },
	};
	struct scene *scene = *state;

	holds(scene, LT_KIND_SOCKET, 100, 0);
	holds(scene, LT_KIND_THREAD, 7, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(scene->limits, 0, sizeof(scene->limits));
		scene->report.exhausted = false;
		limit(scene, cases[i].which, cases[i].used, cases[i].max);
		build(scene, 1);
		assert_int_equal(scene->report.exhausted, cases[i].exhausted);
	}
	/* Of memory, nobody says that it cannot. */
	memset(scene->limits, 0, sizeof(scene->limits));
	scene->report.exhausted = false;
	scene->process = (struct lt_event_process){ .limit_bytes = 4096, .available_bytes = 1 };
	build(scene, 1);
	assert_false(scene->report.exhausted);
}

static void what_fills(void **state)
{
	static const struct {
		uint32_t which;
		uint64_t used, max, alive;
		bool fills;
	} cases[] = {
		{ LT_LIMIT_DESCRIPTORS, 0, 100, 75, true },
		{ LT_LIMIT_DESCRIPTORS, 99, 100, 74, false }, /* was so, at the census */
		{ LT_LIMIT_DESCRIPTORS, 0, 100, 0, false },
		{ LT_LIMIT_USER_THREADS, 90, 100, 60, true },
		{ LT_LIMIT_USER_THREADS, 90, 100, 7, false }, /* others do */
		{ LT_LIMIT_SYSTEM_THREADS, 74, 100, 74, false },
		{ LT_LIMIT_SYSTEM_THREADS, 0, 0, 74, false },
	};
	struct scene *scene = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool descriptors = cases[i].which == LT_LIMIT_DESCRIPTORS;

		memset(scene->limits, 0, sizeof(scene->limits));
		limit(scene, cases[i].which, cases[i].used, cases[i].max);
		assert_int_equal(
			lt_headroom_fills(&scene->input, LT_LISTING_DESCRIPTORS, cases[i].alive),
			cases[i].fills && descriptors);
		assert_int_equal(
			lt_headroom_fills(&scene->input, LT_LISTING_THREADS, cases[i].alive),
			cases[i].fills && !descriptors);
	}
}

static void the_nearest_comes_first(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_headroom *rows;

	limit(scene, LT_LIMIT_DESCRIPTORS, 0, 1000);
	limit(scene, LT_LIMIT_USER_THREADS, 500, 10500);
	limit(scene, LT_LIMIT_CGROUP_THREADS, 90, 100);
	limit(scene, LT_LIMIT_SYSTEM_THREADS, 700, 30700);
	holds(scene, LT_KIND_THREAD, 50, 100);
	scene->process.limit_bytes = 1000 << 20;
	scene->process.available_bytes = 100 << 20;
	rows = build(scene, 5);
	assert_string_equal(rows[0].limit, "pids.max");
	assert_int_equal(rows[0].used, 90); /* by all of the group */
	assert_true(rows[0].seconds_left == 360);
	assert_string_equal(rows[1].limit, "RLIMIT_NPROC");
	assert_string_equal(rows[2].limit, "threads-max or pid_max");
	/* Not growing: by what is used. */
	assert_string_equal(rows[3].what, "memory");
	assert_true(isinf(rows[3].seconds_left));
	assert_string_equal(rows[4].what, "descriptors");
}

static void memory(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_headroom *row;

	scene->process.limit_bytes = 64 << 20;
	row = build(scene, 0); /* what is available is not known */
	scene->process.available_bytes = 16 << 20;
	scene->report.leaking_memory_per_hour = 32 << 20;
	row = build(scene, 1);
	assert_string_equal(row->unit, "bytes");
	assert_int_equal(row->used, 48 << 20);
	assert_int_equal(row->max, 64 << 20);
	assert_true(row->seconds_left == 1800);
	/* Something leaks of which nobody knows how much is resident: told last. */
	scene->report.leaking_memory_per_hour = NAN;
	limit(scene, LT_LIMIT_DESCRIPTORS, 0, 100);
	holds(scene, LT_KIND_FD, 1, 1);
	row = build(scene, 2);
	assert_string_equal(row[1].what, "memory");
	assert_true(isnan(row[1].growth_per_hour));
	assert_true(isnan(row[1].seconds_left));
}

/* Only resident pages fill the memory. */
static void of_a_site_of_mappings(void **state)
{
	struct scene *scene = *state;

	scene->process.limit_bytes = 1 << 20;
	scene->process.available_bytes = 1024;
	scene->report.kinds[index_of(LT_KIND_MMAP)].live_size = 8192;
	scene->process.resident[LT_RESIDENT_MAPPED_PLAIN] = 4096;
	assert_true(isnan(seconds_of(scene, LT_KIND_MMAP, LT_VERDICT_LEAKING, 1024)));
	scene->process.resident_count = LT_RESIDENT_COUNT;
	assert_true(seconds_of(scene, LT_KIND_MMAP, LT_VERDICT_LEAKING, 1024) == 7200);
	assert_true(isinf(seconds_of(scene, LT_KIND_MMAP, LT_VERDICT_STABLE, 1024)));
}

/* A limit that is full is no news of a site that does not grow. */
static void at_a_full_limit(void **state)
{
	struct scene *scene = *state;

	limit(scene, LT_LIMIT_DESCRIPTORS, 0, 100);
	holds(scene, LT_KIND_SOCKET, 100, 0);
	assert_true(isinf(seconds_of(scene, LT_KIND_SOCKET, LT_VERDICT_STABLE, 0)));
	assert_true(isinf(seconds_of(scene, LT_KIND_SOCKET, LT_VERDICT_STABLE, 3)));
	assert_true(isinf(seconds_of(scene, LT_KIND_SOCKET, LT_VERDICT_INSUFFICIENT_DATA, 3)));
	assert_true(isnan(seconds_of(scene, LT_KIND_SOCKET, LT_VERDICT_INSUFFICIENT_DATA, NAN)));
	assert_true(seconds_of(scene, LT_KIND_SOCKET, LT_VERDICT_LEAKING, 3) == 0);
}

/* One site alone, against the nearest limit of its kind. */
static void of_one_site(void **state)
{
	static const struct {
		uint8_t kind;
		double growth, seconds;
	} cases[] = {
		{ LT_KIND_SOCKET, 100, 3600 }, { LT_KIND_FD, 200, 1800 },
		{ LT_KIND_THREAD, 10, 7200 },  { LT_KIND_THREAD, 0, INFINITY },
		{ LT_KIND_HEAP, 1024, 3600 },  { LT_KIND_HEAP, -5, INFINITY },
		{ LT_KIND_HEAP, NAN, NAN },    { LT_KIND_SOCKET, NAN, NAN },
		{ LT_KIND_MMAP, 1024, NAN },   { LT_KIND_STACK, 1024, NAN },
	};
	struct scene *scene = *state;

	limit(scene, LT_LIMIT_DESCRIPTORS, 0, 100);
	limit(scene, LT_LIMIT_USER_THREADS, 10, 1000);
	limit(scene, LT_LIMIT_CGROUP_THREADS, 80, 100);
	scene->process.limit_bytes = 4096;
	scene->process.available_bytes = 1024;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		double seconds = seconds_of(scene, cases[i].kind, LT_VERDICT_LEAKING,
					    cases[i].growth);

		assert_true(isnan(cases[i].seconds) ? isnan(seconds) : seconds == cases[i].seconds);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_limits_there_are_no_rows),
		TEST(descriptors),
		TEST(not_growing),
		TEST(beyond_the_limit),
		TEST(exhausted),
		TEST(what_fills),
		TEST(the_nearest_comes_first),
		TEST(memory),
		TEST(of_one_site),
		TEST(of_a_site_of_mappings),
		TEST(at_a_full_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
