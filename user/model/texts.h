/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Strings that many share, each kept once and as long as somebody holds it.  Not thread-safe.
 */
#ifndef LT_MODEL_TEXTS_H
#define LT_MODEL_TEXTS_H

#include <stddef.h>

/* A path (PATH_MAX, 4096, with its end) and some words; what is longer is cut. */
#define LT_TEXT_MAX 4160

struct lt_texts;

int lt_texts_new(struct lt_texts **texts);
void lt_texts_free(struct lt_texts *texts);

/* The same pointer for the same string; NULL: no memory, or all would be too much. */
const char *lt_texts_hold(struct lt_texts *texts, const char *string);
/* Of what lt_texts_hold() gave, or "". */
void lt_texts_drop(struct lt_texts *texts, const char *held);
size_t lt_texts_memory(const struct lt_texts *texts);

#endif
