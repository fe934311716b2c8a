/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which ids were ever acquired since the attach, approximately: a bitmap of hashes.
 *
 * It tells two kinds of unknown releases apart.  A block from before the attach has an address that
 * was never handed out since.  An address that was, and is not live, is released a second time:
 * glibc does so when a thread ends (tcache_thread_shutdown passes what its cache holds to free()
 * again). Only the former says that memory from before the attach is turning over.
 *
 * A collision takes an old block for a repeated one; past an eighth of the bits set the answer is
 * always no, so that evidence of turnover is rather too strong than too weak.
 */
#ifndef LT_MODEL_SEEN_H
#define LT_MODEL_SEEN_H

#include <stdbool.h>
#include <stdint.h>

struct lt_seen;

int lt_seen_new(struct lt_seen **seen);
void lt_seen_free(struct lt_seen *seen);
void lt_seen_add(struct lt_seen *seen, uint8_t kind, uint64_t id);
bool lt_seen_has(const struct lt_seen *seen, uint8_t kind, uint64_t id);

#endif
