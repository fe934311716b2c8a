// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/export/go_sample.h"
#include "unit/export/render.h"

static void the_runtime_has_a_line(void **state)
{
	struct lt_report report = go_report();
	char *text = render(&report, false, false, 300);

	expect(text, "\nGo 1.22.12: heap 400 MiB in use (+12.0 MiB since the attach), next GC at "
		     "600 MiB, 120 MiB released, stacks 8.0 MiB, 1,024 goroutines (+ 5 of the "
		     "runtime), 831 GCs, the last pause 1.23 ms, pauses 0.6 % of the time\n");
	expect(text, "12.0 MiB Go heap");
	free(text);
	report.has_runtime = false;
	text = render(&report, false, false, 300);
	assert_null(strstr(text, "Go 1.22"));
	free(text);
}

static void unknown_figures_are_left_out(void **state)
{
	struct lt_report report = go_report();
	struct lt_event_runtime *now = &report.runtime;
	char *text;

	now->version = "devel\x1b[31m";
	now->heap_inuse_bytes = now->next_gc_bytes = now->heap_released_bytes =
		now->stacks_inuse_bytes = now->goroutines = now->gc_pause_last_ns =
			now->gc_pause_total_ns = now->unread_goroutines = now->walk_ns =
				LT_UNKNOWN_FIGURE;
	text = render(&report, false, true, 300);
	expect(text, "\nGo devel\xef\xbf\xbd[31m: 831 GCs\n");
	free(text);
	now->gc_count = LT_UNKNOWN_FIGURE;
	now->stacks_inuse_bytes = 1 << 20;
	text = render(&report, false, true, 300);
	expect(text, ": stacks 1.0 MiB\n");
	free(text);
}

static void where_the_heap_is_from(void **state)
{
	static const char *const notes[] = {
		[LT_RUNTIME_HEAP_OFF] = "\nthe program was linked without the heap profile: "
					"--go-probes follows spans",
		[LT_RUNTIME_HEAP_SPANS] = "\ngo-heap is by spans of 8 KiB and more, since the "
					  "attach, charged to who first allocated in them\n",
		[LT_RUNTIME_HEAP_UNKNOWN] = "\nthe heap profile was not found",
		[LT_RUNTIME_HEAP_ENABLED] = "\nthe heap profile was switched on by leaktrace",
	};
	struct lt_report report = go_report();

	report.runtime.unread_goroutines = 3;
	for (uint32_t heap = 0; heap < 8; heap++) {
		char *text;

		report.runtime.heap = heap;
		text = render(&report, false, true, 300);
		if (heap < sizeof(notes) / sizeof(notes[0]) && notes[heap])
			expect(text, notes[heap]);
		else
			assert_null(strstr(text, "profile"));
		expect(text, "\n3 goroutines moved while they were read\n");
		expect(text, "\ngoroutines were read within 2 ms\n");
		free(text);
	}
}

static void who_made_leaking_goroutines_can_be_asked_for(void **state)
{
	static const char hint[] = "\n--go-probes shows whose call made the leaking goroutines";
	struct lt_report report = go_report();
	char *text = render(&report, false, false, 300);

	expect(text, hint);
	free(text);
	report.runtime.probes = true;
	text = render(&report, false, false, 300);
	assert_null(strstr(text, hint));
	free(text);
	report.runtime.probes = false;
	report.sites++; /* no goroutine leaks any more */
	report.site_count--;
	text = render(&report, false, false, 300);
	assert_null(strstr(text, hint));
	free(text);
}

static void pressure_is_told(void **state)
{
	struct lt_report report = go_report();
	char *text = render(&report, false, false, 300);

	/* 408 of 512 MiB; 31 collections in 252 s */
	expect(text, "\nmemory pressure: heap and stacks use 80 % of the memory limit (512 MiB)\n");
	assert_null(strstr(text, "frequent"));
	free(text);
	report.limit_bytes = 1ULL << 30;
	report.runtime.gc_count = 800 + 630;
	text = render(&report, false, false, 300);
	assert_null(strstr(text, "pressure"));
	expect(text, "\nfrequent GC: 2.5 a second since the attach\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_runtime_has_a_line),
		cmocka_unit_test(unknown_figures_are_left_out),
		cmocka_unit_test(where_the_heap_is_from),
		cmocka_unit_test(who_made_leaking_goroutines_can_be_asked_for),
		cmocka_unit_test(pressure_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
