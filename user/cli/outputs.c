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

int lt_outputs_report(void *context, const struct lt_report *report)
{
	struct lt_outputs *outputs = context;
	int err = 0;

	lt_buf_clear(&outputs->buffer);
	outputs->final_seen |= report->final;
	if (outputs->text && !(outputs->options->quiet && !report->final)) {
		lt_export_text(report, &outputs->style, &outputs->buffer);
		err = write_out(outputs, stdout);
	}
	if (!err && outputs->json) {
		lt_export_json(report, &outputs->buffer);
		err = write_out(outputs, outputs->json);
	}
	/* A reader that went away (leaktrace | head) ends the session; a full disk does as well. */
	if (err)
		lt_error("cannot write the report: %s", strerror(-err));
	if (!err && outputs->options->prom) {
		lt_export_prometheus(report, &outputs->buffer);
		err = lt_buf_error(&outputs->buffer);
		if (!err)
			err = lt_output_replace(outputs->options->prom, outputs->buffer.data,
						outputs->buffer.len);
		if (err) {
			/* The next interval tries again: a scrape is not worth the session. */
			lt_warn("cannot write %s: %s", outputs->options->prom,
				lt_output_error(err));
			err = 0;
		} else {
			outputs->prom_written = true;
		}
	}
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
