/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where reports go: text on stdout, NDJSON, the Prometheus textfile.
 */
#ifndef LT_CLI_OUTPUTS_H
#define LT_CLI_OUTPUTS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"
#include "cli/options.h"
#include "cli/pipelines.h"
#include "export/export.h"

struct lt_outputs {
	const struct lt_options *options;
	struct lt_text_style style;
	FILE *json;          /* owned unless it is stdout; NULL: none */
	bool text;           /* text on stdout */
	bool prom_written;   /* a textfile of ours exists */
	uint32_t session;    /* the pid of the first process */
	unsigned int totals; /* made so far */
	double began_s;      /* Unix time of the first attach; 0: no report yet */
	struct lt_buf buffer;
};

/* Opens what the options ask for; error gets one line with the remedy.  0 or -errno. */
int lt_outputs_open(struct lt_outputs *outputs, const struct lt_options *options,
		    struct lt_buf *error);
/* on_round of the pipelines. */
int lt_outputs_round(void *outputs, const struct lt_round *round);
/* Flushes and closes; a clean exit removes the textfile unless it is to be kept: else node_exporter
   would go on to serve the figures of a session that is over. */
int lt_outputs_close(struct lt_outputs *outputs, bool clean);

#endif
