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
};

static __always_inline int enter_acquire(struct pt_regs *ctx, enum operation op, __u64 size,
					 __u64 pointer)
{
	__u32 tid = wanted_tid(ctx);
	struct lt_thread *thread;
	bool told;

	if (!tid)
		return 0;
	thread = thread_get(tid);
	if (!thread)
		return 0;
	/* glibc's reallocarray jumps to realloc: one call, whose release was sent already. */
	told = thread->pending.sp == PT_REGS_SP(ctx) && thread->pending.op == OP_REALLOC &&
	       thread->pending.pointer == pointer;
	if (!pending_push(ctx, thread, op, size, pointer, op == OP_REALLOC))
		return 0;
	if (op == OP_REALLOC && pointer && !told)
		send_release(LT_WIRE_RELEASE, LT_KIND_HEAP, LT_WIRE_F_REALLOC, pointer);
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

SEC("uprobe")
int enter_reallocarray(struct pt_regs *ctx)
{
	__u64 count_wanted = PT_REGS_PARM2(ctx), each = PT_REGS_PARM3(ctx);
	__u64 size = count_wanted * each;

	/* An overflow fails and keeps the block; its product may be 0, which would free it. */
	opaque(size); /* or clang asks for a 128-bit product, which BPF lacks */
	if (each && size / each != count_wanted)
		size = ~0ULL;
	return enter_acquire(ctx, OP_REALLOC, size, PT_REGS_PARM1(ctx));
}

/* jemalloc's realloc that never moves a block: nobody else can get the address meanwhile. */
SEC("uprobe")
int enter_xallocx(struct pt_regs *ctx)
{
	return enter_acquire(ctx, OP_XALLOCX, PT_REGS_PARM2(ctx), PT_REGS_PARM1(ctx));
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
			send_release(LT_WIRE_RESTORE, LT_KIND_HEAP, flags, pointer);
	}
	if (thread->pending.op == OP_XALLOCX) {
		if (block < thread->pending.size)
			return 0; /* there was no room behind it */
		flags = LT_WIRE_F_REALLOC;
		block = pointer;
		send_release(LT_WIRE_RELEASE, LT_KIND_HEAP, flags, block);
	}
	if (block)
		send_acquire(ctx, thread, LT_KIND_HEAP, flags, block, thread->pending.size);
	return 0;
}

SEC("uretprobe")
int exit_acquire(struct pt_regs *ctx)
{
	__u32 tid = wanted_tid(ctx);

	return tid ? leave(ctx, thread_find(tid)) : 0;
}

/*
 * At the ret instruction of a function that may throw (user/probe/returns.h): makes the registers
 * those that a return probe would see.
 */
SEC("uprobe")
int leave_acquire(struct pt_regs *ctx)
{
	__u32 tid = wanted_tid(ctx);
	struct lt_thread *thread;
	struct pt_regs *regs;

	thread = tid ? thread_find(tid) : NULL;
	if (!thread)
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

SEC("uprobe")
int enter_free(struct pt_regs *ctx)
{
	__u64 block = PT_REGS_PARM1(ctx);
	struct lt_thread *thread;
	__u32 tid;

	if (!block)
		return 0;
	tid = wanted_tid(ctx);
	if (!tid)
		return 0;
	if (lt_pending_frees) {
		thread = thread_find(tid);
		if (thread && pending_encloses(ctx, thread))
			return 0;
	}
	send_release(LT_WIRE_RELEASE, LT_KIND_HEAP, 0, block);
	return 0;
}

char LICENSE[] __weak SEC("license") = "GPL";
