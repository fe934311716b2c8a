/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Recordings in memory, for tests: random events, and a sink that keeps what it gets as text. */
#ifndef LT_TEST_RECORDING_H
#define LT_TEST_RECORDING_H

#include <inttypes.h>

#include "base/buf.h"
#include "stream/record.h"
#include "stream/replay.h"

static const uint8_t all_types[] = {
	LT_EVENT_TARGET,  LT_EVENT_MODULE,  LT_EVENT_STACK,    LT_EVENT_ACQUIRE,  LT_EVENT_RELEASE,
	LT_EVENT_RESTORE, LT_EVENT_SYMBOL,  LT_EVENT_COUNTERS, LT_EVENT_PROCESS,  LT_EVENT_SAMPLE,
	LT_EVENT_REPORT,  LT_EVENT_END,     LT_EVENT_CENSUS,   LT_EVENT_DESCRIBE, LT_EVENT_LIMIT,
	LT_EVENT_MOVE,    LT_EVENT_OBSERVE, LT_EVENT_RUNTIME,  LT_EVENT_PASSED,
};
#define ALL_TYPES sizeof(all_types)

struct maker {
	uint64_t random; /* xorshift64 (Marsaglia 2003): the same everywhere */
	uint64_t words[LT_MAX_FRAMES + LT_COUNTER_COUNT];
	uint8_t bytes[LT_MAX_BUILD_ID];
	struct lt_source_frame frames[LT_MAX_INLINE_DEPTH];
	struct lt_listed listed[LT_CENSUS_ITEMS];
	char text[2 * LT_MAX_INLINE_DEPTH + 4][64];
	size_t texts;
};

static inline uint64_t maker_next(struct maker *maker)
{
	maker->random ^= maker->random << 13;
	maker->random ^= maker->random >> 7;
	return maker->random ^= maker->random << 17;
}

static inline const char *maker_text(struct maker *maker)
{
	char *text = maker->text[maker->texts++];
	size_t len = maker_next(maker) % sizeof(maker->text[0]);

	for (size_t i = 0; i < len; i++)
		text[i] = (char)(1 + maker_next(maker) % 255);
	text[len] = '\0';
	return text;
}

static inline uint64_t *maker_words(struct maker *maker)
{
	for (size_t i = 0; i < sizeof(maker->words) / sizeof(maker->words[0]); i++)
		maker->words[i] = maker_next(maker);
	return maker->words;
}

static inline struct lt_event_symbol maker_symbol(struct maker *maker, uint32_t max)
{
	struct lt_event_symbol symbol = { maker_next(maker), maker->frames,
					  (uint32_t)(maker_next(maker) % (max + 1)) };

	for (uint32_t i = 0; i < symbol.frame_count; i++)
		maker->frames[i] = (struct lt_source_frame){ maker_text(maker), maker_text(maker),
							     (uint32_t)maker_next(maker),
							     maker_next(maker) & 1 };
	return symbol;
}

/* What is listed need not reach the ends, but may. */
static inline struct lt_event_census maker_census(struct maker *maker, uint32_t max)
{
	struct lt_event_census census = { 1 + maker_next(maker) % (LT_LISTINGS - 1),
					  maker_next(maker) % (max + 1),
					  maker_next(maker),
					  maker_next(maker) >> 1,
					  UINT64_MAX,
					  maker->listed };
	uint64_t id = census.low;

	for (uint32_t i = 0; i < census.count; i++, id++) {
		id += maker_next(maker) % 3;
		maker->listed[i] = (struct lt_listed){ id, maker_next(maker),
						       census.listing == LT_LISTING_THREADS
							       ? LT_KIND_THREAD
						       : census.listing == LT_LISTING_GOROUTINES
							       ? LT_KIND_GOROUTINE
						       : maker_next(maker) & 1 ? LT_KIND_SOCKET
									       : LT_KIND_FD };
	}
	if (census.count && maker_next(maker) & 1)
		census.high = maker->listed[census.count - 1].id;
	return census;
}

static inline struct lt_event_observe maker_observe(struct maker *maker)
{
	uint64_t count = maker_next(maker), size = maker_next(maker);

	return (struct lt_event_observe){ maker_next(maker), count,     size,
					  count >> 1,        size >> 1, maker_next(maker) };
}

static inline struct lt_event_runtime maker_runtime(struct maker *maker)
{
	return (struct lt_event_runtime){
		.version = maker_text(maker),
		.heap = maker_next(maker) % LT_RUNTIME_HEAPS,
		.probes = maker_next(maker) & 1,
		.heap_rate = maker_next(maker),
		.heap_inuse_bytes = maker_next(maker),
		.heap_idle_bytes = maker_next(maker),
		.heap_released_bytes = maker_next(maker),
		.stacks_inuse_bytes = maker_next(maker),
		.next_gc_bytes = maker_next(maker),
		.heap_live_bytes = maker_next(maker),
		.gc_count = maker_next(maker),
		.gc_pause_total_ns = maker_next(maker),
		.gc_pause_last_ns = maker_next(maker),
		.last_gc_ns = maker_next(maker),
		.goroutines = maker_next(maker),
		.runtime_goroutines = maker_next(maker),
		.unread_goroutines = maker_next(maker),
		.walk_ns = LT_UNKNOWN_FIGURE,
	};
}

/* A random legal event of this type; it borrows from the maker until the next call. */
static inline struct lt_event make_event(struct maker *maker, uint8_t type, uint32_t max)
{
	struct lt_event event = { .type = type, .tgid = (uint32_t)maker_next(maker) };
	bool resource = type <= LT_EVENT_STACK;

	maker->texts = 0;
	event.time_ns = maker_next(maker);
	event.kind = resource                   ? LT_KIND_HEAP
		     : type == LT_EVENT_MOVE    ? LT_KIND_GOROUTINE
		     : type == LT_EVENT_PASSED  ? LT_KIND_GOROUTINE
		     : type == LT_EVENT_OBSERVE ? LT_KIND_GO_HEAP
						: LT_KIND_NONE;
	event.flags = resource && type != LT_EVENT_STACK
			      ? maker_next(maker) % (type == LT_EVENT_ACQUIRE ? 3 : 4)
			      : 0;
	if (event.flags == LT_WIRE_F_RANGE && type == LT_EVENT_ACQUIRE)
		event.flags |= maker_next(maker) & (LT_WIRE_F_PROTECT | LT_WIRE_F_CLASS);
	maker_words(maker);
	for (size_t i = 0; i < sizeof(maker->bytes); i++)
		maker->bytes[i] = (uint8_t)maker_next(maker);
	switch (type) {
	case LT_EVENT_ACQUIRE:
		event.acquire = (struct lt_event_acquire){ maker_next(maker), maker_next(maker),
							   maker_next(maker) };
		break;
	case LT_EVENT_RELEASE:
	case LT_EVENT_RESTORE:
		event.release.id = maker_next(maker);
		if (!(event.flags & LT_WIRE_F_RANGE))
			break;
		event.release.size = maker_next(maker);
		event.release.target = type == LT_EVENT_RESTORE ? maker_next(maker) : 0;
		break;
	case LT_EVENT_STACK:
		event.stack = (struct lt_event_stack){ maker_next(maker), maker->words,
						       (uint16_t)(1 + maker_next(maker) % max),
						       maker_next(maker) % 4 };
		break;
	case LT_EVENT_TARGET:
		event.target = (struct lt_event_target){ maker_next(maker),
							 maker_next(maker),
							 42,
							 maker_next(maker),
							 maker_text(maker),
							 maker_text(maker),
							 maker_text(maker),
							 (uint32_t)maker_next(maker),
							 (uint32_t)maker_next(maker),
							 (uint32_t)maker_next(maker) };
		break;
	case LT_EVENT_MODULE:
		event.module = (struct lt_event_module){
			(uint32_t)(maker_next(maker) % LT_MAX_MODULES),
			0x1000,
			0x1001 + maker_next(maker) / 2,
			maker_next(maker),
			maker_text(maker),
			maker->bytes,
			(uint32_t)(maker_next(maker) % (LT_MAX_BUILD_ID + 1))
		};
		break;
	case LT_EVENT_SYMBOL:
		event.symbol = maker_symbol(maker,
					    max < LT_MAX_INLINE_DEPTH ? max : LT_MAX_INLINE_DEPTH);
		break;
	case LT_EVENT_COUNTERS:
		event.counters = (struct lt_event_counters){ maker->words, LT_COUNTER_COUNT };
		break;
	case LT_EVENT_PROCESS:
		event.process = (struct lt_event_process){ maker_next(maker),
							   maker_next(maker),
							   maker_next(maker),
							   maker_next(maker),
							   maker_next(maker),
							   maker_next(maker),
							   (uint16_t)(maker_next(maker) %
								      (LT_RESIDENT_COUNT + 1)),
							   { 0 } };
		for (uint16_t i = 0; i < event.process.resident_count; i++)
			event.process.resident[i] = maker_next(maker);
		break;
	case LT_EVENT_REPORT:
		event.report.final = maker_next(maker) & 1;
		break;
	case LT_EVENT_END:
		event.end = (struct lt_event_end){ maker_next(maker) % (LT_END_TRUNCATED + 1),
						   (int32_t)maker_next(maker) };
		break;
	case LT_EVENT_CENSUS:
		event.census = maker_census(maker, max);
		break;
	case LT_EVENT_DESCRIBE:
		event.describe = (struct lt_event_describe){
			1 + maker_next(maker) % (LT_LISTINGS - 1),
			maker_next(maker),
			maker_next(maker),
			maker_text(maker),
			maker_text(maker),
			maker_text(maker),
			maker_text(maker),
		};
		break;
	case LT_EVENT_LIMIT:
		event.limit = (struct lt_event_limit){ maker_next(maker) % LT_LIMITS,
						       maker_next(maker), maker_next(maker) };
		break;
	case LT_EVENT_MOVE:
		event.move = (struct lt_event_move){ maker_next(maker), maker_next(maker) };
		break;
	case LT_EVENT_PASSED:
		event.passed = (struct lt_event_passed){ maker_next(maker), maker_next(maker) | 1 };
		break;
	case LT_EVENT_OBSERVE:
		event.observe = maker_observe(maker);
		break;
	case LT_EVENT_RUNTIME:
		event.runtime = maker_runtime(maker);
		break;
	}
	return event;
}

static inline void put_text(struct lt_buf *out, const char *text)
{
	lt_buf_char(out, ' ');
	for (; *text; text++)
		lt_buf_printf(out, "%02x", (unsigned char)*text);
	lt_buf_char(out, '.');
}

static inline void put_words(struct lt_buf *out, const uint64_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		lt_buf_printf(out, " %" PRIx64, words[i]);
}

static inline void describe_runtime(struct lt_buf *out, const struct lt_event_runtime *runtime)
{
	put_text(out, runtime->version);
	put_words(out,
		  (uint64_t[]){ runtime->heap, runtime->probes, runtime->heap_rate,
				runtime->heap_inuse_bytes, runtime->heap_idle_bytes,
				runtime->heap_released_bytes, runtime->stacks_inuse_bytes,
				runtime->next_gc_bytes, runtime->heap_live_bytes, runtime->gc_count,
				runtime->gc_pause_total_ns, runtime->gc_pause_last_ns,
				runtime->last_gc_ns, runtime->goroutines,
				runtime->runtime_goroutines, runtime->unread_goroutines,
				runtime->walk_ns },
		  17);
}

/* Every field of an event, one line. */
static inline void describe(struct lt_buf *out, const struct lt_event *event)
{
	lt_buf_printf(out, "%u %u %u %u %" PRIx64, event->type, event->kind, event->flags,
		      event->tgid, event->time_ns);
	switch (event->type) {
	case LT_EVENT_ACQUIRE:
		put_words(out,
			  (uint64_t[]){ event->acquire.id, event->acquire.size,
					event->acquire.stack_id },
			  3);
		break;
	case LT_EVENT_RELEASE:
	case LT_EVENT_RESTORE:
		put_words(out,
			  (uint64_t[]){ event->release.id, event->release.size,
					event->release.target },
			  3);
		break;
	case LT_EVENT_STACK:
		lt_buf_printf(out, " %u", event->stack.end);
		put_words(out, &event->stack.stack_id, 1);
		put_words(out, event->stack.frames, event->stack.frame_count);
		break;
	case LT_EVENT_TARGET:
		put_words(out,
			  (uint64_t[]){ event->target.start_ticks, event->target.realtime_offset_ns,
					event->target.ns_pid, event->target.interval_ns,
					event->target.pid, event->target.parent_pid,
					event->target.shares },
			  7);
		put_text(out, event->target.comm);
		put_text(out, event->target.exe);
		put_text(out, event->target.allocator);
		break;
	case LT_EVENT_MODULE:
		put_words(out,
			  (uint64_t[]){ event->module.module_id, event->module.start,
					event->module.end, event->module.file_offset },
			  4);
		put_text(out, event->module.path);
		for (uint32_t i = 0; i < event->module.build_id_len; i++)
			lt_buf_printf(out, " %02x", event->module.build_id[i]);
		break;
	case LT_EVENT_SYMBOL:
		put_words(out, &event->symbol.pc, 1);
		for (uint32_t i = 0; i < event->symbol.frame_count; i++) {
			const struct lt_source_frame *frame = &event->symbol.frames[i];

			put_text(out, frame->function);
			put_text(out, frame->file);
			lt_buf_printf(out, " %u %d", frame->line, frame->inlined);
		}
		break;
	case LT_EVENT_COUNTERS:
		put_words(out, event->counters.values, event->counters.count);
		break;
	case LT_EVENT_PROCESS:
		put_words(out,
			  (uint64_t[]){ event->process.rss_bytes, event->process.limit_bytes,
					event->process.available_bytes,
					event->process.collector_cpu_ns,
					event->process.collector_rss_bytes,
					event->process.swap_bytes, event->process.resident_count },
			  7);
		put_words(out, event->process.resident, LT_RESIDENT_COUNT);
		break;
	case LT_EVENT_REPORT:
		lt_buf_printf(out, " %d", event->report.final);
		break;
	case LT_EVENT_END:
		lt_buf_printf(out, " %u %d", event->end.reason, event->end.status);
		break;
	case LT_EVENT_CENSUS:
		put_words(out,
			  (uint64_t[]){ event->census.listing, event->census.from_ns,
					event->census.low, event->census.high },
			  4);
		for (uint32_t i = 0; i < event->census.count; i++) {
			const struct lt_listed *item = &event->census.items[i];

			put_words(out, (uint64_t[]){ item->id, item->born_ns, item->kind }, 3);
		}
		break;
	case LT_EVENT_DESCRIBE:
		put_words(out,
			  (uint64_t[]){ event->describe.listing, event->describe.id,
					event->describe.key },
			  3);
		put_text(out, event->describe.type);
		put_text(out, event->describe.name);
		put_text(out, event->describe.local);
		put_text(out, event->describe.state);
		break;
	case LT_EVENT_LIMIT:
		put_words(out,
			  (uint64_t[]){ event->limit.which, event->limit.used, event->limit.limit },
			  3);
		break;
	case LT_EVENT_MOVE:
		put_words(out, (uint64_t[]){ event->move.id, event->move.stack_id }, 2);
		break;
	case LT_EVENT_PASSED:
		put_words(out, (uint64_t[]){ event->passed.stack_id, event->passed.count }, 2);
		break;
	case LT_EVENT_OBSERVE:
		put_words(out,
			  (uint64_t[]){ event->observe.stack_id, event->observe.acquired_count,
					event->observe.acquired_size, event->observe.released_count,
					event->observe.released_size, event->observe.sampled },
			  6);
		break;
	case LT_EVENT_RUNTIME:
		describe_runtime(out, &event->runtime);
		break;
	}
	lt_buf_char(out, '\n');
}

static inline int describe_sink(void *context, const struct lt_event *event)
{
	describe(context, event);
	return 0;
}

/* Replays bytes from memory of exactly their size; described, if any, gets a line per event. */
static inline int replay_bytes(const void *data, size_t size, struct lt_buf *described,
			       struct lt_replay_result *result)
{
	/* fmemopen refuses a size of 0 in some versions: nothing to read is /dev/null. */
	FILE *file = size ? fmemopen((void *)data, size, "r") : fopen("/dev/null", "r");
	struct lt_buf ignored = { 0 };
	int err;

	lt_buf_clear(described ? described : &ignored);
	err = lt_replay_file(file, describe_sink, described ? described : &ignored, result);
	lt_buf_free(&ignored);
	fclose(file);
	return err;
}

#endif
