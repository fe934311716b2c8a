// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "export/caller.h"
#include "export/text_look.h"
#include "export/text_parts.h"

#define BRIEF_FRAMES 12 /* source frames of a site that are shown without verbose */

/* "+5.2 MiB/h (4.9 MiB to 5.5 MiB)" */
static void put_growth(struct lt_lines *lines, const struct lt_report_site *site, bool interval)
{
	const struct lt_evidence *evidence = &site->evidence;
	bool bytes = lt_word_in_bytes(site->unit);

	if (isnan(evidence->growth_per_hour))
		return;
	lt_lines_printf(lines, "  %s", lt_format_rate(evidence->growth_per_hour, bytes).text);
	if (interval && !isnan(evidence->growth_low) && !isnan(evidence->growth_high))
		lt_lines_printf(lines, " (%s to %s)",
				lt_format_size(evidence->growth_low, bytes).text,
				lt_format_size(evidence->growth_high, bytes).text);
}

static const struct lt_report_finding *finding_of(const struct lt_report *report, size_t at)
{
	uint32_t finding = report->sites[at].finding;

	return finding ? &report->findings[finding - 1] : NULL;
}

/* "5.0 MiB in 1,240 blocks"; "≈ 52.1 MiB in about 5,400 objects (from 104 samples, ± 10 %)" */
static void put_live(struct lt_lines *lines, const struct lt_report_site *site, bool full)
{
	double error = lt_report_relative_error(site);

	if (isnan(error)) {
		lt_look_live(lines, site->kind, site->unit, site->live_size, site->live_count);
		lt_text_state(lines, site);
		return;
	}
	if (lt_word_in_bytes(site->unit))
		lt_lines_printf(lines, "≈ %s in ", BYTES(site->live_size));
	lt_lines_printf(lines, "about ");
	lt_look_things(lines, site->kind, site->live_count);
	if (full)
		lt_lines_printf(lines, " (from %s sample%s, ± %s)", COUNT(site->sampled),
				lt_look_plural(site->sampled), PERCENT(error));
}

static void put_header(struct lt_lines *lines, const struct lt_report *report, size_t at, bool full)
{
	const struct lt_report_site *site = &report->sites[at];
	enum lt_verdict verdict = site->evidence.verdict;

	lt_lines_printf(lines, "#%zu ", at + 1);
	lt_lines_color(lines, lt_looks[verdict].color, "%s", lt_looks[verdict].label);
	lt_lines_printf(lines, " %s", site->kind);
	if (full || (verdict == LT_VERDICT_INSUFFICIENT_DATA && site->evidence.growth_per_hour > 0))
		put_growth(lines, site, full);
	if (full && lt_text_has_sentence(site))
		return;
	lt_lines_printf(lines, "  ");
	put_live(lines, site, full);
}

static void put_survivors(struct lt_lines *lines, const struct lt_report_site *site)
{
	const struct lt_evidence *evidence = &site->evidence;
	const struct lt_word *word = lt_word_of(site->kind);

	if (!evidence->matured || isnan(evidence->maturity_s))
		return;
	if (!evidence->matured_released && evidence->matured > 1)
		lt_lines_printf(lines, "all ");
	lt_look_things(lines, site->kind, evidence->matured);
	lt_lines_printf(lines, " that reached %s of age", DURATION(evidence->maturity_s));
	if (evidence->window_s > 0)
		lt_lines_printf(lines, " in the last %s", DURATION(evidence->window_s));
	if (evidence->matured_released)
		lt_lines_printf(lines, ", %s of that age %s; ", COUNT(evidence->matured_released),
				word->released);
	else
		lt_lines_printf(lines, " %s still %s; ", evidence->matured == 1 ? "is" : "are",
				word->alive);
}

/* "together with #3, #4; ", and of the others "together with #1; ": they stand behind it. */
static void put_companions(struct lt_lines *lines, const struct lt_report *report, size_t at)
{
	const struct lt_report_finding *finding = finding_of(report, at);

	if (!finding)
		return;
	lt_lines_printf(lines, "together with ");
	if (finding->sites[0] != at)
		lt_lines_printf(lines, "#%" PRIu32 ", ", finding->sites[0] + 1);
	for (size_t i = 1; finding->sites[0] == at && i < finding->site_count; i++)
		lt_lines_printf(lines, "#%" PRIu32 ", ", finding->sites[i] + 1);
	lt_lines_trim(lines, ", ");
	lt_lines_printf(lines, "; ");
}

static void put_evidence(struct lt_lines *lines, const struct lt_report *report, size_t at,
			 bool verbose)
{
	const struct lt_report_site *site = &report->sites[at];
	const struct lt_evidence *evidence = &site->evidence;
	const char *why = lt_reason_text(evidence->reason);
	const struct lt_word *word = lt_word_of(site->kind);
	/* Each group has its oldest, and so has a sentence. */
	bool told = (site->group_count && !site->group_rest) || lt_text_has_sentence(site);

	lt_lines_indent(lines, 3);
	put_companions(lines, report, at);
	if (evidence->verdict != LT_VERDICT_LEAKING && why[0])
		lt_lines_printf(lines, "%s; ", why);
	if (site->fills && evidence->verdict != LT_VERDICT_LEAKING)
		lt_lines_printf(lines, "one of the largest at a limit that is nearly full; ");
	put_survivors(lines, site);
	if (!isnan(evidence->survival))
		lt_lines_printf(lines, "%s of %s; ", PERCENT(evidence->survival), word->survive);
	if (!isnan(site->oldest_age_s) && !told)
		lt_lines_printf(lines, "oldest %s; ", DURATION(site->oldest_age_s));
	if (verbose) {
		lt_lines_printf(
			lines, "%s %s, %s %s, peak %s; ", COUNT(site->acquired_count),
			word->acquired, COUNT(site->released_count), word->released,
			lt_format_size((double)site->peak_size, lt_word_in_bytes(site->unit)).text);
		if (!isnan(evidence->p_value))
			lt_lines_printf(lines, "p %s; ", lt_format_number(evidence->p_value).text);
		if (isfinite(site->seconds_to_limit))
			lt_lines_printf(lines, "alone at %s limit in %s; ",
					lt_word_in_bytes(site->unit) ? "the memory" : "its",
					DURATION(site->seconds_to_limit));
		lt_lines_printf(lines, "stack %016" PRIx64 "; ", site->stack_id);
	}
	lt_lines_trim(lines, "; ");
	lt_lines_end(lines, 3);
}

static bool has_stack(const struct lt_report_site *site, bool verbose)
{
	return verbose || site->fills || lt_looks[site->evidence.verdict].full;
}

static size_t shown_frames(const struct lt_report_site *site, bool verbose)
{
	return verbose || site->frame_count <= BRIEF_FRAMES ? site->frame_count : BRIEF_FRAMES;
}

static bool is_made_at_run_time(const struct lt_report_frame *frame)
{
	return !frame->mark && !frame->function[0] && !frame->file[0] && !frame->module[0];
}

static bool shows_nameless_code(const struct lt_report_site *site, bool verbose)
{
	const struct lt_report_frame *caller = lt_caller_find(site);

	if (!has_stack(site, verbose))
		return caller && is_made_at_run_time(caller);
	for (size_t i = 0; i < shown_frames(site, verbose); i++)
		if (is_made_at_run_time(&site->frames[i]))
			return true;
	return false;
}

void lt_text_how_to_name(struct lt_lines *lines, const struct lt_report *report, bool verbose)
{
	for (size_t i = 0; i < report->site_count; i++) {
		if (!shows_nameless_code(&report->sites[i], verbose))
			continue;
		lt_lines_printf(lines,
				"code made at run time has no names: jcmd %" PRIu32
				" Compiler.perfmap (Java), node --perf-basic-prof, python3 -X perf",
				report->target.pid);
		lt_lines_end(lines, 2);
		return;
	}
}

#define NAME_ROOM  40 /* columns of a line that are for our words beside a foreign name */
#define WHOLE_NAME 4096

/* Types that are words of their own; others go with that of the kind: "12 TCP sockets".  A pipe has
   two descriptors. */
static const char *const nouns[] = {
	"file",     "device", "socket", "eventfd",     "timerfd",
	"signalfd", "pidfd",  "memfd",  "userfaultfd",
};

static bool is_noun(const char *type)
{
	for (size_t i = 0; i < sizeof(nouns) / sizeof(nouns[0]); i++)
		if (!strcmp(type, nouns[i]))
			return true;
	return false;
}

/* "412 TCP sockets", "1 file", "2 descriptors" */
static void put_type(struct lt_lines *lines, const char *kind, const struct lt_report_group *group)
{
	const char *things = lt_word_count(lt_word_of(kind), group->count);

	lt_lines_printf(lines, "%s ", COUNT(group->count));
	if (is_noun(group->type)) {
		lt_lines_printf(lines, "%s%s", group->type, lt_look_plural(group->count));
		return;
	}
	if (group->type[0] && strcmp(group->type, kind) != 0) {
		lt_lines_foreign(lines, group->type);
		lt_lines_printf(lines, " ");
	}
	lt_lines_printf(lines, "%s", things);
}

/* ", 409 in CLOSE_WAIT, 3 in ESTABLISHED" */
static void put_states(struct lt_lines *lines, const struct lt_report_group *group)
{
	for (size_t i = 0; i < group->state_count; i++) {
		const struct lt_report_state *in = &group->states[i];

		lt_lines_printf(lines, ", ");
		if (in->count == group->count)
			lt_lines_printf(lines, "%s", in->count > 1 ? "all " : "");
		else
			lt_lines_printf(lines, "%s ", COUNT(in->count));
		lt_lines_printf(lines, "in ");
		lt_lines_foreign(lines, in->name);
	}
}

/* "412 TCP sockets to 10.0.0.5:5432, 409 in CLOSE_WAIT, 3 in ESTABLISHED, oldest 3 h" */
static void put_group(struct lt_lines *lines, const char *kind, const struct lt_report_group *group,
		      bool verbose)
{
	lt_lines_indent(lines, 3);
	put_type(lines, kind, group);
	if (group->what[0]) {
		lt_lines_printf(lines, "%s%s ", group->relation[0] ? " " : ":", group->relation);
		lt_lines_name(lines, group->what,
			      verbose ? WHOLE_NAME : lines->columns - NAME_ROOM);
	}
	put_states(lines, group);
	if (!isnan(group->oldest_age_s))
		lt_lines_printf(lines, ", %s%s%s", group->count > 1 ? "oldest " : "",
				DURATION(group->oldest_age_s), group->count > 1 ? "" : " old");
	lt_lines_end(lines, 5);
}

static void put_groups(struct lt_lines *lines, const struct lt_report_site *site, bool verbose)
{
	for (size_t i = 0; i < site->group_count; i++)
		put_group(lines, site->kind, &site->groups[i], verbose);
	if (!site->group_count || !site->group_rest)
		return;
	lt_lines_indent(lines, 3);
	lt_lines_printf(lines, "and %s of other sorts", COUNT(site->group_rest));
	lt_lines_end(lines, 5);
}

static bool same_caller(const struct lt_report_site *a, const struct lt_report_site *b)
{
	const struct lt_report_frame *x = lt_caller_find(a), *y = lt_caller_find(b);

	return x && y && x->offset == y->offset && x->line == y->line &&
	       !strcmp(x->module, y->module) && !strcmp(x->function, y->function);
}

/* glibc keeps the stacks of threads that were joined, up to so much: stack_cache_maxsize. */
#define STACK_CACHE (40.0 * 1024 * 1024)

static uint64_t live_threads(const struct lt_report *report)
{
	uint64_t count = 0;

	for (size_t i = 0; i < LT_KINDS; i++)
		if (lt_kind_infos[i].value == LT_KIND_THREAD)
			count += report->kinds[i].live_count;
	return count;
}

/* More than all threads that live, wherever they were made, can use, and the cache can hold. */
static bool outweighs_threads(const struct lt_report *report, const struct lt_report_site *stacks)
{
	double size = (double)stacks->live_size, threads = (double)live_threads(report);

	return stacks->live_count &&
	       size - threads * size / (double)stacks->live_count > STACK_CACHE;
}

/* The threads that were made where these stacks were; NULL: none are shown. */
static const struct lt_report_site *threads_of(const struct lt_report *report,
					       const struct lt_report_site *stacks)
{
	for (size_t i = 0; i < report->site_count; i++)
		if (!strcmp(report->sites[i].kind, "thread") &&
		    same_caller(&report->sites[i], stacks))
			return &report->sites[i];
	return NULL;
}

/*
 * What the kind's figures must be read with.  The stack of a thread stays until somebody joins it,
 * though the thread has ended: stacks that accumulate where threads do not are those of threads
 * that nobody joins.
 */
static void put_note(struct lt_lines *lines, const struct lt_report *report,
		     const struct lt_report_site *site)
{
	const char *note = lt_word_of(site->kind)->note;
	const struct lt_report_site *threads = NULL;

	if (!note[0])
		return;
	if (site->evidence.verdict == LT_VERDICT_LEAKING && !strcmp(site->kind, "stack"))
		threads = threads_of(report, site);
	lt_lines_indent(lines, 3);
	if (threads && threads->evidence.verdict == LT_VERDICT_LEAKING)
		lt_lines_printf(lines, "thread stacks: of threads that run (#%td)",
				threads - report->sites + 1);
	else if (threads && threads->evidence.verdict < LT_VERDICT_SUSPECT &&
		 outweighs_threads(report, site))
		lt_lines_printf(lines, "threads made here have ended and were never joined or "
				       "detached");
	else
		lt_lines_printf(lines, "%s", note);
	lt_lines_end(lines, 3);
}

static void put_site(struct lt_lines *lines, const struct lt_report *report, size_t at,
		     bool verbose)
{
	const struct lt_report_site *site = &report->sites[at];

	if (!has_stack(site, verbose)) {
		put_header(lines, report, at, false);
		lt_lines_caller(lines, site);
		return;
	}
	lt_lines_blank(lines);
	put_header(lines, report, at, true);
	lt_lines_end(lines, 3);
	lt_text_sentence(lines, site);
	put_evidence(lines, report, at, verbose);
	put_groups(lines, site, verbose);
	put_note(lines, report, site);
	lt_lines_stack(lines, site, shown_frames(site, verbose), verbose);
}

/* " to 10.0.0.5:5432", or, where others are among the sockets, " (409 to 10.0.0.5:5432)" */
static void put_largest(struct lt_lines *lines, const struct lt_report_site *site, uint64_t count)
{
	const struct lt_report_group *group = site->groups;
	bool all = site->group_count && group->count == count;

	if (!site->group_count || !group->what[0])
		return;
	lt_lines_printf(lines, all ? " " : " (%s ", COUNT(group->count));
	lt_lines_printf(lines, "%s%s", group->relation, group->relation[0] ? " " : "");
	lt_lines_name(lines, group->what, lines->columns - NAME_ROOM);
	lt_lines_printf(lines, "%s", all ? "" : ")");
}

/* "412 sockets to 10.0.0.5:5432", "6.1 MiB heap": all sites of the finding that are of this kind. */
static void put_share(struct lt_lines *lines, const struct lt_report *report,
		      const struct lt_report_finding *finding, const struct lt_report_site *first)
{
	const struct lt_word *word = lt_word_of(first->kind);
	uint64_t count = 0, size = 0;

	for (size_t i = 0; i < finding->site_count; i++) {
		const struct lt_report_site *site = &report->sites[finding->sites[i]];

		if (strcmp(site->kind, first->kind) != 0)
			continue;
		count += site->live_count;
		size += site->live_size;
	}
	if (lt_word_in_bytes(first->unit))
		lt_lines_printf(lines, "%s %s", BYTES(size), word->mass);
	else
		lt_lines_printf(lines, "%s %s", COUNT(count), lt_word_count(word, count));
	if (!strcmp(first->kind, "socket"))
		put_largest(lines, first, count);
}

static void put_shares(struct lt_lines *lines, const struct lt_report *report,
		       const struct lt_report_finding *finding)
{
	const char *separator = "";

	for (size_t i = 0; i < finding->site_count; i++) {
		const struct lt_report_site *site = &report->sites[finding->sites[i]];
		bool told = false;

		for (size_t j = 0; j < i; j++)
			told |= !strcmp(report->sites[finding->sites[j]].kind, site->kind);
		if (told)
			continue;
		lt_lines_printf(lines, "%s", separator);
		put_share(lines, report, finding, site);
		separator = ", ";
	}
}

/* "1.00", whatever the locale. */
static void put_correlation(struct lt_lines *lines, const struct lt_report_finding *finding)
{
	unsigned int hundredths;

	if (isnan(finding->correlation))
		return;
	hundredths = (unsigned int)round(fmin(fmax(finding->correlation, 0), 1) * 100);
	lt_lines_printf(lines, " (correlation %u.%02u of their %s)", hundredths / 100,
			hundredths % 100, finding->of_increases ? "increases" : "sizes");
}

/* "together: 412 sockets, 6.1 MiB heap: same caller pool_get (pool.c:88), rising in step (...)" */
static void put_finding(struct lt_lines *lines, const struct lt_report *report,
			const struct lt_report_finding *finding)
{
	lt_lines_blank(lines);
	lt_lines_color(lines, "1", "together:");
	lt_lines_printf(lines, " ");
	put_shares(lines, report, finding);
	if (finding->caller) {
		lt_lines_printf(lines, ": same caller ");
		lt_lines_place(lines, finding->caller);
		lt_lines_printf(lines, ",");
	} else {
		lt_lines_printf(lines, ":");
	}
	lt_lines_printf(lines, " rising in step");
	put_correlation(lines, finding);
	lt_lines_end(lines, 2);
}

struct site_printer {
	struct lt_lines *lines;
	const struct lt_report *report;
	bool verbose;
	bool brief; /* the last one was a one-liner */
};

static void print_site(struct site_printer *printer, size_t at)
{
	bool full = has_stack(&printer->report->sites[at], printer->verbose);

	if (!full && !printer->brief) /* one blank line before the block of one-liners */
		lt_lines_blank(printer->lines);
	printer->brief = !full;
	put_site(printer->lines, printer->report, at, printer->verbose);
}

/* Those of a finding stand behind its first one. */
static void print_from(struct site_printer *printer, size_t at)
{
	const struct lt_report_finding *finding = finding_of(printer->report, at);

	if (!finding) {
		print_site(printer, at);
		return;
	}
	if (finding->sites[0] != at)
		return;
	put_finding(printer->lines, printer->report, finding);
	for (size_t i = 0; i < finding->site_count; i++)
		print_site(printer, finding->sites[i]);
}

/* Nothing of it is left, and nothing is wrong with it. */
static bool is_over(const struct lt_report_site *site)
{
	return !site->live_count && site->evidence.verdict < LT_VERDICT_WARMING && !site->finding;
}

void lt_text_sites(struct lt_lines *lines, const struct lt_report *report, bool verbose)
{
	struct site_printer printer = { lines, report, verbose, false };
	size_t more = report->site_total - report->site_count;

	for (size_t i = 0; i < report->site_count; i++)
		if (verbose || !is_over(&report->sites[i]))
			print_from(&printer, i);
		else
			more++;
	if (more) {
		lt_lines_printf(lines, "… %s more site%s%s", COUNT(more), lt_look_plural(more),
				report->site_total > report->site_count
					? " (--top shows more)"
					: ", of which nothing lives");
		lt_lines_end(lines, 2);
	}
}
