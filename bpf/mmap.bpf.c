// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mappings, at the system calls that make and end them, whoever makes the call.
 *
 * As for the heap, a release is told before the call and taken back if it fails, an acquire after
 * it.  A mapping that may move is released, and then restored where it came to lie.  So that an
 * address is free before it is used again, all events of a process go to one ring.
 */
#include "common.bpf.h"
#include "kernel.bpf.h"
#include "ring.bpf.h"
#include "stack.bpf.h"
#include "syscall.bpf.h"

#include <asm-generic/hugetlb_encode.h>
#include <asm/unistd_64.h>
#include <linux/mman.h>

#define ADDRESS_BITS 56 /* Documentation/arch/x86/x86_64/5level-paging.rst */

#define SHM_REMAP 040000 /* include/uapi/linux/shm.h, whose other parts need more */

struct mm_struct___map {
	unsigned long start_brk, brk;
} __attribute__((preserve_access_index));

struct task_struct___map {
	struct mm_struct___map *mm;
	struct nsproxy *nsproxy;
} __attribute__((preserve_access_index));

/* System V's segments by number: ipc/util.c, lib/xarray.c. */
struct xarray {
	void *xa_head;
} __attribute__((preserve_access_index));

struct xa_node {
	unsigned char shift;
	void *slots[64];
} __attribute__((preserve_access_index));

struct idr {
	struct xarray idr_rt;
} __attribute__((preserve_access_index));

struct ipc_ids {
	struct idr ipcs_idr;
} __attribute__((preserve_access_index));

struct ipc_namespace {
	struct ipc_ids ids[3]; /* semaphores, messages, memory */
} __attribute__((preserve_access_index));

struct nsproxy {
	struct ipc_namespace *ipc_ns;
} __attribute__((preserve_access_index));

struct kern_ipc_perm {
	int id;
} __attribute__((preserve_access_index));

struct shmid_kernel {
	struct kern_ipc_perm shm_perm;
	unsigned long shm_segsz;
} __attribute__((preserve_access_index));

/* A call under way. */
struct lt_map_call {
	__u64 number;
	__u64 old_break; /* brk: the end of the heap before it; 0: no such end is asked for */
	__u64 attached;  /* shmat, shmdt: bytes */
};

/* A thread that dies in a call leaves its own behind: the oldest make room. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LT_MAX_THREADS);
	__type(key, __u32); /* thread id */
	__type(value, struct lt_map_call);
} lt_map_calls SEC(".maps");

struct lt_attached_key {
	__u64 start;
	__u32 process;
	__u32 reserved;
};

/* System V memory that was attached: its size is not told when it is detached. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LT_MAX_ATTACHED);
	__type(key, struct lt_attached_key);
	__type(value, __u64); /* bytes */
} lt_attached SEC(".maps");

static __always_inline __u64 page_up(__u64 size)
{
	return (size + PAGE - 1) & ~(PAGE - 1);
}

/* what: the type, and the flags above it: a function takes five arguments at most. */
static __noinline int send_range(__u32 process, __u32 what, __u64 start, __u64 size, __u64 target)
{
	struct lt_wire_range *record;
	struct ring_ref ref;

	/* What the kernel refuses anyway is not worth a record. */
	if (!size || start & (PAGE - 1) || (start | size) >> ADDRESS_BITS)
		return 0;
	if (!ring_of_process(process, &ref) ||
	    !(record = bpf_ringbuf_reserve(ref.ring, sizeof(*record), 0))) {
		count(LT_COUNTER_RELEASE_RING_FULL);
		return 0;
	}
	fill_header(&record->header, (__u8)what, LT_KIND_MMAP, LT_WIRE_F_RANGE | what >> 8,
		    process);
	record->id = start;
	record->size = size;
	record->target = target;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

static __always_inline void release(__u32 process, __u64 start, __u64 size)
{
	send_range(process, LT_WIRE_RANGE_RELEASE, start, size, 0);
}

/* Of what a call is about to map something in place of. */
static __always_inline void replace(__u32 process, __u64 start, __u64 size)
{
	send_range(process, LT_WIRE_RANGE_RELEASE | LT_WIRE_F_REALLOC << 8, start, size, 0);
}

static __always_inline void restore(__u32 process, __u64 start, __u64 size, __u64 target)
{
	send_range(process, LT_WIRE_RANGE_RESTORE, start, size, target);
}

/* Below a call of the allocator that is pending.  One left by longjmp is so until the next. */
static __always_inline bool in_allocator(const struct lt_thread *thread)
{
	__u64 sp = thread->returned.rsp;

	return thread->pending.sp > sp && thread->pending.sp - sp < LT_MAX_NESTED_STACK;
}

static __always_inline bool is_within(__u64 address, __u64 start, __u64 end)
{
	return address - start < end - start;
}

/* Words of stack in which the return into Go's callCgoMmap is looked for: two small frames of C. */
#define CGO_MMAP_WORDS 16

/*
 * By Go's runtime for itself: sysMmap makes the call, or with cgo the C library's mmap, called by way of
 * x_cgo_mmap (runtime/cgo/gcc_mmap.c), which callCgoMmap calls and nobody else.
 */
static __always_inline bool by_go(struct lt_thread *thread)
{
	const struct lt_bpf_go *go = &thread->go;
	const __u64 *words = (const __u64 *)thread->chunk;

	if (!thread->has_go)
		return false;
	if (is_within(thread->returned.rip, go->mapper.start, go->mapper.end))
		return true;
	if (!go->cgo_mapper.start ||
	    bpf_probe_read_user(thread->chunk, CGO_MMAP_WORDS * sizeof(__u64),
				(void *)thread->returned.rsp))
		return false;
	for (int i = 0; i < CGO_MMAP_WORDS; i++)
		if (is_within(words[i], go->cgo_mapper.start, go->cgo_mapper.end))
			return true;
	return false;
}

/* What a call has mapped. */
struct made {
	__u64 start, size;
	__u32 class; /* enum lt_range_class */
	__u8 flags;  /* LT_WIRE_F_PROTECT */
};

static __always_inline void acquire(__u32 process, struct lt_thread *thread, struct made *made)
{
	struct lt_wire_acquire *record;
	struct ring_ref ref;
	__u64 stack_id = 0;
	bool ends;

	if (in_allocator(thread)) {
		if (made->flags & LT_WIRE_F_PROTECT)
			return; /* it is the allocator's already */
		made->class = LT_RANGE_ALLOCATOR;
	}
	if (made->class == LT_RANGE_PLAIN && !(made->flags & LT_WIRE_F_PROTECT) && by_go(thread))
		made->class = LT_RANGE_ALLOCATOR;
	/* What takes memory away is a release in this respect. */
	ends = made->flags & LT_WIRE_F_PROTECT && made->class == LT_RANGE_RESERVED;
	if (!ring_of_process(process, &ref) || (!ring_takes_acquire(&ref) && !ends)) {
		count(LT_COUNTER_ACQUIRE_RING_FULL);
		return;
	}
	if (made->class == LT_RANGE_PLAIN || made->class == LT_RANGE_STACK) {
		stack_id = stack_identify(&thread->returned, thread);
		stack_send(&ref, thread, stack_id, LT_KIND_MMAP);
	}
	record = bpf_ringbuf_reserve(ref.ring, sizeof(*record), 0);
	if (!record) {
		count(ends ? LT_COUNTER_RELEASE_RING_FULL : LT_COUNTER_ACQUIRE_RING_FULL);
		return;
	}
	fill_header(&record->header, LT_WIRE_ACQUIRE, LT_KIND_MMAP,
		    LT_WIRE_F_RANGE | made->flags | LT_WIRE_CLASS_FLAG(made->class), process);
	record->id = made->start;
	record->size = made->size;
	record->stack_id = stack_id;
	bpf_ringbuf_submit(record, ring_flags(&ref));
}

/* mmap(address, size, protection, flags, ...) */
static __always_inline bool mmap_replaces(const struct pt_regs *regs)
{
	return (regs->r10 & MAP_FIXED) && !(regs->r10 & MAP_FIXED_NOREPLACE);
}

static __always_inline __u64 mmap_size(const struct pt_regs *regs)
{
	__u64 shift = regs->r10 >> HUGETLB_FLAG_ENCODE_SHIFT & HUGETLB_FLAG_ENCODE_MASK, page;

	if (!(regs->r10 & MAP_HUGETLB))
		return page_up(regs->rsi);
	page = 1ULL << (shift ? shift : 21); /* 2 MiB unless asked for another, or booted so */
	return (regs->rsi + page - 1) & ~(page - 1);
}

static __always_inline enum lt_range_class mmap_class(const struct pt_regs *regs)
{
	return regs->r10 & MAP_STACK    ? LT_RANGE_STACK
	       : regs->rdx == PROT_NONE ? LT_RANGE_RESERVED
					: LT_RANGE_PLAIN;
}

static __always_inline struct made leave_mmap(__u32 process, const struct pt_regs *regs)
{
	if (!failed(regs->rax))
		return (struct made){ regs->rax, mmap_size(regs), mmap_class(regs), 0 };
	if (mmap_replaces(regs))
		restore(process, regs->rdi, mmap_size(regs), regs->rdi);
	return (struct made){ 0 };
}

/* mremap(address, old size, size, flags, target): what a call is about to do. */
struct remap {
	__u64 start, old_size, size;
	__u64 moved;    /* bytes from the start that may move */
	__u64 cut;      /* bytes behind them that end */
	__u64 replaced; /* bytes at the target that end */
	__u64 target;
	bool copies; /* the old range stays */
};

static __always_inline struct remap remap_of(const struct pt_regs *regs)
{
	__u64 flags = regs->r10;
	struct remap remap = { .start = regs->rdi,
			       .old_size = page_up(regs->rsi),
			       .size = page_up(regs->rdx),
			       .target = regs->r8 };

	remap.replaced = flags & MREMAP_FIXED ? remap.size : 0;
	/* An old size of 0 maps shared memory once more. */
	remap.copies = !remap.old_size || flags & MREMAP_DONTUNMAP;
	if (remap.copies)
		return remap;
	if (remap.size < remap.old_size)
		remap.cut = remap.old_size - remap.size;
	if (flags & MREMAP_FIXED || (remap.size > remap.old_size && flags & MREMAP_MAYMOVE))
		remap.moved = remap.old_size - remap.cut;
	return remap;
}

static __always_inline void enter_mremap(__u32 process, const struct pt_regs *regs)
{
	struct remap remap = remap_of(regs);

	release(process, remap.start + remap.size, remap.cut);
	replace(process, remap.start, remap.moved);
	replace(process, remap.target, remap.replaced);
}

static __always_inline struct made leave_mremap(__u32 process, const struct pt_regs *regs)
{
	struct remap remap = remap_of(regs);
	struct made made = { 0 };

	if (failed(regs->rax)) {
		restore(process, remap.target, remap.replaced, remap.target);
		restore(process, remap.start, remap.moved, remap.start);
		restore(process, remap.start + remap.size, remap.cut, remap.start + remap.size);
		return made;
	}
	restore(process, remap.start, remap.moved, regs->rax);
	made.start = regs->rax;
	if (remap.copies) {
		made.size = remap.size;
	} else if (remap.size > remap.old_size) {
		made.start += remap.old_size;
		made.size = remap.size - remap.old_size;
	}
	return made;
}

/* mprotect(address, size, protection): only reservations matter. */
static __always_inline struct made leave_mprotect(const struct pt_regs *regs)
{
	struct made made = { regs->rdi, page_up(regs->rsi),
			     regs->rdx == PROT_NONE ? LT_RANGE_RESERVED : LT_RANGE_PLAIN,
			     LT_WIRE_F_PROTECT };

	if (regs->rax)
		made.size = 0;
	return made;
}

/* brk(end): the end as it is then, which is the old one if it failed. */
static __always_inline void enter_brk(__u32 process, const struct pt_regs *regs,
				      struct lt_map_call *call)
{
	struct task_struct___map *task = (void *)bpf_get_current_task();
	__u64 old = page_up(BPF_CORE_READ(task, mm, brk)), end = page_up(regs->rdi);

	if (regs->rdi < BPF_CORE_READ(task, mm, start_brk))
		return;
	call->old_break = old;
	if (end < old)
		release(process, end, old - end);
}

static __always_inline struct made leave_brk(__u32 process, const struct pt_regs *regs,
					     const struct lt_map_call *call)
{
	__u64 old = call->old_break, end = page_up(regs->rdi);

	if (old && end > old && regs->rax == regs->rdi)
		return (struct made){ old, end - old, LT_RANGE_PLAIN, 0 };
	if (end < old && regs->rax != regs->rdi)
		restore(process, end, old - end, end);
	return (struct made){ 0 };
}

#define IPC_SHM      2
#define IPC_INDEX    0x7fff /* of a number: IPCMNI_SHIFT in ipc/util.h */
#define XA_LEVELS    3      /* of 64 entries each, for as many */
#define XA_IS_NODE   2      /* lowest bits of an entry */
#define XA_NODE_MASK 3

/* The size of a segment, as it is mapped; 0: not found. */
static __always_inline __u64 segment_size(int id)
{
	struct task_struct___map *task = (void *)bpf_get_current_task();
	struct shmid_kernel *segment;
	struct xa_node *node;
	__u64 entry;

	if (!bpf_core_type_exists(struct shmid_kernel))
		return 0;
	entry = (__u64)BPF_CORE_READ(task, nsproxy, ipc_ns, ids[IPC_SHM].ipcs_idr.idr_rt.xa_head);
	for (int level = 0; level < XA_LEVELS && (entry & XA_NODE_MASK) == XA_IS_NODE; level++) {
		node = (void *)(entry - XA_IS_NODE);
		entry = (id & IPC_INDEX) >> BPF_CORE_READ(node, shift) & 63;
		if (bpf_core_read(&entry, sizeof(entry), &node->slots[entry]))
			return 0;
	}
	segment = (void *)entry;
	return BPF_CORE_READ(segment, shm_perm.id) == id
		       ? page_up(BPF_CORE_READ(segment, shm_segsz))
		       : 0;
}

/* shmat(segment, address, flags) */
static __always_inline __u64 shmat_replaces(const struct pt_regs *regs,
					    const struct lt_map_call *call)
{
	return regs->rdx & SHM_REMAP ? call->attached : 0;
}

static __always_inline void enter_shmat(__u32 process, const struct pt_regs *regs,
					struct lt_map_call *call)
{
	call->attached = segment_size((int)regs->rdi);
	replace(process, regs->rsi & ~(PAGE - 1), shmat_replaces(regs, call));
}

static __always_inline struct made leave_shmat(__u32 process, const struct pt_regs *regs,
					       const struct lt_map_call *call)
{
	struct lt_attached_key key = { .start = regs->rax, .process = process };
	__u64 start = regs->rsi & ~(PAGE - 1), size = call->attached;

	if (failed(regs->rax)) {
		restore(process, start, shmat_replaces(regs, call), start);
		return (struct made){ 0 };
	}
	bpf_map_update_elem(&lt_attached, &key, &size, BPF_ANY);
	return (struct made){ key.start, size, LT_RANGE_PLAIN, 0 };
}

/* shmdt(address) */
static __always_inline void enter_shmdt(__u32 process, const struct pt_regs *regs,
					struct lt_map_call *call)
{
	struct lt_attached_key key = { .start = regs->rdi, .process = process };
	__u64 *size = bpf_map_lookup_elem(&lt_attached, &key);

	call->attached = size ? *size : 0;
	release(process, regs->rdi, call->attached);
	bpf_map_delete_elem(&lt_attached, &key);
}

/* Those that are looked at before and after; those that change the protection, only after. */
static __always_inline bool is_mapping(__u64 number)
{
	return number == __NR_mmap || number == __NR_munmap || number == __NR_mremap ||
	       number == __NR_brk || number == __NR_shmat || number == __NR_shmdt;
}

static __always_inline bool is_protection(__u64 number)
{
	return number == __NR_mprotect || number == __NR_pkey_mprotect;
}

SEC("tracepoint")
int enter_mapping(struct call_event *ctx)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid(), process;
	struct lt_map_call call = { .number = ctx->number };
	struct lt_bpf_target *target;
	struct lt_thread *thread;
	struct pt_regs *regs;

	target = traced();
	thread = target && !is_compat() ? thread_get(target) : NULL;
	regs = thread ? copy_regs(thread, call.number) : NULL;
	if (!regs)
		return 0;
	process = target->process;
	if (call.number == __NR_mmap && mmap_replaces(regs))
		replace(process, regs->rdi, mmap_size(regs));
	if (call.number == __NR_munmap)
		release(process, regs->rdi, page_up(regs->rsi));
	if (call.number == __NR_mremap)
		enter_mremap(process, regs);
	if (call.number == __NR_brk)
		enter_brk(process, regs, &call);
	if (call.number == __NR_shmat)
		enter_shmat(process, regs, &call);
	if (call.number == __NR_shmdt)
		enter_shmdt(process, regs, &call);
	bpf_map_update_elem(&lt_map_calls, &tid, &call, BPF_ANY);
	return 0;
}

static __always_inline struct made leave(__u32 process, const struct pt_regs *regs,
					 const struct lt_map_call *call)
{
	if (call->number == __NR_mmap)
		return leave_mmap(process, regs);
	if (call->number == __NR_mremap)
		return leave_mremap(process, regs);
	if (call->number == __NR_brk)
		return leave_brk(process, regs, call);
	if (call->number == __NR_shmat)
		return leave_shmat(process, regs, call);
	if (call->number == __NR_munmap && failed(regs->rax))
		restore(process, regs->rdi, page_up(regs->rsi), regs->rdi);
	if (call->number == __NR_shmdt && failed(regs->rax))
		restore(process, regs->rdi, call->attached, regs->rdi);
	return (struct made){ 0 };
}

/* The registers that held arguments still do. */
SEC("tracepoint")
int leave_mapping(struct call_event *ctx)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct lt_bpf_target *target = traced();
	struct lt_map_call *call = NULL;
	struct lt_thread *thread;
	struct pt_regs *regs;
	__u64 number = ctx->number;
	struct made made;

	if (!target)
		return 0;
	if (is_mapping(number))
		call = bpf_map_lookup_elem(&lt_map_calls, &tid);
	if (call ? call->number != number : !is_protection(number) || is_compat())
		return 0;
	thread = thread_get(target);
	regs = thread ? copy_regs(thread, number) : NULL;
	if (!regs)
		return 0;
	made = call ? leave(target->process, regs, call) : leave_mprotect(regs);
	if (call)
		bpf_map_delete_elem(&lt_map_calls, &tid);
	if (made.size)
		acquire(target->process, thread, &made);
	return 0;
}

char LICENSE[] __weak SEC("license") = "GPL";
