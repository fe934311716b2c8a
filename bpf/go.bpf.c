// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Go programs, at single instructions of their runtime and libraries (user/probe/gosites.h says which
 * and what is in which register): goroutines, HTTP bodies, tickers, contexts, spans of the heap.
 *
 * There is no probe at a return: Go moves stacks, and does not expect the trampoline's address there.
 * All events of a process go to one ring, so that an address is free before it is used again.
 */
#include "go.bpf.h"
#include "common.bpf.h"
#include "ring.bpf.h"
#include "stack.bpf.h"

struct lt_go_id {
	__u64 id;
	__u32 process;
	__u32 kind;
};

/*
 * Bodies, tickers and contexts whose acquire was told and whose release was not: the functions that
 * release them are called for others, too, and more than once.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LT_MAX_GO_LIVE);
	__type(key, struct lt_go_id);
	__type(value, __u8);
} lt_go_live SEC(".maps");

/* In EFLAGS: what JBE looks at (Intel SDM 2, Jcc). */
#define FLAG_CARRY 0x01
#define FLAG_ZERO  0x40

/* cmp 16(%r14), %rsp or %r12: with g.stackguard0 (cmd/internal/obj/x86/obj6.go, stacksplit) */
#define CHECK_RSP 0x10663b49
#define CHECK_R12 0x10663b4d

/*
 * Whether the probed branch, behind a function's check of its room on the stack, is about to be taken:
 * then the function is entered once more when there is room, or when other goroutines had their turn.
 */
static __always_inline bool restarts(const struct pt_regs *ctx)
{
	__u32 check = 0;

	if (!(ctx->eflags & (FLAG_CARRY | FLAG_ZERO)))
		return false;
	bpf_probe_read_user(&check, sizeof(check), (void *)(ctx->rip - sizeof(check)));
	return check == CHECK_RSP || check == CHECK_R12;
}

/* As if the function that has just been entered had returned.  False: its caller cannot be read. */
static __always_inline bool caller_regs(const struct pt_regs *ctx, struct pt_regs *regs)
{
	if (bpf_probe_read_user(&regs->rip, sizeof(regs->rip), (void *)ctx->rsp))
		return false;
	regs->rsp = ctx->rsp + sizeof(__u64);
	regs->rbp = ctx->rbp;
	regs->r14 = ctx->r14;
	return true;
}

/* As if the probed instruction had called something. */
static __always_inline void own_regs(const struct pt_regs *ctx, struct pt_regs *regs)
{
	regs->rip = ctx->rip + 1; /* looked up in the instruction */
	regs->rsp = ctx->rsp;
	regs->rbp = ctx->rbp;
	regs->r14 = ctx->r14;
}

/*
 * As if runtime.newproc had returned to what made the goroutine.  newproc is on the creator's stack, and
 * has called systemstack, which keeps its registers in g.sched while it is on the system's; it has a
 * frame of its own from 1.21 on (runtime/asm_amd64.s; frames without room for locals save RBP since then).
 * *have: so many bytes of the creator's stack were read with them, for they will be wanted.
 */
static __always_inline bool creator_regs(const struct lt_goroutine *creator,
					 struct lt_thread *thread, __u32 *have)
{
	struct pt_regs *regs = &thread->returned;
	__u64 sp = creator->sp, bp = creator->bp, size = sizeof(thread->below) + thread->span;

	if (bp == sp)
		bp = user_word(bp);
	if (!sp || bp - sp > MAX_POINTED_BYTES)
		return false;
	opaque(size);
	if (size > sizeof(thread->below) + LT_STACK_CHUNK)
		return false;
	if (!bpf_probe_read_user(thread->below, size, (void *)bp))
		*have = thread->span;
	else if (bpf_probe_read_user(thread->below, sizeof(thread->below), (void *)bp))
		return false;
	regs->rbp = thread->below[0];
	regs->rip = thread->below[1];
	regs->rsp = bp + sizeof(thread->below);
	return true;
}

/* How one acquire is told. */
struct telling {
	struct lt_thread *thread;
	struct ring_ref ring;
};

/* False: nothing can be told. */
static __always_inline bool telling_begin(struct telling *telling,
					  const struct lt_bpf_target *target)
{
	telling->thread = target ? thread_get(target) : NULL;
	if (!telling->thread)
		return false;
	if (ring_of_process(target->process, &telling->ring) && ring_takes_acquire(&telling->ring))
		return true;
	count(LT_COUNTER_ACQUIRE_RING_FULL);
	return false;
}

static __always_inline void tell(const struct telling *telling, __u8 kind, __u64 id, __u64 size,
				 __u64 stack_id)
{
	struct lt_wire_acquire *record;

	stack_send(&telling->ring, telling->thread, stack_id, kind);
	record = bpf_ringbuf_reserve(telling->ring.ring, sizeof(*record), 0);
	if (!record) {
		count(LT_COUNTER_ACQUIRE_RING_FULL);
		return;
	}
	fill_header(&record->header, LT_WIRE_ACQUIRE, kind, 0, telling->thread->process);
	record->id = id;
	record->size = size;
	record->stack_id = stack_id;
	bpf_ringbuf_submit(record, ring_flags(&telling->ring));
}

static __always_inline void tell_release(__u32 process, __u8 kind, __u64 id)
{
	struct ring_ref ring;

	if (ring_of_process(process, &ring))
		put_release(&ring, process, LT_WIRE_RELEASE, kind, 0, id);
	else
		count(LT_COUNTER_RELEASE_RING_FULL);
}

/* How many goroutines were made, by whom: user space knows by that how many it has not met. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LT_MAX_GO_MADE);
	__type(key, struct lt_go_made_key);
	__type(value, __u64);
} lt_go_made SEC(".maps");

/* Counted up by user space as it begins to look what there is. */
__u64 lt_go_looks = 0;

/* Once for each stack; without room the next birth tries again. */
static __always_inline void creation_send(struct lt_thread *thread, __u64 stack_id)
{
	struct ring_ref ring;

	if (ring_of_process(thread->process, &ring) && ring_takes_acquire(&ring))
		stack_send(&ring, thread, stack_id, LT_KIND_GOROUTINE);
	else
		count(LT_COUNTER_STACK_RING_FULL);
}

/* The stack of a new goroutine's creator, its frames alone: walked and sent. */
static __always_inline __u64 creation_walk(struct lt_thread *thread)
{
	__u64 stack_id = stack_walk(&thread->returned, thread);

	creation_send(thread, stack_id);
	return stack_id;
}

static __always_inline __u64 newborn_chain(struct lt_thread *thread,
					   const struct lt_go_birth *birth)
{
	thread->chain[0] = LT_MARK_STARTED;
	thread->chain_words = 1;
	chain_put_stacks(thread, birth);
	return chain_hash(thread, 0);
}

/*
 * The stack of a goroutine that has not run yet: nothing but what made it.  Sent.  recalled: what made it was
 * recognised, and not walked just now.
 */
static __always_inline __u64 newborn_stack(struct lt_thread *thread, struct lt_go_birth *birth,
					   bool recalled)
{
	__u64 stack_id = newborn_chain(thread, birth);

	/* Then what it names was sent before it. */
	if (stack_is_sent(thread, stack_id))
		return stack_id;
	if (recalled && !stack_is_sent(thread, birth->stacks[0])) {
		/* Other code may be in its place by now. */
		birth->stacks[0] = creation_walk(thread);
		stack_id = newborn_chain(thread, birth);
	}
	if (!stack_is_sent(thread, birth->stacks[0]))
		return stack_id; /* there was no room: the next birth tries again */
	thread->stack.header.time_ns = bpf_ktime_get_ns();
	thread->stack.stack_id = 0;
	thread->stack.frame_count = 0;
	thread->stack.end = LT_STACK_COMPLETE;
	stack_id = chain_append((__u32)bpf_get_current_pid_tgid());
	creation_send(thread, stack_id);
	return stack_id;
}

/* In place where it can be: a new place in the table costs much more.  False: it is full. */
static __always_inline bool birth_put(const struct lt_go_birth_key *key,
				      const struct lt_go_birth *birth)
{
	struct lt_go_birth *found = bpf_map_lookup_elem(&lt_go_births, key);

	if (!found)
		return bpf_map_update_elem(&lt_go_births, key, birth, BPF_ANY) == 0;
	*found = *birth;
	return true;
}

static __always_inline bool made_count(__u32 process, __u64 stack_id)
{
	struct lt_go_made_key key = {
		.stack_id = stack_id,
		.process = process,
		.share = bpf_get_smp_processor_id() % LT_GO_MADE_SHARES,
	};
	__u64 *made = bpf_map_lookup_elem(&lt_go_made, &key), none = 0;

	if (!made) {
		/* Another CPU may have been faster. */
		bpf_map_update_elem(&lt_go_made, &key, &none, BPF_NOEXIST);
		made = bpf_map_lookup_elem(&lt_go_made, &key);
	}
	if (!made) {
		key.share = 0; /* there is no room: that of others will do */
		made = bpf_map_lookup_elem(&lt_go_made, &key);
	}
	if (made)
		__sync_fetch_and_add(made, 1);
	return made;
}

/*
 * The current thread of a Go program, else NULL: it may have executed something, and these are probes of what it
 * was.  What is known already is a thread of a process that is traced, for exec and exit take it away
 * (proc.bpf.c): no need to look for the process as well.
 */
static __always_inline struct lt_thread *go_thread(void *ctx)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	struct lt_thread *thread = lt_active ? thread_find((__u32)pid_tgid) : NULL;

	if (!thread || thread->tgid != pid_tgid >> 32 || thread->spaces_round != lt_spaces_round) {
		struct lt_bpf_target *target = wanted(ctx);

		thread = target ? thread_get(target) : NULL;
	}
	return thread && thread->has_go ? thread : NULL;
}

/*
 * In newproc.func1 on the system's stack, about to make a new goroutine runnable: runqput(p, g, ...).  It
 * cannot run, let alone end, before this is noted.  Its end nothing tells: a probe there would cost as much again.
 */
SEC("uprobe")
int go_create(struct pt_regs *ctx)
{
	struct lt_thread *thread = go_thread(ctx);
	struct lt_go_birth_key key = { .g = ctx->rbx };
	struct lt_goroutine creator = { 0 };
	struct lt_go_birth birth = { 0 };
	const struct lt_go_birth *before;
	const struct lt_bpf_go *go;
	__u32 have = 0;
	__u64 known;

	if (!thread)
		return 0;
	key.process = thread->process;
	go = &thread->go;
	if (!goroutine_find(thread, go, machine_of_g0(thread, go, ctx->r14), &creator))
		creator.g = 0;
	if (creator.g && creator_regs(&creator, thread, &have)) {
		birth.gopc = thread->returned.rip;
	} else {
		own_regs(ctx, &thread->returned);
		birth.gopc = user_word(key.g + go->g_gopc);
	}
	walk_from(thread, &creator, thread->returned.rsp);
	known = stack_recall_read(&thread->returned, thread, have);
	birth.stacks[0] = known ?: creation_walk(thread);
	before = creator.g ? birth_find(key.process, &creator) : NULL;
	for (int i = 1; before && i < LT_GO_GENERATIONS; i++)
		birth.stacks[i] = before->stacks[i - 1];
	birth.stack_id = newborn_stack(thread, &birth, known);
	birth.look = lt_go_looks;
	birth.check = lt_go_birth_check(&birth);
	if (!birth_put(&key, &birth) || !made_count(key.process, birth.stack_id))
		count(LT_COUNTER_MEMORY_FULL);
	return 0;
}

/*
 * False: there is no room to remember it.  One that is known already was collected without a release, and
 * its memory has become a new one.
 */
static __always_inline bool live_add(__u32 process, __u8 kind, __u64 id)
{
	struct lt_go_id key = { .id = id, .process = process, .kind = kind };
	__u8 nothing = 0;

	if (bpf_map_lookup_elem(&lt_go_live, &key)) {
		tell_release(process, kind, id);
		return true;
	}
	return bpf_map_update_elem(&lt_go_live, &key, &nothing, BPF_ANY) == 0;
}

/* At a function's entry, or inside of one behind the call that made it. */
enum place { AT_ENTRY, INSIDE };

static __always_inline int acquire(struct pt_regs *ctx, enum place place, __u8 kind, __u64 id)
{
	struct lt_bpf_target *target = wanted(ctx);
	struct telling telling;
	struct pt_regs *regs;

	if (!id || (place == AT_ENTRY && restarts(ctx)) || !telling_begin(&telling, target))
		return 0;
	if (!live_add(telling.thread->process, kind, id)) {
		count(LT_COUNTER_MEMORY_FULL);
		return 0;
	}
	regs = &telling.thread->returned;
	if (place == INSIDE || !caller_regs(ctx, regs))
		own_regs(ctx, regs);
	tell(&telling, kind, id, 1, stack_identify(regs, telling.thread));
	return 0;
}

static __always_inline int release(struct pt_regs *ctx, __u8 kind, __u64 id)
{
	struct lt_bpf_target *target = wanted(ctx);
	struct lt_go_id key = { .id = id, .kind = kind };

	if (!target)
		return 0;
	key.process = target->process;
	if (bpf_map_delete_elem(&lt_go_live, &key) == 0)
		tell_release(key.process, kind, id);
	return 0;
}

/*
 * (*persistConn).roundTrip: the caller has the connection until the body is read or closed.  The response
 * may also fail, or have no body: all of these end in one of the next two.
 */
SEC("uprobe")
int go_body(struct pt_regs *ctx)
{
	return acquire(ctx, AT_ENTRY, LT_KIND_HTTP_BODY, ctx->rax);
}

SEC("uprobe")
int go_body_idle(struct pt_regs *ctx)
{
	return release(ctx, LT_KIND_HTTP_BODY, ctx->rbx);
}

SEC("uprobe")
int go_body_close(struct pt_regs *ctx)
{
	return release(ctx, LT_KIND_HTTP_BODY, ctx->rax);
}

#define TIMER_PERIOD 16 /* in struct runtimeTimer, time/sleep.go */

SEC("uprobe")
int go_timer_start(struct pt_regs *ctx)
{
	return user_word(ctx->rax + TIMER_PERIOD) ? acquire(ctx, AT_ENTRY, LT_KIND_TICKER, ctx->rax)
						  : 0;
}

SEC("uprobe")
int go_ticker_stop(struct pt_regs *ctx)
{
	return release(ctx, LT_KIND_TICKER, ctx->rax);
}

#define INTERFACE_DATA 8 /* struct iface, runtime/runtime2.go */

/* propagateCancel() puts the child into its parent's map: CX points at the key. */
SEC("uprobe")
int go_context(struct pt_regs *ctx)
{
	return acquire(ctx, INSIDE, LT_KIND_CONTEXT, user_word(ctx->rcx + INTERFACE_DATA));
}

SEC("uprobe")
int go_cancel(struct pt_regs *ctx)
{
	return release(ctx, LT_KIND_CONTEXT, ctx->rax);
}

/* struct mspan, runtime/mheap.go: startAddr, npages */
#define SPAN_START 24

#define GO_PAGE 8192 /* runtime/sizeclasses.go, _PageShift */

/* Behind a call of (*mheap).alloc.  AX: the span; nil: there is no memory. */
SEC("uprobe")
int go_span(struct pt_regs *ctx)
{
	struct lt_bpf_target *target = wanted(ctx);
	struct telling telling;
	__u64 span[2];

	if (!ctx->rax || !telling_begin(&telling, target))
		return 0;
	if (bpf_probe_read_user(span, sizeof(span), (void *)(ctx->rax + SPAN_START))) {
		count(LT_COUNTER_RETURN_FAULT);
		return 0;
	}
	own_regs(ctx, &telling.thread->returned);
	tell(&telling, LT_KIND_GO_HEAP, span[0], span[1] * GO_PAGE,
	     stack_identify(&telling.thread->returned, telling.thread));
	return 0;
}

/* freeSpanLocked(heap, span, type): other types than spanAllocHeap, 0, were not acquired above. */
SEC("uprobe")
int go_span_free(struct pt_regs *ctx)
{
	struct lt_bpf_target *target = wanted(ctx);
	__u64 start;

	if (!target || (__u8)ctx->rcx)
		return 0;
	start = user_word(ctx->rbx + SPAN_START);
	if (start)
		tell_release(target->process, LT_KIND_GO_HEAP, start);
	return 0;
}

char LICENSE[] __weak SEC("license") = "GPL";
