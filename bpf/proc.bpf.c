// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lives of processes: threads that end, fork, exec, exit.  They are told in a ring of their own,
 * which events cannot fill, and whether or not the gate is open.
 */
#include "common.bpf.h"
#include "kernel.bpf.h"
#include "share.bpf.h"
#include "thread.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, LT_LIFE_RING_BYTES);
} lt_life SEC(".maps");

/* How many numbers each CPU has given away: kernels before 5.12 cannot fetch and add. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} lt_births SEC(".maps");

/*
 * To be called before it is told: the record is read at once, on another CPU, and a process that is not in
 * lt_targets by then is taken for one that is gone again.
 */
static __always_inline void keep(__u32 pid, const struct lt_bpf_target *target)
{
	if (bpf_map_update_elem(&lt_targets, &pid, target, BPF_ANY))
		count(LT_COUNTER_LIFE_LOST);
}

/* A number that no process had before; 0: none is left to give. */
static __always_inline __u32 next_process(void)
{
	__u32 zero = 0, *births = bpf_map_lookup_elem(&lt_births, &zero);

	if (!births)
		return 0;
	++*births;
	return LT_PROCESS_BORN | *births << lt_config.cpu_bits | bpf_get_smp_processor_id();
}

static __always_inline void tell(__u8 type, __u32 about, __u32 process, __u32 pid, __u32 status)
{
	struct lt_wire_life *record = bpf_ringbuf_reserve(&lt_life, sizeof(*record), 0);

	if (!record) {
		count(LT_COUNTER_LIFE_LOST);
		return;
	}
	fill_header(&record->header, type, LT_KIND_NONE, 0, about);
	record->process = process;
	record->pid = pid;
	record->status = status;
	record->reserved = 0;
	bpf_get_current_comm(record->comm, sizeof(record->comm));
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
}

/*
 * sched_process_fork(parent, child): in the parent, before the child runs.  It has a copy of the
 * parent's memory, breakpoints included, or after vfork the memory itself.
 */
SEC("raw_tp/sched_process_fork")
int on_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = (void *)ctx->args[0], *child = (void *)ctx->args[1];
	__u32 parent_pid = bpf_get_current_pid_tgid() >> 32, pid, process, *space;
	struct lt_bpf_target *target = target_find(parent_pid), born;

	if (!target && !lt_borrowed_tables)
		return 0;
	pid = BPF_CORE_READ(child, tgid);
	if (pid == parent_pid)
		return 0; /* a thread */
	table_lend(parent, child, parent_pid, pid, target ? target->process : 0);
	if (!target || !(target->flags & LT_TARGET_FOLLOW))
		return 0;
	process = target->process;
	born = *target;
	if (BPF_CORE_READ(child, mm) == BPF_CORE_READ(parent, mm)) {
		born.flags |= LT_TARGET_BORROWED;
	} else {
		born.flags &= ~LT_TARGET_BORROWED;
		born.process = next_process();
		space = bpf_map_lookup_elem(&lt_process_spaces, &process);
		if (space)
			bpf_map_update_elem(&lt_process_spaces, &born.process, space, BPF_ANY);
	}
	keep(pid, &born);
	if (!(born.flags & LT_TARGET_BORROWED))
		tell(LT_WIRE_FORK, process, born.process, pid, 0);
	return 0;
}

/*
 * sched_process_exec(task, old_pid, ...): in the process, when its other threads are gone.  The
 * thread has the process's number by now, and had old_pid if it was another one than the first.
 */
SEC("raw_tp/sched_process_exec")
int on_exec(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 pid = pid_tgid >> 32, tid = (__u32)pid_tgid, old = ctx->args[1], borrowed;
	struct lt_bpf_target *target = target_find(pid), image;

	table_give_back(pid);
	if (!target)
		return 0;
	bpf_map_delete_elem(&lt_threads, &tid);
	bpf_map_delete_elem(&lt_threads, &old);
	image = *target;
	old = image.process;
	bpf_map_delete_elem(&lt_go_layouts, &old);
	if (!(image.flags & LT_TARGET_FOLLOW)) {
		/* What the new image does, its exit included, is nobody's. */
		bpf_map_delete_elem(&lt_targets, &pid);
		tell(LT_WIRE_EXEC, old, 0, pid, 0);
		return 0;
	}
	borrowed = image.flags & LT_TARGET_BORROWED;
	image.process = next_process();
	image.flags &= ~LT_TARGET_BORROWED;
	keep(pid, &image);
	if (borrowed)
		tell(LT_WIRE_FORK, old, image.process, pid, 1);
	else
		tell(LT_WIRE_EXEC, old, image.process, pid, 0);
	return 0;
}

/* sched_process_exit(task, ...): in the ending thread. */
SEC("raw_tp/sched_process_exit")
int on_thread_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 pid = pid_tgid >> 32, tid = (__u32)pid_tgid, process, status, borrowed;
	struct lt_bpf_target *target;

	/*
	 * A call pending for ever would swallow the calls of the next thread with this id.
	 * First of all: of threads that end at the same time any may find the process gone already.
	 */
	bpf_map_delete_elem(&lt_threads, &tid);
	target = target_find(pid);
	if (!target && !lt_borrowed_tables)
		return 0;
	/* signal->live was counted down just before; 0: the last thread, or one that ends as it does. */
	if (BPF_CORE_READ(task, signal, live.counter) != 0)
		return 0;
	table_give_back(pid);
	if (!target)
		return 0;
	process = target->process;
	borrowed = target->flags & LT_TARGET_BORROWED;
	if (bpf_map_delete_elem(&lt_targets, &pid) || borrowed)
		return 0;
	status = BPF_CORE_READ(task, signal, group_exit_code);
	if (!status)
		status = BPF_CORE_READ(task, exit_code);
	bpf_map_delete_elem(&lt_process_spaces, &process);
	bpf_map_delete_elem(&lt_go_layouts, &process);
	tell(LT_WIRE_EXIT, process, 0, pid, status);
	return 0;
}

char LICENSE[] __weak SEC("license") = "GPL";
