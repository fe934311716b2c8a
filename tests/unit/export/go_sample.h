/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A Go service that loses goroutines, memory and responses. */
#ifndef LT_TESTS_EXPORT_GO_SAMPLE_H
#define LT_TESTS_EXPORT_GO_SAMPLE_H

#include "unit/export/sample.h"

#define GO_SRC "/usr/lib/go-1.22/src/"
#define GO_FRAME(name, path, number)                                                               \
	{                                                                                          \
		.function = (name), .file = (path), .line = (number), .module = "/usr/bin/app",    \
		.offset = 0x1000 + (number), .build_id = ""                                        \
	}
#define GO_MARK(info)                                                                              \
	{                                                                                          \
		.function = "", .file = "", .module = "", .build_id = "", .mark = &(info)          \
	}

static const struct lt_mark_info go_receive = { LT_MARK_CHAN_RECEIVE, LT_MARK_CLASS_WAIT,
						"chan receive" };
static const struct lt_mark_info go_select = { LT_MARK_SELECT, LT_MARK_CLASS_WAIT, "select" };
static const struct lt_mark_info go_running = { LT_MARK_RUNNING, LT_MARK_CLASS_STATE, "running" };
static const struct lt_mark_info go_created = { LT_MARK_CREATED, LT_MARK_CLASS_CHAIN,
						"created by" };

static const struct lt_report_frame go_consumer[] = {
	GO_MARK(go_receive),
	GO_FRAME("runtime.gopark", GO_SRC "runtime/proc.go", 402),
	GO_FRAME("runtime.chanrecv1", GO_SRC "runtime/chan.go", 442),
	GO_FRAME("main.consumer.func1", "/src/app/main.go", 23),
	GO_MARK(go_created),
	GO_FRAME("main.consumer", "/src/app/main.go", 21),
};

static const struct lt_report_frame go_read_loop[] = {
	GO_MARK(go_select),
	GO_FRAME("runtime.gopark", GO_SRC "runtime/proc.go", 402),
	GO_FRAME("runtime.selectgo", GO_SRC "runtime/select.go", 327),
	GO_FRAME("net/http.(*persistConn).readLoop", GO_SRC "net/http/transport.go", 2261),
	GO_MARK(go_created),
	GO_FRAME("net/http.(*Transport).dialConn", GO_SRC "net/http/transport.go", 1799),
	GO_MARK(go_created),
	GO_FRAME("net/http.(*Transport).queueForDial", GO_SRC "net/http/transport.go", 1469),
	GO_FRAME("main.fetch", "/src/app/main.go", 30),
};

static const struct lt_report_frame go_busy[] = {
	GO_MARK(go_running),
	GO_MARK(go_created),
	GO_FRAME("main.main", "/src/app/main.go", 99),
};

static const struct lt_report_frame go_cache[] = {
	GO_FRAME("bytes.growSlice", GO_SRC "bytes/buffer.go", 249),
	GO_FRAME("main.put", "/src/app/main.go", 55),
	GO_FRAME("main.main", "/src/app/main.go", 101),
};

#define GO_STABLE                                                                                  \
	{                                                                                          \
		LT_VERDICT_STABLE, LT_REASON_NO_GROWTH, 0, 48, 0, NAN, NAN, NAN, 12, 0, 0, NAN     \
	}

static const struct lt_report_site go_sites[] = {
	{ .kind = "goroutine",
	  .unit = "",
	  .stack_id = 0x60,
	  .live_count = 1000,
	  .live_size = 1000,
	  .acquired_count = 1000,
	  .oldest_age_s = 840,
	  .seconds_to_limit = NAN,
	  .evidence = GROWING(LT_VERDICT_LEAKING, 4000),
	  .frames = go_consumer,
	  .frame_count = 6,
	  .stack_end = "" },
	{ .kind = "go-heap",
	  .unit = "bytes",
	  .stack_id = 0x61,
	  .live_count = 5400,
	  .live_size = 54630809,
	  .oldest_age_s = 100,
	  .seconds_to_limit = 1e6,
	  .evidence = GROWING(LT_VERDICT_SUSPECT, 3 * MIB),
	  .frames = go_cache,
	  .frame_count = 3,
	  .stack_end = "",
	  .observed = true,
	  .sampled = 104 },
	{ .kind = "goroutine",
	  .unit = "",
	  .stack_id = 0x62,
	  .live_count = 1,
	  .live_size = 1,
	  .oldest_age_s = 60,
	  .seconds_to_limit = NAN,
	  .evidence = GROWING(LT_VERDICT_SUSPECT, 34),
	  .frames = go_read_loop,
	  .frame_count = 9,
	  .stack_end = "" },
	{ .kind = "http-body",
	  .unit = "",
	  .stack_id = 0x63,
	  .live_count = 12,
	  .live_size = 12,
	  .oldest_age_s = 70,
	  .seconds_to_limit = NAN,
	  .evidence = GROWING(LT_VERDICT_LEAKING, 34),
	  .frames = go_read_loop + 8,
	  .frame_count = 1,
	  .stack_end = "" },
	{ .kind = "goroutine",
	  .unit = "",
	  .stack_id = 0x64,
	  .live_count = 12,
	  .live_size = 12,
	  .oldest_age_s = NAN,
	  .seconds_to_limit = NAN,
	  .evidence = GO_STABLE,
	  .frames = go_busy,
	  .frame_count = 3,
	  .stack_end = "" },
	{ .kind = "go-heap",
	  .unit = "bytes",
	  .stack_id = 0x65,
	  .live_count = 1,
	  .live_size = 400 << 20,
	  .oldest_age_s = 7,
	  .seconds_to_limit = NAN,
	  .evidence = GO_STABLE,
	  .frames = go_cache,
	  .frame_count = 3,
	  .stack_end = "",
	  .observed = true,
	  .sampled = 1 },
};

static inline struct lt_event_runtime go_runtime(void)
{
	return (struct lt_event_runtime){
		.version = "go1.22.12",
		.heap = LT_RUNTIME_HEAP_PROFILE,
		.heap_rate = 524288,
		.heap_inuse_bytes = 400 << 20,
		.heap_idle_bytes = 200 << 20,
		.heap_released_bytes = 120 << 20,
		.stacks_inuse_bytes = 8 << 20,
		.next_gc_bytes = 600 << 20,
		.heap_live_bytes = 300 << 20,
		.gc_count = 831,
		.gc_pause_total_ns = 1512000000,
		.gc_pause_last_ns = 1234567,
		.goroutines = 1024,
		.runtime_goroutines = 5,
		.walk_ns = 1500000,
	};
}

static inline struct lt_report go_report(void)
{
	struct lt_report report = sample_report();

	report.has_runtime = true;
	report.runtime = report.runtime_first = go_runtime();
	report.runtime_first.heap_inuse_bytes = 388 << 20;
	report.runtime_first.gc_count = 800;
	report.runtime_first.gc_pause_total_ns = 0;
	report.memory.parts[LT_MEMORY_GO_HEAP] = 12 * MIB;
	report.sites = go_sites;
	report.site_count = report.site_total = 6;
	report.other_count = 0;
	return report;
}

#endif
