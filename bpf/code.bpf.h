/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the target's code is: its executable mappings, told by user space.
 */
#ifndef LT_CODE_BPF_H
#define LT_CODE_BPF_H

#include "common.bpf.h"
#include "thread.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * LT_MAX_EXEC_RANGES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lt_exec_range);
} lt_exec_ranges __weak SEC(".maps");

/* Which half of lt_exec_ranges is in force. */
__u32 lt_exec_half __weak = 0;

/*
 * The executable range around an address, into thread->last_range.  A global function, so that the
 * verifier looks at it once and not once a frame.  Returns 1 if found.
 */
__weak int exec_range_find(__u32 tid, __u64 address)
{
	struct lt_thread *thread = bpf_map_lookup_elem(&lt_threads, &tid);
	__u32 half = lt_exec_half & 1, low = 0, index;
	struct lt_exec_range *range;

	if (!thread)
		return 0;
	/* The last start that is not above the address, by halving steps. */
	for (__u32 step = LT_MAX_EXEC_RANGES / 2; step; step /= 2) {
		index = low + step;
		opaque(index);
		index &= LT_MAX_EXEC_RANGES - 1;
		index += half * LT_MAX_EXEC_RANGES;
		range = bpf_map_lookup_elem(&lt_exec_ranges, &index);
		if (range && range->start <= address)
			low += step;
		opaque(low);
		low &= LT_MAX_EXEC_RANGES - 1;
	}
	index = low + half * LT_MAX_EXEC_RANGES;
	range = bpf_map_lookup_elem(&lt_exec_ranges, &index);
	if (!range || address < range->start || address >= range->end)
		return 0;
	thread->last_range = *range;
	return 1;
}

static __always_inline bool in_range(const struct lt_exec_range *range, __u64 address)
{
	return address - range->start < range->end - range->start;
}

/* True if the address lies in a known executable mapping, which is thread->last_range then. */
static __always_inline bool is_code(struct lt_thread *thread, __u64 address)
{
	return in_range(&thread->last_range, address) ||
	       exec_range_find((__u32)bpf_get_current_pid_tgid(), address);
}

#endif
