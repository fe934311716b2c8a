// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/outputs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "export/output.h"

#define MIN_COLUMNS 80

static unsigned int terminal_columns(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	long value = 0;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		value = size.ws_col;
	else if (columns)
		value = strtol(columns, NULL, 10);
	return value < MIN_COLUMNS ? MIN_COLUMNS : value > 1000 ? 1000 : (unsigned int)value;
}

static bool wants_color(enum lt_color color)
{
	const char *no_color = getenv("NO_COLOR"); /* https://no-color.org */

	if (color != LT_COLOR_AUTO)
		return color == LT_COLOR_ALWAYS;
	return isatty(STDOUT_FILENO) && !(no_color && *no_color);
}

int lt_outputs_open(struct lt_outputs *outputs, const struct lt_options *options,
		    struct lt_buf *error)
{
	const char *failed = NULL;
	int err = 0;

	*outputs = (struct lt_outputs){ .options = options };
	outputs->style = (struct lt_text_style){
		.color = wants_color(options->color),
		.verbose = options->verbose,
		.columns = terminal_columns(),
	};
	outputs->text = true;
	if (options->json) {
		if (strcmp(options->json, "-") == 0) {
			outputs->json = stdout;
			outputs->text = false;
		} else {
			err = lt_output_open(options->json, &outputs->json);
			failed = options->json;
		}
	}
	if (!err && options->prom) {
		err = lt_output_check(options->prom);
		failed = options->prom;
	}
	if (err) {
		lt_buf_printf(error, "cannot write %s: %s", failed, lt_output_error(err));
		lt_outputs_close(outputs, false);
	}
	return err;
}

static int write_out(struct lt_outputs *outputs, FILE *file)
{
	size_t length = outputs->buffer.len;

	if (lt_buf_error(&outputs->buffer))
		return lt_buf_error(&outputs->buffer);
	errno = EIO;
	if (fwrite(outputs->buffer.data, 1, length, file) != length || fflush(file))
		return -errno;
	lt_buf_clear(&outputs->buffer);
	return 0;
}

static int write_text(struct lt_outputs *outputs, const struct lt_round *round,
		      const struct lt_total *total)
{
	for (size_t i = 0; i < round->count; i++) {
		const struct lt_report *report = round->reports[i];
		bool shown = !total;

		/* Of many processes those that the total names. */
		for (size_t j = 0; total && j < total->shown_count && !shown; j++)
			shown = total->processes[j].pid == report->target.pid;
		if (shown && (!outputs->options->quiet || report->final))
			lt_export_text(report, &outputs->style, &outputs->buffer);
	}
	if (total && (!outputs->options->quiet || total->final))
		lt_export_text_total(total, &outputs->style, &outputs->buffer);
	return write_out(outputs, stdout);
}

static int write_json(struct lt_outputs *outputs, const struct lt_round *round,
		      const struct lt_total *total)
{
	for (size_t i = 0; i < round->count; i++)
		lt_export_json(round->reports[i], &outputs->buffer);
	if (total)
		lt_export_json_total(total, &outputs->buffer);
	return write_out(outputs, outputs->json);
}

/* The next interval tries again: a scrape is not worth the session. */
static void write_prom(struct lt_outputs *outputs, const struct lt_round *round,
		       const struct lt_total *total)
{
	int err;

	lt_export_prometheus_all(round->reports, round->count, total, &outputs->buffer);
	err = lt_buf_error(&outputs->buffer);
	if (!err)
		err = lt_output_replace(outputs->options->prom, outputs->buffer.data,
					outputs->buffer.len);
	if (err)
		lt_warn("cannot write %s: %s", outputs->options->prom, lt_output_error(err));
	else
		outputs->prom_written = true;
}

/* That of a session is older than the processes of a round, if those before them have ended. */
static void note_beginning(struct lt_outputs *outputs, const struct lt_round *round)
{
	for (size_t i = 0; i < round->count; i++) {
		double began_s = round->reports[i]->realtime_s - round->reports[i]->elapsed_s;

		if (!outputs->began_s || began_s < outputs->began_s)
			outputs->began_s = began_s;
	}
}

/* Of several processes, now or before; a round with the report of one that ended has none. */
static int make_total(struct lt_outputs *outputs, const struct lt_round *round,
		      struct lt_total **total)
{
	const struct lt_report *first = round->reports[0];
	struct lt_total_input input = {
		.reports = round->reports,
		.count = round->count,
		.ended = round->ended,
		.sequence = ++outputs->totals,
		.top = outputs->options->top,
		.realtime_s = first->realtime_s,
		.elapsed_s = first->realtime_s - outputs->began_s,
		.interval_s = first->interval_s,
		.final = first->final,
	};

	if (!outputs->session)
		outputs->session = first->target.pid;
	input.session = outputs->session;
	return lt_total_build(&input, total);
}

int lt_outputs_round(void *context, const struct lt_round *round)
{
	struct lt_outputs *outputs = context;
	struct lt_total *total = NULL;
	int err;

	note_beginning(outputs, round);
	outputs->style.several = round->several;
	err = round->several && !round->leaver ? make_total(outputs, round, &total) : 0;
	lt_buf_clear(&outputs->buffer);
	if (!err && outputs->text)
		err = write_text(outputs, round, total);
	if (!err && outputs->json)
		err = write_json(outputs, round, total);
	/* A reader that went away (leaktrace | head) ends the session; a full disk does as well. */
	if (err)
		lt_error("cannot write the report: %s", strerror(-err));
	if (!err && outputs->options->prom && !round->leaver)
		write_prom(outputs, round, total);
	lt_total_free(total);
	return err;
}

int lt_outputs_close(struct lt_outputs *outputs, bool clean)
{
	int err = 0;

	if (outputs->json && outputs->json != stdout && fclose(outputs->json))
		err = -errno;
	outputs->json = NULL;
	if (clean && outputs->prom_written && !outputs->options->keep_prom)
		unlink(outputs->options->prom);
	lt_buf_free(&outputs->buffer);
	return err;
}
