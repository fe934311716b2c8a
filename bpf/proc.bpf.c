// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of the target: threads that end, exec, exit. */
#include "common.bpf.h"
#include "inflight.bpf.h"
#include "ring.bpf.h"

/* Only the fields read here; CO-RE finds them in the running kernel. */
struct signal_struct {
	struct {
		int counter;
	} live;
	int group_exit_code;
} __attribute__((preserve_access_index));

struct task_struct {
	int exit_code;
	struct signal_struct *signal;
} __attribute__((preserve_access_index));

/* bpf_raw_tracepoint_args: sched_process_exit(task, ...), in the context of the ending thread. */
SEC("raw_tp/sched_process_exit")
int on_thread_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	struct lt_wire_exit *record;
	__u32 tid = (__u32)pid_tgid;
	struct ring_ref ref;
	__u32 status;

	if (pid_tgid >> 32 != lt_config.tgid)
		return 0;
	/* A call pending for ever would swallow the calls of the next thread with this id (TRAPS
	 * 8). */
	bpf_map_delete_elem(&lt_threads, &tid);
	/* signal->live was counted down just before; 0: this was the last thread. */
	if (BPF_CORE_READ(task, signal, live.counter) != 0)
		return 0;
	status = BPF_CORE_READ(task, signal, group_exit_code);
	if (!status)
		status = BPF_CORE_READ(task, exit_code);
	if (!ring_of(0, &ref) || !(record = bpf_ringbuf_reserve(ref.ring, sizeof(*record), 0)))
		return 0; /* the pidfd tells of the end all the same, without its status */
	fill_header(&record->header, LT_WIRE_EXIT, LT_KIND_NONE, 0);
	record->status = status;
	record->reserved = 0;
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
	return 0;
}

SEC("raw_tp/sched_process_exec")
int on_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct lt_wire_header *record;
	struct ring_ref ref;

	if (!wanted())
		return 0;
	lt_active = 0; /* what the new image does is another process generation's */
	if (!ring_of(0, &ref) || !(record = bpf_ringbuf_reserve(ref.ring, sizeof(*record), 0))) {
		count(LT_COUNTER_RELEASE_RING_FULL);
		return 0;
	}
	fill_header(record, LT_WIRE_EXEC, LT_KIND_NONE, 0);
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
	return 0;
}

char LICENSE[] __weak SEC("license") = "GPL";
