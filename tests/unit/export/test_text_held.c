// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/export/render.h"
#include "unit/export/sample.h"

static void says_what_lives(void **state)
{
	struct lt_report report = service_report();
	char *text = render(&report, false, false, 200);

	report.memory.parts[LT_MEMORY_MAPPINGS] = report.memory.parts[LT_MEMORY_STACKS] = NAN;
	expect(text, "tracked live 10.0 MiB in 429 blocks, 439 sockets, 96 other descriptors, 412 "
		     "threads\nexplained");
	free(text);
	/* What blocks explain is said of them. */
	text = render(&report, false, false, 200);
	expect(text, "10.0 MiB in 429 blocks (97 % of the growth), 439 sockets, 96 other");
	free(text);
	memset(report.kinds, 0, sizeof(report.kinds));
	for (size_t i = 0; i < LT_KINDS; i++)
		if (lt_kind_infos[i].value == LT_KIND_FD || lt_kind_infos[i].value == LT_KIND_STACK)
			report.kinds[i] = (struct lt_report_kind){ 1, 1, 8 << 20, 0, 0 };
	text = render(&report, false, false, 200);
	expect(text, "; tracked live 1 descriptor, 8.0 MiB in 1 thread stack\n");
	free(text);
	memset(report.kinds, 0, sizeof(report.kinds));
	text = render(&report, false, false, 200);
	expect(text, "; tracked live 0 B in 0 blocks (97 % of the growth)\n");
	free(text);
}

/* So many alive of both kinds that /proc/PID/fd lists, and threads. */
static void set_alive(struct lt_report *report, uint64_t descriptors, uint64_t threads)
{
	for (size_t i = 0; i < LT_KINDS; i++) {
		struct lt_report_kind *kind = &report->kinds[i];

		if (lt_kind_infos[i].value == LT_KIND_SOCKET)
			kind->live_count = 1;
		if (lt_kind_infos[i].value == LT_KIND_FD)
			kind->live_count = descriptors - 1;
		if (lt_kind_infos[i].value == LT_KIND_THREAD)
			kind->live_count = threads;
	}
}

static void says_how_listings_agree(void **state)
{
	static const struct {
		uint64_t descriptors_alive, threads_alive;
		struct lt_model_listing descriptors, threads;
		bool final;
		const char *text;
	} cases[] = {
		{ 447,
		  414,
		  { .taken = true, .listed = 447, .tracked = 447 },
		  { .taken = true, .listed = 414, .tracked = 414 },
		  false,
		  "descriptors 447 and threads 414, as the kernel listed them\n" },
		/* The first look finds what was there, and takes it in. */
		{ 31,
		  1,
		  { .taken = true, .listed = 31, .tracked = 31, .before = 31 },
		  { .taken = true, .listed = 1, .tracked = 1, .before = 1 },
		  false,
		  "descriptors 31 (all from before the attach) and threads 1 (from before the "
		  "attach), as the kernel listed them\n" },
		{ 447,
		  7,
		  { .taken = true, .listed = 447, .tracked = 447, .before = 31 },
		  { .taken = false },
		  true,
		  "descriptors 447 (31 from before the attach), as the kernel listed them\n" },
		{ 447,
		  414,
		  { .taken = true, .listed = 449, .tracked = 447, .unknown = 2 },
		  { .taken = true, .listed = 414, .tracked = 414 },
		  false,
		  "descriptors 447, 2 more that the kernel lists are looked at again; threads "
		  "414, as the kernel listed them\n" },
		{ 447,
		  414,
		  { .taken = true, .listed = 447, .tracked = 447 },
		  { .taken = true, .listed = 413, .tracked = 414, .vanished = 1 },
		  true,
		  "descriptors 447, as the kernel listed them; threads 414, 1 that the kernel does "
		  "not list came too late for another look\n" },
		{ 449,
		  413,
		  { .taken = true,
		    .listed = 449,
		    .tracked = 449,
		    .unknown = 1,
		    .vanished = 1,
		    .came = 2 },
		  { .taken = true, .listed = 413, .tracked = 413, .came = 3, .went = 1 },
		  false,
		  "descriptors 449, 1 more that the kernel lists and 1 that it does not are "
		  "looked at again, 2 that came unseen were set right; threads 413, as the kernel "
		  "listed them, 3 that came and 1 that went unseen were set right\n" },
		{ 7,
		  413,
		  { .taken = false },
		  { .taken = true, .listed = 413, .tracked = 413, .went = 1 },
		  false,
		  "threads 413, as the kernel listed them, 1 that went unseen was set right\n" },
		/* What came or went since the kernel was asked is no difference. */
		{ 520,
		  410,
		  { .taken = true, .listed = 513, .tracked = 513 },
		  { .taken = true, .listed = 414, .tracked = 414, .before = 1 },
		  false,
		  "descriptors 520 (513 listed by the kernel just before); threads 410 (1 from "
		  "before the attach; 414 listed by the kernel just before)\n" },
		{ 520,
		  414,
		  { .taken = true, .listed = 513, .tracked = 512, .unknown = 1 },
		  { .taken = true, .listed = 414, .tracked = 414 },
		  false,
		  "descriptors 520 (513 listed by the kernel just before), 1 more that the kernel "
		  "lists is looked at again; threads 414, as the kernel listed them\n" },
		/* What happens as it is asked cannot be told. */
		{ 445,
		  415,
		  { .taken = true, .listed = 448, .tracked = 445, .unknown = 1 },
		  { .taken = true, .listed = 414, .tracked = 415 },
		  false,
		  "descriptors 445, 1 more that the kernel lists is looked at again, 2 more that "
		  "the kernel lists came or went meanwhile; threads 415, 1 that the kernel does "
		  "not list came or went meanwhile\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lt_report report = service_report();
		char *text, *line;

		report.final = cases[i].final;
		set_alive(&report, cases[i].descriptors_alive, cases[i].threads_alive);
		report.listings[LT_LISTING_DESCRIPTORS] = cases[i].descriptors;
		report.listings[LT_LISTING_THREADS] = cases[i].threads;
		text = render(&report, false, false, 250);
		line = strstr(text, cases[i].text);
		if (!line || line[-1] != '\n')
			fail_msg("no \"%s\" in:\n%s", cases[i].text, text);
		free(text);
	}
}

/* The latest look at what is gone is as old as an interval may be. */
static void the_last_look_may_be_old(void **state)
{
	static const uint32_t ends[] = { LT_END_EXITED, LT_END_KILLED, LT_END_EXEC,
					 LT_END_TRUNCATED };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct lt_report report = service_report();
		char *text;

		report.final = true;
		report.end_reason = ends[i];
		set_alive(&report, 520, 7);
		report.listings[LT_LISTING_DESCRIPTORS] = (struct lt_model_listing){
			.taken = true, .listed = 494, .tracked = 493, .unknown = 1, .before = 3
		};
		report.listings[LT_LISTING_THREADS] =
			(struct lt_model_listing){ .taken = true, .listed = 7, .tracked = 7 };
		text = render(&report, false, false, 250);
		expect(text, "\ndescriptors 520 (3 from before the attach) and threads 7\n");
		free(text);
		report.listings[LT_LISTING_THREADS].came = 2;
		text = render(&report, false, false, 250);
		expect(text, "\ndescriptors 520 (3 from before the attach); threads 7, 2 that came "
			     "unseen were set right\n");
		free(text);
	}
}

static void nobody_looked(void **state)
{
	struct lt_report report = sample_report();
	char *text = render(&report, false, true, 200);

	assert_null(strstr(text, "the kernel list"));
	assert_null(strstr(text, "RLIMIT"));
	free(text);
}

static void limits_that_are_near(void **state)
{
	struct lt_report_headroom limits[4];
	struct lt_report report = service_report();
	char *text = render(&report, false, false, 200);

	/* Of threads the nearest one; memory is in the headline. */
	expect(text,
	       "3 sites leaking: 4.0 MiB/h, 34 sockets/h, 1 thread/h; at this rate the memory "
	       "limit (512 MiB) is reached in 3 d 15 h; 1 suspect\n"
	       "descriptors 812 of 1,024, 79 % (RLIMIT_NOFILE of the process): full in 12 min "
	       "at this rate\n"
	       "threads 414 of 1,000, 41 % (pids.max of its control group): full in 17 h 47 "
	       "min at this rate\n"
	       "LOSS");
	free(text);
	text = render(&report, true, true, 200);
	expect(text, "\n\x1b[1;31mthreads 414 of 31,000\x1b[0m, 1.3 % (RLIMIT_NPROC of all "
		     "processes of its user): full in 34 d 17 h at this rate\n"
		     "memory 61.0 MiB of 512 MiB, 12 % (memory limit of its control group or the "
		     "machine)\n");
	free(text);

	/* Nothing leaks: what is nearly full is told all the same. */
	memcpy(limits, service_headroom, sizeof(limits));
	for (size_t i = 0; i < 4; i++) {
		limits[i].growth_per_hour = 0;
		limits[i].seconds_left = INFINITY;
	}
	limits[2].used = 31001;
	report.headroom = limits;
	text = render(&report, false, false, 200);
	expect(text, "\ndescriptors 812 of 1,024, 79 % (RLIMIT_NOFILE of the process)\n"
		     "threads 31,001 of 31,000, 100 % (RLIMIT_NPROC of all processes of its user): "
		     "full\nLOSS");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_lives),
		cmocka_unit_test(says_how_listings_agree),
		cmocka_unit_test(the_last_look_may_be_old),
		cmocka_unit_test(nobody_looked),
		cmocka_unit_test(limits_that_are_near),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
