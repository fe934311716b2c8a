/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One pipeline for each process of a session or recording, found by the number in its events (tgid).
 * REPORT events that follow each other make one round of reports.  Like the pipeline it reads no
 * clock and makes no system call.  One thread.
 */
#ifndef LT_CLI_PIPELINES_H
#define LT_CLI_PIPELINES_H

#include "cli/pipeline.h"
#include "report/total.h"

struct lt_pipelines;

struct lt_round {
	const struct lt_report *const *reports;
	size_t count;
	struct lt_ended_summary ended; /* processes that are gone, and in no report */
	bool several;                  /* there ever was more than one process */
	bool leaver;                   /* the last report of one that ended while others go on */
};

struct lt_pipelines_options {
	unsigned int top;
	double min_growth_per_hour;
	/* The reports are freed afterwards.  0, or -errno to stop. */
	int (*on_round)(void *context, const struct lt_round *round);
	void *context;
};

int lt_pipelines_new(struct lt_pipelines **pipelines, const struct lt_pipelines_options *options);
void lt_pipelines_free(struct lt_pipelines *pipelines);

/* An lt_event_sink.  -EBADMSG: an event of a process that was not told. */
int lt_pipelines_apply(void *pipelines, const struct lt_event *event);
/* Hands the reports made so far on, if there are any, without waiting for the next event. */
int lt_pipelines_flush(struct lt_pipelines *pipelines);
/* For a recording that was cut short: ends and reports of processes that have none.  How many. */
int lt_pipelines_end(struct lt_pipelines *pipelines, size_t *ended);

/* NULL: no such process. */
struct lt_pipeline *lt_pipelines_find(const struct lt_pipelines *pipelines, uint32_t process);
/* Sites judged leaking, in the last reports of all. */
size_t lt_pipelines_leaking(const struct lt_pipelines *pipelines);

#endif
