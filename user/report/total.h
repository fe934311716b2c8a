/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All processes of a session together, as an immutable value: who needs to be looked at first.
 * Built from the reports of one interval; owns its strings, so that it outlives them.
 */
#ifndef LT_REPORT_TOTAL_H
#define LT_REPORT_TOTAL_H

#include "report/report.h"

/* Processes that ended, and are in no report any more: short-lived children above all. */
struct lt_ended_summary {
	uint64_t processes;
	uint64_t acquired_count, released_count;
	uint64_t live_at_end_count;
	uint64_t live_at_end_size; /* bytes of memory (base/kind.h): given back by the kernel */
	uint64_t unknown_released;
};

struct lt_total_process {
	uint32_t pid, ns_pid, parent_pid;
	const char *comm;
	uint64_t rss_bytes;     /* 0: unknown */
	uint64_t live_bytes;    /* of memory, as in the sums below */
	double growth_per_hour; /* likewise; NaN: unknown */
	double leaking_growth_per_hour;
	bool has_sites;
	enum lt_verdict verdict; /* the gravest of its sites, if it has any */
	size_t leaking;          /* sites */
	struct lt_report_kind kinds[LT_KINDS];
};

struct lt_total_input {
	const struct lt_report *const *reports; /* one per process */
	size_t count;
	struct lt_ended_summary ended;
	uint32_t session; /* tells sessions on one machine apart: the pid of the first target */
	unsigned int sequence;
	unsigned int top; /* processes in the ranking */
	double realtime_s, elapsed_s, interval_s;
	bool final;
};

struct lt_total {
	bool final;
	uint32_t session;
	unsigned int sequence;
	double realtime_s, elapsed_s, interval_s;
	size_t process_count;
	uint64_t rss_bytes;      /* of those where it is known; shared pages count in each */
	double rss_growth_bytes; /* likewise; NaN: known of none */
	/* In bytes of memory (base/kind.h), and so the growth: addresses add up to nothing. */
	uint64_t live_bytes;
	struct lt_report_kind kinds[LT_KINDS]; /* as in a report, summed */
	uint64_t live_count, acquired_count, released_count, unknown_released;
	double growth_per_hour; /* NaN: known of none */
	double leaking_growth_per_hour;
	size_t leaking_processes;
	size_t exhausted_processes;                     /* at a limit: struct lt_report */
	size_t verdict_counts[LT_VERDICT_LEAKING + 1];  /* sites */
	struct lt_ended_summary ended;                  /* not in the sums above */
	uint64_t collector_cpu_ns, collector_rss_bytes; /* of the one collector; 0: unknown */
	const struct lt_total_process *processes;       /* gravest first; at most top */
	size_t shown_count;
};

/* 0 with *total to be freed, or -ENOMEM. */
int lt_total_build(const struct lt_total_input *input, struct lt_total **total);
void lt_total_free(struct lt_total *total);

#endif
