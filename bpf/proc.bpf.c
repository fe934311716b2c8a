// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of the target: threads that end, exec, exit. */
#include "common.bpf.h"
#include "kernel.bpf.h"
#include "thread.bpf.h"

/* bpf_raw_tracepoint_args: sched_process_exit(task, ...), in the context of the ending thread. */
SEC("raw_tp/sched_process_exit")
int on_thread_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 tid = (__u32)pid_tgid, status;

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
	lt_exit_status = status;
	lt_ended = LT_ENDED_EXIT;
	return 0;
}

/* Also before the gate opens: the plan was made for the image that is gone now. */
SEC("raw_tp/sched_process_exec")
int on_exec(struct bpf_raw_tracepoint_args *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 != lt_config.tgid)
		return 0;
	lt_active = 0; /* what the new image does is another process generation's */
	lt_ended = LT_ENDED_EXEC;
	return 0;
}

char LICENSE[] __weak SEC("license") = "GPL";
