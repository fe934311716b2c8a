// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Threads, from the call that makes them to their end.
 *
 * An acquire is told in the creator, before the thread runs, a release in the ending thread while it
 * still has its id; both in the process's ring.
 */
#include "common.bpf.h"
#include "kernel.bpf.h"
#include "ring.bpf.h"
#include "stack.bpf.h"
#include "syscall.bpf.h"

#define CLONE_THREAD 0x10000 /* include/uapi/linux/sched.h */

#define SIGNAL_GROUP_EXIT 4 /* include/linux/sched/signal.h */

struct thread_struct {
	unsigned long fsbase;
} __attribute__((preserve_access_index));

struct task_struct___thread {
	struct thread_struct thread;
} __attribute__((preserve_access_index));

/* Where a thread's control block is: glibc keeps there what it runs (user/probe/starts.h). */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LT_MAX_THREADS);
	__type(key, __u32); /* thread id */
	__type(value, __u64);
} lt_thread_blocks SEC(".maps");

/*
 * The stack of the creator.  The code around the system call in clone() has no unwind tables, for in
 * the child they would be wrong (glibc: sysdeps/unix/sysv/linux/x86_64/clone.S); but it has not
 * pushed anything, in no libc: it has as good as returned.
 */
static __always_inline __u64 creator(struct lt_thread *thread)
{
	struct pt_regs *regs = find_regs(thread, ANY_CALL);
	__u64 caller;

	if (!regs)
		return LT_STACK_UNSEEN; /* made by the kernel, for io_uring */
	if (!bpf_probe_read_user(&caller, sizeof(caller), (void *)regs->rsp) &&
	    is_code(thread, caller) && behind_call(caller)) {
		regs->rip = caller;
		regs->rsp += sizeof(caller);
	}
	return stack_identify(regs, thread);
}

static __always_inline void tell(struct ring_ref *ring, __u32 process, __u8 kind, __u8 flags,
				 __u64 id, __u64 stack_id)
{
	struct lt_wire_acquire *record = bpf_ringbuf_reserve(ring->ring, sizeof(*record), 0);

	if (!record) {
		count(LT_COUNTER_ACQUIRE_RING_FULL);
		return;
	}
	fill_header(&record->header, LT_WIRE_ACQUIRE, kind, flags, process);
	record->id = id;
	record->size = 1;
	record->stack_id = stack_id;
	bpf_ringbuf_submit(record, ring_flags(ring));
}

/*
 * task_newtask(task, clone_flags): in the creator.  The C library may have kept the stack from an
 * earlier thread: it is that of this one from now on.  Its control block lies in it (glibc).
 */
SEC("raw_tp/task_newtask")
int on_new_task(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	struct task_struct___thread *fields = (void *)task;
	struct lt_bpf_target *target = traced();
	struct lt_thread *thread;
	struct ring_ref ring;
	__u64 stack_id, block;
	__u32 tid;

	if (!(ctx->args[1] & CLONE_THREAD) || !target)
		return 0;
	thread = thread_get(target);
	if (!thread)
		return 0;
	tid = BPF_CORE_READ(task, pid);
	block = BPF_CORE_READ(fields, thread.fsbase);
	bpf_map_update_elem(&lt_thread_blocks, &tid, &block, BPF_ANY);
	if (!ring_of_process(target->process, &ring) || !ring_takes_acquire(&ring)) {
		count(LT_COUNTER_ACQUIRE_RING_FULL);
		return 0;
	}
	stack_id = creator(thread);
	if (stack_id != LT_STACK_UNSEEN)
		stack_send(&ring, thread, stack_id, LT_KIND_THREAD);
	tell(&ring, target->process, LT_KIND_THREAD, 0, tid, stack_id);
	if (stack_id != LT_STACK_UNSEEN)
		tell(&ring, target->process, LT_KIND_MMAP,
		     LT_WIRE_F_RANGE | LT_WIRE_F_PROTECT | LT_WIRE_CLASS_FLAG(LT_RANGE_STACK),
		     block, stack_id);
	return 0;
}

/*
 * sched_process_exit(task, ...): in the ending thread.  Those that end with their process are not told:
 * what lived to its end is what it leaked.  The first thread stays listed until then.
 */
SEC("raw_tp/sched_process_exit")
int on_task_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	struct lt_bpf_target *target = traced();
	struct ring_ref ring;

	if (!target || (__u32)pid_tgid == pid_tgid >> 32 ||
	    BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT)
		return 0;
	if (ring_of_process(target->process, &ring))
		put_release(&ring, target->process, LT_WIRE_RELEASE, LT_KIND_THREAD, 0,
			    (__u32)pid_tgid);
	else
		count(LT_COUNTER_RELEASE_RING_FULL);
	return 0;
}

char LICENSE[] __weak SEC("license") = "GPL";
