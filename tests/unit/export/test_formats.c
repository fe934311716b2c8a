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
#include "unit/export/go_sample.h"

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
	expect(&out, "\"rss_bytes\":63963136,\"rss_growth_bytes\":12582912,");
	expect(&out, "\"allocator\":\"glibc\",\"parent_pid\":null}");
	expect(&out,
	       "\"explained_ratio\":0.97,\"memory\":{\"explained_bytes\":12320768,"
	       "\"explained\":{\"heap\":11534336,\"mappings\":524288,\"thread_stacks\":262144,"
	       "\"go_heap\":null,\"go_stacks\":null},"
	       "\"rest_bytes\":262144,\"rest\":{\"go_runtime\":null,\"allocator\":524288,\"before_"
	       "attach\":-393216,"
	       "\"undivided\":null,\"globals\":0,\"file_pages\":131072,\"shared_memory\":0,"
	       "\"main_stack\":0,\"other\":0},\"swap_growth_bytes\":0,\"mapped\":{\"plain\":"
	       "8388608,"
	       "\"allocator\":67108864,\"stack\":16777216,\"reserved\":1048576}},"
	       "\"runtime\":null,\"growth_bytes_per_hour\":6291456,\"leaking_growth_bytes_per_"
	       "hour\":5452595.2,");
	expect(&out, "{\"func\":\"make_session\",\"file\":\"/src/app/session.c\",\"line\":42,"
		     "\"module\":\"/usr/bin/app\",\"offset\":4660,"
		     "\"build_id\":\"aabbccddeeff00112233\",\"inlined\":true}");
	expect(&out, "\"seconds_to_limit\":null");
	expect(&out, "\"other\":{\"sites\":2,\"live_bytes\":70,\"live_count\":7,");
	expect(&out, "\"unknown_released\":17,\"repeated_released\":3,\"kinds\":{"
		     "\"heap\":{\"sites\":5,\"live_count\":1262,\"live_bytes\":12582912,"
		     "\"leaking_per_hour\":5452595.2},");
	expect(&out, "\"collector\":{\"cpu_s\":2.5,\"rss_bytes\":35651584}");
	expect(&out, "\"end\":{\"reason\":\"exited\",\"status\":0}}\n");
	expect_valid_utf8(&out);
	assert_ptr_equal(strchr(out.data, '\n'), out.data + out.len - 1);
	for (size_t i = 0; i < LT_COUNTER_COUNT; i++)
		expect(&out, lt_counter_infos[i].name);
}

static void json_says_what_resources_are(void **state)
{
	_lt_buf_ struct lt_buf out = { 0 };
	struct lt_report report = service_report();

	lt_export_json(&report, &out);
	expect(&out, "\"seconds_to_limit\":720,\"groups\":[{\"type\":\"TCP\",\"relation\":\"to\","
		     "\"what\":\"10.0.0.5:5432\",\"count\":412,\"states\":[{\"state\":"
		     "\"CLOSE_WAIT\",\"count\":409},{\"state\":\"ESTABLISHED\",\"count\":3}],"
		     "\"oldest_age_s\":10800},{\"type\":\"TCP\",\"relation\":\"at\",");
	expect(&out, "{\"type\":\"unix stream\",\"relation\":null,\"what\":null,\"count\":2,"
		     "\"states\":[],\"oldest_age_s\":7}],\"group_rest\":17,\"finding\":0,");
	expect(&out, "\"what\":\"/var/cache/\\u001b[31mx\xef\xbf\xbd\"");
	expect(&out, "\"groups\":[],\"group_rest\":0,\"finding\":null,");
	expect(&out, "\"stack_end\":\"from before the attach\",\"frames\":[]");
	expect(&out, "\"findings\":[{\"sites\":[0,2,3],\"correlation\":0.996,\"of_increases\":"
		     "true,\"caller\":{\"func\":\"connection_open\",");
	expect(&out, "\"headroom\":[{\"what\":\"descriptors\",\"limit\":\"RLIMIT_NOFILE\","
		     "\"whose\":\"of the process\",\"unit\":null,\"used\":812,\"max\":1024,"
		     "\"growth_per_hour\":34,\"seconds_left\":720},");
	expect(&out, "\"unit\":\"bytes\",\"used\":63963136,");
	expect(&out, "\"listings\":{\"descriptors\":{\"listed\":535,\"tracked\":535,\"unknown\":0,"
		     "\"vanished\":0,\"came\":0,\"went\":0,\"before_attach\":96},\"threads\":{"
		     "\"listed\":412,");
	/* Things that are no bytes are in no sum of bytes. */
	expect(&out,
	       "\"other\":{\"sites\":3,\"live_bytes\":70,\"live_count\":10,"
	       "\"acquired_count\":14,\"acquired_bytes\":90,\"released_count\":4,"
	       "\"released_bytes\":20,\"kinds\":{\"heap\":{\"live_bytes\":70,\"live_count\":7,"
	       "\"acquired_count\":9,\"acquired_bytes\":90,\"released_count\":2,"
	       "\"released_bytes\":20},\"socket\":{\"live_bytes\":3,\"live_count\":3,");
	expect_valid_utf8(&out);
}

static void json_at_a_limit(void **state)
{
	struct lt_report_site site = service_sites[4];
	struct lt_report report = service_report();
	_lt_buf_ struct lt_buf out = { 0 };

	lt_export_json(&report, &out);
	expect(&out, "\"finding\":0,\"estimated\":false,\"fills\":false,");
	lt_buf_clear(&out);
	site.fills = report.exhausted = true;
	report.sites = &site;
	report.site_count = 1;
	lt_export_json(&report, &out);
	expect(&out, "\"finding\":null,\"estimated\":false,\"fills\":true,");
	expect(&out, "],\"exhausted\":true,\"listings\":");
}

/* 0 would be said of one that ended well. */
static void json_of_an_unknown_status(void **state)
{
	struct lt_report report = sample_report();
	_lt_buf_ struct lt_buf out = { 0 };

	report.final = true;
	report.end_reason = LT_END_EXITED;
	report.end_status = -1;
	lt_export_json(&report, &out);
	expect(&out, "\"end\":{\"reason\":\"exited\",\"status\":null}}\n");
}

static void json_of_nothing_new(void **state)
{
	struct lt_report_finding finding = { service_members, 2, NAN, false, NULL };
	struct lt_report_headroom limit = service_headroom[0];
	struct lt_report report = service_report();
	_lt_buf_ struct lt_buf out = { 0 };

	report.findings = &finding;
	report.headroom = &limit;
	report.headroom_count = 1;
	limit.seconds_left = INFINITY;
	report.listings[LT_LISTING_THREADS].taken = false;
	lt_export_json(&report, &out);
	expect(&out, "\"findings\":[{\"sites\":[0,2],\"correlation\":null,\"of_increases\":false,"
		     "\"caller\":null}]");
	expect(&out, "\"seconds_left\":null}],\"exhausted\":false,\"listings\":");
	expect(&out, "\"threads\":null,\"goroutines\":null}");
	lt_buf_clear(&out);
	report = sample_report();
	lt_export_json(&report, &out);
	expect(&out, "\"findings\":[],\"headroom\":[],\"exhausted\":false,\"listings\":{"
		     "\"descriptors\":null,"
		     "\"threads\":null,\"goroutines\":null},");
}

static void prometheus_has_limits(void **state)
{
	struct lt_report_headroom limit = service_headroom[0];
	struct lt_report report = service_report();
	_lt_buf_ struct lt_buf out = { 0 };

	report.listings[LT_LISTING_DESCRIPTORS].unknown = 2;
	report.listings[LT_LISTING_DESCRIPTORS].vanished = 1;
	lt_export_prometheus(&report, &out);
	expect(&out, "\nleaktrace_listed{pid=\"4242\",listing=\"descriptors\"} 535\n"
		     "leaktrace_listed{pid=\"4242\",listing=\"threads\"} 412\n");
	expect(&out, "\nleaktrace_listing_difference{pid=\"4242\",listing=\"descriptors\"} 3\n"
		     "leaktrace_listing_difference{pid=\"4242\",listing=\"threads\"} 0\n");
	expect(&out, "\nleaktrace_headroom_used{pid=\"4242\",what=\"descriptors\",limit=\"RLIMIT_"
		     "NOFILE\"} 812\n");
	expect(&out, "\nleaktrace_headroom_limit{pid=\"4242\",what=\"threads\",limit=\"pids.max\"} "
		     "1000\n");
	expect(&out, "\nleaktrace_headroom_seconds{pid=\"4242\",what=\"memory\",limit=\"memory "
		     "limit\"} 230000\n");
	expect(&out, "\nleaktrace_findings{pid=\"4242\"} 1\n");
	expect(&out, "\nleaktrace_site_growth_objects_per_second{pid=\"4242\",kind=\"socket\","
		     "stack=\"00000000000003e8\",function=\"connection_open\"} 0.009444\n");
	lt_buf_clear(&out);
	limit.seconds_left = INFINITY;
	report.headroom = &limit;
	report.headroom_count = 1;
	report.listings[LT_LISTING_THREADS].taken = false;
	lt_export_prometheus(&report, &out);
	expect(&out, "limit=\"RLIMIT_NOFILE\"} +Inf\n");
	assert_null(strstr(out.data, "listing=\"threads\""));
}

/* A report in which nothing was ever observed. */
static struct lt_report unknown_report(struct lt_report_site *site)
{
	struct lt_report report = sample_report();

	*site = sample_sites[0];
	site->evidence = (struct lt_evidence){ .growth_per_hour = NAN,
					       .growth_low = NAN,
					       .growth_high = NAN,
					       .survival = NAN,
					       .maturity_s = NAN,
					       .p_value = NAN };
	site->oldest_age_s = site->seconds_to_limit = NAN;
	report.sites = site;
	report.site_count = 1;
	report.rss_growth_bytes = report.explained_ratio = report.growth_per_hour = NAN;
	report.memory = (struct lt_report_memory){ .rest = NAN, .swap_growth = NAN };
	for (int part = 0; part < LT_MEMORY_PARTS; part++)
		report.memory.parts[part] = NAN;
	report.rss_bytes = report.limit_bytes = report.available_bytes = 0;
	report.collector_cpu_ns = report.collector_rss_bytes = 0;
	return report;
}

static void the_unknown_is_null(void **state)
{
	static const char *const keys[] = {
		"\"rss_bytes\"",   "\"rss_growth_bytes\"", "\"explained_ratio\"",
		"\"limit_bytes\"", "\"available_bytes\"",  "\"growth_bytes_per_hour\"",
		"\"growth_low\"",  "\"growth_high\"",      "\"survival\"",
		"\"maturity_s\"",  "\"p_value\"",          "\"oldest_age_s\"",
		"\"cpu_s\"",       "\"rest_bytes\"",       "\"swap_growth_bytes\"",
		"\"mappings\"",    "\"thread_stacks\"",    "\"before_attach\"",
		"\"file_pages\"",  "\"main_stack\"",       "\"reserved\"",
		"\"parent_pid\"",
	};
	_lt_buf_ struct lt_buf out = { 0 };
	struct lt_report_site site;
	struct lt_report report = unknown_report(&site);

	lt_export_json(&report, &out);
	assert_int_equal(lt_buf_error(&out), 0);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *at = strstr(out.data, keys[i]);

		assert_non_null(at);
		for (; at; at = strstr(at + 1, keys[i]))
			if (strncmp(at + strlen(keys[i]), ":null", 5) != 0)
				fail_msg("%.60s", at);
	}
}

static void the_unknown_has_no_series(void **state)
{
	static const char *const families[] = {
		"rss_bytes",
		"rss_growth_bytes",
		"rss_growth_explained_bytes",
		"rss_growth_rest_bytes",
		"growth_bytes_per_second",
		"explained_ratio",
		"memory_limit_bytes",
		"collector_cpu_seconds_total",
		"collector_rss_bytes",
		"site_growth_bytes_per_second",
		"site_growth_objects_per_second",
		"site_survival_ratio",
		"site_oldest_age_seconds",
		"site_time_to_limit_seconds",
	};
	_lt_buf_ struct lt_buf out = { 0 };
	struct lt_report_site site;
	struct lt_report report = unknown_report(&site);

	lt_export_prometheus(&report, &out);
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		char text[80];

		snprintf(text, sizeof(text), "# TYPE leaktrace_%s ", families[i]);
		expect(&out, text);
		snprintf(text, sizeof(text), "\nleaktrace_%s{", families[i]);
		assert_null(strstr(out.data, text));
	}
	assert_null(strstr(out.data, " NaN\n"));
}

/* The type of the family that the line belongs to, from the TYPE line before it. */
static bool is_counter(const struct lt_buf *out, const char *line)
{
	char text[120];

	snprintf(text, sizeof(text), "# TYPE %.*s counter\n", (int)strcspn(line, "{"), line);
	return strstr(out->data, text);
}

/* A site that enters the top leaves the others: their sums may fall, which no counter may. */
static void others_have_no_counters(void **state)
{
	_lt_buf_ struct lt_buf out = { 0 };
	struct lt_report report = sample_report();
	size_t gauges = 0, counters = 0;

	lt_export_prometheus(&report, &out);
	for (const char *line = out.data; *line; line = strchr(line, '\n') + 1) {
		const char *end = strchr(line, '\n');
		const char *other = strstr(line, "stack=\"other\"");

		if (line[0] == '#')
			continue;
		counters += is_counter(&out, line);
		if (!other || other > end)
			continue;
		assert_false(is_counter(&out, line));
		gauges++;
	}
	assert_int_equal(gauges, 2); /* live bytes, live objects */
	assert_true(counters > 10);
	expect(&out, "# TYPE leaktrace_acquired_total counter\n"
		     "leaktrace_acquired_total{pid=\"4242\"} 124034\n");
	expect(&out, "# TYPE leaktrace_released_total counter\n"
		     "leaktrace_released_total{pid=\"4242\"} 122772\n");
	expect(&out, "\nleaktrace_leaking_growth_bytes_per_second{pid=\"4242\"} 1514.609778\n");
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
		     "stack=\"0000000000000def\",function=\"evil\xef\xbf\xbd]0;title");
	expect_valid_utf8(&out);
	assert_int_equal(out.data[out.len - 1], '\n');
	for (rest = out.data; (line = strsep(&rest, "\n"));)
		if (line[0] && line[0] != '#')
			assert_non_null(strstr(line, "{pid=\"4242\""));
}

static void prometheus_names_the_caller(void **state)
{
	static const struct lt_report_frame frames[] = {
		{ "operator new(unsigned long)", "", 0, false, "/usr/lib/libstdc++.so.6", 0x10, "",
		  NULL },
		{ "", "", 0, false, "/usr/bin/app", 0x1234, "aabbccddeeff00112233", NULL },
		{ "__libc_start_call_main", "", 0, false, "/usr/lib/libc.so.6", 0x27000, "", NULL },
	};
	struct lt_report_site site = sample_sites[0];
	struct lt_report report = sample_report();
	_lt_buf_ struct lt_buf out = { 0 };

	site.frames = frames;
	site.frame_count = 3;
	report.sites = &site;
	report.site_count = 1;
	lt_export_prometheus(&report, &out);
	expect(&out, "stack=\"0000000000000abc\",function=\"app+0x1234\"} 5242880\n");
	assert_null(strstr(out.data, "libc_start"));
}

static void prometheus_has_the_parts(void **state)
{
	_lt_buf_ struct lt_buf out = { 0 };
	struct lt_report report = sample_report();

	report.target.parent_pid = 4200;
	lt_export_prometheus(&report, &out);
	expect(&out, "\nleaktrace_rss_growth_bytes{pid=\"4242\"} 12582912\n");
	expect(&out,
	       "\nleaktrace_rss_growth_explained_bytes{pid=\"4242\",part=\"heap\"} 11534336\n");
	expect(&out, "\nleaktrace_rss_growth_rest_bytes{pid=\"4242\",part=\"before_attach\"} "
		     "-393216\n");
	assert_null(strstr(out.data, "undivided"));
	expect(&out, ",ns_pid=\"7\",parent_pid=\"4200\",comm=\"");
	assert_null(strstr(out.data, "leaktrace_processes"));
}

static struct lt_total total_of(const struct lt_total_process *processes, size_t count)
{
	return (struct lt_total){
		.final = true,
		.session = 4242,
		.sequence = 3,
		.realtime_s = 1763666794.25,
		.elapsed_s = 252,
		.interval_s = 10,
		.process_count = count + 2,
		.rss_growth_bytes = NAN,
		.kinds = { { 5, 1262, 12 << 20, 3600, 0 } },
		.growth_per_hour = 3600,
		.leaking_processes = 1,
		.exhausted_processes = 1,
		.verdict_counts = { [LT_VERDICT_LEAKING] = 2 },
		.ended = { 200, 5000, 4990, 10, 1024, 4 },
		.collector_cpu_ns = 2500000000,
		.processes = processes,
		.shown_count = count,
	};
}

static void json_has_the_total(void **state)
{
	static const struct lt_total_process processes[] = {
		{ 4242,
		  7,
		  4200,
		  "ng\x1b[31minx\xff",
		  61 << 20,
		  100,
		  3600,
		  1800,
		  true,
		  LT_VERDICT_LEAKING,
		  2,
		  { { 1, 2, 100, 1800, 3600 } } },
		{ 5, 5, 0, "", 0, 0, NAN, 0, false, 0, 0, { { 0 } } },
	};
	struct lt_total total = total_of(processes, 2);
	_lt_buf_ struct lt_buf out = { 0 };

	lt_export_json_total(&total, &out);
	expect(&out, "{\"type\":\"total\",\"schema\":1,\"final\":true,\"sequence\":3,"
		     "\"time\":1763666794.25,\"interval_s\":10,\"elapsed_s\":252,\"session\":4242,"
		     "\"process_count\":4,\"leaking_processes\":1,\"exhausted_processes\":1,\"rss_"
		     "bytes\":null,"
		     "\"rss_growth_bytes\":null,\"growth_bytes_per_hour\":3600,");
	expect(&out, "\"unknown_released\":0,\"kinds\":{\"heap\":{\"sites\":5,\"live_count\":1262,"
		     "\"live_bytes\":12582912,\"leaking_per_hour\":3600},");
	expect(&out, "\"verdicts\":{\"leaking\":2,");
	expect(&out, "\"collector\":{\"cpu_s\":2.5,\"rss_bytes\":null}");
	expect(&out,
	       "\"processes\":[{\"pid\":4242,\"ns_pid\":7,\"parent_pid\":4200,"
	       "\"comm\":\"ng\\u001b[31minx\xef\xbf\xbd\",\"verdict\":\"leaking\",\"leaking\":2,"
	       "\"rss_bytes\":63963136,\"live_bytes\":100,\"growth_bytes_per_hour\":3600,"
	       "\"leaking_growth_bytes_per_hour\":1800,\"kinds\":{\"heap\":{\"sites\":1,"
	       "\"live_count\":2,\"live_bytes\":100,\"leaking_per_hour\":1800},");
	expect(&out, "\"stack\":{\"sites\":0,\"live_count\":0,\"live_bytes\":0,"
		     "\"leaking_per_hour\":0},\"goroutine\":{");
	expect(&out, "\"leaking_per_hour\":0}}},{\"pid\":5,\"ns_pid\":5,"
		     "\"parent_pid\":null,\"comm\":null,\"verdict\":null,\"leaking\":0,"
		     "\"rss_bytes\":null,\"live_bytes\":0,\"growth_bytes_per_hour\":null,"
		     "\"leaking_growth_bytes_per_hour\":0,\"kinds\":{");
	expect(&out,
	       "\"leaking_per_hour\":0}}}],\"other_processes\":2,"
	       "\"ended\":{\"processes\":200,\"acquired_count\":5000,\"released_count\":4990,"
	       "\"unknown_released\":4,\"live_at_end_count\":10,\"live_at_end_bytes\":1024}}\n");
	expect_valid_utf8(&out);
	assert_ptr_equal(strchr(out.data, '\n'), out.data + out.len - 1);
}

static size_t count_of(const struct lt_buf *out, const char *part)
{
	size_t count = 0;

	for (const char *at = out->data; (at = strstr(at, part)); at++)
		count++;
	return count;
}

/* Each family once, whatever it has series of; of two generations with one pid the later. */
static void prometheus_has_all_processes(void **state)
{
	struct lt_report first = sample_report(), second = first, replaced = first;
	const struct lt_report *const reports[] = { &replaced, &second, &first };
	struct lt_total total = total_of(NULL, 0);
	_lt_buf_ struct lt_buf out = { 0 }, single = { 0 };

	second.target.pid = 5;
	replaced.elapsed_s = 77;
	lt_export_prometheus_all(reports, 3, &total, &out);
	lt_export_prometheus(&first, &single);
	for (char *rest = single.data, *line; (line = strsep(&rest, "\n"));)
		if (line[0] == '#')
			assert_int_equal(count_of(&out, line), 1);
	expect(&out, "\nleaktrace_watched_seconds{pid=\"5\"} 252\n"
		     "leaktrace_watched_seconds{pid=\"4242\"} 252\n");
	assert_int_equal(count_of(&out, "\nleaktrace_sites{pid="), 2 * (LT_VERDICT_LEAKING + 1));
	expect(&out, "\nleaktrace_collector_cpu_seconds_total{session=\"4242\"} 2.5\n");
	assert_null(strstr(out.data, "\nleaktrace_collector_rss_bytes{"));
	expect(&out, "\nleaktrace_processes{session=\"4242\"} 2\n");
	expect(&out, "\nleaktrace_ended_processes_total{session=\"4242\"} 200\n");
	expect(&out, "\nleaktrace_ended_held_bytes_total{session=\"4242\"} 1024\n");
	for (const char *line = out.data; *line; line = strchr(line, '\n') + 1)
		if (line[0] != '#') {
			const char *labels = strchr(line, '{');

			assert_true(!strncmp(labels, "{pid=\"", 6) ||
				    !strncmp(labels, "{session=\"", 10));
		}
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
	struct lt_report report = sample_report(), service = service_report(), go = go_report();
	struct lt_report empty = { .rss_growth_bytes = NAN,
				   .explained_ratio = NAN,
				   .target = { 1, 1, "", "", "", 0 } };
	struct lt_report_site site;
	struct lt_report unknown = unknown_report(&site);
	struct lt_total total = total_of(NULL, 0);

	lt_export_prometheus(&report, &out);
	check_with_promtool(out.data, out.len, "check metrics");
	lt_buf_clear(&out);
	lt_export_prometheus(&service, &out);
	check_with_promtool(out.data, out.len, "check metrics");
	lt_buf_clear(&out);
	lt_export_prometheus(&go, &out);
	check_with_promtool(out.data, out.len, "check metrics");
	lt_buf_clear(&out);
	lt_export_prometheus(&empty, &out);
	check_with_promtool(out.data, out.len, "check metrics");
	lt_buf_clear(&out);
	lt_export_prometheus(&unknown, &out);
	check_with_promtool(out.data, out.len, "check metrics");
	lt_buf_clear(&out);
	lt_export_prometheus_all((const struct lt_report *[]){ &report, &empty, &unknown, &go }, 4,
				 &total, &out);
	check_with_promtool(out.data, out.len, "check metrics");
	lt_buf_clear(&out);
	lt_export_prometheus_all(NULL, 0, &total, &out);
	check_with_promtool(out.data, out.len, "check metrics");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_has_the_schema),
		cmocka_unit_test(json_says_what_resources_are),
		cmocka_unit_test(json_at_a_limit),
		cmocka_unit_test(json_of_an_unknown_status),
		cmocka_unit_test(json_of_nothing_new),
		cmocka_unit_test(prometheus_has_limits),
		cmocka_unit_test(the_unknown_is_null),
		cmocka_unit_test(the_unknown_has_no_series),
		cmocka_unit_test(others_have_no_counters),
		cmocka_unit_test(prometheus_has_the_families),
		cmocka_unit_test(prometheus_names_the_caller),
		cmocka_unit_test(prometheus_has_the_parts),
		cmocka_unit_test(json_has_the_total),
		cmocka_unit_test(prometheus_has_all_processes),
		cmocka_unit_test(promtool_accepts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
