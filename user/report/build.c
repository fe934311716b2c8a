// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/kind.h"
#include "model/handles.h"
#include "report/arena.h"
#include "report/findings.h"
#include "report/groups.h"
#include "report/headroom.h"
#include "report/ranking.h"
#include "report/report.h"
#include "report/resident.h"

#define NS_PER_S       1e9
#define EXPLAINED_FROM (1024 * 1024) /* bytes of RSS growth below which a ratio says nothing */

static const char *const stack_ends[LT_STACK_END_COUNT] = {
#define LT_STACK_END(symbol, value, counter, phrase) [value] = (phrase),
	LT_STACK_ENDS
#undef LT_STACK_END
};

static const char *const stack_origins[LT_STACK_ORIGINS] = {
	[LT_STACK_FROM_BEFORE] = "from before the attach, or inherited",
	[LT_STACK_UNSEEN] = "no call that is followed made them (io_uring, ioctl, ...)",
};

/* The report and the memory behind everything it points to. */
struct owned_report {
	struct lt_report report; /* first: lt_report_free gets its address */
	struct lt_arena arena;
};

struct builder {
	const struct lt_report_input *input;
	struct lt_report *report;
	struct lt_arena *arena;
	struct lt_ranked *ranking;
	size_t count; /* sites of the model */
};

LT_CLEANUP(struct lt_groups *, lt_groups_free)

/* What lives of the shown sites. */
static int collect(const struct lt_report_input *input, const struct lt_ranked *ranking,
		   size_t count, struct lt_groups **groups)
{
	int err = lt_groups_new(ranking, lt_ranking_shown(input, count), count, groups);

	if (!err)
		lt_model_handles(input->model, lt_groups_add, *groups);
	return err;
}

int lt_report_wanted(const struct lt_report_input *input, int (*want)(void *context, uint64_t pc),
		     void *context)
{
	_lt_free_ struct lt_ranked *ranking = NULL;
	const struct lt_source_frame *frames;
	uint32_t frame_count;
	size_t count;
	_lt_cleanup_(lt_groups_free_p) struct lt_groups *groups = NULL;
	int err = lt_ranking_make(input, &ranking, &count);

	if (err)
		return err;
	for (size_t i = 0; i < lt_ranking_shown(input, count); i++)
		for (size_t j = 0; j < ranking[i].site->frame_count; j++) {
			uint64_t word = ranking[i].site->frames[j], pc = lt_symbol_lookup_pc(word);

			if (lt_mark_is(word) || lt_symbol_store_symbol(input->symbols, pc, &frames,
								       &frame_count) != -ENOENT)
				continue;
			err = want(context, pc);
			if (err)
				return err;
		}
	err = collect(input, ranking, count, &groups);
	return err ? err : lt_groups_wanted(groups, input, want, context);
}

static const char *hex(struct lt_arena *arena, const uint8_t *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char *text = lt_arena_alloc(arena, 2 * len + 1, 1);

	for (size_t i = 0; text && i < len; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	return text;
}

/* Source frames of one address, innermost first: one at least. */
static uint32_t source_frames(const struct builder *b, uint64_t pc,
			      const struct lt_source_frame **frames)
{
	static const struct lt_source_frame nameless = { "", "", 0, false };
	uint32_t count;

	if (!lt_symbol_store_symbol(b->input->symbols, pc, frames, &count) && count)
		return count;
	*frames = &nameless;
	return 1;
}

static int expand_address(const struct builder *b, uint64_t pc, struct lt_report_frame *out)
{
	const struct lt_module *module = lt_symbol_store_module(b->input->symbols, pc);
	const struct lt_source_frame *source;
	uint32_t count = source_frames(b, pc, &source);
	struct lt_report_frame place = { .offset = lt_address_plain(pc),
					 .module = "",
					 .build_id = "" };

	if (module) {
		place.offset = pc - module->start + module->file_offset;
		place.module = lt_arena_strdup(b->arena, module->path);
		place.build_id = hex(b->arena, module->build_id, module->build_id_len);
	}
	for (uint32_t i = 0; i < count; i++) {
		out[i] = place;
		out[i].function = lt_arena_strdup(b->arena, source[i].function);
		out[i].file = lt_arena_strdup(b->arena, source[i].file);
		out[i].line = source[i].line;
		out[i].inlined = source[i].inlined;
		if (!out[i].function || !out[i].file || !place.module || !place.build_id)
			return -ENOMEM;
	}
	return 0;
}

static int expand_mark(const struct builder *b, uint64_t word, struct lt_report_frame *out)
{
	static const struct lt_report_frame nothing = {
		.function = "", .file = "", .module = "", .build_id = ""
	};
	struct lt_mark_info *made;
	char text[32];

	*out = nothing;
	out->mark = lt_mark_find(word);
	if (out->mark)
		return 0;
	snprintf(text, sizeof(text), "mark %" PRIu64, word);
	out->mark = made = lt_arena_alloc(b->arena, 1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	*made = (struct lt_mark_info){ .value = word, .text = lt_arena_strdup(b->arena, text) };
	return made->text ? 0 : -ENOMEM;
}

/* One word of a stack, to as many frames as it has. */
static uint32_t expanded_count(const struct builder *b, uint64_t word)
{
	const struct lt_source_frame *source;
	uint32_t count;

	if (lt_mark_is(word))
		return 1;
	count = source_frames(b, lt_symbol_lookup_pc(word), &source);
	return count == 1 && !source->line && !strcmp(source->file, LT_WRAPPER_FILE) ? 0 : count;
}

static int expand_word(const struct builder *b, uint64_t word, struct lt_report_frame *out)
{
	return lt_mark_is(word) ? expand_mark(b, word, out)
				: expand_address(b, lt_symbol_lookup_pc(word), out);
}

static int expand_frames(const struct builder *b, const struct lt_site *site,
			 struct lt_report_site *out)
{
	struct lt_report_frame *frames;
	uint32_t total = 0;

	for (size_t i = 0; i < site->frame_count; i++)
		total += expanded_count(b, site->frames[i]);
	frames = lt_arena_alloc(b->arena, total, sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	out->frames = frames;
	for (size_t i = 0; i < site->frame_count; i++) {
		uint32_t count = expanded_count(b, site->frames[i]);
		int err = count ? expand_word(b, site->frames[i], &frames[out->frame_count]) : 0;

		if (err)
			return err;
		out->frame_count += count;
	}
	return 0;
}

/* Of what has no stack, by its stack id; "" of all else. */
static const char *origin_phrase(uint64_t stack_id)
{
	return stack_id < LT_STACK_ORIGINS && stack_origins[stack_id] ? stack_origins[stack_id]
								      : "";
}

static int build_site(const struct builder *b, const struct lt_ranked *ranked,
		      const uint32_t *births, struct lt_report_site *out)
{
	const struct lt_site *site = ranked->site;
	const struct lt_kind_info *kind = &lt_kind_infos[ranked->kind];
	uint32_t now_s = lt_model_seconds(b->input->model, b->input->time_ns);
	uint32_t birth_s = births[site->index];

	*out = (struct lt_report_site){
		.kind = kind->name,
		.unit = kind->unit,
		.live_count = site->live_count,
		.live_size = site->live_size,
		.acquired_count = site->acquired_count,
		.acquired_size = site->acquired_size,
		.released_count = site->released_count,
		.released_size = site->released_size,
		.peak_size = site->peak_size,
		.oldest_age_s = birth_s == UINT32_MAX ? NAN
				: birth_s < now_s     ? now_s - birth_s
						      : 0,
		.seconds_to_limit = lt_headroom_seconds(b->input, b->report, ranked->kind,
							ranked->evidence),
		.fills = ranked->fills,
		.observed = site->observed,
		.sampled = site->sampled,
		.evidence = *ranked->evidence,
	};
	if (!site->frame_count) {
		const char *origin = origin_phrase(site->stack_id);

		out->stack_id = site->stack_id;
		/* Else its STACK event was lost or is yet to come. */
		out->stack_end = origin[0] ? origin : "stack not received";
		return 0;
	}
	out->stack_id = lt_symbol_store_stable_id(b->input->symbols, site->frames,
						  site->frame_count);
	out->stack_end = site->stack_end < LT_STACK_END_COUNT ? stack_ends[site->stack_end]
							      : "unknown reason";
	return expand_frames(b, site, out);
}

struct ages {
	uint64_t time_ns;
	double *oldest_s; /* by index of the site */
};

/* A goroutine may wait since before the attach, as its runtime noted. */
static void note_age(void *context, const struct lt_handle *handle)
{
	struct ages *ages = context;
	double age_s = (double)(ages->time_ns - handle->born_ns) / NS_PER_S;

	if (handle->listing == LT_LISTING_GOROUTINES && handle->born_ns &&
	    handle->born_ns < ages->time_ns && age_s > ages->oldest_s[handle->site])
		ages->oldest_s[handle->site] = age_s;
}

static int build_sites(struct builder *b)
{
	_lt_free_ double *oldest_s = calloc(lt_model_site_count(b->input->model) + 1,
					    sizeof(*oldest_s));
	struct ages ages = { b->input->time_ns, oldest_s };
	_lt_cleanup_(lt_groups_free_p) struct lt_groups *groups = NULL;
	_lt_free_ uint32_t *births = calloc(b->count + 1, sizeof(*births));
	size_t top = lt_ranking_shown(b->input, b->count);
	struct lt_report_site *sites = lt_arena_alloc(b->arena, top, sizeof(*sites));
	int err = births && sites && oldest_s ? 0 : -ENOMEM;

	if (err)
		return err;
	lt_model_oldest(b->input->model, births);
	lt_model_handles(b->input->model, note_age, &ages);
	for (size_t i = 0; i < top && !err; i++) {
		err = build_site(b, &b->ranking[i], births, &sites[i]);
		if (oldest_s[b->ranking[i].site->index] > sites[i].oldest_age_s)
			sites[i].oldest_age_s = oldest_s[b->ranking[i].site->index];
	}
	b->report->sites = sites;
	b->report->site_count = top;
	if (!err)
		err = collect(b->input, b->ranking, b->count, &groups);
	if (!err)
		err = lt_groups_fill(groups, b->input, b->arena, sites);
	if (!err)
		err = lt_findings_build(b->input, b->ranking, b->arena, b->report, sites);
	return err;
}

static void add_site(struct lt_report_site *sum, const struct lt_site *site)
{
	sum->live_count += site->live_count;
	sum->live_size += site->live_size;
	sum->acquired_count += site->acquired_count;
	sum->acquired_size += site->acquired_size;
	sum->released_count += site->released_count;
	sum->released_size += site->released_size;
}

static int build_others(struct builder *b)
{
	struct lt_report_site *others = lt_arena_alloc(b->arena, LT_KINDS, sizeof(*others));
	size_t sites[LT_KINDS] = { 0 }, made = 0;

	if (!others)
		return -ENOMEM;
	for (size_t i = b->report->site_count; i < b->count; i++) {
		size_t kind = b->ranking[i].kind;

		add_site(&others[kind], b->ranking[i].site);
		sites[kind]++;
	}
	for (size_t i = 0; i < LT_KINDS; i++) {
		if (!sites[i])
			continue;
		others[made] = others[i];
		others[made].kind = lt_kind_infos[i].name;
		others[made].unit = lt_kind_infos[i].unit;
		others[made].stack_end = "";
		others[made].oldest_age_s = others[made].seconds_to_limit = NAN;
		others[made].evidence = (struct lt_evidence){ .growth_per_hour = NAN,
							      .growth_low = NAN,
							      .growth_high = NAN,
							      .survival = NAN,
							      .maturity_s = NAN,
							      .p_value = NAN };
		made++;
	}
	b->report->others = others;
	b->report->other_count = made;
	return 0;
}

static const struct lt_event_process never_observed = { 0 };

static const struct lt_event_process *observed_now(const struct builder *b)
{
	return b->input->process ? b->input->process : &never_observed;
}

static const struct lt_event_process *observed_first(const struct builder *b)
{
	return b->input->process_first ? b->input->process_first : observed_now(b);
}

static void build_process(struct builder *b)
{
	const struct lt_event_process *now = observed_now(b), *first = observed_first(b);
	struct lt_report *report = b->report;

	report->rss_bytes = now->rss_bytes;
	report->rss_growth_bytes = now->rss_bytes && first->rss_bytes
					   ? (double)now->rss_bytes - (double)first->rss_bytes
					   : NAN;
	report->limit_bytes = now->limit_bytes;
	report->available_bytes = now->available_bytes;
	report->collector_cpu_ns = now->collector_cpu_ns;
	report->collector_rss_bytes = now->collector_rss_bytes;
}

static void add_known(double *sum, double value)
{
	*sum = isnan(*sum) ? value : *sum + value;
}

static void sum_growth(struct lt_report *report, size_t kind, const struct lt_evidence *evidence)
{
	double growth = evidence->growth_per_hour;
	bool in_bytes = lt_ranking_in_bytes(kind);

	if (isnan(growth))
		return;
	add_known(&report->kinds[kind].growth_per_hour, growth);
	if (in_bytes)
		add_known(&report->growth_per_hour, growth);
	if (evidence->verdict != LT_VERDICT_LEAKING || growth <= 0)
		return;
	report->kinds[kind].leaking_per_hour += growth;
	if (in_bytes)
		report->leaking_growth_per_hour += growth;
}

/* Of what leaks, the pages. */
static double memory_growth(const struct builder *b)
{
	double growth = 0;

	for (size_t i = 0; i < LT_KINDS; i++) {
		const struct lt_report_kind *kind = &b->report->kinds[i];

		if (kind->leaking_per_hour > 0)
			growth += kind->leaking_per_hour *
				  lt_resident_share(b->input->process, i, kind->live_size);
	}
	return growth;
}

/* What only all sites together say, shown or not. */
static void sum_sites(struct builder *b)
{
	struct lt_report *report = b->report;

	report->growth_per_hour = NAN;
	for (size_t i = 0; i < LT_KINDS; i++)
		report->kinds[i].growth_per_hour = NAN;
	for (size_t i = 0; i < b->count; i++) {
		const struct lt_site *site = b->ranking[i].site;
		size_t kind = b->ranking[i].kind;

		report->verdict_counts[b->ranking[i].evidence->verdict]++;
		report->kinds[kind].sites++;
		report->kinds[kind].live_count += site->live_count;
		report->kinds[kind].live_size += site->live_size;
		if (lt_ranking_in_bytes(kind))
			report->live_bytes += site->live_size;
		sum_growth(report, kind, b->ranking[i].evidence);
	}
	report->leaking_memory_per_hour = memory_growth(b);
}

static void copy_listings(struct builder *b)
{
	for (int i = LT_LISTING_NOWHERE + 1; i < LT_LISTINGS; i++)
		b->report->listings[i] = *lt_model_listing(b->input->model, (uint8_t)i);
}

static void divide_growth(struct builder *b)
{
	struct lt_report *report = b->report;

	lt_memory_divide(
		&(struct lt_memory_input){
			.first = observed_first(b),
			.now = observed_now(b),
			.runtime_first = b->input->runtime_first,
			.runtime = b->input->runtime,
			.growth = report->rss_growth_bytes,
			.heap_bytes = b->input->heap_growth_bytes,
		},
		&report->memory);
	report->explained_ratio = report->rss_growth_bytes >= EXPLAINED_FROM
					  ? report->memory.explained / report->rss_growth_bytes
					  : NAN;
}

static int copy_runtime(struct builder *b)
{
	const struct lt_event_runtime *now = b->input->runtime, *first = b->input->runtime_first;
	struct lt_report *report = b->report;

	if (!now)
		return 0;
	report->has_runtime = true;
	report->runtime = *now;
	report->runtime_first = first ? *first : *now;
	report->runtime.version = lt_arena_strdup(b->arena, now->version);
	/* The program is the same. */
	report->runtime_first.version = report->runtime.version;
	return report->runtime.version ? 0 : -ENOMEM;
}

static int build_target(struct builder *b)
{
	static const struct lt_event_target none = { .comm = "", .exe = "", .allocator = "" };
	const struct lt_event_target *target = b->input->target ? b->input->target : &none;
	struct lt_report *report = b->report;

	report->interval_s = (double)target->interval_ns / NS_PER_S;
	report->realtime_s = (double)(b->input->time_ns + target->realtime_offset_ns) / NS_PER_S;
	report->target = (struct lt_report_target){
		.pid = target->pid ? target->pid : b->input->tgid,
		.ns_pid = target->ns_pid,
		.parent_pid = target->parent_pid,
		.comm = lt_arena_strdup(b->arena, target->comm),
		.exe = lt_arena_strdup(b->arena, target->exe),
		.allocator = lt_arena_strdup(b->arena, target->allocator),
	};
	return report->target.comm && report->target.exe && report->target.allocator ? 0 : -ENOMEM;
}

static void free_ranking(const struct builder *b)
{
	free(b->ranking);
}

int lt_report_build(const struct lt_report_input *input, struct lt_report **report)
{
	struct owned_report *made = calloc(1, sizeof(*made));
	_lt_cleanup_(free_ranking) struct builder b = { .input = input };
	int err = made ? lt_ranking_make(input, &b.ranking, &b.count) : -ENOMEM;

	if (err) {
		free(made);
		return err;
	}
	b.report = &made->report;
	b.arena = &made->arena;
	made->report.final = input->final;
	made->report.sequence = input->sequence;
	made->report.end_reason = input->end_reason;
	made->report.end_status = input->end_status;
	made->report.elapsed_s = input->time_ns > input->attach_ns
					 ? (double)(input->time_ns - input->attach_ns) / NS_PER_S
					 : 0;
	made->report.totals = *lt_model_totals(input->model);
	made->report.site_total = b.count;
	memcpy(made->report.counters, input->counters, sizeof(made->report.counters));
	build_process(&b);
	sum_sites(&b);
	copy_listings(&b);
	divide_growth(&b);
	err = build_target(&b);
	if (!err)
		err = copy_runtime(&b);
	if (!err)
		err = lt_headroom_build(input, b.arena, b.report);
	if (!err)
		err = build_sites(&b);
	if (!err)
		err = build_others(&b);
	if (err) {
		lt_report_free(&made->report);
		return err;
	}
	*report = &made->report;
	return 0;
}

/*
 * Of n resources each is sampled by a chance p, and so the s samples tell n = s / p: its standard
 * deviation is sqrt(n p (1 - p)) / p.  All that is sampled for sure, as large objects are, is exact.
 */
double lt_report_relative_error(const struct lt_report_site *site)
{
	double samples = (double)site->sampled, live = (double)site->live_count;

	return samples > 0 && samples < live ? sqrt((1 - samples / live) / samples) : NAN;
}

void lt_report_free(struct lt_report *report)
{
	struct owned_report *owned = (struct owned_report *)report;

	if (!owned)
		return;
	lt_arena_free(&owned->arena);
	free(owned);
}
