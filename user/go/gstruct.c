// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/gstruct.h"

#include <linux/types.h>
#include <string.h>

#include "leaktrace/events.h"

#define SCAN_BIT 0x1000 /* _Gscan */

/* runtime.main(): maxstacksize is 1 GB, maxstackceiling twice that */
#define MAX_STACK_BYTES (2ULL << 30)
/* Ids count up from 1 (sched.goidgen): at a million a second, that many take nine years. */
#define MAX_GOID (1ULL << 48)

static uint64_t word_at(const uint8_t *bytes, uint16_t offset)
{
	uint64_t word;

	if (offset == LT_GO_NONE)
		return 0;
	memcpy(&word, bytes + offset, sizeof(word));
	return word;
}

static uint8_t byte_at(const uint8_t *bytes, uint16_t offset)
{
	return offset == LT_GO_NONE ? 0 : bytes[offset];
}

static uint8_t status_of(uint32_t word)
{
	static const bool known[LT_GO_STATUSES] = {
		[LT_GO_IDLE] = true,      [LT_GO_RUNNABLE] = true,  [LT_GO_RUNNING] = true,
		[LT_GO_SYSCALL] = true,   [LT_GO_WAITING] = true,   [LT_GO_DEAD] = true,
		[LT_GO_COPYSTACK] = true, [LT_GO_PREEMPTED] = true, [LT_GO_LEAKED] = true,
		[LT_GO_DEADEXTRA] = true,
	};

	word &= ~(uint32_t)SCAN_BIT;
	return word < LT_GO_STATUSES && known[word] ? (uint8_t)word : UINT8_MAX;
}

void lt_go_g_decode(const struct lt_go_layout *layout, const uint8_t *bytes, uint64_t address,
		    struct lt_go_g *g)
{
	*g = (struct lt_go_g){
		.address = address,
		.stack_lo = word_at(bytes, layout->g_stack_lo),
		.stack_hi = word_at(bytes, layout->g_stack_hi),
		.m = word_at(bytes, layout->g_m),
		.sched_sp = word_at(bytes, layout->g_sched_sp),
		.sched_pc = word_at(bytes, layout->g_sched_pc),
		.sched_g = word_at(bytes, layout->g_sched_g),
		.sched_bp = word_at(bytes, layout->g_sched_bp),
		.syscallsp = word_at(bytes, layout->g_syscallsp),
		.syscallpc = word_at(bytes, layout->g_syscallpc),
		.goid = word_at(bytes, layout->g_goid),
		.waitsince = word_at(bytes, layout->g_waitsince),
		.parent = word_at(bytes, layout->g_parent_goid),
		.gopc = word_at(bytes, layout->g_gopc),
		.startpc = word_at(bytes, layout->g_startpc),
		.status = status_of((uint32_t)word_at(bytes, layout->g_status)),
		.waitreason = byte_at(bytes, layout->g_waitreason),
		.tracking_seq = byte_at(bytes, layout->g_tracking_seq),
	};
}

static bool stack_plausible(uint64_t lo, uint64_t hi)
{
	return lo < hi && hi - lo <= MAX_STACK_BYTES && lo % sizeof(uint64_t) == 0 &&
	       hi % sizeof(uint64_t) == 0;
}

bool lt_go_g_plausible(const struct lt_go_g *g)
{
	/* The stack of a dead one may have been given back. */
	bool no_stack = !lt_go_g_alive(g) && !g->stack_lo && !g->stack_hi;

	return g->status != UINT8_MAX && (no_stack || stack_plausible(g->stack_lo, g->stack_hi)) &&
	       (!g->sched_g || g->sched_g == g->address) && g->goid < MAX_GOID &&
	       g->parent < MAX_GOID;
}

bool lt_go_g_alive(const struct lt_go_g *g)
{
	return g->status != LT_GO_IDLE && g->status != LT_GO_DEAD && g->status != LT_GO_DEADEXTRA &&
	       g->status != UINT8_MAX;
}

bool lt_go_g_stopped(const struct lt_go_g *g)
{
	return g->status != LT_GO_RUNNING && g->status != LT_GO_COPYSTACK;
}

bool lt_go_g_counted(const struct lt_go_layout *layout, const struct lt_go_g *g)
{
	bool preempted = g->status == LT_GO_PREEMPTED ||
			 (g->waitreason < layout->wait_mark_count &&
			  layout->wait_marks[g->waitreason] == LT_MARK_PREEMPTED);

	return layout->g_tracking_seq != LT_GO_NONE && g->status != LT_GO_SYSCALL && !g->m &&
	       !preempted;
}

bool lt_go_g_same(const struct lt_go_g *a, const struct lt_go_g *b)
{
	return a->goid == b->goid && a->status == b->status && a->m == b->m &&
	       a->tracking_seq == b->tracking_seq && a->sched_sp == b->sched_sp &&
	       a->sched_pc == b->sched_pc && a->sched_bp == b->sched_bp &&
	       a->syscallsp == b->syscallsp && a->syscallpc == b->syscallpc &&
	       a->stack_lo == b->stack_lo && a->stack_hi == b->stack_hi &&
	       a->waitreason == b->waitreason;
}

uint8_t lt_go_g_mark(const struct lt_go_layout *layout, const struct lt_go_g *g)
{
	static const uint8_t marks[LT_GO_STATUSES] = {
		[LT_GO_RUNNABLE] = LT_MARK_RUNNABLE,   [LT_GO_RUNNING] = LT_MARK_RUNNING,
		[LT_GO_SYSCALL] = LT_MARK_SYSCALL,     [LT_GO_COPYSTACK] = LT_MARK_RUNNING,
		[LT_GO_PREEMPTED] = LT_MARK_PREEMPTED, [LT_GO_LEAKED] = LT_MARK_LEAKED,
	};
	uint8_t mark = 0;

	if (g->status < LT_GO_STATUSES && marks[g->status])
		return marks[g->status];
	if (g->waitreason < layout->wait_mark_count)
		mark = layout->wait_marks[g->waitreason];
	return mark ? mark : LT_MARK_WAITING;
}

bool lt_go_g_resembled(const uint8_t *bytes, size_t len, uint64_t address)
{
	uint64_t words[16];

	if (len < sizeof(words))
		return false;
	memcpy(words, bytes, sizeof(words));
	if (!words[0] || !stack_plausible(words[0], words[1]))
		return false;
	for (size_t i = 2; i < sizeof(words) / sizeof(*words); i++)
		if (words[i] == address)
			return true;
	return false;
}
