// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stops the target at a random return of an allocator's function, just after the project's own
 * stack_walk() has walked the stack: whoever unwinds the stopped thread must find the same.
 */
#include "stack.bpf.h"

#include <asm/signal.h>

#include "stop.h"

__u32 truth_state = TRUTH_IDLE;
__u32 truth_one_in = 0; /* stop at one of so many returns, by chance; set before arming */
struct truth_stop truth_stop = {};
/* At any return while armed: the memo knew the stack, and it said another one than the walk. */
__u64 truth_recalled = 0;
__u64 truth_misremembered = 0;

static __always_inline void record_registers(const struct pt_regs *ctx)
{
	__u64 *registers = truth_stop.registers;

	registers[0] = ctx->rax;
	registers[1] = ctx->rdx;
	registers[2] = ctx->rcx;
	registers[3] = ctx->rbx;
	registers[4] = ctx->rsi;
	registers[5] = ctx->rdi;
	registers[6] = ctx->rbp;
	registers[TRUTH_SP] = ctx->rsp;
	registers[8] = ctx->r8;
	registers[9] = ctx->r9;
	registers[10] = ctx->r10;
	registers[11] = ctx->r11;
	registers[12] = ctx->r12;
	registers[13] = ctx->r13;
	registers[14] = ctx->r14;
	registers[15] = ctx->r15;
	registers[TRUTH_IP] = ctx->rip;
}

static __always_inline void record_traps(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct return_instance *instance = BPF_CORE_READ(task, utask, return_instances);
	__u32 count = 0;

	for (int i = 0; i < TRUTH_TRAPS && instance; i++) {
		truth_stop.traps[i].slot = BPF_CORE_READ(instance, stack);
		truth_stop.traps[i].original = BPF_CORE_READ(instance, orig_ret_vaddr);
		instance = BPF_CORE_READ(instance, next);
		count = i + 1;
	}
	truth_stop.trap_count = count;
}

SEC("uretprobe")
int stop_at_return(struct pt_regs *ctx)
{
	struct lt_bpf_target *target = wanted(ctx);
	struct lt_thread *thread;
	__u64 recalled, walked;

	if (!target || truth_state != TRUTH_ARMED)
		return 0;
	thread = thread_get(target);
	if (!thread)
		return 0;
	recalled = stack_recall(ctx, thread);
	walked = stack_walk(ctx, thread);
	if (recalled)
		__sync_fetch_and_add(&truth_recalled, 1);
	if (recalled && recalled != walked)
		__sync_fetch_and_add(&truth_misremembered, 1);
	if (bpf_get_prandom_u32() % truth_one_in ||
	    __sync_val_compare_and_swap(&truth_state, TRUTH_ARMED, TRUTH_TAKEN) != TRUTH_ARMED)
		return 0;
	truth_stop.tid = (__u32)bpf_get_current_pid_tgid();
	truth_stop.end = thread->stack.end;
	truth_stop.frame_count = thread->stack.frame_count;
	record_registers(ctx);
	record_traps();
	bpf_probe_read_kernel(truth_stop.frames, sizeof(truth_stop.frames), thread->frames);
	__sync_lock_test_and_set(&truth_state, TRUTH_STOPPED);
	bpf_send_signal_thread(SIGSTOP);
	return 0;
}

char LICENSE[] __weak SEC("license") = "GPL";
