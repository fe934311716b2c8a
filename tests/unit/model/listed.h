/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events of listed resources for the tests of the model, and what must hold after each. */
#ifndef LT_TEST_LISTED_H
#define LT_TEST_LISTED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/kind.h"
#include "model/handles.h"
#include "model/model.h"

#define START_NS UINT64_C(5000000000)
#define S        UINT64_C(1000000000)
#define MS       UINT64_C(1000000)

#define REALLOC LT_WIRE_F_REALLOC
#define RANGE   LT_WIRE_F_RANGE

static uint64_t now_ns = START_NS;

static inline struct lt_event event_of(uint8_t type, uint8_t kind, uint8_t flags)
{
	return (struct lt_event){ .type = type, .kind = kind, .flags = flags, .time_ns = now_ns };
}

static inline void apply(struct lt_model *model, const struct lt_event *event)
{
	assert_int_equal(lt_model_apply(model, event), 0);
}

static inline void acquire(struct lt_model *model, uint8_t kind, uint64_t id, uint64_t stack_id)
{
	struct lt_event event = event_of(LT_EVENT_ACQUIRE, kind, 0);

	event.acquire = (struct lt_event_acquire){ id, 1, stack_id };
	apply(model, &event);
}

static inline void tell(struct lt_model *model, uint8_t type, uint8_t flags, uint64_t id,
			uint64_t size)
{
	struct lt_event event = event_of(type, LT_KIND_FD, flags);

	event.release = (struct lt_event_release){ .id = id, .size = size };
	apply(model, &event);
}

static inline void release(struct lt_model *model, uint64_t id)
{
	tell(model, LT_EVENT_RELEASE, 0, id, 0);
}

static inline void restore(struct lt_model *model, uint64_t id)
{
	tell(model, LT_EVENT_RESTORE, 0, id, 0);
}

static inline void census_part(struct lt_model *model, uint8_t listing, uint64_t from_ns,
			       uint64_t low, uint64_t high, const struct lt_listed *items,
			       uint32_t count)
{
	struct lt_event event = event_of(LT_EVENT_CENSUS, 0, 0);

	event.census = (struct lt_event_census){ .listing = listing,
						 .count = count,
						 .from_ns = from_ns,
						 .low = low,
						 .high = high,
						 .items = items };
	apply(model, &event);
}

struct held {
	const struct lt_model *model;
	uint64_t count;
	uint64_t of_listing[LT_LISTINGS], before_of[LT_LISTINGS];
	uint64_t of_site[128]; /* tests have few */
	uint8_t last_listing;
	uint64_t last_id;
	const struct lt_handle *wanted;
	uint64_t wanted_id;
};

static inline void note_handle(void *context, const struct lt_handle *handle)
{
	struct held *held = context;
	const struct lt_site *site = lt_model_site(held->model, handle->site);

	assert_non_null(site);
	assert_int_equal(site->kind, handle->kind);
	assert_int_equal(lt_kind_listing(handle->kind), handle->listing);
	if (held->count) /* in order, each once */
		assert_true(handle->listing > held->last_listing ||
			    (handle->listing == held->last_listing && handle->id > held->last_id));
	held->count++;
	held->last_listing = handle->listing;
	held->last_id = handle->id;
	held->of_listing[handle->listing]++;
	held->before_of[handle->listing] += site->stack_id == LT_STACK_FROM_BEFORE;
	assert_true(handle->site < 128);
	held->of_site[handle->site]++;
	assert_true(handle->described || (!*handle->type && !*handle->name && !*handle->local &&
					  !*handle->state && !handle->key));
	if (handle->id == held->wanted_id)
		held->wanted = handle;
}

/* What must hold at any time. */
static inline struct held check(const struct lt_model *model)
{
	const struct lt_model_totals *totals = lt_model_totals(model);
	struct held held = { .model = model };
	uint64_t acquired = 0, released = 0;

	lt_model_handles(model, note_handle, &held);
	for (size_t i = 0; i < lt_model_site_count(model); i++) {
		const struct lt_site *site = lt_model_site(model, i);
		uint64_t alive = 0;

		assert_int_equal(site->acquired_count - site->released_count, site->live_count);
		assert_int_equal(site->live_count, site->live_size);
		assert_int_equal(site->live_count, held.of_site[i]);
		for (unsigned int level = 0; level < LT_COHORT_LEVELS; level++)
			alive += site->cohorts.alive_total[level];
		assert_int_equal(alive, site->live_count);
		acquired += site->acquired_count;
		released += site->released_count;
	}
	assert_int_equal(totals->acquired_count, acquired);
	assert_int_equal(totals->released_count, released);
	assert_int_equal(totals->live_count, held.count);
	assert_int_equal(totals->live_size, held.count);
	for (uint8_t i = 0; i < LT_LISTINGS; i++)
		assert_int_equal(lt_model_listing(model, i)->before, held.before_of[i]);
	assert_int_equal(totals->address_reused, 0);
	assert_int_equal(totals->restore_missed, 0);
	for (int kind = 0; kind < LT_KIND_COUNT; kind++) /* never below zero */
		assert_true(totals->unknown_of_kind[kind] < UINT64_MAX / 2);
	assert_true(totals->unknown_released < UINT64_MAX / 2);
	return held;
}

#endif
