/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cohorts against a list of every resource with its birth, by the definition in the header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "model/cohorts.h"

#define RESOURCES 4000

struct reference {
	uint32_t births[RESOURCES];
	size_t count;
	uint64_t released[LT_COHORT_LEVELS]; /* at an age above the level */
	uint32_t now_s;
};

/* B(level, now), written as the header does. */
static int64_t first_below(unsigned int level, uint32_t now_s)
{
	int64_t span = INT64_C(1) << (2 * (level + 1)), age = INT64_C(12) << (2 * level);

	return (int64_t)now_s < age ? 0 : ((int64_t)now_s - age) / span * span;
}

static bool above(unsigned int level, uint32_t birth_s, uint32_t now_s)
{
	return level < LT_COHORT_LEVELS - 1 && birth_s < first_below(level, now_s);
}

static void check(const struct lt_cohorts *cohorts, const struct reference *reference)
{
	for (unsigned int level = 0; level < LT_COHORT_LEVELS; level++) {
		uint64_t alive = 0;

		for (size_t i = 0; i < reference->count; i++)
			alive += above(level, reference->births[i], reference->now_s);
		assert_int_equal(lt_cohorts_alive_above(cohorts, level), alive);
		assert_int_equal(lt_cohorts_released_above(cohorts, level),
				 reference->released[level]);
	}
}

static uint32_t kill(struct lt_cohorts *cohorts, struct reference *reference, size_t index)
{
	uint32_t birth_s = reference->births[index];

	lt_cohorts_died(cohorts, birth_s, reference->now_s);
	for (unsigned int level = 0; level < LT_COHORT_LEVELS; level++)
		reference->released[level] += above(level, birth_s, reference->now_s);
	reference->births[index] = reference->births[--reference->count];
	return birth_s;
}

static void revive(struct lt_cohorts *cohorts, struct reference *reference, uint32_t birth_s,
		   uint32_t died_s)
{
	lt_cohorts_revived(cohorts, birth_s, died_s, reference->now_s);
	for (unsigned int level = 0; level < LT_COHORT_LEVELS; level++)
		reference->released[level] -= above(level, birth_s, died_s);
	reference->births[reference->count++] = birth_s;
}

static void run(uint64_t seed, uint32_t usual_gap_s, uint32_t long_gap_s, size_t steps)
{
	struct reference *reference = calloc(1, sizeof(*reference));
	struct lt_cohorts cohorts = { 0 };
	uint64_t random = seed;

	assert_non_null(reference);
	for (size_t step = 0; step < steps; step++) {
		random = lt_mix64(random + step + 1);
		uint32_t pick = (uint32_t)(random >> 40) % 100;

		if (pick < 30)
			reference->now_s += (uint32_t)(random % (usual_gap_s + 1));
		else if (pick < 32)
			reference->now_s += (uint32_t)(random % (long_gap_s + 1));
		for (unsigned int i = 0; i < random % 5 && reference->count < RESOURCES; i++) {
			/* Most are new; some were found late. */
			uint32_t birth_s = (random >> 56) % 16 ? reference->now_s
							       : reference->now_s / 2;

			lt_cohorts_born(&cohorts, birth_s, reference->now_s);
			reference->births[reference->count++] = birth_s;
		}
		for (unsigned int i = 0; i < random / 8 % 5 && reference->count; i++) {
			uint32_t died_s = reference->now_s;
			uint32_t birth_s = kill(&cohorts, reference,
						(random >> 20) % reference->count);

			if ((random >> 50) % 8)
				continue;
			reference->now_s += (uint32_t)(random >> 53) % 6;
			revive(&cohorts, reference, birth_s, died_s);
		}
		lt_cohorts_roll(&cohorts, reference->now_s);
		check(&cohorts, reference);
	}
	/* Everything that is left can be found and removed. */
	while (reference->count)
		kill(&cohorts, reference, 0);
	check(&cohorts, reference);
	for (unsigned int level = 0; level < LT_COHORT_LEVELS; level++)
		assert_int_equal(cohorts.alive_total[level], 0);
	free(reference);
}

static void test_reference(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		run(seed, 1, 20, 1500);
		run(seed, 3, 2000, 1500);
		run(seed, 50, 200000, 1500); /* all levels, idle jumps over several of them */
	}
}

static void test_saturation(void **state)
{
	struct lt_cohorts cohorts = { 0 };

	for (uint32_t second = 0; second < 4; second++) {
		cohorts.alive[0][second] = UINT32_MAX - 1;
		cohorts.alive_total[0] += UINT32_MAX - 1;
	}
	lt_cohorts_born(&cohorts, 3, 3);
	lt_cohorts_born(&cohorts, 3, 3); /* one too many */
	assert_int_equal(cohorts.alive[0][3], UINT32_MAX);
	lt_cohorts_roll(&cohorts, 20);
	assert_int_equal(lt_cohorts_alive_above(&cohorts, 0), UINT32_MAX);
	assert_int_equal(cohorts.alive_total[0], 0);
	cohorts.alive[1][0] = 0;
	cohorts.alive_total[1] = 0;
	lt_cohorts_died(&cohorts, 1, 20); /* lost to saturation before: no wrap */
	assert_int_equal(cohorts.alive_total[1], 0);
	assert_int_equal(lt_cohorts_released_above(&cohorts, 0), 1);
}

static void check_extremes(const struct lt_cohorts *cohorts, unsigned int level, uint32_t born_s,
			   uint32_t age_s)
{
	assert_int_equal(lt_cohorts_born_max_above(cohorts, level), born_s);
	assert_int_equal(lt_cohorts_age_max_above(cohorts, level), age_s);
}

static void test_extremes(void **state)
{
	struct lt_cohorts cohorts = { 0 };

	for (uint32_t second = 0; second <= 100; second++)
		lt_cohorts_born(&cohorts, second, second);
	lt_cohorts_died(&cohorts, 100, 101); /* no survivor */
	check_extremes(&cohorts, 0, 0, 0);
	lt_cohorts_died(&cohorts, 70, 101);
	check_extremes(&cohorts, 0, 70, 31);
	check_extremes(&cohorts, 1, 0, 0);
	lt_cohorts_died(&cohorts, 10, 102); /* older than 48 s */
	check_extremes(&cohorts, 0, 70, 92);
	check_extremes(&cohorts, 1, 10, 92);
	check_extremes(&cohorts, 2, 0, 0);
	lt_cohorts_died(&cohorts, 80, 110);
	check_extremes(&cohorts, 0, 80, 92);
	/* Undone: forgotten when no other release of the level is left. */
	lt_cohorts_revived(&cohorts, 80, 110, 110);
	check_extremes(&cohorts, 0, 80, 92);
	lt_cohorts_revived(&cohorts, 10, 102, 400);
	check_extremes(&cohorts, 1, 0, 0);
	check_extremes(&cohorts, 0, 80, 31);
	lt_cohorts_revived(&cohorts, 70, 101, 400);
	check_extremes(&cohorts, 0, 0, 0);
}

/* Those born in a time, of which the youngest die, against a list by birth. */
static void test_youngest(void **state)
{
	struct reference reference = { .now_s = 0 };
	struct lt_cohorts cohorts = { 0 };
	uint64_t random = 1;

	for (uint32_t round = 0; round < 300; round++) {
		uint32_t from_s = reference.now_s, count = (uint32_t)(lt_mix64(random++) % 12);

		reference.now_s += 1 + (uint32_t)(lt_mix64(random++) % 16); /* no more than parts */
		count = round % 3 == 2 ? count : count % 2;
		if (round % 3 == 2) {
			lt_cohorts_youngest_died(&cohorts, reference.now_s, count);
			for (; count && reference.count; count--) { /* the last ones are youngest */
				uint32_t birth_s = reference.births[--reference.count];

				for (unsigned int level = 0; level < LT_COHORT_LEVELS; level++)
					reference.released[level] += above(level, birth_s,
									   reference.now_s);
			}
		} else {
			uint32_t span_s = reference.now_s - from_s;

			lt_cohorts_born_between(&cohorts, from_s, reference.now_s, reference.now_s,
						(uint64_t)count * span_s);
			for (uint32_t i = 0; i < count * span_s; i++) {
				assert_true(reference.count < RESOURCES);
				reference.births[reference.count++] = from_s + 1 + i / count;
			}
		}
		check(&cohorts, &reference);
		if (reference.count) /* by epochs: at most one too old */
			assert_in_range(reference.births[0] - lt_cohorts_oldest(&cohorts), 0, 1023);
		else
			assert_int_equal(lt_cohorts_oldest(&cohorts), UINT32_MAX);
	}
	assert_true(reference.count > 100);
	lt_cohorts_youngest_died(&cohorts, reference.now_s, UINT64_MAX);
	assert_int_equal(lt_cohorts_oldest(&cohorts), UINT32_MAX);
	for (unsigned int level = 0; level < LT_COHORT_LEVELS; level++)
		assert_int_equal(cohorts.alive_total[level], 0);
}

/* Estimates may be huge: epochs are full then, and stay consistent. */
static void test_huge_counts(void **state)
{
	struct lt_cohorts cohorts = { 0 };

	lt_cohorts_born_between(&cohorts, 0, 0, 5, UINT64_MAX);
	assert_int_equal(cohorts.alive_total[0], UINT32_MAX);
	lt_cohorts_born_between(&cohorts, 5, 9, 9, UINT64_C(1) << 50);
	assert_int_equal(cohorts.alive_total[0], UINT64_C(5) * UINT32_MAX);
	lt_cohorts_roll(&cohorts, 100);
	lt_cohorts_youngest_died(&cohorts, 100, UINT64_C(1) << 60);
	for (unsigned int level = 0; level < LT_COHORT_LEVELS; level++)
		assert_int_equal(cohorts.alive_total[level], 0);
	/* A long time is divided into some births only. */
	lt_cohorts_born_between(&cohorts, 100, 1000000, 1000000, 17);
	assert_int_equal(lt_cohorts_alive_above(&cohorts, 0), 15);
	assert_int_equal(cohorts.alive_total[0], 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reference),   cmocka_unit_test(test_saturation),
		cmocka_unit_test(test_extremes),    cmocka_unit_test(test_youngest),
		cmocka_unit_test(test_huge_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
