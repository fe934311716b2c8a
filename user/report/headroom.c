// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/headroom.h"

#include <errno.h>
#include <math.h>

#define SECONDS_PER_HOUR 3600.0

/* By enum lt_limit. */
static const struct {
	uint8_t listing; /* of the kinds that count */
	const char *what, *limit, *whose;
} limits[LT_LIMITS] = {
	[LT_LIMIT_DESCRIPTORS] = { LT_LISTING_DESCRIPTORS, "descriptors", "RLIMIT_NOFILE",
				   "of the process" },
	[LT_LIMIT_USER_THREADS] = { LT_LISTING_THREADS, "threads", "RLIMIT_NPROC",
				    "of all processes of its user" },
	[LT_LIMIT_CGROUP_THREADS] = { LT_LISTING_THREADS, "threads", "pids.max",
				      "of its control group" },
	[LT_LIMIT_SYSTEM_THREADS] = { LT_LISTING_THREADS, "threads", "threads-max or pid_max",
				      "of the machine" },
};

enum { ROWS_MAX = LT_LIMITS + 1 }; /* and memory */

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static double seconds_left(uint64_t room, double growth_per_hour)
{
	return growth_per_hour > 0 ? (double)room / growth_per_hour * SECONDS_PER_HOUR : INFINITY;
}

/* As the kernel counted them; what was tracked without a census is what came since the attach. */
static uint64_t held(const struct lt_report *report, uint8_t listing)
{
	uint64_t live = 0;

	for (size_t i = 0; i < LT_KINDS; i++)
		if (lt_kind_infos[i].listing == listing)
			live += report->kinds[i].live_count;
	return report->listings[listing].taken ? report->listings[listing].listed : live;
}

static double leaking(const struct lt_report *report, uint8_t listing)
{
	double growth = 0;

	for (size_t i = 0; i < LT_KINDS; i++)
		if (lt_kind_infos[i].listing == listing)
			growth += report->kinds[i].leaking_per_hour;
	return growth;
}

/* False: there is no such limit, or it is not known. */
static bool limit_row(const struct lt_report_input *input, const struct lt_report *report,
		      size_t which, struct lt_report_headroom *row)
{
	uint8_t listing = limits[which].listing;

	if (!input->limits || !input->limits[which].limit)
		return false;
	*row = (struct lt_report_headroom){
		.what = limits[which].what,
		.unit = "",
		.limit = limits[which].limit,
		.whose = limits[which].whose,
		/* What the limit counts, if it counts for more than this process. */
		.used = input->limits[which].used ? input->limits[which].used
						  : held(report, listing),
		.max = input->limits[which].limit,
		.growth_per_hour = leaking(report, listing),
	};
	row->seconds_left = seconds_left(less(row->max, row->used), row->growth_per_hour);
	return true;
}

static bool memory_row(const struct lt_report_input *input, const struct lt_report *report,
		       struct lt_report_headroom *row)
{
	const struct lt_event_process *process = input->process;

	if (!process || !process->limit_bytes || !process->available_bytes)
		return false;
	*row = (struct lt_report_headroom){
		.what = "memory",
		.unit = "bytes",
		.limit = "memory limit",
		.whose = "of its control group or the machine",
		.used = less(process->limit_bytes, process->available_bytes),
		.max = process->limit_bytes,
		.growth_per_hour = report->leaking_memory_per_hour,
		.seconds_left = seconds_left(process->available_bytes,
					     report->leaking_memory_per_hour),
	};
	return true;
}

static double used_share(const struct lt_report_headroom *row)
{
	return (double)row->used / (double)row->max;
}

static bool is_nearer(const struct lt_report_headroom *a, const struct lt_report_headroom *b)
{
	if (a->seconds_left < b->seconds_left || a->seconds_left > b->seconds_left)
		return a->seconds_left < b->seconds_left;
	return used_share(a) > used_share(b);
}

int lt_headroom_build(const struct lt_report_input *input, struct lt_arena *arena,
		      struct lt_report *report)
{
	struct lt_report_headroom *rows = lt_arena_alloc(arena, ROWS_MAX, sizeof(*rows)), row;
	size_t count = 0;

	if (!rows)
		return -ENOMEM;
	for (size_t which = 0; which < ROWS_MAX; which++) {
		size_t at = count;

		if (which < LT_LIMITS ? !limit_row(input, report, which, &row)
				      : !memory_row(input, report, &row))
			continue;
		for (; at > 0 && is_nearer(&row, &rows[at - 1]); at--)
			rows[at] = rows[at - 1];
		rows[at] = row;
		count++;
	}
	report->headroom = rows;
	report->headroom_count = count;
	return 0;
}

double lt_headroom_seconds(const struct lt_report_input *input, const struct lt_report *report,
			   size_t kind, double growth_per_hour)
{
	const struct lt_kind_info *info = &lt_kind_infos[kind];
	struct lt_report_headroom row;
	double nearest = NAN; /* no limit: fmin() takes the other one */

	if (isnan(growth_per_hour))
		return NAN;
	if (info->memory && input->process && input->process->available_bytes)
		nearest = seconds_left(input->process->available_bytes, growth_per_hour);
	for (size_t which = 0; which < LT_LIMITS; which++)
		if (limits[which].listing == info->listing && limit_row(input, report, which, &row))
			nearest = fmin(nearest,
				       seconds_left(less(row.max, row.used), growth_per_hour));
	return nearest;
}
