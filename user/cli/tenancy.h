/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which code was at an address at which time, while mappings come and go: so that stacks, which are
 * read later than they were walked, are not taken for those of the code that came next.  A value,
 * without effects.  Times are CLOCK_MONOTONIC nanoseconds; ranges exclude their end; tags are
 * those of lt_address_plain() in stream/event.h.
 */
#ifndef LT_CLI_TENANCY_H
#define LT_CLI_TENANCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream/event.h"

#define LT_TENANTS 4096 /* comings and goings that are remembered: some seconds of churn */
#define LT_WINDOWS 256

/* An address whose code nobody can tell any more: no module has this tag. */
#define LT_TAG_UNKNOWN UINT64_C(0xffff)

struct lt_tenant {
	uint64_t start, end, tag, time_ns;
	uint64_t file; /* what identifies the mapped file and its part; 0: none */
};

/* Walks between these times may have taken new code for the old. */
struct lt_window {
	uint64_t start, end, from_ns, to_ns; /* to UINT64_MAX: still open */
};

/* Zeroed at first. */
struct lt_tenancy {
	struct lt_tenant arrived[LT_TENANTS], left[LT_TENANTS];
	struct lt_window windows[LT_WINDOWS];
	unsigned int arrived_count, left_count, window_count; /* ever */
	uint64_t quiet_ns;     /* no window reaches beyond; UINT64_MAX: one is open */
	uint64_t forgotten_ns; /* windows up to then may have been forgotten */
	uint64_t heard_ns;     /* some of what came before was not told, or is forgotten */
	unsigned int cut;      /* stacks, since the last window closed */
};

/*
 * Code of this file arrived: its tag shows the next look at the mappings.  A window opens also where
 * nothing was before: until the walker knows whose the code is, stacks of different files get
 * one id.
 */
void lt_tenancy_arrive(struct lt_tenancy *tenancy, uint64_t start, uint64_t end, uint64_t file,
		       uint64_t time_ns);
/* Code of this tag was there until then. */
void lt_tenancy_leave(struct lt_tenancy *tenancy, uint64_t start, uint64_t end, uint64_t tag,
		      uint64_t time_ns);
/*
 * Other code was found there than was known at from_ns, by a look that ended at ended_ns.  Unless
 * that was told as an arrival, a window opens, and nothing of that time is taken for sure.
 */
void lt_tenancy_doubt(struct lt_tenancy *tenancy, uint64_t start, uint64_t end, uint64_t from_ns,
		      uint64_t ended_ns);
/*
 * After a look at the mappings that began at looked_ns: tag_at says what is at an address now if
 * it is of that file, else LT_TAG_UNKNOWN.  (What is seen may have come after it was told of, or
 * be told of later: only the file says that it is the same.)
 */
void lt_tenancy_resolve(struct lt_tenancy *tenancy, uint64_t looked_ns,
			uint64_t (*tag_at)(void *context, uint64_t address, uint64_t file),
			void *context);
/* The walker knows now of what came before looked_ns.  True: stacks were cut meanwhile. */
bool lt_tenancy_close(struct lt_tenancy *tenancy, uint64_t looked_ns, uint64_t now_ns);

/* Whose an address was; now: the tag of what is there as far as known, if anything is (known). */
uint64_t lt_tenancy_tag(const struct lt_tenancy *tenancy, uint64_t address, uint64_t time_ns,
			bool known, uint64_t now);
/* True if an arrival that this time and address depends on is not resolved. */
bool lt_tenancy_unresolved(const struct lt_tenancy *tenancy, const struct lt_event_stack *stack,
			   uint64_t time_ns);
/* False: nothing of that time is in doubt.  Cheap. */
static inline bool lt_tenancy_doubtful(const struct lt_tenancy *tenancy, uint64_t time_ns)
{
	return time_ns < tenancy->quiet_ns;
}

/* The first frame in a window, or the number of frames. */
uint16_t lt_tenancy_first(const struct lt_tenancy *tenancy, const struct lt_event_stack *stack,
			  uint64_t time_ns);
/*
 * Cuts a stack behind the first frame in a window (true); plain addresses.  *closed: the window is
 * closed, so that lt_tenancy_close() will not tell of it.
 */
bool lt_tenancy_cut(struct lt_tenancy *tenancy, struct lt_event_stack *stack, uint64_t time_ns,
		    bool *closed);

#endif
