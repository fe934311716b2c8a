// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "export/export.h"
#include "unit/export/go_sample.h"
#include "unit/export/render.h"

static void the_runtime_has_families(void **state)
{
	struct lt_report go = go_report(), other = sample_report();
	const struct lt_report *reports[] = { &go, &other };
	_lt_buf_ struct lt_buf out = { 0 };

	other.target.pid = 5;
	lt_export_prometheus_all(reports, 2, NULL, &out);
	expect(out.data, "\nleaktrace_go_info{pid=\"4242\",version=\"go1.22.12\"} 1\n");
	expect(out.data, "# TYPE leaktrace_go_heap_inuse_bytes gauge\n"
			 "leaktrace_go_heap_inuse_bytes{pid=\"4242\"} 419430400\n#");
	expect(out.data, "\nleaktrace_go_heap_idle_bytes{pid=\"4242\"} 209715200\n");
	expect(out.data, "\nleaktrace_go_heap_released_bytes{pid=\"4242\"} 125829120\n");
	expect(out.data, "\nleaktrace_go_stacks_inuse_bytes{pid=\"4242\"} 8388608\n");
	expect(out.data, "\nleaktrace_go_next_gc_bytes{pid=\"4242\"} 629145600\n");
	expect(out.data, "# TYPE leaktrace_go_gc_cycles_total counter\n"
			 "leaktrace_go_gc_cycles_total{pid=\"4242\"} 831\n");
	expect(out.data, "\nleaktrace_go_gc_pause_seconds_total{pid=\"4242\"} 1.512\n");
	expect(out.data, "\nleaktrace_go_goroutines{pid=\"4242\"} 1024\n");
	expect(out.data, "\nleaktrace_go_runtime_goroutines{pid=\"4242\"} 5\n");
	expect(out.data, "kind=\"goroutine\",stack=\"0000000000000060\","
			 "function=\"main.consumer.func1\"");
	expect(out.data, "kind=\"goroutine\",stack=\"0000000000000062\",function=\"main.fetch\"");
}

static void unknown_has_no_series(void **state)
{
	struct lt_report report = go_report();
	_lt_buf_ struct lt_buf out = { 0 };

	report.runtime.next_gc_bytes = LT_UNKNOWN_FIGURE;
	lt_export_prometheus(&report, &out);
	assert_null(strstr(out.data, "leaktrace_go_next_gc_bytes{"));
	expect(out.data, "# TYPE leaktrace_go_next_gc_bytes gauge\n");
	lt_buf_clear(&out);
	report.has_runtime = false;
	lt_export_prometheus(&report, &out);
	assert_null(strstr(out.data, "leaktrace_go_"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_runtime_has_families),
		cmocka_unit_test(unknown_has_no_series),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
