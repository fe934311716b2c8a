// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "report/findings.h"

#define SITES_MAX  80
#define FRAMES_MAX 8
#define SECONDS    200

struct scene {
	struct lt_site sites[SITES_MAX];
	struct lt_ranked ranking[SITES_MAX];
	struct lt_report_site shown[SITES_MAX];
	struct lt_report_frame frames[SITES_MAX][FRAMES_MAX];
	struct lt_history *histories[SITES_MAX];
	struct lt_report_input input;
	struct lt_report report;
	struct lt_arena arena;
};

static int setup(void **state)
{
	static struct scene scene;

	memset(&scene, 0, sizeof(scene));
	scene.input.histories = (const struct lt_history *const *)scene.histories;
	scene.report.sites = scene.shown;
	*state = &scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	for (size_t i = 0; i < SITES_MAX; i++)
		lt_history_free(scene->histories[i]);
	lt_arena_free(&scene->arena);
	return 0;
}

/* What happens at a place: 0 to 3 in a second, and 1 a second of EVEN. */
enum { EVEN = 0 };

static uint64_t events(unsigned int cause, uint32_t second)
{
	return cause == EVEN ? 1 : lt_mix64(cause * UINT64_C(1000003) + second) & 3;
}

/* One more site: each event brings so much. */
static size_t add(struct scene *scene, size_t kind, unsigned int cause, uint64_t size,
		  unsigned int level)
{
	size_t at = scene->report.site_count++;
	struct lt_sample sample = { 0 };

	/* Positions in the ranking are not those in the model. */
	scene->sites[at].index = (uint32_t)(SITES_MAX - 1 - at);
	scene->ranking[at] = (struct lt_ranked){ .site = &scene->sites[at], .kind = kind };
	scene->shown[at].evidence = (struct lt_evidence){ .verdict = LT_VERDICT_LEAKING,
							  .level = level,
							  .growth_per_hour = 10 };
	scene->shown[at].frames = scene->frames[at];
	assert_int_equal(lt_history_new(&scene->histories[SITES_MAX - 1 - at]), 0);
	for (uint32_t second = 1; second <= SECONDS; second++) {
		sample.live_size += events(cause, second) * size;
		assert_int_equal(
			lt_history_sample(scene->histories[SITES_MAX - 1 - at], second, &sample),
			0);
	}
	return at;
}

/* Leaf first.  Without a line, they are the C library's; without a name, of a stripped program. */
static void stack(struct scene *scene, size_t at, uint64_t offset, const char *const *functions,
		  const uint32_t *lines)
{
	uint32_t count = 0;

	for (; functions[count]; count++)
		scene->frames[at][count] = (struct lt_report_frame){
			.function = functions[count],
			.file = lines[count] ? "app.c" : "",
			.module = lines[count] || !functions[count][0] ? "/bin/app"
								       : "/lib/libc.so.6",
			.build_id = "",
			.line = lines[count],
			.offset = lines[count] || !functions[count][0] ? offset + count : 1,
		};
	scene->shown[at].frame_count = count;
}

#define STACK(scene, at, offset, functions, ...)                                                   \
	stack(scene, at, offset, functions, (const uint32_t[]){ __VA_ARGS__ })

static const struct lt_report_finding *build(struct scene *scene, size_t count)
{
	assert_int_equal(lt_findings_build(&scene->input, scene->ranking, &scene->arena,
					   &scene->report, scene->shown),
			 0);
	assert_int_equal(scene->report.finding_count, count);
	return scene->report.findings;
}

static void no_candidates(void **state)
{
	struct scene *scene = *state;

	build(scene, 0);
	add(scene, 0, 1, 100, 0);
	build(scene, 0);
}

/* 412 sockets, 412 threads, 6.1 MiB of heap: in step, of one caller. */
static void one_caller(void **state)
{
	static const char *const socket_stack[] = { "socket", "connection_open",   "accept_one",
						    "main",   "__libc_start_main", NULL };
	static const char *const heap_stack[] = { "connection_open", "accept_one", "main",
						  "__libc_start_main", NULL };
	static const char *const thread_stack[] = {
		"clone3",     "pthread_create", "connection_open",
		"accept_one", "main",           "__libc_start_main",
		NULL
	};
	struct scene *scene = *state;
	const struct lt_report_finding *finding;

	STACK(scene, add(scene, 2, 1, 1, 0), 100, socket_stack, 0, 11, 40, 90, 0);
	STACK(scene, add(scene, 0, 2, 64, 0), 200, heap_stack, 70, 80, 91, 0);
	STACK(scene, add(scene, 0, 1, 15000, 0), 200, heap_stack, 12, 40, 90, 0);
	STACK(scene, add(scene, 4, 1, 1, 1), 300, thread_stack, 0, 0, 13, 40, 90, 0);
	finding = build(scene, 1);
	assert_int_equal(finding->site_count, 3);
	assert_int_equal(finding->sites[0], 0);
	assert_int_equal(finding->sites[1], 2);
	assert_int_equal(finding->sites[2], 3);
	assert_true(finding->correlation > 0.999);
	assert_true(finding->of_increases);
	assert_non_null(finding->caller);
	assert_string_equal(finding->caller->function, "connection_open");
	assert_int_equal(finding->caller->line, 0); /* each in a line of its own */
	assert_int_equal(scene->shown[0].finding, 1);
	assert_int_equal(scene->shown[1].finding, 0);
	assert_int_equal(scene->shown[2].finding, 1);
	assert_int_equal(scene->shown[3].finding, 1);
}

static void the_same_call(void **state)
{
	static const char *const socket_stack[] = { "socket", "dial", "open", "main", NULL };
	static const char *const heap_stack[] = { "buffer_new", "open", "main", NULL };
	struct scene *scene = *state;
	const struct lt_report_finding *finding;

	STACK(scene, add(scene, 2, 1, 1, 0), 100, socket_stack, 0, 5, 40, 90);
	STACK(scene, add(scene, 0, 1, 64, 0), 200, heap_stack, 12, 40, 90);
	finding = build(scene, 1);
	assert_string_equal(finding->caller->function, "open");
	assert_int_equal(finding->caller->line, 40);
}

/* Whoever makes them: they would not rise and rest together for no reason. */
static void no_common_caller(void **state)
{
	static const char *const socket_stack[] = { "dial", "main", "__libc_start_main", NULL };
	static const char *const heap_stack[] = { "buffer_new", "main", "__libc_start_main", NULL };
	struct scene *scene = *state;

	STACK(scene, add(scene, 2, 1, 1, 0), 100, socket_stack, 5, 90, 0);
	STACK(scene, add(scene, 0, 1, 64, 0), 200, heap_stack, 12, 90, 0);
	assert_null(build(scene, 1)->caller);
}

/* Even growth is a sign only in one caller's hands. */
static void even_growth(void **state)
{
	static const char *const open_stack[] = { "socket", "open", "main", NULL };
	static const char *const heap_stack[] = { "open", "main", NULL };
	static const char *const other_stack[] = { "other", "main", NULL };
	static const char *const stripped[] = { "", "", "", NULL };
	struct scene *scene = *state;
	const struct lt_report_finding *finding;

	STACK(scene, add(scene, 2, EVEN, 1, 0), 100, open_stack, 0, 5, 90);
	STACK(scene, add(scene, 0, EVEN, 64, 0), 200, other_stack, 8, 90);
	STACK(scene, add(scene, 3, EVEN, 1, 0), 300, stripped, 0, 0, 0);
	STACK(scene, add(scene, 4, EVEN, 1, 0), 300, stripped, 0, 0, 0);
	build(scene, 0);
	STACK(scene, add(scene, 0, EVEN, 64, 0), 400, heap_stack, 8, 90);
	finding = build(scene, 1);
	assert_false(finding->of_increases);
	assert_true(finding->correlation > 0.999);
	assert_string_equal(finding->caller->function, "open");
	assert_int_equal(finding->site_count, 2);
	assert_int_equal(finding->sites[1], 4);
}

/* What every thread or every C++ program has is not a caller. */
static void beginnings_are_no_callers(void **state)
{
	static const struct {
		const char *common[4]; /* the program's */
		uint32_t lines[4];     /* or 0: the C library's */
	} stacks[] = {
		{ { "start_thread", "clone3" }, { 1, 1 } },
		{ { "main", "__libc_start_call_main", "_start" }, { 1, 1, 1 } },
		{ { "std::thread::_State_impl<X>::_M_run()", "start_thread" }, { 1, 1 } },
		{ { "pthread_create", "main" }, { 1, 1 } },
		{ { "fopen", "main" }, { 0, 1 } },
		{ { NULL }, { 0 } },
	};
	struct scene *scene = *state;

	for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++) {
		const char *functions[] = { "a", NULL, NULL, NULL, NULL };
		uint32_t lines[5] = { 1 };
		size_t a = add(scene, 2, EVEN, 1, 0), b = add(scene, 0, EVEN, 1, 0);

		memcpy(functions + 1, stacks[i].common, 3 * sizeof(*functions));
		memcpy(lines + 1, stacks[i].lines, 3 * sizeof(*lines));
		stack(scene, a, 100, functions, lines);
		functions[0] = "b";
		stack(scene, b, 100, functions, lines);
		build(scene, 0);
		teardown(state);
		setup(state);
	}
}

/* Of a module, each; the line is 1. */
static void stack_of(struct scene *scene, size_t at, const char *const frames[][2], uint32_t count,
		     uint64_t leaf)
{
	for (uint32_t i = 0; i < count; i++)
		scene->frames[at][i] = (struct lt_report_frame){
			.function = i           ? frames[i][0]
				    : leaf == 1 ? "first"
						: "second",
			.file = "",
			.module = frames[i][1],
			.build_id = "",
			.offset = i ? i : leaf,
		};
	scene->shown[at].frame_count = count;
}

/* Whatever a program does in its own language, the interpreter's loop calls. */
static void interpreters_are_no_callers(void **state)
{
	static const char python[] = "/usr/bin/python3.11", node[] = "/usr/bin/node";
	static const struct {
		const char *frames[FRAMES_MAX][2]; /* the leaf's name differs */
		const char *caller;
	} stacks[] = {
		{ { { "", python },
		    { "_PyEval_EvalFrameDefault", python },
		    { "Py_RunMain", python } },
		  NULL },
		/* The loop's helpers, and who runs the interpreter. */
		{ { { "", python },
		    { "PyObject_Call", python },
		    { "_PyEval_EvalFrameDefault.cold", python },
		    { "PyRun_SimpleString", python },
		    { "run_script", "/usr/bin/uwsgi" } },
		  NULL },
		/* What is written in C knows what it wants. */
		{ { { "", "/lib/_db.so" },
		    { "connection_open", "/lib/_db.so" },
		    { "cfunction_call", python },
		    { "_PyEval_EvalFrameDefault", python } },
		  "connection_open" },
		/* Unless it runs the loop again. */
		{ { { "", python },
		    { "_PyEval_EvalFrameDefault", python },
		    { "timer_fired", "/lib/_loop.so" },
		    { "_PyEval_EvalFrameDefault", python } },
		  NULL },
		{ { { "", node }, { "Builtins_InterpreterEntryTrampoline", node } }, NULL },
		/* Compiled, and so it has a name; it is in no file, as is the loop. */
		{ { { "", "" }, { "Pool::open", "" }, { "Interpreter", "" }, { "call_stub", "" } },
		  "Pool::open" },
	};
	struct scene *scene = *state;

	for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++) {
		size_t a = add(scene, 2, EVEN, 1, 0), b = add(scene, 0, EVEN, 1, 0);
		const struct lt_report_finding *finding;
		uint32_t count = 0;

		while (count < FRAMES_MAX && stacks[i].frames[count][0])
			count++;
		stack_of(scene, a, stacks[i].frames, count, 1);
		stack_of(scene, b, stacks[i].frames, count, 2);
		finding = build(scene, stacks[i].caller != NULL);
		if (stacks[i].caller)
			assert_string_equal(finding->caller->function, stacks[i].caller);
		teardown(state);
		setup(state);
	}
}

/* In step by their increases, they are one finding still, of no caller. */
static void in_step_below_an_interpreter(void **state)
{
	static const char *const frames[][2] = { { "", "/bin/lua" },
						 { "luaV_execute", "/bin/lua" },
						 { "docall", "/bin/lua" } };
	struct scene *scene = *state;

	stack_of(scene, add(scene, 2, 1, 1, 0), frames, 3, 1);
	stack_of(scene, add(scene, 0, 1, 64, 0), frames, 3, 2);
	assert_null(build(scene, 1)->caller);
}

/* Events that are seconds apart are in step in the longer window. */
static void the_coarser_window_decides(void **state)
{
	struct scene *scene = *state;
	struct lt_sample early = { 0 }, late = { 0 };
	const struct lt_report_finding *finding;

	for (size_t i = 0; i < 2; i++) {
		add(scene, i, EVEN, 1, (unsigned int)i);
		lt_history_free(scene->histories[SITES_MAX - 1 - i]);
		assert_int_equal(lt_history_new(&scene->histories[SITES_MAX - 1 - i]), 0);
	}
	for (uint32_t second = 1; second <= SECONDS; second++) {
		uint64_t came = events(1, second / 4);

		early.live_size += second % 4 == 2 ? came : 0;
		late.live_size += second % 4 == 3 ? came : 0;
		lt_history_sample(scene->histories[SITES_MAX - 1], second, &early);
		lt_history_sample(scene->histories[SITES_MAX - 2], second, &late);
	}
	finding = build(scene, 1);
	assert_true(finding->of_increases && finding->correlation > 0.999);
	scene->shown[1].evidence.level = 0;
	scene->report.finding_count = 0;
	build(scene, 0);
}

/* All of a finding's sites have it. */
static void two_of_three_have_a_caller(void **state)
{
	static const char *const of_open[] = { "dial", "open", "main", NULL };
	static const char *const of_main[] = { "buffer_new", "main", NULL };
	struct scene *scene = *state;

	STACK(scene, add(scene, 2, 1, 1, 0), 100, of_open, 5, 40, 90);
	STACK(scene, add(scene, 0, 1, 64, 0), 200, of_main, 12, 91);
	STACK(scene, add(scene, 4, 1, 1, 0), 300, of_open, 6, 40, 90);
	assert_null(build(scene, 1)->caller);
	assert_int_equal(scene->report.findings[0].site_count, 3);
}

/* Only growth that may be a leak is put together, and only of different kinds. */
static void who_takes_part(void **state)
{
	struct scene *scene = *state;

	add(scene, 0, 1, 10, 0);
	add(scene, 0, 1, 20, 0);
	build(scene, 0); /* one kind */
	add(scene, 2, 1, 1, 0);
	scene->shown[2].evidence.verdict = LT_VERDICT_WARMING;
	build(scene, 0);
	scene->shown[2].evidence.verdict = LT_VERDICT_SUSPECT;
	scene->shown[2].evidence.growth_per_hour = NAN;
	build(scene, 0);
	scene->shown[2].evidence.growth_per_hour = -1;
	build(scene, 0);
	scene->shown[2].evidence.growth_per_hour = 1;
	assert_int_equal(build(scene, 1)->site_count, 3); /* through the socket, all three */
	scene->report.finding_count = 0;
	scene->input.histories = NULL;
	build(scene, 0);
}

static void several_findings(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_finding *findings;

	add(scene, 0, 1, 10, 0);
	add(scene, 0, 2, 20, 0);
	add(scene, 2, 2, 1, 0);
	add(scene, 4, 1, 1, 0);
	add(scene, 4, 3, 1, 0);
	findings = build(scene, 2);
	assert_int_equal(findings[0].site_count, 2);
	assert_int_equal(findings[0].sites[0], 0);
	assert_int_equal(findings[0].sites[1], 3);
	assert_int_equal(findings[1].sites[0], 1);
	assert_int_equal(findings[1].sites[1], 2);
	assert_int_equal(scene->shown[3].finding, 1);
	assert_int_equal(scene->shown[2].finding, 2);
	assert_int_equal(scene->shown[4].finding, 0);
}

/* Of many sites, those kept are of every kind. */
static void a_large_group(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_finding *finding;

	for (int i = 0; i < 12; i++)
		add(scene, 0, 1, 10, 0);
	add(scene, 4, 1, 1, 0);
	add(scene, 2, 1, 1, 0);
	finding = build(scene, 1);
	assert_int_equal(finding->site_count, LT_FINDING_SITES);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(finding->sites[i], i);
	assert_int_equal(finding->sites[6], 12);
	assert_int_equal(finding->sites[7], 13);
	assert_int_equal(scene->shown[6].finding, 0);
	assert_int_equal(scene->shown[12].finding, 1);
}

/* The work is bounded, and so is the number of findings. */
static void too_many(void **state)
{
	struct scene *scene = *state;
	size_t in_findings = 0;

	for (unsigned int i = 0; i < SITES_MAX; i++)
		add(scene, i % 2, 1 + i / 2, 1, 0);
	build(scene, LT_FINDINGS_MAX);
	for (unsigned int i = 0; i < SITES_MAX; i++) {
		assert_in_range(scene->shown[i].finding, 0, LT_FINDINGS_MAX);
		in_findings += scene->shown[i].finding > 0;
	}
	assert_int_equal(in_findings, 2 * LT_FINDINGS_MAX);
}

static void beyond_the_candidates(void **state)
{
	struct scene *scene = *state;

	for (unsigned int i = 0; i < LT_FINDING_CANDIDATES; i++)
		add(scene, 0, 1, 1, 0);
	add(scene, 2, 1, 1, 0);
	build(scene, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_candidates),
		TEST(one_caller),
		TEST(the_same_call),
		TEST(no_common_caller),
		TEST(even_growth),
		TEST(beginnings_are_no_callers),
		TEST(interpreters_are_no_callers),
		TEST(in_step_below_an_interpreter),
		TEST(who_takes_part),
		TEST(the_coarser_window_decides),
		TEST(two_of_three_have_a_caller),
		TEST(several_findings),
		TEST(a_large_group),
		TEST(too_many),
		TEST(beyond_the_candidates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
