/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Synthetic processes that drive the model as a stream would: every second all sites are sampled,
 * and may be judged.  Seeds are fixed.
 */
#ifndef LT_TEST_SIM_H
#define LT_TEST_SIM_H

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
	/* Where events go instead of to the model, if this is set. */
	void (*divert)(struct sim *sim, const struct lt_event *event);
	void *diversion;
};

static inline double uniform(struct sim *sim)
{
	sim->random += 0x9e3779b97f4a7c15; /* splitmix64 */
	return (double)(lt_mix64(sim->random) >> 11) / (double)(UINT64_C(1) << 53);
}

static inline double exponential(struct sim *sim, double mean)
{
	return -mean * log(1 - uniform(sim));
}

static inline unsigned int poisson(struct sim *sim, double mean)
{
	double limit = exp(-mean), product = uniform(sim);
	unsigned int count = 0;

	while (product > limit) {
		product *= uniform(sim);
		count++;
	}
	return count;
}

static inline double now(const struct sim *sim)
{
	return (double)sim->tick / TICKS;
}

static inline void apply(struct sim *sim, struct lt_event event)
{
	event.kind = LT_KIND_HEAP;
	event.time_ns = (uint64_t)sim->tick * (1000000000 / TICKS);
	if (sim->divert)
		sim->divert(sim, &event);
	else
		assert_int_equal(lt_model_apply(sim->model, &event), 0);
}

static inline uint64_t acquire_sized(struct sim *sim, uint64_t site, uint64_t size)
{
	uint64_t id = ++sim->last_id;

	apply(sim, (struct lt_event){ .type = LT_EVENT_ACQUIRE, .acquire = { id, size, site } });
	return id;
}

static inline uint64_t acquire(struct sim *sim, uint64_t site)
{
	return acquire_sized(sim, site, site == SOCKETS ? 1 : 64);
}

static inline void release(struct sim *sim, uint64_t id)
{
	apply(sim, (struct lt_event){ .type = LT_EVENT_RELEASE, .release = { id } });
}

/* Acquires, and plans the release. */
static inline void acquire_for(struct sim *sim, uint64_t site, double lifetime_s)
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

static inline void release_due(struct sim *sim)
{
	for (uint32_t next = sim->due[sim->tick]; next;) {
		release(sim, sim->blocks[next - 1].id);
		next = sim->blocks[next - 1].next;
	}
}

static inline void arrivals(struct sim *sim, uint64_t site, double per_s, double mean_life_s)
{
	for (unsigned int n = poisson(sim, per_s / TICKS); n > 0; n--)
		acquire_for(sim, site, exponential(sim, mean_life_s));
}

static inline void sample(struct sim *sim)
{
	uint32_t now_s = sim->tick / TICKS;
	struct lt_sample unknown = { 0 };

	lt_model_roll(sim->model, (uint64_t)now_s * 1000000000);
	for (size_t i = 0; i < lt_model_site_count(sim->model); i++) {
		const struct lt_site *site = lt_model_site(sim->model, i);
		struct lt_sample values = { .live_size = site->live_size,
					    .acquired_count = site->acquired_count,
					    .released_count = site->released_count };

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

static inline void judge(struct sim *sim)
{
	static struct lt_verdict_input inputs[MAX_SITES];
	struct lt_verdict_context context = { .now_s = sim->tick / TICKS,
					      .min_growth_per_hour = sim->min_growth };
	size_t count = lt_model_site_count(sim->model);

	for (size_t i = 0; i < count; i++) {
		const struct lt_site *site = lt_model_site(sim->model, i);

		inputs[i] = (struct lt_verdict_input){
			.history = sim->histories[i],
			.unknown = sim->unknown,
			.live_count = site->live_count,
			.live_size = site->live_size,
			.last_loss_s = sim->last_loss_s,
			.listed = site->stack_id == SOCKETS && !sim->lists_nothing,
			.observed = site->observed,
			.sampled = site->sampled,
		};
	}
	assert_int_equal(lt_verdict_judge(&context, inputs, count, sim->evidence), 0);
}

static inline void start(struct sim *sim, uint64_t seed, uint32_t duration_s)
{
	*sim = (struct sim){ .random = seed,
			     .last_loss_s = NEVER,
			     .end_tick = (duration_s + 1) * TICKS };
	assert_int_equal(lt_model_new(0, &sim->model), 0);
	assert_int_equal(lt_history_new(&sim->unknown), 0);
	sim->due = calloc(sim->end_tick + 2, sizeof(*sim->due));
	assert_non_null(sim->due);
}

static inline void stop(struct sim *sim)
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

static inline void leak_all(struct sim *sim, double per_s, double unused)
{
	arrivals(sim, 0, per_s, FOREVER);
}

static inline void leak_evenly(struct sim *sim, double per_s, double unused)
{
	if (fmod(sim->tick, TICKS / per_s) < 1)
		acquire(sim, 0);
}

static inline void leak_after_start(struct sim *sim, double per_s, double burst)
{
	if (now(sim) < 10)
		arrivals(sim, 0, burst, 1);
	if (now(sim) < 8)
		arrivals(sim, 0, burst, FOREVER);
	leak_all(sim, per_s, 0);
}

static inline void leak_share(struct sim *sim, double per_s, double share)
{
	for (double mean_s = 0.1; mean_s < 1.1; mean_s += 0.3)
		arrivals(sim, 0, per_s * (1 - share) / 4, mean_s);
	arrivals(sim, 0, per_s * share, FOREVER);
}

static inline void leak_from(struct sim *sim, double per_s, double from_s)
{
	arrivals(sim, 0, 50, 0.5);
	if (now(sim) >= from_s)
		leak_all(sim, per_s, 0);
}

/* Noise with some survivors for 10 s, then a leak. */
static inline void leak_after_noise(struct sim *sim, double noise_per_s, double from_s)
{
	if (now(sim) < 10)
		arrivals(sim, 0, noise_per_s, 8);
	if (now(sim) >= from_s)
		leak_all(sim, 5, 0);
}

static inline void leak_regularly(struct sim *sim, double every_s, double count)
{
	for (int i = 0; i < count && fmod(now(sim), every_s) == 0; i++)
		acquire(sim, 0);
}

/* Unknown frees at the start: blocks in flight at the attach.  They end soon. */
static inline void leak_with_flight(struct sim *sim, double per_s, double frees_per_s)
{
	if (now(sim) < 15)
		for (unsigned int n = poisson(sim, frees_per_s / TICKS); n > 0; n--)
			release(sim, UINT64_C(1) << 40 | sim->tick);
	leak_all(sim, per_s, 0);
}

/* --- what does not leak ------------------------------------------------------------------------
 */

static inline void fill_cache(struct sim *sim, double entries, double unused)
{
	sim->live = calloc((size_t)entries + 1, sizeof(*sim->live));
	assert_non_null(sim->live);
	for (size_t i = 0; i < (size_t)entries; i++) /* before the attach: unknown to the model */
		sim->live[i] = UINT64_C(1) << 40 | i;
	sim->live_count = (size_t)entries;
}

static inline void cache_fifo(struct sim *sim, double unused, double per_s)
{
	for (unsigned int n = poisson(sim, per_s / TICKS); n > 0; n--) {
		release(sim, sim->live[sim->live_first]);
		sim->live[sim->live_first] = acquire(sim, 0);
		sim->live_first = (sim->live_first + 1) % sim->live_count;
	}
}

static inline void cache_random(struct sim *sim, double unused, double per_s)
{
	for (unsigned int n = poisson(sim, per_s / TICKS); n > 0; n--) {
		size_t victim = (size_t)(uniform(sim) * (double)sim->live_count);

		release(sim, sim->live[victim]);
		sim->live[victim] = acquire(sim, 0);
	}
}

/* Also a cache that fills while it replaces at random, and sessions. */
static inline void lifetimes(struct sim *sim, double per_s, double mean_s)
{
	arrivals(sim, 0, per_s, mean_s);
}

static inline void ramp(struct sim *sim, double per_s_s, double mean_s)
{
	arrivals(sim, 0, per_s_s * now(sim), mean_s);
}

static inline void sawtooth(struct sim *sim, double period_s, double per_s)
{
	double left = period_s - fmod(now(sim), period_s);

	for (unsigned int n = poisson(sim, per_s / TICKS); n > 0; n--)
		acquire_for(sim, 0, left);
}

/* Batches: each fills for a quarter of the time and is released at once. */
static inline void batches(struct sim *sim, double fill_s, double per_s)
{
	double at_s = fmod(now(sim), 4 * fill_s);

	if (at_s >= fill_s)
		return;
	for (unsigned int n = poisson(sim, per_s / TICKS); n > 0; n--)
		acquire_for(sim, 0, fill_s - at_s);
}

static inline void pool_once(struct sim *sim, double from_s, double duration_s)
{
	if (now(sim) >= from_s && now(sim) < from_s + duration_s)
		arrivals(sim, 0, 20, FOREVER);
}

static inline void pool_steps(struct sim *sim, double every_s, double count)
{
	if (now(sim) < 8 * every_s && fmod(now(sim), every_s) == 0)
		for (int i = 0; i < count; i++)
			acquire(sim, 0);
}

static inline void pool_doubling(struct sim *sim, double first_s, double count)
{
	for (double at_s = first_s; at_s < 1e6; at_s *= 2, count *= 2)
		for (int i = 0; i < count && now(sim) == at_s; i++)
			acquire(sim, 0);
}

static inline void bursts(struct sim *sim, double every_s, double count)
{
	if (fmod(now(sim), every_s) == 0)
		for (int i = 0; i < count; i++)
			acquire_for(sim, 0, exponential(sim, every_s / 2));
}

static inline void steps(struct sim *sim, double every_s, double mean_s)
{
	arrivals(sim, 0, 4 + 8 * floor(now(sim) / every_s), mean_s);
}

static inline void random_walk(struct sim *sim, double per_s, double fifo)
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

static inline void static_burst(struct sim *sim, double count, double churn_per_s)
{
	for (int i = 0; i < count && sim->tick == 5; i++)
		acquire(sim, 0);
	arrivals(sim, 0, churn_per_s, 1);
}

/* One block, reallocated to twice its bytes, or by a step, again and again. */
static inline void growing_array(struct sim *sim, double every_s, double step)
{
	if (fmod(now(sim), every_s) != 0)
		return;
	if (sim->live_count)
		release(sim, sim->live_count);
	sim->live_count = acquire_sized(sim, 0, 64 + (uint64_t)(step * now(sim)));
}

static inline void lossy_leak(struct sim *sim, double per_s, double every_s)
{
	leak_all(sim, per_s, 0);
	if (fmod(now(sim), every_s) == 0)
		sim->last_loss_s = sim->tick / TICKS;
}

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

/* Runs one scenario; returns the number of seconds with a wrong verdict. */
static inline unsigned int play(const struct scenario *scenario, uint64_t seed, uint32_t duration_s)
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

static inline void run_until(struct sim *sim, const struct scenario *scenario, uint32_t end_s)
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

#endif
