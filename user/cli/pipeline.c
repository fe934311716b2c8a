// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/kind.h"
#include "report/counters.h"

struct lt_pipeline {
	struct lt_pipeline_options options;
	struct lt_model *model; /* NULL until TARGET */
	struct lt_symbol_store *symbols;
	struct lt_history **histories; /* one per site, by its index */
	size_t history_count;
	struct lt_history *unknown[LT_KIND_COUNT]; /* releases of what was acquired before the
						      attach */
	struct lt_evidence *evidence;
	size_t evidence_count;
	struct lt_event_target target; /* strings owned */
	struct lt_event_process process, process_first;
	uint64_t heap_now, heap_first;                  /* live bytes when those were looked at */
	struct lt_event_runtime runtime, runtime_first; /* one version, owned; NULL: none came */
	struct lt_event_end end;
	struct lt_event_limit limits[LT_LIMITS]; /* the latest */
	uint64_t counters[LT_COUNTER_COUNT];
	uint64_t release_losses[LT_KIND_COUNT]; /* sums when last looked at */
	uint32_t last_loss_s[LT_KIND_COUNT];
	uint32_t tgid;
	uint64_t attach_ns, last_ns;
	unsigned int sequence;
	size_t leaking;
	bool process_seen, ended;
};

int lt_pipeline_new(struct lt_pipeline **result, const struct lt_pipeline_options *options)
{
	struct lt_pipeline *pipeline = calloc(1, sizeof(*pipeline));
	bool failed;

	if (!pipeline)
		return -ENOMEM;
	pipeline->options = *options;
	memset(pipeline->last_loss_s, 0xff, sizeof(pipeline->last_loss_s));
	if (options->symbols)
		pipeline->symbols = lt_symbol_store_hold(options->symbols);
	failed = !pipeline->symbols && lt_symbol_store_new(&pipeline->symbols);
	for (int kind = 0; kind < LT_KIND_COUNT && !failed; kind++)
		failed = lt_history_new(&pipeline->unknown[kind]);
	if (failed) {
		lt_pipeline_free(pipeline);
		return -ENOMEM;
	}
	*result = pipeline;
	return 0;
}

void lt_pipeline_free(struct lt_pipeline *pipeline)
{
	if (!pipeline)
		return;
	for (size_t i = 0; i < pipeline->history_count; i++)
		lt_history_free(pipeline->histories[i]);
	free(pipeline->histories);
	for (int kind = 0; kind < LT_KIND_COUNT; kind++)
		lt_history_free(pipeline->unknown[kind]);
	lt_model_free(pipeline->model);
	lt_symbol_store_free(pipeline->symbols);
	free(pipeline->evidence);
	free((char *)pipeline->target.comm);
	free((char *)pipeline->target.exe);
	free((char *)pipeline->target.allocator);
	free((char *)pipeline->runtime.version);
	free(pipeline);
}

static int apply_target(struct lt_pipeline *pipeline, const struct lt_event *event)
{
	struct lt_event_target *target = &pipeline->target;
	int err;

	if (pipeline->model)
		return -EBADMSG;
	*target = event->target;
	target->comm = strdup(event->target.comm);
	target->exe = strdup(event->target.exe);
	target->allocator = strdup(event->target.allocator);
	if (!target->comm || !target->exe || !target->allocator)
		return -ENOMEM;
	err = lt_model_new(event->time_ns, &pipeline->model);
	if (err)
		return err;
	pipeline->tgid = event->tgid;
	pipeline->attach_ns = event->time_ns;
	return 0;
}

/* The program stays the same, and so does its runtime: what it is called is told once. */
static int apply_runtime(struct lt_pipeline *pipeline, const struct lt_event *event)
{
	const char *version = pipeline->runtime.version;
	bool first = !version;

	if (first)
		version = strdup(event->runtime.version);
	if (!version)
		return -ENOMEM;
	pipeline->runtime = event->runtime;
	pipeline->runtime.version = version;
	if (first)
		pipeline->runtime_first = pipeline->runtime;
	return lt_model_apply(pipeline->model, event);
}

/* Stream and model losses together; the model finds some itself. */
static void merged_counters(const struct lt_pipeline *pipeline, uint64_t *counters)
{
	const struct lt_model_totals *totals = lt_model_totals(pipeline->model);

	memcpy(counters, pipeline->counters, sizeof(pipeline->counters));
	counters[LT_COUNTER_ADDRESS_REUSED] += totals->address_reused;
	counters[LT_COUNTER_CALL_MISSED] += totals->mapping_reused;
	counters[LT_COUNTER_RESTORE_MISSED] += totals->restore_missed;
	counters[LT_COUNTER_SITES_FULL] += totals->sites_full;
	counters[LT_COUNTER_MEMORY_FULL] += totals->memory_full;
	for (uint32_t i = 0; i < LT_LISTINGS; i++) {
		const struct lt_model_listing *listing = lt_model_listing(pipeline->model,
									  (uint8_t)i);

		counters[LT_COUNTER_LISTING_CORRECTED] += listing->came + listing->went;
	}
}

static uint64_t release_losses(const struct lt_pipeline *pipeline, int kind)
{
	uint64_t counters[LT_COUNTER_COUNT], sum = 0;

	merged_counters(pipeline, counters);
	for (int i = 0; i < LT_COUNTER_COUNT; i++)
		if (lt_counter_hits(lt_counter_infos[i].class, kind))
			sum += counters[i];
	return sum;
}

static uint32_t last_loss(const struct lt_pipeline *pipeline, int kind, uint32_t now_s)
{
	return release_losses(pipeline, kind) != pipeline->release_losses[kind]
		       ? now_s
		       : pipeline->last_loss_s[kind];
}

/* At events only: a replay, which looks up no names, must come to the same times. */
static void note_loss(struct lt_pipeline *pipeline, uint32_t now_s)
{
	for (int kind = 0; kind < LT_KIND_COUNT; kind++) {
		pipeline->last_loss_s[kind] = last_loss(pipeline, kind, now_s);
		pipeline->release_losses[kind] = release_losses(pipeline, kind);
	}
}

static int grow_histories(struct lt_pipeline *pipeline, size_t sites)
{
	struct lt_history **histories;

	if (sites <= pipeline->history_count)
		return 0;
	histories = reallocarray(pipeline->histories, sites, sizeof(struct lt_history *));
	if (!histories)
		return -ENOMEM;
	pipeline->histories = histories;
	while (pipeline->history_count < sites) {
		if (lt_history_new(&histories[pipeline->history_count]))
			return -ENOMEM;
		pipeline->history_count++;
	}
	return 0;
}

static int apply_sample(struct lt_pipeline *pipeline, const struct lt_event *event)
{
	uint32_t now_s = lt_model_seconds(pipeline->model, event->time_ns);
	size_t sites = lt_model_site_count(pipeline->model);
	struct lt_sample sample = { 0 };
	int err;

	lt_model_roll(pipeline->model, event->time_ns);
	note_loss(pipeline, now_s);
	err = grow_histories(pipeline, sites);
	for (size_t i = 0; i < sites && !err; i++) {
		const struct lt_site *site = lt_model_site(pipeline->model, i);

		sample.live_size = site->live_size;
		sample.acquired_count = site->acquired_count;
		sample.released_count = site->released_count;
		for (unsigned int level = 0; level < LT_HISTORY_LEVELS; level++) {
			sample.alive_above[level] = lt_cohorts_alive_above(&site->cohorts, level);
			sample.released_above[level] = lt_cohorts_released_above(&site->cohorts,
										 level);
			sample.born_max_s[level] = lt_cohorts_born_max_above(&site->cohorts, level);
			sample.age_max_s[level] = lt_cohorts_age_max_above(&site->cohorts, level);
		}
		err = lt_history_sample(pipeline->histories[i], now_s, &sample);
	}
	if (err)
		return err;
	for (int kind = 0; kind < LT_KIND_COUNT && !err; kind++) {
		uint64_t unknown = lt_model_totals(pipeline->model)->unknown_of_kind[kind];

		sample = (struct lt_sample){ .live_size = unknown, .acquired_count = unknown };
		err = lt_history_sample(pipeline->unknown[kind], now_s, &sample);
	}
	return err;
}

/*
 * Judges all sites as of now; a site younger than the last SAMPLE has an empty history.  Leaves
 * nothing behind that a later judgement depends on.
 */
static int judge(struct lt_pipeline *pipeline, uint64_t time_ns)
{
	size_t sites = lt_model_site_count(pipeline->model);
	_lt_free_ struct lt_verdict_input *inputs = calloc(sites + 1, sizeof(*inputs));
	struct lt_evidence *evidence = reallocarray(pipeline->evidence, sites + 1,
						    sizeof(*evidence));
	struct lt_verdict_context context = {
		.now_s = lt_model_seconds(pipeline->model, time_ns),
		.min_growth_per_hour = pipeline->options.min_growth_per_hour,
	};
	uint32_t lost_s[LT_KIND_COUNT];

	if (evidence)
		pipeline->evidence = evidence;
	if (!inputs || !evidence || grow_histories(pipeline, sites))
		return -ENOMEM;
	for (int kind = 0; kind < LT_KIND_COUNT; kind++)
		lost_s[kind] = last_loss(pipeline, kind, context.now_s);
	for (size_t i = 0; i < sites; i++) {
		const struct lt_site *site = lt_model_site(pipeline->model, i);

		inputs[i] = (struct lt_verdict_input){
			.history = pipeline->histories[i],
			.unknown = pipeline->unknown[site->kind],
			.live_count = site->live_count,
			.live_size = site->live_size,
			.last_loss_s = lost_s[site->kind],
			.observed = site->observed,
			.sampled = site->sampled,
			.listed = lt_kind_listing(site->kind) != LT_LISTING_NOWHERE,
		};
	}
	pipeline->evidence_count = sites;
	return lt_verdict_judge(&context, inputs, sites, evidence);
}

static void fill_input(const struct lt_pipeline *pipeline, uint64_t time_ns,
		       const uint64_t *counters, struct lt_report_input *input)
{
	*input = (struct lt_report_input){
		.model = pipeline->model,
		.symbols = pipeline->symbols,
		.evidence = pipeline->evidence,
		.target = &pipeline->target,
		.tgid = pipeline->tgid,
		.process = &pipeline->process,
		.process_first = &pipeline->process_first,
		.heap_growth_bytes = (double)pipeline->heap_now - (double)pipeline->heap_first,
		.histories = (const struct lt_history *const *)pipeline->histories,
		.limits = pipeline->limits,
		.runtime = pipeline->runtime.version ? &pipeline->runtime : NULL,
		.runtime_first = pipeline->runtime.version ? &pipeline->runtime_first : NULL,
		.counters = counters,
		.attach_ns = pipeline->attach_ns,
		.time_ns = time_ns,
		.sequence = pipeline->sequence,
		.top = pipeline->options.top,
		.end_reason = pipeline->end.reason,
		.end_status = pipeline->end.status,
	};
}

static int apply_report(struct lt_pipeline *pipeline, const struct lt_event *event)
{
	uint64_t counters[LT_COUNTER_COUNT];
	struct lt_report_input input;
	struct lt_report *report;
	int err;

	note_loss(pipeline, lt_model_seconds(pipeline->model, event->time_ns));
	err = judge(pipeline, event->time_ns);
	if (err)
		return err;
	merged_counters(pipeline, counters);
	pipeline->sequence++;
	fill_input(pipeline, event->time_ns, counters, &input);
	input.final = event->report.final;
	err = lt_report_build(&input, &report);
	if (err)
		return err;
	pipeline->leaking = report->verdict_counts[LT_VERDICT_LEAKING];
	return pipeline->options.on_report(pipeline->options.context, report);
}

static int unshare(struct lt_pipeline *pipeline)
{
	struct lt_symbol_store *own;
	int err = lt_symbol_store_new(&own);

	if (err)
		return err;
	lt_symbol_store_free(pipeline->symbols);
	pipeline->symbols = own;
	return 0;
}

static uint64_t live_of_kind(const struct lt_model *model, uint8_t kind)
{
	uint64_t size = 0;

	for (size_t i = 0; i < lt_model_site_count(model); i++)
		if (lt_model_site(model, i)->kind == kind)
			size += lt_model_site(model, i)->live_size;
	return size;
}

int lt_pipeline_apply(void *context, const struct lt_event *event)
{
	struct lt_pipeline *pipeline = context;
	uint32_t count;

	if (!pipeline->model && event->type != LT_EVENT_TARGET)
		return -EBADMSG;
	if (event->time_ns > pipeline->last_ns)
		pipeline->last_ns = event->time_ns;
	switch ((enum lt_event_type)event->type) {
	case LT_EVENT_ACQUIRE:
	case LT_EVENT_RELEASE:
	case LT_EVENT_RESTORE:
	case LT_EVENT_STACK:
	case LT_EVENT_CENSUS:
	case LT_EVENT_DESCRIBE:
	case LT_EVENT_MOVE:
	case LT_EVENT_PASSED:
	case LT_EVENT_OBSERVE:
		return lt_model_apply(pipeline->model, event);
	case LT_EVENT_TARGET:
		return apply_target(pipeline, event);
	case LT_EVENT_MODULE:
		return lt_symbol_store_add_module(pipeline->symbols, &event->module);
	case LT_EVENT_SYMBOL:
		return lt_symbol_store_add_symbol(pipeline->symbols, &event->symbol);
	case LT_EVENT_COUNTERS:
		count = event->counters.count;
		if (count > LT_COUNTER_COUNT)
			count = LT_COUNTER_COUNT;
		memcpy(pipeline->counters, event->counters.values,
		       count * sizeof(*pipeline->counters));
		return 0;
	case LT_EVENT_PROCESS:
		pipeline->process = event->process;
		pipeline->heap_now = live_of_kind(pipeline->model, LT_KIND_HEAP);
		if (!pipeline->process_seen) {
			pipeline->process_first = event->process;
			pipeline->heap_first = pipeline->heap_now;
		}
		pipeline->process_seen = true;
		return 0;
	case LT_EVENT_LIMIT:
		if (event->limit.which < LT_LIMITS)
			pipeline->limits[event->limit.which] = event->limit;
		return 0;
	case LT_EVENT_RUNTIME:
		return apply_runtime(pipeline, event);
	case LT_EVENT_SAMPLE:
		return apply_sample(pipeline, event);
	case LT_EVENT_REPORT:
		return apply_report(pipeline, event);
	case LT_EVENT_END:
		pipeline->end = event->end;
		pipeline->ended = true;
		return 0;
	case LT_EVENT_UNSHARE:
		return unshare(pipeline);
	case LT_EVENT_LIFE: /* the session's */
	case LT_EVENT_GONE: /* its holder's */
		break;
	}
	return -EBADMSG;
}

int lt_pipeline_wanted(struct lt_pipeline *pipeline, uint64_t time_ns, bool all,
		       int (*want)(void *context, uint64_t pc), void *context)
{
	uint64_t counters[LT_COUNTER_COUNT];
	struct lt_report_input input;
	int err = judge(pipeline, time_ns);

	if (err)
		return err;
	merged_counters(pipeline, counters);
	fill_input(pipeline, time_ns, counters, &input);
	if (all)
		input.top = LT_MAX_SITES;
	return lt_report_wanted(&input, want, context);
}

uint16_t lt_pipeline_stack(const struct lt_pipeline *pipeline, uint64_t stack_id,
			   const uint64_t **frames)
{
	return pipeline->model ? lt_model_stack(pipeline->model, stack_id, frames) : 0;
}

struct lt_symbol_store *lt_pipeline_symbols(const struct lt_pipeline *pipeline)
{
	return pipeline->symbols;
}

const struct lt_model_totals *lt_pipeline_totals(const struct lt_pipeline *pipeline)
{
	return pipeline->model ? lt_model_totals(pipeline->model) : NULL;
}

void lt_pipeline_mapped(const struct lt_pipeline *pipeline, uint64_t start, uint64_t end,
			uint64_t bytes[LT_RANGE_CLASSES])
{
	lt_model_mapped(pipeline->model, start, end, bytes);
}

uint64_t lt_pipeline_live_bytes(const struct lt_pipeline *pipeline)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < LT_KINDS; i++)
		if (lt_kind_infos[i].memory)
			bytes += live_of_kind(pipeline->model, lt_kind_infos[i].value);
	return bytes;
}

const struct lt_model_listing *lt_pipeline_listing(const struct lt_pipeline *pipeline,
						   uint8_t listing)
{
	return lt_model_listing(pipeline->model, listing);
}

void lt_pipeline_handles(const struct lt_pipeline *pipeline,
			 void (*visit)(void *context, const struct lt_handle *handle),
			 void *context)
{
	lt_model_handles(pipeline->model, visit, context);
}

size_t lt_pipeline_leaking(const struct lt_pipeline *pipeline)
{
	return pipeline->leaking;
}

bool lt_pipeline_ended(const struct lt_pipeline *pipeline)
{
	return pipeline->ended;
}

uint64_t lt_pipeline_last_ns(const struct lt_pipeline *pipeline)
{
	return pipeline->last_ns;
}
