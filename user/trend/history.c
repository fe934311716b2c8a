/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "trend/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * The sample of second s stands for (s - 1, s], so that point i of level L, which ends at second
 * (i + 1)·4^L, is complete with the sample of that second.  It lies at ring index i modulo 48.
 */
struct lt_history {
	uint32_t now_s;
	uint32_t written_s;                   /* the rings' now: 0 as long as nothing was held */
	uint32_t still_s;                     /* the live size was another one before */
	struct lt_sample last;                /* zeros before the first sample */
	uint64_t open_min[LT_HISTORY_LEVELS]; /* of the point not yet complete */
	struct lt_point *rings[LT_HISTORY_LEVELS]; /* each made when its first point completes */
};

int lt_history_new(struct lt_history **history)
{
	struct lt_history *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	for (unsigned int level = 0; level < LT_HISTORY_LEVELS; level++)
		made->open_min[level] = UINT64_MAX;
	*history = made;
	return 0;
}

void lt_history_free(struct lt_history *history)
{
	if (!history)
		return;
	for (unsigned int level = 0; level < LT_HISTORY_LEVELS; level++)
		free(history->rings[level]);
	free(history);
}

static bool holds_something(const struct lt_sample *sample)
{
	return sample->live_size || sample->alive_above[0] || sample->released_above[0];
}

static int make_rings(struct lt_history *history, uint32_t now_s)
{
	for (unsigned int level = 0; level < LT_HISTORY_LEVELS && now_s >> (2 * level); level++) {
		struct lt_point **ring = &history->rings[level];

		if (!*ring)
			*ring = calloc(LT_HISTORY_POINTS, sizeof(**ring));
		if (!*ring)
			return -ENOMEM;
	}
	return 0;
}

/* The seconds after from_s up to to_s all have this sample. */
static void fill(struct lt_history *history, unsigned int level, uint32_t from_s, uint32_t to_s,
		 const struct lt_sample *sample)
{
	unsigned int shift = 2 * level;
	uint64_t *open_min = &history->open_min[level];

	/* Of a long gap, only what the ring can hold is worth writing. */
	if ((to_s >> shift) - (from_s >> shift) > LT_HISTORY_POINTS) {
		from_s = ((to_s >> shift) - LT_HISTORY_POINTS) << shift;
		*open_min = UINT64_MAX;
	}
	while (from_s < to_s) {
		uint32_t index = from_s >> shift;
		uint64_t end_s = ((uint64_t)index + 1) << shift;

		if (sample->live_size < *open_min)
			*open_min = sample->live_size;
		if (end_s > to_s)
			break;
		history->rings[level][index % LT_HISTORY_POINTS] = (struct lt_point){
			.live_size_min = *open_min,
			.alive_above = sample->alive_above[level],
			.released_above = sample->released_above[level],
			.acquired_count = sample->acquired_count,
			.released_count = sample->released_count,
		};
		*open_min = UINT64_MAX;
		from_s = (uint32_t)end_s;
	}
}

int lt_history_sample(struct lt_history *history, uint32_t now_s, const struct lt_sample *sample)
{
	bool held = history->rings[0] || holds_something(&history->last) || holds_something(sample);

	/* What is not written here, the first sample that is fills in like any other gap. */
	if (held && now_s > history->now_s) {
		int err = make_rings(history, now_s);

		if (err)
			return err;
		for (unsigned int level = 0; level < LT_HISTORY_LEVELS; level++) {
			fill(history, level, history->written_s, now_s - 1, &history->last);
			fill(history, level, now_s - 1, now_s, sample);
		}
		history->written_s = now_s;
	}
	if (sample->live_size != history->last.live_size)
		history->still_s = now_s;
	if (now_s > history->now_s)
		history->now_s = now_s;
	history->last = *sample;
	return 0;
}

size_t lt_history_points(const struct lt_history *history, unsigned int level,
			 struct lt_point points[LT_HISTORY_POINTS])
{
	uint32_t complete = level < LT_HISTORY_LEVELS ? history->now_s >> (2 * level) : 0;
	uint32_t count = complete < LT_HISTORY_POINTS ? complete : LT_HISTORY_POINTS;

	for (uint32_t i = 0; i < count; i++)
		points[i] =
			history->rings[0]
				? history->rings[level][(complete - count + i) % LT_HISTORY_POINTS]
				: (struct lt_point){
					  .acquired_count = history->last.acquired_count,
					  .released_count = history->last.released_count,
				  };
	return count;
}

const struct lt_sample *lt_history_last(const struct lt_history *history)
{
	return &history->last;
}

uint32_t lt_history_still_since(const struct lt_history *history)
{
	return history->still_s;
}

size_t lt_history_memory(const struct lt_history *history)
{
	size_t memory = sizeof(*history);

	for (unsigned int level = 0; level < LT_HISTORY_LEVELS; level++)
		if (history->rings[level])
			memory += LT_HISTORY_POINTS * sizeof(struct lt_point);
	return memory;
}
