// SPDX-License-Identifier: GPL-2.0-or-later
#include "stream/payload.h"

#include "base/kind.h"
#include "stream/decode.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* count words of which the scratch has room for all. */
static void code_words(struct codec *codec, const uint64_t **words, size_t count)
{
	for (size_t i = 0; i < count && !codec->error; i++) {
		uint64_t word = reading(codec) ? 0 : (*words)[i];

		code_u64(codec, &word);
		if (reading(codec))
			codec->scratch->words[i] = word;
	}
	if (reading(codec))
		*words = codec->scratch->words;
}

static void code_acquire(struct codec *codec, struct lt_event *event)
{
	code_u64(codec, &event->acquire.id);
	code_u64(codec, &event->acquire.size);
	code_u64(codec, &event->acquire.stack_id);
	check(codec, lt_decode_acquire_flags(event->kind, event->flags),
	      "its flags do not go together");
}

static void code_release(struct codec *codec, struct lt_event *event)
{
	code_u64(codec, &event->release.id);
	if (!(event->flags & LT_WIRE_F_RANGE))
		return;
	code_u64(codec, &event->release.size);
	code_u64(codec, &event->release.target);
	check(codec, lt_decode_range(event->type, event->kind, event->flags, &event->release),
	      "its range cannot be of its kind");
}

static void code_stack(struct codec *codec, struct lt_event *event)
{
	struct lt_event_stack *stack = &event->stack;

	code_u64(codec, &stack->stack_id);
	code_u16(codec, &stack->frame_count);
	code_u16(codec, &stack->end);
	if (check(codec, stack->frame_count >= 1 && stack->frame_count <= LT_MAX_FRAMES,
		  "a stack has no frames or too many") &&
	    check(codec, stack->end < LT_STACK_END_COUNT, "a stack has an unknown end"))
		code_words(codec, &stack->frames, stack->frame_count);
}

static void code_target(struct codec *codec, struct lt_event *event)
{
	struct lt_event_target *target = &event->target;

	code_u64(codec, &target->start_ticks);
	code_u64(codec, &target->realtime_offset_ns);
	code_u32(codec, &target->ns_pid);
	code_u64(codec, &target->interval_ns);
	code_string(codec, &target->comm);
	code_string(codec, &target->exe);
	code_string(codec, &target->allocator);
	if (!has_more(codec))
		return;
	code_u32(codec, &target->pid);
	code_u32(codec, &target->parent_pid);
	code_u32(codec, &target->shares);
}

static void code_module(struct codec *codec, struct lt_event *event)
{
	struct lt_event_module *module = &event->module;

	code_u32(codec, &module->module_id);
	code_u64(codec, &module->start);
	code_u64(codec, &module->end);
	code_u64(codec, &module->file_offset);
	code_string(codec, &module->path);
	code_u32(codec, &module->build_id_len);
	check(codec, module->module_id < LT_MAX_MODULES, "a module's number is too large");
	check(codec, module->start < module->end, "a module ends before it starts");
	if (check(codec, module->build_id_len <= LT_MAX_BUILD_ID, "a build-id is too long"))
		code_bytes(codec, &module->build_id, module->build_id_len);
}

static void code_symbol(struct codec *codec, struct lt_event *event)
{
	struct lt_event_symbol *symbol = &event->symbol;

	code_u64(codec, &symbol->pc);
	code_u32(codec, &symbol->frame_count);
	if (!check(codec, symbol->frame_count <= LT_MAX_INLINE_DEPTH,
		   "a symbol has too many source frames"))
		return;
	for (uint32_t i = 0; i < symbol->frame_count && !codec->error; i++) {
		struct lt_source_frame frame = { 0 };

		if (!reading(codec))
			frame = symbol->frames[i];
		code_string(codec, &frame.function);
		code_string(codec, &frame.file);
		code_u32(codec, &frame.line);
		code_bool(codec, &frame.inlined);
		if (reading(codec))
			codec->scratch->source_frames[i] = frame;
	}
	if (reading(codec))
		symbol->frames = codec->scratch->source_frames;
}

/* Recorded in the order of the writer's build, read into the order of this one. */
static void code_counters(struct codec *codec, struct lt_event *event)
{
	struct lt_event_counters *counters = &event->counters;
	uint16_t count = reading(codec) ? 0 : (uint16_t)counters->count;

	code_u16(codec, &count);
	if (!reading(codec)) {
		if (check(codec, counters->count <= LT_COUNTER_COUNT, "too many counters"))
			code_words(codec, &counters->values, count);
		return;
	}
	if (!check(codec, count <= codec->file->counter_count,
		   "there are more counters than the file names"))
		return;
	memset(codec->scratch->words, 0, sizeof(codec->scratch->words));
	for (uint16_t i = 0; i < count; i++) {
		uint16_t own = codec->file->counter[i];
		uint64_t value = 0;

		code_u64(codec, &value);
		if (own < LT_COUNTER_COUNT)
			codec->scratch->words[own] = value;
	}
	counters->values = codec->scratch->words;
	counters->count = LT_COUNTER_COUNT;
}

/* A newer leaktrace may tell more kinds apart than this one does. */
static void code_resident(struct codec *codec, struct lt_event_process *process)
{
	uint16_t count = process->resident_count;

	code_u16(codec, &count);
	check(codec, count <= LT_RESIDENT_COUNT || (reading(codec) && codec->file->newer),
	      "a process has too many kinds of resident memory");
	for (uint16_t i = 0; i < count && !codec->error; i++) {
		uint64_t ignored, *bytes = i < LT_RESIDENT_COUNT ? &process->resident[i] : &ignored;

		code_u64(codec, bytes);
	}
	process->resident_count = count < LT_RESIDENT_COUNT ? count : LT_RESIDENT_COUNT;
}

static void code_process(struct codec *codec, struct lt_event *event)
{
	code_u64(codec, &event->process.rss_bytes);
	code_u64(codec, &event->process.limit_bytes);
	code_u64(codec, &event->process.available_bytes);
	code_u64(codec, &event->process.collector_cpu_ns);
	code_u64(codec, &event->process.collector_rss_bytes);
	if (!has_more(codec))
		return;
	code_u64(codec, &event->process.swap_bytes);
	code_resident(codec, &event->process);
}

static void code_sample(struct codec *codec, struct lt_event *event)
{
}

static void code_report(struct codec *codec, struct lt_event *event)
{
	code_bool(codec, &event->report.final);
}

static void code_end(struct codec *codec, struct lt_event *event)
{
	uint32_t status = (uint32_t)event->end.status;

	code_u32(codec, &event->end.reason);
	code_u32(codec, &status);
	event->end.status = (int32_t)status;
	check(codec, event->end.reason <= LT_END_TRUNCATED, "the reason of an end is unknown");
}

/* A value of an enum that ends at count; newer files may have more. */
static bool code_enum(struct codec *codec, uint32_t *value, uint32_t first, uint32_t count,
		      const char *error)
{
	code_u32(codec, value);
	if (*value >= count && reading(codec) && codec->file->newer)
		codec->unknown = true;
	return !codec->unknown && check(codec, *value >= first && *value < count, error);
}

static bool code_listing(struct codec *codec, uint32_t *listing)
{
	return code_enum(codec, listing, LT_LISTING_NOWHERE + 1, LT_LISTINGS,
			 "it is of no list that the kernel has");
}

/* In terms of this build.  LT_KIND_NONE: a kind that it does not know, or after an error. */
static uint8_t code_item_kind(struct codec *codec, uint8_t kind)
{
	code_u8(codec, &kind);
	if (!reading(codec))
		return kind;
	check(codec, codec->file->kind_listed[kind],
	      "the kind of what is listed is not one that the file names");
	return codec->file->kind[kind];
}

/* What is of unknown kinds is left out. */
static void code_items(struct codec *codec, struct lt_event_census *census)
{
	struct lt_listed *to = codec->scratch ? codec->scratch->listed : NULL;
	uint64_t next = census->low;
	bool over = false; /* next would be above UINT64_MAX */

	for (uint32_t i = 0; i < census->count && !codec->error; i++) {
		struct lt_listed item = { 0 };

		if (!reading(codec))
			item = census->items[i];
		code_u64(codec, &item.id);
		code_u64(codec, &item.born_ns);
		item.kind = code_item_kind(codec, item.kind);
		check(codec, !over && item.id >= next && item.id <= census->high,
		      "what is listed is not in order, or beyond the ends of the list");
		over = item.id == UINT64_MAX;
		next = item.id + 1;
		if (reading(codec) && item.kind == LT_KIND_NONE)
			continue;
		check(codec, lt_kind_listing(item.kind) == census->listing,
		      "what is listed belongs to another list");
		if (to)
			*to++ = item;
	}
	if (!to)
		return;
	census->items = codec->scratch->listed;
	census->count = (uint32_t)(to - codec->scratch->listed);
}

static void code_census(struct codec *codec, struct lt_event *event)
{
	struct lt_event_census *census = &event->census;

	if (!code_listing(codec, &census->listing))
		return;
	code_u32(codec, &census->count);
	code_u64(codec, &census->from_ns);
	code_u64(codec, &census->low);
	code_u64(codec, &census->high);
	if (check(codec, census->count <= LT_CENSUS_ITEMS, "a list has too many items") &&
	    check(codec, census->low <= census->high, "a list ends before it starts"))
		code_items(codec, census);
}

static void code_describe(struct codec *codec, struct lt_event *event)
{
	struct lt_event_describe *describe = &event->describe;

	if (!code_listing(codec, &describe->listing))
		return;
	code_u64(codec, &describe->id);
	code_u64(codec, &describe->key);
	code_string(codec, &describe->type);
	code_string(codec, &describe->name);
	code_string(codec, &describe->local);
	code_string(codec, &describe->state);
}

static void code_limit(struct codec *codec, struct lt_event *event)
{
	if (!code_enum(codec, &event->limit.which, 0, LT_LIMITS, "a limit is unknown"))
		return;
	code_u64(codec, &event->limit.used);
	code_u64(codec, &event->limit.limit);
}

static void code_move(struct codec *codec, struct lt_event *event)
{
	code_u64(codec, &event->move.id);
	code_u64(codec, &event->move.stack_id);
	check(codec, event->kind == LT_KIND_NONE || lt_kind_listing(event->kind),
	      "what moves is of no list");
}

static void code_passed(struct codec *codec, struct lt_event *event)
{
	code_u64(codec, &event->passed.stack_id);
	code_u64(codec, &event->passed.count);
	check(codec, lt_kind_listing(event->kind), "what passed is of no list");
	check(codec, event->passed.count, "nothing passed");
}

static void code_observe(struct codec *codec, struct lt_event *event)
{
	struct lt_event_observe *observe = &event->observe;

	code_u64(codec, &observe->stack_id);
	code_u64(codec, &observe->acquired_count);
	code_u64(codec, &observe->acquired_size);
	code_u64(codec, &observe->released_count);
	code_u64(codec, &observe->released_size);
	code_u64(codec, &observe->sampled);
	check(codec, !lt_kind_listing(event->kind), "what is observed belongs to a list");
	check(codec,
	      observe->released_count <= observe->acquired_count &&
		      observe->released_size <= observe->acquired_size,
	      "more was released than acquired");
}

static void code_runtime(struct codec *codec, struct lt_event *event)
{
	struct lt_event_runtime *runtime = &event->runtime;
	uint64_t *const figures[] = {
		&runtime->heap_rate,
		&runtime->heap_inuse_bytes,
		&runtime->heap_idle_bytes,
		&runtime->heap_released_bytes,
		&runtime->stacks_inuse_bytes,
		&runtime->next_gc_bytes,
		&runtime->heap_live_bytes,
		&runtime->gc_count,
		&runtime->gc_pause_total_ns,
		&runtime->gc_pause_last_ns,
		&runtime->last_gc_ns,
		&runtime->goroutines,
		&runtime->runtime_goroutines,
		&runtime->unread_goroutines,
		&runtime->walk_ns,
	};

	code_string(codec, &runtime->version);
	if (!code_enum(codec, &runtime->heap, 0, LT_RUNTIME_HEAPS,
		       "where a heap is told of is unknown"))
		return;
	code_u32(codec, &runtime->probes);
	check(codec, runtime->probes <= 1, "a flag is neither 0 nor 1");
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
		code_u64(codec, figures[i]);
}

#define RELEASE_FLAGS (LT_WIRE_F_REALLOC | LT_WIRE_F_RANGE)
#define ACQUIRE_FLAGS (RELEASE_FLAGS | LT_WIRE_F_PROTECT | LT_WIRE_F_CLASS)

static const struct lt_payload payloads[] = {
	[LT_EVENT_ACQUIRE] = { code_acquire, true, ACQUIRE_FLAGS },
	[LT_EVENT_RELEASE] = { code_release, true, RELEASE_FLAGS },
	[LT_EVENT_RESTORE] = { code_release, true, RELEASE_FLAGS },
	[LT_EVENT_STACK] = { code_stack, true, 0 },
	[LT_EVENT_TARGET] = { code_target, false, 0 },
	[LT_EVENT_MODULE] = { code_module, false, 0 },
	[LT_EVENT_SYMBOL] = { code_symbol, false, 0 },
	[LT_EVENT_COUNTERS] = { code_counters, false, 0 },
	[LT_EVENT_PROCESS] = { code_process, false, 0 },
	[LT_EVENT_SAMPLE] = { code_sample, false, 0 },
	[LT_EVENT_REPORT] = { code_report, false, 0 },
	[LT_EVENT_END] = { code_end, false, 0 },
	[LT_EVENT_UNSHARE] = { code_sample, false, 0 },
	[LT_EVENT_GONE] = { code_sample, false, 0 }, /* nothing more to say */
	[LT_EVENT_CENSUS] = { code_census, false, 0 },
	[LT_EVENT_DESCRIBE] = { code_describe, false, 0 },
	[LT_EVENT_LIMIT] = { code_limit, false, 0 },
	[LT_EVENT_MOVE] = { code_move, true, 0 },
	[LT_EVENT_OBSERVE] = { code_observe, true, 0 },
	[LT_EVENT_RUNTIME] = { code_runtime, false, 0 },
	[LT_EVENT_PASSED] = { code_passed, true, 0 },
};

const struct lt_payload *lt_payload_of(uint16_t type)
{
	return type < ARRAY_SIZE(payloads) && payloads[type].code ? &payloads[type] : NULL;
}
