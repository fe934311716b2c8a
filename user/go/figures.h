/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the runtime knows of itself, read from its memory: the figures that runtime.ReadMemStats()
 * and runtime/metrics give, without asking the program.
 */
#ifndef LT_GO_FIGURES_H
#define LT_GO_FIGURES_H

#include "go/memstats.h"
#include "go/program.h"
#include "stream/event.h"

struct lt_go_figure_places {
	const struct lt_go_memstats_layout *layout;
	uint64_t memstats, controller; /* addresses of the variables; 0: not found */
};

/* Once for a program; what is not found stays unknown. */
void lt_go_figures_find(struct lt_go_program *program);
void lt_go_figure_places_free(struct lt_go_figure_places *places);
/*
 * Fills what can be read of memory and collections; the rest of *runtime is left alone.  0 or -ESRCH.
 */
int lt_go_figures_read(const struct lt_go_program *program, struct lt_event_runtime *runtime);

#endif
