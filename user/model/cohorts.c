/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model/cohorts.h"

#define TOP    (LT_COHORT_LEVELS - 1)
#define SPREAD 16 /* births into which those of a time are divided */

/*
 * B(level, now) of the header.  12·4^L is three epochs of the next level, so the boundary is the
 * start of the epoch of the next level that lies three before the one of now.
 */
static uint32_t boundary(unsigned int level, uint32_t now_s)
{
	unsigned int shift = 2 * (level + 1);
	uint32_t epoch = now_s >> shift;

	return epoch > 3 ? (epoch - 3) << shift : 0;
}

static unsigned int level_of(uint32_t birth_s, uint32_t now_s)
{
	unsigned int level = 0;

	while (level < TOP && birth_s < boundary(level, now_s))
		level++;
	return level;
}

static void lift(uint32_t *value, uint32_t least)
{
	if (*value < least)
		*value = least;
}

static uint32_t *epoch_of(struct lt_cohorts *cohorts, unsigned int level, uint32_t birth_s)
{
	return &cohorts->alive[level][(birth_s >> (2 * level)) % LT_COHORT_EPOCHS];
}

/* An epoch that counts 2^32 - 1 keeps that number: a survivor too few is the safe error. */
static void add(struct lt_cohorts *cohorts, unsigned int level, uint32_t birth_s, uint64_t count)
{
	uint32_t *epoch = epoch_of(cohorts, level, birth_s);

	if (count > UINT32_MAX - *epoch)
		count = UINT32_MAX - *epoch;
	*epoch += (uint32_t)count;
	cohorts->alive_total[level] += count;
}

/* Moves what grew out of a level between then and now to the level where it belongs now. */
static void move_up(struct lt_cohorts *cohorts, unsigned int level, uint32_t then_s, uint32_t now_s)
{
	uint32_t first = boundary(level, then_s) >> (2 * level);
	uint32_t end = boundary(level, now_s) >> (2 * level);

	/* The level holds at most 16 epochs, from its old boundary on. */
	if (end - first > LT_COHORT_EPOCHS)
		end = first + LT_COHORT_EPOCHS;
	for (uint32_t i = first; i < end; i++) {
		uint32_t birth_s = i << (2 * level);
		uint32_t *epoch = epoch_of(cohorts, level, birth_s), count = *epoch;

		if (!count)
			continue;
		*epoch = 0;
		cohorts->alive_total[level] -= count;
		add(cohorts, level_of(birth_s, now_s), birth_s, count);
	}
}

void lt_cohorts_roll(struct lt_cohorts *cohorts, uint32_t now_s)
{
	uint32_t then_s = cohorts->now_s;
	unsigned int level = 0;

	if (now_s <= then_s)
		return;
	cohorts->now_s = now_s;
	/* Boundaries are nested: a level whose boundary stayed has only such levels above it. */
	while (level < TOP && boundary(level, then_s) != boundary(level, now_s))
		level++;
	/* Top down, so that the target of every move has shed its own old epochs already. */
	while (level-- > 0)
		move_up(cohorts, level, then_s, now_s);
}

void lt_cohorts_born(struct lt_cohorts *cohorts, uint32_t birth_s, uint32_t now_s)
{
	lt_cohorts_roll(cohorts, now_s);
	add(cohorts, level_of(birth_s, now_s), birth_s, 1);
}

void lt_cohorts_died(struct lt_cohorts *cohorts, uint32_t birth_s, uint32_t now_s)
{
	lt_cohorts_roll(cohorts, now_s);

	unsigned int level = level_of(birth_s, now_s);
	uint32_t *epoch = epoch_of(cohorts, level, birth_s);

	if (*epoch) { /* else lost to saturation */
		--*epoch;
		cohorts->alive_total[level]--;
	}
	cohorts->released_total[level]++;
	lift(&cohorts->born_max_s[level], birth_s);
	lift(&cohorts->age_max_s[level], now_s - birth_s);
}

void lt_cohorts_passed(struct lt_cohorts *cohorts, uint32_t now_s, uint64_t count)
{
	lt_cohorts_roll(cohorts, now_s);
	cohorts->released_total[0] += count;
	lift(&cohorts->born_max_s[0], now_s);
}

void lt_cohorts_born_between(struct lt_cohorts *cohorts, uint32_t first_s, uint32_t last_s,
			     uint32_t now_s, uint64_t count)
{
	uint32_t span_s = first_s < last_s ? last_s - first_s : 1;
	uint32_t parts = span_s < SPREAD ? span_s : SPREAD;

	lt_cohorts_roll(cohorts, now_s);
	for (uint32_t i = 0; i < parts; i++) { /* what cannot be divided is rather younger */
		uint32_t birth_s = last_s - (uint32_t)((uint64_t)span_s * i / parts);
		uint64_t part = count / parts + (i < count % parts);

		add(cohorts, level_of(birth_s, now_s), birth_s, part);
	}
}

static uint64_t take(struct lt_cohorts *cohorts, unsigned int level, uint32_t birth_s,
		     uint64_t count)
{
	uint32_t *epoch = epoch_of(cohorts, level, birth_s);

	if (count > *epoch)
		count = *epoch;
	if (!count)
		return 0;
	*epoch -= (uint32_t)count;
	cohorts->alive_total[level] -= count;
	cohorts->released_total[level] += count;
	lift(&cohorts->born_max_s[level], birth_s);
	lift(&cohorts->age_max_s[level], cohorts->now_s - birth_s);
	return count;
}

/* Where an epoch is told by its place alone, it is as young as one at that place can be. */
static uint32_t youngest_epoch(const struct lt_cohorts *cohorts, unsigned int level)
{
	uint32_t bound = level ? boundary(level - 1, cohorts->now_s) : cohorts->now_s + 1;

	return bound ? (bound - 1) >> (2 * level) : 0;
}

void lt_cohorts_youngest_died(struct lt_cohorts *cohorts, uint32_t now_s, uint64_t count)
{
	lt_cohorts_roll(cohorts, now_s);
	for (unsigned int level = 0; level < LT_COHORT_LEVELS && count; level++) {
		uint32_t first = youngest_epoch(cohorts, level);

		for (uint32_t i = 0; i < LT_COHORT_EPOCHS && i <= first && count; i++)
			count -= take(cohorts, level, (first - i) << (2 * level), count);
	}
}

uint32_t lt_cohorts_oldest(const struct lt_cohorts *cohorts)
{
	for (unsigned int level = LT_COHORT_LEVELS; level-- > 0;) {
		uint32_t first = youngest_epoch(cohorts, level), i = LT_COHORT_EPOCHS;

		if (!cohorts->alive_total[level])
			continue;
		while (i-- > 0)
			if (i <= first && cohorts->alive[level][(first - i) % LT_COHORT_EPOCHS])
				return (first - i) << (2 * level);
	}
	return UINT32_MAX;
}

void lt_cohorts_revived(struct lt_cohorts *cohorts, uint32_t birth_s, uint32_t died_s,
			uint32_t now_s)
{
	unsigned int level;

	lt_cohorts_roll(cohorts, now_s);
	add(cohorts, level_of(birth_s, now_s), birth_s, 1);
	/* Counted at the level of the death, which may since have been left. */
	level = level_of(birth_s, died_s);
	if (!--cohorts->released_total[level])
		cohorts->born_max_s[level] = cohorts->age_max_s[level] = 0;
}

static uint64_t sum_above(const uint64_t totals[LT_COHORT_LEVELS], unsigned int level)
{
	uint64_t sum = 0;

	for (unsigned int i = level + 1; i < LT_COHORT_LEVELS; i++)
		sum += totals[i];
	return sum;
}

static uint32_t max_above(const uint32_t values[LT_COHORT_LEVELS], unsigned int level)
{
	uint32_t max = 0;

	for (unsigned int i = level + 1; i < LT_COHORT_LEVELS; i++)
		lift(&max, values[i]);
	return max;
}

uint64_t lt_cohorts_alive_above(const struct lt_cohorts *cohorts, unsigned int level)
{
	return sum_above(cohorts->alive_total, level);
}

uint64_t lt_cohorts_released_above(const struct lt_cohorts *cohorts, unsigned int level)
{
	return sum_above(cohorts->released_total, level);
}

uint32_t lt_cohorts_born_max_above(const struct lt_cohorts *cohorts, unsigned int level)
{
	return max_above(cohorts->born_max_s, level);
}

uint32_t lt_cohorts_age_max_above(const struct lt_cohorts *cohorts, unsigned int level)
{
	return max_above(cohorts->age_max_s, level);
}
