// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "report/report.h"

#define NS        1000000000ULL
#define SITES_MAX 8
#define STACK_ID  0x100 /* the first one's: small ones have a meaning */

struct scene {
	struct lt_model *model;
	struct lt_symbol_store *symbols;
	struct lt_evidence evidence[SITES_MAX];
	struct lt_event_target target;
	struct lt_event_process first, now;
	uint64_t counters[LT_COUNTER_COUNT];
	struct lt_report_input input;
};

static void acquire(struct scene *scene, uint64_t id, uint64_t size, uint64_t stack)
{
	struct lt_event event = { .type = LT_EVENT_ACQUIRE,
				  .kind = LT_KIND_HEAP,
				  .time_ns = 100 * NS,
				  .acquire = { id, size, STACK_ID + stack } };
	uint64_t frames[] = { 0x1000 + stack * 16, 0x9000 };
	struct lt_event told = { .type = LT_EVENT_STACK,
				 .time_ns = 100 * NS,
				 .stack = { STACK_ID + stack, frames, 2, LT_STACK_NO_FRAME } };

	assert_int_equal(lt_model_apply(scene->model, &event), 0);
	assert_int_equal(lt_model_apply(scene->model, &told), 0);
}

static int setup(void **state)
{
	static struct scene scene;
	static const struct lt_source_frame frames[] = { { "inner", "a.c", 3, true },
							 { "outer", "a.c", 9, false } };
	uint8_t build_id[] = { 0xab, 0x01 };
	struct lt_event_module module = { 0, 0x1000, 0x2000, 0x400, "/bin/app", build_id, 2 };
	struct lt_event_symbol symbol = { 0x100f + 16, frames, 2 };

	memset(&scene, 0, sizeof(scene));
	assert_int_equal(lt_model_new(90 * NS, &scene.model), 0);
	assert_int_equal(lt_symbol_store_new(&scene.symbols), 0);
	assert_int_equal(lt_symbol_store_add_module(scene.symbols, &module), 0);
	symbol.pc = lt_symbol_lookup_pc(0x1000 + 2 * 16);
	assert_int_equal(lt_symbol_store_add_symbol(scene.symbols, &symbol), 0);
	acquire(&scene, 1, 1 << 20, 1);
	acquire(&scene, 2, 2 << 20, 2);
	acquire(&scene, 3, 3 << 20, 3);
	scene.evidence[0] = (struct lt_evidence){ .verdict = LT_VERDICT_STABLE,
						  .growth_per_hour = NAN };
	scene.evidence[1] = (struct lt_evidence){ .verdict = LT_VERDICT_LEAKING,
						  .growth_per_hour = 1 << 20 };
	scene.evidence[2] = (struct lt_evidence){ .verdict = LT_VERDICT_STABLE,
						  .growth_per_hour = -5 };
	scene.target = (struct lt_event_target){ .realtime_offset_ns = 1000 * NS,
						 .ns_pid = 4,
						 .interval_ns = 10 * NS,
						 .comm = "app",
						 .exe = "/bin/app",
						 .allocator = "glibc" };
	scene.first.rss_bytes = 10 << 20;
	scene.now = (struct lt_event_process){ .rss_bytes = 22 << 20,
					       .limit_bytes = 64 << 20,
					       .available_bytes = 2 << 20 };
	scene.input = (struct lt_report_input){
		.model = scene.model,
		.symbols = scene.symbols,
		.evidence = scene.evidence,
		.target = &scene.target,
		.tgid = 77,
		.process = &scene.now,
		.heap_growth_bytes = 6 << 20,
		.process_first = &scene.first,
		.counters = scene.counters,
		.attach_ns = 90 * NS,
		.time_ns = 130 * NS,
		.sequence = 1,
		.top = 2,
	};
	*state = &scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	lt_model_free(scene->model);
	lt_symbol_store_free(scene->symbols);
	return 0;
}

static void ranks_and_sums(void **state)
{
	struct scene *scene = *state;
	struct lt_report *report;

	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_int_equal(report->site_count, 2);
	assert_int_equal(report->site_total, 3);
	assert_int_equal(report->sites[0].live_size, 2 << 20); /* leaking */
	assert_int_equal(report->sites[1].live_size, 3 << 20); /* known growth before unknown */
	assert_int_equal(report->other_count, 1);
	assert_string_equal(report->others[0].kind, "heap");
	assert_int_equal(report->others[0].live_size, 1 << 20);
	assert_int_equal(report->verdict_counts[LT_VERDICT_STABLE], 2);
	assert_int_equal(report->verdict_counts[LT_VERDICT_LEAKING], 1);
	lt_report_free(report);
}

static void numbers(void **state)
{
	struct scene *scene = *state;
	struct lt_report *report;

	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_true(report->explained_ratio == 0.5);
	assert_true(report->realtime_s == 1130);
	assert_true(report->elapsed_s == 40);
	assert_true(report->interval_s == 10);
	assert_true(report->sites[0].seconds_to_limit == 7200);
	assert_true(isinf(report->sites[1].seconds_to_limit));
	assert_true(report->sites[0].oldest_age_s == 30);
	assert_int_equal(report->live_bytes, 6 << 20);
	assert_int_equal(report->kinds[0].sites, 3);
	assert_int_equal(report->kinds[0].live_count, 3);
	assert_int_equal(report->kinds[0].live_size, 6 << 20);
	assert_true(report->growth_per_hour == (1 << 20) - 5);
	assert_true(report->memory.explained == 6 << 20);
	assert_true(report->memory.rest == 6 << 20);
	assert_false(report->memory.divided);
	lt_report_free(report);
	scene->now.rss_bytes = scene->first.rss_bytes;
	scene->now.available_bytes = 0;
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_true(isnan(report->explained_ratio));
	assert_true(isnan(report->sites[0].seconds_to_limit));
	lt_report_free(report);
}

/* Whether shown or not, and only what is leaking by bytes and known to grow. */
static void all_leaks_are_summed(void **state)
{
	struct scene *scene = *state;
	struct lt_report *report;

	scene->input.top = 1;
	scene->evidence[0] = (struct lt_evidence){ .verdict = LT_VERDICT_LEAKING,
						   .growth_per_hour = 1000 };
	scene->evidence[2] = (struct lt_evidence){ .verdict = LT_VERDICT_SUSPECT,
						   .growth_per_hour = 7 };
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_int_equal(report->site_count, 1);
	assert_true(report->leaking_growth_per_hour == (1 << 20) + 1000);
	lt_report_free(report);
	scene->evidence[0].growth_per_hour = NAN;
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_true(report->leaking_growth_per_hour == 1 << 20);
	lt_report_free(report);
}

static void never_observed_is_unknown(void **state)
{
	struct scene *scene = *state;
	struct lt_event_process none = { 0 };
	struct lt_report *report;

	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_true(report->rss_growth_bytes == 12 << 20);
	lt_report_free(report);
	scene->now.rss_bytes = 4 << 20;
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_true(report->rss_growth_bytes == -(6 << 20));
	lt_report_free(report);
	scene->input.process = scene->input.process_first = &none;
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_true(isnan(report->rss_growth_bytes));
	assert_true(isnan(report->explained_ratio));
	lt_report_free(report);
	scene->input.process = scene->input.process_first = NULL;
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_true(isnan(report->rss_growth_bytes));
	lt_report_free(report);
}

/* Addresses fill no memory, pages do. */
static void mappings_fill_memory_by_their_pages(void **state)
{
	static struct lt_evidence evidence[4];
	struct scene *scene = *state;
	struct lt_report *report;
	struct lt_event event = { .type = LT_EVENT_ACQUIRE,
				  .kind = LT_KIND_MMAP,
				  .flags = LT_WIRE_F_RANGE,
				  .time_ns = 100 * NS,
				  .acquire = { 0x100000, 1 << 20, 9 } };

	assert_int_equal(lt_model_apply(scene->model, &event), 0);
	evidence[3] = (struct lt_evidence){ .verdict = LT_VERDICT_LEAKING,
					    .growth_per_hour = 4096 };
	scene->input.evidence = evidence;
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_string_equal(report->sites[0].kind, "mmap");
	assert_true(isnan(report->sites[0].seconds_to_limit));
	assert_true(report->leaking_growth_per_hour == 4096);
	/* Nobody knows how much is resident: no time is better than a wrong one. */
	assert_true(isnan(report->leaking_memory_per_hour));
	assert_true(isnan(report->headroom[0].seconds_left));
	lt_report_free(report);
	scene->now.resident_count = LT_RESIDENT_COUNT;
	scene->now.resident[LT_RESIDENT_MAPPED_PLAIN] = 1 << 19;
	evidence[0] = (struct lt_evidence){ .verdict = LT_VERDICT_LEAKING, .growth_per_hour = 512 };
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_true(report->leaking_memory_per_hour == 2048 + 512);
	assert_true(report->headroom[0].growth_per_hour == 2048 + 512);
	assert_true(report->headroom[0].seconds_left == (2 << 20) / 2560.0 * 3600);
	assert_true(report->sites[0].seconds_to_limit == (2 << 20) / 2048.0 * 3600);
	lt_report_free(report);
	/* None leaks: then it does not matter. */
	scene->now.resident_count = 0;
	evidence[3].verdict = LT_VERDICT_WARMING;
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_true(report->leaking_memory_per_hour == 512);
	lt_report_free(report);
}

/* Mappings count by their resident bytes, which only smaps knows. */
static void mappings_explain_growth_too(void **state)
{
	struct scene *scene = *state;
	struct lt_report *report;

	scene->first.resident_count = scene->now.resident_count = LT_RESIDENT_COUNT;
	scene->first.resident[LT_RESIDENT_ANONYMOUS] = 10 << 20;
	scene->now.resident[LT_RESIDENT_ANONYMOUS] = 10 << 20;
	scene->now.resident[LT_RESIDENT_MAPPED_ALLOCATOR] = 7 << 20;
	scene->now.resident[LT_RESIDENT_MAPPED_PLAIN] = 3 << 20;
	scene->now.resident[LT_RESIDENT_MAPPED_STACK] = 2 << 20;
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_true(report->memory.maps_tracked);
	assert_true(report->memory.parts[LT_MEMORY_ALLOCATOR] == 1 << 20);
	assert_true(report->explained_ratio == 11.0 / 12);
	lt_report_free(report);
}

/* One more site, whose resources are listed by the kernel. */
static void acquire_listed(struct scene *scene, uint8_t kind, uint64_t id, uint64_t stack)
{
	struct lt_event event = { .type = LT_EVENT_ACQUIRE,
				  .kind = kind,
				  .time_ns = 110 * NS,
				  .acquire = { id, 1, stack } };

	assert_int_equal(lt_model_apply(scene->model, &event), 0);
}

static void describe(struct scene *scene, uint32_t listing, uint64_t id, uint64_t key,
		     const char *type, const char *name)
{
	struct lt_event event = { .type = LT_EVENT_DESCRIBE,
				  .time_ns = 110 * NS,
				  .describe = { listing, id, key, type, name, "", "" } };

	assert_int_equal(lt_model_apply(scene->model, &event), 0);
}

static size_t kind_of(uint8_t value)
{
	size_t i = 0;

	while (lt_kind_infos[i].value != value)
		i++;
	return i;
}

static void leaks(struct scene *scene, size_t site, double growth)
{
	scene->evidence[site] = (struct lt_evidence){ .verdict = LT_VERDICT_LEAKING,
						      .growth_per_hour = growth };
}

static void bytes_and_numbers_take_turns(void **state)
{
	struct scene *scene = *state;
	struct lt_report *report;

	acquire_listed(scene, LT_KIND_SOCKET, 7, 20);
	acquire_listed(scene, LT_KIND_THREAD, 8, 21);
	leaks(scene, 0, 1000);
	leaks(scene, 2, 2000);
	leaks(scene, 3, 5);
	leaks(scene, 4, 6);
	scene->input.top = 5;
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_int_equal(report->sites[0].live_size, 2 << 20); /* 1 MiB/h */
	assert_string_equal(report->sites[1].kind, "thread");
	assert_int_equal(report->sites[2].live_size, 3 << 20);
	assert_string_equal(report->sites[3].kind, "socket");
	assert_int_equal(report->sites[4].live_size, 1 << 20);
	/* They are no bytes, and fill other limits. */
	assert_int_equal(report->live_bytes, 6 << 20);
	assert_true(report->growth_per_hour == (1 << 20) + 3000);
	assert_true(report->leaking_growth_per_hour == (1 << 20) + 3000);
	assert_true(report->leaking_memory_per_hour == (1 << 20) + 3000);
	assert_true(report->kinds[kind_of(LT_KIND_HEAP)].leaking_per_hour == (1 << 20) + 3000);
	assert_true(report->kinds[kind_of(LT_KIND_THREAD)].leaking_per_hour == 6);
	assert_true(report->kinds[kind_of(LT_KIND_HEAP)].growth_per_hour == (1 << 20) + 3000);
	assert_true(report->kinds[kind_of(LT_KIND_THREAD)].growth_per_hour == 6);
	assert_true(isnan(report->kinds[kind_of(LT_KIND_STACK)].growth_per_hour));
	assert_int_equal(report->kinds[kind_of(LT_KIND_SOCKET)].live_count, 1);
	lt_report_free(report);
}

/* Seeded by the first census: with a phrase for a stack, and with an age of its own. */
static void from_before_the_attach(void **state)
{
	static const struct lt_listed items[] = { { 0, 0, LT_KIND_FD },
						  { 1, 30 * NS, LT_KIND_FD } };
	struct lt_event census = { .type = LT_EVENT_CENSUS,
				   .time_ns = 95 * NS,
				   .census = { LT_LISTING_DESCRIPTORS, 2, 95 * NS, 0, UINT64_MAX,
					       items } };
	struct scene *scene = *state;
	const struct lt_report_site *site;
	struct lt_report *report;

	assert_int_equal(lt_model_apply(scene->model, &census), 0);
	describe(scene, LT_LISTING_DESCRIPTORS, 0, 0, "file", "/dev/null");
	describe(scene, LT_LISTING_DESCRIPTORS, 1, 0, "file", "/dev/null");
	scene->input.top = SITES_MAX;
	leaks(scene, 3, 1);
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	site = &report->sites[1];
	assert_string_equal(site->kind, "fd");
	assert_int_equal(site->stack_id, LT_STACK_FROM_BEFORE);
	assert_int_equal(site->frame_count, 0);
	assert_string_equal(site->stack_end, "from before the attach, or inherited");
	assert_true(site->oldest_age_s == 100);
	assert_int_equal(site->group_count, 1);
	assert_string_equal(site->groups[0].what, "/dev/null");
	assert_int_equal(site->groups[0].count, 2);
	assert_true(report->listings[LT_LISTING_DESCRIPTORS].taken);
	assert_int_equal(report->listings[LT_LISTING_DESCRIPTORS].listed, 2);
	assert_int_equal(report->listings[LT_LISTING_DESCRIPTORS].before, 2);
	assert_false(report->listings[LT_LISTING_THREADS].taken);
	lt_report_free(report);
}

static void made_by_no_call_that_is_followed(void **state)
{
	struct scene *scene = *state;
	struct lt_report *report;

	acquire_listed(scene, LT_KIND_FD, 9, LT_STACK_UNSEEN);
	acquire_listed(scene, LT_KIND_FD, 10, 0x123456789); /* its stack is yet to come */
	scene->input.top = SITES_MAX;
	leaks(scene, 3, 2);
	leaks(scene, 4, 1);
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_int_equal(report->sites[1].stack_id, LT_STACK_UNSEEN);
	assert_string_equal(report->sites[1].stack_end,
			    "no call that is followed made them (io_uring, ioctl, ...)");
	assert_int_equal(report->sites[2].stack_id, 0x123456789);
	assert_string_equal(report->sites[2].stack_end, "stack not received");
	lt_report_free(report);
}

static void limits_and_what_leaks_towards_them(void **state)
{
	struct lt_event_limit limits[LT_LIMITS] = { [LT_LIMIT_DESCRIPTORS] = { LT_LIMIT_DESCRIPTORS,
									       0, 101 } };
	struct scene *scene = *state;
	struct lt_report *report;

	acquire_listed(scene, LT_KIND_SOCKET, 7, 20);
	leaks(scene, 3, 50);
	scene->input.limits = limits;
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_string_equal(report->sites[1].kind, "socket");
	assert_true(report->sites[1].seconds_to_limit == 7200);
	assert_int_equal(report->headroom_count, 2);
	assert_string_equal(report->headroom[0].what, "memory"); /* in 7200 s as well: fuller */
	assert_true(report->headroom[0].seconds_left == 7200);
	assert_string_equal(report->headroom[1].what, "descriptors");
	assert_int_equal(report->headroom[1].used, 1);
	assert_true(report->headroom[1].seconds_left == 7200);
	lt_report_free(report);
}

/* A leak that has filled its limit stands still: it must be told all the same. */
static void what_fills_a_limit_is_shown(void **state)
{
	struct lt_event_limit limits[LT_LIMITS] = { [LT_LIMIT_DESCRIPTORS] = { LT_LIMIT_DESCRIPTORS,
									       0, 11 } };
	struct scene *scene = *state;
	struct lt_report *report;

	for (uint64_t i = 0; i < 11; i++) /* sites 3 to 6: 5, 3, 2, 1 */
		acquire_listed(scene, i % 2 ? LT_KIND_SOCKET : LT_KIND_FD, 10 + i,
			       i % 2    ? 20
			       : i < 6  ? 21
			       : i < 10 ? 22
					: 23);
	scene->evidence[2].verdict = LT_VERDICT_WARMING;
	scene->evidence[2].growth_per_hour = 1e9;
	scene->evidence[3].verdict = scene->evidence[4].verdict = LT_VERDICT_STABLE;
	scene->input.limits = limits;
	scene->input.top = 4;
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_true(report->exhausted);
	assert_int_equal(report->sites[0].live_size, 2 << 20); /* leaking */
	assert_false(report->sites[0].fills);
	for (size_t i = 1; i < 4; i++) {
		assert_string_not_equal(report->sites[i].kind, "heap");
		assert_int_not_equal(report->sites[i].live_count, 1);
		assert_true(report->sites[i].fills);
	}
	lt_report_free(report);
	limits[LT_LIMIT_DESCRIPTORS].limit = 15; /* 73 % */
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_false(report->exhausted);
	assert_int_equal(report->sites[1].live_size, 3 << 20); /* warming */
	for (size_t i = 0; i < 4; i++)
		assert_false(report->sites[i].fills);
	lt_report_free(report);
}

/* What is over is told last of its verdict, however it grew. */
static void nothing_alive_is_told_last(void **state)
{
	struct lt_event release = { .type = LT_EVENT_RELEASE,
				    .kind = LT_KIND_HEAP,
				    .time_ns = 120 * NS,
				    .release = { .id = 3 } };
	struct scene *scene = *state;
	struct lt_report *report;

	assert_int_equal(lt_model_apply(scene->model, &release), 0);
	acquire_listed(scene, LT_KIND_FD, 7, 20);
	scene->evidence[2].growth_per_hour = 1e9; /* stable, as that of 1 MiB and the descriptor */
	scene->evidence[3] = scene->evidence[0];
	scene->input.top = SITES_MAX;
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_int_equal(report->site_count, 4);
	assert_int_equal(report->sites[1].live_size, 1 << 20);
	assert_string_equal(report->sites[2].kind, "fd");
	assert_int_equal(report->sites[3].live_count, 0);
	lt_report_free(report);
}

static void what_rises_in_step_is_one_finding(void **state)
{
	struct lt_history *histories[4];
	struct lt_sample sample = { 0 };
	struct scene *scene = *state;
	struct lt_report *report;

	acquire_listed(scene, LT_KIND_SOCKET, 7, 20);
	leaks(scene, 3, 50);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(lt_history_new(&histories[i]), 0);
	for (uint32_t second = 1; second <= LT_HISTORY_POINTS; second++) {
		sample.live_size += second * second % 7;
		for (size_t i = 0; i < 4; i++)
			assert_int_equal(lt_history_sample(histories[i], second, &sample), 0);
	}
	scene->input.histories = (const struct lt_history *const *)histories;
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_int_equal(report->finding_count, 1);
	assert_int_equal(report->findings[0].site_count, 2);
	assert_int_equal(report->findings[0].sites[0], 0);
	assert_int_equal(report->findings[0].sites[1], 1);
	assert_int_equal(report->sites[0].finding, 1);
	assert_int_equal(report->sites[1].finding, 1);
	lt_report_free(report);
	scene->input.top = 1; /* what is not shown takes no part */
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_int_equal(report->finding_count, 0);
	lt_report_free(report);
	for (size_t i = 0; i < 4; i++)
		lt_history_free(histories[i]);
}

static void a_born_process_has_another_number(void **state)
{
	struct scene *scene = *state;
	struct lt_report *report;

	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_int_equal(report->target.pid, 77);
	assert_int_equal(report->target.parent_pid, 0);
	lt_report_free(report);
	scene->target.pid = 4711;
	scene->target.parent_pid = 42;
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_int_equal(report->target.pid, 4711);
	assert_int_equal(report->target.parent_pid, 42);
	lt_report_free(report);
}

/* An executable mapping without a file is announced as a module without a path. */
static void jit_code_has_no_module(void **state)
{
	struct scene *scene = *state;
	struct lt_event_module jit = { 1, 0x8000, 0xa000, 0, "", NULL, 0 };
	const struct lt_report_frame *frame;
	struct lt_report *report;

	assert_int_equal(lt_symbol_store_add_module(scene->symbols, &jit), 0);
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	frame = &report->sites[0].frames[2];
	assert_string_equal(frame->module, "");
	assert_string_equal(frame->build_id, "");
	assert_int_equal(frame->offset, 0x8fff);
	lt_report_free(report);
}

static void frames_are_expanded(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_site *site;
	struct lt_report *report;

	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	/* The report outlives what it was built from. */
	lt_symbol_store_free(scene->symbols);
	scene->symbols = NULL;
	site = &report->sites[0];
	assert_int_equal(site->frame_count, 3);
	assert_string_equal(site->frames[0].function, "inner");
	assert_true(site->frames[0].inlined);
	assert_string_equal(site->frames[1].function, "outer");
	assert_int_equal(site->frames[1].line, 9);
	assert_string_equal(site->frames[1].module, "/bin/app");
	assert_string_equal(site->frames[1].build_id, "ab01");
	assert_int_equal(site->frames[1].offset, 0x41f);
	assert_string_equal(site->frames[2].function, "");
	assert_string_equal(site->frames[2].module, "");
	assert_int_equal(site->frames[2].offset, 0x8fff);
	assert_string_equal(site->stack_end, "no unwind table and no frame pointer");
	lt_report_free(report);
}

static int count_wanted(void *context, uint64_t pc)
{
	uint64_t *wanted = context;

	wanted[0]++;
	wanted[1] ^= pc;
	return wanted[2] ? -77 : 0;
}

static void asks_for_unknown_addresses_of_the_top(void **state)
{
	struct scene *scene = *state;
	uint64_t wanted[3] = { 0 };

	assert_int_equal(lt_report_wanted(&scene->input, count_wanted, wanted), 0);
	assert_int_equal(wanted[0], 3); /* 0x8fff twice, and the leaf of the second site */
	assert_int_equal(wanted[1], 0x102f);
	wanted[2] = 1;
	assert_int_equal(lt_report_wanted(&scene->input, count_wanted, wanted), -77);
}

static void asks_for_start_functions(void **state)
{
	struct scene *scene = *state;
	uint64_t before[3] = { 0 }, wanted[3] = { 0 };

	acquire_listed(scene, LT_KIND_THREAD, 55, 20);
	leaks(scene, 3, 1);
	assert_int_equal(lt_report_wanted(&scene->input, count_wanted, before), 0);
	describe(scene, LT_LISTING_THREADS, 55, 0x1abc, "thread", "worker");
	assert_int_equal(lt_report_wanted(&scene->input, count_wanted, wanted), 0);
	assert_int_equal(wanted[0], before[0] + 1);
	assert_int_equal(wanted[1], before[1] ^ 0x1abc);
}

/* Looked up in vain before its module was known: asked again once it is. */
static void asks_again_when_a_module_appears(void **state)
{
	struct scene *scene = *state;
	struct lt_event_symbol nothing = { .pc = 0x8fff };
	struct lt_event_module module = { 1, 0x8000, 0xa000, 0, "/lib/late.so", NULL, 0 };
	uint64_t wanted[3] = { 0 };

	assert_int_equal(lt_symbol_store_add_symbol(scene->symbols, &nothing), 0);
	assert_int_equal(lt_report_wanted(&scene->input, count_wanted, wanted), 0);
	assert_int_equal(wanted[0], 1); /* the leaf of the second site */
	assert_int_equal(lt_symbol_store_add_module(scene->symbols, &module), 0);
	memset(wanted, 0, sizeof(wanted));
	assert_int_equal(lt_report_wanted(&scene->input, count_wanted, wanted), 0);
	assert_int_equal(wanted[0], 3);
}

/* What a walk saw of a goroutine. */
static void acquire_goroutine(struct scene *scene)
{
	uint64_t frames[] = { LT_MARK_CHAN_RECEIVE, 0x1010, LT_MARK_CREATED, 0x1020, 77 };
	struct lt_event event = { .type = LT_EVENT_ACQUIRE,
				  .kind = LT_KIND_GOROUTINE,
				  .time_ns = 100 * NS,
				  .acquire = { 18, 1, STACK_ID + 50 } };
	struct lt_event told = { .type = LT_EVENT_STACK,
				 .time_ns = 100 * NS,
				 .stack = { STACK_ID + 50, frames, 5, LT_STACK_COMPLETE } };

	assert_int_equal(lt_model_apply(scene->model, &event), 0);
	assert_int_equal(lt_model_apply(scene->model, &told), 0);
	scene->evidence[3] = (struct lt_evidence){ .verdict = LT_VERDICT_LEAKING,
						   .growth_per_hour = 1e9 };
	scene->evidence[1].verdict = LT_VERDICT_STABLE;
	scene->input.top = 1;
}

static void marks_are_no_code(void **state)
{
	struct scene *scene = *state;
	/* Nothing is there; but a recording may say anything. */
	struct lt_event_module low = { 1, 0, 0x1000, 0, "/lib/low.so", NULL, 0 };
	uint64_t wanted[3] = { 0 };
	const struct lt_report_frame *frames;
	struct lt_report *report;

	acquire_goroutine(scene);
	assert_int_equal(lt_symbol_store_add_module(scene->symbols, &low), 0);
	assert_int_equal(lt_report_wanted(&scene->input, count_wanted, wanted), 0);
	assert_int_equal(wanted[0], 1);
	assert_int_equal(wanted[1], 0x100f);
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_string_equal(report->sites[0].kind, "goroutine");
	assert_int_equal(report->sites[0].group_count, 0);
	assert_int_equal(report->sites[0].frame_count, 6); /* one of two functions */
	frames = report->sites[0].frames;
	assert_int_equal(frames[0].mark->value, LT_MARK_CHAN_RECEIVE);
	assert_int_equal(frames[0].mark->class, LT_MARK_CLASS_WAIT);
	assert_string_equal(frames[0].mark->text, "chan receive");
	assert_string_equal(frames[0].function, "");
	assert_string_equal(frames[0].file, "");
	assert_string_equal(frames[0].module, "");
	assert_int_equal(frames[0].offset, 0);
	assert_null(frames[1].mark);
	assert_int_equal(frames[1].offset, 0x40f);
	assert_string_equal(frames[2].mark->text, "created by");
	assert_string_equal(frames[4].function, "outer");
	assert_string_equal(frames[5].mark->text, "mark 77");
	assert_int_equal(frames[5].mark->class, LT_MARK_CLASS_UNKNOWN);
	lt_report_free(report);
}

static void the_runtime_is_copied(void **state)
{
	struct scene *scene = *state;
	struct lt_event_runtime first = { .version = "go1.22.12", .heap_inuse_bytes = 1 << 20 };
	struct lt_event_runtime now = { .version = "go1.22.12", .heap_inuse_bytes = 5 << 20 };
	struct lt_report *report;

	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_false(report->has_runtime);
	assert_true(isnan(report->memory.parts[LT_MEMORY_GO_HEAP]));
	lt_report_free(report);
	scene->input.runtime = &now;
	scene->input.runtime_first = &first;
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_true(report->has_runtime);
	assert_string_equal(report->runtime.version, "go1.22.12");
	assert_ptr_not_equal(report->runtime.version, now.version);
	assert_int_equal(report->runtime.heap_inuse_bytes, 5 << 20);
	assert_int_equal(report->runtime_first.heap_inuse_bytes, 1 << 20);
	assert_true(report->memory.parts[LT_MEMORY_GO_HEAP] == 4 << 20);
	lt_report_free(report);
	scene->input.runtime_first = NULL;
	assert_int_equal(lt_report_build(&scene->input, &report), 0);
	assert_int_equal(report->runtime_first.heap_inuse_bytes, 5 << 20);
	lt_report_free(report);
}

static void estimates_have_an_error(void **state)
{
	struct lt_report_site site = { .sampled = 96, .live_count = 2400 };

	assert_true(fabs(lt_report_relative_error(&site) - 0.1) < 1e-9);
	site.sampled = 2400; /* all of them */
	assert_true(isnan(lt_report_relative_error(&site)));
	site.sampled = 0;
	assert_true(isnan(lt_report_relative_error(&site)));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ranks_and_sums),
		TEST(numbers),
		TEST(mappings_explain_growth_too),
		TEST(mappings_fill_memory_by_their_pages),
		TEST(a_born_process_has_another_number),
		TEST(all_leaks_are_summed),
		TEST(never_observed_is_unknown),
		TEST(jit_code_has_no_module),
		TEST(asks_again_when_a_module_appears),
		TEST(frames_are_expanded),
		TEST(asks_for_unknown_addresses_of_the_top),
		TEST(asks_for_start_functions),
		TEST(bytes_and_numbers_take_turns),
		TEST(from_before_the_attach),
		TEST(made_by_no_call_that_is_followed),
		TEST(limits_and_what_leaks_towards_them),
		TEST(what_fills_a_limit_is_shown),
		TEST(nothing_alive_is_told_last),
		TEST(what_rises_in_step_is_one_finding),
		TEST(marks_are_no_code),
		TEST(the_runtime_is_copied),
		TEST(estimates_have_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
