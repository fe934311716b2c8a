// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any bytes as a pclntab; as funcdata; as changes (pairs of offset, 2 bytes, and value) to a small
 * valid one, whose form the first byte says; as changes to its funcdata; as its runs.  What is told
 * of an opened table lies inside of it.
 */
#include <stdlib.h>

#include "../unit/elf/gomake.h"
#include "elf/gopclntab.h"
#include "leaktrace/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct range {
	const struct lt_gopclntab *table;
	uint64_t at, end;
};

static void check_text(const struct lt_gopclntab *table, const char *text)
{
	const char *bytes = (const char *)table->source.bytes;

	if (*text && (text < bytes || text + strlen(text) >= bytes + table->source.size))
		abort();
}

static int check_run(void *context, uint64_t start, uint64_t end, int32_t delta)
{
	struct range *range = context;

	if (start != range->at || end <= start || end > range->end)
		abort();
	range->at = end;
	return 0;
}

static void check_function(const struct lt_gopclntab *table, const struct lt_go_function *function)
{
	struct range range = { table, function->entry, function->end };
	int32_t delta;

	if (function->entry > function->end)
		abort();
	check_text(table, function->name);
	lt_gopclntab_each_sp_delta(table, function, check_run, &range);
	if (lt_gopclntab_sp_delta(table, function, function->entry, &delta) !=
	    (range.at > function->entry))
		abort();
}

static void check_frames(const struct lt_gopclntab *table, uint64_t pc)
{
	struct lt_source_frame frames[LT_MAX_INLINE_DEPTH];
	struct lt_go_function function;
	size_t count;

	if (lt_gopclntab_find(table, pc, &function) !=
	    lt_gopclntab_frames(table, pc, frames, &count))
		abort();
	if (!lt_gopclntab_find(table, pc, &function))
		return;
	if (pc < function.entry || pc >= function.end || count > LT_MAX_INLINE_DEPTH)
		abort();
	for (size_t i = 0; i < count; i++) {
		check_text(table, frames[i].function);
		check_text(table, frames[i].file);
	}
}

/* In memory of its own size: what reads behind it is seen. */
static void check(const struct go_bytes *bytes, const struct go_bytes *funcdata, unsigned int minor,
		  bool valid)
{
	uint8_t *table_copy = malloc(bytes->len + 1), *funcdata_copy = malloc(funcdata->len + 1);
	const struct lt_gopclntab_source source = {
		.bytes = table_copy + 1, /* not aligned */
		.size = bytes->len,
		.text = GO_TEXT,
		.funcdata = funcdata_copy + 1,
		.funcdata_size = funcdata->len,
		.funcdata_address = GO_FUNCDATA,
		.minor = minor,
	};
	struct lt_go_function function;
	struct lt_gopclntab table;
	int err;

	memcpy(table_copy + 1, bytes->data, bytes->len);
	memcpy(funcdata_copy + 1, funcdata->data, funcdata->len);
	err = lt_gopclntab_open(&table, &source);
	if (valid && err)
		abort();
	for (uint64_t i = 0; !err && i < table.function_count; i++)
		if (lt_gopclntab_at(&table, i, &function)) {
			check_function(&table, &function);
			check_frames(&table, function.entry);
		} else if (valid) {
			abort();
		}
	for (uint64_t pc = GO_TEXT - 1; !err && pc < GO_TEXT + 0x100; pc += 13)
		check_frames(&table, pc);
	free(table_copy);
	free(funcdata_copy);
}

static void change(struct go_bytes *bytes, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i + 3 <= size; i += 3)
		bytes->data[(data[i] | data[i + 1] << 8) % bytes->len] = data[i + 2];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned int formats[] = { 15, 16, 18, 20 };
	static struct go_table table;
	static struct go_bytes raw;
	uint8_t kind = size ? data[0] : 0;
	unsigned int minor = formats[kind % 4] + (kind >> 2 & 1);
	size_t left;

	if (size > sizeof(raw.data))
		return 0;
	raw.len = 0;
	go_put(&raw, data, size);
	go_make_table(&table, formats[kind % 4]);
	check(&raw, &table.funcdata, minor, false);
	check(&table.bytes, &raw, minor, true);
	if (size)
		change(&table.bytes, data + 1, size - 1);
	check(&table.bytes, &table.funcdata, minor, size < 4);
	go_make_table(&table, formats[kind % 4]);
	if (size)
		change(&table.funcdata, data + 1, size - 1);
	check(&table.bytes, &table.funcdata, minor, true);
	/* Runs of another kind. */
	left = table.bytes.len - table.pcs;
	memcpy(table.bytes.data + table.pcs, data, size < left ? size : left);
	check(&table.bytes, &table.funcdata, minor, false);
	return 0;
}
