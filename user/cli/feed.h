/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of a live session: its state, and the feed that turns what the outside says (clock,
 * /proc, BPF counters, names) into events.  For the files of user/cli that make up a session.
 */
#ifndef LT_CLI_FEED_H
#define LT_CLI_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/tracer.h"
#include "cli/modules.h"
#include "cli/naming.h"
#include "cli/options.h"
#include "cli/outputs.h"
#include "cli/pipelines.h"
#include "probe/plan.h"
#include "proc/launch.h"
#include "stream/live.h"
#include "stream/record.h"
#include "symbol/symbolizer.h"

#define HASH_NONFATAL_OOM 1 /* a failed insertion leaves hh.tbl NULL */
#include <uthash.h>

/* Looks that are not for a report take one part in so many of the time: nobody reads the rings then. */
#define LT_LOOK_PAUSE 50

/* Program code in memory: that of a process, and of those it forked that have mapped nothing new. */
struct lt_image {
	unsigned int holders; /* targets */
	struct lt_resolver
		*resolver; /* the symbolizer's: only what may be called from any thread */
	struct lt_symbolizer *symbolizer;
	struct lt_symbol_store *symbols; /* held */
	struct lt_modules *modules;
	struct lt_naming naming;
	struct lt_process process; /* that of one of the holders, opened once more */
	struct lt_image *next;
};

/* Files of a plan, by index; those beyond it get no probes. */
#define LT_SET_FILES 1024

struct lt_file_set {
	uint64_t words[LT_SET_FILES / 64];
	size_t count;
};

static inline bool lt_file_set_has(const struct lt_file_set *set, size_t file)
{
	return file < LT_SET_FILES && set->words[file / 64] >> file % 64 & 1;
}

struct lt_golang;

/* A process that is traced, from its (fork or) exec to its exec or exit. */
struct lt_target {
	uint32_t number;     /* in events */
	uint32_t pid;        /* in the initial pid namespace */
	uint32_t parent_pid; /* 0: the user named it */
	struct lt_process process;
	bool opened;             /* process is; else it was gone before we came */
	bool given;              /* the user named it */
	bool ended;              /* as end says; its last events may be in the rings ... */
	unsigned int ended_turn; /* ... until they have been read in a turn after this one */
	bool told_end;           /* END is out; its last report waits for names */
	struct lt_event_end end;
	struct lt_plan plan;         /* of what was attached for it alone */
	struct lt_file_set attached; /* of its plan, or the session's: those with probes */
	uint64_t attached_ns;        /* when it got the last of them */
	unsigned int planned;        /* lt_modules_changes() when allocators were last looked for */
	uint64_t looked_ns, look_cost_ns; /* the latest census */
	bool starts_looked_for;
	uint32_t start_offset;             /* lt_start_offset(), once looked for */
	bool is_go;                        /* looked for if the user does not say what to watch */
	struct lt_golang *golang;          /* NULL: no Go program, or not looked at yet */
	bool strayed;                      /* it has mapped code that its image's others have not */
	struct lt_image *image;            /* NULL: not opened */
	struct lt_pipeline *pipeline;      /* borrowed */
	uint64_t losses[LT_COUNTER_COUNT]; /* before it came */
	unsigned int reports;
	UT_hash_handle hh;
};

/* A stack that was cut as its code was in doubt, and the id under which what is left of it goes. */
struct lt_cut_stack {
	uint32_t process;
	uint64_t stack_id, sure_id;
};

#define LT_CUT_STACKS 1024 /* direct-mapped */

struct lt_session {
	struct lt_options chosen; /* what the user asked for, and what follows from the targets */
	const struct lt_options *options;
	struct lt_features features;
	struct lt_tracer *tracer;
	struct lt_tables *tables;
	struct lt_map_watch *watch; /* NULL: the kernel refused */
	struct lt_modules_shared shared;
	struct lt_live *life, *live;
	struct lt_pipelines *pipelines;
	struct lt_recorder *recorder;
	struct lt_target *targets; /* by number, in the order in which they came */
	struct lt_image *images;
	struct lt_plan plan; /* what was attached for all whose children are followed */
	struct lt_launch *launch;
	struct lt_outputs outputs;
	int wake_fd; /* epoll: there is something to do */
	int signal_fd, sample_fd, report_fd;
	uint64_t now_ns;     /* time of the event under construction */
	unsigned int rounds; /* of reports */
	unsigned int turn;   /* of reading the rings */
	uint64_t cuts; /* stacks and acquires that were cut here, as their code was in doubt */
	uint64_t own_rss_bytes, own_rss_ns; /* our own memory, and when it was looked at */
	uint64_t strays;                    /* events of processes that nobody told of */
	struct lt_cut_stack cut_stacks[LT_CUT_STACKS];
	struct lt_cut_stack awaited_stacks[LT_CUT_STACKS]; /* acquires in doubt came before them */
	bool kinds_by_target;                              /* the user did not say what to watch */
	bool detached;                                     /* no events come any more */
	bool told_no_list;                                 /* that something cannot be listed */
	bool told_no_sockets;                              /* that sockets cannot be described */
	bool report_pending;                               /* it waits for names */
	bool record_failed;
	bool command_ended;
	int command_status; /* as wait(2) gives it */
};

/* An lt_event_sink: every event, from the rings and from the feed, passes through this door. */
int lt_feed_emit(void *session, const struct lt_event *event);
/* Behind it: to the recording and to the pipelines, as it is. */
int lt_feed_deliver(struct lt_session *session, const struct lt_event *event);
/* Reads the rings, until what was in them at the call has been told; but by a very fast target. */
int lt_feed_drain(const struct lt_session *session);
uint64_t lt_feed_now(void);
/* One of this target that is told now; its kind and what belongs to the type are the caller's to fill in. */
struct lt_event lt_feed_event(const struct lt_target *target, enum lt_event_type type);

/* TARGET, the first MODULEs and PROCESS.  shares: the target whose image it has, or NULL. */
int lt_feed_start(struct lt_session *session, struct lt_target *target,
		  const struct lt_target *shares);
/* UNSHARE, and the MODULEs of the image that it has got of its own. */
int lt_feed_unshare(struct lt_session *session, struct lt_target *target);
/* MODULEs as they come: cheap, to be called all the time. */
int lt_feed_follow(struct lt_session *session);
/* Once a second: new MODULEs, COUNTERS, SAMPLE. */
int lt_feed_sample(struct lt_session *session);
/*
 * Reports in two steps: their names are asked for, and they go out once lt_feed_names() says that
 * they need not wait for them any longer.
 */
int lt_feed_prepare(struct lt_session *session);
int lt_feed_report(struct lt_session *session);
/* SYMBOLs: the names found so far.  1: a pending report should wait for more; 0; or -errno. */
int lt_feed_names(struct lt_session *session);
/* Names that are awaited. */
size_t lt_feed_missing(const struct lt_session *session);
/*
 * The final reports in two steps, after the last sample: END and the last figures, then, once
 * lt_feed_names() waits no longer, the reports as of that moment.
 */
int lt_feed_end(struct lt_session *session);
int lt_feed_final(struct lt_session *session);
/*
 * The same for one process that ended while others live: lt_feed_leave() begins its last report,
 * lt_feed_gone() is the end of it, without a report if it never began.  lt_feed_may_go(): it has the
 * names it waits for.
 */
int lt_feed_leave(struct lt_session *session, struct lt_target *target);
bool lt_feed_may_go(const struct lt_target *target);
int lt_feed_gone(struct lt_session *session, struct lt_target *target);

#endif
