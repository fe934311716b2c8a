// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf/gotrace.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "bpf/close_all.h"
#include "bpf/optimized.h"
#include "bpf/uprobe_multi.h"

/* Releases first, so that no acquire is seen whose release could not be. */
static const enum lt_go_probe steps[] = {
	LT_GO_PROBE_BODY_IDLE, LT_GO_PROBE_BODY_CLOSE,  LT_GO_PROBE_TICKER_STOP,
	LT_GO_PROBE_CANCEL,    LT_GO_PROBE_SPAN_FREE,   LT_GO_PROBE_CREATE,
	LT_GO_PROBE_BODY,      LT_GO_PROBE_TIMER_START, LT_GO_PROBE_CONTEXT,
	LT_GO_PROBE_SPAN,
};
#define STEPS (sizeof(steps) / sizeof(steps[0]))

/* Where all of a table is allocated at once, it is so many times smaller. */
#define UNLESS_ON_DEMAND 4

/* Only the programs at these sites write there. */
static const char *const tables[] = { "lt_go_births", "lt_go_made", "lt_go_live" };

static void shape_table(struct bpf_object *object, const char *name,
			const struct lt_features *features, bool wanted)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);

	if (!wanted)
		bpf_map__set_max_entries(map, 1);
	else if (features->map_on_demand)
		bpf_map__set_map_flags(map, BPF_F_NO_PREALLOC);
	else
		bpf_map__set_max_entries(map, bpf_map__max_entries(map) / UNLESS_ON_DEMAND);
}

void lt_gotrace_choose(struct lt_gotrace *trace, struct bpf_object *object,
		       const struct lt_features *features, bool wanted)
{
	trace->uprobe_multi = features->uprobe_multi;
	trace->nops_called = wanted && trace->uprobe_multi && lt_uprobes_optimize_nops();
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		shape_table(object, tables[i], features, wanted);
	for (int probe = 0; probe < LT_GO_PROBES; probe++) {
		struct bpf_program *program =
			bpf_object__find_program_by_name(object, lt_go_probe_names[probe]);

		bpf_program__set_autoload(program, wanted);
		if (trace->uprobe_multi)
			bpf_program__set_expected_attach_type(
				program, (enum bpf_attach_type)LT_BPF_TRACE_UPROBE_MULTI);
	}
}

static int attach_multi(struct lt_gotrace *trace, const struct bpf_program *program, uint32_t pid,
			const char *path, const uint64_t *offsets, size_t count)
{
	struct lt_uprobe_multi request = {
		.program_fd = bpf_program__fd(program),
		.path = path,
		.offsets = offsets,
		.count = (uint32_t)count,
		.pid = pid,
	};
	int *links = reallocarray(trace->multi_links, trace->multi_count + 1, sizeof(*links));
	uint32_t *pids = links ? reallocarray(trace->multi_pids, trace->multi_count + 1,
					      sizeof(*pids))
			       : NULL;
	int fd;

	if (links)
		trace->multi_links = links;
	if (!pids)
		return -ENOMEM;
	trace->multi_pids = pids;
	fd = lt_uprobe_multi_attach(&request);
	if (fd < 0)
		return fd;
	links[trace->multi_count] = fd;
	pids[trace->multi_count++] = pid;
	return 0;
}

static int attach_perf(struct lt_gotrace *trace, const struct bpf_program *program, uint32_t pid,
		       const char *path, const uint64_t *offsets, size_t count)
{
	LIBBPF_OPTS(bpf_uprobe_opts, options);
	struct bpf_link **links = reallocarray(trace->links, trace->link_count + count,
					       sizeof(struct bpf_link *));
	uint32_t *pids = links ? reallocarray(trace->link_pids, trace->link_count + count,
					      sizeof(*pids))
			       : NULL;

	if (links)
		trace->links = links;
	if (!pids)
		return -ENOMEM;
	trace->link_pids = pids;
	for (size_t i = 0; i < count; i++) {
		struct bpf_link *link = bpf_program__attach_uprobe_opts(program, (pid_t)pid, path,
									offsets[i], &options);

		if (!link)
			return -errno;
		links[trace->link_count] = link;
		pids[trace->link_count++] = pid;
	}
	return 0;
}

static uint64_t place_of(const struct lt_gotrace *trace, const struct lt_go_plan *plan,
			 const struct lt_go_site *site)
{
	bool at_nop = site->padded && trace->nops_called && !plan->keeps_nops;

	return site->file_offset - (at_nop ? LT_GO_NOP_BYTES : 0);
}

static int attach_step(struct lt_gotrace *trace, const struct bpf_object *object, uint32_t pid,
		       const struct lt_go_plan *plan, enum lt_go_probe probe)
{
	const struct lt_go_sites *sites = plan->sites;
	_lt_free_ uint64_t *offsets = calloc(sites->count + 1, sizeof(*offsets));
	const struct bpf_program *program =
		bpf_object__find_program_by_name(object, lt_go_probe_names[probe]);
	size_t count = 0;

	if (!offsets)
		return -ENOMEM;
	for (size_t i = 0; i < sites->count; i++)
		if (sites->items[i].probe == probe)
			offsets[count++] = place_of(trace, plan, &sites->items[i]);
	if (!count)
		return 0;
	return (trace->uprobe_multi ? attach_multi : attach_perf)(trace, program, pid, plan->path,
								  offsets, count);
}

int lt_gotrace_attach(struct lt_gotrace *trace, const struct bpf_object *object, uint32_t pid,
		      const struct lt_go_plan *plan)
{
	int err = 0;

	for (size_t i = 0; i < STEPS && plan->sites && !err; i++)
		err = attach_step(trace, object, pid, plan, steps[i]);
	return err;
}

void lt_gotrace_leave(struct lt_gotrace *trace, uint32_t pid)
{
	size_t kept = 0;

	for (size_t i = 0; i < trace->multi_count; i++) {
		if (trace->multi_pids[i] == pid) {
			close(trace->multi_links[i]);
			continue;
		}
		trace->multi_links[kept] = trace->multi_links[i];
		trace->multi_pids[kept++] = trace->multi_pids[i];
	}
	trace->multi_count = kept;
	kept = 0;
	for (size_t i = 0; i < trace->link_count; i++) {
		if (trace->link_pids[i] == pid) {
			bpf_link__destroy(trace->links[i]);
			continue;
		}
		trace->links[kept] = trace->links[i];
		trace->link_pids[kept++] = trace->link_pids[i];
	}
	trace->link_count = kept;
}

void lt_gotrace_close(struct lt_gotrace *trace)
{
	lt_close_all(trace->multi_links, trace->multi_count);
	for (size_t i = 0; i < trace->link_count; i++)
		bpf_link__destroy(trace->links[i]);
	free(trace->multi_links);
	free(trace->multi_pids);
	free(trace->links);
	free(trace->link_pids);
	trace->multi_pids = trace->link_pids = NULL;
	trace->multi_links = NULL;
	trace->links = NULL;
	trace->multi_count = trace->link_count = 0;
}
