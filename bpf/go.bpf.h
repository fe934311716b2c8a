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

/*
 * Told to nobody: user space looks up those that it meets in a walk, and takes what was written by halves for
 * nothing.  Most are gone by then, and a record of each in a ring cost more than all else.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
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

/* As much of struct g as holds all fields that are read, in one piece: one read costs as much as a word. */
#define G_BYTES 320

/* A goroutine: what is read of its struct g. */
struct lt_goroutine {
	__u64 g, goid, gopc, sp, bp;
	__u64 stack_low, stack_top;
};

/* 0 of what was not read. */
static __always_inline __u64 word_of_g(const struct lt_thread *thread, __u64 offset)
{
	opaque(offset);
	return offset <= G_BYTES - sizeof(__u64) ? *(__u64 *)(thread->chunk + offset) : 0;
}

#define M_G0 0 /* struct m, runtime/runtime2.go: its first field */

/*
 * The machine (struct m) of a thread whose register for that holds g: that may be the scheduler's or the
 * signal handler's as well, or something else (in C code).
 */
static __always_inline __u64 machine_of(const struct lt_thread *thread, const struct lt_bpf_go *go,
					__u64 g)
{
	return g && g == thread->g0 ? thread->m : user_word(g + go->g_m);
}

/* The same, where g is most likely the thread's g0, whose machine stays the same as long as it lives. */
static __always_inline __u64 machine_of_g0(struct lt_thread *thread, const struct lt_bpf_go *go,
					   __u64 g)
{
	__u64 m = machine_of(thread, go, g);

	if (m && g != thread->g0 && user_word(m + M_G0) == g) {
		thread->g0 = g;
		thread->m = m;
	}
	return m;
}

/*
 * The goroutine (struct g) that a machine runs.  False: none, or that is no machine.  It is read into thread->chunk.
 */
static __always_inline bool goroutine_find(struct lt_thread *thread, const struct lt_bpf_go *go,
					   __u64 m, struct lt_goroutine *goroutine)
{
	__u64 current = m ? user_word(m + go->m_curg) : 0;

	if (!current || bpf_probe_read_user(thread->chunk, G_BYTES, (void *)current) ||
	    word_of_g(thread, go->g_m) != m)
		return false;
	goroutine->g = current;
	goroutine->goid = word_of_g(thread, go->g_goid);
	goroutine->gopc = word_of_g(thread, go->g_gopc);
	goroutine->sp = word_of_g(thread, go->g_sched_sp);
	goroutine->bp = word_of_g(thread, go->g_sched_bp);
	goroutine->stack_low = word_of_g(thread, GO_G_STACK_LO);
	goroutine->stack_top = word_of_g(thread, GO_G_STACK_HI);
	return true;
}

/*
 * NULL: its creation is not known.  What is found does not change while the goroutine runs.  Some are made
 * elsewhere (iter.Pull's): what is found is of another one then, whose gopc is another.
 */
static __always_inline const struct lt_go_birth *birth_find(__u32 process,
							    const struct lt_goroutine *of)
{
	struct lt_go_birth_key key = { .g = of->g, .process = process };
	const struct lt_go_birth *found = bpf_map_lookup_elem(&lt_go_births, &key);

	return found && found->gopc == of->gopc ? found : NULL;
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

/* The next walk begins there; on the goroutine's stack, or on that of the system. */
static __always_inline void walk_from(struct lt_thread *thread,
				      const struct lt_goroutine *goroutine, __u64 sp)
{
	thread->stack_top = sp - goroutine->stack_low < goroutine->stack_top - goroutine->stack_low
				    ? goroutine->stack_top
				    : 0;
}

/*
 * What made the goroutine that runs on this thread, into thread->chain, if it is empty: the chain if it
 * was seen, else the instruction that its runtime noted.  Its stack will be walked from sp on.  A global function:
 * verified once.
 */
__weak int chain_find(__u32 tid, __u64 g, __u64 sp)
{
	struct lt_thread *thread = bpf_map_lookup_elem(&lt_threads, &tid);
	const struct lt_go_birth *birth;
	struct lt_goroutine goroutine;

	if (!thread ||
	    !goroutine_find(thread, &thread->go, machine_of(thread, &thread->go, g), &goroutine))
		return 0;
	walk_from(thread, &goroutine, sp);
	if (goroutine.goid == GO_MAIN)
		return 0;
	birth = birth_find(thread->process, &goroutine);
	if (birth)
		chain_put_stacks(thread, birth);
	else if (goroutine.gopc)
		chain_put(thread, LT_MARK_CREATED, goroutine.gopc);
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
