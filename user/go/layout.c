// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/layout.h"

#include <linux/types.h>
#include <stddef.h>

#include "leaktrace/events.h"

/* waitReason, runtime/runtime2.go; the first 19 numbers did not change until 1.25. */
#define WAITS_UP_TO_1_24                                                                           \
	[1] = LT_MARK_GC_ASSIST, [2] = LT_MARK_IO_WAIT, [3] = LT_MARK_CHAN_RECEIVE_NIL,            \
	[4] = LT_MARK_CHAN_SEND_NIL, [5] = LT_MARK_DUMPING_HEAP, [6] = LT_MARK_GARBAGE_COLLECTION, \
	[7] = LT_MARK_GARBAGE_COLLECTION_SCAN, [8] = LT_MARK_PANIC_WAIT, [9] = LT_MARK_SELECT,     \
	[10] = LT_MARK_SELECT_NO_CASES, [11] = LT_MARK_GC_ASSIST_WAIT,                             \
	[12] = LT_MARK_GC_SWEEP_WAIT, [13] = LT_MARK_GC_SCAVENGE_WAIT,                             \
	[14] = LT_MARK_CHAN_RECEIVE, [15] = LT_MARK_CHAN_SEND, [16] = LT_MARK_FINALIZER_WAIT,      \
	[17] = LT_MARK_FORCE_GC_IDLE
#define WAITS_FOR_LOCKS(first)                                                                     \
	[(first)] = LT_MARK_COND_WAIT, [(first) + 1] = LT_MARK_MUTEX_LOCK,                         \
	[(first) + 2] = LT_MARK_RWMUTEX_RLOCK, [(first) + 3] = LT_MARK_RWMUTEX_LOCK
/* From "trace reader (blocked)" to "stopping the world". */
#define WAITS_OF_THE_RUNTIME(first)                                                                \
	[(first)] = LT_MARK_TRACE_READER, [(first) + 1] = LT_MARK_WAIT_FOR_GC_CYCLE,               \
	[(first) + 2] = LT_MARK_GC_WORKER, [(first) + 3] = LT_MARK_GC_WORKER,                      \
	[(first) + 4] = LT_MARK_PREEMPTED, [(first) + 5] = LT_MARK_DEBUG_CALL,                     \
	[(first) + 6] = LT_MARK_GARBAGE_COLLECTION, [(first) + 7] = LT_MARK_STOPPING_THE_WORLD
/* Those of testing/synctest: the same waits, of a bubble. */
#define WAITS_OF_SYNCTEST(first)                                                                   \
	[(first)] = LT_MARK_SYNCTEST, [(first) + 1] = LT_MARK_SYNCTEST,                            \
	[(first) + 2] = LT_MARK_CHAN_RECEIVE, [(first) + 3] = LT_MARK_CHAN_SEND,                   \
	[(first) + 4] = LT_MARK_SELECT

static const uint8_t waits_15[] = {
	WAITS_UP_TO_1_24,         [18] = LT_MARK_SEMACQUIRE,   [19] = LT_MARK_SLEEP,
	[20] = LT_MARK_COND_WAIT, [22] = LT_MARK_TRACE_READER, [23] = LT_MARK_WAIT_FOR_GC_CYCLE,
	[24] = LT_MARK_GC_WORKER, [25] = LT_MARK_PREEMPTED,    [26] = LT_MARK_DEBUG_CALL,
};
static const uint8_t waits_20[] = {
	WAITS_UP_TO_1_24,    [18] = LT_MARK_SEMACQUIRE, [19] = LT_MARK_SLEEP,
	WAITS_FOR_LOCKS(20), WAITS_OF_THE_RUNTIME(24),  [36] = LT_MARK_COROUTINE,
};
static const uint8_t waits_24[] = {
	WAITS_UP_TO_1_24,         [18] = LT_MARK_SEMACQUIRE,     [19] = LT_MARK_SLEEP,
	WAITS_FOR_LOCKS(20),      [24] = LT_MARK_WAITGROUP_WAIT, WAITS_OF_THE_RUNTIME(25),
	[37] = LT_MARK_COROUTINE, WAITS_OF_SYNCTEST(39),
};
static const uint8_t waits_25[] = {
	WAITS_UP_TO_1_24,
	[19] = LT_MARK_SEMACQUIRE,
	[20] = LT_MARK_SLEEP,
	WAITS_FOR_LOCKS(21),
	[25] = LT_MARK_WAITGROUP_WAIT,
	WAITS_OF_THE_RUNTIME(26),
	[38] = LT_MARK_COROUTINE,
	WAITS_OF_SYNCTEST(40),
	[45] = LT_MARK_WAITGROUP_WAIT,
	[46] = LT_MARK_CLEANUP_WAIT,
};
static const uint8_t waits_26[] = {
	[1] = LT_MARK_GC_ASSIST,
	[2] = LT_MARK_IO_WAIT,
	[3] = LT_MARK_DUMPING_HEAP,
	[4] = LT_MARK_GARBAGE_COLLECTION,
	[5] = LT_MARK_GARBAGE_COLLECTION_SCAN,
	[6] = LT_MARK_PANIC_WAIT,
	[7] = LT_MARK_GC_ASSIST_WAIT,
	[8] = LT_MARK_GC_SWEEP_WAIT,
	[9] = LT_MARK_GC_SCAVENGE_WAIT,
	[10] = LT_MARK_FINALIZER_WAIT,
	[11] = LT_MARK_FORCE_GC_IDLE,
	[13] = LT_MARK_SEMACQUIRE,
	[14] = LT_MARK_SLEEP,
	[15] = LT_MARK_CHAN_RECEIVE_NIL,
	[16] = LT_MARK_CHAN_SEND_NIL,
	[17] = LT_MARK_SELECT_NO_CASES,
	[18] = LT_MARK_SELECT,
	[19] = LT_MARK_CHAN_RECEIVE,
	[20] = LT_MARK_CHAN_SEND,
	WAITS_FOR_LOCKS(21),
	[25] = LT_MARK_WAITGROUP_WAIT,
	WAITS_OF_THE_RUNTIME(26),
	[38] = LT_MARK_COROUTINE,
	WAITS_OF_SYNCTEST(40),
	[45] = LT_MARK_WAITGROUP_WAIT,
	[46] = LT_MARK_CLEANUP_WAIT,
};

#define NONE LT_GO_NONE
/* What comes before sched is where it always was. */
#define ROW(first, last, waits, bp, syscallsp, syscallpc, status, goid, waitsince, waitreason,     \
	    seq, parent, gopc, startpc, labels, procid)                                            \
	{                                                                                          \
		.minor_first = (first), .minor_last = (last), .g_stack_lo = 0, .g_stack_hi = 8,    \
		.g_m = 48, .g_sched_sp = 56, .g_sched_pc = 64, .g_sched_g = 72,                    \
		.g_sched_bp = (bp), .g_syscallsp = (syscallsp), .g_syscallpc = (syscallpc),        \
		.g_status = (status), .g_goid = (goid), .g_waitsince = (waitsince),                \
		.g_waitreason = (waitreason), .g_tracking_seq = (seq), .g_parent_goid = (parent),  \
		.g_gopc = (gopc), .g_startpc = (startpc), .g_labels = (labels),                    \
		.g_bytes = (labels) + 8, .m_curg = (procid) + 120, .wait_marks = (waits),          \
		.wait_mark_count = sizeof(waits),                                                  \
	}

/*
 * Offsets and wait reasons of 1.15.15, 1.19.8, 1.21.13, 1.22.12, 1.23.5, 1.24.4, 1.25.12, 1.26.10 and
 * 1.27.3 were checked with tests/go/offsets.py and the runtime's source, those of 1.20 by its source
 * (1.20.6) alone.  1.16 to 1.18 were not checked, and are not here.
 */
/* clang-format off */
static const struct lt_go_layout layouts[] = {
	/* versions, waits, bp, syscall sp pc, status, goid, since, reason, seq, parent, gopc, startpc,
	 * labels, procid */
	ROW(15, 15, waits_15, 104, 112, 120, 144, 152, 168, 176, NONE, NONE, 280, 296, 344, 72),
	ROW(19, 19, waits_15, 104, 112, 120, 144, 152, 168, 176,  189, NONE, 296, 312, 360, 72),
	ROW(20, 20, waits_20, 104, 112, 120, 144, 152, 168, 176,  189, NONE, 296, 312, 360, 72),
	ROW(21, 21, waits_20, 104, 112, 120, 144, 152, 168, 176,  188,  272, 280, 296, 344, 72),
	ROW(22, 22, waits_20, 104, 112, 120, 144, 152, 168, 176,  191,  272, 280, 296, 344, 72),
	ROW(23, 23, waits_20, 104, 112, 120, 152, 160, 176, 184,  199,  280, 288, 304, 352, 72),
	ROW(24, 24, waits_24, 104, 112, 120, 152, 160, 176, 184,  199,  280, 288, 304, 352, 72),
	ROW(25, 25, waits_25,  96, 104, 112, 144, 152, 168, 176,  191,  272, 280, 296, 344, 64),
	ROW(26, 27, waits_26,  96, 104, 112, 144, 152, 168, 176,  191,  280, 288, 304, 352, 64),
};
/* clang-format on */

const struct lt_go_layout *lt_go_layout_of(unsigned int minor)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(*layouts); i++)
		if (minor >= layouts[i].minor_first && minor <= layouts[i].minor_last)
			return &layouts[i];
	return NULL;
}
