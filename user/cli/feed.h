/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of a live session: its state, and the feed that turns what the outside says (clock,
 * /proc, BPF counters, names) into events.  For user/cli/session.c and feed.c only.
 */
#ifndef LT_CLI_FEED_H
#define LT_CLI_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/tracer.h"
#include "cli/modules.h"
#include "cli/naming.h"
#include "cli/options.h"
#include "cli/outputs.h"
#include "cli/pipeline.h"
#include "probe/plan.h"
#include "stream/live.h"
#include "stream/record.h"
#include "symbol/symbolizer.h"

struct lt_session {
	const struct lt_options *options;
	struct lt_process process;
	struct lt_plan plan;
	struct lt_features features;
	struct lt_tracer *tracer;
	struct lt_live *live;
	struct lt_pipeline *pipeline;
	struct lt_recorder *recorder;
	struct lt_symbolizer *symbolizer;
	struct lt_resolver
		*resolver; /* the symbolizer's: only what may be called from any thread */
	struct lt_naming naming;
	struct lt_modules *modules;
	struct lt_outputs outputs;
	int signal_fd, sample_fd, report_fd;
	uint64_t now_ns; /* time of the event under construction */
	unsigned int reports;
	bool report_pending; /* it waits for names */
	bool record_failed;
	struct lt_event_end end;
};

/* An lt_event_sink: every event, from the rings and from the feed, passes through this door. */
int lt_feed_emit(void *session, const struct lt_event *event);

/* TARGET, the first MODULEs and PROCESS. */
int lt_feed_start(struct lt_session *session);
/* MODULEs as they come: cheap, to be called all the time. */
int lt_feed_follow(struct lt_session *session);
/* Once a second: new MODULEs, COUNTERS, SAMPLE. */
int lt_feed_sample(struct lt_session *session);
/*
 * A report in two steps: its names are asked for, and it goes out once lt_feed_names() says that it
 * need not wait for them any longer.
 */
int lt_feed_prepare(struct lt_session *session);
int lt_feed_report(struct lt_session *session);
/* SYMBOLs: the names found so far.  1: a pending report should wait for more; 0; or -errno. */
int lt_feed_names(struct lt_session *session);
/*
 * The final report in two steps, after the last sample: END and the last figures, then, once
 * lt_feed_names() waits no longer, the report as of that moment.
 */
int lt_feed_end(struct lt_session *session);
int lt_feed_final(struct lt_session *session);
/* True once the target ended, by exec or by exit; how is in session->end then. */
bool lt_feed_target_ended(struct lt_session *session);

#endif
