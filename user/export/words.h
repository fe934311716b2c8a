/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What people call the resources of each kind, and what the kernel lists. */
#ifndef LT_EXPORT_WORDS_H
#define LT_EXPORT_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "leaktrace/events.h"

struct lt_word {
	const char *kind; /* its name: base/kind.h */
	const char *one, *many;
	const char *mass; /* of kinds in bytes: what so many bytes are */
	const char *acquired, *released;
	const char *alive;   /* "all 12 sockets ... are still open" */
	const char *survive; /* "98 % of sockets stay open" */
	const char *note;    /* what every site of the kind must be read with; "" nothing */
};

/* Never NULL: a kind without words has those of any resource. */
const struct lt_word *lt_word_of(const char *kind);
const char *lt_word_count(const struct lt_word *word, uint64_t count); /* one or many */
bool lt_word_in_bytes(const char *unit);

/* "descriptors", "threads": keys in JSON and labels in Prometheus, too; by enum lt_listing. */
extern const char *const lt_listing_names[LT_LISTINGS];

#endif
