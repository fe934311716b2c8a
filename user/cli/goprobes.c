// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/goprobes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "probe/goforks.h"
#include "probe/gosites.h"

#define BIT(probe) (1U << LT_GO_PROBE_##probe)

/* Which probes tell of a kind. */
static const struct {
	uint8_t kind;
	uint32_t probes;
} kinds[] = {
	{ LT_KIND_GOROUTINE, BIT(CREATE) },
	{ LT_KIND_HTTP_BODY, BIT(BODY) | BIT(BODY_IDLE) | BIT(BODY_CLOSE) },
	{ LT_KIND_TICKER, BIT(TIMER_START) | BIT(TICKER_STOP) },
	{ LT_KIND_CONTEXT, BIT(CONTEXT) | BIT(CANCEL) },
	{ LT_KIND_GO_HEAP, BIT(SPAN) | BIT(SPAN_FREE) },
};

/* Where the runtime makes its mappings, and which functions of C it calls for that with cgo. */
static const char mapper[] = "runtime.sysMmap", cgo_mapper[] = "runtime.callCgoMmap";

uint32_t lt_goprobes_wanted(const struct lt_session *session, bool spans)
{
	uint32_t wanted = 0;

	if (!session->options->go_probes)
		return 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (session->options->kinds >> kinds[i].kind & 1 &&
		    (kinds[i].kind != LT_KIND_GO_HEAP || spans))
			wanted |= kinds[i].probes;
	return wanted;
}

static void find_mapper(const struct lt_go_module *module, const char *name, __u64 *start,
			__u64 *end)
{
	struct lt_go_function function;

	if (!lt_gopclntab_named(lt_gofile_pclntab(module->file), name, &function))
		return;
	*start = function.entry + module->bias;
	*end = function.end + module->bias;
}

static struct lt_bpf_go layout_of(const struct lt_go_program *program)
{
	const struct lt_go_layout *from = program->layout;
	struct lt_bpf_go layout = {
		.g_m = from->g_m,
		.g_goid = from->g_goid,
		.g_gopc = from->g_gopc,
		.g_sched_sp = from->g_sched_sp,
		.g_sched_bp = from->g_sched_bp,
		.m_curg = from->m_curg,
	};

	find_mapper(&program->modules[0], mapper, &layout.mapper.start, &layout.mapper.end);
	find_mapper(&program->modules[0], cgo_mapper, &layout.cgo_mapper.start,
		    &layout.cgo_mapper.end);
	return layout;
}

static bool has_padded(const struct lt_go_sites *sites)
{
	for (size_t i = 0; i < sites->count; i++)
		if (sites->items[i].padded)
			return true;
	return false;
}

/* The module's file, as the process has it mapped: an fd or -errno. */
static int open_file(const struct lt_target *target, const struct lt_go_module *module,
		     struct lt_go_plan *plan)
{
	struct lt_maps maps = { 0 };
	int fd = lt_maps_read(&target->process, &maps);

	for (size_t i = 0; fd == 0 && i < maps.count; i++) {
		const struct lt_mapping *own = &maps.entries[i];

		if (!own->executable || own->device != module->device ||
		    own->inode != module->inode)
			continue;
		fd = lt_maps_open_file(&target->process, own);
		plan->keeps_nops = fd >= 0 && has_padded(plan->sites) &&
				   lt_go_might_fork(module->file, fd, &maps, own);
		lt_maps_free(&maps);
		return fd;
	}
	lt_maps_free(&maps);
	return fd ? fd : -ENOENT;
}

/* Bits 1 << enum lt_go_probe, or -errno. */
static int attach_module(struct lt_session *session, const struct lt_target *target,
			 const struct lt_go_module *module, struct lt_go_plan *plan,
			 const struct lt_go_sites *sites)
{
	_lt_buf_ struct lt_buf error = { 0 };
	_lt_close_ int fd = -1;
	char path[64];
	int attached = 0, err;

	plan->sites = sites;
	fd = open_file(target, module, plan);
	err = fd < 0 ? fd : 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	plan->path = path;
	if (!err)
		err = lt_tracer_attach_go(session->tracer, &target->process, target->number, plan,
					  &error);
	if (err) {
		if (error.data)
			lt_warn("%s", error.data);
		else
			lt_warn("Go probes cannot be attached to pid %u: %s", target->pid,
				strerror(-err));
		return err;
	}
	for (size_t i = 0; i < sites->count; i++)
		attached |= 1 << sites->items[i].probe;
	return attached;
}

static void drop(struct lt_go_sites *sites, uint32_t probes)
{
	size_t kept = 0;

	for (size_t i = 0; i < sites->count; i++)
		if (!(probes >> sites->items[i].probe & 1))
			sites->items[kept++] = sites->items[i];
	sites->count = kept;
}

/* One line for what the code does not show; what a program does not have at all needs none. */
static void tell_failed(const struct lt_target *target, uint32_t failed)
{
	_lt_buf_ struct lt_buf names = { 0 };

	for (uint32_t probe = 0; probe < LT_GO_PROBES; probe++)
		if (failed >> probe & 1)
			lt_buf_printf(&names, "%s%s", names.len ? ", " : "",
				      lt_go_probe_names[probe]);
	if (names.len && !lt_buf_error(&names))
		lt_warn("pid %u: no place for these Go probes in its code (built without "
			"optimisation?): %s",
			target->pid, names.data);
}

uint32_t lt_goprobes_attach(struct lt_session *session, const struct lt_target *target,
			    const struct lt_go_program *program, uint32_t wanted)
{
	struct lt_go_plan plan = { .layout = layout_of(program) };
	uint32_t attached = 0;
	int added = 0;

	/* Those of the program that it was before an exec. */
	lt_tracer_leave_go(session->tracer, target->pid);
	for (size_t i = 0; i < program->module_count && added >= 0; i++) {
		struct lt_go_sites sites = { 0 };

		if (wanted && lt_go_sites_find(program->modules[i].file, wanted, &sites))
			continue;
		tell_failed(target, sites.failed);
		/* Only half of what tells of a kind would tell lies. */
		for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++)
			if (sites.failed & kinds[kind].probes)
				drop(&sites, kinds[kind].probes);
		/* Without sites BPF is told of the runtime all the same. */
		if (sites.count || !i)
			added = attach_module(session, target, &program->modules[i], &plan, &sites);
		if (added > 0)
			attached |= (uint32_t)added;
		lt_go_sites_free(&sites);
	}
	if (added < 0) {
		/* Half of them would tell half the truth. */
		lt_tracer_leave_go(session->tracer, target->pid);
		return 0;
	}
	return attached;
}
