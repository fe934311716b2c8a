/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the target's code is and how it is unwound: tables written by user space
 * (user/bpf/code.c).  Layout: leaktrace/unwind.h.
 *
 * The ranges are told in two halves.  User space writes the idle one and then counts the
 * generation of the space up, whose lowest bit says which is in force.  Words of tables are reused only
 * after that, so a walk that sees the same generation at its end as at its start has read nothing
 * that changed under it.
 */
#ifndef LT_CODE_BPF_H
#define LT_CODE_BPF_H

#include "common.bpf.h"
#include "thread.bpf.h"

struct lt_ranges_template {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * LT_MAX_CODE_RANGES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(key_size, sizeof(__u32)); /* clang 14 forgets the types of inner maps */
	__uint(value_size, sizeof(struct lt_code_range));
};

/* One for each address space, made by user space as needed. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, LT_MAX_SPACES);
	__type(key, __u32);
	__array(values, struct lt_ranges_template);
} lt_code_spaces __weak SEC(".maps");

/* Words in blocks, for an array's element takes 8 bytes at least. */
#define BLOCK_WORDS 64

struct lt_word_block {
	__u32 words[BLOCK_WORDS];
};

struct lt_segment_template {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LT_UNWIND_SEGMENT / BLOCK_WORDS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct lt_word_block));
};

/* Made by user space as tables need them. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, LT_MAX_SEGMENTS);
	__type(key, __u32);
	__array(values, struct lt_segment_template);
} lt_unwind_segments __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LT_MAX_RULES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} lt_unwind_rules __weak SEC(".maps");

/* By space, whose number is in the highest bits: so a generation says whose it is. */
__u32 lt_code_generations[LT_MAX_SPACES] __weak = {};

static __always_inline __u32 code_generation(const struct lt_thread *thread)
{
	__u32 space = thread->space;

	opaque(space);
	return *(volatile __u32 *)&lt_code_generations[space & (LT_MAX_SPACES - 1)];
}

/* The range in force around an address, or NULL. */
static __always_inline const struct lt_code_range *range_of(__u64 address, __u32 generation)
{
	__u32 base = (generation & 1) * LT_MAX_CODE_RANGES, low = 0, index;
	__u32 space = generation >> LT_SPACE_SHIFT;
	const struct lt_code_range *range;
	void *ranges = bpf_map_lookup_elem(&lt_code_spaces, &space);

	if (!ranges)
		return NULL;
	/* The last start that is not above the address, by halving steps. */
	for (__u32 step = LT_MAX_CODE_RANGES / 2; step; step /= 2) {
		index = (low + step) & (LT_MAX_CODE_RANGES - 1);
		opaque(index);
		index = (index & (LT_MAX_CODE_RANGES - 1)) + base;
		range = bpf_map_lookup_elem(ranges, &index);
		if (range && range->start <= address)
			low += step;
	}
	index = low + base;
	range = bpf_map_lookup_elem(ranges, &index);
	return range && address - range->start < range->end - range->start ? range : NULL;
}

/* One word of the tables; 0 when there is none. */
static __always_inline __u32 table_word(__u32 number)
{
	__u32 segment = number / LT_UNWIND_SEGMENT;
	__u32 block = number % LT_UNWIND_SEGMENT / BLOCK_WORDS, word = number % BLOCK_WORDS;
	struct lt_word_block *found;
	void *words = bpf_map_lookup_elem(&lt_unwind_segments, &segment);

	if (!words)
		return 0;
	found = bpf_map_lookup_elem(words, &block);
	opaque(word);
	return found ? found->words[word & (BLOCK_WORDS - 1)] : 0;
}

/*
 * The unwind rule for an address.  A global function, as the verifier then looks at it once.
 */
__weak __u64 rule_find(__u64 address, __u32 generation)
{
	const struct lt_code_range *range = range_of(address, generation);
	__u64 page;
	__u32 offset, low, high, number;
	__u64 *rule;

	if (!range)
		return LT_RULE(LT_CFA_NO_CODE, 0, 0, 0);
	if (range->source == LT_CODE_PENDING)
		return LT_RULE_WITH_TAG(LT_RULE(LT_CFA_PENDING, 0, 0, 0), range->tag);
	offset = address - range->origin;
	page = (address - range->origin) >> LT_UNWIND_PAGE_SHIFT;
	if (range->source != LT_CODE_TABLE || address < range->origin || page >= range->page_count)
		return LT_RULE_WITH_TAG(LT_RULE(LT_CFA_NONE, 0, 0, 0), range->tag);
	offset = (__u32)(address - range->origin) % LT_UNWIND_PAGE;
	low = table_word(range->word + page);
	high = table_word(range->word + page + 1);
	/* [low, high): the last row that is not behind the offset; the first one is at 0. */
	for (int i = 0; i < LT_UNWIND_PAGE_SHIFT + 1 && low + 1 < high; i++) {
		__u32 middle = low + (high - low) / 2;

		if (table_word(range->word + middle) >> 16 <= offset)
			low = middle;
		else
			high = middle;
	}
	number = LT_ROW_RULE(table_word(range->word + low));
	rule = bpf_map_lookup_elem(&lt_unwind_rules, &number);
	return LT_RULE_WITH_TAG(rule ? *rule : LT_RULE(LT_CFA_UNSUPPORTED, 0, 0, 0), range->tag);
}

/* The executable range around an address, into thread->last_range.  1 if found. */
__weak int code_range_find(__u32 tid, __u64 address)
{
	struct lt_thread *thread = bpf_map_lookup_elem(&lt_threads, &tid);
	const struct lt_code_range *range;

	if (!thread)
		return 0;
	range = range_of(address, code_generation(thread));
	if (!range)
		return 0;
	thread->last_range.start = range->start;
	thread->last_range.end = range->end;
	return 1;
}

static __always_inline bool in_range(const struct lt_address_range *range, __u64 address)
{
	return address - range->start < range->end - range->start;
}

/* True if the address lies in a known executable mapping, which is thread->last_range then. */
static __always_inline bool is_code(struct lt_thread *thread, __u64 address)
{
	return in_range(&thread->last_range, address) ||
	       code_range_find((__u32)bpf_get_current_pid_tgid(), address);
}

#endif
