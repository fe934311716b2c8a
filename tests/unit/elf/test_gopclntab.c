// SPDX-License-Identifier: GPL-2.0-or-later
#include "elf/gopclntab.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "leaktrace/limits.h"
#include "unit/elf/gomake.h"

#define FUNCTION(index) (GO_TEXT + (index)*GO_FUNCTION_SIZE)

static const unsigned int formats[] = { 15, 16, 18, 20 };
#define FORMATS 4

static struct lt_gopclntab_source source_of(const struct go_table *made)
{
	return (struct lt_gopclntab_source){
		.bytes = made->bytes.data,
		.size = made->bytes.len,
		.text = GO_TEXT,
		.funcdata = made->funcdata.data,
		.funcdata_size = made->funcdata.len,
		.funcdata_address = GO_FUNCDATA,
		.minor = made->format == 16 ? 17 : made->format,
	};
}

static void open_table(struct go_table *made, unsigned int format, struct lt_gopclntab *table)
{
	struct lt_gopclntab_source source;

	go_make_table(made, format);
	source = source_of(made);
	assert_int_equal(lt_gopclntab_open(table, &source), 0);
	assert_int_equal(table->format, format);
}

static void test_functions(void **state)
{
	struct lt_go_function function;
	struct lt_gopclntab table;
	struct go_table made;

	for (int i = 0; i < FORMATS; i++) {
		open_table(&made, formats[i], &table);
		assert_true(lt_gopclntab_find(&table, FUNCTION(GO_SWITCH) + 63, &function));
		assert_string_equal(function.name, "runtime.systemstack");
		assert_int_equal(function.entry, FUNCTION(GO_SWITCH));
		assert_int_equal(function.end, FUNCTION(GO_SWITCH + 1));
		assert_int_equal(function.flags, LT_GO_FLAG_SP_WRITE | LT_GO_FLAG_ASM);
		assert_false(function.wrapper);
		assert_true(lt_gopclntab_named(&table, "runtime.goexit", &function));
		assert_int_equal(function.entry, FUNCTION(GO_EXIT));
		assert_int_equal(function.flags, LT_GO_FLAG_TOP_FRAME | LT_GO_FLAG_ASM);
		assert_true(lt_gopclntab_at(&table, GO_WRAPPER, &function));
		assert_string_equal(function.name, "main.T.M");
		assert_true(function.wrapper);
		assert_int_equal(table.wrapper_id, GO_WRAPPER_ID);
		assert_false(lt_gopclntab_at(&table, GO_FUNCTIONS, &function));
		assert_false(lt_gopclntab_at(&table, UINT64_MAX, &function));
		assert_false(lt_gopclntab_named(&table, "runtime.goexi", &function));
		assert_false(lt_gopclntab_find(&table, GO_TEXT - 1, &function));
		assert_false(lt_gopclntab_find(&table, FUNCTION(GO_FUNCTIONS), &function));
		assert_string_equal(function.name, "main.T.M"); /* untouched */
	}
}

/* 1.16 has the magic of 1.17, but no flags: they follow from what the function is. */
static void test_old_flags(void **state)
{
	struct lt_gopclntab_source source;
	struct lt_go_function function;
	struct lt_gopclntab table;
	struct go_table made;

	go_make_table(&made, 16);
	for (int i = 0; i < GO_FUNCTIONS; i++)
		made.bytes.data[made.function[i] + 8 + 32 + 1] = 0;
	source = source_of(&made);
	assert_int_equal(lt_gopclntab_open(&table, &source), 0);
	assert_true(lt_gopclntab_at(&table, GO_EXIT, &function));
	assert_int_equal(function.flags, 0);
	source.minor = 16;
	assert_int_equal(lt_gopclntab_open(&table, &source), 0);
	assert_true(lt_gopclntab_at(&table, GO_EXIT, &function));
	assert_int_equal(function.flags, LT_GO_FLAG_TOP_FRAME | LT_GO_FLAG_ASM);
}

struct runs {
	struct {
		uint64_t start, end;
		int32_t delta;
	} runs[8];
	int count, stop_at;
};

static int note_run(void *context, uint64_t start, uint64_t end, int32_t delta)
{
	struct runs *runs = context;

	runs->runs[runs->count].start = start;
	runs->runs[runs->count].end = end;
	runs->runs[runs->count].delta = delta;
	return ++runs->count == runs->stop_at ? 77 : 0;
}

static void test_sp_deltas(void **state)
{
	struct lt_go_function function;
	struct lt_gopclntab table;
	struct go_table made;

	for (int i = 0; i < FORMATS; i++) {
		struct runs runs = { .count = 0 };
		int32_t delta = 77;

		open_table(&made, formats[i], &table);
		assert_true(lt_gopclntab_at(&table, GO_MAIN, &function));
		assert_int_equal(lt_gopclntab_each_sp_delta(&table, &function, note_run, &runs), 0);
		assert_int_equal(runs.count, 3);
		assert_int_equal(runs.runs[1].start, GO_TEXT + 4);
		assert_int_equal(runs.runs[1].end, GO_TEXT + 0x3c);
		assert_int_equal(runs.runs[1].delta, GO_FRAME);
		assert_int_equal(runs.runs[2].end, function.end);
		for (uint64_t pc = function.entry; pc < function.end; pc++) {
			assert_true(lt_gopclntab_sp_delta(&table, &function, pc, &delta));
			assert_int_equal(delta,
					 pc >= GO_TEXT + 4 && pc < GO_TEXT + 0x3c ? GO_FRAME : 0);
		}
		delta = 77;
		assert_false(lt_gopclntab_sp_delta(&table, &function, function.entry - 1, &delta));
		assert_false(lt_gopclntab_sp_delta(&table, &function, function.end, &delta));
		assert_int_equal(delta, 77);
		runs = (struct runs){ .stop_at = 2 };
		assert_int_equal(lt_gopclntab_each_sp_delta(&table, &function, note_run, &runs),
				 77);
		assert_int_equal(runs.count, 2);
	}
}

static void assert_frame(const struct lt_source_frame *frame, const char *name, uint32_t line,
			 bool inlined)
{
	assert_string_equal(frame->function, name);
	assert_string_equal(frame->file, "/src/a.go");
	assert_int_equal(frame->line, line);
	assert_int_equal(frame->inlined, inlined);
}

static void test_frames(void **state)
{
	struct lt_source_frame frames[LT_MAX_INLINE_DEPTH];
	struct lt_gopclntab table;
	struct go_table made;
	size_t count;

	for (int i = 0; i < FORMATS; i++) {
		open_table(&made, formats[i], &table);
		assert_true(lt_gopclntab_frames(&table, GO_TEXT + 0x15, frames, &count));
		assert_int_equal(count, 3);
		assert_frame(&frames[0], "main.leaf", 300, true);
		assert_frame(&frames[1], "main.inner[go.shape.int]", 20, true);
		assert_frame(&frames[2], "main.main", 10, false);
		assert_true(lt_gopclntab_frames(&table, GO_TEXT + 0x13, frames, &count));
		assert_int_equal(count, 2);
		assert_frame(&frames[0], "main.inner[go.shape.int]", 20, true);
		assert_frame(&frames[1], "main.main", 10, false);
		assert_true(lt_gopclntab_frames(&table, GO_TEXT + 0x20, frames, &count));
		assert_int_equal(count, 1);
		assert_frame(&frames[0], "main.main", 11, false);
		assert_true(lt_gopclntab_frames(&table, FUNCTION(GO_WRAPPER), frames, &count));
		assert_int_equal(count, 0);
		count = 77;
		assert_false(lt_gopclntab_frames(&table, FUNCTION(GO_FUNCTIONS), frames, &count));
		assert_int_equal(count, 77);
		table.source.funcdata = NULL;
		assert_true(lt_gopclntab_frames(&table, GO_TEXT + 0x15, frames, &count));
		assert_int_equal(count, 1);
		assert_frame(&frames[0], "main.main", 300, false);
	}
}

/* An inline tree whose calls are each other's callers ends at the bound. */
static void test_endless_inlining(void **state)
{
	struct lt_source_frame frames[LT_MAX_INLINE_DEPTH];
	struct lt_gopclntab table;
	struct go_table made;
	size_t count;

	open_table(&made, 20, &table);
	go_set(&made.funcdata, 16 + 8, 0x14, 4);
	assert_true(lt_gopclntab_frames(&table, GO_TEXT + 0x15, frames, &count));
	assert_int_equal(count, LT_MAX_INLINE_DEPTH);
	/* One that leads out of the function, or has its names elsewhere. */
	go_set(&made.funcdata, 16 + 8, UINT32_MAX, 4);
	go_set(&made.funcdata, 16 + 4, UINT32_MAX, 4);
	assert_true(lt_gopclntab_frames(&table, GO_TEXT + 0x15, frames, &count));
	assert_int_equal(count, 2);
	assert_string_equal(frames[0].function, "");
	assert_string_equal(frames[1].file, "");
	assert_int_equal(frames[1].line, 0);
	/* A tree that ends too early. */
	table.source.funcdata_size = 31;
	assert_true(lt_gopclntab_frames(&table, GO_TEXT + 0x15, frames, &count));
	assert_int_equal(count, 1);
}

static void try_all(const struct lt_gopclntab *table)
{
	struct lt_source_frame frames[LT_MAX_INLINE_DEPTH];
	struct lt_go_function function;
	struct runs runs;
	int32_t delta;
	size_t count;

	lt_gopclntab_named(table, "none", &function);
	for (uint64_t pc = GO_TEXT - 1; pc <= FUNCTION(GO_FUNCTIONS); pc += 3) {
		if (lt_gopclntab_frames(table, pc, frames, &count))
			assert_true(count <= LT_MAX_INLINE_DEPTH);
		if (!lt_gopclntab_find(table, pc, &function))
			continue;
		assert_true(function.entry <= pc && pc < function.end);
		lt_gopclntab_sp_delta(table, &function, pc, &delta);
		runs = (struct runs){ .stop_at = 8 };
		lt_gopclntab_each_sp_delta(table, &function, note_run, &runs);
	}
}

/* Each prefix, in memory of its own size, so that what reads behind it is seen. */
static void test_cut_short(void **state)
{
	struct lt_gopclntab_source source;
	struct lt_gopclntab table;
	struct go_table made;

	for (int i = 0; i < FORMATS; i++) {
		int opened = 0;

		go_make_table(&made, formats[i]);
		for (size_t len = 0; len < made.bytes.len; len++) {
			uint8_t *copy = malloc(len ? len : 1);

			memcpy(copy, made.bytes.data, len);
			source = source_of(&made);
			source.bytes = copy;
			source.size = len;
			if (!lt_gopclntab_open(&table, &source)) {
				opened++;
				try_all(&table);
			}
			free(copy);
		}
		assert_true(opened > 0);
	}
}

/* Each byte of it, changed. */
static void test_spoilt(void **state)
{
	static const uint8_t values[] = { 0, 0x7f, 0x80, 0xff };
	struct lt_gopclntab_source source;
	struct lt_gopclntab table;
	struct go_table made;

	for (int i = 0; i < FORMATS; i++) {
		go_make_table(&made, formats[i]);
		source = source_of(&made);
		for (size_t at = 0; at < made.bytes.len; at++) {
			uint8_t was = made.bytes.data[at];

			for (size_t k = 0; k < sizeof(values); k++) {
				made.bytes.data[at] = values[k];
				if (!lt_gopclntab_open(&table, &source))
					try_all(&table);
			}
			made.bytes.data[at] = was;
		}
		assert_int_equal(lt_gopclntab_open(&table, &source), 0);
	}
}

static void test_refused(void **state)
{
	struct lt_gopclntab_source source;
	struct lt_gopclntab table = { .format = 77 };
	struct go_table made;

	go_make_table(&made, 20);
	source = source_of(&made);
	made.bytes.data[0] = 0xf2;
	assert_int_equal(lt_gopclntab_open(&table, &source), -EBADMSG);
	made.bytes.data[0] = 0xf1;
	made.bytes.data[7] = 4; /* of a 32-bit program */
	assert_int_equal(lt_gopclntab_open(&table, &source), -EBADMSG);
	made.bytes.data[7] = 8;
	go_set(&made.bytes, 8, UINT64_MAX / 8, 8); /* functions */
	assert_int_equal(lt_gopclntab_open(&table, &source), -EBADMSG);
	go_set(&made.bytes, 8, 0, 8);
	assert_int_equal(lt_gopclntab_open(&table, &source), -EBADMSG);
	assert_int_equal(table.format, 77);
}

/* A run for each byte of a function, more of them than compilers make. */
static void test_endless_runs(void **state)
{
	enum { MOST = 1 << 20 };
	struct lt_go_function function;
	struct lt_gopclntab_source source;
	struct lt_gopclntab table;
	struct go_table made;
	_lt_free_ uint8_t *bytes = NULL;
	uint32_t number;
	int32_t delta;

	open_table(&made, 20, &table);
	source = source_of(&made);
	assert_true(lt_gopclntab_at(&table, GO_FUNCTIONS - 1, &function));
	bytes = malloc(source.size + 2 * (MOST + 1));
	assert_non_null(bytes);
	memcpy(bytes, source.bytes, source.size);
	for (size_t i = 0; i <= MOST; i++)
		memcpy(bytes + source.size + 2 * i, (const uint8_t[]){ 2, 1 }, 2);
	number = (uint32_t)(source.size - table.pcs);
	memcpy(bytes + function.offset + 16, &number, sizeof(number));
	number = (uint32_t)(function.entry - GO_TEXT) + 2 * MOST;
	memcpy(bytes + table.functions + GO_FUNCTIONS * 8, &number, sizeof(number));
	source.bytes = bytes;
	source.size += 2 * (MOST + 1);
	assert_int_equal(lt_gopclntab_open(&table, &source), 0);
	assert_true(lt_gopclntab_at(&table, GO_FUNCTIONS - 1, &function));
	assert_true(lt_gopclntab_sp_delta(&table, &function, function.entry + MOST - 1, &delta));
	assert_int_equal(delta, MOST - 1);
	assert_false(lt_gopclntab_sp_delta(&table, &function, function.entry + MOST, &delta));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_functions),        cmocka_unit_test(test_old_flags),
		cmocka_unit_test(test_sp_deltas),        cmocka_unit_test(test_frames),
		cmocka_unit_test(test_endless_inlining), cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_spoilt),           cmocka_unit_test(test_refused),
		cmocka_unit_test(test_endless_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
