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

static void the_runtime_is_an_object(void **state)
{
	struct lt_report report = go_report();
	_lt_buf_ struct lt_buf out = { 0 };

	report.runtime.gc_pause_last_ns = report.runtime.next_gc_bytes = LT_UNKNOWN_FIGURE;
	lt_export_json(&report, &out);
	expect(out.data,
	       "\"runtime\":{\"version\":\"go1.22.12\",\"heap_source\":\"profile\","
	       "\"heap_rate_bytes\":524288,\"probes\":false,\"heap_inuse_bytes\":419430400,"
	       "\"heap_idle_bytes\":209715200,\"heap_released_bytes\":125829120,"
	       "\"heap_live_bytes\":314572800,\"stacks_inuse_bytes\":8388608,"
	       "\"next_gc_bytes\":null,\"gc_count\":831,\"goroutines\":1024,"
	       "\"runtime_goroutines\":5,\"unread_goroutines\":0,"
	       "\"heap_growth_bytes\":12582912,\"gc_pause_total_s\":1.512,"
	       "\"gc_pause_last_s\":null,\"gc_per_second\":0.123016,\"gc_pause_share\":0.006,"
	       "\"walk_s\":0.0015},");
	lt_buf_clear(&out);
	report.has_runtime = false;
	lt_export_json(&report, &out);
	expect(out.data, "\"runtime\":null,");
}

static void goroutines_have_their_own_keys(void **state)
{
	struct lt_report report = go_report();
	_lt_buf_ struct lt_buf out = { 0 };

	lt_export_json(&report, &out);
	expect(out.data,
	       "\"estimated\":false,\"state\":\"chan receive\",\"wait_reason\":\"chan receive\","
	       "\"blocked_at\":{\"func\":\"main.consumer.func1\",\"file\":\"/src/app/main.go\","
	       "\"line\":23},\"within\":null,\"created_by\":{\"func\":\"main.consumer\","
	       "\"file\":\"/src/app/main.go\",\"line\":21},\"created_for\":null,"
	       "\"shape\":null,");
	expect(out.data, "\"state\":\"running\",\"wait_reason\":null,\"blocked_at\":null,");
	expect(out.data, "\"created_for\":{\"func\":\"main.fetch\",\"file\":\"/src/app/main.go\","
			 "\"line\":30},\"shape\":\"responses of an HTTP client");
	expect(out.data, "\"frames\":[{\"mark\":\"chan receive\"},{\"func\":\"runtime.gopark\",");
	expect(out.data, "},{\"mark\":\"created by\"},{\"func\":\"main.consumer\",");
}

static void estimates_have_an_error(void **state)
{
	struct lt_report report = go_report();
	_lt_buf_ struct lt_buf out = { 0 };

	lt_export_json(&report, &out);
	expect(out.data, "\"estimated\":true,\"samples\":104,\"relative_error\":0.097109,");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_runtime_is_an_object),
		cmocka_unit_test(goroutines_have_their_own_keys),
		cmocka_unit_test(estimates_have_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
