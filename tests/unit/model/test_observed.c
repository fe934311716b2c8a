/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "model/model.h"

#define START_NS UINT64_C(5000000000)
#define S        UINT64_C(1000000000)

static int setup(void **state)
{
	return lt_model_new(START_NS, (struct lt_model **)state);
}

static int teardown(void **state)
{
	lt_model_free(*state);
	return 0;
}

static void observe(struct lt_model *model, uint32_t at_s, uint64_t acquired, uint64_t released,
		    uint64_t sampled)
{
	struct lt_event event = {
		.type = LT_EVENT_OBSERVE,
		.kind = LT_KIND_GO_HEAP,
		.time_ns = START_NS + at_s * S,
		.observe = { 7, acquired, 64 * acquired, released, 64 * released, sampled },
	};

	assert_int_equal(lt_model_apply(model, &event), 0);
}

static void collect(struct lt_model *model, uint32_t at_s, uint64_t count)
{
	struct lt_event event = { .type = LT_EVENT_RUNTIME,
				  .time_ns = START_NS + at_s * S,
				  .runtime = { .version = "", .gc_count = count } };

	assert_int_equal(lt_model_apply(model, &event), 0);
}

static const struct lt_site *expect(const struct lt_model *model, uint64_t acquired,
				    uint64_t released)
{
	const struct lt_model_totals *totals = lt_model_totals(model);
	const struct lt_site *site = lt_model_site(model, 0);
	uint64_t alive = 0;

	assert_non_null(site);
	assert_true(site->observed);
	assert_int_equal(site->acquired_count, acquired);
	assert_int_equal(site->released_count, released);
	assert_int_equal(site->live_count, acquired - released);
	assert_int_equal(site->acquired_size, 64 * acquired);
	assert_int_equal(site->released_size, 64 * released);
	assert_int_equal(site->live_size, 64 * (acquired - released));
	assert_int_equal(totals->acquired_count, acquired);
	assert_int_equal(totals->released_count, released);
	assert_int_equal(totals->live_count, acquired - released);
	assert_int_equal(totals->live_size, 64 * (acquired - released));
	for (unsigned int level = 0; level < LT_COHORT_LEVELS; level++)
		alive += site->cohorts.alive_total[level];
	assert_int_equal(alive, acquired - released);
	return site;
}

/* What the first look shows was there at the attach, whenever that was. */
static void test_first_look(void **state)
{
	struct lt_model *model = *state;
	const struct lt_site *site;
	uint32_t birth_s;

	observe(model, 30, 1000, 400, 9);
	site = expect(model, 1000, 400);
	assert_int_equal(site->sampled, 9);
	assert_int_equal(site->peak_size, 64 * 600);
	assert_int_equal(site->first_ns, START_NS + 30 * S);
	assert_int_equal(lt_cohorts_alive_above(&site->cohorts, 0), 600);
	lt_model_oldest(model, &birth_s);
	assert_int_equal(birth_s, 0);
}

/* Later ones: born since the look before, of which the youngest went. */
static void test_differences(void **state)
{
	struct lt_model *model = *state;
	const struct lt_site *site;

	observe(model, 0, 100, 0, 5);
	observe(model, 10, 200, 50, 8);
	site = expect(model, 200, 50);
	assert_int_equal(site->sampled, 8);
	for (uint32_t s = 1; s <= 10; s++)
		assert_int_equal(site->cohorts.alive[0][s], 5);
	observe(model, 12, 210, 90, 6); /* 30 less: of those from 5 to 10 s */
	site = expect(model, 210, 90);
	assert_int_equal(site->cohorts.alive[0][4], 5);
	assert_int_equal(site->cohorts.alive[0][5], 0);
	assert_int_equal(site->peak_size, 64 * 150);
	observe(model, 20, 210, 210, 0);
	site = expect(model, 210, 210);
	assert_int_equal(site->sampled, 0);
}

/* A collection that showed nothing new was a look as well. */
static void test_collections(void **state)
{
	struct lt_model *model = *state;
	const struct lt_site *site;

	observe(model, 0, 100, 0, 5);
	collect(model, 0, 1);
	collect(model, 60, 2);
	collect(model, 62, 2);
	observe(model, 64, 140, 0, 7);
	site = expect(model, 140, 0);
	for (uint32_t s = 61; s <= 64; s++)
		assert_int_equal(site->cohorts.alive[0][s % LT_COHORT_EPOCHS], 10);
}

/* Sums never decrease, and never are beyond reason: what does is as it was. */
static void test_nonsense(void **state)
{
	struct lt_model *model = *state;

	observe(model, 0, 100, 40, 5);
	observe(model, 1, 90, 30, 5);
	expect(model, 100, 40);
	observe(model, 2, 90, 300, 5); /* more than there were */
	expect(model, 100, 100);
	observe(model, 3, UINT64_MAX, UINT64_MAX, 5);
	expect(model, 100, 100);
	observe(model, 4, 120, 100, 5);
	expect(model, 120, 100);
}

/* Random events of one site in all ways at once: nothing falls below zero. */
static void test_mixed(void **state)
{
	struct lt_model *model = *state;
	const struct lt_site *site;

	for (uint64_t i = 0; i < 20000; i++) {
		uint64_t random = lt_mix64(i), id = random % 64;
		struct lt_event event = { .kind = LT_KIND_GO_HEAP,
					  .time_ns = START_NS + i * S / 10 };

		if (random >> 60 == 0) {
			observe(model, (uint32_t)(i / 10), random % 5000, random >> 20 & 4095, 1);
			continue;
		}
		event.type = random >> 59 & 1 ? LT_EVENT_ACQUIRE : LT_EVENT_RELEASE;
		if (event.type == LT_EVENT_ACQUIRE)
			event.acquire = (struct lt_event_acquire){ id, 32, 7 };
		else
			event.release.id = id;
		assert_int_equal(lt_model_apply(model, &event), 0);
		site = lt_model_site(model, 0);
		if (!site)
			continue;
		assert_int_equal(site->acquired_count - site->released_count, site->live_count);
		assert_true(site->live_count < 10000 && site->live_size < 1000000);
	}
}

/* What is listed is not observed. */
static void test_other_kinds(void **state)
{
	struct lt_model *model = *state;
	struct lt_event event = { .type = LT_EVENT_OBSERVE,
				  .kind = LT_KIND_FD,
				  .time_ns = START_NS,
				  .observe = { 7, 1, 1, 0, 0, 0 } };

	assert_int_equal(lt_model_apply(model, &event), 0);
	event.type = LT_EVENT_MOVE;
	event.kind = LT_KIND_HEAP;
	assert_int_equal(lt_model_apply(model, &event), 0);
	assert_int_equal(lt_model_site_count(model), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_first_look), TEST(test_differences), TEST(test_collections),
		TEST(test_nonsense),   TEST(test_mixed),       TEST(test_other_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
