/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Follows the executable mappings of a live target: each new one becomes a MODULE event, is opened
 * for the symbolizer while the target lives, and is told to the stack walker with its unwind
 * table.  A mapping that took the place of another is marked as pending at once, so that nothing
 * is unwound by the table of what was there before; stacks walked in between are cut.
 */
#ifndef LT_CLI_MODULES_H
#define LT_CLI_MODULES_H

#include "bpf/map_watch.h"
#include "bpf/tables.h"
#include "bpf/tracer.h"
#include "proc/process.h"
#include "stream/event.h"
#include "symbol/symbolizer.h"

struct lt_modules;

/* What all of a session have in common; borrowed. */
struct lt_modules_shared {
	struct lt_tracer *tracer;
	struct lt_tables *tables;
	lt_event_sink sink; /* of MODULE events */
	/* Tells lt_modules_note() and lt_modules_doubt() of what was mapped until now. */
	void (*listen)(void *context);
	void *context;
	bool told_full; /* there are more programs than address spaces in BPF */
};

/*
 * One address space: of a process, and of those that it forks until they map code themselves.
 * number: in events.  Everything is borrowed for the life of the object.
 */
int lt_modules_new(struct lt_modules **modules, const struct lt_process *process, uint32_t number,
		   struct lt_modules_shared *shared, struct lt_symbolizer *symbolizer);
void lt_modules_free(struct lt_modules *modules);
/* BPF unwinds the process of this number by what is known here. */
int lt_modules_serve(struct lt_modules *modules, uint32_t number);
/* From now on it is this process, of the same address space, that is looked at. */
void lt_modules_move(struct lt_modules *modules, const struct lt_process *process, uint32_t number);

/* Reads the mappings, and waits for the unwind tables of all of them.  Before the first event. */
int lt_modules_start(struct lt_modules *modules, uint64_t now_ns);
/* Executable memory was mapped; anything may have been. */
void lt_modules_note(struct lt_modules *modules, const struct lt_map_change *change);
void lt_modules_doubt(struct lt_modules *modules);
/* Cheap when nothing changed: to be called whenever there is nothing better to do. */
int lt_modules_follow(struct lt_modules *modules, uint64_t now_ns, bool tables_changed);
/* Looks at the mappings whether or not a change was told. */
int lt_modules_update(struct lt_modules *modules, uint64_t now_ns);
/* Counts how often other files were seen mapped. */
unsigned int lt_modules_changes(const struct lt_modules *modules);

/*
 * Makes the addresses of a STACK event of this time unambiguous (lt_address_plain() in event.h).
 * A stack that was walked through code replaced just before, while the tables did not know
 * yet, is cut (1): frames beyond the first one in such code are a guess.  stack->frames is ours
 * then, until the next call.
 */
int lt_modules_place_stack(struct lt_modules *modules, struct lt_event_stack *stack,
			   uint64_t time_ns);

/* False: no code of that time is in doubt.  Cheap. */
bool lt_modules_doubtful(struct lt_modules *modules, uint64_t time_ns);
/*
 * The first frame of a stack of plain addresses in code that was replaced just before, or the
 * number of frames.
 */
uint16_t lt_modules_in_doubt(const struct lt_modules *modules, const struct lt_event_stack *stack,
			     uint64_t time_ns);

/* One line about the tables and their bounds. */
void lt_modules_print(const struct lt_modules *modules, struct lt_buf *out);

#endif
