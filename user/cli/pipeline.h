/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events in, reports out: model → histories → verdicts → report, for live sessions and replays
 * alike.  Reads no clock and makes no system call.  One process generation, one thread.
 */
#ifndef LT_CLI_PIPELINE_H
#define LT_CLI_PIPELINE_H

#include "report/report.h"
#include "stream/event.h"

struct lt_pipeline;

struct lt_pipeline_options {
	unsigned int top;
	double min_growth_per_hour;
	/* Called at each REPORT event; takes the report over.  0, or -errno to stop. */
	int (*on_report)(void *context, struct lt_report *report);
	void *context;
	struct lt_symbol_store *symbols; /* held as well; NULL: one of its own */
};

int lt_pipeline_new(struct lt_pipeline **pipeline, const struct lt_pipeline_options *options);
void lt_pipeline_free(struct lt_pipeline *pipeline);

/* An lt_event_sink.  -EBADMSG: an event that makes no sense here, such as one before TARGET. */
int lt_pipeline_apply(void *pipeline, const struct lt_event *event);

/*
 * The addresses whose names a REPORT at this time would want: for a live session to look up and
 * send as SYMBOL events first.
 */
int lt_pipeline_wanted(struct lt_pipeline *pipeline, uint64_t time_ns, bool all,
		       int (*want)(void *context, uint64_t pc), void *context);
/* The frames of a stack id, borrowed until the next event; 0: not known. */
uint16_t lt_pipeline_stack(const struct lt_pipeline *pipeline, uint64_t stack_id,
			   const uint64_t **frames);
struct lt_symbol_store *lt_pipeline_symbols(const struct lt_pipeline *pipeline);
/* NULL before TARGET. */
const struct lt_model_totals *lt_pipeline_totals(const struct lt_pipeline *pipeline);
/* lt_model_mapped() of its model. */
void lt_pipeline_mapped(const struct lt_pipeline *pipeline, uint64_t start, uint64_t end,
			uint64_t bytes[LT_RANGE_CLASSES]);

/* Alive, of the kinds that are memory (base/kind.h). */
uint64_t lt_pipeline_live_bytes(const struct lt_pipeline *pipeline);
/* lt_model_listing() and lt_model_handles() of its model. */
const struct lt_model_listing *lt_pipeline_listing(const struct lt_pipeline *pipeline,
						   uint8_t listing);
void lt_pipeline_handles(const struct lt_pipeline *pipeline,
			 void (*visit)(void *context, const struct lt_handle *handle),
			 void *context);

/* After the last report: how many sites are judged leaking. */
size_t lt_pipeline_leaking(const struct lt_pipeline *pipeline);
/* True once an END event was seen; false for a recording cut short. */
bool lt_pipeline_ended(const struct lt_pipeline *pipeline);
uint64_t lt_pipeline_last_ns(const struct lt_pipeline *pipeline);

#endif
