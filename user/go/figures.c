// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/figures.h"

#include <errno.h>
#include <stdlib.h>

#include "go/globals.h"
#include "go/remote.h"

/* They are in every program: no heap without the first, no collection without the second. */
static const char *const users[] = { "runtime.(*mheap).allocSpan", "runtime.gcMarkTermination" };

static uint64_t find(const struct lt_go_module *module, const struct lt_go_references *references,
		     const uint16_t *offsets, size_t count)
{
	uint64_t base = lt_go_references_base(references, offsets, count);

	return lt_go_global(module, base) ? base : 0;
}

void lt_go_figures_find(struct lt_go_program *program)
{
	const struct lt_go_module *module = &program->modules[0];
	const struct lt_go_memstats_layout *layout =
		lt_go_memstats_layout_of(lt_gofile_info(module->file)->minor);
	struct lt_go_references references = {};
	struct lt_go_figure_places *places;

	if (program->figures || !layout)
		return;
	places = calloc(1, sizeof(*places));
	if (!places)
		return;
	for (size_t i = 0; i < sizeof(users) / sizeof(*users); i++)
		lt_go_references_of(module, users[i], &references);
	places->layout = layout;
	places->memstats = find(module, &references, layout->memstats_used, LT_GO_MEMSTATS_USED);
	places->controller = find(module, &references, layout->controller_used,
				  LT_GO_CONTROLLER_USED);
	lt_go_references_free(&references);
	program->figures = places;
}

void lt_go_figure_places_free(struct lt_go_figure_places *places)
{
	free(places);
}

static void forget(struct lt_event_runtime *runtime)
{
	uint64_t *const figures[] = {
		&runtime->heap_inuse_bytes,
		&runtime->heap_idle_bytes,
		&runtime->heap_released_bytes,
		&runtime->stacks_inuse_bytes,
		&runtime->next_gc_bytes,
		&runtime->heap_live_bytes,
		&runtime->gc_count,
		&runtime->gc_pause_total_ns,
		&runtime->gc_pause_last_ns,
		&runtime->last_gc_ns,
	};

	for (size_t i = 0; i < sizeof(figures) / sizeof(*figures); i++)
		*figures[i] = LT_UNKNOWN_FIGURE;
}

int lt_go_figures_read(const struct lt_go_program *program, struct lt_event_runtime *runtime)
{
	const struct lt_go_figure_places *places = program->figures;
	uint8_t memstats[LT_MAX_GO_MEMSTATS], controller[LT_MAX_GO_CONTROLLER];
	struct lt_remote_piece pieces[2] = {};

	if (lt_process_check(program->process))
		return -ESRCH;
	forget(runtime);
	if (!places)
		return 0;
	pieces[0] = (struct lt_remote_piece){ .address = places->memstats,
					      .to = memstats,
					      .len = places->layout->memstats_bytes };
	pieces[1] = (struct lt_remote_piece){ .address = places->controller,
					      .to = controller,
					      .len = places->layout->controller_bytes };
	lt_remote_read_all(program->process->pid, pieces, 2);
	if (places->memstats && pieces[0].ok)
		lt_go_memstats_read(places->layout, memstats, runtime);
	if (places->controller && pieces[1].ok)
		lt_go_controller_read(places->layout, controller, runtime);
	return 0;
}
