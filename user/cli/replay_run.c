// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/replay_run.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/exit_code.h"
#include "cli/outputs.h"
#include "cli/pipelines.h"
#include "stream/replay.h"

static int replay(const struct lt_options *options, FILE *file, struct lt_pipelines *pipelines)
{
	struct lt_replay_result result = { 0 };
	size_t ended;
	int err = lt_replay_file(file, lt_pipelines_apply, pipelines, &result);

	if (err) {
		if (err != -EPIPE)
			lt_error("%s: %s", options->replay_file,
				 result.error[0] ? result.error : strerror(-err));
		return err;
	}
	if (result.unknown_records)
		lt_warn("%s: %llu records of a newer leaktrace were skipped", options->replay_file,
			(unsigned long long)result.unknown_records);
	/* A recording that stops without an end (a crash) still gets its final report. */
	err = lt_pipelines_end(pipelines, &ended);
	if (!err && ended)
		lt_warn("%s ends early%s: this is what it holds", options->replay_file,
			result.truncated ? ", inside a record" : "");
	return err;
}

int lt_replay_run(const struct lt_options *options)
{
	_lt_buf_ struct lt_buf error = { 0 };
	_lt_fclose_ FILE *file = fopen(options->replay_file, "rbe");
	struct lt_pipelines *pipelines = NULL;
	struct lt_outputs outputs;
	struct lt_pipelines_options pipeline_options = {
		.top = options->top,
		.min_growth_per_hour = options->min_growth_per_hour,
		.on_round = lt_outputs_round,
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
	err = lt_pipelines_new(&pipelines, &pipeline_options);
	if (!err) {
		err = replay(options, file, pipelines);
		leaking = lt_pipelines_leaking(pipelines);
	}
	lt_pipelines_free(pipelines);
	if (lt_outputs_close(&outputs, false))
		err = err ? err : -EIO;
	if (err)
		return LT_EXIT_FAILURE;
	return options->fail_on_leak && leaking ? LT_EXIT_LEAK : LT_EXIT_DONE;
}
