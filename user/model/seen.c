// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/seen.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"

#define SEEN_BITS (UINT64_C(1) << 25) /* 4 MiB; power of two */
#define WORD_BITS 64

struct lt_seen {
	uint64_t set; /* bits */
	uint64_t words[SEEN_BITS / WORD_BITS];
};

int lt_seen_new(struct lt_seen **seen)
{
	*seen = calloc(1, sizeof(**seen));
	return *seen ? 0 : -ENOMEM;
}

void lt_seen_free(struct lt_seen *seen)
{
	free(seen);
}

static uint64_t bit_of(uint8_t kind, uint64_t id)
{
	return lt_mix64(id ^ ((uint64_t)kind << 56)) % SEEN_BITS;
}

void lt_seen_add(struct lt_seen *seen, uint8_t kind, uint64_t id)
{
	uint64_t bit = bit_of(kind, id), mask = UINT64_C(1) << bit % WORD_BITS;
	uint64_t *word = &seen->words[bit / WORD_BITS];

	if (*word & mask)
		return;
	*word |= mask;
	seen->set++;
}

bool lt_seen_has(const struct lt_seen *seen, uint8_t kind, uint64_t id)
{
	uint64_t bit = bit_of(kind, id);

	return seen->set <= SEEN_BITS / 8 && (seen->words[bit / WORD_BITS] >> bit % WORD_BITS & 1);
}
