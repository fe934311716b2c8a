/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verdicts on what a garbage-collected heap tells of itself: a sample of all that is allocated, in
 * sums that are published once in a collection.
 */
#include "unit/trend/sim.h"

#include "trend/observed.h"

#define GC_SITES    64
#define FROM_BEFORE (UINT64_C(1) << 40) /* ids of what sim.h has there before the attach */
#define WEIGHT      1000                /* objects that each one of the program stands for */

/* The runtime of the process: what its profile knows. */
struct runtime {
	double share;           /* of objects that are sampled */
	double every_s, jitter; /* collections */
	double next_s;
	uint64_t collections;
	struct {
		uint64_t allocated, freed; /* sampled */
		uint64_t bytes_allocated, bytes_freed;
	} sites[GC_SITES];
	uint8_t *sampled_at; /* by id: site + 1 of those that are sampled */
	uint32_t *sizes;
	size_t room;
};

static bool is_sampled(const struct runtime *runtime, uint64_t id)
{
	return (double)(lt_mix64(id * 0x9e3779b97f4a7c15) >> 11) <
	       runtime->share * (double)(UINT64_C(1) << 53);
}

static void note(struct sim *sim, const struct lt_event *event)
{
	struct runtime *runtime = sim->diversion;
	uint64_t id = event->type == LT_EVENT_ACQUIRE ? event->acquire.id : event->release.id;

	if (id >= FROM_BEFORE) { /* its site has been told of */
		if (is_sampled(runtime, id)) {
			runtime->sites[0].freed++;
			runtime->sites[0].bytes_freed += 64;
		}
		return;
	}
	while (id >= runtime->room) {
		size_t room = 2 * runtime->room + 1024;

		runtime->sampled_at = realloc(runtime->sampled_at, room);
		runtime->sizes = realloc(runtime->sizes, room * sizeof(*runtime->sizes));
		assert_true(runtime->sampled_at && runtime->sizes);
		memset(runtime->sampled_at + runtime->room, 0, room - runtime->room);
		runtime->room = room;
	}
	if (event->type == LT_EVENT_ACQUIRE) {
		if (!is_sampled(runtime, id))
			return;
		assert_true(event->acquire.stack_id < GC_SITES);
		runtime->sampled_at[id] = (uint8_t)(event->acquire.stack_id + 1);
		runtime->sizes[id] = (uint32_t)event->acquire.size;
		runtime->sites[event->acquire.stack_id].allocated++;
		runtime->sites[event->acquire.stack_id].bytes_allocated += event->acquire.size;
	} else if (runtime->sampled_at[id]) {
		runtime->sites[runtime->sampled_at[id] - 1].freed++;
		runtime->sites[runtime->sampled_at[id] - 1].bytes_freed += runtime->sizes[id];
	}
}

static void collect(struct sim *sim)
{
	struct runtime *runtime = sim->diversion;

	if (now(sim) < runtime->next_s)
		return;
	struct lt_event end = { .type = LT_EVENT_RUNTIME,
				.time_ns = (uint64_t)sim->tick * (1000000000 / TICKS),
				.runtime = { .version = "", .gc_count = ++runtime->collections } };

	runtime->next_s = now(sim) +
			  runtime->every_s * (1 + runtime->jitter * (2 * uniform(sim) - 1));
	for (uint64_t i = 0; i < GC_SITES; i++) {
		__typeof__(&runtime->sites[0]) site = &runtime->sites[i];
		struct lt_event event = { .type = LT_EVENT_OBSERVE,
					  .kind = LT_KIND_GO_HEAP,
					  .time_ns = (uint64_t)sim->tick * (1000000000 / TICKS) };

		if (!site->allocated)
			continue;
		event.observe = (struct lt_event_observe){
			i,
			(uint64_t)((double)site->allocated * WEIGHT / runtime->share),
			(uint64_t)((double)site->bytes_allocated * WEIGHT / runtime->share),
			(uint64_t)((double)site->freed * WEIGHT / runtime->share),
			(uint64_t)((double)site->bytes_freed * WEIGHT / runtime->share),
			site->allocated - site->freed,
		};
		assert_int_equal(lt_model_apply(sim->model, &event), 0);
	}
	assert_int_equal(lt_model_apply(sim->model, &end), 0);
}

/* Returns the number of seconds with a wrong verdict. */
static unsigned int play_observed(const struct scenario *scenario, double share, double every_s,
				  uint64_t seed, uint32_t duration_s)
{
	struct runtime runtime = { .share = share, .every_s = every_s, .jitter = 0.3 };
	unsigned int wrong = 0;
	struct sim sim;

	start(&sim, seed, duration_s);
	sim.divert = note;
	sim.diversion = &runtime;
	if (scenario->prepare) {
		scenario->prepare(&sim, scenario->a, scenario->b);
		for (size_t i = 0; i < sim.live_count; i++)
			if (is_sampled(&runtime, sim.live[i])) {
				runtime.sites[0].allocated++;
				runtime.sites[0].bytes_allocated += 64;
			}
	}
	for (sim.tick = 0; sim.tick <= duration_s * TICKS; sim.tick++) {
		uint32_t now_s = sim.tick / TICKS;

		release_due(&sim);
		scenario->step(&sim, scenario->a, scenario->b);
		if (sim.tick > 2 * TICKS) /* others, so that site 0 is the first */
			arrivals(&sim, 1, 5, 1);
		collect(&sim);
		if (sim.tick % TICKS || !now_s)
			continue;
		sample(&sim);
		judge(&sim);
		bool leaking = lt_model_site_count(sim.model) &&
			       sim.evidence[0].verdict == LT_VERDICT_LEAKING;
		bool bad = scenario->leaking_by_s ? !leaking && now_s >= scenario->leaking_by_s
						  : leaking;

		wrong += bad;
	}
	stop(&sim);
	free(runtime.sampled_at);
	free(runtime.sizes);
	return wrong;
}
/* Where the garbage lives on for a while. */
static void leak_beside(struct sim *sim, double per_s, double mean_s)
{
	arrivals(sim, 0, 0.9 * per_s, mean_s);
	arrivals(sim, 0, 0.1 * per_s, FOREVER);
}

static void waves(struct sim *sim, double period_s, double mean_s)
{
	arrivals(sim, 0, 20 * (1 + 0.8 * sin(now(sim) * 6.283 / period_s)), mean_s);
}

/* One that is huge, and stays. */
static void huge_value(struct sim *sim, double at_s, double unused)
{
	if (now(sim) == at_s)
		acquire_sized(sim, 0, UINT32_MAX);
	arrivals(sim, 0, 1, 0.5);
}

#define SEEDS 3

/* Each sampled object stands for 512 KiB: 1 MiB/s is 2 of them. */
static void test_leaks(void **state)
{
	static const struct {
		struct scenario scenario;
		unsigned int gaps_s; /* from then on, in all runs for 240 s */
	} leaks[] = {
		{ { "all of 1 MiB/s", leak_all, .a = 2, .leaking_by_s = 100 }, 0 },
		{ { "all of 10 MiB/s", leak_all, .a = 20, .leaking_by_s = 60 }, 0 },
		{ { "97 % of 2 MiB/s", leak_share, .a = 4, .b = 0.97, .leaking_by_s = 300 }, 60 },
		{ { "50 % of 20 MiB/s", leak_share, .a = 40, .b = 0.5, .leaking_by_s = 300 }, 70 },
		{ { "10 % of 10 MiB/s", leak_share, .a = 20, .b = 0.1, .leaking_by_s = 300 }, 70 },
		{ { "10 % of 50 MiB/s", leak_share, .a = 100, .b = 0.1, .leaking_by_s = 300 }, 0 },
		{ { "10 % of 50 MiB/s, slow", leak_beside, .a = 100, .b = 5, .leaking_by_s = 300 },
		  30 },
	};
	static const double every_s[] = { 2, 10 };

	for (size_t i = 0; i < sizeof(leaks) / sizeof(leaks[0]); i++)
		for (size_t k = 0; k < sizeof(every_s) / sizeof(every_s[0]); k++) {
			const struct scenario *scenario = &leaks[i].scenario;
			unsigned int wrong = 0;

			for (uint64_t seed = 1; seed <= SEEDS; seed++)
				wrong += play_observed(scenario, 1, every_s[k], seed,
						       scenario->leaking_by_s + 240);
			if (wrong > leaks[i].gaps_s)
				print_error("%s, every %g s: not found for %u s\n", scenario->name,
					    every_s[k], wrong);
			assert_in_range(wrong, 0, leaks[i].gaps_s);
		}
}

static const struct scenario more_healthy[] = {
	{ "churn 1 s", lifetimes, .a = 50, .b = 1 },
	{ "churn 5 s", lifetimes, .a = 50, .b = 5 },
	{ "waves of 100 s", waves, .a = 100, .b = 1 },
	{ "waves of 100 s, slow", waves, .a = 100, .b = 20 },
	{ "waves of 600 s", waves, .a = 600, .b = 1 },
	{ "waves of 600 s, slow", waves, .a = 600, .b = 20 },
	{ "waves of 1500 s", waves, .a = 1500, .b = 10 },
	{ "huge value", huge_value, .a = 60 },
};

/* What is accused by mistake, for a few seconds in all runs: docs/VERDICT.md, "Limits". */
static unsigned int tolerated_s(const char *name, double every_s)
{
	static const struct {
		const char *name;
		double every_s;
		unsigned int seconds;
	} limits[] = {
		{ "batches 45 s", 10, 12 },    { "pool 30 s", 10, 20 },
		{ "pool steps 30 s", 10, 40 }, { "pool doubling", 10, 25 },
		{ "pool doubling", 120, 40 },  { "queue walk", 10, 10 },
		{ "ramp 2 s", 10, 2 },
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (!strcmp(limits[i].name, name) && limits[i].every_s == every_s)
			return limits[i].seconds;
	return 0;
}

static void test_healthy(void **state)
{
	static const double every_s[] = { 2, 10, 120 };
	enum { SHARED = sizeof(healthy) / sizeof(healthy[0]) };

	for (size_t i = 0; i < SHARED + sizeof(more_healthy) / sizeof(more_healthy[0]); i++)
		for (size_t k = 0; k < sizeof(every_s) / sizeof(every_s[0]); k++) {
			const struct scenario *scenario = i < SHARED ? &healthy[i]
								     : &more_healthy[i - SHARED];
			unsigned int wrong = 0;

			for (uint64_t seed = 1; seed <= SEEDS; seed++)
				wrong += play_observed(scenario, seed % 2 ? 1 : 0.5, every_s[k],
						       seed, 800);
			if (wrong > tolerated_s(scenario->name, every_s[k]))
				print_error("%s, every %g s: accused for %u s\n", scenario->name,
					    every_s[k], wrong);
			assert_in_range(wrong, 0, tolerated_s(scenario->name, every_s[k]));
		}
}

/* So many points, of which every one is a look: what lives at each, and what came until then. */
static void fill_points(struct lt_point points[LT_HISTORY_POINTS], double (*came)(double at),
			double (*alive)(double at))
{
	for (size_t i = 0; i < LT_HISTORY_POINTS; i++) {
		double at = (double)i + 100;

		points[i] = (struct lt_point){
			.live_size_min = (uint64_t)alive(at),
			.acquired_count = (uint64_t)came(at),
			.released_count = (uint64_t)(came(at) - alive(at)),
		};
	}
}

static double evenly(double at)
{
	return 1000 * at;
}

static double more_and_more(double at)
{
	return 10 * at * at;
}

static double a_tenth(double at)
{
	return 100 * at;
}

static double with_load(double at)
{
	return 20 * at;
}

static double till_full(double at)
{
	return 20000 * (1 - exp(-at / 50));
}

static double lately(double at)
{
	return at < 124 ? 2000 : 2000 + 500 * (at - 124);
}

static void test_accrues(void **state)
{
	static const struct {
		double (*came)(double at), (*alive)(double at);
		bool accrues;
	} cases[] = {
		{ evenly, a_tenth, true },           /* a leak beside garbage */
		{ more_and_more, with_load, false }, /* all live equally long, and more come */
		{ evenly, till_full, false },        /* a cache */
		{ evenly, lately, false },           /* load that rose: releases are yet to come */
	};
	struct lt_point points[LT_HISTORY_POINTS];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fill_points(points, cases[i].came, cases[i].alive);
		assert_int_equal(lt_observed_accrues(points, UINT64_MAX << 16 >> 16, 1, 1),
				 cases[i].accrues);
		/* Too few samples, or looks, to say. */
		assert_false(lt_observed_accrues(points, UINT64_MAX << 16 >> 16, 1000, 1));
		assert_false(lt_observed_accrues(points, 0x1ff, 1, 1));
		assert_false(lt_observed_accrues(points, 0, 1, 1));
	}
	memset(points, 0, sizeof(points));
	assert_false(lt_observed_accrues(points, UINT64_MAX << 16 >> 16, 1, 1));
}

static void test_looks(void **state)
{
	struct lt_point points[LT_HISTORY_POINTS] = { 0 };

	assert_int_equal(lt_observed_looks(points), 0);
	for (size_t i = 5; i < LT_HISTORY_POINTS; i++)
		points[i].acquired_count = points[i].live_size_min = 7;
	for (size_t i = LT_HISTORY_POINTS - 2; i < LT_HISTORY_POINTS; i++)
		points[i].released_count = 1;
	assert_int_equal(lt_observed_looks(points), UINT64_C(1) << 5 | UINT64_C(1) << 46);
	assert_int_equal(lt_observed_idle(points, UINT64_C(1) << 5 | UINT64_C(1) << 46, 0), 1);
	assert_int_equal(lt_observed_idle(points, 0x3f, 0), 4);
	assert_int_equal(lt_observed_idle(points, 0x3f, 3), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaks),
		cmocka_unit_test(test_healthy),
		cmocka_unit_test(test_accrues),
		cmocka_unit_test(test_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
