// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/headroom.h"

#include <errno.h>
#include <math.h>

#include "report/resident.h"

#define GOOD_PART        (1.0 / 12) /* of what is used: below it, it is others who fill a limit */
#define SECONDS_PER_HOUR 3600.0

/* By enum lt_limit. */
static const struct {
	uint8_t listing; /* of the kinds that count */
	bool own;        /* counts this process alone */
	const char *what, *limit, *whose;
} limits[LT_LIMITS] = {
	[LT_LIMIT_DESCRIPTORS] = { LT_LISTING_DESCRIPTORS, true, "descriptors", "RLIMIT_NOFILE",
				   "of the process" },
	[LT_LIMIT_USER_THREADS] = { LT_LISTING_THREADS, false, "threads", "RLIMIT_NPROC",
				    "of all processes of its user" },
	[LT_LIMIT_CGROUP_THREADS] = { LT_LISTING_THREADS, false, "threads", "pids.max",
				      "of its control group" },
	[LT_LIMIT_SYSTEM_THREADS] = { LT_LISTING_THREADS, false, "threads",
				      "threads-max or pid_max", "of the machine" },
};

enum { ROWS_MAX = LT_LIMITS + 1 }; /* and memory */

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static double seconds_left(uint64_t room, double growth_per_hour)
{
	if (isnan(growth_per_hour))
		return NAN;
	return growth_per_hour > 0 ? (double)room / growth_per_hour * SECONDS_PER_HOUR : INFINITY;
}

static uint64_t alive(const struct lt_report *report, uint8_t listing)
{
	uint64_t live = 0;

	for (size_t i = 0; i < LT_KINDS; i++)
		if (lt_kind_infos[i].listing == listing)
			live += report->kinds[i].live_count;
	return live;
}

static bool is_known(const struct lt_report_input *input, size_t which)
{
	return input->limits && input->limits[which].limit;
}

/* What the limit counts.  Of this process it is what lives now, as all the rest of the report says;
 * the kernel was asked somewhat earlier. */
static uint64_t used(const struct lt_report_input *input, size_t which, uint64_t alive)
{
	return limits[which].own || !input->limits[which].used ? alive : input->limits[which].used;
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

	if (!is_known(input, which))
		return false;
	*row = (struct lt_report_headroom){
		.what = limits[which].what,
		.unit = "",
		.limit = limits[which].limit,
		.whose = limits[which].whose,
		.used = used(input, which, alive(report, listing)),
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

/* What is unknown is as far as what does not grow. */
static bool is_nearer(const struct lt_report_headroom *a, const struct lt_report_headroom *b)
{
	double of_a = isnan(a->seconds_left) ? INFINITY : a->seconds_left;
	double of_b = isnan(b->seconds_left) ? INFINITY : b->seconds_left;

	if (of_a < of_b || of_a > of_b)
		return of_a < of_b;
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
		report->exhausted = report->exhausted || (which < LT_LIMITS && row.used >= row.max);
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
			   size_t kind, const struct lt_evidence *evidence)
{
	const struct lt_kind_info *info = &lt_kind_infos[kind];
	/* What is stable rises by chance, if it does. */
	double growth_per_hour = evidence->verdict > LT_VERDICT_STABLE ||
						 isnan(evidence->growth_per_hour)
					 ? evidence->growth_per_hour
					 : 0;
	double resident = lt_resident_share(input->process, kind, report->kinds[kind].live_size);
	struct lt_report_headroom row;
	double nearest = NAN; /* no limit: fmin() takes the other one */

	if (isnan(growth_per_hour))
		return NAN;
	if (resident != 0 && input->process && input->process->available_bytes)
		nearest = seconds_left(input->process->available_bytes, growth_per_hour * resident);
	for (size_t which = 0; which < LT_LIMITS; which++)
		if (limits[which].listing == info->listing && limit_row(input, report, which, &row))
			nearest = fmin(nearest,
				       seconds_left(less(row.max, row.used), growth_per_hour));
	return nearest;
}

bool lt_headroom_fills(const struct lt_report_input *input, uint8_t listing, uint64_t alive)
{
	for (size_t which = 0; which < LT_LIMITS; which++) {
		double all = limits[which].listing == listing && is_known(input, which)
				     ? (double)used(input, which, alive)
				     : 0;

		if (all > 0 && all >= LT_NEARLY_FULL * (double)input->limits[which].limit &&
		    (double)alive >= GOOD_PART * all)
			return true;
	}
	return false;
}
