// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * heap PID: the heap profile and the figures of a live Go process, as leaktrace reads them.  A line for
 * each stack, in the form of its own heap?debug=1 (in use, then all that was allocated), then the
 * figures, named as in runtime.MemStats.  heap PID RATE writes MemProfileRate first.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "go/figures.h"
#include "go/heap.h"

/* Of our own processor time. */
static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void print_bucket(const struct lt_go_bucket *bucket)
{
	printf("%" PRIu64 ": %" PRIu64 " [%" PRIu64 ": %" PRIu64 "] @",
	       bucket->sampled_allocs - bucket->sampled_frees,
	       bucket->sampled_alloc_bytes - bucket->sampled_free_bytes, bucket->sampled_allocs,
	       bucket->sampled_alloc_bytes);
	for (size_t i = 0; i < bucket->frame_count; i++)
		printf(" 0x%" PRIx64, bucket->frames[i]);
	printf("\n");
}

static void print_heap(struct lt_go_program *program)
{
	struct lt_go_heap heap;
	double before = now_ms(), objects = 0, bytes = 0;
	int rc = lt_go_heap_read(program, &heap);

	if (rc) {
		printf("heap none %s\n", strerror(-rc));
		return;
	}
	fprintf(stderr, "%zu stacks in %.2f ms\n", heap.count, now_ms() - before);
	for (size_t i = 0; i < heap.count; i++) {
		print_bucket(&heap.buckets[i]);
		objects += heap.buckets[i].allocs - heap.buckets[i].frees;
		bytes += heap.buckets[i].alloc_bytes - heap.buckets[i].free_bytes;
	}
	printf("heap stacks %zu rate %" PRIu64 " cut %d unpublished %d objects %.0f bytes %.0f\n",
	       heap.count, heap.rate, heap.cut, heap.unpublished, objects, bytes);
	lt_go_heap_free(&heap);
}

static void print_figures(struct lt_go_program *program)
{
	struct lt_event_runtime figures = {};
	const struct {
		const char *name;
		const uint64_t *value;
	} lines[] = {
		{ "HeapInuse", &figures.heap_inuse_bytes },
		{ "HeapIdle", &figures.heap_idle_bytes },
		{ "HeapReleased", &figures.heap_released_bytes },
		{ "StackInuse", &figures.stacks_inuse_bytes },
		{ "NextGC", &figures.next_gc_bytes },
		{ "heapLive", &figures.heap_live_bytes },
		{ "NumGC", &figures.gc_count },
		{ "PauseTotalNs", &figures.gc_pause_total_ns },
		{ "PauseNs", &figures.gc_pause_last_ns },
		{ "lastGC", &figures.last_gc_ns },
	};

	lt_go_figures_find(program);
	if (lt_go_figures_read(program, &figures))
		return;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		if (*lines[i].value == LT_UNKNOWN_FIGURE)
			printf("figure %s unknown\n", lines[i].name);
		else
			printf("figure %s %" PRIu64 "\n", lines[i].name, *lines[i].value);
}

static void set_rate(struct lt_go_program *program, uint64_t rate)
{
	uint64_t old = 0;
	int rc = lt_go_heap_set_rate(program, rate, &old);

	printf("rate was %" PRIu64 ": %s\n", old, rc ? strerror(-rc) : "written");
}

int main(int argc, char **argv)
{
	static const char *const states[] = { "ok", "off", "unknown" };
	struct lt_process process;
	struct lt_maps maps;
	struct lt_go_program *program;
	struct lt_buf error = {};
	double before;
	int rc;

	if (argc < 2 || lt_process_open((pid_t)strtol(argv[1], NULL, 10), &process) ||
	    lt_maps_read(&process, &maps))
		return 2;
	rc = lt_go_program_open(&process, &maps, &program, &error);
	if (rc) {
		fprintf(stderr, "%s %.*s\n", strerror(-rc), (int)error.len, error.data);
		return 1;
	}
	before = now_ms();
	printf("heap state %s\n", states[lt_go_heap_find(program)]);
	fprintf(stderr, "found in %.2f ms\n", now_ms() - before);
	if (argc > 2)
		set_rate(program, strtoull(argv[2], NULL, 0));
	print_heap(program);
	print_figures(program);
	lt_go_program_free(program);
	lt_maps_free(&maps);
	lt_process_close(&process);
	lt_buf_free(&error);
	return 0;
}
