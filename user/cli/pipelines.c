// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/pipelines.h"

#include <errno.h>
#include <stdlib.h>

/* A failed insertion leaves hh.tbl NULL instead of ending the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct member {
	uint32_t process;
	bool reported; /* its final report is out, or it ended without one */
	struct lt_pipeline *pipeline;
	UT_hash_handle hh;
};

struct lt_pipelines {
	struct lt_pipelines_options options;
	struct member *members;
	struct member *last;        /* found; events come in runs */
	struct lt_report **reports; /* of the round under way */
	size_t report_count, report_capacity;
	struct lt_ended_summary ended;
	size_t leaking_gone; /* sites of processes that are gone */
	size_t ever;
	bool leaver;
};

int lt_pipelines_new(struct lt_pipelines **result, const struct lt_pipelines_options *options)
{
	struct lt_pipelines *pipelines = calloc(1, sizeof(*pipelines));

	if (!pipelines)
		return -ENOMEM;
	pipelines->options = *options;
	*result = pipelines;
	return 0;
}

static void drop_reports(struct lt_pipelines *pipelines)
{
	while (pipelines->report_count)
		lt_report_free(pipelines->reports[--pipelines->report_count]);
}

static void drop(struct lt_pipelines *pipelines, struct member *member)
{
	HASH_DEL(pipelines->members, member);
	pipelines->last = NULL;
	lt_pipeline_free(member->pipeline);
	free(member);
}

void lt_pipelines_free(struct lt_pipelines *pipelines)
{
	struct member *member, *next;

	if (!pipelines)
		return;
	HASH_ITER(hh, pipelines->members, member, next)
		drop(pipelines, member);
	drop_reports(pipelines);
	free(pipelines->reports);
	free(pipelines);
}

static struct member *find(const struct lt_pipelines *pipelines, uint32_t process)
{
	struct member *member;

	if (pipelines->last && pipelines->last->process == process)
		return pipelines->last;
	HASH_FIND(hh, pipelines->members, &process, sizeof(process), member);
	return member;
}

static int keep_report(void *context, struct lt_report *report)
{
	struct lt_pipelines *pipelines = context;

	if (pipelines->report_count == pipelines->report_capacity) {
		size_t more = pipelines->report_capacity ? pipelines->report_capacity * 2 : 4;
		struct lt_report **reports = reallocarray(pipelines->reports, more,
							  sizeof(struct lt_report *));

		if (!reports) {
			lt_report_free(report);
			return -ENOMEM;
		}
		pipelines->reports = reports;
		pipelines->report_capacity = more;
	}
	pipelines->reports[pipelines->report_count++] = report;
	return 0;
}

int lt_pipelines_flush(struct lt_pipelines *pipelines)
{
	struct lt_round round = {
		.reports = (const struct lt_report *const *)pipelines->reports,
		.count = pipelines->report_count,
		.ended = pipelines->ended,
		.several = pipelines->ever > 1,
		.leaver = pipelines->leaver,
	};
	int err;

	pipelines->leaver = false;
	if (!round.count)
		return 0;
	err = pipelines->options.on_round(pipelines->options.context, &round);
	drop_reports(pipelines);
	return err;
}

static int add(struct lt_pipelines *pipelines, const struct lt_event *event)
{
	const struct member *relative = event->target.shares ? find(pipelines, event->target.shares)
							     : NULL;
	struct lt_pipeline_options options = {
		.top = pipelines->options.top,
		.min_growth_per_hour = pipelines->options.min_growth_per_hour,
		.on_report = keep_report,
		.context = pipelines,
		.symbols = relative ? lt_pipeline_symbols(relative->pipeline) : NULL,
	};
	struct member *member;

	if (find(pipelines, event->tgid) || (event->target.shares && !relative))
		return -EBADMSG;
	member = calloc(1, sizeof(*member));
	if (!member || lt_pipeline_new(&member->pipeline, &options)) {
		free(member);
		return -ENOMEM;
	}
	member->process = event->tgid;
	HASH_ADD(hh, pipelines->members, process, sizeof(member->process), member);
	if (!member->hh.tbl) {
		lt_pipeline_free(member->pipeline);
		free(member);
		return -ENOMEM;
	}
	pipelines->ever++;
	return lt_pipeline_apply(member->pipeline, event);
}

static void sum_up(struct lt_pipelines *pipelines, struct member *member)
{
	const struct lt_model_totals *totals = lt_pipeline_totals(member->pipeline);
	struct lt_ended_summary *ended = &pipelines->ended;

	ended->processes++;
	ended->acquired_count += totals->acquired_count;
	ended->released_count += totals->released_count;
	ended->live_at_end_count += totals->live_count;
	ended->live_at_end_size += lt_pipeline_live_bytes(member->pipeline);
	ended->unknown_released += totals->unknown_released;
	pipelines->leaking_gone += lt_pipeline_leaking(member->pipeline);
	drop(pipelines, member);
}

int lt_pipelines_apply(void *context, const struct lt_event *event)
{
	struct lt_pipelines *pipelines = context;
	struct member *member;
	int err;

	if (event->type != LT_EVENT_REPORT) {
		pipelines->leaver = event->type == LT_EVENT_GONE;
		err = lt_pipelines_flush(pipelines);
		if (err)
			return err;
	}
	if (event->type == LT_EVENT_TARGET)
		return add(pipelines, event);
	member = find(pipelines, event->tgid);
	if (!member)
		return -EBADMSG;
	if (event->type == LT_EVENT_GONE) {
		sum_up(pipelines, member);
		return 0;
	}
	pipelines->last = member;
	err = lt_pipeline_apply(member->pipeline, event);
	if (event->type == LT_EVENT_REPORT && event->report.final)
		member->reported = true;
	return err;
}

int lt_pipelines_end(struct lt_pipelines *pipelines, size_t *ended)
{
	struct member *member, *next;
	int err = lt_pipelines_flush(pipelines);

	*ended = 0;
	HASH_ITER(hh, pipelines->members, member, next) {
		struct lt_event event = {
			.type = LT_EVENT_END,
			.tgid = member->process,
			.time_ns = lt_pipeline_last_ns(member->pipeline),
			.end = { .reason = LT_END_TRUNCATED },
		};

		if (member->reported || err)
			continue;
		++*ended;
		err = lt_pipeline_ended(member->pipeline)
			      ? 0
			      : lt_pipeline_apply(member->pipeline, &event);
		event.type = LT_EVENT_REPORT;
		event.report = (struct lt_event_report){ .final = true };
		if (!err)
			err = lt_pipeline_apply(member->pipeline, &event);
	}
	return err ? err : lt_pipelines_flush(pipelines);
}

struct lt_pipeline *lt_pipelines_find(const struct lt_pipelines *pipelines, uint32_t process)
{
	struct member *member = find(pipelines, process);

	return member ? member->pipeline : NULL;
}

size_t lt_pipelines_leaking(const struct lt_pipelines *pipelines)
{
	size_t leaking = pipelines->leaking_gone;

	for (const struct member *member = pipelines->members; member; member = member->hh.next)
		leaking += lt_pipeline_leaking(member->pipeline);
	return leaking;
}
