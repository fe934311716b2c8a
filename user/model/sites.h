/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sites of one process generation and the stacks behind them.  Sites have stable addresses and
 * dense indices; a stack may be told before or after the first acquire from it, and serves every
 * kind.  Bounded by LT_MAX_SITES.  Not thread-safe.
 */
#ifndef LT_MODEL_SITES_H
#define LT_MODEL_SITES_H

#include "model/model.h"

struct lt_sites;

int lt_sites_new(struct lt_sites **sites);
void lt_sites_free(struct lt_sites *sites);

/* The site of (kind, stack id), made when new: 0, -ENOSPC at the bound, -ENOMEM. */
int lt_sites_find(struct lt_sites *sites, uint8_t kind, uint64_t stack_id, struct lt_site **site);
/*
 * Stores the frames of a stack: 0 also if known already, -ENOSPC at the bound, -ENOMEM.  Only one
 * that was cut (LT_STACK_PENDING) is replaced, by one that tells more.
 */
int lt_sites_add_stack(struct lt_sites *sites, const struct lt_event_stack *stack);

/* The frames of a stack id, borrowed until the next call; 0: not known. */
uint16_t lt_sites_stack(const struct lt_sites *sites, uint64_t stack_id, const uint64_t **frames);

size_t lt_sites_count(const struct lt_sites *sites);
struct lt_site *lt_sites_at(const struct lt_sites *sites, size_t index); /* NULL out of range */
size_t lt_sites_memory(const struct lt_sites *sites);

#endif
