// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/findings.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "report/role.h"
#include "trend/step.h"

/* What is enough: chance gives no more than 0.5 (tests/unit/trend/test_step.c). */
#define SAME_CALLER 0.9
#define ANY_CALLER  0.95 /* of increases: even growth alone is no sign */

/* Below it, every site of a program has the same callers: in C, and in Go. */
static bool is_main(const struct lt_report_frame *frame)
{
	return !strcmp(frame->function, "main") || !strcmp(frame->function, "main.main");
}

struct search {
	const struct lt_report_input *input;
	const struct lt_ranked *ranking;
	struct lt_arena *arena;
	struct lt_report *report;
	struct lt_report_site *sites;
	uint32_t candidates[LT_FINDING_CANDIDATES]; /* indices in sites, ascending */
	size_t count;
	size_t group[LT_FINDING_CANDIDATES]; /* the first candidate that each one is linked with */
};

static bool rises(const struct lt_evidence *evidence)
{
	return evidence->verdict >= LT_VERDICT_SUSPECT && evidence->growth_per_hour > 0;
}

static void find_candidates(struct search *search)
{
	for (uint32_t i = 0; i < search->report->site_count; i++) {
		if (search->count == LT_FINDING_CANDIDATES)
			return;
		if (!rises(&search->sites[i].evidence))
			continue;
		search->group[search->count] = search->count;
		search->candidates[search->count++] = i;
	}
}

/* The frame so many steps from the outermost one. */
static const struct lt_report_frame *outer(const struct lt_report_site *site, uint32_t steps)
{
	return &site->frames[site->frame_count - 1 - steps];
}

static bool same_place(const struct lt_report_frame *a, const struct lt_report_frame *b)
{
	return a->line == b->line && (a->line || a->offset == b->offset) &&
	       !strcmp(a->module, b->module);
}

static bool same_function(const struct lt_report_frame *a, const struct lt_report_frame *b)
{
	return a->function[0] && !strcmp(a->function, b->function) && !strcmp(a->file, b->file) &&
	       !strcmp(a->module, b->module);
}

/*
 * How many frames, from the outermost on, two sites have in common: the same calls, and then
 * another call from the same function.
 */
static uint32_t common_frames(const struct lt_report_site *a, const struct lt_report_site *b)
{
	uint32_t count = 0;

	while (count < a->frame_count && count < b->frame_count) {
		const struct lt_report_frame *of_a = outer(a, count), *of_b = outer(b, count);
		bool here = same_place(of_a, of_b);

		if (!same_function(of_a, of_b) &&
		    !(here && !of_a->function[0] && !of_b->function[0]))
			break;
		count++;
		if (!here)
			break;
	}
	return count;
}

/* Whom a person would know by name, and not every site of the program has. */
static bool is_telling(const struct lt_report_frame *frame)
{
	return frame->function[0] && !is_main(frame) && !lt_role_is_beginning(frame) &&
	       !lt_role_is_wrapper(frame) && !lt_role_is_libc(frame) &&
	       !lt_role_is_go_library(frame);
}

/* The innermost loop of an interpreter among so many outermost frames; so many if there is none. */
static uint32_t find_loop(const struct lt_report_site *site, uint32_t common)
{
	for (uint32_t steps = common; steps-- > 0;)
		if (lt_role_is_interpreter(outer(site, steps)))
			return steps;
	return common;
}

/*
 * The innermost telling frame of a site among so many outermost ones; NULL: none.  What an
 * interpreter's loop was called by, calls all that the program does in its own language, and so do
 * helpers of the loop; only code of others behind it tells one thing from another.
 */
static const struct lt_report_frame *telling_frame(const struct lt_report_site *site,
						   uint32_t common)
{
	uint32_t loop = find_loop(site, common), least = loop < common ? loop + 1 : 0;
	const char *module = least ? outer(site, loop)->module : "";

	while (common-- > least) {
		const struct lt_report_frame *frame = outer(site, common);

		if (is_telling(frame) && !(module[0] && !strcmp(frame->module, module)))
			return frame;
	}
	return NULL;
}

static bool have_caller(const struct lt_report_site *a, const struct lt_report_site *b)
{
	return telling_frame(a, common_frames(a, b));
}

static struct lt_step compare(const struct search *search, uint32_t a, uint32_t b)
{
	const struct lt_evidence *of_a = &search->sites[a].evidence,
				 *of_b = &search->sites[b].evidence;

	/* The coarser window holds the other one. */
	return lt_step_compare(search->input->histories[search->ranking[a].site->index],
			       search->input->histories[search->ranking[b].site->index],
			       of_a->level > of_b->level ? of_a->level : of_b->level);
}

static bool in_step(const struct search *search, uint32_t a, uint32_t b)
{
	struct lt_step step = compare(search, a, b);

	if (step.of_increases && step.correlation >= ANY_CALLER)
		return true;
	return step.correlation >= SAME_CALLER && /* NaN is not */
	       have_caller(&search->sites[a], &search->sites[b]);
}

static void join(struct search *search, size_t a, size_t b)
{
	size_t to = search->group[a] < search->group[b] ? search->group[a] : search->group[b];
	size_t from = search->group[a] < search->group[b] ? search->group[b] : search->group[a];

	for (size_t i = 0; i < search->count; i++)
		if (search->group[i] == from)
			search->group[i] = to;
}

static void link_candidates(struct search *search)
{
	for (size_t i = 0; i < search->count; i++)
		for (size_t j = i + 1; j < search->count; j++) {
			uint32_t a = search->candidates[i], b = search->candidates[j];

			if (search->ranking[a].kind != search->ranking[b].kind &&
			    search->group[i] != search->group[j] && in_step(search, a, b))
				join(search, i, j);
		}
}

/*
 * The members of a group, ascending: the gravest of each kind, then the next of each, until there
 * are enough.
 */
static size_t choose_members(const struct search *search, size_t group,
			     uint32_t members[LT_FINDING_SITES])
{
	bool chosen[LT_FINDING_CANDIDATES] = { false }, found = true;
	size_t count = 0, made = 0;

	while (found && count < LT_FINDING_SITES) {
		bool of_kind[LT_KINDS] = { false };

		found = false;
		for (size_t i = group; i < search->count && count < LT_FINDING_SITES; i++) {
			size_t kind = search->ranking[search->candidates[i]].kind;

			if (search->group[i] != group || chosen[i] || of_kind[kind])
				continue;
			chosen[i] = of_kind[kind] = found = true;
			count++;
		}
	}
	for (size_t i = group; i < search->count; i++)
		if (chosen[i])
			members[made++] = search->candidates[i];
	return made;
}

/* The least correlation of the members with the first. */
static struct lt_step weakest(const struct search *search, const uint32_t *members, size_t count)
{
	struct lt_step least = { .correlation = NAN, .of_increases = true };

	for (size_t i = 1; i < count; i++) {
		struct lt_step step = compare(search, members[0], members[i]);

		least.correlation = fmin(least.correlation, step.correlation); /* but for NaN */
		least.of_increases = least.of_increases && step.of_increases;
	}
	return least;
}

/* *caller stays NULL where there is none; its line is 0 where members call from different ones. */
static int find_caller(const struct search *search, const uint32_t *members, size_t count,
		       const struct lt_report_frame **caller)
{
	const struct lt_report_site *first = &search->sites[members[0]];
	const struct lt_report_frame *telling;
	struct lt_report_frame *kept;
	uint32_t common = first->frame_count, steps;

	for (size_t i = 1; i < count; i++) {
		uint32_t of_both = common_frames(first, &search->sites[members[i]]);

		common = of_both < common ? of_both : common;
	}
	telling = telling_frame(first, common);
	if (!telling)
		return 0;
	kept = lt_arena_alloc(search->arena, 1, sizeof(*kept));
	if (!kept)
		return -ENOMEM;
	*kept = *telling;
	steps = (uint32_t)(outer(first, 0) - telling);
	for (size_t i = 1; i < count; i++)
		if (!same_place(telling, outer(&search->sites[members[i]], steps)))
			kept->line = 0;
	*caller = kept;
	return 0;
}

static int add_finding(struct search *search, size_t group, struct lt_report_finding *finding)
{
	uint32_t members[LT_FINDING_SITES], *kept;
	size_t count = choose_members(search, group, members);
	struct lt_step step;

	if (count < 2)
		return 0;
	kept = lt_arena_alloc(search->arena, count, sizeof(*kept));
	if (!kept)
		return -ENOMEM;
	memcpy(kept, members, count * sizeof(*kept));
	step = weakest(search, members, count);
	finding->sites = kept;
	finding->site_count = count;
	finding->correlation = step.correlation;
	finding->of_increases = step.of_increases;
	search->report->finding_count++;
	for (size_t i = 0; i < count; i++)
		search->sites[members[i]].finding = (uint32_t)search->report->finding_count;
	return find_caller(search, members, count, &finding->caller);
}

int lt_findings_build(const struct lt_report_input *input, const struct lt_ranked *ranking,
		      struct lt_arena *arena, struct lt_report *report,
		      struct lt_report_site *sites)
{
	struct search search = {
		.input = input, .ranking = ranking, .arena = arena, .report = report, .sites = sites
	};
	struct lt_report_finding *findings = lt_arena_alloc(arena, LT_FINDINGS_MAX,
							    sizeof(*findings));
	int err = findings ? 0 : -ENOMEM;

	report->findings = findings;
	if (err || !input->histories)
		return err;
	find_candidates(&search);
	link_candidates(&search);
	for (size_t i = 0; i < search.count && !err && report->finding_count < LT_FINDINGS_MAX; i++)
		if (search.group[i] == i)
			err = add_finding(&search, i, &findings[report->finding_count]);
	return err;
}
