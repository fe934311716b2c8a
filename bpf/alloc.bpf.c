// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The heap: one program per allocator operation (user/probe/family.h says which function is which),
 * so that no attach cookie is needed and kernels before 5.15 do.
 *
 * A release is sent before the real free, an acquire after the real malloc: whatever order the
 * rings are read in, an address is free before it is used again.  realloc does both: its release
 * is sent at entry, and taken back (RESTORE) if the call fails, for then the old block lives on.
 */
#include "common.bpf.h"
#include "inflight.bpf.h"
#include "ring.bpf.h"
#include "stack.bpf.h"

enum operation {
	OP_ALLOCATE = 0,       /* the return value is the block */
	OP_REALLOC = 1,        /* the same, and the old block is gone if it is not NULL */
	OP_POSIX_MEMALIGN = 2, /* the block is at *pointer if the return value is 0 */
	OP_XALLOCX = 3, /* the block stays; it has the new size if the return value says so */
	OP_STRDUP = 4,  /* the block holds a string, which says how large it was asked for */
	OP_NEW = 5,     /* as OP_ALLOCATE, but there is no return probe (leave_acquire) */
};

/*
 * How many threads' latest call is a release that may lead on: while there are none, a free need
 * not look.  Too high after such a thread died, which costs time only.
 */
__u32 lt_leading_frees __weak = 0;

static __always_inline void leading_drop(struct lt_thread *thread)
{
	if (!thread->leading.sp)
		return;
	thread->leading.sp = 0;
	__sync_fetch_and_add(&lt_leading_frees, -1);
}

/* Whether the pending function has jumped here: the caller's address is its return probe's. */
static __always_inline bool continues(struct pt_regs *ctx, struct lt_thread *thread)
{
	__u64 sp = PT_REGS_SP(ctx), caller;

	return thread->pending.sp == sp &&
	       !bpf_probe_read_user(&caller, sizeof(caller), (void *)sp) &&
	       !is_code(thread, caller);
}

static __always_inline int enter_acquire(struct pt_regs *ctx, enum operation op, __u64 size,
					 __u64 pointer)
{
	struct lt_bpf_target *target = wanted(ctx);
	struct lt_thread *thread;

	if (!target)
		return 0;
	thread = thread_get(target);
	if (!thread)
		return 0;
	leading_drop(thread);
	/* glibc's reallocarray jumps to realloc, some pvalloc to memalign with whole pages: one call. */
	if (continues(ctx, thread) ||
	    !pending_push(ctx, thread, op, size, pointer, op == OP_REALLOC))
		return 0;
	if (op == OP_REALLOC && pointer)
		send_release(thread->process, LT_WIRE_RELEASE, LT_KIND_HEAP, LT_WIRE_F_REALLOC,
			     pointer);
	return 0;
}

SEC("uprobe")
int enter_malloc(struct pt_regs *ctx)
{
	return enter_acquire(ctx, OP_ALLOCATE, PT_REGS_PARM1(ctx), 0);
}

/* An overflowing product is of no matter: such a call returns NULL. */
SEC("uprobe")
int enter_calloc(struct pt_regs *ctx)
{
	return enter_acquire(ctx, OP_ALLOCATE, PT_REGS_PARM1(ctx) * PT_REGS_PARM2(ctx), 0);
}

SEC("uprobe")
int enter_memalign(struct pt_regs *ctx)
{
	return enter_acquire(ctx, OP_ALLOCATE, PT_REGS_PARM2(ctx), 0);
}

SEC("uprobe")
int enter_posix_memalign(struct pt_regs *ctx)
{
	return enter_acquire(ctx, OP_POSIX_MEMALIGN, PT_REGS_PARM3(ctx), PT_REGS_PARM1(ctx));
}

SEC("uprobe")
int enter_realloc(struct pt_regs *ctx)
{
	return enter_acquire(ctx, OP_REALLOC, PT_REGS_PARM2(ctx), PT_REGS_PARM1(ctx));
}

/* An overflow fails and keeps the block; its product may be 0, which would free it. */
static __always_inline __u64 product(__u64 count_wanted, __u64 each)
{
	__u64 size = count_wanted * each;

	opaque(size); /* or clang asks for a 128-bit product, which BPF lacks */
	return each && size / each != count_wanted ? ~0ULL : size;
}

SEC("uprobe")
int enter_reallocarray(struct pt_regs *ctx)
{
	return enter_acquire(ctx, OP_REALLOC, product(PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx)),
			     PT_REGS_PARM1(ctx));
}

/* mimalloc's functions on a heap, which is their first argument. */
SEC("uprobe")
int enter_heap_calloc(struct pt_regs *ctx)
{
	return enter_acquire(ctx, OP_ALLOCATE, PT_REGS_PARM2(ctx) * PT_REGS_PARM3(ctx), 0);
}

SEC("uprobe")
int enter_heap_realloc(struct pt_regs *ctx)
{
	return enter_acquire(ctx, OP_REALLOC, PT_REGS_PARM3(ctx), PT_REGS_PARM2(ctx));
}

SEC("uprobe")
int enter_heap_reallocarray(struct pt_regs *ctx)
{
	return enter_acquire(ctx, OP_REALLOC, product(PT_REGS_PARM3(ctx), PT_REGS_PARM4(ctx)),
			     PT_REGS_PARM2(ctx));
}

SEC("uprobe")
int enter_strdup(struct pt_regs *ctx)
{
	return enter_acquire(ctx, OP_STRDUP, 0, 0);
}

/* Operators new and their likes, by their arguments. */
SEC("uprobe")
int enter_new(struct pt_regs *ctx)
{
	return enter_acquire(ctx, OP_NEW, PT_REGS_PARM1(ctx), 0);
}

SEC("uprobe")
int enter_new_array(struct pt_regs *ctx)
{
	return enter_acquire(ctx, OP_NEW, PT_REGS_PARM1(ctx) * PT_REGS_PARM2(ctx), 0);
}

SEC("uprobe")
int enter_heap_new(struct pt_regs *ctx)
{
	return enter_acquire(ctx, OP_NEW, PT_REGS_PARM2(ctx), 0);
}

SEC("uprobe")
int enter_heap_new_array(struct pt_regs *ctx)
{
	return enter_acquire(ctx, OP_NEW, PT_REGS_PARM2(ctx) * PT_REGS_PARM3(ctx), 0);
}

/* jemalloc's realloc that never moves a block: nobody else can get the address meanwhile. */
SEC("uprobe")
int enter_xallocx(struct pt_regs *ctx)
{
	return enter_acquire(ctx, OP_XALLOCX, PT_REGS_PARM2(ctx), PT_REGS_PARM1(ctx));
}

/* Piece by piece; of a longer one this is the least. */
#define MAX_STRING_PIECES 32

static __always_inline __u64 string_size(struct lt_thread *thread, __u64 string)
{
	__u64 size = 0;

	for (int i = 0; i < MAX_STRING_PIECES; i++) {
		long got = bpf_probe_read_user_str(thread->chunk, sizeof(thread->chunk),
						   (void *)(string + size));

		if (got <= 0)
			break;
		size += got;
		if (got < (long)sizeof(thread->chunk))
			break;
		size--; /* a piece that was cut ends in a 0 of its own */
	}
	return size;
}

/* The registers are those of the caller, to which the function has just returned. */
static __always_inline int leave(struct pt_regs *ctx, struct lt_thread *thread)
{
	__u64 block = PT_REGS_RC(ctx), pointer;
	__u8 flags = 0;

	if (!thread || !pending_pop(ctx, thread))
		return 0;
	pointer = thread->pending.pointer;
	if (thread->pending.op == OP_POSIX_MEMALIGN) {
		if ((__u32)block != 0)
			return 0;
		if (bpf_probe_read_user(&block, sizeof(block), (void *)pointer)) {
			count(LT_COUNTER_RETURN_FAULT);
			return 0;
		}
	}
	if (thread->pending.op == OP_REALLOC) {
		flags = LT_WIRE_F_REALLOC;
		/* realloc(p, 0) frees p and returns NULL; any other NULL leaves p as it was. */
		if (!block && pointer && thread->pending.size)
			send_release(thread->process, LT_WIRE_RESTORE, LT_KIND_HEAP, flags,
				     pointer);
	}
	if (thread->pending.op == OP_XALLOCX) {
		if (block < thread->pending.size)
			return 0; /* there was no room behind it */
		flags = LT_WIRE_F_REALLOC;
		block = pointer;
		send_release(thread->process, LT_WIRE_RELEASE, LT_KIND_HEAP, flags, block);
	}
	if (thread->pending.op == OP_STRDUP && block)
		thread->pending.size = string_size(thread, block);
	if (block)
		send_acquire(ctx, thread, LT_KIND_HEAP, flags, block, thread->pending.size);
	return 0;
}

SEC("uretprobe")
int exit_acquire(struct pt_regs *ctx)
{
	struct lt_bpf_target *target = wanted(ctx);

	return target ? leave(ctx, thread_known(target)) : 0;
}

/*
 * At the ret instruction of a function that may throw (user/probe/returns.h): makes the registers
 * those that a return probe would see.
 */
SEC("uprobe")
int leave_acquire(struct pt_regs *ctx)
{
	struct lt_bpf_target *target = wanted(ctx);
	struct lt_thread *thread = target ? thread_known(target) : NULL;
	struct pt_regs *regs;

	/* malloc may return here as well, by way of its return probe. */
	if (!thread || thread->pending.op != OP_NEW)
		return 0;
	regs = &thread->returned;
	if (bpf_probe_read_user(&regs->rip, sizeof(regs->rip), (void *)ctx->rsp))
		return 0;
	regs->rsp = ctx->rsp + sizeof(__u64);
	regs->rax = ctx->rax;
	regs->rbx = ctx->rbx;
	regs->rbp = ctx->rbp;
	regs->r12 = ctx->r12;
	regs->r13 = ctx->r13;
	regs->r14 = ctx->r14;
	regs->r15 = ctx->r15;
	return leave(regs, thread);
}

/* What a function that throws calls on its way out, if that is not seen by where it is. */
SEC("uprobe")
int leave_by_throw(struct pt_regs *ctx)
{
	struct lt_bpf_target *target = wanted(ctx);
	struct lt_thread *thread = target ? thread_known(target) : NULL;

	if (thread && thread->pending.sp > PT_REGS_SP(ctx) && thread->pending.op == OP_NEW)
		pending_drop(&thread->pending);
	return 0;
}

/* Whether the release is part of a call that was seen already. */
static __always_inline bool release_seen(struct pt_regs *ctx, struct lt_thread *thread, __u64 block)
{
	bool led = thread->leading.sp == PT_REGS_SP(ctx) && thread->leading.block == block;

	leading_drop(thread);
	return led || (lt_pending_frees && pending_encloses(ctx, thread));
}

SEC("uprobe")
int enter_free(struct pt_regs *ctx)
{
	__u64 block = PT_REGS_PARM1(ctx);
	struct lt_bpf_target *target;
	struct lt_thread *thread;

	if (!block)
		return 0;
	target = wanted(ctx);
	if (!target)
		return 0;
	if (lt_pending_frees || lt_leading_frees) {
		thread = thread_known(target);
		if (thread && release_seen(ctx, thread, block))
			return 0;
	}
	send_release(target->process, LT_WIRE_RELEASE, LT_KIND_HEAP, 0, block);
	return 0;
}

/* As tcmalloc's sized delete, which frees by itself or jumps to free. */
SEC("uprobe")
int enter_free_leading(struct pt_regs *ctx)
{
	struct lt_bpf_target *target = wanted(ctx);
	struct lt_thread *thread = target ? thread_get(target) : NULL;
	__u64 block = PT_REGS_PARM1(ctx);

	if (!thread || !block)
		return 0;
	leading_drop(thread);
	if (lt_pending_frees && pending_encloses(ctx, thread))
		return 0;
	thread->leading.sp = PT_REGS_SP(ctx);
	thread->leading.block = block;
	__sync_fetch_and_add(&lt_leading_frees, 1);
	send_release(target->process, LT_WIRE_RELEASE, LT_KIND_HEAP, 0, block);
	return 0;
}

char LICENSE[] __weak SEC("license") = "GPL";
