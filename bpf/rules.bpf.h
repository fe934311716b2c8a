/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rule by which the code of a frame is unwound: out of the tables (code.bpf.h), and from then on out
 * of a cache.
 */
#ifndef LT_RULES_BPF_H
#define LT_RULES_BPF_H

#include "code.bpf.h"
#include "common.bpf.h"

#define USER_END (1ULL << 47) /* Documentation/arch/x86/x86_64/mm.rst */

/*
 * Two words that are written without a lock and cannot be mistaken when half of them is another
 * writer's (R. Hyatt, T. Mann: "A lockless transposition table", 2002).
 */
struct lt_slot {
	__u64 check; /* hash ^ value */
	__u64 value;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LT_RULE_SLOTS);
	__type(key, __u32);
	__type(value, struct lt_slot);
} lt_rule_cache __weak SEC(".maps");

/*
 * Fibonacci hashing again, and injective, so that equal hashes mean equal addresses; the generation
 * is spread over all bits, so that two of them do not differ by an address.
 */
static __always_inline __u64 rule_hash(__u64 frame, __u32 generation)
{
	return ((frame - 1) ^ (generation + 1) * 0xff51afd7ed558ccdULL) * 0x9e3779b97f4a7c15ULL;
}

static __always_inline struct lt_slot *rule_slot(__u64 hash)
{
	__u32 index = hash >> 40 & (LT_RULE_SLOTS - 1);

	return bpf_map_lookup_elem(&lt_rule_cache, &index);
}

/*
 * True if a call instruction ends at the address: E8 rel32, or FF /2 in any of its lengths (Intel
 * SDM 2, CALL).
 */
static __always_inline bool behind_call(__u64 address)
{
	__u8 code[8];

	if (bpf_probe_read_user(code, sizeof(code), (void *)(address - sizeof(code))))
		return false;
	if (code[3] == 0xe8)
		return true;
	for (int length = 2; length <= 7; length++)
		if (code[8 - length] == 0xff && (code[9 - length] & 0x38) == 0x10)
			return true;
	return false;
}

/* The rule for the code of a frame, in the call. */
static __always_inline __u64 rule_of(__u64 frame, __u32 generation)
{
	__u64 hash = rule_hash(frame, generation), rule;
	struct lt_slot *slot = rule_slot(hash);

	if (frame - 1 >= USER_END)
		return LT_RULE(LT_CFA_NO_CODE, 0, 0, 0);
	if (!slot)
		return LT_RULE(LT_CFA_UNSUPPORTED, 0, 0, 0);
	rule = *(volatile __u64 *)&slot->value; /* once: another CPU may change it meanwhile */
	if ((slot->check ^ rule) == hash)
		return rule;
	rule = rule_find(frame - 1, generation);
	/*
	 * An address that is the very first of its code was laid there, not pushed by a call: by a
	 * signal, or as the bottom of a stack that code made for itself (glibc's makecontext).
	 */
	if (LT_RULE_CFA(rule) == LT_CFA_NONE) {
		__u64 at = rule_find(frame, generation);

		if (LT_RULE_CFA(at) == LT_CFA_SIGNAL)
			rule = at;
		else if (LT_RULE_CFA(at) != LT_CFA_NONE && LT_RULE_CFA(at) != LT_CFA_NO_CODE &&
			 LT_RULE_CFA(at) != LT_CFA_PENDING && !behind_call(frame))
			rule = LT_RULE_WITH_TAG(LT_RULE(LT_CFA_START, 0, 0, 0), LT_RULE_TAG(at));
	}
	slot->check = hash ^ rule;
	slot->value = rule;
	return rule;
}

#endif
