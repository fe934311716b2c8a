/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A report with everything in it, for the tests of all formats.  Foreign strings are hostile. */
#ifndef LT_TESTS_EXPORT_SAMPLE_H
#define LT_TESTS_EXPORT_SAMPLE_H

#include <math.h>

#include "report/report.h"

#define MIB (1024.0 * 1024)

static const struct lt_report_frame sample_frames[] = {
	{ "make_session", "/src/app/session.c", 42, true, "/usr/bin/app", 0x1234,
	  "aabbccddeeff00112233" },
	{ "std::vector<std::pair<std::string, std::map<int, std::string>>>::emplace_back<int, char "
	  "const*>"
	  "(int&&, char const*&&)",
	  "/usr/include/c++/12/bits/a/very/long/path/that/no/narrow/terminal/has/room/for/"
	  "vector.tcc",
	  123, false, "/usr/bin/app", 0x1234, "aabbccddeeff00112233" },
	{ "evil\x1b]0;title\x07\xff\"quote\"\\", "", 0, false, "/usr/lib/libevil\x1b.so", 0x99,
	  "" },
	{ "", "", 0, false, "/usr/lib/libfoo.so.1", 0xabcd, "0123456789abcdef0123" },
	{ "", "", 0, false, "", 0x7f0000001234, "" },
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
				       [LT_MEMORY_ALLOCATOR] = 0.5 * MIB,
				       [LT_MEMORY_BEFORE] = -0.375 * MIB,
				       [LT_MEMORY_UNDIVIDED] = NAN,
				       [LT_MEMORY_FILES] = 0.125 * MIB },
			    .explained = 11.75 * MIB,
			    .rest = 0.25 * MIB,
			    .divided = true,
			    .maps_tracked = true },
		.live_bytes = 12 << 20,
		.kinds = { { 5, 1262, 12 << 20 } },
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

#endif
