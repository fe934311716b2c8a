// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One site that never frees anything, beside one that always does.
 *
 *	leak_all [LEAKS-PER-SECOND [SECONDS]]
 */
#include "churn.h"

enum { SITE_leak_everything, SITE_healthy_turnover, SITE_COUNT };
static const char *const site_names[] = { "leak_everything", "healthy_turnover" };

SITE static void *leak_everything(size_t size)
{
	void *p = malloc(size); /* LEAK */

	KEEP(p);
	return p;
}

SITE static void *healthy_turnover(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	return p;
}

int main(int argc, char **argv)
{
	static struct churn churn;
	unsigned long rate = argument(argc, argv, 1, 100);
	unsigned long ticks = argument(argc, argv, 2, 60) * CHURN_TICKS_PER_S;
	unsigned long leak_credit = 0, turnover_credit = 0, due;

	churn.random = random_seed(2);
	ready_and_go();
	while (churn.tick < ticks) {
		churn_advance(&churn);
		for (due = churn_due(&leak_credit, rate); due; due--)
			churn_new(&churn, SITE_leak_everything, leak_everything);
		for (due = churn_due(&turnover_credit, 20 * rate); due; due--)
			churn_die_after(&churn,
					churn_new(&churn, SITE_healthy_turnover, healthy_turnover),
					1 + random_below(&churn.random, CHURN_LONGEST_LIFE));
	}
	truth_print(site_names, SITE_COUNT);
	wait_for("quit");
	return 0;
}
