/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where code of each file was ever mapped, and with it the tags that tell apart what was at the same
 * addresses one after the other (lt_address_plain() in stream/event.h).  A value, without effects.
 */
#ifndef LT_CLI_PLACES_H
#define LT_CLI_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lt_place {
	uint64_t start, end;
	uint64_t bias; /* start - file offset: the same for every part of a file */
	uint64_t device, inode;
	uint64_t version; /* tells a file from one written over it; 0: code made at run time */
	uint64_t tag;
};

struct lt_places {
	struct lt_place *entries;
	size_t count;
};

void lt_places_free(struct lt_places *places);
/*
 * Finds or makes the place of a mapping, and sets its tag: the same file at the same addresses means
 * the same as before.  *told: this needs no MODULE event.  -E2BIG: no room for one more.
 */
int lt_places_choose(struct lt_places *places, struct lt_place *made, bool *told);

#endif
