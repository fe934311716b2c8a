/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verdict in simulation: synthetic processes drive the model as a stream would, and every
 * second all sites are judged.  What leaks must be found in time and stay found; what does not must
 * never be accused, in any second.  Seeds are fixed.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "model/model.h"
#include "trend/verdict.h"

#define TICKS     10 /* per second */
#define MAX_SITES 2048
#define NEVER     UINT32_MAX
#define FOREVER   1e9
#define POOL      0   /* sites, by their stack ids: kept for each connection at once ... */
#define SOCKETS   500 /* ... of these, which are listed; so is the next */
#define NEW       501
#define HEAP      502
#define WORKERS   4 /* each keeps its own */

struct block {
	uint32_t id, next; /* of those due at the same tick */
};

struct sim {
	uint64_t random;
	uint32_t tick, end_tick;
	uint64_t last_id;
	struct lt_model *model;
	struct lt_history *histories[MAX_SITES], *unknown;
	struct lt_evidence evidence[MAX_SITES];
	uint32_t last_loss_s;
	double min_growth;
	uint32_t *due; /* per tick: first block + 1 */
	struct block *blocks;
	size_t block_count, block_capacity;
	uint64_t *live; /* for sites that choose their victims */
	size_t live_count, live_first;
	uint8_t kept[MAX_SITES]; /* of the pool: by number of connections, a bit for each worker */
	bool lists_nothing;
};

static double uniform(struct sim *sim)
{
	sim->random += 0x9e3779b97f4a7c15; /* splitmix64 */
	return (double)(lt_mix64(sim->random) >> 11) / (double)(UINT64_C(1) << 53);
}

static double exponential(struct sim *sim, double mean)
{
	return -mean * log(1 - uniform(sim));
}

static unsigned int poisson(struct sim *sim, double mean)
{
	double limit = exp(-mean), product = uniform(sim);
	unsigned int count = 0;

	while (product > limit) {
		product *= uniform(sim);
		count++;
	}
	return count;
}

static double now(const struct sim *sim)
{
	return (double)sim->tick / TICKS;
}

static void apply(struct sim *sim, struct lt_event event)
{
	event.kind = LT_KIND_HEAP;
	event.time_ns = (uint64_t)sim->tick * (1000000000 / TICKS);
	assert_int_equal(lt_model_apply(sim->model, &event), 0);
}

static uint64_t acquire_sized(struct sim *sim, uint64_t site, uint64_t size)
{
	uint64_t id = ++sim->last_id;

	apply(sim, (struct lt_event){ .type = LT_EVENT_ACQUIRE, .acquire = { id, size, site } });
	return id;
}

static uint64_t acquire(struct sim *sim, uint64_t site)
{
	return acquire_sized(sim, site, site == SOCKETS ? 1 : 64);
}

static void release(struct sim *sim, uint64_t id)
{
	apply(sim, (struct lt_event){ .type = LT_EVENT_RELEASE, .release = { id } });
}

/* Acquires, and plans the release. */
static void acquire_for(struct sim *sim, uint64_t site, double lifetime_s)
{
	double end = sim->tick + lifetime_s * TICKS;
	uint64_t id = acquire(sim, site);

	if (end >= sim->end_tick)
		return;
	if (sim->block_count == sim->block_capacity) {
		sim->block_capacity = 2 * sim->block_capacity + 1024;
		sim->blocks = realloc(sim->blocks, sim->block_capacity * sizeof(*sim->blocks));
		assert_non_null(sim->blocks);
	}
	uint32_t *due = &sim->due[(uint32_t)end + 1];

	sim->blocks[sim->block_count] = (struct block){ .id = (uint32_t)id, .next = *due };
	*due = (uint32_t)++sim->block_count;
}

static void release_due(struct sim *sim)
{
	for (uint32_t next = sim->due[sim->tick]; next;) {
		release(sim, sim->blocks[next - 1].id);
		next = sim->blocks[next - 1].next;
	}
}

static void arrivals(struct sim *sim, uint64_t site, double per_s, double mean_life_s)
{
	for (unsigned int n = poisson(sim, per_s / TICKS); n > 0; n--)
		acquire_for(sim, site, exponential(sim, mean_life_s));
}

static void sample(struct sim *sim)
{
	uint32_t now_s = sim->tick / TICKS;
	struct lt_sample unknown = { 0 };

	lt_model_roll(sim->model, (uint64_t)now_s * 1000000000);
	for (size_t i = 0; i < lt_model_site_count(sim->model); i++) {
		const struct lt_site *site = lt_model_site(sim->model, i);
		struct lt_sample values = { .live_size = site->live_size,
					    .acquired_count = site->acquired_count };

		for (unsigned int level = 0; level < LT_HISTORY_LEVELS; level++) {
			values.alive_above[level] = lt_cohorts_alive_above(&site->cohorts, level);
			values.released_above[level] = lt_cohorts_released_above(&site->cohorts,
										 level);
			values.born_max_s[level] = lt_cohorts_born_max_above(&site->cohorts, level);
			values.age_max_s[level] = lt_cohorts_age_max_above(&site->cohorts, level);
		}
		assert_true(i < MAX_SITES);
		if (!sim->histories[i])
			assert_int_equal(lt_history_new(&sim->histories[i]), 0);
		assert_int_equal(lt_history_sample(sim->histories[i], now_s, &values), 0);
	}
	unknown.acquired_count = lt_model_totals(sim->model)->unknown_released;
	unknown.live_size = unknown.acquired_count;
	assert_int_equal(lt_history_sample(sim->unknown, now_s, &unknown), 0);
}

static void judge(struct sim *sim)
{
	static struct lt_verdict_input inputs[MAX_SITES];
	struct lt_verdict_context context = { .now_s = sim->tick / TICKS,
					      .min_growth_per_hour = sim->min_growth };
	size_t count = lt_model_site_count(sim->model);

	for (size_t i = 0; i < count; i++) {
		const struct lt_site *site = lt_model_site(sim->model, i);

		inputs[i] = (struct lt_verdict_input){
			sim->histories[i], sim->unknown,
			site->live_count,  site->live_size,
			sim->last_loss_s,  site->stack_id == SOCKETS && !sim->lists_nothing
		};
	}
	assert_int_equal(lt_verdict_judge(&context, inputs, count, sim->evidence), 0);
}

static void start(struct sim *sim, uint64_t seed, uint32_t duration_s)
{
	*sim = (struct sim){ .random = seed,
			     .last_loss_s = NEVER,
			     .end_tick = (duration_s + 1) * TICKS };
	assert_int_equal(lt_model_new(0, &sim->model), 0);
	assert_int_equal(lt_history_new(&sim->unknown), 0);
	sim->due = calloc(sim->end_tick + 2, sizeof(*sim->due));
	assert_non_null(sim->due);
}

static void stop(struct sim *sim)
{
	for (size_t i = 0; i < MAX_SITES; i++)
		lt_history_free(sim->histories[i]);
	lt_history_free(sim->unknown);
	lt_model_free(sim->model);
	free(sim->due);
	free(sim->blocks);
	free(sim->live);
}

struct scenario {
	const char *name;
	void (*step)(struct sim *sim, double a, double b); /* one tick of site 0 */
	double a, b;
	void (*prepare)(struct sim *sim, double a, double b);
	uint32_t leaking_by_s; /* and from then on, without a gap; 0: must not be, at any time */
	uint32_t stable_by_s;
};

/* --- leaks ------------------------------------------------------------------------------------ */

static void leak_all(struct sim *sim, double per_s, double unused)
{
	arrivals(sim, 0, per_s, FOREVER);
}

static void leak_evenly(struct sim *sim, double per_s, double unused)
{
	if (fmod(sim->tick, TICKS / per_s) < 1)
		acquire(sim, 0);
}

static void leak_after_start(struct sim *sim, double per_s, double burst)
{
	if (now(sim) < 10)
		arrivals(sim, 0, burst, 1);
	if (now(sim) < 8)
		arrivals(sim, 0, burst, FOREVER);
	leak_all(sim, per_s, 0);
}

static void leak_share(struct sim *sim, double per_s, double share)
{
	for (double mean_s = 0.1; mean_s < 1.1; mean_s += 0.3)
		arrivals(sim, 0, per_s * (1 - share) / 4, mean_s);
	arrivals(sim, 0, per_s * share, FOREVER);
}

static void leak_from(struct sim *sim, double per_s, double from_s)
{
	arrivals(sim, 0, 50, 0.5);
	if (now(sim) >= from_s)
		leak_all(sim, per_s, 0);
}

/* Noise with some survivors for 10 s, then a leak. */
static void leak_after_noise(struct sim *sim, double noise_per_s, double from_s)
{
	if (now(sim) < 10)
		arrivals(sim, 0, noise_per_s, 8);
	if (now(sim) >= from_s)
		leak_all(sim, 5, 0);
}

static void leak_regularly(struct sim *sim, double every_s, double count)
{
	for (int i = 0; i < count && fmod(now(sim), every_s) == 0; i++)
		acquire(sim, 0);
}

/* Unknown frees at the start: blocks in flight at the attach.  They end soon. */
static void leak_with_flight(struct sim *sim, double per_s, double frees_per_s)
{
	if (now(sim) < 15)
		for (unsigned int n = poisson(sim, frees_per_s / TICKS); n > 0; n--)
			release(sim, UINT64_C(1) << 40 | sim->tick);
	leak_all(sim, per_s, 0);
}

/* --- what does not leak ------------------------------------------------------------------------
 */

static void fill_cache(struct sim *sim, double entries, double unused)
{
	sim->live = calloc((size_t)entries + 1, sizeof(*sim->live));
	assert_non_null(sim->live);
	for (size_t i = 0; i < (size_t)entries; i++) /* before the attach: unknown to the model */
		sim->live[i] = UINT64_C(1) << 40 | i;
	sim->live_count = (size_t)entries;
}

static void cache_fifo(struct sim *sim, double unused, double per_s)
{
	for (unsigned int n = poisson(sim, per_s / TICKS); n > 0; n--) {
		release(sim, sim->live[sim->live_first]);
		sim->live[sim->live_first] = acquire(sim, 0);
		sim->live_first = (sim->live_first + 1) % sim->live_count;
	}
}

static void cache_random(struct sim *sim, double unused, double per_s)
{
	for (unsigned int n = poisson(sim, per_s / TICKS); n > 0; n--) {
		size_t victim = (size_t)(uniform(sim) * (double)sim->live_count);

		release(sim, sim->live[victim]);
		sim->live[victim] = acquire(sim, 0);
	}
}

/* Also a cache that fills while it replaces at random, and sessions. */
static void lifetimes(struct sim *sim, double per_s, double mean_s)
{
	arrivals(sim, 0, per_s, mean_s);
}

static void ramp(struct sim *sim, double per_s_s, double mean_s)
{
	arrivals(sim, 0, per_s_s * now(sim), mean_s);
}

static void sawtooth(struct sim *sim, double period_s, double per_s)
{
	double left = period_s - fmod(now(sim), period_s);

	for (unsigned int n = poisson(sim, per_s / TICKS); n > 0; n--)
		acquire_for(sim, 0, left);
}

/* Batches: each fills for a quarter of the time and is released at once. */
static void batches(struct sim *sim, double fill_s, double per_s)
{
	double at_s = fmod(now(sim), 4 * fill_s);

	if (at_s >= fill_s)
		return;
	for (unsigned int n = poisson(sim, per_s / TICKS); n > 0; n--)
		acquire_for(sim, 0, fill_s - at_s);
}

static void pool_once(struct sim *sim, double from_s, double duration_s)
{
	if (now(sim) >= from_s && now(sim) < from_s + duration_s)
		arrivals(sim, 0, 20, FOREVER);
}

static void pool_steps(struct sim *sim, double every_s, double count)
{
	if (now(sim) < 8 * every_s && fmod(now(sim), every_s) == 0)
		for (int i = 0; i < count; i++)
			acquire(sim, 0);
}

static void pool_doubling(struct sim *sim, double first_s, double count)
{
	for (double at_s = first_s; at_s < 1e6; at_s *= 2, count *= 2)
		for (int i = 0; i < count && now(sim) == at_s; i++)
			acquire(sim, 0);
}

static void bursts(struct sim *sim, double every_s, double count)
{
	if (fmod(now(sim), every_s) == 0)
		for (int i = 0; i < count; i++)
			acquire_for(sim, 0, exponential(sim, every_s / 2));
}

static void steps(struct sim *sim, double every_s, double mean_s)
{
	arrivals(sim, 0, 4 + 8 * floor(now(sim) / every_s), mean_s);
}

static void random_walk(struct sim *sim, double per_s, double fifo)
{
	if (!sim->live)
		sim->live = calloc(sim->end_tick * 100, sizeof(*sim->live));
	for (unsigned int n = poisson(sim, per_s / TICKS); n > 0; n--) {
		if (uniform(sim) < 0.5)
			sim->live[sim->live_count++] = acquire(sim, 0);
		else if (sim->live_count > sim->live_first)
			release(sim, fifo > 0 ? sim->live[sim->live_first++]
					      : sim->live[--sim->live_count]);
	}
}

static void static_burst(struct sim *sim, double count, double churn_per_s)
{
	for (int i = 0; i < count && sim->tick == 5; i++)
		acquire(sim, 0);
	arrivals(sim, 0, churn_per_s, 1);
}

/* One block, reallocated to twice its bytes, or by a step, again and again. */
static void growing_array(struct sim *sim, double every_s, double step)
{
	if (fmod(now(sim), every_s) != 0)
		return;
	if (sim->live_count)
		release(sim, sim->live_count);
	sim->live_count = acquire_sized(sim, 0, 64 + (uint64_t)(step * now(sim)));
}

static void lossy_leak(struct sim *sim, double per_s, double every_s)
{
	leak_all(sim, per_s, 0);
	if (fmod(now(sim), every_s) == 0)
		sim->last_loss_s = sim->tick / TICKS;
}

static const struct scenario leaks[] = {
	{ "100/s", leak_all, .a = 100, .leaking_by_s = 60 },
	{ "5/s", leak_all, .a = 5, .leaking_by_s = 60 },
	{ "1/s", leak_evenly, .a = 1, .leaking_by_s = 60 },
	{ "100/s after noise", leak_after_start, .a = 100, .b = 1000, .leaking_by_s = 60 },
	{ "5/s after noise", leak_after_start, .a = 5, .b = 20, .leaking_by_s = 60 },
	{ "10% of 100/s", leak_share, .a = 100, .b = 0.1, .leaking_by_s = 60 },
	{ "1% of 1000/s", leak_share, .a = 1000, .b = 0.01, .leaking_by_s = 70 },
	{ "0.5/s", leak_all, .a = 0.5, .leaking_by_s = 230 },
	{ "100/s with flight", leak_with_flight, .a = 100, .b = 300, .leaking_by_s = 60 },
	{ "5/s with flight", leak_with_flight, .a = 5, .b = 100, .leaking_by_s = 60 },
	{ "from 600 s", leak_from, .a = 5, .b = 600, .leaking_by_s = 690 },
	{ "after long noise", leak_after_noise, .a = 1000, .b = 10, .leaking_by_s = 280 },
	{ "after less noise", leak_after_noise, .a = 100, .b = 10, .leaking_by_s = 200 },
	{ "well after noise", leak_after_noise, .a = 1000, .b = 60, .leaking_by_s = 280 },
	{ "every 60 s", leak_regularly, .a = 60, .b = 20, .leaking_by_s = 780 },
	{ "every 64 s", leak_regularly, .a = 64, .b = 100, .leaking_by_s = 780 },
};

static const struct scenario healthy[] = {
	{ "LRU 100 s", cache_fifo, .a = 2000, .b = 20, .prepare = fill_cache },
	{ "LRU 100 s, slow", cache_fifo, .a = 200, .b = 2, .prepare = fill_cache },
	{ "LRU 400 s", cache_fifo, .a = 8000, .b = 20, .prepare = fill_cache },
	{ "random cache 100 s", cache_random, .a = 2000, .b = 20, .prepare = fill_cache },
	{ "random cache 300 s", cache_random, .a = 6000, .b = 20, .prepare = fill_cache },
	{ "random cache 1000 s", cache_random, .a = 5000, .b = 5, .prepare = fill_cache },
	{ "filling 60 s", lifetimes, .a = 20, .b = 60 },
	{ "filling 120 s", lifetimes, .a = 20, .b = 120 },
	{ "filling 300 s", lifetimes, .a = 20, .b = 300 },
	{ "filling 300 s, fast", lifetimes, .a = 60, .b = 300 },
	{ "filling 60 s, slow", lifetimes, .a = 1, .b = 60 },
	{ "filling 120 s, slow", lifetimes, .a = 2, .b = 120 },
	{ "sessions 20 s", lifetimes, .a = 5, .b = 20 },
	{ "sessions 20 s, few", lifetimes, .a = 1, .b = 20 },
	{ "ramp 2 s", ramp, .a = 0.2, .b = 2 },
	{ "ramp 10 s", ramp, .a = 0.2, .b = 10 },
	{ "ramp 30 s", ramp, .a = 0.1, .b = 30 },
	{ "sawtooth 10 s", sawtooth, .a = 10, .b = 20 },
	{ "sawtooth 30 s", sawtooth, .a = 30, .b = 20 },
	{ "sawtooth 40 s", sawtooth, .a = 40, .b = 20 },
	{ "batches 45 s", batches, .a = 45, .b = 20 },
	{ "pool 10 s", pool_once, .a = 0, .b = 10, .stable_by_s = 70 },
	{ "pool 25 s", pool_once, .a = 0, .b = 25, .stable_by_s = 85 },
	{ "pool 25 s, odd", pool_once, .a = 3.5, .b = 25, .stable_by_s = 90 },
	{ "pool 30 s", pool_once, .a = 7, .b = 30, .stable_by_s = 100 },
	{ "pool late", pool_once, .a = 200, .b = 20, .stable_by_s = 280 },
	{ "pool steps 30 s", pool_steps, .a = 30, .b = 50, .stable_by_s = 400 },
	{ "pool steps 60 s", pool_steps, .a = 60, .b = 50, .stable_by_s = 650 },
	{ "pool doubling", pool_doubling, .a = 5, .b = 10 },
	{ "bursts 20 s", bursts, .a = 20, .b = 100 },
	{ "bursts 60 s", bursts, .a = 60, .b = 200 },
	{ "steps 2 s", steps, .a = 60, .b = 2 },
	{ "steps 15 s", steps, .a = 100, .b = 15 },
	{ "steps 40 s", steps, .a = 100, .b = 40 },
	{ "queue walk", random_walk, .a = 40, .b = 1 },
	{ "static", static_burst, .a = 500, .b = 0, .stable_by_s = 48 },
	{ "static and churn", static_burst, .a = 500, .b = 20 },
	{ "array 1 s", growing_array, .a = 1, .b = 100 },
	{ "array 20 s", growing_array, .a = 20, .b = 100 },
	{ "lossy 5/s", lossy_leak, .a = 5, .b = 10 },
	{ "lossy 100/s", lossy_leak, .a = 100, .b = 30 },
};

/* A known limit (docs/VERDICT.md): while it climbs, what lies below really stays. */
static const struct scenario stack_walk = { "stack walk", random_walk, .a = 40, .b = 0 };

/* Runs one scenario; returns the number of seconds with a wrong verdict. */
static unsigned int play(const struct scenario *scenario, uint64_t seed, uint32_t duration_s)
{
	struct sim sim;
	unsigned int wrong = 0, first_s = 0;
	const char *reason = "";

	start(&sim, seed, duration_s);
	if (scenario->prepare)
		scenario->prepare(&sim, scenario->a, scenario->b);
	for (sim.tick = 0; sim.tick <= duration_s * TICKS; sim.tick++) {
		uint32_t now_s = sim.tick / TICKS;

		release_due(&sim);
		scenario->step(&sim, scenario->a, scenario->b);
		if (sim.tick % TICKS || !now_s)
			continue;
		sample(&sim);
		judge(&sim);
		bool leaking = sim.evidence[0].verdict == LT_VERDICT_LEAKING, bad;

		if (!lt_model_site_count(sim.model))
			leaking = false;
		bad = !scenario->leaking_by_s ? leaking
					      : !leaking && now_s >= scenario->leaking_by_s;
		if (scenario->stable_by_s && now_s >= scenario->stable_by_s)
			bad |= sim.evidence[0].verdict != LT_VERDICT_STABLE;
		if (bad && !wrong++) {
			first_s = now_s;
			reason = lt_reason_text(sim.evidence[0].reason);
		}
	}
	if (wrong)
		print_error("%s, seed %u: wrong for %u s from %u s: %s\n", scenario->name,
			    (unsigned int)seed, wrong, first_s, reason);
	stop(&sim);
	return wrong;
}

#define SEEDS 4

static void test_leaks(void **state)
{
	unsigned int wrong = 0;

	for (size_t i = 0; i < sizeof(leaks) / sizeof(leaks[0]); i++)
		for (uint64_t seed = 1; seed <= SEEDS; seed++)
			wrong += play(&leaks[i], seed, leaks[i].leaking_by_s + 240);
	assert_int_equal(wrong, 0);
}

static void test_healthy(void **state)
{
	unsigned int wrong = 0;

	for (size_t i = 0; i < sizeof(healthy) / sizeof(healthy[0]); i++)
		for (uint64_t seed = 1; seed <= SEEDS; seed++)
			wrong += play(&healthy[i], seed, 800);
	assert_int_equal(wrong, 0);
}

/* Not never, as it should be; kept from becoming more. */
static void test_known_limit(void **state)
{
	enum { RUNS = 100, ACCUSED_MAX = 4 };
	unsigned int accused = 0;

	for (uint64_t seed = 1; seed <= RUNS; seed++)
		accused += play(&stack_walk, seed, 800) > 0;
	assert_in_range(accused, 0, ACCUSED_MAX);
}

static void run_until(struct sim *sim, const struct scenario *scenario, uint32_t end_s)
{
	for (; sim->tick <= end_s * TICKS; sim->tick++) {
		release_due(sim);
		scenario->step(sim, scenario->a, scenario->b);
		if (sim->tick && sim->tick % TICKS == 0)
			sample(sim);
	}
	sim->tick--;
	judge(sim);
	sim->tick++;
}

static void fill_until(struct sim *sim, double until_s, double per_s)
{
	if (now(sim) < until_s)
		arrivals(sim, 0, per_s, FOREVER);
}

/* A growth that ended is called a leak for a while only: the longer, the longer it had lasted. */
static void test_finished(void **state)
{
	static const struct {
		uint32_t until_s, within_s;
	} cases[] = { { 300, 52 }, { 1000, 64 }, { 3600, 256 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (uint64_t seed = 1; seed <= SEEDS; seed++) {
			const struct scenario scenario = { "fill", fill_until,
							   .a = cases[i].until_s, .b = 5 };
			uint32_t quiet_s = cases[i].until_s + cases[i].within_s;
			struct sim sim;

			start(&sim, seed, 2 * cases[i].until_s);
			run_until(&sim, &scenario, cases[i].until_s);
			assert_int_equal(sim.evidence[0].verdict, LT_VERDICT_LEAKING);
			for (uint32_t s = quiet_s; s < 2 * cases[i].until_s; s++) {
				run_until(&sim, &scenario, s);
				assert_int_equal(sim.evidence[0].verdict, LT_VERDICT_STABLE);
			}
			stop(&sim);
		}
	}
}

/* What can only be told by its release is accused before the first one, but not again. */
static void test_batches(void **state)
{
	static const double fills_s[] = { 60, 100, 150, 300 };

	for (size_t i = 0; i < sizeof(fills_s) / sizeof(fills_s[0]); i++) {
		const struct scenario scenario = { "batches", batches, .a = fills_s[i], .b = 20 };
		uint32_t end_s = (uint32_t)(13 * fills_s[i]);
		struct sim sim;

		start(&sim, 1, end_s);
		run_until(&sim, &scenario, (uint32_t)fills_s[i] + 5);
		for (uint32_t s = (uint32_t)fills_s[i] + 6; s < end_s; s++) {
			run_until(&sim, &scenario, s);
			assert_int_not_equal(sim.evidence[0].verdict, LT_VERDICT_LEAKING);
		}
		stop(&sim);
	}
}

static void leak_beside_idle(struct sim *sim, double from_s, double idle)
{
	for (uint64_t site = 1; site <= idle && sim->tick % 2 && sim->tick < 20; site++)
		acquire(sim, site);
	leak_from(sim, 5, from_s);
}

/* Neither sites that stand still nor a long life make a leak harder to find. */
static void test_late(void **state)
{
	enum { IDLE = 300, FOUND_WITHIN = 75, KEPT_FOR = 60 };
	static const uint32_t from_s[] = { 3600, 14400 };

	for (size_t i = 0; i < sizeof(from_s) / sizeof(from_s[0]); i++) {
		const struct scenario scenario = { "late", leak_beside_idle, .a = from_s[i],
						   .b = IDLE };
		uint32_t end_s = from_s[i] + FOUND_WITHIN + KEPT_FOR;
		struct sim sim;

		start(&sim, 1, end_s);
		run_until(&sim, &scenario, from_s[i]);
		for (uint32_t s = from_s[i] + 1; s <= end_s; s++) {
			run_until(&sim, &scenario, s);
			for (size_t site = 0; site < lt_model_site_count(sim.model); site++) {
				enum lt_verdict verdict = sim.evidence[site].verdict;

				if (lt_model_site(sim.model, site)->stack_id)
					assert_int_equal(verdict, LT_VERDICT_STABLE);
				else if (s >= from_s[i] + FOUND_WITHIN)
					assert_int_equal(verdict, LT_VERDICT_LEAKING);
			}
		}
		stop(&sim);
	}
}

/* One site of 51 leaks 1 % of its blocks; found, kept, and nobody else is accused. */
static void test_leak_among_healthy(void **state)
{
	enum { HEALTHY = 50, SECONDS = 600, FOUND_BY = 120 };
	struct sim sim;
	size_t leaky = 0;

	start(&sim, 7, SECONDS);
	for (sim.tick = 0; sim.tick <= SECONDS * TICKS; sim.tick++) {
		release_due(&sim);
		for (uint64_t site = 1; site <= HEALTHY; site++)
			arrivals(&sim, site, 5 + (double)site, 0.1 * (double)(1 + site % 10));
		leak_share(&sim, 1000, 0.01); /* site 0 */
		if (sim.tick % TICKS || !sim.tick)
			continue;
		sample(&sim);
		judge(&sim);
		for (size_t i = 0; i < lt_model_site_count(sim.model); i++) {
			if (!lt_model_site(sim.model, i)->stack_id)
				leaky = i;
			else
				assert_int_not_equal(sim.evidence[i].verdict, LT_VERDICT_LEAKING);
		}
		if (sim.tick / TICKS >= FOUND_BY)
			assert_int_equal(sim.evidence[leaky].verdict, LT_VERDICT_LEAKING);
	}
	const struct lt_evidence *evidence = &sim.evidence[leaky];

	/* 10/s of 64 bytes, 1 % of the acquires. */
	assert_int_equal(evidence->reason, LT_REASON_PLATEAU);
	assert_true(fabs(evidence->growth_per_hour / (10 * 64 * 3600.0) - 1) < 0.15);
	assert_true(evidence->growth_low <= evidence->growth_per_hour);
	assert_true(evidence->growth_high >= evidence->growth_per_hour);
	assert_true(evidence->survival > 0.007 && evidence->survival < 0.013);
	assert_int_equal(evidence->matured_released, 0);
	assert_true(evidence->p_value <= 0.01);
	assert_int_equal(evidence->level, 1); /* the longest window that is full */
	stop(&sim);
}

/* Many sites at once: ramps, sessions, walks and caches of all speeds. */
static void test_false_discovery(void **state)
{
	enum { SITES = 2000, SECONDS = 240 };
	struct sim sim;

	start(&sim, 11, SECONDS);
	for (sim.tick = 0; sim.tick <= SECONDS * TICKS; sim.tick++) {
		release_due(&sim);
		for (uint64_t site = 0; site < SITES; site++) {
			double life_s = 0.2 * pow(1.004, (double)(lt_mix64(site) % 1200));
			double rate = 0.5 + (double)(lt_mix64(site + SITES) % 10) / 10;

			if (site % 3 == 1) /* a ramp */
				rate *= now(&sim) / 60;
			if (site % 3 == 2) /* slow waves */
				rate *= 1 + sin(now(&sim) / 20 + (double)site);
			arrivals(&sim, site, rate, life_s);
		}
		if (sim.tick % (2 * TICKS) || !sim.tick)
			continue;
		sample(&sim);
		judge(&sim);
		for (size_t i = 0; i < lt_model_site_count(sim.model); i++)
			assert_int_not_equal(sim.evidence[i].verdict, LT_VERDICT_LEAKING);
	}
	stop(&sim);
}

/* --- pools that grow with connections ---------------------------------------------------------- */

static size_t index_of(const struct sim *sim, uint64_t stack_id)
{
	size_t i = 0;

	while (i < lt_model_site_count(sim->model) &&
	       lt_model_site(sim->model, i)->stack_id != stack_id)
		i++;
	return i;
}

static enum lt_verdict verdict_of(const struct sim *sim, uint64_t stack_id)
{
	return sim->evidence[index_of(sim, stack_id)].verdict;
}

/* What the pool lacks for one connection more is made, and kept for ever. */
static void come(struct sim *sim, double stay_s, unsigned int workers)
{
	uint8_t worker = (uint8_t)(1 << (unsigned int)(uniform(sim) * workers));
	size_t number;

	acquire_for(sim, SOCKETS, stay_s);
	number = lt_model_site(sim->model, index_of(sim, SOCKETS))->live_count;
	assert_true(number < MAX_SITES);
	if (!(sim->kept[number] & worker))
		acquire(sim, POOL);
	sim->kept[number] |= worker;
}

struct service {
	const char *name;
	double brief_per_s;     /* stay for a moment */
	double per_s, per_s_s;  /* stay for long: so many, and each second that many more ... */
	double until_s;         /* ... until then */
	double least_s, most_s; /* how long */
	unsigned int workers;
	double leak_per_s; /* of HEAP, whoever comes */
};

static void serve(struct sim *sim, const struct service *service)
{
	double per_s = service->per_s +
		       (now(sim) < service->until_s ? service->per_s_s * now(sim) : 0);

	for (unsigned int n = poisson(sim, service->brief_per_s / TICKS); n > 0; n--)
		come(sim, exponential(sim, 0.05), service->workers);
	for (unsigned int n = poisson(sim, per_s / TICKS); n > 0; n--)
		come(sim, service->least_s + (service->most_s - service->least_s) * uniform(sim),
		     service->workers);
	arrivals(sim, HEAP, service->leak_per_s, FOREVER);
}

/* Until the next second; all are judged. */
static void serve_second(struct sim *sim, const struct service *service)
{
	do {
		release_due(sim);
		serve(sim, service);
	} while (++sim->tick % TICKS);
	sample(sim);
	judge(sim);
}

static const struct service services[] = {
	{ "2/s", 98, 2, 0, 0, 20, 60, 1, 0 },
	{ "2/s, 4 workers", 98, 2, 0, 0, 20, 60, WORKERS, 0 },
	{ "10/s, 4 workers", 98, 10, 0, 0, 10, 60, WORKERS, 0 },
	{ "ramp", 98, 0.5, 0.05, 300, 20, 60, 1, 0 },
	{ "ramp, 4 workers", 98, 0.5, 0.05, 300, 20, 60, WORKERS, 0 },
	{ "steep ramp, 4 workers", 98, 0, 0.2, 150, 10, 30, WORKERS, 0 },
	{ "short stays, 4 workers", 20, 0, 1, 150, 3, 8, WORKERS, 0 },
	{ "slow, 4 workers", 20, 0.2, 0.002, 600, 20, 200, WORKERS, 0 },
};

/* Returns in how many seconds the pool was said to be paced. */
static unsigned int play_service(const struct service *service, uint64_t seed, unsigned int *wrong)
{
	enum { SECONDS = 600 };
	unsigned int paced = 0, accused = 0;
	struct sim sim;

	start(&sim, seed, SECONDS);
	while (sim.tick < SECONDS * TICKS) {
		serve_second(&sim, service);
		accused += verdict_of(&sim, POOL) == LT_VERDICT_LEAKING;
		paced += sim.evidence[index_of(&sim, POOL)].reason == LT_REASON_PACED;
	}
	if (accused)
		print_error("%s, seed %u: accused for %u s\n", service->name, (unsigned int)seed,
			    accused);
	*wrong += accused;
	stop(&sim);
	return paced;
}

static void test_pools(void **state)
{
	unsigned int wrong = 0;

	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		unsigned int paced = 0;

		for (uint64_t seed = 1; seed <= SEEDS; seed++)
			paced += play_service(&services[i], seed, &wrong);
		assert_true(paced > 0); /* or this shows nothing */
	}
	assert_int_equal(wrong, 0);
}

/* A recording of memory alone says of the same pool what it always said. */
static void test_pools_without_listed(void **state)
{
	unsigned int accused = 0;
	struct sim sim;

	start(&sim, 1, 100);
	sim.lists_nothing = true;
	while (sim.tick < 100 * TICKS) {
		serve_second(&sim, &services[4]);
		accused += verdict_of(&sim, POOL) == LT_VERDICT_LEAKING;
		assert_int_not_equal(sim.evidence[index_of(&sim, POOL)].reason, LT_REASON_PACED);
	}
	assert_true(accused > 20);
	stop(&sim);
}

/* More than 8 for each connection more, or no more connections at all: a leak like any other. */
static void test_leaks_beside_connections(void **state)
{
	static const struct {
		struct service service;
		uint32_t by_s;
	} cases[] = {
		{ { "20 each", 98, 2, 0, 0, 20, 60, 1, 40 }, 60 },
		{ { "20 each, ramp", 98, 1, 0.02, 300, 20, 60, 1, 60 }, 60 },
		{ { "as many all the time", 98, 50, 0, 0, 1, 3, 1, 5 }, 100 },
		{ { "leaking connections", 98, 5, 0, 0, FOREVER, FOREVER, 1, 5 }, 60 },
		{ { "ramp until 200 s", 98, 2, 0.02, 200, 20, 60, 1, 3 }, 280 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (uint64_t seed = 1; seed <= SEEDS; seed++) {
			struct sim sim;
			uint32_t found_s = 0;

			start(&sim, seed, cases[i].by_s + 240);
			while (sim.tick < (cases[i].by_s + 240) * TICKS) {
				serve_second(&sim, &cases[i].service);
				if (verdict_of(&sim, HEAP) != LT_VERDICT_LEAKING)
					found_s = 0;
				else if (!found_s)
					found_s = sim.tick / TICKS;
			}
			if (!found_s || found_s > cases[i].by_s)
				print_error("%s, seed %u: from %u s\n", cases[i].service.name,
					    (unsigned int)seed, found_s);
			assert_true(found_s);
			assert_in_range(found_s, 1, cases[i].by_s);
			stop(&sim);
		}
	}
}

/* While the ramp lasts, a leak of its size is not told from a pool. */
static void test_leak_of_the_size_of_the_ramp(void **state)
{
	const struct service service = { "ramp", 98, 2, 0.02, 200, 20, 60, 1, 3 };
	struct sim sim;

	start(&sim, 1, 200);
	while (sim.tick < 200 * TICKS) {
		serve_second(&sim, &service);
		assert_int_not_equal(verdict_of(&sim, HEAP), LT_VERDICT_LEAKING);
	}
	assert_int_equal(verdict_of(&sim, HEAP), LT_VERDICT_SUSPECT);
	assert_int_equal(sim.evidence[index_of(&sim, HEAP)].reason, LT_REASON_PACED);
	/* A site that came after the last sample has no past, and changes nothing. */
	acquire(&sim, NEW);
	assert_int_equal(lt_history_new(&sim.histories[lt_model_site_count(sim.model) - 1]), 0);
	judge(&sim);
	assert_int_equal(sim.evidence[index_of(&sim, HEAP)].reason, LT_REASON_PACED);
	stop(&sim);
}

/* The verdict is a function of the past, not of when it was asked before. */
static void test_interval_does_not_matter(void **state)
{
	struct sim often, seldom;

	start(&often, 3, 300);
	start(&seldom, 3, 300);
	for (often.tick = 0; often.tick <= 300 * TICKS; often.tick++) {
		seldom.tick = often.tick;
		release_due(&often);
		release_due(&seldom);
		leak_share(&often, 100, 0.03);
		leak_share(&seldom, 100, 0.03);
		if (often.tick % TICKS || !often.tick)
			continue;
		sample(&often);
		sample(&seldom);
		judge(&often);
		if (often.tick % (10 * TICKS))
			continue;
		judge(&seldom);
		assert_memory_equal(&often.evidence[0], &seldom.evidence[0],
				    sizeof(often.evidence[0]));
	}
	assert_int_equal(seldom.evidence[0].verdict, LT_VERDICT_LEAKING);
	stop(&often);
	stop(&seldom);
}

static void test_reasons(void **state)
{
	static const struct {
		struct scenario scenario;
		uint32_t at_s;
		enum lt_verdict verdict;
		enum lt_reason reason;
	} cases[] = {
		{ { "young", leak_all, .a = 5 },
		  30,
		  LT_VERDICT_INSUFFICIENT_DATA,
		  LT_REASON_YOUNG },
		{ { "leak", leak_all, .a = 5 }, 60, LT_VERDICT_LEAKING, LT_REASON_PLATEAU },
		{ { "few", leak_evenly, .a = 0.25 }, 60, LT_VERDICT_SUSPECT, LT_REASON_FEW },
		{ { "loss", lossy_leak, .a = 5, .b = 10 }, 60, LT_VERDICT_SUSPECT, LT_REASON_LOSS },
		{ { "filling", lifetimes, .a = 20, .b = 60 },
		  60,
		  LT_VERDICT_WARMING,
		  LT_REASON_TURNOVER },
		{ { "ramp", ramp, .a = 1, .b = 2 }, 60, LT_VERDICT_WARMING, LT_REASON_TURNOVER },
		{ { "array", growing_array, .a = 1, .b = 100 },
		  60,
		  LT_VERDICT_SUSPECT,
		  LT_REASON_REPLACED },
		{ { "pool", pool_once, .a = 0, .b = 30 },
		  50,
		  LT_VERDICT_STABLE,
		  LT_REASON_STOPPED },
		{ { "LRU", cache_fifo, .a = 2000, .b = 20, .prepare = fill_cache },
		  60,
		  LT_VERDICT_SUSPECT,
		  LT_REASON_PRE_ATTACH },
		{ { "late", leak_from, .a = 20, .b = 24 },
		  60,
		  LT_VERDICT_SUSPECT,
		  LT_REASON_BURST },
		{ { "static", static_burst, .a = 500 },
		  60,
		  LT_VERDICT_STABLE,
		  LT_REASON_NO_GROWTH },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct scenario *scenario = &cases[i].scenario;
		struct sim sim;

		start(&sim, 5, 100);
		if (scenario->prepare)
			scenario->prepare(&sim, scenario->a, scenario->b);
		run_until(&sim, scenario, cases[i].at_s);
		if (sim.evidence[0].verdict != cases[i].verdict ||
		    sim.evidence[0].reason != cases[i].reason)
			print_error("%s: %s, %s\n", scenario->name,
				    lt_verdict_name(sim.evidence[0].verdict),
				    lt_reason_text(sim.evidence[0].reason));
		assert_int_equal(sim.evidence[0].verdict, cases[i].verdict);
		assert_int_equal(sim.evidence[0].reason, cases[i].reason);
		stop(&sim);
	}
}

static void test_young_estimate(void **state)
{
	const struct scenario scenario = { "young", leak_evenly, .a = 10 };
	struct sim sim;

	start(&sim, 5, 100);
	run_until(&sim, &scenario, 5);
	assert_true(isnan(sim.evidence[0].growth_per_hour));
	assert_true(isnan(sim.evidence[0].maturity_s));
	assert_true(isnan(sim.evidence[0].survival));
	run_until(&sim, &scenario, 20);
	assert_true(fabs(sim.evidence[0].growth_per_hour / (10 * 64 * 3600.0) - 1) < 0.01);
	assert_true(isnan(sim.evidence[0].growth_low) && isnan(sim.evidence[0].p_value));
	stop(&sim);
}

static void test_min_growth(void **state)
{
	const struct scenario scenario = { "leak", leak_evenly, .a = 5 };
	struct sim sim;

	start(&sim, 5, 100);
	sim.min_growth = 5 * 64 * 3600.0 * 1.1;
	run_until(&sim, &scenario, 70);
	assert_int_equal(sim.evidence[0].verdict, LT_VERDICT_STABLE);
	assert_int_equal(sim.evidence[0].reason, LT_REASON_NO_GROWTH);
	sim.min_growth *= 0.8;
	run_until(&sim, &scenario, 71);
	assert_int_equal(sim.evidence[0].verdict, LT_VERDICT_LEAKING);
	/* A perfect rise, in the second window of the only level. */
	assert_true(fabs(sim.evidence[0].p_value * 479001600 / 6 - 1) < 1e-6);
	assert_true(sim.evidence[0].survival == 1);
	stop(&sim);
}

static void test_texts(void **state)
{
	assert_string_equal(lt_verdict_name(LT_VERDICT_INSUFFICIENT_DATA), "insufficient-data");
	assert_string_equal(lt_verdict_name(LT_VERDICT_LEAKING), "leaking");
	assert_string_equal(lt_verdict_name((enum lt_verdict)99), "");
	for (int i = LT_REASON_YOUNG; i <= LT_REASON_PLATEAU; i++)
		assert_true(strlen(lt_reason_text((enum lt_reason)i)) > 10);
	assert_string_equal(lt_reason_text((enum lt_reason)99), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaks),
		cmocka_unit_test(test_healthy),
		cmocka_unit_test(test_known_limit),
		cmocka_unit_test(test_finished),
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_leak_among_healthy),
		cmocka_unit_test(test_false_discovery),
		cmocka_unit_test(test_pools),
		cmocka_unit_test(test_pools_without_listed),
		cmocka_unit_test(test_leaks_beside_connections),
		cmocka_unit_test(test_leak_of_the_size_of_the_ramp),
		cmocka_unit_test(test_interval_does_not_matter),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_young_estimate),
		cmocka_unit_test(test_min_growth),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
