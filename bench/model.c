/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the model costs per event and per live resource.  Prints one "name value unit" per line. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/hash.h"
#include "model/model.h"

#define PAIRS 5000000
#define LIVE  10000000
#define SITES 200

static double now_s(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int acquire(struct lt_model *model, uint64_t i, uint64_t time_ns)
{
	struct lt_event event = {
		.type = LT_EVENT_ACQUIRE,
		.kind = LT_KIND_HEAP,
		.time_ns = time_ns,
		.acquire = { 0x550000000000 + i * 64, 64, lt_mix64(i % SITES) },
	};

	return lt_model_apply(model, &event);
}

static int release(struct lt_model *model, uint64_t i, uint64_t time_ns)
{
	struct lt_event event = {
		.type = LT_EVENT_RELEASE,
		.kind = LT_KIND_HEAP,
		.time_ns = time_ns,
		.release = { 0x550000000000 + i * 64 },
	};

	return lt_model_apply(model, &event);
}

/* ns per pair, with hot blocks in use at a time, beside what is live already. */
static double pairs(struct lt_model *model, uint64_t base, uint64_t hot)
{
	double start = now_s();

	for (uint64_t i = 0; i < PAIRS; i++) {
		acquire(model, base + i % hot, i * 200);
		release(model, base + (i + 1) % hot, i * 200);
	}
	return (now_s() - start) * 1e9 / PAIRS;
}

int main(void)
{
	struct lt_model *model;
	double start;

	if (lt_model_new(0, &model))
		return EXIT_FAILURE;
	printf("pair_hot_16 %.0f ns\n", pairs(model, 0, 16));
	printf("pair_hot_1000 %.0f ns\n", pairs(model, 0, 1000));
	start = now_s();
	for (uint64_t i = 0; i < LIVE; i++)
		if (acquire(model, i + 10000, 0))
			return EXIT_FAILURE;
	printf("acquire_growing %.0f ns\n", (now_s() - start) * 1e9 / LIVE);
	printf("bytes_per_live %.1f bytes\n", (double)lt_model_memory(model) / LIVE);
	printf("pair_at_10M %.0f ns\n", pairs(model, 0, 1000));
	lt_model_free(model);
	return EXIT_SUCCESS;
}
