// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "export/export.h"
#include "report/counters.h"
#include "unit/export/sample.h"

static void expect(const struct lt_buf *out, const char *part)
{
	assert_int_equal(lt_buf_error(out), 0);
	if (!strstr(out->data, part))
		fail_msg("no %s in:\n%s", part, out->data);
}

static void expect_valid_utf8(const struct lt_buf *out)
{
	uint32_t code;

	for (size_t at = 0; at < out->len;) {
		at += lt_utf8_next(out->data + at, out->len - at, &code);
		assert_int_not_equal(code, LT_UTF8_INVALID);
	}
}

static void json_has_the_schema(void **state)
{
	_lt_buf_ struct lt_buf out = { 0 };
	struct lt_report report = sample_report();

	report.final = true;
	report.end_reason = LT_END_EXITED;
	lt_export_json(&report, &out);
	expect(&out,
	       "{\"type\":\"report\",\"schema\":1,\"final\":true,\"sequence\":3,"
	       "\"time\":1763666794.25,\"interval_s\":10,\"elapsed_s\":252,"
	       "\"target\":{\"pid\":4242,\"ns_pid\":7,\"comm\":\"ng\\u001b[31minx\xef\xbf\xbd\"");
	expect(&out, "\"loss\":{\"release_ring_full\":1234,\"acquire_ring_full\":0,");
	expect(&out, "\"notes\":{\"stale_call\":5,");
	expect(&out, "\"verdict\":\"leaking\"");
	expect(&out, "\"stack_id\":\"0000000000000abc\",\"live_bytes\":5242880,");
	expect(&out, "\"survival\":0.01,");
	expect(&out, "\"p_value\":1e-06,\"oldest_age_s\":240,\"seconds_to_limit\":12000,");
	expect(&out, "{\"func\":\"make_session\",\"file\":\"/src/app/session.c\",\"line\":42,"
		     "\"module\":\"/usr/bin/app\",\"offset\":4660,"
		     "\"build_id\":\"aabbccddeeff00112233\",\"inlined\":true}");
	expect(&out, "\"seconds_to_limit\":null");
	expect(&out, "\"other\":{\"sites\":2,\"live_bytes\":70,\"live_count\":7,");
	expect(&out, "\"unknown_released\":17,\"repeated_released\":3}");
	expect(&out, "\"collector\":{\"cpu_s\":2.5,\"rss_bytes\":35651584}");
	expect(&out, "\"end\":{\"reason\":\"exited\",\"status\":0}}\n");
	expect_valid_utf8(&out);
	assert_ptr_equal(strchr(out.data, '\n'), out.data + out.len - 1);
	for (size_t i = 0; i < LT_COUNTER_COUNT; i++)
		expect(&out, lt_counter_infos[i].name);
}

static void prometheus_has_the_families(void **state)
{
	_lt_buf_ struct lt_buf out = { 0 };
	struct lt_report report = sample_report();
	char *rest, *line;

	lt_export_prometheus(&report, &out);
	expect(&out,
	       "\nleaktrace_site_live_bytes{pid=\"4242\",kind=\"heap\",stack=\"0000000000000abc\","
	       "function=\"make_session\"} 5242880\n");
	expect(&out, "stack=\"other\",function=\"\"} 70\n");
	expect(&out, ",verdict=\"leaking\"} 1\n");
	expect(&out, "leaktrace_lost_events_total{pid=\"4242\",name=\"release_ring_full\"} 1234\n");
	expect(&out, "leaktrace_report_timestamp_seconds{pid=\"4242\"} 1763666794.25\n");
	expect(&out, "leaktrace_sites{pid=\"4242\",verdict=\"leaking\"} 1\n");
	/* Two sites of one stable id are one series. */
	expect(&out, "leaktrace_site_live_objects{pid=\"4242\",kind=\"heap\","
		     "stack=\"0000000000000def\",function=\"std::vector");
	expect_valid_utf8(&out);
	assert_int_equal(out.data[out.len - 1], '\n');
	for (rest = out.data; (line = strsep(&rest, "\n"));)
		if (line[0] && line[0] != '#')
			assert_non_null(strstr(line, "{pid=\"4242\""));
}

static void check_with_promtool(const char *text, size_t len, const char *arguments)
{
	char command[256], path[] = "/tmp/leaktrace-metrics-XXXXXX", said[4096];
	int fd = mkstemp(path), status;
	size_t got;
	FILE *pipe;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	close(fd);
	snprintf(command, sizeof(command), "promtool %s <%s 2>&1", arguments, path);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	got = fread(said, 1, sizeof(said) - 1, pipe);
	said[got] = '\0';
	status = pclose(pipe);
	unlink(path);
	if (status == 127 << 8)
		fail_msg("promtool is missing: install the package \"prometheus\"");
	if (status || got)
		fail_msg("promtool, status %d: %s", status, said);
}

static void promtool_accepts(void **state)
{
	_lt_buf_ struct lt_buf out = { 0 };
	struct lt_report report = sample_report();
	struct lt_report empty = { .explained_ratio = NAN, .target = { 1, 1, "", "", "" } };

	lt_export_prometheus(&report, &out);
	check_with_promtool(out.data, out.len, "check metrics");
	lt_buf_clear(&out);
	lt_export_prometheus(&empty, &out);
	check_with_promtool(out.data, out.len, "check metrics");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_has_the_schema),
		cmocka_unit_test(prometheus_has_the_families),
		cmocka_unit_test(promtool_accepts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
