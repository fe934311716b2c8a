/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Birth cohorts of one site: how many resources born in an epoch are still alive, with epochs that
 * get coarser with age, in a fixed size.
 *
 * Level L holds epochs of 4^L seconds and the ages below about 12·4^L s; what gets older moves to
 * level L+1, four epochs into one, at boundaries aligned for all sites alike:
 *
 *	births before B(L, now) = floor((now - 12·4^L) / 4^(L+1)) · 4^(L+1)  are above level L
 *
 * So "alive with age ≥ 12·4^L s (up to 4^(L+1) s more)" is the sum of the levels above L, and
 * "released at such an age" is counted per level.  Times are whole seconds since the attach.
 * Pure arithmetic on the structure; all calls with non-decreasing now.
 */
#ifndef LT_MODEL_COHORTS_H
#define LT_MODEL_COHORTS_H

#include <stdint.h>

#define LT_COHORT_LEVELS 8 /* the last one takes all ages above 12·4^6 s = 13.6 h */
#define LT_COHORT_EPOCHS 16

struct lt_cohorts {
	uint32_t now_s; /* rolled up to here */
	uint32_t alive[LT_COHORT_LEVELS][LT_COHORT_EPOCHS];
	uint64_t alive_total[LT_COHORT_LEVELS];    /* sum of alive[level] */
	uint64_t released_total[LT_COHORT_LEVELS]; /* released while at this level, since the attach
						    */
	uint32_t born_max_s[LT_COHORT_LEVELS];     /* of those: the latest birth ... */
	uint32_t age_max_s[LT_COHORT_LEVELS];      /* ... and the greatest age; 0: none released */
};

void lt_cohorts_roll(struct lt_cohorts *cohorts, uint32_t now_s);
/* birth_s: now_s, or earlier for what is only found now. */
void lt_cohorts_born(struct lt_cohorts *cohorts, uint32_t birth_s, uint32_t now_s);
/* count of them, born evenly in the seconds after first_s up to last_s (not after now_s). */
void lt_cohorts_born_between(struct lt_cohorts *cohorts, uint32_t first_s, uint32_t last_s,
			     uint32_t now_s, uint64_t count);
/* count of the youngest are released at now_s: where nothing tells which ones. */
void lt_cohorts_youngest_died(struct lt_cohorts *cohorts, uint32_t now_s, uint64_t count);
/* The epoch of the oldest that lives began then; UINT32_MAX: none does. */
uint32_t lt_cohorts_oldest(const struct lt_cohorts *cohorts);
/* A resource born at birth_s is released at now_s. */
void lt_cohorts_died(struct lt_cohorts *cohorts, uint32_t birth_s, uint32_t now_s);
/* count resources were born and released at now_s, or shortly before. */
void lt_cohorts_passed(struct lt_cohorts *cohorts, uint32_t now_s, uint64_t count);
/* Undo of the died at died_s: alive again with its old birth (failed realloc). */
void lt_cohorts_revived(struct lt_cohorts *cohorts, uint32_t birth_s, uint32_t died_s,
			uint32_t now_s);

/* Alive now with age of about 12·4^level s or more / released at such an age since the attach. */
uint64_t lt_cohorts_alive_above(const struct lt_cohorts *cohorts, unsigned int level);
uint64_t lt_cohorts_released_above(const struct lt_cohorts *cohorts, unsigned int level);
/*
 * Of those released at such an age, the latest birth and the greatest age; 0: none.  Undone
 * releases are forgotten once all of a level are undone: till then the values are rather too great.
 */
uint32_t lt_cohorts_born_max_above(const struct lt_cohorts *cohorts, unsigned int level);
uint32_t lt_cohorts_age_max_above(const struct lt_cohorts *cohorts, unsigned int level);

#endif
