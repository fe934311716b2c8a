// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf/tracer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/types.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "bpf/calls.h"
#include "bpf/close_all.h"
#include "bpf/inherit.h"
#include "bpf/tracefs.h"
#include "bpf/uprobe_multi.h"
#include "leaktrace/config.h"
#include "leaktrace/events.h"

#include "leaktrace.skel.h" /* needs the types above */

#define DEFAULT_RINGS_BYTES                                                                        \
	(64ULL << 20)      /* all rings together: about a second of a saturated core */
#define MAX_LOG_BYTES 1500 /* of one message of libbpf */
#define MIN_THREADS   1024 /* preallocated pending-call records on kernels before 6.1 */

struct lt_tracer {
	struct leaktrace_bpf *bpf;
	struct lt_code *code;
	int rings[LT_MAX_RINGS];
	unsigned int ring_count;
	struct bpf_link **links; /* perf uprobes, raw tracepoints */
	size_t link_count;
	int *multi_links; /* uprobe_multi link fds */
	size_t multi_count;
	struct lt_calls calls;
	struct lt_gotrace go;
	struct lt_gobirths go_births;
	uint64_t kinds;             /* that are traced */
	struct lt_inherit *inherit; /* NULL: children are not followed */
	bool uprobe_multi;
};

/* The verifier's log is long, and says at its end what it is about. */
static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	_lt_free_ char *text = NULL;
	size_t length;

	if (level == LIBBPF_DEBUG || vasprintf(&text, format, args) < 0)
		return 0;
	length = strlen(text);
	while (length && text[length - 1] == '\n')
		text[--length] = '\0';
	lt_debug("%s", length > MAX_LOG_BYTES ? text + length - MAX_LOG_BYTES : text);
	return 0;
}

static unsigned int ring_count_for(long cpus)
{
	unsigned int count = 4;

	/* Twice the CPUs: shards are hashed, and two busy ones should not meet in a ring. */
	while ((long)count < 2 * cpus && count < LT_MAX_RINGS)
		count *= 2;
	return count;
}

static unsigned int cpu_bits(long cpus)
{
	unsigned int bits = 1;

	while (1L << bits < cpus)
		bits++;
	return bits;
}

static int make_rings(struct lt_tracer *tracer, uint64_t bytes)
{
	int outer = bpf_map__fd(tracer->bpf->maps.lt_rings);

	for (uint32_t i = 0; i < tracer->ring_count; i++) {
		int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "lt_ring", 0, 0, (uint32_t)bytes,
					NULL);

		if (fd < 0)
			return fd;
		tracer->rings[i] = fd;
		if (bpf_map_update_elem(outer, &i, &fd, BPF_ANY))
			return -errno;
	}
	return 0;
}

static bool traces_threads(const struct lt_tracer *tracer)
{
	return tracer->kinds >> LT_KIND_THREAD & 1;
}

static void configure(struct lt_tracer *tracer, const struct lt_features *features,
		      const struct lt_tracer_options *options, uint64_t ring_bytes)
{
	struct leaktrace_bpf *bpf = tracer->bpf;
	struct lt_bpf_config *config = (struct lt_bpf_config *)&bpf->rodata->lt_config;
	struct bpf_program *program;

	config->cpu_bits = cpu_bits(libbpf_num_possible_cpus());
	config->ring_mask = tracer->ring_count - 1;
	config->acquire_limit = ring_bytes / 4 * 3;
	config->wake_level = ring_bytes / 4;
	config->max_frames = options->max_frames ? options->max_frames : LT_MAX_FRAMES;
	if (features->map_on_demand)
		bpf_map__set_map_flags(bpf->maps.lt_threads, BPF_F_NO_PREALLOC);
	else if (options->threads * 4 < LT_MAX_THREADS)
		bpf_map__set_max_entries(bpf->maps.lt_threads,
					 options->threads * 4 > MIN_THREADS
						 ? (uint32_t)options->threads * 4
						 : MIN_THREADS);
	tracer->kinds = options->kinds;
	lt_calls_choose(bpf->obj, options->kinds);
	bpf_program__set_autoload(bpf->progs.on_new_task, traces_threads(tracer));
	bpf_program__set_autoload(bpf->progs.on_task_exit, traces_threads(tracer));
	bpf_object__for_each_program(program, bpf->obj)
	{
		if (bpf_program__type(program) != BPF_PROG_TYPE_KPROBE)
			continue;
		bpf_program__set_autoload(program, options->kinds >> LT_KIND_HEAP & 1);
		if (features->uprobe_multi && !options->follow)
			bpf_program__set_expected_attach_type(
				program, (enum bpf_attach_type)LT_BPF_TRACE_UPROBE_MULTI);
	}
	/* After the programs of the heap, which have the same type. */
	lt_gotrace_choose(&tracer->go, bpf->obj, features, options->go_probes);
}

static int open_code(struct lt_tracer *tracer)
{
	struct lt_code_maps maps = {
		.spaces_fd = bpf_map__fd(tracer->bpf->maps.lt_code_spaces),
		.process_spaces_fd = bpf_map__fd(tracer->bpf->maps.lt_process_spaces),
		.segments_fd = bpf_map__fd(tracer->bpf->maps.lt_unwind_segments),
		.rules_fd = bpf_map__fd(tracer->bpf->maps.lt_unwind_rules),
		.generations = tracer->bpf->bss->lt_code_generations,
		.spaces_round = &tracer->bpf->bss->lt_spaces_round,
	};

	return lt_code_new(&tracer->code, &maps);
}

static int keep_link(struct lt_tracer *tracer, struct bpf_link *link)
{
	struct bpf_link **links;

	if (!link)
		return -errno;
	links = reallocarray(tracer->links, tracer->link_count + 1, sizeof(*links));
	if (!links) {
		bpf_link__destroy(link);
		return -ENOMEM;
	}
	tracer->links = links;
	links[tracer->link_count++] = link;
	return 0;
}

/* Releases before acquires. */
static int watch_lives(struct lt_tracer *tracer)
{
	const struct bpf_program *programs[] = {
		tracer->bpf->progs.on_task_exit,   tracer->bpf->progs.on_new_task,
		tracer->bpf->progs.on_thread_exit, tracer->bpf->progs.on_exec,
		tracer->bpf->progs.on_fork,
	};
	int err = 0;

	for (size_t i = traces_threads(tracer) ? 0 : 2;
	     i < sizeof(programs) / sizeof(*programs) && !err; i++)
		err = keep_link(tracer, bpf_program__attach(programs[i]));
	return err;
}

/* Of what is read from memory alone, nothing comes through the rings. */
static bool needs_rings(const struct lt_tracer_options *options)
{
	const uint64_t read = UINT64_C(1) << LT_KIND_GOROUTINE | UINT64_C(1) << LT_KIND_GO_HEAP;

	return options->go_probes || options->kinds & ~read;
}

int lt_tracer_open(struct lt_tracer **result, const struct lt_features *features,
		   const struct lt_tracer_options *options, struct lt_buf *error)
{
	struct lt_tracer *tracer = calloc(1, sizeof(*tracer));
	uint64_t ring_bytes = options->ring_bytes;
	int err;

	if (!tracer)
		return -ENOMEM;
	memset(tracer->rings, -1, sizeof(tracer->rings));
	tracer->uprobe_multi = features->uprobe_multi;
	tracer->ring_count = ring_count_for(sysconf(_SC_NPROCESSORS_ONLN));
	if (!needs_rings(options))
		ring_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	else if (!ring_bytes)
		ring_bytes = DEFAULT_RINGS_BYTES / tracer->ring_count;
	libbpf_set_print(print_libbpf);
	tracer->bpf = leaktrace_bpf__open();
	if (!tracer->bpf) {
		err = -errno;
		lt_buf_printf(error, "BPF programs cannot be opened: %s", strerror(-err));
		goto failed;
	}
	configure(tracer, features, options, ring_bytes);
	err = leaktrace_bpf__load(tracer->bpf);
	tracer->go_births = (struct lt_gobirths){
		.births_fd = bpf_map__fd(tracer->bpf->maps.lt_go_births),
		.made_fd = bpf_map__fd(tracer->bpf->maps.lt_go_made),
		.looks = (uint64_t *)&tracer->bpf->bss->lt_go_looks,
	};
	if (!err)
		err = make_rings(tracer, ring_bytes);
	if (!err)
		err = open_code(tracer);
	if (err) {
		lt_buf_printf(error,
			      "BPF programs cannot be loaded on kernel %s: %s (-v shows why)",
			      features->release, strerror(-err));
		goto failed;
	}
	err = watch_lives(tracer);
	if (!err) {
		err = lt_calls_watch(&tracer->calls, tracer->bpf->obj, options->kinds);
		if (err) {
			lt_buf_printf(error,
				      "system calls cannot be traced on kernel %s (tracefs: %s): "
				      "--kinds heap does without",
				      features->release, strerror(-err));
			goto failed;
		}
	}
	if (!err && options->follow)
		err = lt_inherit_new(&tracer->inherit);
	if (err) {
		lt_buf_printf(error,
			      "children cannot be followed on kernel %s (uprobes in tracefs: %s)",
			      features->release, strerror(-err));
		goto failed;
	}
	*result = tracer;
	return 0;
failed:
	lt_tracer_free(tracer);
	return err;
}

/* The process that probes go into. */
struct attachment {
	struct lt_tracer *tracer;
	const struct lt_plan *plan;
	uint32_t pid;
	pid_t *tids; /* of all its threads; inherited probes are each thread's */
	size_t tid_count;
};

/* One program at many places of one file. */
static int attach_multi(const struct attachment *to, const struct bpf_program *program,
			const struct lt_plan_file *file, const uint64_t *offsets, size_t count,
			bool at_return)
{
	struct lt_tracer *tracer = to->tracer;
	struct lt_uprobe_multi request = {
		.program_fd = bpf_program__fd(program),
		.path = file->open_path,
		.offsets = offsets,
		.count = (uint32_t)count,
		.pid = to->pid,
		.at_return = at_return,
	};
	int *links = reallocarray(tracer->multi_links, tracer->multi_count + 1, sizeof(*links));
	int fd;

	if (!links)
		return -ENOMEM;
	tracer->multi_links = links;
	fd = lt_uprobe_multi_attach(&request);
	if (fd < 0)
		return fd;
	links[tracer->multi_count++] = fd;
	return 0;
}

static int attach_perf(const struct attachment *to, const struct bpf_program *program,
		       const struct lt_plan_file *file, const uint64_t *offsets, size_t count,
		       bool at_return)
{
	LIBBPF_OPTS(bpf_uprobe_opts, options, .retprobe = at_return);
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = keep_link(to->tracer, bpf_program__attach_uprobe_opts(program, (pid_t)to->pid,
									    file->open_path,
									    offsets[i], &options));
	return err;
}

static int attach_inherited(const struct attachment *to, const struct bpf_program *program,
			    const struct lt_plan_file *file, const uint64_t *offsets, size_t count,
			    bool at_return)
{
	struct lt_inherit_probe probe = {
		.path = file->open_path,
		.device = file->device,
		.inode = file->inode,
		.program_fd = bpf_program__fd(program),
		.at_return = at_return,
	};
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		probe.offset = offsets[i];
		err = lt_inherit_attach(to->tracer->inherit, &probe, to->tids, to->tid_count);
	}
	return err;
}

/* Attaches one program wherever the plan wants it, file by file. */
static int attach_program(const struct attachment *to, const char *name, bool at_return)
{
	const struct lt_tracer *tracer = to->tracer;
	const struct lt_plan *plan = to->plan;
	const struct bpf_program *program = bpf_object__find_program_by_name(tracer->bpf->obj,
									     name);
	_lt_free_ uint64_t *offsets = calloc(plan->probe_count + 1, sizeof(*offsets));
	int err = 0;

	if (!program)
		return -ENOENT;
	if (!offsets)
		return -ENOMEM;
	for (size_t file = 0; file < plan->file_count && !err; file++) {
		size_t count = 0;

		for (size_t i = 0; i < plan->probe_count; i++) {
			const struct lt_plan_probe *probe = &plan->probes[i];
			const struct lt_op_info *op = &lt_op_table[probe->op];
			const char *wanted = at_return ? op->return_program : op->entry_program;

			if (probe->file == file && wanted && strcmp(wanted, name) == 0)
				offsets[count++] = probe->file_offset;
		}
		if (count)
			err = (tracer->inherit        ? attach_inherited
			       : tracer->uprobe_multi ? attach_multi
						      : attach_perf)(
				to, program, &plan->files[file], offsets, count, at_return);
	}
	return err;
}

/* Each distinct program of the table once; returns before entries, so that no entry lacks its
 * return. */
static int attach_plan(const struct attachment *to)
{
	int err = 0;

	for (int at_return = 1; at_return >= 0; at_return--) {
		for (int op = 0; op < LT_OP_COUNT && !err; op++) {
			const char *name = at_return ? lt_op_table[op].return_program
						     : lt_op_table[op].entry_program;
			bool seen = false;

			for (int other = 0; other < op && name; other++) {
				const char *before = at_return ? lt_op_table[other].return_program
							       : lt_op_table[other].entry_program;

				seen |= before && strcmp(before, name) == 0;
			}
			if (name && !seen)
				err = attach_program(to, name, at_return);
		}
	}
	return err;
}

/* Where threads come and go all the time it must end; who made a late one has the probes, mostly. */
#define THREAD_LOOKS 8

/* What a thread forks has the probes of that thread: so each has them, also the one made just now. */
static int attach_threads(struct attachment *to, const struct lt_process *process)
{
	_lt_free_ pid_t *known = NULL;
	size_t known_count = 0;
	int err = 0;

	for (int look = 0; look < THREAD_LOOKS; look++) {
		_lt_free_ pid_t *tids = NULL;
		size_t count = 0, fresh = 0;

		err = lt_process_threads(process, &tids, &count);
		if (err)
			return err;
		to->tids = calloc(count + 1, sizeof(*to->tids));
		if (!to->tids)
			return -ENOMEM;
		for (size_t i = 0; i < count; i++)
			if (!known_count || !bsearch(&tids[i], known, known_count, sizeof(*known),
						     lt_process_compare_pids))
				to->tids[fresh++] = tids[i];
		to->tid_count = fresh;
		err = fresh ? attach_plan(to) : 0;
		free(to->tids);
		to->tids = NULL;
		if (err || !fresh)
			return err;
		free(known);
		known = lt_take_ptr(tids);
		known_count = count;
	}
	return err;
}

int lt_tracer_add(struct lt_tracer *tracer, uint32_t pid, uint32_t process, bool follow)
{
	struct lt_bpf_target target = { process, follow ? LT_TARGET_FOLLOW : 0 };

	return bpf_map_update_elem(bpf_map__fd(tracer->bpf->maps.lt_targets), &pid, &target,
				   BPF_ANY)
		       ? -errno
		       : 0;
}

bool lt_tracer_has_image(const struct lt_tracer *tracer, uint32_t pid, uint32_t process)
{
	struct lt_bpf_target target;

	return !bpf_map_lookup_elem(bpf_map__fd(tracer->bpf->maps.lt_targets), &pid, &target) &&
	       target.process == process;
}

int lt_tracer_attach(struct lt_tracer *tracer, const struct lt_process *process,
		     const struct lt_plan *plan, struct lt_buf *error)
{
	struct attachment to = { .tracer = tracer,
				 .plan = plan,
				 .pid = (uint32_t)process->tgid_init };
	int err = tracer->inherit ? attach_threads(&to, process) : attach_plan(&to);

	if (err)
		lt_buf_printf(error, "probes cannot be attached to pid %u: %s%s", to.pid,
			      strerror(-err),
			      err == -EPERM || err == -EACCES ? ": run as root" : "");
	return err;
}

int lt_tracer_attach_go(struct lt_tracer *tracer, const struct lt_process *process, uint32_t number,
			const struct lt_go_plan *plan, struct lt_buf *error)
{
	uint32_t pid = (uint32_t)process->tgid_init;
	int err = bpf_map_update_elem(bpf_map__fd(tracer->bpf->maps.lt_go_layouts), &number,
				      &plan->layout, BPF_ANY)
			  ? -errno
			  : 0;

	/* Threads that are known already look again whose they are. */
	__atomic_fetch_add(&tracer->bpf->bss->lt_spaces_round, 1, __ATOMIC_RELEASE);
	if (!err)
		err = lt_gotrace_attach(&tracer->go, tracer->bpf->obj, pid, plan);
	if (err) {
		/* Half of them would tell half the truth. */
		lt_gotrace_leave(&tracer->go, pid);
		lt_buf_printf(error, "Go probes cannot be attached to pid %u: %s%s", pid,
			      strerror(-err),
			      err == -EPERM || err == -EACCES ? ": run as root" : "");
	}
	return err;
}

void lt_tracer_leave_go(struct lt_tracer *tracer, uint32_t pid)
{
	lt_gotrace_leave(&tracer->go, pid);
}

const struct lt_gobirths *lt_tracer_go_births(const struct lt_tracer *tracer)
{
	return &tracer->go_births;
}

void lt_tracer_activate(struct lt_tracer *tracer)
{
	__atomic_store_n(&tracer->bpf->bss->lt_active, 1, __ATOMIC_RELEASE);
}

void lt_tracer_detach(struct lt_tracer *tracer)
{
	if (tracer->bpf && tracer->bpf->bss)
		__atomic_store_n(&tracer->bpf->bss->lt_active, 0, __ATOMIC_RELEASE);
	lt_close_all(tracer->multi_links, tracer->multi_count);
	tracer->multi_count = 0;
	for (size_t i = 0; i < tracer->link_count; i++)
		bpf_link__destroy(tracer->links[i]);
	tracer->link_count = 0;
	lt_gotrace_close(&tracer->go);
	lt_calls_close(&tracer->calls);
	lt_inherit_free(tracer->inherit);
	tracer->inherit = NULL;
}

bool lt_tracer_lingers(const struct lt_tracer *tracer)
{
	return lt_calls_closing(&tracer->calls);
}

void lt_tracer_free(struct lt_tracer *tracer)
{
	if (!tracer)
		return;
	lt_tracer_detach(tracer);
	lt_calls_wait(&tracer->calls);
	for (unsigned int i = 0; i < LT_MAX_RINGS; i++)
		if (tracer->rings[i] >= 0)
			close(tracer->rings[i]);
	lt_code_free(tracer->code);
	leaktrace_bpf__destroy(tracer->bpf);
	free(tracer->multi_links);
	free(tracer->links);
	free(tracer);
}

uint64_t lt_tracer_thread_block(const struct lt_tracer *tracer, uint32_t tid)
{
	uint64_t block;

	return bpf_map_lookup_elem(bpf_map__fd(tracer->bpf->maps.lt_thread_blocks), &tid, &block)
		       ? 0
		       : block;
}

bool lt_tracer_borrows_table(const struct lt_tracer *tracer, uint32_t pid)
{
	struct lt_bpf_lender lender;

	return !bpf_map_lookup_elem(bpf_map__fd(tracer->bpf->maps.lt_table_lenders), &pid, &lender);
}

void lt_tracer_resend_stacks(struct lt_tracer *tracer)
{
	__atomic_fetch_add(&tracer->bpf->bss->lt_stacks_round, 1, __ATOMIC_RELEASE);
}

struct lt_code *lt_tracer_code(struct lt_tracer *tracer)
{
	return tracer->code;
}

/* Which counter counts the walks that ended so; LT_COUNTER_COUNT: none. */
static const int end_counters[LT_STACK_END_COUNT] = {
#define LT_STACK_END(symbol, value, counter, phrase) [value] = LT_COUNTER_##counter,
	LT_STACK_ENDS
#undef LT_STACK_END
};

void lt_tracer_counters(const struct lt_tracer *tracer, uint64_t *values)
{
	const uint64_t *ends = (const uint64_t *)tracer->bpf->bss->lt_walk_ends;
	struct bpf_program *program;

	for (int i = 0; i < LT_COUNTER_COUNT; i++)
		values[i] += __atomic_load_n(&tracer->bpf->bss->lt_counters[i], __ATOMIC_RELAXED);
	for (int i = LT_STACK_COMPLETE + 1; i < LT_STACK_END_COUNT; i++)
		if (end_counters[i] < LT_COUNTER_COUNT)
			values[end_counters[i]] += __atomic_load_n(&ends[i], __ATOMIC_RELAXED);
	bpf_object__for_each_program(program, tracer->bpf->obj)
	{
		struct bpf_prog_info info = { 0 };
		uint32_t size = sizeof(info);

		/* Those at system calls run for all processes, and are skipped for any of them. */
		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0)
			values[bpf_program__type(program) == BPF_PROG_TYPE_TRACEPOINT
				       ? LT_COUNTER_CALL_MISSED
				       : LT_COUNTER_PROBE_MISSED] += info.recursion_misses;
	}
}

int lt_tracer_life(const struct lt_tracer *tracer)
{
	return bpf_map__fd(tracer->bpf->maps.lt_life);
}

size_t lt_tracer_rings(const struct lt_tracer *tracer, const int **fds)
{
	*fds = tracer->rings;
	return tracer->ring_count;
}
