// SPDX-License-Identifier: GPL-2.0-or-later
#include "elf/gounwind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "elf/unwind_table.h"

#define WINDOW    65536
#define SAVED_BP  ((uint16_t)-16) /* below the return address: cmd/internal/obj/x86/obj6.go */
#define MAX_DELTA (1 << 30)
#define RULE_NONE LT_RULE(LT_CFA_NONE, 0, 0, 0)

/* Where asmcgocall notes what it left, from RSP on: asm_amd64.s; until 1.21 there was more room below. */
#define NOTE_AT(minor) ((minor) && (minor) < 22 ? 40 : 0)

/* How to go on from a function. */
enum way {
	BY_DELTA,       /* as pcsp says */
	LAID,           /* ... and its first address is laid on stacks as if it had called */
	BY_DELTA_ALONE, /* ... and RBP is that of another stack */
	BY_POINTER,     /* RSP may be on another stack, RBP is not */
	BY_NOTE,        /* ... and where the stack was is noted there */
	BY_SIGNAL,
	BY_CHANCE, /* nothing is known */
	NO_FURTHER,
};

/*
 * What flags do not tell.  mcall and morestack leave the goroutine for good: runtime/traceback.go
 * ends there, too.  cgocallback puts what it was called from under itself, on the goroutine's stack.
 * The kernel lets sigtramp return to sigreturn, with the registers of what it interrupted.  racecall
 * leaves RBP as it is, as the others did before 1.21: that hides its caller.  Of systemstack's, which are
 * the runtime's own, nobody misses one.  As what a goroutine does that is in C,
 * gosave_systemstack_switch notes systemstack_switch: before 1.21 where that begins.
 */
static const struct {
	const char *name;
	enum way way;
} known[] = {
	{ "runtime.mcall", NO_FURTHER },
	{ "runtime.morestack", NO_FURTHER },
	{ "runtime.cgocallback", BY_DELTA_ALONE },
	{ "runtime.cgocallback_gofunc", BY_DELTA_ALONE },
	{ "runtime.sigtramp", BY_DELTA },
	{ "runtime.sigreturn", BY_SIGNAL },
	{ "runtime.sigreturn__sigaction", BY_SIGNAL },
	{ "racecall", BY_CHANCE },
	{ "runtime.asmcgocall", BY_NOTE },
	{ "runtime.systemstack_switch", LAID },
};
#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))

static enum way way_of(const struct lt_go_function *function)
{
	bool asm_or_signal = function->flags || !strncmp(function->name, "runtime.sig", 11);

	for (size_t i = 0; asm_or_signal && i < KNOWN_COUNT; i++)
		if (!strcmp(function->name, known[i].name))
			return known[i].way;
	if (function->flags & LT_GO_FLAG_TOP_FRAME)
		return NO_FURTHER;
	return function->flags & LT_GO_FLAG_SP_WRITE ? BY_POINTER : BY_DELTA;
}

struct build {
	const struct lt_gofile *file;
	struct lt_table_writer writer;
	uint8_t note; /* of LT_CFA_SWITCH */
	uint64_t end; /* of what is written */
	/* Of the function in hand: */
	enum way way;
	bool pushes;       /* its first instruction is push %rbp */
	bool begun;        /* it has made its frame, which tells ... */
	uint64_t saved_bp; /* ... from which address on RBP is saved; UINT64_MAX: never */
	uint64_t window;   /* address of the code below */
	size_t window_len;
	uint8_t code[WINDOW];
};

/* Code at an address: functions come in order, so that it is read once. */
static const uint8_t *code_at(struct build *build, uint64_t address, size_t len)
{
	uint64_t offset = address - build->window;

	if (offset > build->window_len || build->window_len - offset < len) {
		long got = lt_gofile_read(build->file, address, build->code, WINDOW);

		build->window = address;
		build->window_len = got > 0 ? (size_t)got : 0;
		offset = 0;
	}
	return build->window_len - offset < len ? NULL : build->code + offset;
}

/*
 * Where RBP is saved in a frame that is there from an address on: cmd/internal/obj/x86/obj6.go,
 * preprocess().  Code in assembler need not save it.
 */
static uint64_t find_saved_bp(struct build *build, uint64_t from, int32_t delta)
{
	static const uint8_t at_sp[] = { 0x48, 0x89, 0x2c, 0x24 }; /* mov %rbp,(%rsp) */
	static const uint8_t near[] = { 0x48, 0x89, 0x6c, 0x24 };  /* ... byte(%rsp) */
	static const uint8_t far[] = { 0x48, 0x89, 0xac, 0x24 };   /* ... with 32 bits */
	const uint8_t *code = code_at(build, from - 1, 9);
	int32_t offset;

	if (!code)
		return UINT64_MAX;
	if (delta == 8 && code[0] == 0x55) /* push %rbp; since 1.21 */
		return from;
	if (delta == 8 && !memcmp(code + 1, at_sp, sizeof(at_sp)))
		return from + 4;
	memcpy(&offset, code + 5, sizeof(offset));
	if (!memcmp(code + 1, near, sizeof(near)) && code[5] == delta - 8)
		return from + 5;
	if (!memcmp(code + 1, far, sizeof(far)) && offset == delta - 8)
		return from + 8;
	return UINT64_MAX;
}

static int put(struct build *build, uint64_t start, uint64_t end, uint64_t rule)
{
	int err;

	if (start >= end)
		return 0;
	err = lt_table_writer_put(&build->writer, start, rule);
	build->end = end;
	return err;
}

static int put_by_delta(struct build *build, uint64_t start, uint64_t end, int32_t delta)
{
	uint64_t saved = build->saved_bp;
	int err;

	if (build->way == BY_DELTA_ALONE)
		return put(build, start, end, LT_RULE(LT_CFA_SP, 0, LT_BP_LOST, delta + 8));
	if (!delta || saved > end)
		saved = end;
	err = put(build, start, saved, LT_RULE(LT_CFA_SP, 0, 0, delta + 8));
	if (saved < start)
		saved = start;
	return err ? err : put(build, saved, end, LT_RULE(LT_CFA_SP, 0, SAVED_BP, delta + 8));
}

/* A run of one delta. */
static int put_run(void *context, uint64_t start, uint64_t end, int32_t delta)
{
	struct build *build = context;

	switch (build->way) {
	case BY_SIGNAL:
		return put(build, start, end, LT_RULE(LT_CFA_SIGNAL, 0, 0, 0));
	case BY_CHANCE:
		return put(build, start, end, RULE_NONE);
	case NO_FURTHER:
		return put(build, start, end, LT_RULE(LT_CFA_END, 0, 0, 0));
	case BY_NOTE:
	case BY_POINTER:
		if (!delta && build->pushes) /* not yet switched, or no longer */
			return put(build, start, end, LT_RULE(LT_CFA_SP, 0, 0, 8));
		/* With its own RBP saved, or that of its caller still there, which may be stale. */
		if (build->way == BY_NOTE)
			return put(build, start, end,
				   build->pushes
					   ? LT_RULE(LT_CFA_SWITCH, build->note, SAVED_BP, 16)
					   : LT_RULE(LT_CFA_SWITCH, build->note, LT_BP_LOST, 8));
		return put(build, start, end, LT_RULE(LT_CFA_SWITCH, 0, SAVED_BP, 16));
	default:
		break;
	}
	if (delta < 0 || delta % 8 || delta > MAX_DELTA)
		return put(build, start, end, LT_RULE(LT_CFA_UNSUPPORTED, 0, 0, 0));
	if (delta && !build->begun) {
		build->begun = true;
		build->saved_bp = find_saved_bp(build, start, delta);
	}
	return put_by_delta(build, start, end, delta);
}

/* What lies between the functions, up to the one in hand. */
static int put_gap(struct build *build, uint64_t end)
{
	uint64_t last = build->way == LAID ? end - 1 : end;
	int err;

	if (build->end >= end)
		return 0;
	err = put(build, build->end, last, RULE_NONE);
	return err ? err : put(build, last, end, LT_RULE(LT_CFA_START, 0, 0, 8));
}

/* Functions that are not in order are left out. */
static int put_functions(struct build *build, uint64_t from, uint64_t to)
{
	const struct lt_gopclntab *table = lt_gofile_pclntab(build->file);
	struct lt_go_function function;
	const uint8_t *code;
	int err = 0;

	build->end = from;
	for (uint64_t i = 0; !err && i < table->function_count; i++) {
		if (!lt_gopclntab_at(table, i, &function) || function.entry < build->end ||
		    function.end > to)
			continue;
		build->way = way_of(&function);
		err = put_gap(build, function.entry);
		code = build->way == BY_POINTER || build->way == BY_NOTE
			       ? code_at(build, function.entry, 1)
			       : NULL;
		build->pushes = code && *code == 0x55;
		build->begun = false;
		build->saved_bp = UINT64_MAX;
		if (!err)
			err = lt_gopclntab_each_sp_delta(table, &function, put_run, build);
	}
	return err;
}

static int build_go(const struct lt_gofile *file, struct lt_unwind_table *table)
{
	const struct lt_go_span *text = &lt_gofile_info(file)->module.text;
	struct build *build = calloc(1, sizeof(*build));
	int err;

	if (!build)
		return -ENOMEM;
	build->file = file;
	build->note = NOTE_AT(lt_gofile_info(file)->minor) / 8 + 1;
	err = lt_table_writer_begin(&build->writer, text->start, text->end);
	if (!err) {
		err = put_functions(build, text->start, text->end);
		if (!err && build->end < text->end)
			err = put(build, build->end, text->end, RULE_NONE);
		if (!err)
			err = lt_table_writer_finish(&build->writer, text->end, table);
		lt_table_writer_free(&build->writer);
	}
	free(build);
	return err;
}

static uint64_t end_of(const struct lt_unwind_table *table)
{
	return table->origin + (uint64_t)table->page_count * LT_UNWIND_PAGE;
}

/* Goes over the rows of a table. */
struct cursor {
	const struct lt_unwind_table *table;
	uint32_t page, row; /* the next one */
	uint64_t rule;      /* that holds up to ... */
	uint64_t next;      /* UINT64_MAX: for ever */
};

static void find_next(struct cursor *cursor)
{
	const struct lt_unwind_table *table = cursor->table;

	while (cursor->page < table->page_count && cursor->row == table->words[cursor->page + 1])
		cursor->page++;
	cursor->next = table->origin + (uint64_t)cursor->page * LT_UNWIND_PAGE;
	if (cursor->page < table->page_count)
		cursor->next += table->words[cursor->row] >> 16;
}

static struct cursor cursor_of(const struct lt_unwind_table *table)
{
	struct cursor cursor = { .table = table, .row = table->words[0], .rule = RULE_NONE };

	find_next(&cursor);
	return cursor;
}

static void advance(struct cursor *cursor, uint64_t address)
{
	const struct lt_unwind_table *table = cursor->table;

	if (cursor->next != address)
		return;
	if (cursor->page == table->page_count) {
		cursor->rule = RULE_NONE;
		cursor->next = UINT64_MAX;
		return;
	}
	cursor->rule = table->rules[LT_ROW_RULE(table->words[cursor->row++])];
	find_next(cursor);
}

/* Where one says nothing, the other may: Go's table is the surer one. */
static int merge(const struct lt_unwind_table *go, const struct lt_unwind_table *c,
		 struct lt_unwind_table *table)
{
	uint64_t start = go->origin < c->origin ? go->origin : c->origin;
	uint64_t end = end_of(go) > end_of(c) ? end_of(go) : end_of(c), at;
	struct cursor first = cursor_of(go), second = cursor_of(c);
	struct lt_table_writer writer;
	int err = lt_table_writer_begin(&writer, start, end);

	if (err)
		return err;
	writer.table.fde_count = c->fde_count;
	memcpy(writer.table.skipped, c->skipped, sizeof(c->skipped));
	while (!err && (at = first.next < second.next ? first.next : second.next) < end) {
		advance(&first, at);
		advance(&second, at);
		err = lt_table_writer_put(&writer, at,
					  first.rule == RULE_NONE ? second.rule : first.rule);
	}
	if (!err)
		err = lt_table_writer_finish(&writer, end, table);
	lt_table_writer_free(&writer);
	return err;
}

int lt_gounwind_build(int fd, struct lt_unwind_table *table)
{
	struct lt_unwind_table go, c, both;
	struct lt_gofile *file;
	int err = lt_gofile_open(&file, fd, NULL);

	if (!err) {
		err = build_go(file, &go);
		lt_gofile_close(file);
	}
	/* What cannot be made of Go's tables is as if there were none: CFI may be there. */
	if (err)
		return err == -ENOMEM ? err : -ENODATA;
	/* ... and the other way round. */
	err = lt_ehframe_build(fd, &c);
	if (!err) {
		err = merge(&go, &c, &both);
		lt_unwind_table_free(&c);
	}
	if (err) {
		*table = go;
		return 0;
	}
	lt_unwind_table_free(&go);
	*table = both;
	return 0;
}
