// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <string.h>

#include "export/text_look.h"
#include "export/text_parts.h"
#include "report/goroutine.h"
#include "report/role.h"

/* What has a sentence for its stack, but goroutines: these say where they are. */
static const struct {
	const char *kind, *one, *many;
} held[] = {
	{ "http-body", "response whose body is open", "responses whose body is open" },
	{ "ticker", "ticker that is not stopped", "tickers that are not stopped" },
	{ "context", "context that is not cancelled", "contexts that are not cancelled" },
};

/* Where the name of a state alone does not make a phrase. */
static const struct {
	enum lt_mark state;
	const char *phrase;
} phrases[] = {
	{ LT_MARK_SYSCALL, "in a system call" },   { LT_MARK_WAITING, "waiting" },
	{ LT_MARK_IO_WAIT, "waiting in IO wait" }, { LT_MARK_SLEEP, "waiting in sleep" },
	{ LT_MARK_PREEMPTED, "preempted" },        { LT_MARK_LEAKED, "leaked" },
};

/* Of all others, what is before it: by enum lt_mark_class. */
static const char *const before[] = {
	[LT_MARK_CLASS_UNKNOWN] = " in ",
	[LT_MARK_CLASS_CHAIN] = "",
	[LT_MARK_CLASS_STATE] = " ",
	[LT_MARK_CLASS_WAIT] = " blocked in ",
};

static bool is_goroutine(const struct lt_report_site *site)
{
	return !strcmp(site->kind, "goroutine");
}

bool lt_text_has_sentence(const struct lt_report_site *site)
{
	bool has = is_goroutine(site);

	for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++)
		has = has || !strcmp(site->kind, held[i].kind);
	return has && site->frame_count;
}

static void put_place(struct lt_lines *lines, const char *how, const struct lt_report_frame *frame)
{
	if (!frame)
		return;
	lt_lines_printf(lines, "%s ", how);
	lt_lines_place(lines, frame);
}

static void put_phrase(struct lt_lines *lines, const struct lt_mark_info *state)
{
	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (phrases[i].state == state->value) {
			lt_lines_printf(lines, " %s", phrases[i].phrase);
			return;
		}
	lt_lines_printf(lines, "%s%s", before[state->class], state->text);
}

/* They were there before they were first met where they are now. */
static void put_age(struct lt_lines *lines, const struct lt_report_site *site)
{
	if (isnan(site->oldest_age_s))
		return;
	lt_lines_printf(lines, ", %s≥ %s%s", site->live_count > 1 ? "oldest " : "",
			DURATION(site->oldest_age_s), site->live_count > 1 ? "" : " old");
}

static void put_goroutines(struct lt_lines *lines, const struct lt_report_site *site)
{
	struct lt_goroutine goroutine;

	lt_goroutine_read(site, &goroutine);
	lt_look_things(lines, site->kind, site->live_count);
	if (goroutine.state)
		put_phrase(lines, goroutine.state);
	put_place(lines, " at", goroutine.at);
	put_place(lines, ", within", goroutine.within);
	put_place(lines, ", created at", goroutine.created);
	put_place(lines, ", for", goroutine.own);
	put_age(lines, site);
	lt_lines_end(lines, 3);
	if (!goroutine.shape)
		return;
	lt_lines_indent(lines, 3);
	lt_lines_printf(lines, "%s", goroutine.shape);
	lt_lines_end(lines, 3);
}

static void put_held(struct lt_lines *lines, const struct lt_report_site *site)
{
	for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++)
		if (!strcmp(site->kind, held[i].kind))
			lt_lines_printf(lines, "%s %s", COUNT(site->live_count),
					site->live_count == 1 ? held[i].one : held[i].many);
	put_place(lines, ", by", lt_role_caller(site->frames, site->frame_count));
	if (!isnan(site->oldest_age_s))
		lt_lines_printf(lines, ", oldest %s", DURATION(site->oldest_age_s));
	lt_lines_end(lines, 3);
}

void lt_text_sentence(struct lt_lines *lines, const struct lt_report_site *site)
{
	if (!lt_text_has_sentence(site))
		return;
	lt_lines_indent(lines, 3);
	if (is_goroutine(site))
		put_goroutines(lines, site);
	else
		put_held(lines, site);
}

void lt_text_state(struct lt_lines *lines, const struct lt_report_site *site)
{
	struct lt_goroutine goroutine;

	if (!is_goroutine(site))
		return;
	lt_goroutine_read(site, &goroutine);
	if (goroutine.state)
		put_phrase(lines, goroutine.state);
}
