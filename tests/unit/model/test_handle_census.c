/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model against a little kernel: a descriptor table, threads whose calls interleave, events
 * that come late or never, censuses at any time.
 */
#include "base/hash.h"
#include "unit/model/listed.h"

#define FDS      LT_LISTING_DESCRIPTORS
#define IDS      24U
#define WORKERS  4U
#define QUEUE    4096U
#define PARTS    3U
#define OF_FD(n) (100 + (n)) /* stack ids */

struct slot {
	uint8_t kind; /* 0: free */
	uint64_t stack_id;
};

enum call { CALL_NONE, CALL_OPEN, CALL_CLOSE, CALL_DUP_OVER, CALL_CLOSE_RANGE, CALLS };

/* A thread within a call: before it, done but not returned, or none. */
struct worker {
	enum call call;
	bool done, failed;
	uint32_t fd, other;
	uint8_t kind;
	uint64_t stack_id;
};

struct sim {
	struct lt_model *model;
	struct slot table[IDS];
	struct worker workers[WORKERS];
	struct lt_event queue[QUEUE];
	size_t first, end;
	uint64_t random, stacks;
	unsigned int lost_of_1000;   /* events */
	unsigned int unseen_of_1000; /* changes that no event tells of */
	bool atomic;                 /* calls do not interleave */
	/* A census that was taken, and is told part by part. */
	struct lt_listed items[IDS];
	uint32_t count;
	uint64_t from_ns, low;
};

static uint32_t pick(struct sim *sim, uint32_t below)
{
	sim->random = lt_mix64(sim->random + 0x9e3779b97f4a7c15);
	return (uint32_t)(sim->random >> 33) % below;
}

static void deliver(struct sim *sim)
{
	apply(sim->model, &sim->queue[sim->first++ % QUEUE]);
}

static void emit(struct sim *sim, const struct lt_event *event)
{
	if (pick(sim, 1000) < sim->lost_of_1000)
		return;
	if (sim->end - sim->first == QUEUE)
		deliver(sim);
	sim->queue[sim->end++ % QUEUE] = *event;
}

static void emit_release(struct sim *sim, uint8_t type, uint8_t flags, uint32_t fd, uint32_t size)
{
	struct lt_event event = event_of(type, LT_KIND_FD, flags);

	event.release = (struct lt_event_release){ .id = fd, .size = size };
	emit(sim, &event);
}

static uint8_t any_kind(struct sim *sim)
{
	return pick(sim, 2) ? LT_KIND_FD : LT_KIND_SOCKET;
}

static void enter(struct sim *sim, struct worker *worker)
{
	*worker = (struct worker){ .call = 1 + pick(sim, CALLS - 1),
				   .fd = pick(sim, IDS),
				   .other = pick(sim, IDS) };
	/* Ranges are rare, and mostly small. */
	if (worker->call == CALL_CLOSE_RANGE && pick(sim, 4))
		worker->call = CALL_OPEN;
	if (pick(sim, 8))
		worker->other %= 3;
	if (worker->call == CALL_CLOSE)
		emit_release(sim, LT_EVENT_RELEASE, 0, worker->fd, 0);
	if (worker->call == CALL_DUP_OVER)
		emit_release(sim, LT_EVENT_RELEASE, REALLOC, worker->fd, 0);
	if (worker->call == CALL_CLOSE_RANGE)
		emit_release(sim, LT_EVENT_RELEASE, RANGE, worker->fd, 1 + worker->other);
}

static void perform(struct sim *sim, struct worker *worker)
{
	struct slot *slot = &sim->table[worker->fd];

	worker->done = true;
	worker->stack_id = OF_FD(sim->stacks++ % 40);
	switch (worker->call) {
	case CALL_OPEN:
		worker->fd = 0;
		while (worker->fd < IDS && sim->table[worker->fd].kind)
			worker->fd++;
		worker->failed = worker->fd == IDS;
		if (worker->failed)
			return;
		worker->kind = any_kind(sim);
		sim->table[worker->fd] = (struct slot){ worker->kind, worker->stack_id };
		return;
	case CALL_CLOSE:
		worker->failed = !slot->kind;
		slot->kind = 0;
		return;
	case CALL_DUP_OVER:
		worker->kind = sim->table[worker->other].kind;
		worker->failed = !worker->kind;
		if (!worker->failed)
			*slot = (struct slot){ worker->kind, worker->stack_id };
		return;
	default:
		worker->failed = !pick(sim, 4);
		for (uint32_t i = 0; i <= worker->other && worker->fd + i < IDS && !worker->failed;
		     i++)
			slot[i].kind = 0;
	}
}

static void leave(struct sim *sim, struct worker *worker)
{
	static const uint8_t flags[CALLS] = {
		[CALL_DUP_OVER] = REALLOC, [CALL_CLOSE_RANGE] = RANGE
	};
	uint8_t flag = flags[worker->call];
	struct lt_event event = event_of(LT_EVENT_ACQUIRE, worker->kind, flag);

	event.acquire = (struct lt_event_acquire){ worker->fd, 1, worker->stack_id };
	if (worker->failed && worker->call != CALL_OPEN)
		emit_release(sim, LT_EVENT_RESTORE, flag, worker->fd, 1 + worker->other);
	else if (!worker->failed && worker->kind)
		emit(sim, &event);
	worker->call = CALL_NONE;
}

static void work(struct sim *sim, struct worker *worker)
{
	do {
		if (!worker->call)
			enter(sim, worker);
		else if (!worker->done)
			perform(sim, worker);
		else
			leave(sim, worker);
	} while (sim->atomic && worker->call);
}

static void look(struct sim *sim)
{
	sim->from_ns = now_ns;
	sim->low = 0;
	sim->count = 0;
	for (uint32_t fd = 0; fd < IDS; fd++)
		if (sim->table[fd].kind)
			sim->items[sim->count++] =
				(struct lt_listed){ .id = fd, .kind = sim->table[fd].kind };
}

/* The next part of the census, which may be empty.  False: that was the last one. */
static bool tell_part(struct sim *sim)
{
	uint64_t high = pick(sim, PARTS) ? sim->low + pick(sim, IDS) : UINT64_MAX;
	uint32_t first = 0, end;

	while (first < sim->count && sim->items[first].id < sim->low)
		first++;
	for (end = first; end < sim->count && sim->items[end].id <= high;)
		end++;
	census_part(sim->model, FDS, sim->from_ns, sim->low, high, sim->items + first, end - first);
	sim->low = high + 1;
	return high != UINT64_MAX;
}

/* All calls return, all events come, and time goes by. */
static void settle(struct sim *sim)
{
	for (uint32_t i = 0; i < WORKERS; i++)
		while (sim->workers[i].call)
			work(sim, &sim->workers[i]);
	while (sim->first < sim->end)
		deliver(sim);
	now_ns += 20 * MS;
}

static void census(struct sim *sim)
{
	look(sim);
	while (tell_part(sim))
		;
	now_ns += MS;
}

struct comparison {
	const struct sim *sim;
	bool sites;
	uint32_t count;
};

static void compare(void *context, const struct lt_handle *handle)
{
	struct comparison *comparison = context;
	const struct slot *slot = &comparison->sim->table[handle->id];

	assert_true(handle->id < IDS);
	assert_int_equal(slot->kind, handle->kind);
	if (comparison->sites)
		assert_int_equal(lt_model_site(comparison->sim->model, handle->site)->stack_id,
				 slot->stack_id);
	comparison->count++;
}

static void expect_table(const struct sim *sim, bool sites)
{
	struct comparison comparison = { sim, sites, 0 };
	uint32_t count = 0;

	for (uint32_t fd = 0; fd < IDS; fd++)
		count += sim->table[fd].kind != 0;
	lt_model_handles(sim->model, compare, &comparison);
	assert_int_equal(comparison.count, count);
}

static void step(struct sim *sim, bool *telling)
{
	struct worker *worker = &sim->workers[pick(sim, sim->atomic ? 1 : WORKERS)];

	now_ns += pick(sim, 50) ? pick(sim, (uint32_t)MS) : pick(sim, 20 * (uint32_t)MS);
	work(sim, worker);
	if (pick(sim, 1000) < sim->unseen_of_1000)
		sim->table[pick(sim, IDS)] = (struct slot){ pick(sim, 2) ? any_kind(sim) : 0, 99 };
	for (uint32_t i = pick(sim, 5); i && sim->first < sim->end; i--)
		if (pick(sim, 2))
			deliver(sim);
	if (!pick(sim, 40)) {
		look(sim); /* and the one before may never be told to its end */
		*telling = true;
	}
	if (*telling && pick(sim, 2))
		*telling = tell_part(sim);
}

static struct sim *new_sim(uint64_t seed)
{
	struct sim *sim = calloc(1, sizeof(*sim));

	assert_non_null(sim);
	now_ns = START_NS;
	assert_int_equal(lt_model_new(START_NS, &sim->model), 0);
	sim->random = seed;
	for (uint32_t fd = 0; fd < IDS; fd++) /* from before */
		sim->table[fd].kind = pick(sim, 2) ? any_kind(sim) : 0;
	return sim;
}

static void free_sim(struct sim *sim)
{
	lt_model_free(sim->model);
	free(sim);
}

/* Whatever was lost, crossed or late: two quiet censuses set it right. */
static void test_everything_is_mended(void **state)
{
	uint64_t corrections = 0;

	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct sim *sim = new_sim(seed);
		const struct lt_model_listing *listing = lt_model_listing(sim->model, FDS);
		bool telling = false;

		sim->lost_of_1000 = pick(sim, 3) * 30;
		sim->unseen_of_1000 = pick(sim, 3) * 30;
		for (int round = 0; round < 4; round++) {
			for (int i = 0; i < 150; i++) {
				step(sim, &telling);
				check(sim->model);
			}
			settle(sim);
			census(sim);
			check(sim->model);
			census(sim);
			telling = false;
			check(sim->model);
			expect_table(sim, false);
			assert_int_equal(listing->unknown, 0);
			assert_int_equal(listing->vanished, 0);
			corrections = listing->came + listing->went;
			census(sim); /* and nothing more */
			expect_table(sim, false);
			assert_int_equal(listing->listed, listing->tracked);
			assert_int_equal(listing->came + listing->went, corrections);
		}
		free_sim(sim);
	}
	assert_true(corrections > 0);
}

/* Late events alone mend what looked wrong: no census may. */
static void test_late_events_are_no_difference(void **state)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct sim *sim = new_sim(seed);
		const struct lt_model_listing *listing = lt_model_listing(sim->model, FDS);
		uint64_t doubts = 0;

		sim->atomic = true;
		census(sim);
		for (uint32_t fd = 0; fd < IDS; fd++)
			sim->table[fd].stack_id = LT_STACK_FROM_BEFORE;
		now_ns += 20 * MS;
		for (int round = 0; round < 20; round++) {
			size_t late = sim->end;

			for (uint32_t i = pick(sim, 40); i; i--) {
				now_ns += pick(sim, 2 * (uint32_t)MS);
				work(sim, sim->workers);
			}
			/* Those of before the last census come first, the others may come later. */
			while (sim->first < late || (sim->first < sim->end && pick(sim, 10)))
				deliver(sim);
			now_ns += pick(sim, 2) * 20 * MS;
			census(sim);
			check(sim->model);
			doubts += listing->unknown + listing->vanished;
		}
		settle(sim);
		check(sim->model);
		expect_table(sim, true);
		assert_int_equal(listing->came, 0);
		assert_int_equal(listing->went, 0);
		assert_true(doubts > 0);
		free_sim(sim);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_is_mended),
		cmocka_unit_test(test_late_events_are_no_difference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
