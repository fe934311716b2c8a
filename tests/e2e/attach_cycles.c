// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * attach_cycles PID COUNT [perf]: attaches to a process under load and detaches again, COUNT times,
 * each time from loading the programs to freeing everything.  Checks in every cycle that the probes
 * are really in place (a breakpoint at each site), that events flow, and that after the detach
 * every byte of the target's code is what it was; at the end, that we hold no more descriptors and
 * memory than after the first cycles.  "perf" attaches the way of kernels without uprobe_multi.
 * Exit 0 and a line of figures, or 1 and what went wrong.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bpf/tracer.h"
#include "proc/maps.h"
#include "stream/live.h"

#define WARM_UP      20        /* cycles after which our size must have settled */
#define LOADED_FOR   10        /* cycles */
#define GROWTH_LIMIT (4 << 20) /* bytes: malloc's own fluctuation, far below one leaked ring */
#define BREAKPOINT   0xcc      /* int3, what a uprobe writes */

struct cycles {
	struct lt_process process;
	struct lt_features features;
	struct lt_maps maps;
	struct lt_plan plan;
	uint64_t events;
};

static int count_event(void *context, const struct lt_event *event)
{
	struct cycles *cycles = context;

	cycles->events += event->type != 0;
	return 0;
}

static uint8_t code_byte(const struct cycles *cycles, const struct lt_plan_probe *probe)
{
	uint64_t address = cycles->plan.files[probe->file].base + probe->file_offset;
	uint8_t byte = 0;
	struct iovec local = { &byte, 1 }, remote = { (void *)(uintptr_t)address, 1 };

	if (process_vm_readv(cycles->process.pid, &local, 1, &remote, 1, 0) != 1) {
		fprintf(stderr, "the target's code cannot be read: %s\n", strerror(errno));
		exit(1);
	}
	return byte;
}

static size_t breakpoints(const struct cycles *cycles)
{
	size_t count = 0;

	for (size_t i = 0; i < cycles->plan.probe_count; i++)
		count += code_byte(cycles, &cycles->plan.probes[i]) == BREAKPOINT;
	return count;
}

static size_t open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}

static size_t resident_bytes(void)
{
	unsigned long size = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file || fscanf(file, "%lu %lu", &size, &resident) != 2)
		exit(1);
	fclose(file);
	return resident * (size_t)getpagesize();
}

static const char *one_cycle(struct cycles *cycles, struct lt_tracer *tracer)
{
	_lt_buf_ struct lt_buf error = { 0 };
	struct lt_live *live = NULL;
	const char *wrong = NULL;
	const int *rings;
	size_t count;

	cycles->events = 0;
	if (lt_tracer_attach(tracer, &cycles->process, &cycles->plan, &error)) {
		fprintf(stderr, "%s\n", error.data ? error.data : "?");
		return "attaching failed";
	}
	count = lt_tracer_rings(tracer, &rings);
	if (lt_live_new(&live, rings, count, count_event, cycles))
		return "no ring reader";
	lt_live_drain(live); /* of the cycle before */
	cycles->events = 0;
	lt_tracer_activate(tracer);
	if (breakpoints(cycles) != cycles->plan.probe_count)
		wrong = "a probe is not in place";
	for (int i = 0; i < 1000 && !cycles->events; i++) {
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
		lt_live_drain(live);
	}
	if (!cycles->events)
		wrong = "no event arrived";
	lt_live_free(live);
	lt_tracer_detach(tracer);
	if (breakpoints(cycles) != 0)
		wrong = "a breakpoint was left behind";
	if (lt_process_check(&cycles->process))
		wrong = "the target is gone";
	return wrong;
}

/* To load the programs takes longer than to attach them: they serve for some cycles. */
static const char *some_cycles(struct cycles *cycles, int count)
{
	struct lt_tracer_options options = { .ring_bytes = 1 << 20,
					     .threads = 8,
					     .kinds = UINT64_C(1) << LT_KIND_HEAP };
	uint32_t pid = (uint32_t)cycles->process.tgid_init;
	_lt_buf_ struct lt_buf error = { 0 };
	struct lt_tracer *tracer = NULL;
	const char *wrong = NULL;

	if (lt_tracer_open(&tracer, &cycles->features, &options, &error) ||
	    lt_tracer_add(tracer, pid, pid, false)) {
		fprintf(stderr, "%s\n", error.data ? error.data : "?");
		return "loading failed";
	}
	for (int i = 0; i < count && !wrong; i++)
		wrong = one_cycle(cycles, tracer);
	lt_tracer_free(tracer);
	return wrong;
}

int main(int argc, char **argv)
{
	struct cycles cycles = { 0 };
	size_t fds = 0, bytes = 0;
	const char *wrong;
	int count;

	if (argc != 3 && argc != 4)
		return 2;
	count = atoi(argv[2]);
	lt_features_detect(&cycles.features);
	cycles.features.uprobe_multi &= argc == 3;
	if (lt_process_open(atoi(argv[1]), &cycles.process) ||
	    lt_maps_read(&cycles.process, &cycles.maps) ||
	    lt_plan_make(&cycles.process, &cycles.maps, NULL, &cycles.plan)) {
		fprintf(stderr, "the target cannot be read\n");
		return 1;
	}
	if (breakpoints(&cycles) != 0) {
		fprintf(stderr, "the target has breakpoints already\n");
		return 1;
	}
	for (int i = 0; i < count; i += LOADED_FOR) {
		wrong = some_cycles(&cycles, count - i < LOADED_FOR ? count - i : LOADED_FOR);
		if (wrong) {
			fprintf(stderr, "cycles from %d: %s\n", i, wrong);
			return 1;
		}
		if (i <= WARM_UP && i + LOADED_FOR > WARM_UP) {
			fds = open_fds();
			bytes = resident_bytes();
		}
	}
	if (count > WARM_UP && open_fds() != fds) {
		fprintf(stderr, "descriptors: %zu, were %zu\n", open_fds(), fds);
		return 1;
	}
	if (count > WARM_UP && resident_bytes() > bytes + GROWTH_LIMIT) {
		fprintf(stderr, "memory: %zu bytes, were %zu\n", resident_bytes(), bytes);
		return 1;
	}
	printf("%d cycles, %zu probes each, %zu descriptors, resident %zu -> %zu bytes\n", count,
	       cycles.plan.probe_count, fds, bytes, resident_bytes());
	return 0;
}
