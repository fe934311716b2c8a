// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/pcs.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "leaktrace/limits.h"

/* A hostile stack can name each byte of the code: then all is forgotten, and learnt again. */
#define MAX_SLOTS   (1u << 18)
#define FIRST_SLOTS 1024

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(name, *names))
			return true;
	return false;
}

/*
 * isSystemGoroutine(), runtime/traceback.go.  What runs finalizers and cleanups counts as the runtime's,
 * also while it runs one of the program's.
 */
static bool starts_runtime_goroutine(const char *name)
{
	static const char *const users[] = { "runtime.main", "runtime.handleAsyncEvent",
					     "runtime.corostart", NULL };

	return !strncmp(name, "runtime.", strlen("runtime.")) && !is_one_of(name, users);
}

static uint8_t flags_of(const struct lt_go_function *function, bool entry)
{
	static const char *const injected[] = { "runtime.sigpanic", "runtime.asyncPreempt", NULL };
	uint8_t flags = 0;

	/* Up to 1.16 there are no flags in the table. */
	if ((function->flags & LT_GO_FLAG_TOP_FRAME) || !strcmp(function->name, "runtime.goexit"))
		flags |= LT_GO_PC_ENDS;
	/* Its frame is good on both of its stacks (runtime/traceback.go, resolveInternal). */
	if ((function->flags & LT_GO_FLAG_SP_WRITE) &&
	    strcmp(function->name, "runtime.cgocallback") != 0)
		flags |= LT_GO_PC_SWITCHES;
	if (is_one_of(function->name, injected))
		flags |= LT_GO_PC_INJECTED;
	if (entry)
		flags |= LT_GO_PC_ENTRY;
	if (entry && starts_runtime_goroutine(function->name))
		flags |= LT_GO_PC_RUNTIME;
	return flags;
}

static struct lt_go_pc learn(const struct lt_go_program *program, uint64_t pc)
{
	const struct lt_go_module *module = lt_go_program_module(program, pc);
	struct lt_go_pc known = { .pc = pc };
	const struct lt_gopclntab *table;
	struct lt_go_function function;

	if (!module)
		return known;
	table = lt_gofile_pclntab(module->file);
	if (!lt_gopclntab_find(table, pc - module->bias, &function))
		return known;
	known.flags = flags_of(&function, pc - module->bias == function.entry);
	if (lt_gopclntab_sp_delta(table, &function, pc - module->bias, &known.delta))
		known.flags |= LT_GO_PC_KNOWN;
	return known;
}

void lt_go_pcs_free(struct lt_go_pcs *pcs)
{
	free(pcs->slots);
	pcs->slots = NULL;
	pcs->size = pcs->used = 0;
}

/* Where it is, or where it goes. */
static struct lt_go_pc *slot_of(struct lt_go_pc *slots, size_t size, uint64_t pc)
{
	size_t at = lt_mix64(pc) & (size - 1);

	while (slots[at].pc && slots[at].pc != pc)
		at = (at + 1) & (size - 1);
	return &slots[at];
}

/* There is always a free slot: at most three quarters are in use. */
static bool make_room(struct lt_go_pcs *pcs)
{
	size_t size = pcs->size ? pcs->size * 2 : FIRST_SLOTS;
	struct lt_go_pc *slots;

	if (pcs->size && pcs->used < pcs->size / 4 * 3)
		return true;
	if (size > MAX_SLOTS) {
		memset(pcs->slots, 0, pcs->size * sizeof(*pcs->slots));
		pcs->used = 0;
		return true;
	}
	slots = calloc(size, sizeof(*slots));
	if (!slots)
		return false;
	for (size_t i = 0; i < pcs->size; i++)
		if (pcs->slots[i].pc)
			*slot_of(slots, size, pcs->slots[i].pc) = pcs->slots[i];
	free(pcs->slots);
	pcs->slots = slots;
	pcs->size = size;
	return true;
}

struct lt_go_pc lt_go_pcs_get(struct lt_go_pcs *pcs, uint64_t pc)
{
	struct lt_go_pc *slot, known;

	if (!pc)
		return (struct lt_go_pc){ 0 };
	if (pcs->size) {
		slot = slot_of(pcs->slots, pcs->size, pc);
		if (slot->pc)
			return *slot;
	}
	known = learn(pcs->program, pc);
	if (make_room(pcs)) {
		*slot_of(pcs->slots, pcs->size, pc) = known;
		pcs->used++;
	}
	return known;
}

static uint8_t depth_of(const struct lt_go_program *program, uint64_t pc)
{
	const struct lt_go_module *module = lt_go_program_module(program, pc);
	struct lt_source_frame frames[LT_MAX_INLINE_DEPTH];
	size_t count = 0;

	if (!module || !lt_gopclntab_frames(lt_gofile_pclntab(module->file), pc - module->bias,
					    frames, &count))
		return 1;
	return count ? (uint8_t)count : 1;
}

uint8_t lt_go_pcs_depth(struct lt_go_pcs *pcs, uint64_t pc)
{
	struct lt_go_pc known = lt_go_pcs_get(pcs, pc), *slot;

	if (known.depth)
		return known.depth;
	known.depth = depth_of(pcs->program, pc);
	slot = pcs->size ? slot_of(pcs->slots, pcs->size, pc) : NULL;
	if (slot && slot->pc)
		slot->depth = known.depth;
	return known.depth;
}
