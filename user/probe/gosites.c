// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/gosites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "probe/gosites_code.h"

/* Arguments and results come in registers since 1.17 (cmd/compile/abi-internal.md). */
#define FIRST_MINOR 17

struct rule {
	enum lt_go_probe probe;
	unsigned int since, until; /* Go 1.minor; 0: any */
	enum lt_go_place place;
	ZydisRegister reg;
	const char *function, *callee;
};

#define AX ZYDIS_REGISTER_RAX
#define BX ZYDIS_REGISTER_RBX
#define CX ZYDIS_REGISTER_RCX

/*
 * Compared with the sources of 1.19 and 1.21 to 1.27.  An id is the same pointer at acquire and release:
 *
 * Tickers.  To 1.22 startTimer and stopTimer both get &t.r (time/tick.go).  AfterFunc and NewTimer start timers
 * too, with period 0, and Timer.Stop stops them.  Since 1.23 a ticker that nobody holds is collected, stopped
 * or not: it is no leak, and whoever holds it is seen otherwise.
 *
 * Contexts.  Only those that their parent keeps in its map of children can leak: net/http leaves others
 * uncancelled, which are collected.  The key of the map is the child, a *cancelCtx or what embeds one as its first field (timerCtx, afterFuncCtx), whose
 * cancel() calls the embedded one's.  In 1.20 alone a timerCtx embeds a pointer: its own cancel()
 * is watched too.
 *
 * Goroutines.  Those of iter.Pull (newcoro) are made without runqput.  There is no probe at their ends, which
 * would cost as much again: that its struct g is given to another one tells of it, or the next walk.
 *
 * None of these functions is inlined, but by a build with a profile (-pgo, 1.21 on), where calls that
 * come to no probe would be missed.
 */
static const struct rule rules[] = {
	{ LT_GO_PROBE_CREATE, 0, 0, LT_GO_AT_CALL, BX, "runtime.newproc.func1", "runtime.runqput" },
	{ LT_GO_PROBE_BODY, 0, 0, LT_GO_AT_ENTRY, AX, "net/http.(*persistConn).roundTrip", NULL },
	{ LT_GO_PROBE_BODY_IDLE, 0, 0, LT_GO_AT_ENTRY, BX, "net/http.(*Transport).tryPutIdleConn",
	  NULL },
	{ LT_GO_PROBE_BODY_CLOSE, 0, 0, LT_GO_AT_ENTRY, AX, "net/http.(*persistConn).closeLocked",
	  NULL },
	{ LT_GO_PROBE_TIMER_START, 0, 22, LT_GO_AT_ENTRY, AX, "time.startTimer", NULL },
	{ LT_GO_PROBE_TICKER_STOP, 0, 22, LT_GO_AT_ENTRY, AX, "time.stopTimer", NULL },
	{ LT_GO_PROBE_CONTEXT, 21, 0, LT_GO_AT_CALL, CX, "context.(*cancelCtx).propagateCancel",
	  "runtime.mapassign" },
	{ LT_GO_PROBE_CONTEXT, 0, 20, LT_GO_AT_CALL, CX, "context.propagateCancel",
	  "runtime.mapassign" },
	{ LT_GO_PROBE_CANCEL, 0, 0, LT_GO_AT_ENTRY, AX, "context.(*cancelCtx).cancel", NULL },
	{ LT_GO_PROBE_CANCEL, 20, 20, LT_GO_AT_ENTRY, AX, "context.(*timerCtx).cancel", NULL },
	{ LT_GO_PROBE_SPAN, 0, 0, LT_GO_BEHIND_CALL, AX, "runtime.(*mcentral).grow",
	  "runtime.(*mheap).alloc" },
	{ LT_GO_PROBE_SPAN, 0, 0, LT_GO_BEHIND_CALL, AX, "runtime.(*mcache).allocLarge",
	  "runtime.(*mheap).alloc" },
	{ LT_GO_PROBE_SPAN_FREE, 0, 0, LT_GO_AT_ENTRY, BX, "runtime.(*mheap).freeSpanLocked",
	  NULL },
};
#define RULES (sizeof(rules) / sizeof(rules[0]))

const char *const lt_go_probe_names[LT_GO_PROBES] = {
	[LT_GO_PROBE_CREATE] = "go_create",
	[LT_GO_PROBE_BODY] = "go_body",
	[LT_GO_PROBE_BODY_IDLE] = "go_body_idle",
	[LT_GO_PROBE_BODY_CLOSE] = "go_body_close",
	[LT_GO_PROBE_TIMER_START] = "go_timer_start",
	[LT_GO_PROBE_TICKER_STOP] = "go_ticker_stop",
	[LT_GO_PROBE_CONTEXT] = "go_context",
	[LT_GO_PROBE_CANCEL] = "go_cancel",
	[LT_GO_PROBE_SPAN] = "go_span",
	[LT_GO_PROBE_SPAN_FREE] = "go_span_free",
};

/* A function of a rule, as the table has it. */
struct found {
	unsigned int count; /* of that name: what is there twice is not known */
	uint64_t entry, end;
};

struct search {
	const struct lt_gofile *file;
	struct found functions[RULES], callees[RULES];
	bool inlined[RULES]; /* somewhere: not all calls come to the function */
	bool has_runtime;    /* one that was linked with -linkshared has not */
	const char *into;    /* the function whose inlined calls are looked at */
};

static bool is(const char *name, const char *other)
{
	return name && !strcmp(name, other);
}

static bool is_of_runtime(const char *name)
{
	return !strncmp(name, "runtime.", strlen("runtime."));
}

static void note(const char *name, const struct lt_go_function *function, struct found *found)
{
	if (is(name, function->name))
		*found = (struct found){ found->count + 1, function->entry, function->end };
}

/* The runtime has timers of its own (scavengerState.sleep, to 1.22), which are nobody's tickers. */
static int note_inlined(void *context, const char *name)
{
	struct search *search = context;

	for (size_t i = 0; i < RULES; i++)
		if (is(rules[i].function, name) &&
		    (is_of_runtime(name) || !is_of_runtime(search->into)))
			search->inlined[i] = true;
	return 0;
}

/* In one pass, for there are up to some 200,000 functions. */
static void find_functions(struct search *search)
{
	const struct lt_gopclntab *table = lt_gofile_pclntab(search->file);
	struct lt_go_function function;

	for (uint64_t i = 0; i < table->function_count; i++) {
		if (!lt_gopclntab_at(table, i, &function))
			continue;
		search->into = function.name;
		lt_gopclntab_each_inlined(table, &function, note_inlined, search);
		if (function.wrapper)
			continue; /* the way in from assembler has the name of what it wraps */
		for (size_t rule = 0; rule < RULES; rule++) {
			note(rules[rule].function, &function, &search->functions[rule]);
			note(rules[rule].callee, &function, &search->callees[rule]);
		}
		search->has_runtime |= is("runtime.newproc", function.name);
	}
}

static bool is_of_version(const struct rule *rule, unsigned int minor)
{
	if (!minor) /* a development version, which is newer than any other */
		return !rule->until;
	return minor >= rule->since && (!rule->until || minor <= rule->until);
}

/* How the module passes arguments and results is known. */
static bool is_known(const struct lt_gofile *file)
{
	const struct lt_gopclntab *table = lt_gofile_pclntab(file);
	unsigned int minor = lt_gofile_info(file)->minor;

	return table->pointer_bytes == 8 && (minor ? minor : table->format) >= FIRST_MINOR;
}

/* The sites of one rule: how many, 0: its code is not known; -ENOMEM. */
static int search_function(const struct search *search, size_t index,
			   struct lt_go_code_site sites[LT_GO_CODE_SITES])
{
	const struct found *function = &search->functions[index], *callee = &search->callees[index];
	_lt_free_ uint8_t *bytes = NULL;
	struct lt_go_code code = { .address = function->entry,
				   .place = rules[index].place,
				   .reg = rules[index].reg,
				   .callee = callee->entry };

	if (!is_known(search->file) || function->count != 1 || search->inlined[index] ||
	    (rules[index].callee && callee->count != 1) || function->end <= function->entry ||
	    function->end - function->entry > LT_GO_CODE_MAX)
		return 0;
	code.len = function->end - function->entry;
	bytes = malloc(code.len);
	if (!bytes)
		return -ENOMEM;
	if (lt_gofile_read(search->file, code.address, bytes, code.len) != (long)code.len)
		return 0;
	code.bytes = bytes;
	return (int)lt_go_code_search(&code, sites);
}

/* Sites of one rule, behind those there are; 0: not known, -ENOMEM. */
static int add_sites(const struct search *search, size_t index, struct lt_go_sites *sites)
{
	struct lt_go_code_site found[LT_GO_CODE_SITES];
	int count = search_function(search, index, found);

	for (int i = 0; i < count; i++) {
		uint64_t address = search->functions[index].entry + found[i].offset, offset;

		if (!lt_gofile_offset_of(search->file, address, &offset))
			return 0;
		sites->items[sites->count++] = (struct lt_go_site){
			.probe = rules[index].probe,
			.address = address,
			.file_offset = offset,
			.emulated = found[i].emulated,
			.padded = found[i].padded,
		};
	}
	return count;
}

/* A probe with one site of two would tell half the truth. */
static void drop_failed(struct lt_go_sites *sites)
{
	size_t kept = 0;

	for (size_t i = 0; i < sites->count; i++)
		if (!(sites->failed & 1U << sites->items[i].probe))
			sites->items[kept++] = sites->items[i];
	sites->count = kept;
}

static int search_rules(const struct search *search, uint32_t wanted, struct lt_go_sites *sites)
{
	unsigned int minor = lt_gofile_info(search->file)->minor;
	uint32_t present = 0;

	for (size_t i = 0; i < RULES; i++) {
		uint32_t bit = 1U << rules[i].probe;
		int count;

		if (!(wanted & bit) || !is_of_version(&rules[i], minor))
			continue;
		if (!search->functions[i].count) {
			/* All of it was inlined; or it is what each program has, renamed. */
			if (search->inlined[i] ||
			    (search->has_runtime && is_of_runtime(rules[i].function)))
				sites->failed |= bit;
			continue;
		}
		present |= bit;
		count = add_sites(search, i, sites);
		if (count < 0)
			return count;
		if (!count)
			sites->failed |= bit;
	}
	sites->absent = wanted & ~present & ~sites->failed;
	drop_failed(sites);
	return 0;
}

int lt_go_sites_find(const struct lt_gofile *file, uint32_t wanted, struct lt_go_sites *sites)
{
	struct search search = { .file = file };
	_lt_free_ struct lt_go_site *items = NULL;
	struct lt_go_sites all = { 0 };
	int err;

	items = calloc(RULES * LT_GO_CODE_SITES, sizeof(*items));
	if (!items)
		return -ENOMEM;
	all.items = items;
	find_functions(&search);
	err = search_rules(&search, wanted & ((1U << LT_GO_PROBES) - 1), &all);
	if (err)
		return err;
	*sites = all;
	items = NULL;
	return 0;
}

void lt_go_sites_free(struct lt_go_sites *sites)
{
	free(sites->items);
	*sites = (struct lt_go_sites){ 0 };
}
