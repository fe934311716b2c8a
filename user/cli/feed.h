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
#include "cli/options.h"
#include "cli/outputs.h"
#include "cli/pipeline.h"
#include "probe/plan.h"
#include "stream/live.h"
#include "stream/record.h"
#include "symbol/resolver.h"

struct lt_session {
	const struct lt_options *options;
	struct lt_process process;
	struct lt_plan plan;
	struct lt_features features;
	struct lt_tracer *tracer;
	struct lt_live *live;
	struct lt_pipeline *pipeline;
	struct lt_recorder *recorder;
	struct lt_resolver *resolver;
	struct lt_modules *modules;
	struct lt_outputs outputs;
	int signal_fd, sample_fd, report_fd;
	uint64_t now_ns;  /* time of the event under construction */
	uint64_t *wanted; /* addresses that the next report wants named */
	size_t wanted_count;
	unsigned int reports;
	bool record_failed;
	struct lt_event_end end;
};

/* An lt_event_sink: every event, from the rings and from the feed, passes through this door. */
int lt_feed_emit(void *session, const struct lt_event *event);

/* TARGET, the first MODULEs and PROCESS. */
int lt_feed_start(struct lt_session *session);
int lt_feed_sample(struct lt_session *session);
int lt_feed_report(struct lt_session *session, bool final);
int lt_feed_end(struct lt_session *session);
/* True once the target ended, by exec or by exit; how is in session->end then. */
bool lt_feed_target_ended(struct lt_session *session);

#endif
