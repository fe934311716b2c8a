/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verdict in simulation: synthetic processes drive the model as a stream would, and every
 * second all sites are judged.  What leaks must be found in time and stay found; what does not must
 * never be accused, in any second.  Seeds are fixed.
 */
#include "unit/trend/sim.h"

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

/* A known limit (docs/VERDICT.md): while it climbs, what lies below really stays. */
static const struct scenario stack_walk = { "stack walk", random_walk, .a = 40, .b = 0 };

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
