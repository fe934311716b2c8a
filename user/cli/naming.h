/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names for the coming report: asks a symbolizer for those that are not known yet, turns its
 * answers into SYMBOL events, says how long a report waits for them, and tells the user why.
 */
#ifndef LT_CLI_NAMING_H
#define LT_CLI_NAMING_H

#include "base/buf.h"
#include "cli/pipeline.h"
#include "symbol/symbolizer.h"

/* All borrowed but the state; zeroed at first.  Processes forked off each other share one. */
struct lt_naming {
	const struct lt_symbol_store *symbols;
	struct lt_symbolizer *symbolizer;
	uint64_t since_ns;  /* since when names are awaited without a break */
	uint64_t until_ns;  /* when a report waits no longer */
	struct lt_buf told; /* the file that was told last */
	bool last, told_wait, full;
};

/* Of a REPORT of this pipeline at this time. */
int lt_naming_ask(struct lt_naming *naming, struct lt_pipeline *pipeline, uint64_t now_ns);
/* Of the final one, which waits for longer, or of all sites. */
int lt_naming_ask_last(struct lt_naming *naming, struct lt_pipeline *pipeline, uint64_t now_ns,
		       bool all);
/* Emits what was answered, each in a copy of the event given. */
int lt_naming_emit(struct lt_naming *naming, const struct lt_event *event, lt_event_sink sink,
		   void *context);
/* True while a report should wait. */
bool lt_naming_awaited(const struct lt_naming *naming, uint64_t now_ns);
/* Why a report comes late: one line for the names, one for each file that holds it up. */
void lt_naming_tell(struct lt_naming *naming, uint64_t now_ns);
void lt_naming_free(struct lt_naming *naming);

#endif
