/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs at system calls.
 *
 * While these programs are attached, every system call of every process takes the kernel's slow
 * path.  Tracepoints of single calls are used rather than raw ones of all: only these calls come by
 * here, and before 7.2 the kernel does not preempt their programs.  (It does so at the raw ones since
 * 6.13, and at all since 7.2, trace_call_bpf_faultable(), and then skips the program for whoever
 * comes meanwhile on that CPU.)
 */
#ifndef LT_SYSCALL_BPF_H
#define LT_SYSCALL_BPF_H

#include "kernel.bpf.h"
#include "thread.bpf.h"

#define PAGE      4096ULL
#define MAX_ERRNO 4095ULL

#define TS_COMPAT 2 /* arch/x86/include/asm/thread_info.h: a system call of 32-bit code */

struct task_struct___call {
	struct {
		unsigned int status;
	} thread_info;
	void *stack;
} __attribute__((preserve_access_index));

static __always_inline bool failed(__u64 result)
{
	return result >= -MAX_ERRNO;
}

/* 32-bit code has other numbers for its calls. */
static __always_inline bool is_compat(void)
{
	struct task_struct___call *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
}

/* What perf hands to programs at a system call: struct syscall_tp_t in kernel/trace/trace_syscalls.c. */
struct call_event {
	__u64 private;
	int number;
	int reserved;
	union {
		__u64 arguments[6]; /* at the entry */
		long result;        /* at the exit */
	};
};

#define THREAD_SIZE  (4 * PAGE) /* arch/x86/include/asm/page_64_types.h, without KASAN */
#define USER_CODE    0x33       /* __USER_CS, arch/x86/include/asm/segment.h */
#define TOP_PADDINGS 2          /* TOP_OF_KERNEL_STACK_PADDING: 16 bytes where FRED is built in */

#define ANY_CALL ~0ULL

/*
 * The registers of the call that this thread makes, copied to where it can be unwound from.  They lie
 * at the top of its kernel stack.  NULL: they do not.
 */
static __always_inline struct pt_regs *find_regs(struct lt_thread *thread, __u64 number)
{
	struct task_struct___call *task = (void *)bpf_get_current_task();
	__u64 top = (__u64)BPF_CORE_READ(task, stack) + THREAD_SIZE - sizeof(struct pt_regs);

	for (int i = 0; i < TOP_PADDINGS; i++) {
		if (bpf_probe_read_kernel(&thread->returned, sizeof(thread->returned),
					  (void *)(top - i * 16)))
			continue;
		if ((thread->returned.orig_rax == number || number == ANY_CALL) &&
		    (thread->returned.cs & 0xffff) == USER_CODE)
			return &thread->returned;
	}
	return NULL;
}

static __always_inline struct pt_regs *copy_regs(struct lt_thread *thread, __u64 number)
{
	struct pt_regs *regs = find_regs(thread, number);

	if (!regs)
		count(LT_COUNTER_CALL_MISSED);
	return regs;
}

#endif
