// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "export/json_parts.h"
#include "report/goroutine.h"
#include "report/runtime.h"

static const char *const heap_sources[] = {
	[LT_RUNTIME_HEAP_NONE] = NULL,         [LT_RUNTIME_HEAP_PROFILE] = "profile",
	[LT_RUNTIME_HEAP_OFF] = "off",         [LT_RUNTIME_HEAP_SPANS] = "spans",
	[LT_RUNTIME_HEAP_UNKNOWN] = "unknown", [LT_RUNTIME_HEAP_ENABLED] = "enabled",
};

static const struct {
	const char *name;
	size_t offset;
} figures[] = {
#define FIGURE(name)                                                                               \
	{                                                                                          \
#name, offsetof(struct lt_event_runtime, name)                                     \
	}
	FIGURE(heap_inuse_bytes),  FIGURE(heap_idle_bytes),    FIGURE(heap_released_bytes),
	FIGURE(heap_live_bytes),   FIGURE(stacks_inuse_bytes), FIGURE(next_gc_bytes),
	FIGURE(gc_count),          FIGURE(goroutines),         FIGURE(runtime_goroutines),
	FIGURE(unread_goroutines),
#undef FIGURE
};

static uint64_t figure(const struct lt_event_runtime *runtime, size_t offset)
{
	uint64_t value;

	memcpy(&value, (const char *)runtime + offset, sizeof(value));
	return value;
}

static void write_uint(struct lt_json *json, const char *key, uint64_t value)
{
	if (value == LT_UNKNOWN_FIGURE)
		lt_json_null(json, key);
	else
		lt_json_uint(json, key, value);
}

static void write_seconds(struct lt_json *json, const char *key, uint64_t ns)
{
	lt_json_double(json, key, lt_runtime_figure(ns) / 1e9);
}

void lt_json_runtime(struct lt_json *json, const struct lt_report *report)
{
	const struct lt_event_runtime *now = &report->runtime;
	size_t sources = sizeof(heap_sources) / sizeof(heap_sources[0]);

	if (!report->has_runtime) {
		lt_json_null(json, "runtime");
		return;
	}
	lt_json_open(json, "runtime", '{');
	lt_json_string(json, "version", now->version[0] ? now->version : NULL);
	lt_json_string(json, "heap_source", now->heap < sources ? heap_sources[now->heap] : NULL);
	write_uint(json, "heap_rate_bytes", now->heap_rate);
	lt_json_bool(json, "probes", now->probes);
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		write_uint(json, figures[i].name, figure(now, figures[i].offset));
	lt_json_double(json, "heap_growth_bytes",
		       lt_runtime_figure(now->heap_inuse_bytes) -
			       lt_runtime_figure(report->runtime_first.heap_inuse_bytes));
	write_seconds(json, "gc_pause_total_s", now->gc_pause_total_ns);
	write_seconds(json, "gc_pause_last_s", now->gc_pause_last_ns);
	lt_json_double(json, "gc_per_second", lt_runtime_gc_per_second(report));
	lt_json_double(json, "gc_pause_share", lt_runtime_pause_share(report));
	write_seconds(json, "walk_s", now->walk_ns);
	lt_json_close(json, '}');
}

static void write_place(struct lt_json *json, const char *key, const struct lt_report_frame *frame)
{
	if (!frame) {
		lt_json_null(json, key);
		return;
	}
	lt_json_open(json, key, '{');
	lt_json_string(json, "func", frame->function[0] ? frame->function : NULL);
	lt_json_string(json, "file", frame->file[0] ? frame->file : NULL);
	if (frame->line)
		lt_json_uint(json, "line", frame->line);
	else
		lt_json_null(json, "line");
	lt_json_close(json, '}');
}

static void write_goroutine(struct lt_json *json, const struct lt_report_site *site)
{
	struct lt_goroutine goroutine;
	const struct lt_mark_info *state;

	lt_goroutine_read(site, &goroutine);
	state = goroutine.state;
	lt_json_string(json, "state", state ? state->text : NULL);
	lt_json_string(json, "wait_reason",
		       state && state->class == LT_MARK_CLASS_WAIT ? state->text : NULL);
	write_place(json, "blocked_at", goroutine.at);
	write_place(json, "within", goroutine.within);
	write_place(json, "created_by", goroutine.created);
	write_place(json, "created_for", goroutine.own);
	lt_json_string(json, "shape", goroutine.shape);
}

void lt_json_go_site(struct lt_json *json, const struct lt_report_site *site)
{
	double error = lt_report_relative_error(site);

	lt_json_bool(json, "estimated", !isnan(error));
	if (!isnan(error)) {
		lt_json_uint(json, "samples", site->sampled);
		lt_json_double(json, "relative_error", error);
	}
	if (!strcmp(site->kind, "goroutine"))
		write_goroutine(json, site);
}
