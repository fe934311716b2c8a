/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One report as an immutable value: built once per REPORT event from model, verdicts and symbols,
 * then handed to every exporter.  Strings are owned by the report's arena, so that it outlives the
 * state it was built from.
 */
#ifndef LT_REPORT_REPORT_H
#define LT_REPORT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/kind.h"
#include "model/model.h"
#include "report/marks.h"
#include "report/memory.h"
#include "symbol/store.h"
#include "trend/verdict.h"

/* The used share of a limit from which it matters, though nothing leaks towards it. */
#define LT_NEARLY_FULL 0.75

struct lt_report_frame {
	const char *function; /* "" unknown */
	const char *file;     /* "" unknown */
	uint32_t line;        /* 0 unknown */
	bool inlined;
	const char *module; /* path; "" when no module covers the address */
	uint64_t offset; /* file offset in the module of the looked-up address; else the address */
	const char *build_id; /* hex, "" none */
	/* NULL: a frame.  Else no code: what the frames around it are; all names are "", offset is 0. */
	const struct lt_mark_info *mark;
};

/* What some of a site's resources are: those that have this in common. */
struct lt_report_group {
	const char *type; /* "TCP", "file", "pipe", "thread" ... */
	/* How what follows is meant: "to" its remote end, "at" its local one, "" a path or name, "in" a
	   folder, "running" a function */
	const char *relation;
	const char *what; /* "" nothing more is common to them: all that is in no other group */
	uint64_t count;
	const struct lt_report_state { /* TCP states, the most frequent first */
		const char *name;
		uint64_t count;
	} * states;
	size_t state_count;
	double oldest_age_s; /* the oldest's; may be before the attach; NaN: unknown */
};

/* Sites of different kinds that rise in step, of those that are shown (report/findings.h). */
struct lt_report_finding {
	const uint32_t *sites; /* indices in lt_report.sites, two or more, ascending */
	size_t site_count;
	double correlation; /* the least of its sites with the first one */
	bool of_increases;  /* struct lt_step */
	/* The innermost function that they have in common; line 0: they call from different ones;
	   NULL: none. */
	const struct lt_report_frame *caller;
};

/* A limit of the process or of its surroundings. */
struct lt_report_headroom {
	const char *what;  /* "descriptors", "threads", "memory" */
	const char *unit;  /* "bytes" or "" */
	const char *limit; /* by name: "RLIMIT_NOFILE", "pids.max", ... */
	const char *whose; /* "of the process", "of all processes of its user" ... */
	uint64_t used, max;
	/* Of this process: of its leaking sites.  NaN: unknown (leaking_memory_per_hour) */
	double growth_per_hour;
	double seconds_left; /* at that growth; INFINITY: not growing; NaN: unknown */
};

struct lt_report_site {
	const char *kind;  /* "heap" */
	const char *unit;  /* "bytes" or "" */
	uint64_t stack_id; /* stable: lt_symbol_store_stable_id */
	uint64_t live_count, live_size, acquired_count, acquired_size, released_count,
		released_size, peak_size;
	double oldest_age_s; /* NaN when nothing lives */
	/* Until the nearest limit of its kind, at this growth; NaN: none known, or the growth is
	   not; INFINITY: not growing, also at a limit that is reached */
	double seconds_to_limit;
	struct lt_evidence evidence;
	const struct lt_report_frame *frames; /* leaf first, inlines expanded */
	uint32_t frame_count;
	const char *stack_end; /* "" complete, else a phrase: "no frame pointer", ... */
	/* Of kinds that the kernel lists: what they are, the largest group first. */
	const struct lt_report_group *groups;
	size_t group_count;
	uint64_t group_rest; /* resources in no group that is shown */
	uint32_t finding;    /* 1 + index in lt_report.findings; 0: none */
	/* Of kinds that are observed rather than followed (struct lt_event_observe): */
	bool observed;
	uint64_t sampled; /* resources that the estimate is made from; 0: exact */
	/* It holds much of what a limit that is nearly full counts: among the three largest sites,
	   by what lives, of that limit's listing (report/headroom.h). */
	bool fills;
};

struct lt_report_kind { /* all sites of a kind */
	size_t sites;
	uint64_t live_count, live_size;
	double leaking_per_hour; /* size units; the growth of those that are leaking */
	double growth_per_hour;  /* likewise, of all that have a slope; NaN: none has */
};

struct lt_report_target {
	uint32_t pid, ns_pid;
	const char *comm, *exe, *allocator;
	uint32_t parent_pid; /* 0: unknown */
};

struct lt_report_input {
	const struct lt_model *model;
	const struct lt_symbol_store *symbols;
	const struct lt_evidence *evidence; /* one per site of the model */
	const struct lt_event_target *target;
	uint32_t tgid;
	const struct lt_event_process *process; /* latest */
	double heap_growth_bytes; /* of live heap, between those two looks at the process */
	const struct lt_event_process *process_first; /* at the attach */
	const struct lt_history *const *histories;    /* one per site of the model; NULL: none */
	/* By enum lt_limit; limit 0: not known.  NULL: none is. */
	const struct lt_event_limit *limits;
	/* The latest, and at the attach.  NULL: none */
	const struct lt_event_runtime *runtime, *runtime_first;
	const uint64_t *counters; /* LT_COUNTER_COUNT, with the model's own already merged in */
	uint64_t attach_ns, time_ns;
	unsigned int sequence; /* 1, 2, ... */
	unsigned int top;      /* sites shown */
	bool final;
	uint32_t end_reason; /* enum lt_end_reason, when final */
	int32_t end_status;
};

struct lt_report {
	bool final;
	unsigned int sequence;
	uint32_t end_reason;
	int32_t end_status;
	double elapsed_s;  /* since the attach */
	double realtime_s; /* Unix time of the report */
	double interval_s;
	struct lt_report_target target;
	uint64_t rss_bytes, limit_bytes, available_bytes; /* 0: unknown */
	double rss_growth_bytes; /* since the attach; NaN: never observed */
	double explained_ratio;  /* memory.explained over RSS growth; NaN when RSS did not grow by
				    >= 1 MiB; above 1 where blocks reuse old pages, or untouched */
	struct lt_report_memory memory;
	bool has_runtime;
	struct lt_event_runtime runtime, runtime_first; /* the latest, and at the attach */
	struct lt_report_kind kinds[LT_KINDS];          /* as lt_kind_infos */
	uint64_t live_bytes;            /* of the kinds that are measured in bytes */
	double growth_per_hour;         /* bytes; all sites that have a slope; NaN: none has */
	double leaking_growth_per_hour; /* bytes; all leaking sites, also those below the top */
	/* Of these, what fills the memory limit, which are resident pages: report/resident.h.  NaN:
	   kinds leak of which nobody knows how much is resident. */
	double leaking_memory_per_hour;
	struct lt_model_totals totals;
	struct lt_model_listing listings[LT_LISTINGS];
	const struct lt_report_headroom *headroom; /* the nearest first */
	size_t headroom_count;
	/* A limit of descriptors or of threads is reached: nothing of the kind can grow any more. */
	bool exhausted;
	const struct lt_report_finding *findings;
	size_t finding_count;
	uint64_t counters[LT_COUNTER_COUNT];
	uint64_t collector_cpu_ns, collector_rss_bytes; /* 0: unknown */
	size_t verdict_counts[LT_VERDICT_LEAKING + 1];  /* over all sites */
	size_t site_total;                              /* all sites ever seen */
	/* At most top; gravest verdict first, then growth: bytes and numbers take turns; what
	   fills a limit is before what alarms nobody (report/ranking.h). */
	const struct lt_report_site *sites;
	size_t site_count;
	/*
	 * Everything below the top, summed by kind, so that sums over sites equal the totals:
	 * stack_id 0, no frames, all evidence unknown.  Only kinds that have such sites.
	 */
	const struct lt_report_site *others;
	size_t other_count;
};

/* 0 with *report to be freed, or -ENOMEM. */
int lt_report_build(const struct lt_report_input *input, struct lt_report **report);
void lt_report_free(struct lt_report *report);
/* Of a site's figures, if they are an estimate: its standard deviation.  NaN: they are exact */
double lt_report_relative_error(const struct lt_report_site *site);
/*
 * The addresses that the report of this input would want named and the store has never looked up:
 * calls want for each, once or more.  Ranking is the same as in lt_report_build.
 */
int lt_report_wanted(const struct lt_report_input *input, int (*want)(void *context, uint64_t pc),
		     void *context);

#endif
