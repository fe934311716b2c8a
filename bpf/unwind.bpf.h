/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From registers to return addresses, by unwind tables (code.bpf.h).
 *
 * A frame is stepped over by its rule: the canonical frame address (CFA) is the caller's stack
 * pointer, the return address lies below it, the caller's RBP is where the rule says.  Code without
 * a rule is stepped over by its frame pointer, if that holds up: it climbs, and it leads to an
 * address behind a call.  Every return address must lie in executable memory.  Whatever else comes
 * ends the walk with a reason: a chain is never guessed.
 *
 * The state lives in the thread's map element and a few frames are stepped over in each call of a
 * global function: the verifier looks at that once, on kernels from 5.10 on.  Also compiled natively, for tests: tests/native.
 */
#ifndef LT_UNWIND_BPF_H
#define LT_UNWIND_BPF_H

#include "code.bpf.h"
#include "common.bpf.h"
#include "kernel.bpf.h"
#include "rules.bpf.h"
#include "thread.bpf.h"

#define MAX_FRAME_BYTES   (8 << 20)  /* a frame beyond the default stack limit is no frame */
#define MAX_POINTED_BYTES (64 << 10) /* ... and one that a frame pointer spans is far smaller */
#define USER_PAGE         4096
#define CHUNK_HALF        (LT_STACK_CHUNK / 2)
#define STEPS_PER_CALL    1
#define FRAMES_PER_RUN    32
#define MAX_RETURN_TRAPS  32 /* return probes pending in one thread; the kernel allows 64 */
#define MAX_SWITCHES      4  /* of stacks: each call from C back to Go adds one; no loop */

/* DWARF numbers of the registers, System V psABI for x86-64, figure 3.36. */
#define DWARF_RBX  3
#define DWARF_R12  12
#define DWARF_R13  13
#define DWARF_R14  14
#define DWARF_R15  15
#define DWARF_LAST 15

/*
 * Offsets in struct ucontext: uc_mcontext begins at 40 with R8 (arch/x86/include/uapi/asm/
 * sigcontext.h, struct sigcontext_64).
 */
#define CONTEXT_RBP 120
#define CONTEXT_RSP 160
#define CONTEXT_RIP 168

/* Of DWARF register n, in words, a byte each: RAX RDX RCX RBX RSI RDI RBP RSP, R8 ... R15 */
#define CONTEXT_LOW     0x140f0d0e10131112ULL
#define CONTEXT_HIGH    0x0c0b0a0908070605ULL
#define CONTEXT_WORD(n) ((((n) < 8 ? CONTEXT_LOW : CONTEXT_HIGH) >> ((n)&7) * 8) & 0xff)

static __always_inline __u64 stack_hash(__u64 hash, __u64 frame)
{
	hash = (hash ^ frame) * 0xff51afd7ed558ccdULL;
	return hash ^ hash >> 32;
}

/* A frame is its address, and which code that is. */
static __always_inline __u64 hash_frame(__u64 hash, __u64 frame, __u64 rule)
{
	return stack_hash(hash, frame ^ (__u64)LT_RULE_TAG(rule) << 56);
}

static __always_inline bool walk_ends(struct lt_walk *walk, enum lt_stack_end end)
{
	walk->end = end;
	return false;
}

/*
 * Copies half a chunk of stack from an address on.  A read over the end of the stack's mapping
 * fails and costs a page fault (16 us), so the end is remembered.
 */
static __always_inline __u32 stack_copy(struct lt_thread *thread, void *to, __u64 from)
{
	__u64 size = CHUNK_HALF, left = thread->stack_end - from;

	if (left < size)
		size = left;
	opaque(size);
	if (size == 0 || size > CHUNK_HALF)
		return 0;
	if (bpf_probe_read_user(to, size, (void *)from) == 0)
		return size;
	size = USER_PAGE - (from & (USER_PAGE - 1));
	opaque(size);
	if (size > CHUNK_HALF || bpf_probe_read_user(to, size, (void *)from))
		return 0;
	if (!thread->walk.switches) /* of the stack that the thread's walks begin on */
		thread->stack_end = from + size;
	return size;
}

/* One word of the stack: from the chunk, which is filled as needed. */
static __always_inline bool stack_word(struct lt_thread *thread, __u64 address, __u64 *word)
{
	struct lt_walk *walk = &thread->walk;
	__u64 offset = address - walk->chunk_base;

	if (offset + sizeof(*word) > walk->chunk_size || offset > LT_STACK_CHUNK) {
		if (walk->chunk_size == CHUNK_HALF && offset <= LT_STACK_CHUNK - sizeof(*word)) {
			walk->chunk_size += stack_copy(thread, thread->chunk + CHUNK_HALF,
						       walk->chunk_base + CHUNK_HALF);
		} else {
			walk->chunk_base = address;
			walk->chunk_size = stack_copy(thread, thread->chunk, address);
			offset = 0;
		}
		if (offset + sizeof(*word) > walk->chunk_size)
			return bpf_probe_read_user(word, sizeof(*word), (void *)address) == 0;
	}
	opaque(offset);
	if (offset > LT_STACK_CHUNK - sizeof(*word))
		return false;
	*word = *(__u64 *)(thread->chunk + offset);
	return true;
}

/* The result of the walk depends on this word of the stack (or no layout can hold it). */
static __always_inline void depend(struct lt_thread *thread, __u64 offset)
{
	struct lt_layout *draft = &thread->draft;
	__u32 count = draft->count;

	opaque(count);
	if (offset > LT_STACK_CHUNK - sizeof(__u64) || count >= LT_LAYOUT_SLOTS) {
		thread->walk.unique = 1;
		return;
	}
	draft->offsets[count] = offset;
	draft->count = count + 1;
	if (draft->span < offset + sizeof(__u64))
		draft->span = offset + sizeof(__u64);
}

/* RBP is about to be used. */
static __always_inline bool use_bp(struct lt_thread *thread)
{
	struct lt_walk *walk = &thread->walk;

	if (walk->bp_slot == LT_BP_COUNTED)
		return true;
	if (walk->bp_slot == LT_BP_UNKNOWN)
		return false;
	thread->draft.bp |= LT_LAYOUT_BP;
	if (walk->bp_slot == LT_BP_START)
		thread->draft.bp |= LT_LAYOUT_BP_START;
	else
		depend(thread, walk->bp_slot);
	walk->bp_slot = LT_BP_COUNTED;
	return true;
}

/* A register of the frame in hand, as far as it is known. */
static __always_inline bool frame_register(struct lt_thread *thread, __u32 number, __u64 *value)
{
	struct lt_walk *walk = &thread->walk;

	walk->unique = 1;
	if (walk->context) {
		if (number > DWARF_LAST)
			return false;
		return stack_word(thread, walk->context + CONTEXT_WORD(number) * 8, value);
	}
	if (walk->frames != 1)
		return false;
	switch (number) {
	case DWARF_RBX:
		*value = walk->rbx;
		return true;
	case DWARF_R12:
		*value = walk->r12;
		return true;
	case DWARF_R13:
		*value = walk->r13;
		return true;
	case DWARF_R14:
		*value = walk->r14;
		return true;
	case DWARF_R15:
		*value = walk->r15;
		return true;
	}
	return false;
}

/* True if the code there is "mov $15, %rax; syscall": a signal trampoline without CFI (musl's). */
static __always_inline bool at_sigreturn(__u64 address)
{
	struct {
		__u64 head;
		__u8 tail;
	} code = {};

	return bpf_probe_read_user(&code, 9, (void *)address) == 0 &&
	       code.head == 0x0f0000000fc0c748ULL && code.tail == 0x05;
}

/*
 * A return probe put its trampoline into the stack: the kernel knows what was there.  It keeps the
 * newest first.
 */
static __always_inline __u64 return_trap(__u64 slot)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct return_instance *instance = BPF_CORE_READ(task, utask, return_instances);

	for (int i = 0; i < MAX_RETURN_TRAPS && instance; i++) {
		if (BPF_CORE_READ(instance, stack) == slot)
			return BPF_CORE_READ(instance, orig_ret_vaddr);
		instance = BPF_CORE_READ(instance, next);
	}
	return 0;
}

/* The next frame is known: may it be one?  slot: where its address stands in the stack. */
static __always_inline bool enter_frame(struct lt_thread *thread, __u64 frame, __u64 slot)
{
	struct lt_walk *walk = &thread->walk;
	__u32 count = walk->frames;

	/* What runtimes put below the first frame of a stack that they made, if it is not chance.
	 */
	if (frame == 0)
		return walk_ends(walk,
				 walk->by_frame_pointer ? LT_STACK_COMPLETE : LT_STACK_NO_CODE);
	walk->rule = rule_of(frame, walk->generation);
	/* An interrupted frame may be anywhere, in the byte before a function, too. */
	if (!slot && LT_RULE_CFA(walk->rule) == LT_CFA_START)
		walk->rule = rule_find(frame - 1, walk->generation);
	if (LT_RULE_CFA(walk->rule) == LT_CFA_NO_CODE && slot) {
		frame = return_trap(slot);
		if (!frame)
			return walk_ends(walk, LT_STACK_NO_CODE);
		walk->unique = 1;
		walk->rule = rule_of(frame, walk->generation);
	}
	if (LT_RULE_CFA(walk->rule) == LT_CFA_NO_CODE)
		return walk_ends(walk, LT_STACK_NO_CODE);
	if (count >= lt_config.max_frames)
		return walk_ends(walk, LT_STACK_LIMIT);
	opaque(count);
	thread->frames[count & LT_MAX_FRAMES] = frame; /* 127: a mask, too */
	walk->frames = count + 1;
	walk->hash = hash_frame(walk->hash, frame, walk->rule);
	return true;
}

/* Out of a signal handler, into the code that it interrupted. */
static __always_inline bool step_signal(struct lt_thread *thread)
{
	struct lt_walk *walk = &thread->walk;
	__u64 context = walk->sp, sp, ip;
	__u32 last;

	walk->unique = 1;
	if (++walk->signals > LT_MAX_SIGNAL_FRAMES)
		return walk_ends(walk, LT_STACK_IMPLAUSIBLE);
	/* The trampoline was not called: it is looked up where it begins. */
	last = walk->frames - 1;
	opaque(last);
	if (last < LT_MAX_FRAMES)
		thread->frames[last]++;
	if (!stack_word(thread, context + CONTEXT_RSP, &sp) ||
	    !stack_word(thread, context + CONTEXT_RIP, &ip) ||
	    !stack_word(thread, context + CONTEXT_RBP, &walk->bp))
		return walk_ends(walk, LT_STACK_FAULT);
	walk->by_frame_pointer = 0;
	walk->bp_slot = LT_BP_COUNTED;
	walk->context = context;
	walk->sp = sp; /* may be on another stack */
	return enter_frame(thread, ip + 1, 0);
}

/* Over a frame whose CFA is known; bp: where the caller's RBP is, from there. */
static __always_inline bool step_over(struct lt_thread *thread, __u64 cfa, __s32 bp)
{
	struct lt_walk *walk = &thread->walk;
	__u64 size = cfa - walk->sp, frame;

	if (size < 8 || size > MAX_FRAME_BYTES || (cfa & 7))
		return walk_ends(walk, LT_STACK_IMPLAUSIBLE);
	if (!stack_word(thread, cfa - 8, &frame))
		return walk_ends(walk, LT_STACK_FAULT);
	depend(thread, cfa - 8 - walk->frame_sp);
	if (bp == (__s16)LT_BP_LOST) {
		walk->bp_slot = LT_BP_UNKNOWN;
	} else if (bp) {
		__u64 at = bp == (__s16)LT_BP_AT_BP ? walk->bp : cfa + bp;

		if (bp == (__s16)LT_BP_AT_BP && !use_bp(thread))
			return walk_ends(walk, LT_STACK_UNSUPPORTED);
		if (!stack_word(thread, at, &walk->bp))
			return walk_ends(walk, LT_STACK_FAULT);
		/* Far offsets are no LT_BP_ values by chance; depend() refuses them. */
		walk->bp_slot = at - walk->frame_sp < LT_STACK_CHUNK ? at - walk->frame_sp
								     : LT_STACK_CHUNK;
	}
	walk->sp = cfa;
	walk->context = 0;
	return enter_frame(thread, frame, cfa - 8);
}

/*
 * RBP may point into another stack than RSP, where code switched stacks by itself: then there is
 * something unreadable in between, a guard page at least, or a great distance.
 */
static __always_inline bool same_stack(__u64 sp, __u64 bp)
{
	__u8 byte;

	if (bp < sp || bp - sp > MAX_POINTED_BYTES || (bp & 7))
		return false;
	sp |= USER_PAGE - 1;
	for (int i = 0; i < MAX_POINTED_BYTES / USER_PAGE && sp < bp; i++) {
		if (bpf_probe_read_user(&byte, 1, (void *)sp))
			return false;
		sp += USER_PAGE;
	}
	return true;
}

static __always_inline bool step_frame_pointer(struct lt_thread *thread)
{
	struct lt_walk *walk = &thread->walk;
	__u64 frame;

	if (!use_bp(thread))
		return walk_ends(walk, LT_STACK_NO_FRAME);
	/* The psABI marks the outermost frame so; but a first RBP of 0 may be anything. */
	if (walk->bp == 0)
		return walk_ends(walk,
				 walk->by_frame_pointer ? LT_STACK_COMPLETE : LT_STACK_NO_FRAME);
	if (!same_stack(walk->sp, walk->bp))
		return walk_ends(walk, LT_STACK_NO_FRAME);
	if (!stack_word(thread, walk->bp + 8, &frame))
		return walk_ends(walk, LT_STACK_FAULT);
	if (frame ? !behind_call(frame) &&
			    LT_RULE_CFA(rule_of(frame, walk->generation)) != LT_CFA_NO_CODE
		  : !walk->by_frame_pointer)
		return walk_ends(walk, LT_STACK_NO_FRAME);
	walk->by_frame_pointer = 1;
	walk->unsure = 1;
	return step_over(thread, walk->bp + 16, -16);
}

#define GO_G_STACK_LO 0 /* struct g: stack.lo, stack.hi */
#define GO_G_STACK_HI 8

/*
 * Where the stack was that a frame left.  RBP says it, but C may have called Go, which moved that stack:
 * so asmcgocall notes its g and how deep it was, or without a g where it was (runtime/asm_amd64.s).
 */
static __always_inline bool switched_from(struct lt_thread *thread, __u32 note, __u64 *base)
{
	struct lt_walk *walk = &thread->walk;
	__u64 noted[2], high;

	if (!note) {
		*base = walk->bp;
		return use_bp(thread) || walk_ends(walk, LT_STACK_UNSUPPORTED);
	}
	if (bpf_probe_read_user(noted, sizeof(noted), (void *)(walk->sp + 8 * (note - 1))))
		return walk_ends(walk, LT_STACK_FAULT);
	*base = noted[0];
	if (!noted[1])
		return true;
	if (bpf_probe_read_user(&high, sizeof(high), (void *)(noted[1] + GO_G_STACK_HI)))
		return walk_ends(walk, LT_STACK_FAULT);
	*base = high - noted[0];
	return true;
}

/*
 * Over a frame whose function went on to another stack.  From there on it is that stack that the walk
 * reads.  What it depends on there no layout can hold.
 */
static __always_inline bool step_switch(struct lt_thread *thread, __u64 rule)
{
	struct lt_walk *walk = &thread->walk;
	__u64 base, cfa, frame;

	walk->unique = 1;
	if (!switched_from(thread, LT_RULE_REGISTER(rule), &base))
		return false;
	if (++walk->switches > MAX_SWITCHES)
		return walk_ends(walk, LT_STACK_IMPLAUSIBLE);
	cfa = base + LT_RULE_OFFSET(rule);
	if (bpf_probe_read_user(&frame, sizeof(frame), (void *)(cfa - 8)))
		return walk_ends(walk, LT_STACK_FAULT);
	/* It may be anything, and no distance tells. */
	if (!behind_call(frame))
		return walk_ends(walk, LT_STACK_IMPLAUSIBLE);
	walk->sp = walk->frame_sp = walk->chunk_base = base;
	walk->chunk_size = stack_copy(thread, thread->chunk, base);
	thread->draft.count = 0;
	walk->by_frame_pointer = 0;
	return step_over(thread, cfa, LT_RULE_BP(rule));
}

/* From the frame in hand to its caller.  False: the walk is over, walk->end says how. */
static __always_inline bool step(struct lt_thread *thread)
{
	struct lt_walk *walk = &thread->walk;
	__u64 rule = walk->rule, cfa;
	__s64 offset = LT_RULE_OFFSET(rule);
	__u32 last = walk->frames - 1;
	__u64 frame;

	opaque(last);
	if (last >= LT_MAX_FRAMES)
		return walk_ends(walk, LT_STACK_LIMIT);
	frame = thread->frames[last];
	switch (LT_RULE_CFA(rule)) {
	case LT_CFA_SP:
		cfa = walk->sp + offset;
		break;
	case LT_CFA_BP:
		if (!use_bp(thread))
			return walk_ends(walk, LT_STACK_UNSUPPORTED);
		cfa = walk->bp + offset;
		break;
	case LT_CFA_BP_DEREF:
		if (!use_bp(thread))
			return walk_ends(walk, LT_STACK_UNSUPPORTED);
		if (!stack_word(thread, walk->bp + offset, &cfa))
			return walk_ends(walk, LT_STACK_FAULT);
		depend(thread, walk->bp + offset - walk->frame_sp);
		break;
	case LT_CFA_REGISTER:
		if (!frame_register(thread, LT_RULE_REGISTER(rule), &cfa))
			return walk_ends(walk, LT_STACK_UNSUPPORTED);
		cfa += offset;
		break;
	case LT_CFA_PLT:
		cfa = walk->sp + (((frame - 1) & 15) >= (__u64)offset ? 16 : 8);
		break;
	case LT_CFA_SIGNAL:
		return step_signal(thread);
	case LT_CFA_SWITCH:
		return step_switch(thread, rule);
	case LT_CFA_START:
		thread->frames[last]++; /* looked up where it begins */
		if (!offset)
			return walk_ends(walk, LT_STACK_COMPLETE);
		cfa = walk->sp + offset;
		break;
	case LT_CFA_END:
		return walk_ends(walk, LT_STACK_COMPLETE);
	case LT_CFA_NONE:
		return at_sigreturn(frame) ? step_signal(thread) : step_frame_pointer(thread);
	case LT_CFA_PENDING:
		return walk_ends(walk, LT_STACK_PENDING);
	default:
		return walk_ends(walk, LT_STACK_UNSUPPORTED);
	}
	walk->by_frame_pointer = 0;
	return step_over(thread, cfa, LT_RULE_BP(rule));
}

/*
 * Steps over plain frames, as most are: the CFA from RSP, everything in the chunk, the rule in the
 * cache.  The same as step() would do, with the state in registers.  Stops where that is not
 * enough.
 */
static __always_inline void run(struct lt_thread *thread)
{
	struct lt_walk *walk = &thread->walk;
	__u64 sp = walk->sp, rule = walk->rule, next, hash, frame, offset, bp_at;
	__u64 walked = walk->hash;
	__u32 frames = walk->frames, count = thread->draft.count;
	struct lt_slot *slot;

	if (walk->chunk_base != walk->frame_sp || walk->context || (sp & 7))
		return;
	for (int i = 0; i < FRAMES_PER_RUN; i++) {
		if (LT_RULE_CFA(rule) != LT_CFA_SP || LT_RULE_OFFSET(rule) < 8)
			break;
		offset = sp + LT_RULE_OFFSET(rule) - 8 - walk->frame_sp;
		opaque(offset);
		if (offset > LT_STACK_CHUNK - 8 || offset + 8 > walk->chunk_size || (offset & 7))
			break;
		frame = *(__u64 *)(thread->chunk + offset);
		hash = rule_hash(frame, walk->generation);
		slot = rule_slot(hash);
		if (!slot || frame - 1 >= USER_END)
			break;
		next = *(volatile __u64 *)&slot->value;
		if ((slot->check ^ next) != hash || LT_RULE_CFA(next) == LT_CFA_NO_CODE)
			break;
		if (frames >= lt_config.max_frames || count >= LT_LAYOUT_SLOTS)
			break;
		if (LT_RULE_BP(rule) == (__s16)LT_BP_LOST) {
			walk->bp_slot = LT_BP_UNKNOWN;
		} else if (LT_RULE_BP(rule) == (__s16)LT_BP_AT_BP) {
			break;
		} else if (LT_RULE_BP(rule)) {
			bp_at = offset + 8 + LT_RULE_BP(rule);
			opaque(bp_at);
			if (bp_at > LT_STACK_CHUNK - 8 || bp_at + 8 > walk->chunk_size)
				break;
			walk->bp = *(__u64 *)(thread->chunk + bp_at);
			walk->bp_slot = bp_at;
		}
		opaque(frames);
		opaque(count);
		thread->frames[frames++ & LT_MAX_FRAMES] = frame; /* 127: a mask, too */
		thread->draft.offsets[count++ & (LT_LAYOUT_SLOTS - 1)] = offset;
		if (thread->draft.span < offset + 8)
			thread->draft.span = offset + 8;
		sp += LT_RULE_OFFSET(rule);
		rule = next;
		walked = hash_frame(walked, frame, rule);
	}
	if (walk->frames != frames)
		walk->by_frame_pointer = 0;
	walk->sp = sp;
	walk->rule = rule;
	walk->hash = walked;
	walk->frames = frames;
	thread->draft.count = count;
}

/* Some steps; 1 when the walk is over. */
__weak int unwind_some(__u32 tid)
{
	struct lt_thread *thread = bpf_map_lookup_elem(&lt_threads, &tid);

	if (!thread)
		return 1;
	for (int i = 0; i < STEPS_PER_CALL; i++) {
		run(thread);
		if (!step(thread))
			return 1;
	}
	return 0;
}

/* Fills thread->frames and thread->walk.end, from registers whose IP is a return address. */
static __always_inline void unwind(struct pt_regs *ctx, struct lt_thread *thread)
{
	struct lt_walk *walk = &thread->walk;
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	__u64 ip = PT_REGS_IP(ctx); /* read once: verifiers refuse an address in ctx that is kept */

	walk->sp = walk->frame_sp = PT_REGS_SP(ctx);
	walk->bp = PT_REGS_FP(ctx);
	walk->rbx = ctx->rbx;
	walk->r12 = ctx->r12;
	walk->r13 = ctx->r13;
	walk->r14 = ctx->r14;
	walk->r15 = ctx->r15;
	walk->bp_slot = LT_BP_START;
	walk->context = 0;
	walk->signals = 0;
	walk->switches = 0;
	walk->hash = 0;
	walk->unique = 0;
	walk->unsure = 0;
	walk->by_frame_pointer = 0;
	walk->frames = 0;
	walk->generation = code_generation(thread);
	walk->end = LT_STACK_LIMIT;
	thread->draft.count = 0;
	thread->draft.span = 0;
	thread->draft.bp = 0;
	if (!enter_frame(thread, ip, 0)) {
		/* The caller is right in any case. */
		thread->frames[0] = ip;
		walk->frames = 1;
		walk->hash = hash_frame(0, thread->frames[0], 0);
		return;
	}
	if (lt_config.max_frames <= 1)
		return;
	walk->chunk_base = walk->sp;
	walk->chunk_size = stack_copy(thread, thread->chunk, walk->sp);
	for (int i = 0; i < LT_MAX_FRAMES / STEPS_PER_CALL + 1; i++)
		if (unwind_some(tid))
			break;
	/* Code that does not keep its frame pointer (HotSpot's, for one) lets that of a caller pass. */
	if (walk->end == LT_STACK_COMPLETE && walk->unsure)
		walk->end = LT_STACK_UNSURE;
	/* Tables changed meanwhile: only what was there before the walk is sure. */
	if (walk->generation != code_generation(thread)) {
		walk->frames = 1;
		walk->hash = hash_frame(0, thread->frames[0], 0);
		walk->end = LT_STACK_PENDING;
	}
}

#endif
