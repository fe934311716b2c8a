// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fifty healthy sites, some of which look like leaks for a while, and one that leaks 1 % of what it
 * allocates.
 *
 *	sites [ALLOCATIONS-PER-SECOND [SECONDS]]
 *
 * healthy_00 keeps the most recently used at capacity, healthy_01 fills while it replaces at
 * random, healthy_02 sees its load climb, healthy_03 is a sawtooth, healthy_04 a pool that grows for
 *10 s and then never again; the others are plain turnover with lives of up to 1 s.
 */
#include "churn.h"

#define LRU_CAPACITY    2000
#define CACHE_CAPACITY  12000
#define SAWTOOTH_TICKS  800
#define POOL_TICKS      1000
#define LEAK_ONE_IN     100
#define TURNOVER_FIRST  5
#define DEFAULT_RATE    20000
#define DEFAULT_SECONDS 90

/* clang-format off */
#define HEALTHY(X) \
	X(00) X(01) X(02) X(03) X(04) X(05) X(06) X(07) X(08) X(09) \
	X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) \
	X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) \
	X(30) X(31) X(32) X(33) X(34) X(35) X(36) X(37) X(38) X(39) \
	X(40) X(41) X(42) X(43) X(44) X(45) X(46) X(47) X(48) X(49)
/* clang-format on */

#define HEALTHY_FUNCTION(n)                                                                        \
	SITE static void *healthy_##n(size_t size)                                                 \
	{                                                                                          \
		void *p = malloc(size);                                                            \
                                                                                                   \
		KEEP(p);                                                                           \
		return p;                                                                          \
	}
HEALTHY(HEALTHY_FUNCTION)

SITE static void *leak_one_percent(size_t size)
{
	void *p = malloc(size); /* LEAK */

	KEEP(p);
	return p;
}

#define SITE_CALL(n) healthy_##n,
#define SITE_NAME(n) "healthy_" #n,
static void *(*const site_calls[])(size_t) = { HEALTHY(SITE_CALL) leak_one_percent };
static const char *const site_names[] = { HEALTHY(SITE_NAME) "leak_one_percent" };

#define SITE_COUNT (sizeof(site_calls) / sizeof(site_calls[0]))
#define SITE_LEAK  (SITE_COUNT - 1)

enum { SITE_LRU, SITE_CACHE, SITE_RAMP, SITE_SAWTOOTH, SITE_POOL };

static struct churn churn;
static struct {
	struct churn_block *block;
	unsigned long used;
} lru[LRU_CAPACITY];
static struct churn_block *cache[CACHE_CAPACITY];
static struct churn_block *sawtooth;
static unsigned long credits[SITE_COUNT];
static unsigned long run_ticks;

static struct churn_block *make(unsigned int site)
{
	return churn_new(&churn, site, site_calls[site]);
}

static void turnover(unsigned int site, unsigned long longest)
{
	churn_die_after(&churn, make(site), 1 + random_below(&churn.random, longest));
}

/* The longest unused of a few picked at random makes room, as in caches that approximate LRU. */
static void lru_insert(unsigned long due)
{
	for (unsigned int i = 0; i < LRU_CAPACITY && !lru[i].block; i++)
		lru[i].block = make(SITE_LRU);
	while (due--) {
		unsigned int oldest = (unsigned int)random_below(&churn.random, LRU_CAPACITY);

		for (unsigned int i = 0; i < 8; i++) {
			uint64_t other = random_below(&churn.random, LRU_CAPACITY);

			if (lru[other].used < lru[oldest].used)
				oldest = (unsigned int)other;
		}
		churn_free(lru[oldest].block);
		lru[oldest].block = make(SITE_LRU);
		lru[oldest].used = churn.tick;
		for (unsigned int hits = 0; hits < 2; hits++)
			lru[random_below(&churn.random, LRU_CAPACITY)].used = churn.tick;
	}
}

static void cache_insert(unsigned long due)
{
	while (due--) {
		struct churn_block **slot = &cache[random_below(&churn.random, CACHE_CAPACITY)];

		if (*slot)
			churn_free(*slot);
		*slot = make(SITE_CACHE);
	}
}

static void ramp_up(unsigned long due)
{
	due = due * 2 * churn.tick / run_ticks;
	while (due--)
		turnover(SITE_RAMP, CHURN_LONGEST_LIFE);
}

static void sawtooth_grow(unsigned long due)
{
	struct churn_block *next;

	while (due--) {
		next = make(SITE_SAWTOOTH);
		next->next = sawtooth;
		sawtooth = next;
	}
	if (churn.tick % SAWTOOTH_TICKS)
		return;
	for (; sawtooth; sawtooth = next) {
		next = sawtooth->next;
		churn_free(sawtooth);
	}
}

static void pool_grow(unsigned long due)
{
	while (due-- && churn.tick < POOL_TICKS)
		make(SITE_POOL); /* kept for ever, in use for ever */
}

/* One call path for all: nothing but their fate tells the leaked from the others. */
static void leak_some(unsigned long due)
{
	while (due--) {
		struct churn_block *block = make(SITE_LEAK);

		if (random_below(&churn.random, LEAK_ONE_IN))
			churn_die_after(&churn, block,
					1 + random_below(&churn.random, CHURN_LONGEST_LIFE));
	}
}

static void (*const special[])(unsigned long due) = { lru_insert, cache_insert, ramp_up,
						      sawtooth_grow, pool_grow };

int main(int argc, char **argv)
{
	unsigned long per_site = argument(argc, argv, 1, DEFAULT_RATE) / SITE_COUNT;

	run_ticks = argument(argc, argv, 2, DEFAULT_SECONDS) * CHURN_TICKS_PER_S;
	churn.random = random_seed(1);
	ready_and_go();
	while (churn.tick < run_ticks) {
		churn_advance(&churn);
		for (unsigned int site = 0; site < SITE_COUNT; site++) {
			unsigned long due = churn_due(&credits[site], per_site);

			if (site < TURNOVER_FIRST) {
				special[site](due);
			} else if (site == SITE_LEAK) {
				leak_some(due);
			} else {
				while (due--)
					turnover(site, 2 * site); /* 0.1 s .. 1 s */
			}
		}
	}
	truth_print(site_names, SITE_COUNT);
	wait_for("quit");
	return 0;
}
