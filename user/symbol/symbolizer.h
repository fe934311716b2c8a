/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names in a thread of their own: a lookup may take as long as libdw needs to index a file, and the
 * reader of the rings cannot wait for that.  Modules and addresses are queued and worked off in
 * order; answers are fetched.  No call waits for a lookup, but the last.  All are for one thread.
 */
#ifndef LT_SYMBOL_SYMBOLIZER_H
#define LT_SYMBOL_SYMBOLIZER_H

#include <stddef.h>

#include "stream/event.h"
#include "symbol/resolver.h"

/* Addresses that wait for an answer: sites share most of their frames, a few are their own. */
#define LT_MAX_LOOKUPS (4 * LT_MAX_SITES)

struct lt_symbolizer;

/* What the thread does; as in symbol/resolver.h.  Tests have their own. */
struct lt_lookups {
	int (*add_module)(void *context, const struct lt_event_module *module, int fd);
	int (*lookup)(void *context, uint64_t pc, struct lt_event_symbol *symbol);
	void (*free)(void *context);
	void *context;
};

/* The resolver is taken over if this succeeds.  0 or -errno. */
int lt_symbolizer_new(struct lt_symbolizer **symbolizer, struct lt_resolver *resolver);
int lt_symbolizer_new_with(struct lt_symbolizer **symbolizer, const struct lt_lookups *lookups);
/* Waits for the lookup in hand; what is queued behind it is dropped. */
void lt_symbolizer_free(struct lt_symbolizer *symbolizer);

/*
 * For the addresses asked from now on, and for those asked before and not yet fetched: their
 * answers would be of what was mapped there before.  fd is taken over in any case; -1: no file.
 */
int lt_symbolizer_add_module(struct lt_symbolizer *symbolizer, const struct lt_event_module *module,
			     int fd);
/* Asked again before it is answered, nothing changes.  -ENOSPC past LT_MAX_LOOKUPS. */
int lt_symbolizer_ask(struct lt_symbolizer *symbolizer, uint64_t pc);
/* Addresses asked and not yet fetched. */
size_t lt_symbolizer_pending(const struct lt_symbolizer *symbolizer);
/* The address in hand.  False: none. */
bool lt_symbolizer_current(struct lt_symbolizer *symbolizer, uint64_t *pc);

/* Readable when there are answers to fetch.  Owned by the symbolizer. */
int lt_symbolizer_fd(const struct lt_symbolizer *symbolizer);
/*
 * Hands out the answers so far.  A file that is strange is known less, that is no failure; -ENOMEM
 * if the thread ran out of memory, or the first value of the callback that is not 0.
 */
int lt_symbolizer_fetch(struct lt_symbolizer *symbolizer,
			int (*answer)(void *context, const struct lt_event_symbol *symbol),
			void *context);

#endif
