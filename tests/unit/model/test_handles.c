/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/model/listed.h"

#define FDS     LT_LISTING_DESCRIPTORS
#define THREADS LT_LISTING_THREADS
#define FD      LT_KIND_FD
#define SOCKET  LT_KIND_SOCKET
#define THREAD  LT_KIND_THREAD

static int setup(void **state)
{
	now_ns = START_NS;
	return lt_model_new(START_NS, (struct lt_model **)state);
}

static int teardown(void **state)
{
	lt_model_free(*state);
	return 0;
}

/* A whole census of now, a second after the last thing that was done. */
static void census(struct lt_model *model, uint8_t listing, const struct lt_listed *items,
		   uint32_t count)
{
	now_ns += S;
	census_part(model, listing, now_ns, 0, UINT64_MAX, items, count);
}

#define CENSUS(model, listing, ...)                                                                \
	do {                                                                                       \
		const struct lt_listed items_[] = { __VA_ARGS__ };                                 \
		census(model, listing, items_, sizeof(items_) / sizeof(items_[0]));                \
	} while (0)

static void expect_listing(const struct lt_model *model, uint8_t number, uint64_t listed,
			   uint64_t tracked, uint64_t unknown, uint64_t vanished, uint64_t came,
			   uint64_t went)
{
	const struct lt_model_listing *listing = lt_model_listing(model, number);

	check(model);
	assert_true(listing->taken);
	assert_int_equal(listing->listed, listed);
	assert_int_equal(listing->tracked, tracked);
	assert_int_equal(listing->unknown, unknown);
	assert_int_equal(listing->vanished, vanished);
	assert_int_equal(listing->came, came);
	assert_int_equal(listing->went, went);
}

/* NULL: it does not live. */
static const struct lt_handle *handle_of(const struct lt_model *model, uint64_t id)
{
	struct held held = { .model = model, .wanted_id = id };

	lt_model_handles(model, note_handle, &held);
	return held.wanted;
}

static uint64_t stack_of(const struct lt_model *model, uint64_t id)
{
	const struct lt_handle *handle = handle_of(model, id);

	assert_non_null(handle);
	return lt_model_site(model, handle->site)->stack_id;
}

static uint64_t live(const struct lt_model *model)
{
	return check(model).count;
}

static void test_one_life(void **state)
{
	struct lt_model *model = *state;
	const struct lt_handle *handle;
	uint32_t births[3];

	now_ns += 7 * S;
	acquire(model, SOCKET, 5, 100);
	acquire(model, FD, 4, 100);     /* the same caller, another kind */
	acquire(model, THREAD, 5, 101); /* the same id, in another listing */
	assert_int_equal(live(model), 3);
	handle = handle_of(model, 4);
	assert_int_equal(handle->kind, FD);
	assert_int_equal(handle->listing, FDS);
	assert_int_equal(handle->birth_s, 7);
	assert_int_equal(handle->born_ns, now_ns);
	assert_false(handle->described);
	lt_model_oldest(model, births);
	assert_int_equal(births[0], 7);
	now_ns += S;
	release(model, 5); /* told as of kind fd, whatever it was */
	assert_int_equal(live(model), 2);
	assert_int_equal(lt_model_site(model, 0)->kind, SOCKET);
	assert_int_equal(lt_model_site(model, 0)->released_count, 1);
	lt_model_oldest(model, births);
	assert_int_equal(births[0], UINT32_MAX);
	assert_int_equal(births[1], 7);
	assert_int_equal(lt_model_totals(model)->unknown_released, 0);
	assert_null(handle_of(model, 77));
	assert_false(lt_model_listing(model, FDS)->taken);
	assert_false(lt_model_listing(model, 200)->taken);
}

/* dup2() over a descriptor: told before the call, as it is not known whether there was anything. */
static void test_dup_over(void **state)
{
	struct lt_model *model = *state;
	struct lt_event event;

	tell(model, LT_EVENT_RELEASE, REALLOC, 5, 0); /* nothing, as far as is known */
	assert_int_equal(lt_model_totals(model)->unknown_released, 0);
	event = event_of(LT_EVENT_ACQUIRE, FD, REALLOC);
	event.acquire = (struct lt_event_acquire){ 5, 1, 100 };
	apply(model, &event);
	tell(model, LT_EVENT_RELEASE, REALLOC, 5, 0); /* two threads over the same one ... */
	tell(model, LT_EVENT_RELEASE, REALLOC, 5, 0);
	event.acquire.stack_id = 101;
	apply(model, &event);
	event.acquire.stack_id = 102;
	apply(model, &event); /* ... of which the second ended the first's */
	assert_int_equal(live(model), 1);
	assert_int_equal(stack_of(model, 5), 102);
	tell(model, LT_EVENT_RELEASE, REALLOC, 5, 0); /* it fails */
	tell(model, LT_EVENT_RESTORE, REALLOC, 5, 0);
	assert_int_equal(stack_of(model, 5), 102);
	CENSUS(model, FDS, { 5, 0, FD });
	expect_listing(model, FDS, 1, 1, 0, 0, 0, 0);
}

static void test_acquire_of_a_live_one(void **state)
{
	struct lt_model *model = *state;

	CENSUS(model, FDS, { 3, 0, FD }, { 5, 0, FD });
	acquire(model, FD, 5, 100); /* over one from before */
	assert_int_equal(lt_model_listing(model, FDS)->went, 1);
	assert_int_equal(lt_model_listing(model, FDS)->before, 1);
	acquire(model, SOCKET, 5, 101); /* the release was missed */
	assert_int_equal(lt_model_listing(model, FDS)->went, 2);
	assert_int_equal(live(model), 2);
	assert_int_equal(stack_of(model, 5), 101);
	assert_int_equal(handle_of(model, 5)->kind, SOCKET);
	assert_int_equal(lt_model_totals(model)->unknown_released, 0);
}

static void test_seeds(void **state)
{
	struct lt_model *model = *state;
	const struct lt_site *site;
	uint32_t births[4];

	acquire(model, FD, 9, 100);
	CENSUS(model, FDS, { 0, 0, FD }, { 3, 77, SOCKET }, { 9, 0, FD });
	expect_listing(model, FDS, 3, 3, 0, 0, 0, 0);
	assert_int_equal(lt_model_listing(model, FDS)->before, 2);
	assert_int_equal(stack_of(model, 3), LT_STACK_FROM_BEFORE);
	assert_int_equal(handle_of(model, 3)->birth_s, 0);
	assert_int_equal(handle_of(model, 3)->born_ns, 77);
	assert_int_equal(handle_of(model, 3)->kind, SOCKET);
	site = lt_model_site(model, handle_of(model, 0)->site);
	assert_int_equal(site->kind, FD); /* each kind has its own */
	lt_model_oldest(model, births);
	assert_int_equal(births[1], 0);
	CENSUS(model, THREADS, { 1000, 5, THREAD });
	expect_listing(model, THREADS, 1, 1, 0, 0, 0, 0);
	expect_listing(model, FDS, 3, 3, 0, 0, 0, 0);
	now_ns += S;
	release(model, 3);
	assert_int_equal(lt_model_totals(model)->unknown_of_kind[SOCKET], 1);
	assert_int_equal(lt_model_totals(model)->unknown_of_kind[FD], 0);
	assert_int_equal(lt_model_totals(model)->unknown_released, 0);
	assert_int_equal(lt_model_listing(model, FDS)->before, 1);
	restore(model, 3);
	assert_int_equal(lt_model_totals(model)->unknown_of_kind[SOCKET], 0);
	assert_int_equal(lt_model_listing(model, FDS)->before, 2);
	assert_int_equal(handle_of(model, 3)->born_ns, 77);
	release(model, 3);
	release(model, 3); /* a double close, or a race: that is for the census */
	release(model, 500);
	assert_int_equal(lt_model_totals(model)->unknown_released, 0);
	CENSUS(model, FDS, { 0, 88, FD }, { 9, 99, FD });
	expect_listing(model, FDS, 2, 2, 0, 0, 0, 0);
	assert_int_equal(handle_of(model, 0)->born_ns, 88); /* was not known */
	assert_int_equal(handle_of(model, 9)->born_ns, START_NS);
}

static void test_releases_before_the_first_census(void **state)
{
	struct lt_model *model = *state;
	const struct lt_model_totals *totals = lt_model_totals(model);

	release(model, 5);
	assert_int_equal(totals->unknown_released, 1);
	assert_int_equal(totals->unknown_of_kind[FD], 1);
	release(model, 5); /* again: it is known to be gone */
	assert_int_equal(totals->unknown_released, 1);
	restore(model, 5); /* and that was the one that failed */
	assert_int_equal(totals->unknown_released, 1);
	restore(model, 5);
	assert_int_equal(totals->unknown_released, 0);
	release(model, 5);
	acquire(model, FD, 5, 100);
	release(model, 5);
	release(model, 5);
	tell(model, LT_EVENT_RELEASE, REALLOC, 6, 0);
	tell(model, LT_EVENT_RELEASE, RANGE, 7, UINT32_MAX);
	assert_int_equal(totals->unknown_released, 1);
	CENSUS(model, THREADS, { 7, 0, THREAD }); /* that one tells nothing of descriptors */
	release(model, 8);
	assert_int_equal(totals->unknown_released, 2);
	CENSUS(model, FDS, { 6, 0, FD });
	release(model, 9);
	assert_int_equal(totals->unknown_released, 2);
	assert_int_equal(live(model), 2);
	restore(model, 99); /* of nothing */
	tell(model, LT_EVENT_RESTORE, RANGE, 3, UINT32_MAX);
	assert_int_equal(live(model), 2);
}

/* One thread's close ends it, the other's fails: in whichever order they are told. */
static void test_racing_closes(void **state)
{
	struct lt_model *model = *state;

	CENSUS(model, FDS, { 1, 0, FD });
	acquire(model, FD, 5, 100);
	release(model, 5);
	release(model, 5);
	restore(model, 5);
	assert_null(handle_of(model, 5));
	acquire(model, FD, 5, 101);
	restore(model, 5); /* too late: it is another one now */
	assert_int_equal(stack_of(model, 5), 101);
	release(model, 5);
	acquire(model, FD, 5, 102); /* used again before the first close returned */
	restore(model, 5);
	release(model, 5);
	assert_int_equal(live(model), 1);
	restore(model, 5); /* of that one only */
	assert_int_equal(stack_of(model, 5), 102);
	/* Closed before the call that made it has returned: that is for the census. */
	release(model, 6);
	acquire(model, FD, 6, 103);
	CENSUS(model, FDS, { 1, 0, FD }, { 5, 0, FD });
	expect_listing(model, FDS, 2, 3, 0, 1, 0, 0);
	CENSUS(model, FDS, { 1, 0, FD }, { 5, 0, FD });
	expect_listing(model, FDS, 2, 2, 0, 0, 0, 1);
	assert_null(handle_of(model, 6));
}

static void test_restore_keeps_birth(void **state)
{
	struct lt_model *model = *state;

	acquire(model, FD, 5, 100);
	now_ns += 40 * S;
	tell(model, LT_EVENT_RELEASE, REALLOC, 5, 0);
	now_ns += 5 * S;
	tell(model, LT_EVENT_RESTORE, REALLOC, 5, 0);
	assert_int_equal(live(model), 1);
	assert_int_equal(handle_of(model, 5)->birth_s, 0);
	assert_int_equal(handle_of(model, 5)->born_ns, START_NS);
	assert_int_equal(lt_model_totals(model)->released_count, 0);
	lt_model_roll(model, now_ns);
	assert_int_equal(lt_cohorts_alive_above(&lt_model_site(model, 0)->cohorts, 0), 1);
}

static void test_ranges(void **state)
{
	struct lt_model *model = *state;

	CENSUS(model, FDS, { 1, 0, FD });
	for (uint64_t fd = 3; fd < 100; fd++)
		acquire(model, fd % 3 ? FD : SOCKET, fd, 100);
	acquire(model, THREAD, 50, 101);
	tell(model, LT_EVENT_RELEASE, RANGE, 10, 5);
	assert_int_equal(live(model), 97 + 2 - 5);
	assert_null(handle_of(model, 14));
	assert_non_null(handle_of(model, 9));
	assert_non_null(handle_of(model, 15));
	tell(model, LT_EVENT_RELEASE, RANGE, 10, 0);
	assert_int_equal(live(model), 97 + 2 - 5);
	now_ns += S;
	tell(model, LT_EVENT_RELEASE, RANGE, 3, UINT32_MAX - 3); /* it fails */
	assert_int_equal(live(model), 2);
	tell(model, LT_EVENT_RESTORE, RANGE, 3, UINT32_MAX - 3);
	assert_int_equal(live(model), 97 + 2 - 5); /* those that it took, only */
	tell(model, LT_EVENT_RELEASE, RANGE, 3, UINT32_MAX - 3);
	acquire(model, FD, 20, 102);
	restore(model, 30); /* not of that release */
	tell(model, LT_EVENT_RESTORE, RANGE, 20, 1);
	assert_int_equal(live(model), 3);
	assert_int_equal(stack_of(model, 20), 102);
	tell(model, LT_EVENT_RELEASE, RANGE, 20, UINT64_MAX); /* beyond all numbers */
	assert_int_equal(live(model), 2);
	assert_int_equal(lt_model_totals(model)->unknown_released, 0);
	CENSUS(model, FDS, { 1, 0, FD });
	expect_listing(model, FDS, 1, 1, 0, 0, 0, 0);
}

/* What a range may have ended is not seeded by a census of that time. */
static void test_ranges_in_flux(void **state)
{
	struct lt_model *model = *state;
	const struct lt_listed items[] = { { 1, 0, FD }, { 5, 0, FD }, { 9, 0, FD } };

	tell(model, LT_EVENT_RELEASE, RANGE, 4, 2);
	now_ns += 5 * MS;
	census_part(model, FDS, now_ns, 0, UINT64_MAX, items, 3);
	assert_int_equal(live(model), 2);
	assert_null(handle_of(model, 5));
	tell(model, LT_EVENT_RELEASE, RANGE, 8, UINT64_MAX);
	assert_int_equal(live(model), 1);
	CENSUS(model, FDS, { 1, 0, FD });
	expect_listing(model, FDS, 1, 1, 0, 0, 0, 0);
}

static void test_corrections(void **state)
{
	struct lt_model *model = *state;

	CENSUS(model, FDS, { 1, 0, FD });
	acquire(model, FD, 5, 100);
	acquire(model, FD, 6, 100);
	now_ns += S;
	CENSUS(model, FDS, { 1, 0, FD }, { 6, 0, FD }, { 7, 42, SOCKET });
	expect_listing(model, FDS, 3, 3, 1, 1, 0, 0);
	assert_null(handle_of(model, 7));
	census_part(model, FDS, now_ns, 0, UINT64_MAX,
		    (const struct lt_listed[]){ { 1, 0, FD }, { 6, 0, FD }, { 7, 42, SOCKET } }, 3);
	expect_listing(model, FDS, 3, 3, 1, 1, 0, 0); /* the same one: that proves nothing */
	CENSUS(model, FDS, { 1, 0, FD }, { 6, 0, FD }, { 7, 42, SOCKET });
	expect_listing(model, FDS, 3, 3, 0, 0, 1, 1);
	assert_null(handle_of(model, 5));
	assert_int_equal(stack_of(model, 7), LT_STACK_UNSEEN);
	assert_int_equal(handle_of(model, 7)->born_ns, 42);
	assert_int_equal(handle_of(model, 7)->birth_s, 4);
	CENSUS(model, FDS, { 1, 0, FD }, { 6, 0, FD }, { 7, 42, SOCKET });
	expect_listing(model, FDS, 3, 3, 0, 0, 1, 1);
	release(model, 7);
	assert_int_equal(lt_model_totals(model)->unknown_of_kind[SOCKET], 0);
	CENSUS(model, FDS, );
	CENSUS(model, FDS, );
	expect_listing(model, FDS, 0, 0, 0, 0, 1, 3);
	assert_int_equal(live(model), 0);
}

/* Doubts end with whatever happens, and with a census that shows what we believe. */
static void test_doubts_end(void **state)
{
	struct lt_model *model = *state;

	CENSUS(model, FDS, );
	acquire(model, FD, 5, 100);
	acquire(model, FD, 6, 100);
	CENSUS(model, FDS, { 8, 0, FD }, { 9, 0, FD }, { 10, 0, FD }); /* 5 and 6 are missing */
	expect_listing(model, FDS, 3, 2, 3, 2, 0, 0);
	CENSUS(model, FDS, { 5, 0, FD }, { 9, 0, SOCKET }, { 10, 0, FD }); /* 5 is there again */
	expect_listing(model, FDS, 2 + 1, 2, 1, 0, 1, 1);
	assert_null(handle_of(model, 9)); /* it is another one than that of the first look */
	acquire(model, SOCKET, 9, 101);
	CENSUS(model, FDS, { 8, 0, FD }, { 9, 0, SOCKET }, { 10, 0, FD });
	expect_listing(model, FDS, 3, 3, 1, 1, 1, 1); /* 8 came anew, 5 is missing again */
	release(model, 8);
	release(model, 5);
	CENSUS(model, FDS, { 8, 0, FD }, { 9, 0, SOCKET }, { 10, 0, FD });
	expect_listing(model, FDS, 3, 2, 1, 0, 1, 1);
	acquire(model, FD, 8, 102); /* told late */
	CENSUS(model, FDS, { 8, 0, FD }, { 9, 0, SOCKET }, { 10, 0, FD });
	expect_listing(model, FDS, 3, 3, 0, 0, 1, 1);
	assert_int_equal(stack_of(model, 8), 102);
}

static void test_another_kind(void **state)
{
	struct lt_model *model = *state;

	acquire(model, FD, 5, 100);
	CENSUS(model, FDS, { 5, 0, SOCKET });
	expect_listing(model, FDS, 1, 1, 1, 1, 0, 0);
	assert_int_equal(handle_of(model, 5)->kind, FD);
	CENSUS(model, FDS, { 5, 0, SOCKET });
	expect_listing(model, FDS, 1, 1, 0, 0, 1, 1);
	assert_int_equal(handle_of(model, 5)->kind, SOCKET);
	assert_int_equal(stack_of(model, 5), LT_STACK_UNSEEN);
	CENSUS(model, FDS, { 6, 0, THREAD }, { 7, 0, LT_KIND_HEAP }); /* not of this listing */
	assert_int_equal(lt_model_listing(model, FDS)->listed, 0);
	assert_int_equal(live(model), 1);
}

/* What happened just before the census, or later, may not be in it, or be in it already. */
static void test_in_flux(void **state)
{
	struct lt_model *model = *state;
	const struct lt_listed both[] = { { 5, 0, FD }, { 6, 0, FD } };

	CENSUS(model, FDS, );
	for (int round = 0; round < 3; round++) {
		now_ns += S;
		acquire(model, FD, 5, 100); /* listed, or not yet */
		acquire(model, FD, 6, 100);
		release(model, 6); /* not listed, or still */
		now_ns += 9 * MS;
		census_part(model, FDS, now_ns, 0, UINT64_MAX, both, round % 2 ? 2 : 0);
		expect_listing(model, FDS, round % 2 ? 2 : 0, 1, 0, 0, 0, 0);
		census_part(model, FDS, now_ns - S, 0, UINT64_MAX, both, 2); /* told late */
		expect_listing(model, FDS, 2, 1, 0, 0, 0, 0);
		release(model, 5);
	}
	acquire(model, FD, 5, 100);
	now_ns += 11 * MS;
	census_part(model, FDS, now_ns, 0, UINT64_MAX, both + 1, 1);
	expect_listing(model, FDS, 1, 1, 1, 1, 0, 0);
}

static void test_parts(void **state)
{
	struct lt_model *model = *state;
	const struct lt_listed items[] = { { 1, 0, FD }, { 5, 0, FD }, { 9, 0, FD } };

	for (int round = 0; round < 3; round++) {
		now_ns += S;
		census_part(model, FDS, now_ns, 0, 4, items, 1);
		if (!round)
			assert_false(lt_model_listing(model, FDS)->taken);
		acquire(model, FD, 20, 100); /* between the parts */
		census_part(model, FDS, now_ns, 5, 8, items + 1, 1);
		release(model, 20);
		acquire(model, FD, 30, 100);
		release(model, 30);
		census_part(model, FDS, now_ns, 9, UINT64_MAX, items + 2, 1);
		expect_listing(model, FDS, 3, 3, 0, 0, 0, 0);
	}
	/* Without its beginning, its middle, or with another beginning: nothing is missing by it. */
	now_ns += S;
	census_part(model, FDS, now_ns, 5, UINT64_MAX, items, 0);
	census_part(model, FDS, now_ns, 0, 4, items, 0);
	census_part(model, FDS, now_ns, 9, UINT64_MAX, items, 0);
	census_part(model, FDS, now_ns, 5, UINT64_MAX, items, 0);
	expect_listing(model, FDS, 3, 3, 0, 0, 0, 0);
	census_part(model, FDS, now_ns, 0, 4, items, 0);
	census_part(model, FDS, now_ns, 0, 4, items, 1);
	census_part(model, FDS, now_ns, 5, UINT64_MAX, items + 1, 2);
	expect_listing(model, FDS, 3, 3, 0, 0, 0, 0);
	for (uint64_t id = 0; id < 3; id++) /* one id each */
		census_part(model, THREADS, now_ns, id, id, NULL, 0);
	assert_false(lt_model_listing(model, THREADS)->taken);
	census_part(model, THREADS, now_ns, 3, UINT64_MAX, NULL, 0);
	assert_true(lt_model_listing(model, THREADS)->taken);
	census_part(model, LT_LISTING_NOWHERE, now_ns, 0, UINT64_MAX, items, 3);
	census_part(model, LT_LISTINGS, now_ns, 0, UINT64_MAX, items, 3);
	assert_int_equal(live(model), 3);
}

static void say(struct lt_model *model, uint64_t id, const char *name, const char *state)
{
	struct lt_event event = event_of(LT_EVENT_DESCRIBE, 0, 0);

	event.describe = (struct lt_event_describe){ .listing = FDS,
						     .id = id,
						     .key = 9,
						     .type = "TCP",
						     .name = name,
						     .local = "10.0.0.1:80",
						     .state = state };
	apply(model, &event);
}

static void expect_text(const struct lt_model *model, uint64_t id, const char *name,
			const char *state)
{
	const struct lt_handle *handle = handle_of(model, id);

	assert_true(handle->described);
	assert_int_equal(handle->key, 9);
	assert_string_equal(handle->type, "TCP");
	assert_string_equal(handle->local, "10.0.0.1:80");
	assert_string_equal(handle->name, name);
	assert_string_equal(handle->state, state);
}

static void test_descriptions(void **state)
{
	struct lt_model *model = *state;
	struct lt_event event = event_of(LT_EVENT_DESCRIBE, 0, 0);

	say(model, 5, "nobody", "");
	acquire(model, SOCKET, 5, 100);
	assert_false(handle_of(model, 5)->described);
	say(model, 5, "10.0.0.5:5432", "ESTABLISHED");
	expect_text(model, 5, "10.0.0.5:5432", "ESTABLISHED");
	say(model, 5, handle_of(model, 5)->name, "CLOSE_WAIT"); /* its own string */
	expect_text(model, 5, "10.0.0.5:5432", "CLOSE_WAIT");
	tell(model, LT_EVENT_RELEASE, REALLOC, 5, 0);
	say(model, 5, "nobody", "");
	tell(model, LT_EVENT_RESTORE, REALLOC, 5, 0);
	expect_text(model, 5, "10.0.0.5:5432", "CLOSE_WAIT");
	acquire(model, SOCKET, 5, 100);
	assert_false(handle_of(model, 5)->described);
	assert_string_equal(handle_of(model, 5)->name, "");
	say(model, 5, "", "");
	expect_text(model, 5, "", "");
	say(model, 5, "old", "");
	release(model, 5);
	CENSUS(model, FDS, { 5, 0, SOCKET });
	assert_false(handle_of(model, 5)->described);
	say(model, 5, "seed", "");
	release(model, 5);
	CENSUS(model, FDS, { 5, 0, SOCKET });
	say(model, 5, "unseen", ""); /* told while it is in doubt */
	CENSUS(model, FDS, { 5, 0, SOCKET });
	expect_text(model, 5, "unseen", "");
	event.describe = (struct lt_event_describe){ UINT32_MAX, 5, 1, "", "", "", "" };
	apply(model, &event);
	expect_text(model, 5, "unseen", "");
}

static void test_descriptions_are_shared(void **state)
{
	struct lt_model *model = *state;
	char name[5000];
	size_t bare, described;

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (uint64_t fd = 0; fd < 20000; fd++)
		acquire(model, SOCKET, fd, 100);
	bare = lt_model_memory(model);
	for (uint64_t fd = 0; fd < 20000; fd++)
		say(model, fd, name, "ESTABLISHED");
	described = lt_model_memory(model);
	assert_true(described < bare + 8192);
	for (uint64_t round = 0; round < 20; round++)
		for (uint64_t fd = 0; fd < 100; fd++) {
			memset(name, (int)('a' + round), 10);
			say(model, fd, name, "CLOSE_WAIT");
		}
	assert_true(lt_model_memory(model) < described + 8192); /* what nobody has is gone */
}

/* Thread ids go on and on. */
static void test_memory(void **state)
{
	struct lt_model *model = *state;
	size_t empty = lt_model_memory(model), most;

	for (uint64_t tid = 0; tid < 1000000; tid++) {
		struct lt_event event = event_of(LT_EVENT_RELEASE, THREAD, 0);

		acquire(model, THREAD, tid, 100);
		event.release.id = tid;
		apply(model, &event);
		now_ns += MS / 10;
		if (tid == 500000) {
			most = lt_model_memory(model);
			census(model, THREADS, NULL, 0);
			assert_true(lt_model_memory(model) < empty + 4 * 1024 * 1024);
			assert_true(lt_model_memory(model) < most);
		}
	}
	/* Also without a census. */
	assert_true(lt_model_memory(model) < empty + 24 * 1024 * 1024);
	for (uint64_t fd = 0; fd < 200000; fd++)
		release(model, fd * 12345); /* of nothing */
	assert_true(lt_model_memory(model) < empty + 48 * 1024 * 1024);
	census(model, THREADS, NULL, 0);
	census(model, FDS, NULL, 0);
	expect_listing(model, THREADS, 0, 0, 0, 0, 0, 0);
	expect_listing(model, FDS, 0, 0, 0, 0, 0, 0);
	assert_int_equal(lt_model_totals(model)->released_count, 1000000);
}

/* More than are remembered end at once. */
static void test_many_end_at_once(void **state)
{
	struct lt_model *model = *state;

	CENSUS(model, FDS, );
	for (uint64_t fd = 0; fd < 100000; fd++)
		acquire(model, FD, fd, 100);
	tell(model, LT_EVENT_RELEASE, RANGE, 0, UINT32_MAX);
	assert_int_equal(live(model), 0);
	tell(model, LT_EVENT_RESTORE, RANGE, 0, UINT32_MAX);
	assert_int_equal(live(model), 65536); /* the census will find the others */
	now_ns += S;
	tell(model, LT_EVENT_RELEASE, RANGE, 0, UINT32_MAX);
	CENSUS(model, FDS, );
	expect_listing(model, FDS, 0, 0, 0, 0, 0, 0);
}

static void test_sites_full(void **state)
{
	struct lt_model *model = *state;

	acquire(model, FD, 7, 99);
	for (uint64_t i = 0; i < LT_MAX_SITES - 1; i++) {
		struct lt_event event = event_of(LT_EVENT_ACQUIRE, LT_KIND_HEAP, 0);

		event.acquire = (struct lt_event_acquire){ 0x1000 + i, 1, 1000 + i };
		apply(model, &event);
	}
	acquire(model, FD, 5, 100);
	assert_int_equal(lt_model_totals(model)->sites_full, 1);
	assert_null(handle_of(model, 5));
	acquire(model, FD, 7, 100); /* what it was before is gone all the same */
	restore(model, 7);
	assert_null(handle_of(model, 7));
	assert_int_equal(lt_model_totals(model)->sites_full, 2);
	CENSUS(model, FDS, { 5, 0, FD }, { 6, 0, FD });
	assert_int_equal(lt_model_totals(model)->sites_full, 4);
	CENSUS(model, FDS, { 5, 0, FD });
	CENSUS(model, FDS, { 5, 0, FD });
	assert_int_equal(lt_model_listing(model, FDS)->came, 0);
	assert_null(handle_of(model, 5));
	release(model, 5);
	assert_int_equal(lt_model_totals(model)->live_count, LT_MAX_SITES - 1);
}

static void move(struct lt_model *model, uint8_t kind, uint64_t id, uint64_t stack_id)
{
	struct lt_event event = event_of(LT_EVENT_MOVE, kind, 0);

	event.move = (struct lt_event_move){ id, stack_id };
	apply(model, &event);
}

/* It is new at its site, as old as it was, and nothing has changed in all. */
static void test_moves(void **state)
{
	struct lt_model *model = *state;
	const struct lt_model_totals *totals = lt_model_totals(model);
	const struct lt_site *from, *to;
	uint32_t births[2];

	acquire(model, LT_KIND_GOROUTINE, 18, 100);
	acquire(model, LT_KIND_GOROUTINE, 19, 100);
	now_ns += 20 * S;
	move(model, LT_KIND_GOROUTINE, 18, 101);
	from = lt_model_site(model, 0);
	to = lt_model_site(model, 1);
	assert_int_equal(from->live_count, 1);
	assert_int_equal(from->released_count, 1);
	assert_int_equal(from->cohorts.released_total[1], 1);
	assert_int_equal(to->acquired_count, 1);
	assert_int_equal(to->live_count, 1);
	assert_int_equal(to->cohorts.alive_total[0], 1);
	assert_int_equal(to->first_ns, now_ns);
	assert_int_equal(totals->acquired_count, 2);
	assert_int_equal(totals->released_count, 0);
	assert_int_equal(totals->live_count, 2);
	assert_int_equal(totals->moved, 1);
	assert_int_equal(handle_of(model, 18)->site, 1);
	assert_int_equal(handle_of(model, 18)->born_ns, START_NS);
	lt_model_oldest(model, births);
	assert_int_equal(births[0], 0);
	assert_int_equal(births[1], 20);
	/* Nowhere else; and who does not live. */
	move(model, LT_KIND_GOROUTINE, 18, 101);
	move(model, LT_KIND_GOROUTINE, 77, 101);
	move(model, LT_KIND_THREAD, 18, 100);
	assert_int_equal(totals->moved, 1);
	assert_int_equal(lt_model_site_count(model), 2);
	now_ns += S;
	struct lt_event event = event_of(LT_EVENT_RELEASE, LT_KIND_GOROUTINE, 0);

	event.release.id = 18;
	apply(model, &event);
	assert_int_equal(to->live_count, 0);
	assert_int_equal(totals->released_count, 1);
	move(model, LT_KIND_GOROUTINE, 18, 100);
	assert_int_equal(totals->moved, 1);
	assert_int_equal(totals->unknown_released, 0);
}

/* FROM_BEFORE is counted where it is. */
static void test_moves_from_before(void **state)
{
	struct lt_model *model = *state;

	CENSUS(model, FDS, { 4, 0, FD });
	assert_int_equal(lt_model_listing(model, FDS)->before, 1);
	move(model, FD, 4, 100);
	assert_int_equal(lt_model_listing(model, FDS)->before, 0);
	move(model, FD, 4, LT_STACK_FROM_BEFORE);
	assert_int_equal(lt_model_listing(model, FDS)->before, 1);
}

/* Nobody knows them by an id, and none of them ever counted as alive. */
static void test_passed(void **state)
{
	struct lt_model *model = *state;
	const struct lt_model_totals *totals = lt_model_totals(model);
	struct lt_event event = event_of(LT_EVENT_PASSED, LT_KIND_GOROUTINE, 0);
	const struct lt_site *site;

	acquire(model, LT_KIND_GOROUTINE, 18, 100);
	now_ns += 20 * S;
	event.time_ns = now_ns;
	event.passed = (struct lt_event_passed){ 100, 5000 };
	apply(model, &event);
	site = lt_model_site(model, 0);
	assert_int_equal(lt_model_site_count(model), 1);
	assert_int_equal(site->acquired_count, 5001);
	assert_int_equal(site->acquired_size, 5001);
	assert_int_equal(site->released_count, 5000);
	assert_int_equal(site->released_size, 5000);
	assert_int_equal(site->live_count, 1);
	assert_int_equal(site->live_size, 1);
	assert_int_equal(site->peak_size, 1);
	assert_int_equal(site->last_ns, now_ns);
	assert_int_equal(site->cohorts.released_total[0], 5000);
	assert_int_equal(site->cohorts.alive_total[1], 1);
	assert_int_equal(totals->acquired_count, 5001);
	assert_int_equal(totals->released_count, 5000);
	assert_int_equal(totals->live_count, 1);
	/* A site of its own, if it is the first there. */
	event.passed = (struct lt_event_passed){ 101, 2 };
	apply(model, &event);
	site = lt_model_site(model, 1);
	assert_int_equal(site->acquired_count, 2);
	assert_int_equal(site->live_count, 0);
	assert_int_equal(site->first_ns, now_ns);
	/* What is no list has no such thing. */
	event.kind = LT_KIND_HEAP;
	apply(model, &event);
	assert_int_equal(lt_model_site_count(model), 2);
	assert_int_equal(totals->acquired_count, 5003);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_life),
		TEST(test_dup_over),
		TEST(test_acquire_of_a_live_one),
		TEST(test_seeds),
		TEST(test_releases_before_the_first_census),
		TEST(test_racing_closes),
		TEST(test_restore_keeps_birth),
		TEST(test_ranges),
		TEST(test_ranges_in_flux),
		TEST(test_corrections),
		TEST(test_doubts_end),
		TEST(test_another_kind),
		TEST(test_in_flux),
		TEST(test_parts),
		TEST(test_descriptions),
		TEST(test_descriptions_are_shared),
		TEST(test_memory),
		TEST(test_many_end_at_once),
		TEST(test_sites_full),
		TEST(test_moves),
		TEST(test_moves_from_before),
		TEST(test_passed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
