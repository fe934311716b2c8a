/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line.  One table (options.def) makes the parser, and what there is to read
 * (manual.h).  Parsing is pure: nothing is printed, nothing exits; strings borrow from argv.
 */
#ifndef LT_CLI_OPTIONS_H
#define LT_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "probe/plan.h"
#include "proc/select.h"

enum lt_mode {
	LT_MODE_ATTACH = 0,
	LT_MODE_REPLAY = 1,
};

enum lt_color {
	LT_COLOR_AUTO = 0,
	LT_COLOR_ALWAYS = 1,
	LT_COLOR_NEVER = 2,
};

struct lt_options {
	enum lt_mode mode;
	/* ATTACH: the targets, in one of four ways; pids as our own pid namespace shows them */
	struct lt_pids pids;
	uint32_t pid;                     /* the first of pids; 0: none */
	const char *name;                 /* lt_select_by_name(); NULL: none */
	const char *cgroup;               /* lt_select_by_cgroup(); NULL: none */
	struct lt_plan_options plan;      /* allocators */
	char **command;                   /* to be started, ends with NULL; NULL: none */
	const char *replay_file;          /* REPLAY */
	double interval_s;                /* between reports; >= 0.1 */
	uint64_t count;                   /* reports; 0: until the end */
	uint32_t top;                     /* 1 .. LT_MAX_REPORT_SITES */
	uint64_t kinds;                   /* bit 1 << enum lt_kind; 0: by what the targets are */
	double min_growth_per_hour;       /* 0: any */
	const char *prom, *json, *record; /* NULL: none; json may be "-" */
	const char *debuginfod;           /* NULL: never; "": servers of the environment; or URLs */
	uint32_t max_frames;              /* 1 .. LT_MAX_FRAMES; 0: default */
	uint64_t ring_size;               /* bytes per ring; 0: default */
	enum lt_color color;
	bool explain, fail_on_leak, follow, go_enable_profile, go_probes, keep_prom, propagate_exit,
		quiet, verbose;
};

/* lt_options_parse: */
#define LT_OPTIONS_RUN  0
#define LT_OPTIONS_EXIT 1

/*
 * LT_OPTIONS_RUN; LT_OPTIONS_EXIT: print text on stdout and exit with 0; -EINVAL: text is one line
 * with the remedy, exit with 2; -ENOMEM.  Not reentrant: getopt_long keeps its place in globals.
 */
int lt_options_parse(struct lt_options *options, int argc, char **argv, struct lt_buf *text);

/* What --kinds all means. */
uint64_t lt_options_all_kinds(void);

#endif
