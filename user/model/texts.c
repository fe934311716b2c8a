// SPDX-License-Identifier: GPL-2.0-or-later
#include "model/texts.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Of all that is held; a process that names a million files at full length gets no further. */
#define TEXTS_BYTES (UINT64_C(64) << 20)

struct text {
	UT_hash_handle hh;
	size_t holders;
	char bytes[];
};

struct lt_texts {
	struct text *table;
	size_t memory;
};

int lt_texts_new(struct lt_texts **texts)
{
	*texts = calloc(1, sizeof(**texts));
	return *texts ? 0 : -ENOMEM;
}

void lt_texts_free(struct lt_texts *texts)
{
	struct text *text, *next;

	if (!texts)
		return;
	HASH_ITER(hh, texts->table, text, next) {
		HASH_DEL(texts->table, text);
		free(text);
	}
	free(texts);
}

/* Without its handle, which is part of HASH_OVERHEAD. */
static size_t text_size(const struct text *text)
{
	return sizeof(*text) - sizeof(text->hh) + text->hh.keylen + 1;
}

static struct text *make(struct lt_texts *texts, const char *string, size_t len)
{
	struct text *made = texts->memory < TEXTS_BYTES ? calloc(1, sizeof(*made) + len + 1) : NULL;

	if (!made)
		return NULL;
	memcpy(made->bytes, string, len);
	HASH_ADD_KEYPTR(hh, texts->table, made->bytes, len, made);
	if (!made->hh.tbl) { /* uthash found no memory */
		free(made);
		return NULL;
	}
	texts->memory += text_size(made);
	return made;
}

const char *lt_texts_hold(struct lt_texts *texts, const char *string)
{
	size_t len = strnlen(string, LT_TEXT_MAX);
	struct text *text;

	if (!len)
		return "";
	HASH_FIND(hh, texts->table, string, len, text);
	if (!text)
		text = make(texts, string, len);
	if (!text)
		return NULL;
	text->holders++;
	return text->bytes;
}

void lt_texts_drop(struct lt_texts *texts, const char *held)
{
	struct text *text;

	if (!*held)
		return;
	text = (struct text *)(held - offsetof(struct text, bytes));
	if (--text->holders)
		return;
	texts->memory -= text_size(text);
	HASH_DEL(texts->table, text);
	free(text);
}

size_t lt_texts_memory(const struct lt_texts *texts)
{
	return sizeof(*texts) + texts->memory + HASH_OVERHEAD(hh, texts->table);
}
