// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attaches to a process under load and detaches again, many times within one process, to see that
 * neither side keeps anything of it.
 *
 *	attach_cycles PID [CYCLES]
 *
 * Prints one line of JSON: cycles, events seen, and our own descriptors and resident memory after
 *the first WARM_UP cycles and after the last.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bpf/features.h"
#include "bpf/tracer.h"
#include "probe/plan.h"
#include "stream/live.h"

#define WARM_UP    20  /* what libraries keep for good is there by then */
#define ENOUGH     100 /* events in one cycle */
#define MAX_PAUSES 1000
#define PAUSE_NS   100000L

static unsigned int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}

static unsigned long resident_kib(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file || fscanf(file, "%*u %lu", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages * (unsigned long)sysconf(_SC_PAGESIZE) / 1024;
}

static int count_event(void *context, const struct lt_event *event)
{
	++*(unsigned long *)context;
	return 0;
}

static int watch(struct lt_tracer *tracer, unsigned long *events)
{
	static const struct timespec pause = { 0, PAUSE_NS };
	unsigned long before = *events;
	struct lt_live *live = NULL;
	const int *rings;
	size_t count = lt_tracer_rings(tracer, &rings);
	int err = lt_live_new(&live, rings, count, count_event, events);

	if (err)
		return err;
	lt_tracer_activate(tracer);
	for (int i = 0; i < MAX_PAUSES && err >= 0 && *events < before + ENOUGH; i++) {
		nanosleep(&pause, NULL);
		err = lt_live_drain(live);
	}
	lt_tracer_deactivate(tracer);
	lt_live_free(live);
	return err < 0 ? err : *events > before ? 0 : -ENODATA;
}

static int cycle(pid_t pid, const struct lt_features *features, unsigned long *events)
{
	struct lt_process process = { .pid = -1, .proc_fd = -1, .pid_fd = -1 };
	struct lt_tracer_options options = { 0 };
	struct lt_tracer *tracer = NULL;
	struct lt_plan plan = { 0 };
	struct lt_maps maps = { 0 };
	_lt_buf_ struct lt_buf error = { 0 };
	int err = lt_process_open(pid, &process);

	if (!err)
		err = lt_maps_read(&process, &maps);
	if (!err)
		err = lt_plan_make(&process, &maps, &plan);
	options.tgid = (uint32_t)process.tgid_init;
	options.threads = 16;
	if (!err)
		err = lt_tracer_open(&tracer, features, &options, &error);
	if (!err)
		err = lt_tracer_set_code(tracer, &maps);
	if (!err)
		err = lt_tracer_attach(tracer, &plan, &error);
	if (!err)
		err = watch(tracer, events);
	if (err)
		fprintf(stderr, "attach_cycles: %s %s\n", strerror(-err),
			error.data ? error.data : "");
	lt_tracer_free(tracer);
	lt_plan_free(&plan);
	lt_maps_free(&maps);
	lt_process_close(&process);
	return err;
}

int main(int argc, char **argv)
{
	unsigned long cycles = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000, events = 0;
	unsigned long first_kib = 0;
	unsigned int first_fds = 0;
	struct lt_features features;

	if (argc < 2 || cycles <= WARM_UP) {
		fprintf(stderr, "usage: attach_cycles PID [CYCLES, more than %d]\n", WARM_UP);
		return 2;
	}
	lt_features_detect(&features);
	for (unsigned long i = 0; i < cycles; i++) {
		if (cycle(atoi(argv[1]), &features, &events))
			return 1;
		if (i + 1 == WARM_UP) {
			first_fds = open_descriptors();
			first_kib = resident_kib();
		}
	}
	printf("{\"cycles\":%lu,\"events\":%lu,\"fds_first\":%u,\"fds_last\":%u,"
	       "\"rss_kib_first\":%lu,\"rss_kib_last\":%lu}\n",
	       cycles, events, first_fds, open_descriptors(), first_kib, resident_kib());
	return 0;
}
