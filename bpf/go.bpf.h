/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The goroutine that runs on a thread, and what is known of its creation.
 *
 * The chain of creations goes behind the frames of a stack, and is part of its id.  It is no part of
 * what a walk found, which depends on the stack's memory alone: stack_recall() knows nothing of it.
 */
#ifndef LT_GO_BPF_H
#define LT_GO_BPF_H

#include "common.bpf.h"
#include "thread.bpf.h"
#include "unwind.bpf.h"

struct lt_go_birth_key {
	__u64 goid; /* never used again in a process */
	__u32 process;
	__u32 reserved;
};

/* The ids of the stacks that it, its creator, and so on were made in; 0: from here on not known. */
struct lt_go_birth {
	__u64 stacks[LT_GO_GENERATIONS];
};

/* Those that have ended stay: what they made may live.  The oldest make room. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LT_MAX_GO_BIRTHS);
	__type(key, struct lt_go_birth_key);
	__type(value, struct lt_go_birth);
} lt_go_births __weak SEC(".maps");

/* 0 where nothing can be read. */
static __always_inline __u64 user_word(__u64 address)
{
	__u64 word = 0;

	bpf_probe_read_user(&word, sizeof(word), (void *)address);
	return word;
}

/*
 * The goroutine (struct g) of the thread whose register for that holds g: that may be the scheduler's or
 * the signal handler's as well; 0: none, or the register holds something else (in C code).
 */
static __always_inline __u64 goroutine_of(const struct lt_bpf_go *go, __u64 g)
{
	__u64 m = user_word(g + go->g_m);
	__u64 current = m ? user_word(m + go->m_curg) : 0;

	return current && user_word(current + go->g_m) == m ? current : 0;
}

/* False: its creation is not known. */
static __always_inline bool birth_find(__u32 process, __u64 goid, struct lt_go_birth *birth)
{
	struct lt_go_birth_key key = { .goid = goid, .process = process };
	const struct lt_go_birth *found = bpf_map_lookup_elem(&lt_go_births, &key);

	if (!found)
		return false;
	*birth = *found;
	/* Where it is still there, it was not given to another goroutine meanwhile. */
	return bpf_map_lookup_elem(&lt_go_births, &key) == found;
}

/* Puts a mark and a word at the end of the chain. */
static __always_inline void chain_put(struct lt_thread *thread, enum lt_mark mark, __u64 word)
{
	__u32 at = thread->chain_words;

	opaque(at);
	if (at > LT_GO_CHAIN_WORDS - 2)
		return;
	thread->chain[at] = mark;
	thread->chain[at + 1] = word;
	thread->chain_words = at + 2;
}

static __always_inline void chain_put_stacks(struct lt_thread *thread,
					     const struct lt_go_birth *birth)
{
	for (int i = 0; i < LT_GO_GENERATIONS; i++)
		if (birth->stacks[i])
			chain_put(thread, LT_MARK_CREATED_STACK, birth->stacks[i]);
}

/* The first goroutine is made by the runtime as it starts: runtime.rt0_go() in asm_amd64.s. */
#define GO_MAIN 1

/*
 * What made the goroutine that runs on this thread, into thread->chain, if it is empty: the chain if it
 * was seen, else the instruction that its runtime noted.  A global function: verified once.
 */
__weak int chain_find(__u32 tid, __u64 g)
{
	struct lt_thread *thread = bpf_map_lookup_elem(&lt_threads, &tid);
	const struct lt_bpf_go *go;
	struct lt_go_birth birth;
	__u64 goroutine, goid, pc;
	__u32 process;

	if (!thread)
		return 0;
	process = thread->process;
	go = bpf_map_lookup_elem(&lt_go_layouts, &process);
	goroutine = go ? goroutine_of(go, g) : 0;
	if (!goroutine)
		return 0;
	goid = user_word(goroutine + go->g_goid);
	if (goid == GO_MAIN)
		return 0;
	if (birth_find(process, goid, &birth)) {
		chain_put_stacks(thread, &birth);
		return 0;
	}
	pc = user_word(goroutine + go->g_gopc);
	if (pc)
		chain_put(thread, LT_MARK_CREATED, pc);
	return 0;
}

/* The id of a stack with the chain behind it. */
static __always_inline __u64 chain_hash(const struct lt_thread *thread, __u64 stack_id)
{
	for (__u32 i = 0; i < LT_GO_CHAIN_WORDS; i++) {
		if (i >= thread->chain_words)
			break;
		stack_id = stack_hash(stack_id, thread->chain[i]);
	}
	return stack_id;
}

/* Puts the chain behind the frames that were walked; the new id.  Outer frames make room. */
__weak __u64 chain_append(__u32 tid)
{
	struct lt_thread *thread = bpf_map_lookup_elem(&lt_threads, &tid);
	__u32 frames, words;

	if (!thread)
		return 0;
	frames = thread->stack.frame_count;
	words = thread->chain_words;
	if (words > LT_GO_CHAIN_WORDS)
		return 0;
	if (frames > LT_MAX_FRAMES - words) {
		frames = LT_MAX_FRAMES - words;
		thread->stack.end = LT_STACK_LIMIT;
	}
	for (__u32 i = 0; i < LT_GO_CHAIN_WORDS; i++) {
		__u32 at = frames + i;

		if (i >= words)
			break;
		opaque(at);
		thread->frames[at & LT_MAX_FRAMES] = thread->chain[i]; /* 127: a mask, too */
	}
	thread->stack.frame_count = frames + words;
	thread->stack.stack_id = chain_hash(thread, thread->stack.stack_id);
	return thread->stack.stack_id;
}

#endif
