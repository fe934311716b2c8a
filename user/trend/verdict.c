/* SPDX-License-Identifier: GPL-2.0-or-later */
/* docs/VERDICT.md has the reasons for every rule and constant here, and what they do in simulation.
 */
#include "trend/verdict.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "trend/observed.h"
#include "trend/robust.h"
#include "trend/window.h"

#define FALSE_DISCOVERY   0.01
#define SEEN_RELEASED_MAX 0.005 /* of the window's survivors */
#define EVER_RELEASED_MAX 0.02  /* of all survivors since the attach */
#define QUIET_BLOCKS_MAX  2     /* without survivors, of those blocks that can have some */
#define RECENT_BLOCKS     3     /* still growing: over the last quarter ... */
#define RECENT_PACE_MIN   0.2   /* of the window's median pace */
#define LIFETIME_WINDOWS  4     /* shorter mean lifetimes of survivors must be excluded ... */
#define POISSON_99        2.33  /* ... at 99 %: upper limit of a Poisson count n is about */
#define POISSON_99_ZERO   4.61  /* n + 2.33 √n + 4.61 */
#define LOOKS_MAX         12    /* paid for, of a level */
#define FINISH_LEVELS     2    /* so much shorter is the window that shows a growth finished, ... */
#define FINISH_SURVIVORS  10.0 /* ... where so many survivors had to be expected ... */
#define FINISH_SHARE_MAX  0.05 /* ... and hardly any came */
#define UNKNOWN_SHARE_MAX 0.5  /* unknown releases per survivor, second half of the window */
#define REPLACED_LIVE_MAX 8    /* blocks of a growing array: few */
#define PACED_MAX         8    /* survivors per connection or thread more at once */
#define RISE_POINTS       17   /* a level up: the window, and how old its survivors may be */
#define ATTACH_POINTS     1    /* what there was at the attach */
#define LOOKS_MIN         4    /* observed: fewer in a window tell nothing */
#define LASTING_WINDOWS   6    /* observed: like LIFETIME_WINDOWS, of all that is released */
#define IDLE_LOOKS_MIN    1    /* observed: stands still, though it was looked at */
#define YOUNG_POINTS_MIN  8
#define S_PER_HOUR        3600.0

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* What holds for all sites. */
struct test {
	unsigned int levels; /* with a whole window after the attach */
	struct lt_rising rising;
	double rise[LT_HISTORY_LEVELS]; /* more connections and threads at once */
	/* Points at which something was told of observed sites. */
	uint64_t looks[LT_HISTORY_LEVELS];
	double threshold;  /* what is significant among all sites */
	double adjustment; /* from a p-value to the rate of false discoveries at which it would be
			    */
};

/* How many levels have a whole window after the attach. */
static unsigned int usable_levels(uint32_t now_s)
{
	unsigned int levels = 0;

	while (levels < LT_HISTORY_LEVELS && now_s >= lt_window_s(levels))
		levels++;
	return levels;
}

/*
 * The p-value of the trend in a window, with the price of looking: among the first k windows of a
 * level Σ 1/(k(k+1)) < 1, and every level is looked at.  From the 12th window on the price stays,
 * or what starts late in a long life would be found late.  False: the minima are flat, and p is 1.
 */
static bool trend_p(const struct lt_verdict_context *context, const struct lt_verdict_input *input,
		    const struct test *test, unsigned int level, double *p)
{
	struct lt_point points[LT_HISTORY_POINTS];
	double minima[LT_BLOCKS],
		looks = fmin(ceil(context->now_s / lt_window_s(level)), LOOKS_MAX);

	*p = 1;
	if (lt_history_points(input->history, level, points) < LT_HISTORY_POINTS)
		return false;
	lt_window_minima(points, minima);
	if (lt_window_is_flat(minima))
		return false;
	*p = fmin(lt_robust_rising_in(&test->rising, minima) * looks * (looks + 1) * test->levels,
		  1);
	return true;
}

/* The rules: each says whether the window shows something else than a leak. */

/* Slow over the last quarter, or lately not moving at all (noise never stands still). */
static bool has_stopped(const struct lt_window *window)
{
	const double *last = &window->minima[LT_BLOCKS - 1];
	/* Pairs of blocks: half the noise, so that a leak below churn does not flicker. */
	double recent = (last[0] + last[-1] - last[-RECENT_BLOCKS] - last[-RECENT_BLOCKS - 1]) / 2;

	if (recent < RECENT_PACE_MIN * RECENT_BLOCKS * window->slope.median)
		return true;
	return last[0] == last[-1] && last[0] == last[-LT_LATEST_BLOCKS] &&
	       (!window->observed || window->idle_looks >= IDLE_LOOKS_MIN);
}

static bool is_replaced(const struct lt_window *window)
{
	return (double)window->live_count <= REPLACED_LIVE_MAX * window->unit &&
	       !window->survivors_grew;
}

/* Were many of all survivors since the attach released? */
static bool has_turned_over(const struct lt_window *window)
{
	return (double)window->ever_released > EVER_RELEASED_MAX * (double)window->ever_matured;
}

/* Of an observed site, the survivors that were released are a guess. */
static bool turns_over(const struct lt_window *window)
{
	if (!window->matured || window->observed)
		return !window->matured;
	return (double)window->released > SEEN_RELEASED_MAX * (double)window->matured ||
	       (!window->outlived && has_turned_over(window));
}

static bool is_lossy(const struct lt_window *window)
{
	return window->lossy;
}

static bool replaces_old(const struct lt_window *window)
{
	uint64_t matured = 0;

	for (size_t i = LT_BLOCKS / 2; i < LT_BLOCKS; i++)
		matured += window->in[i];
	return window->unknown && (double)window->unknown >= UNKNOWN_SHARE_MAX * (double)matured;
}

/* In windows lived through, of those that came one by one. */
static double exposure(const struct lt_window *window)
{
	return window->exposure / window->unit / lt_window_dispersion(window);
}

static bool has_few(const struct lt_window *window)
{
	/* Outlived, but not forgotten: what has turned over before must show twice as much. */
	bool doubtful = !window->observed && has_turned_over(window);
	double lifetimes = LIFETIME_WINDOWS * (doubtful ? 2 : 1);
	double released = window->observed ? 0 : (double)window->released;

	return (window->observed && window->looks < LOOKS_MIN) ||
	       exposure(window) / lifetimes <
		       released + POISSON_99 * sqrt(released) + POISSON_99_ZERO;
}

/* Unless hardly anything is released at all, whatever is may be a survivor. */
static bool is_filling(const struct lt_window *window)
{
	double died = (double)window->died / window->unit;

	return window->observed && !window->accrues &&
	       (exposure(window) / LASTING_WINDOWS < died + POISSON_99 * sqrt(died) ||
		exposure(window) < (double)window->died_long / window->unit);
}

/* Survivors come all the time: in nearly every block in which one can be old enough, and lately. */
static bool is_burst(const struct lt_window *window)
{
	unsigned int quiet = 0;
	uint64_t recent = 0;

	for (size_t i = 0; i < LT_BLOCKS; i++) {
		quiet += !window->in[i] && lt_window_can_mature(window, i);
		recent += i >= LT_BLOCKS - LT_LATEST_BLOCKS ? window->in[i] : 0;
	}
	return quiet > QUIET_BLOCKS_MAX || !recent;
}

/* A pool keeps some for each connection or thread that was there at once. */
static bool is_paced(const struct lt_window *window)
{
	return (double)window->matured <= PACED_MAX * window->rise;
}

/* In the order asked; who passes them all leaks. */
static const struct rule {
	bool (*applies)(const struct lt_window *window);
	enum lt_verdict verdict;
	enum lt_reason reason;
} rules[] = {
	{ has_stopped, LT_VERDICT_STABLE, LT_REASON_STOPPED },
	{ is_replaced, LT_VERDICT_SUSPECT, LT_REASON_REPLACED },
	{ turns_over, LT_VERDICT_WARMING, LT_REASON_TURNOVER },
	{ is_lossy, LT_VERDICT_SUSPECT, LT_REASON_LOSS },
	{ replaces_old, LT_VERDICT_SUSPECT, LT_REASON_PRE_ATTACH },
	{ is_burst, LT_VERDICT_SUSPECT, LT_REASON_BURST },
	{ has_few, LT_VERDICT_SUSPECT, LT_REASON_FEW },
	{ is_filling, LT_VERDICT_WARMING, LT_REASON_FILLING },
	{ is_paced, LT_VERDICT_SUSPECT, LT_REASON_PACED },
};

static struct lt_evidence no_evidence(enum lt_verdict verdict, enum lt_reason reason)
{
	return (struct lt_evidence){
		.verdict = verdict,
		.reason = reason,
		.growth_per_hour = NAN,
		.growth_low = NAN,
		.growth_high = NAN,
		.survival = NAN,
		.maturity_s = NAN,
		.p_value = NAN,
	};
}

/* What the window says of a site; significant: its trend is no chance. */
static struct lt_evidence judge_window(const struct lt_verdict_context *context,
				       const struct lt_window *window, bool significant)
{
	double per_hour = S_PER_HOUR / ((double)LT_BLOCK_POINTS * lt_window_span_s(window->level));
	struct lt_evidence evidence = {
		.verdict = LT_VERDICT_LEAKING,
		.reason = LT_REASON_PLATEAU,
		.level = window->level,
		.window_s = lt_window_s(window->level),
		.growth_per_hour = window->slope.median * per_hour,
		.growth_low = window->slope.low * per_hour,
		.growth_high = window->slope.high * per_hour,
		.survival = window->survival,
		.maturity_s = LT_MATURITY_POINTS * lt_window_span_s(window->level),
		.matured = window->matured,
		.matured_released = window->released,
		.p_value = NAN,
	};

	if (!significant || evidence.growth_per_hour < context->min_growth_per_hour) {
		evidence.verdict = LT_VERDICT_STABLE;
		evidence.reason = LT_REASON_NO_GROWTH;
		return evidence;
	}
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if (!rules[i].applies(window))
			continue;
		evidence.verdict = rules[i].verdict;
		evidence.reason = rules[i].reason;
		break;
	}
	return evidence;
}

/* Before the shortest window is full: an estimate at least. */
static struct lt_evidence judge_young(const struct lt_verdict_input *input)
{
	struct lt_evidence evidence = no_evidence(LT_VERDICT_INSUFFICIENT_DATA, LT_REASON_YOUNG);
	struct lt_point points[LT_HISTORY_POINTS];
	double values[LT_BLOCKS];
	size_t count = lt_history_points(input->history, 0, points), used = 0;
	size_t step = (count + LT_BLOCKS - 1) /
		      LT_BLOCKS; /* all pairs of 47 points would take long */

	if (count < YOUNG_POINTS_MIN)
		return evidence;
	for (size_t i = 0; i < count; i += step)
		values[used++] = (double)points[i].live_size_min;
	evidence.growth_per_hour = lt_robust_slope(values, used).median * S_PER_HOUR / (double)step;
	return evidence;
}

/*
 * A long window tells late that a growth came to its end: a shorter one tells earlier.  Not a pause
 * like others in the long window: what leaks once a minute leaks.
 */
static bool has_finished(const struct lt_verdict_context *context,
			 const struct lt_verdict_input *input, const struct lt_window *window)
{
	unsigned int shorter = window->level < FINISH_LEVELS ? window->level : FINISH_LEVELS;
	struct lt_window recent = lt_window_look(context, input, window->level - shorter, 0);
	double expected = (double)window->matured / lt_window_span_s(shorter);

	return shorter && expected >= FINISH_SURVIVORS &&
	       (double)recent.matured < FINISH_SHARE_MAX * expected &&
	       recent.minima[0] == recent.minima[LT_BLOCKS - 1] && window->quiet > window->pause;
}

/* One site: p_values per level. */
static struct lt_evidence judge_site(const struct lt_verdict_context *context,
				     const struct lt_verdict_input *input, const struct test *test,
				     const double *p_values)
{
	struct lt_evidence evidence = { 0 };
	bool decided = false;

	/* The longest window that shows a leak decides, else the longest that shows growth. */
	for (unsigned int level = test->levels; level-- > 0;) {
		bool significant = p_values[level] <= test->threshold;
		unsigned int seen = significant ? level : test->levels - 1;

		if (!significant && (decided || level > 0))
			continue;
		/* Without any growth, the longest window describes the site. */
		struct lt_window window = lt_window_look(context, input, seen, test->looks[seen]);
		struct lt_evidence found;

		window.rise = input->listed ? 0 : test->rise[window.level];
		found = judge_window(context, &window, significant);
		if (found.verdict == LT_VERDICT_LEAKING && has_finished(context, input, &window)) {
			found.verdict = LT_VERDICT_STABLE;
			found.reason = LT_REASON_STOPPED;
		}
		if (!decided || found.verdict == LT_VERDICT_LEAKING)
			evidence = found;
		decided = true;
		if (found.verdict == LT_VERDICT_LEAKING || found.reason == LT_REASON_FILLING)
			break;
	}
	evidence.p_value = fmin(p_values[evidence.level] * test->adjustment, 1);
	return evidence;
}

struct tested {
	double p_values[LT_HISTORY_LEVELS];
	size_t input;
};

/* Has the live size been the same in every window that is looked at? */
static bool is_still(const struct lt_verdict_context *context, const struct lt_verdict_input *input,
		     const struct test *test)
{
	unsigned int longest = test->levels - 1;

	return lt_history_still_since(input->history) + lt_window_s(longest) +
		       lt_window_span_s(longest) <=
	       context->now_s;
}

/*
 * Tests what is alive: a site without live resources grows nothing.  lowest: of each site that the
 * test could find at all; the others need not be paid for (Tarone 1990).
 */
static size_t test_sites(const struct lt_verdict_context *context,
			 const struct lt_verdict_input *inputs, size_t count,
			 const struct test *test, struct tested *tested, double *lowest,
			 size_t *family)
{
	size_t made = 0;

	for (size_t i = 0; i < count && test->levels; i++) {
		struct tested *site = &tested[made];
		bool still, counts = false;
		double least = 1;

		if (!inputs[i].live_count)
			continue;
		still = is_still(context, &inputs[i], test);
		site->input = i;
		for (unsigned int level = 0; level < test->levels; level++) {
			double *p = &site->p_values[level];

			*p = 1;
			if (!still)
				counts |= trend_p(context, &inputs[i], test, level, p);
			least = fmin(least, *p);
		}
		if (counts)
			lowest[(*family)++] = least;
		made++;
	}
	return made;
}

/* Benjamini-Hochberg's own bound, so that every window of a site is held against it. */
static int find_threshold(struct test *test, const double *lowest, size_t family)
{
	_lt_free_ double *adjusted = calloc(family + 1, sizeof(*adjusted));
	size_t found = 0;
	int err;

	if (!adjusted)
		return -ENOMEM;
	err = lt_robust_adjust(lowest, family, adjusted);
	if (err)
		return err;
	for (size_t i = 0; i < family; i++)
		found += adjusted[i] <= FALSE_DISCOVERY;
	test->adjustment = (double)family / (double)(found ? found : 1);
	test->threshold = found ? FALSE_DISCOVERY / test->adjustment : 0;
	return 0;
}

static double highest(const double *values, size_t from, size_t to)
{
	double most = 0;

	for (size_t i = from; i < to; i++)
		most = fmax(most, values[i]);
	return most;
}

/*
 * By how many the connections and threads came to be more than ever before: so many does a pool
 * make.  Of sites that release old ones, or may yet; over the window and the time in which its
 * survivors came.  From the past alone: a verdict may be another at the next look.
 */
static double find_rise(const struct lt_verdict_context *context,
			const struct lt_verdict_input *inputs, size_t count, unsigned int level)
{
	/* A level up, the points reach back far enough. */
	unsigned int coarser = level + 1 < LT_HISTORY_LEVELS ? level + 1 : level;
	double there[LT_HISTORY_POINTS] = { 0 };
	size_t most = 0, start;

	for (size_t i = 0; i < count; i++) {
		struct lt_point points[LT_HISTORY_POINTS];
		struct lt_window window;
		size_t made;

		if (!inputs[i].listed)
			continue;
		window = lt_window_look(context, &inputs[i], level, 0);
		if (!turns_over(&window) && !has_few(&window))
			continue;
		/* As many of all sites, but none of one that is new since the last sample. */
		made = lt_history_points(inputs[i].history, coarser, points);
		most = made > most ? made : most;
		for (size_t at = 0; at < made; at++)
			there[at] += (double)points[at].live_size_min;
	}
	start = most > RISE_POINTS + ATTACH_POINTS ? most - RISE_POINTS : ATTACH_POINTS;
	return fmax(highest(there, start, most) - highest(there, 0, start), 0);
}

/* All observed sites are told of at the same times. */
static uint64_t find_looks(const struct lt_verdict_input *inputs, size_t count, unsigned int level)
{
	struct lt_point points[LT_HISTORY_POINTS];
	uint64_t looks = 0;

	for (size_t i = 0; i < count; i++)
		if (inputs[i].observed &&
		    lt_history_points(inputs[i].history, level, points) == LT_HISTORY_POINTS)
			looks |= lt_observed_looks(points);
	return looks;
}

int lt_verdict_judge(const struct lt_verdict_context *context,
		     const struct lt_verdict_input *inputs, size_t count,
		     struct lt_evidence *evidence)
{
	_lt_free_ struct tested *tested = calloc(count + 1, sizeof(*tested));
	_lt_free_ double *lowest = calloc(count + 1, sizeof(*lowest));
	struct test test = { .levels = usable_levels(context->now_s),
			     .rising = lt_robust_rising(LT_BLOCKS) };
	size_t made, family = 0;
	int err;

	if (!tested || !lowest)
		return -ENOMEM;
	made = test_sites(context, inputs, count, &test, tested, lowest, &family);
	err = find_threshold(&test, lowest, family);
	if (err)
		return err;
	for (unsigned int level = 0; level < test.levels; level++) {
		test.rise[level] = find_rise(context, inputs, count, level);
		test.looks[level] = find_looks(inputs, count, level);
	}
	for (size_t i = 0; i < count; i++)
		evidence[i] = test.levels ? no_evidence(LT_VERDICT_STABLE, LT_REASON_NO_GROWTH)
					  : judge_young(&inputs[i]);
	for (size_t i = 0; i < made; i++) {
		size_t input = tested[i].input;

		evidence[input] = judge_site(context, &inputs[input], &test, tested[i].p_values);
	}
	return 0;
}
