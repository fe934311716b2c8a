/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is a site leaking?  Pure functions from histories to verdicts with evidence; the reasoning, with
 * its simulation, is in docs/VERDICT.md.
 */
#ifndef LT_TREND_VERDICT_H
#define LT_TREND_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trend/history.h"

enum lt_verdict { /* in order of alarm */
		  LT_VERDICT_INSUFFICIENT_DATA = 0,
		  LT_VERDICT_STABLE = 1,
		  LT_VERDICT_WARMING = 2,
		  LT_VERDICT_SUSPECT = 3,
		  LT_VERDICT_LEAKING = 4,
};

const char *lt_verdict_name(enum lt_verdict verdict); /* "leaking", "insufficient-data", ... */

/* Why this verdict and not a graver one; each has a fixed sentence (lt_reason_text). */
enum lt_reason {
	LT_REASON_NONE = 0,
	LT_REASON_YOUNG,      /* watched for less than the shortest window */
	LT_REASON_NO_GROWTH,  /* no significant trend */
	LT_REASON_TURNOVER,   /* old resources keep being released: a cache, sessions, a ramp */
	LT_REASON_STOPPED,    /* grew, but no longer */
	LT_REASON_BURST,      /* the growth came at one time, not all the time */
	LT_REASON_FEW,        /* too few survivors to say */
	LT_REASON_PRE_ATTACH, /* memory from before the attach is being released as fast */
	LT_REASON_LOSS,       /* releases may have been lost */
	LT_REASON_REPLACED,   /* bytes grow while blocks are replaced: a growing array or table */
	LT_REASON_PACED,      /* slowly, beside ever more connections or threads: a pool */
	LT_REASON_FILLING,    /* observed: what is released may be old, as of a cache that fills */
	LT_REASON_PLATEAU,    /* leaking: survivors accumulate and are not released */
};

const char *lt_reason_text(enum lt_reason reason);

struct lt_evidence {
	enum lt_verdict verdict;
	enum lt_reason reason;
	unsigned int level;     /* deciding window */
	double window_s;        /* its length; 0: none */
	double growth_per_hour; /* size units; robust slope over the window; NaN when unknown */
	double growth_low, growth_high; /* 95 % interval; NaN when unknown */
	double survival;   /* share of acquires that outlived maturity_s; NaN when unknown */
	double maturity_s; /* NaN when there is no window */
	uint64_t matured;  /* survivors that reached that age within the window */
	uint64_t matured_released; /* of that age, released within the window */
	/*
	 * Of the trend in the deciding window, times its price for looks and levels, times sites
	 * tested per site found (Benjamini-Hochberg: significant means <= 0.01).  NaN when not
	 * tested.
	 */
	double p_value;
};

struct lt_verdict_input {
	const struct lt_history *history;
	/* Of its kind; live_size = acquired_count = unknown releases.  NULL: there are none. */
	const struct lt_history *unknown;
	uint64_t live_count, live_size;
	uint32_t last_loss_s; /* second of the latest loss of releases; UINT32_MAX: none ever */
	/* Sockets, descriptors, threads, goroutines (kinds.def), of size 1: pools grow with them. */
	bool listed;
	/*
	 * Only sums are told of it, now and then, maybe estimates (struct lt_site): who was released
	 * is a guess.  sampled: of how many that live the estimate is made; 0: it is none.
	 */
	bool observed;
	uint64_t sampled;
};

struct lt_verdict_context {
	uint32_t now_s;             /* since the attach */
	double min_growth_per_hour; /* --min-growth; 0: any */
};

/* Judges all sites together (the false discovery rate is over all of them). evidence: one per
 * input. */
int lt_verdict_judge(const struct lt_verdict_context *context,
		     const struct lt_verdict_input *inputs, size_t count,
		     struct lt_evidence *evidence);

#endif
