/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A report with everything in it, for the tests of all formats.  Foreign strings are hostile. */
#ifndef LT_TESTS_EXPORT_SAMPLE_H
#define LT_TESTS_EXPORT_SAMPLE_H

#include <math.h>

#include "report/report.h"

#define MIB (1024.0 * 1024)

static const struct lt_report_frame sample_frames[] = {
	{ "make_session", "/src/app/session.c", 42, true, "/usr/bin/app", 0x1234,
	  "aabbccddeeff00112233", NULL },
	{ "std::vector<std::pair<std::string, std::map<int, std::string>>>::emplace_back<int, char "
	  "const*>"
	  "(int&&, char const*&&)",
	  "/usr/include/c++/12/bits/a/very/long/path/that/no/narrow/terminal/has/room/for/"
	  "vector.tcc",
	  123, false, "/usr/bin/app", 0x1234, "aabbccddeeff00112233", NULL },
	{ "evil\x1b]0;title\x07\xff\"quote\"\\", "", 0, false, "/usr/lib/libevil\x1b.so", 0x99, "",
	  NULL },
	{ "", "", 0, false, "/usr/lib/libfoo.so.1", 0xabcd, "0123456789abcdef0123", NULL },
	{ "", "", 0, false, "", 0x7f0000001234, "", NULL },
};

static const struct lt_report_site sample_sites[] = {
	{ .kind = "heap",
	  .unit = "bytes",
	  .stack_id = 0xabc,
	  .live_count = 1240,
	  .live_size = 5 << 20,
	  .acquired_count = 124000,
	  .acquired_size = 500 << 20,
	  .released_count = 122760,
	  .released_size = 495 << 20,
	  .peak_size = 5 << 20,
	  .oldest_age_s = 240,
	  .seconds_to_limit = 12000,
	  .evidence = { LT_VERDICT_LEAKING, LT_REASON_PLATEAU, 1, 192, 5.2 * MIB, 4.9 * MIB,
			5.5 * MIB, 0.01, 48, 1240, 0, 1e-6 },
	  .frames = sample_frames,
	  .frame_count = 5,
	  .stack_end = "no frame pointer" },
	{ .kind = "heap",
	  .unit = "bytes",
	  .stack_id = 0xdef,
	  .live_count = 10,
	  .live_size = 1000,
	  .acquired_count = 20,
	  .released_count = 10,
	  .oldest_age_s = NAN,
	  .seconds_to_limit = INFINITY,
	  .evidence = { LT_VERDICT_STABLE, LT_REASON_NO_GROWTH, 0, 48, 0, NAN, NAN, NAN, 12, 0, 0,
			NAN },
	  .frames = sample_frames + 1,
	  .frame_count = 2,
	  .stack_end = "" },
	/* The same stable id again: a library that was loaded elsewhere. */
	{ .kind = "heap",
	  .unit = "bytes",
	  .stack_id = 0xdef,
	  .live_count = 5,
	  .live_size = 24,
	  .acquired_count = 5,
	  .oldest_age_s = 3,
	  .seconds_to_limit = NAN,
	  .evidence = { LT_VERDICT_INSUFFICIENT_DATA, LT_REASON_YOUNG, 0, 0, NAN, NAN, NAN, NAN, 12,
			0, 0, NAN },
	  .stack_end = "stack not received" },
};

static const struct lt_report_site sample_others[] = {
	{ .kind = "heap",
	  .unit = "bytes",
	  .live_count = 7,
	  .live_size = 70,
	  .acquired_count = 9,
	  .released_count = 2,
	  .oldest_age_s = NAN,
	  .seconds_to_limit = NAN,
	  .stack_end = "",
	  .evidence = { .growth_per_hour = NAN,
			.growth_low = NAN,
			.growth_high = NAN,
			.survival = NAN,
			.p_value = NAN } },
};

static inline struct lt_report sample_report(void)
{
	return (struct lt_report){
		.sequence = 3,
		.elapsed_s = 252,
		.realtime_s = 1763666794.25,
		.interval_s = 10,
		.target = { 4242, 7, "ng\x1b[31minx\xff", "/usr/bin/ng\"inx", "glibc", 0 },
		.rss_bytes = 61 << 20,
		.rss_growth_bytes = 12 << 20,
		.limit_bytes = 512 << 20,
		.available_bytes = 451 << 20,
		.explained_ratio = 0.97,
		.memory = { .parts = { [LT_MEMORY_HEAP] = 11 * MIB,
				       [LT_MEMORY_MAPPINGS] = 0.5 * MIB,
				       [LT_MEMORY_STACKS] = 0.25 * MIB,
				       [LT_MEMORY_GO_HEAP] = NAN,
				       [LT_MEMORY_GO_STACKS] = NAN,
				       [LT_MEMORY_GO_KEPT] = NAN,
				       [LT_MEMORY_ALLOCATOR] = 0.5 * MIB,
				       [LT_MEMORY_BEFORE] = -0.375 * MIB,
				       [LT_MEMORY_UNDIVIDED] = NAN,
				       [LT_MEMORY_FILES] = 0.125 * MIB },
			    .explained = 11.75 * MIB,
			    .rest = 0.25 * MIB,
			    .divided = true,
			    .maps_tracked = true },
		.live_bytes = 12 << 20,
		.kinds = { { 5, 1262, 12 << 20, 5.2 * MIB, 0 } },
		.growth_per_hour = 6 * MIB,
		.leaking_growth_per_hour = 5.2 * MIB,
		.leaking_memory_per_hour = 5.2 * MIB,
		.totals = { .live_count = 1262,
			    .live_size = 12 << 20,
			    .acquired_count = 124034,
			    .released_count = 122772,
			    .unknown_released = 17,
			    .repeated_released = 3,
			    .mapped_size = { 8 << 20, 64 << 20, 16 << 20, 1 << 20 } },
		.counters = { [LT_COUNTER_RELEASE_RING_FULL] = 1234, [LT_COUNTER_STALE_CALL] = 5 },
		.collector_cpu_ns = 2500000000,
		.collector_rss_bytes = 34 << 20,
		.verdict_counts = { 1, 3, 0, 0, 1 },
		.site_total = 5,
		.sites = sample_sites,
		.site_count = 3,
		.others = sample_others,
		.other_count = 1,
	};
}

/* A service that loses connections: what is lost together, and what it is. */

static const struct lt_report_frame service_open[] = {
	{ "__socket", "", 0, false, "/usr/lib/x86_64-linux-gnu/libc.so.6", 0x10a7b7, "", NULL },
	{ "connection_open", "/src/server/server.c", 88, false, "/usr/bin/server", 0x4321, "",
	  NULL },
	{ "main", "/src/server/server.c", 200, false, "/usr/bin/server", 0x5321, "", NULL },
};

static const struct lt_report_state service_states[] = { { "CLOSE_WAIT", 409 },
							 { "ESTABLISHED", 3 } };
static const struct lt_report_state service_waiting[] = { { "CLOSE_WAIT", 5 } };

static const struct lt_report_group service_sockets[] = {
	{ "TCP", "to", "10.0.0.5:5432", 412, service_states, 2, 10800 },
	{ "TCP", "at", "[::1]:80", 5, service_waiting, 1, NAN },
	{ "unix stream", "", "", 2, NULL, 0, 7 },
};

static const struct lt_report_group service_files[] = {
	{ "file", "in", "/var/cache/\x1b[31mx\xff", 88, NULL, 0, 60 },
	{ "eventfd", "", "", 1, NULL, 0, 60 },
	{ "epoll", "", "", 2, NULL, 0, NAN },
	{ "file", "", "/etc/passwd", 1, NULL, 0, NAN },
	{ "fd", "", "", 4, NULL, 0, NAN },
};

static const struct lt_report_group service_threads[] = {
	{ "thread", "running", "worker (http)", 412, NULL, 0, 10800 },
};

#define GROWING(verdict, growth)                                                                   \
	{                                                                                          \
		verdict, LT_REASON_PLATEAU, 1, 192, growth, (growth)*0.9, (growth)*1.1, 1, 48,     \
			400, 0, 1e-6                                                               \
	}

static const struct lt_report_site service_sites[] = {
	{ .kind = "socket",
	  .unit = "",
	  .stack_id = 1000,
	  .live_count = 436,
	  .live_size = 436,
	  .acquired_count = 500,
	  .acquired_size = 500,
	  .released_count = 64,
	  .released_size = 64,
	  .peak_size = 436,
	  .oldest_age_s = 10800,
	  .seconds_to_limit = 720,
	  .evidence = GROWING(LT_VERDICT_LEAKING, 34),
	  .frames = service_open,
	  .frame_count = 3,
	  .stack_end = "",
	  .groups = service_sockets,
	  .group_count = 3,
	  .group_rest = 17,
	  .finding = 1 },
	{ .kind = "heap",
	  .unit = "bytes",
	  .stack_id = 1001,
	  .live_count = 10,
	  .live_size = 4 << 20,
	  .oldest_age_s = 100,
	  .seconds_to_limit = 1e6,
	  .evidence = GROWING(LT_VERDICT_LEAKING, 4 * MIB),
	  .frames = sample_frames,
	  .frame_count = 1,
	  .stack_end = "" },
	{ .kind = "thread",
	  .unit = "",
	  .stack_id = 1002,
	  .live_count = 412,
	  .live_size = 412,
	  .oldest_age_s = 10800,
	  .seconds_to_limit = NAN,
	  .evidence = GROWING(LT_VERDICT_LEAKING, 33),
	  .frames = service_open + 1,
	  .frame_count = 2,
	  .stack_end = "",
	  .groups = service_threads,
	  .group_count = 1,
	  .finding = 1 },
	{ .kind = "heap",
	  .unit = "bytes",
	  .stack_id = 1003,
	  .live_count = 412,
	  .live_size = 6 << 20,
	  .oldest_age_s = 10800,
	  .seconds_to_limit = 1e6,
	  .evidence = GROWING(LT_VERDICT_SUSPECT, 3 * MIB),
	  .frames = service_open + 1,
	  .frame_count = 2,
	  .stack_end = "",
	  .finding = 1 },
	{ .kind = "fd",
	  .unit = "",
	  .stack_id = 1,
	  .live_count = 96,
	  .live_size = 96,
	  .oldest_age_s = 86400,
	  .seconds_to_limit = NAN,
	  .evidence = { LT_VERDICT_STABLE, LT_REASON_NO_GROWTH, 0, 48, 0, NAN, NAN, NAN, 12, 0, 0,
			NAN },
	  .stack_end = "from before the attach",
	  .groups = service_files,
	  .group_count = 5 },
};

static const struct lt_report_site service_others[] = {
	{ .kind = "heap",
	  .unit = "bytes",
	  .live_count = 7,
	  .live_size = 70,
	  .acquired_count = 9,
	  .acquired_size = 90,
	  .released_count = 2,
	  .released_size = 20,
	  .stack_end = "" },
	{ .kind = "socket",
	  .unit = "",
	  .live_count = 3,
	  .live_size = 3,
	  .acquired_count = 5,
	  .acquired_size = 5,
	  .released_count = 2,
	  .released_size = 2,
	  .stack_end = "" },
};

static const uint32_t service_members[] = { 0, 2, 3 };

static const struct lt_report_finding service_findings[] = {
	{ service_members, 3, 0.996, true, &service_open[1] },
};

static const struct lt_report_headroom service_headroom[] = {
	{ "descriptors", "", "RLIMIT_NOFILE", "of the process", 812, 1024, 34, 720 },
	{ "threads", "", "pids.max", "of its control group", 414, 1000, 33, 64000 },
	{ "threads", "", "RLIMIT_NPROC", "of all processes of its user", 414, 31000, 33, 3e6 },
	{ "memory", "bytes", "memory limit", "of its control group or the machine", 61 << 20,
	  512 << 20, 7 * MIB, 230000 },
};

static inline struct lt_report service_report(void)
{
	struct lt_report report = sample_report();

	report.kinds[0] = (struct lt_report_kind){ 4, 429, 10 << 20, 4 * MIB, 0 };
	for (size_t i = 0; i < LT_KINDS; i++) {
		if (lt_kind_infos[i].value == LT_KIND_SOCKET)
			report.kinds[i] = (struct lt_report_kind){ 2, 439, 439, 34, 0 };
		if (lt_kind_infos[i].value == LT_KIND_FD)
			report.kinds[i] = (struct lt_report_kind){ 1, 96, 96, 0, 0 };
		if (lt_kind_infos[i].value == LT_KIND_THREAD)
			report.kinds[i] = (struct lt_report_kind){ 1, 412, 412, 1.2, 0 };
	}
	report.listings[LT_LISTING_DESCRIPTORS] = (struct lt_model_listing){
		.taken = true, .listed = 535, .tracked = 535, .before = 96
	};
	report.listings[LT_LISTING_THREADS] =
		(struct lt_model_listing){ .taken = true, .listed = 412, .tracked = 412 };
	report.headroom = service_headroom;
	report.headroom_count = 4;
	report.findings = service_findings;
	report.finding_count = 1;
	report.verdict_counts[LT_VERDICT_LEAKING] = 3;
	report.verdict_counts[LT_VERDICT_SUSPECT] = 1;
	report.sites = service_sites;
	report.site_count = 5;
	report.others = service_others;
	report.other_count = 2;
	report.site_total = 8;
	return report;
}

#endif
