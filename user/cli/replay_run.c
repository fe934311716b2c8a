// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/replay_run.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/exit_code.h"
#include "cli/outputs.h"
#include "cli/pipeline.h"
#include "stream/replay.h"

/* A recording that stops without an end (a crash) still gets its final report. */
static int finish_truncated(struct lt_pipeline *pipeline)
{
	struct lt_event event = {
		.type = LT_EVENT_END,
		.time_ns = lt_pipeline_last_ns(pipeline),
		.end = { .reason = LT_END_TRUNCATED },
	};
	int err = lt_pipeline_apply(pipeline, &event);

	if (err)
		return err;
	event.type = LT_EVENT_REPORT;
	event.report = (struct lt_event_report){ .final = true };
	return lt_pipeline_apply(pipeline, &event);
}

static int replay(const struct lt_options *options, FILE *file, struct lt_pipeline *pipeline,
		  const struct lt_outputs *outputs)
{
	struct lt_replay_result result = { 0 };
	int err = lt_replay_file(file, lt_pipeline_apply, pipeline, &result);

	if (err) {
		if (err != -EPIPE)
			lt_error("%s: %s", options->replay_file,
				 result.error[0] ? result.error : strerror(-err));
		return err;
	}
	if (result.unknown_records)
		lt_warn("%s: %llu records of a newer leaktrace were skipped", options->replay_file,
			(unsigned long long)result.unknown_records);
	if (result.events && !outputs->final_seen) {
		lt_warn("%s ends early%s: this is what it holds", options->replay_file,
			result.truncated ? ", inside a record" : "");
		return finish_truncated(pipeline);
	}
	return 0;
}

int lt_replay_run(const struct lt_options *options)
{
	_lt_buf_ struct lt_buf error = { 0 };
	_lt_fclose_ FILE *file = fopen(options->replay_file, "rbe");
	struct lt_pipeline *pipeline = NULL;
	struct lt_outputs outputs;
	struct lt_pipeline_options pipeline_options = {
		.top = options->top,
		.min_growth_per_hour = options->min_growth_per_hour,
		.on_report = lt_outputs_report,
		.context = &outputs,
	};
	size_t leaking = 0;
	int err;

	if (!file) {
		lt_error("cannot read %s: %s", options->replay_file, strerror(errno));
		return LT_EXIT_FAILURE;
	}
	signal(SIGPIPE, SIG_IGN);
	err = lt_outputs_open(&outputs, options, &error);
	if (err) {
		lt_error("%s", error.data ? error.data : strerror(-err));
		return LT_EXIT_FAILURE;
	}
	err = lt_pipeline_new(&pipeline, &pipeline_options);
	if (!err) {
		err = replay(options, file, pipeline, &outputs);
		leaking = lt_pipeline_leaking(pipeline);
	}
	lt_pipeline_free(pipeline);
	if (lt_outputs_close(&outputs, false))
		err = err ? err : -EIO;
	if (err)
		return LT_EXIT_FAILURE;
	return options->fail_on_leak && leaking ? LT_EXIT_LEAK : LT_EXIT_DONE;
}
