// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Descriptors, at the system calls that make and close them.
 *
 * A release is told before the call (and taken back if a dup2 failed), an acquire after it; all of one
 * process go to one ring.  What other calls do (io_uring, ioctl), and which of several calls on one
 * number was the last, the census shows (user/model/handles.h).
 *
 * Events belong to the process whose descriptor table the thread uses, which need not be its own.
 */
#include "common.bpf.h"
#include "kernel.bpf.h"
#include "ring.bpf.h"
#include "share.bpf.h"
#include "stack.bpf.h"
#include "syscall.bpf.h"

#include <asm/unistd_64.h>

#define S_IFMT   0170000 /* include/uapi/linux/stat.h */
#define S_IFSOCK 0140000

struct inode {
	unsigned short i_mode;
} __attribute__((preserve_access_index));

struct file {
	struct inode *f_inode;
} __attribute__((preserve_access_index));

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
} __attribute__((preserve_access_index));

struct files_struct {
	struct fdtable *fdt;
} __attribute__((preserve_access_index));

/* The process whose descriptors the current thread uses, if their events are wanted. */
static __always_inline bool owner(struct lt_bpf_target *to)
{
	struct task_struct___files *task = (void *)bpf_get_current_task();
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 pid = pid_tgid >> 32;
	bool first = (__u32)pid_tgid == pid; /* its table is the process's */
	struct files_struct *table;
	struct lt_bpf_lender *lender;
	struct lt_bpf_target *target;

	if (!lt_active)
		return false;
	lender = lt_borrowed_tables ? bpf_map_lookup_elem(&lt_table_lenders, &pid) : NULL;
	if (lender && lender->table == (__u64)BPF_CORE_READ(task, files)) {
		to->process = lender->process;
		return true;
	}
	if (lender && first)
		table_give_back(pid); /* unshare() or close_range() gave it one of its own */
	target = target_find(pid);
	/* After vfork the memory is the parent's, but the descriptors are a copy. */
	if (!target || target->flags & LT_TARGET_BORROWED)
		return false;
	to->process = target->process;
	if (first)
		return true;
	table = BPF_CORE_READ(task, group_leader, files);
	return !table || table == BPF_CORE_READ(task, files);
}

static __always_inline bool is_socket(__u32 fd)
{
	struct task_struct___files *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **slots = BPF_CORE_READ(table, fd), *file = NULL;

	if (fd >= BPF_CORE_READ(table, max_fds) ||
	    bpf_probe_read_kernel(&file, sizeof(file), &slots[fd]) || !file)
		return false;
	return (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) == S_IFSOCK;
}

enum brings { BRINGS_FILE, BRINGS_SOCKET, BRINGS_EITHER };

/* What the descriptors of a system call are for. */
static __always_inline enum brings brings(__u64 number)
{
	switch (number) {
	case __NR_socket:
	case __NR_socketpair:
	case __NR_accept:
	case __NR_accept4:
		return BRINGS_SOCKET;
	case __NR_dup:
	case __NR_dup2:
	case __NR_dup3:
	case __NR_fcntl:
	case __NR_recvmsg:
	case __NR_recvmmsg:
	case __NR_pidfd_getfd:
		return BRINGS_EITHER;
	}
	return BRINGS_FILE;
}

/* The descriptors that one call has made. */
struct making {
	struct lt_thread *thread;
	__u64 stack_id;
	enum brings brings;
};

/* False: nothing can be told; or it is of no matter. */
static __always_inline bool making_begin(const struct call_event *ctx, struct making *making)
{
	struct lt_bpf_target target = { 0 };
	struct pt_regs *regs;

	if (!owner(&target))
		return false;
	making->thread = thread_get(&target);
	regs = making->thread ? copy_regs(making->thread, ctx->number) : NULL;
	making->brings = brings(ctx->number);
	return regs;
}

/* Before the first of them is told. */
static __always_inline void making_stack(struct making *making)
{
	struct lt_thread *thread = making->thread;
	struct ring_ref ring;

	making->stack_id = stack_identify(&thread->returned, thread);
	if (!ring_of_process(thread->process, &ring))
		return;
	ring_takes_acquire(&ring); /* how full it is */
	stack_send(&ring, thread, making->stack_id, LT_KIND_FD);
}

/*
 * A global function, which the verifier looks at once and not at each call: there are loops of these.
 * what: enum brings, and the flags above its two bits.
 */
__noinline int tell_made(__u32 process, __u32 fd, __u64 stack_id, __u32 what)
{
	struct lt_wire_acquire *record;
	struct ring_ref ring;
	__u8 kind = (what & 3) == BRINGS_SOCKET || ((what & 3) == BRINGS_EITHER && is_socket(fd))
			    ? LT_KIND_SOCKET
			    : LT_KIND_FD;

	if (!ring_of_process(process, &ring) || !ring_takes_acquire(&ring)) {
		count(LT_COUNTER_ACQUIRE_RING_FULL);
		return 0;
	}
	record = bpf_ringbuf_reserve(ring.ring, sizeof(*record), 0);
	if (!record) {
		count(LT_COUNTER_ACQUIRE_RING_FULL);
		return 0;
	}
	fill_header(&record->header, LT_WIRE_ACQUIRE, kind, what >> 2, process);
	record->id = fd;
	record->size = 1;
	record->stack_id = stack_id;
	bpf_ringbuf_submit(record, ring_flags(&ring));
	return 0;
}

static __always_inline void made(const struct making *making, __u32 fd, __u8 flags)
{
	tell_made(making->thread->process, fd, making->stack_id, making->brings | flags << 2);
}

static __always_inline void closing(__u8 type, __u8 flags, __u32 fd)
{
	struct lt_bpf_target target = { 0 };
	struct ring_ref ring;

	if (!owner(&target))
		return;
	if (ring_of_process(target.process, &ring))
		put_release(&ring, target.process, type, LT_KIND_FD, flags, fd);
	else
		count(LT_COUNTER_RELEASE_RING_FULL);
}

/* What is not there costs a page fault each time, up to 16 us, of the target's own time. */
#define READ_TRIES 10

/*
 * A page of the target's memory is not there for a moment while another thread makes it its own after a fork
 * (wp_page_copy() in mm/memory.c takes it out before it puts the copy in), or the kernel moves it.  0: all
 * of these bytes, 4 KiB at most, could be read.  A global function, so that its loop is verified once.
 */
__noinline int await_user(__u64 address, __u32 size)
{
	__u8 byte;

	for (int i = 0; i < READ_TRIES; i++)
		if (!bpf_probe_read_user(&byte, 1, (void *)address) &&
		    !bpf_probe_read_user(&byte, 1, (void *)(address + size - 1)))
			return 0;
	return -1;
}

/* What a call took or gave.  False: it cannot be read, which is counted. */
static __always_inline bool read_user(void *to, __u32 size, __u64 address)
{
	if (!bpf_probe_read_user(to, size, (void *)address) ||
	    (!await_user(address, size) && !bpf_probe_read_user(to, size, (void *)address)))
		return true;
	count(LT_COUNTER_RETURN_FAULT);
	return false;
}

/* Commands of bpf() that return a descriptor: enum bpf_cmd in include/uapi/linux/bpf.h, kernel/bpf/syscall.c. */
#define BPF_COMMANDS                                                                               \
	(1ULL << BPF_MAP_CREATE | 1ULL << BPF_PROG_LOAD | 1ULL << BPF_OBJ_GET |                    \
	 1ULL << BPF_PROG_GET_FD_BY_ID | 1ULL << BPF_MAP_GET_FD_BY_ID |                            \
	 1ULL << BPF_RAW_TRACEPOINT_OPEN | 1ULL << BPF_BTF_LOAD | 1ULL << BPF_BTF_GET_FD_BY_ID |   \
	 1ULL << BPF_LINK_CREATE | 1ULL << BPF_LINK_GET_FD_BY_ID | 1ULL << BPF_ENABLE_STATS |      \
	 1ULL << BPF_ITER_CREATE | 1ULL << 36 /* BPF_TOKEN_CREATE */)

#define F_DUPFD         0 /* include/uapi/asm-generic/fcntl.h, include/uapi/linux/fcntl.h */
#define F_DUPFD_CLOEXEC 1030

#define IORING_SETUP_REGISTERED_FD_ONLY (1U << 15) /* include/uapi/linux/io_uring.h */
#define IORING_PARAMS_FLAGS             8          /* in struct io_uring_params */

#define SECCOMP_SET_MODE_FILTER          1 /* include/uapi/linux/seccomp.h */
#define SECCOMP_FILTER_FLAG_NEW_LISTENER 8

/* Whether what a call returned is a new descriptor. */
static __always_inline bool makes_one(__u64 number, const struct pt_regs *regs)
{
	__u32 flags = 0;

	switch (number) {
	case __NR_fcntl:
		return (__u32)regs->rsi == F_DUPFD || (__u32)regs->rsi == F_DUPFD_CLOEXEC;
	case __NR_signalfd:
	case __NR_signalfd4:
		return (__s32)regs->rdi == -1; /* else it changes that one */
	case __NR_bpf:
		return (__u32)regs->rdi < 64 && BPF_COMMANDS >> (__u32)regs->rdi & 1;
	case __NR_landlock_create_ruleset:
		return !(__u32)regs->rdx; /* else it tells a version */
	case __NR_io_uring_setup:         /* else it is an index of the kernel's own */
		read_user(&flags, sizeof(flags), regs->rsi + IORING_PARAMS_FLAGS);
		return !(flags & IORING_SETUP_REGISTERED_FD_ONLY);
	case __NR_seccomp:
		return (__u32)regs->rdi == SECCOMP_SET_MODE_FILTER &&
		       regs->rsi & SECCOMP_FILTER_FLAG_NEW_LISTENER;
	}
	return true;
}

SEC("tracepoint")
int leave_making(struct call_event *ctx)
{
	struct making making;

	if (ctx->result < 0 || !making_begin(ctx, &making) ||
	    !makes_one(ctx->number, &making.thread->returned))
		return 0;
	making_stack(&making);
	made(&making, ctx->result, 0);
	return 0;
}

/* pipe(pair), pipe2(pair, ...), socketpair(..., ..., ..., pair) */
SEC("tracepoint")
int leave_making_two(struct call_event *ctx)
{
	struct making making;
	struct pt_regs *regs;
	__u32 pair[2];

	if (ctx->result || !making_begin(ctx, &making))
		return 0;
	regs = &making.thread->returned;
	if (!read_user(pair, sizeof(pair), ctx->number == __NR_socketpair ? regs->r10 : regs->rdi))
		return 0;
	making_stack(&making);
	made(&making, pair[0], 0);
	made(&making, pair[1], 0);
	return 0;
}

#define CLONE_PIDFD 0x1000 /* include/uapi/linux/sched.h */

/* clone(flags, stack, pidfd, ...), clone3(arguments, ...), which begin with flags and pidfd */
SEC("tracepoint")
int leave_clone(struct call_event *ctx)
{
	__u64 arguments[2];
	struct making making;
	struct pt_regs *regs;
	__u32 fd;

	if (ctx->result <= 0 || !making_begin(ctx, &making))
		return 0;
	regs = &making.thread->returned;
	arguments[0] = regs->rdi;
	arguments[1] = regs->rdx;
	if (ctx->number == __NR_clone3 && !read_user(arguments, sizeof(arguments), regs->rdi))
		return 0;
	if (!(arguments[0] & CLONE_PIDFD) || !read_user(&fd, sizeof(fd), arguments[1]))
		return 0;
	making_stack(&making);
	made(&making, fd, 0);
	return 0;
}

/*
 * close(fd).  Whatever it returns, the descriptor is gone (close(2)); or it was not there (EBADF), which
 * is nothing unless others close and make the same number meanwhile: then the census knows.
 */
SEC("tracepoint")
int enter_close(struct call_event *ctx)
{
	closing(LT_WIRE_RELEASE, 0, ctx->arguments[0]);
	return 0;
}

/* dup2(old, fd), dup3(old, fd, ...): what had that number is closed. */
SEC("tracepoint")
int enter_dup_over(struct call_event *ctx)
{
	if ((__u32)ctx->arguments[0] != (__u32)ctx->arguments[1])
		closing(LT_WIRE_RELEASE, LT_WIRE_F_REALLOC, ctx->arguments[1]);
	return 0;
}

SEC("tracepoint")
int leave_dup_over(struct call_event *ctx)
{
	struct making making;
	struct pt_regs *regs;

	if (!making_begin(ctx, &making))
		return 0;
	regs = &making.thread->returned;
	if ((__u32)regs->rdi == (__u32)regs->rsi)
		return 0;
	if (ctx->result < 0) {
		closing(LT_WIRE_RESTORE, LT_WIRE_F_REALLOC, regs->rsi);
		return 0;
	}
	making_stack(&making);
	made(&making, ctx->result, LT_WIRE_F_REALLOC);
	return 0;
}

#define CLOSE_RANGE_UNSHARE 2 /* include/uapi/linux/close_range.h */

static __always_inline void close_range(__u64 first, __u64 last)
{
	struct lt_bpf_target target = { 0 };
	struct lt_wire_range *record;
	struct ring_ref ring;

	if (!owner(&target))
		return;
	if (!ring_of_process(target.process, &ring) ||
	    !(record = bpf_ringbuf_reserve(ring.ring, sizeof(*record), 0))) {
		count(LT_COUNTER_RELEASE_RING_FULL);
		return;
	}
	fill_header(&record->header, LT_WIRE_RANGE_RELEASE, LT_KIND_FD, LT_WIRE_F_RANGE,
		    target.process);
	record->id = first;
	record->size = last - first + 1;
	record->target = 0;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

/* close_range(first, last, flags) cannot fail when its arguments are right, but for UNSHARE. */
SEC("tracepoint")
int enter_close_range(struct call_event *ctx)
{
	__u32 first = ctx->arguments[0], last = ctx->arguments[1];

	if (first <= last && !(__u32)ctx->arguments[2])
		close_range(first, last);
	return 0;
}

/* With UNSHARE it closes those of a table that is the thread's own by now, if it was not before. */
SEC("tracepoint")
int leave_close_range(struct call_event *ctx)
{
	struct making making;
	struct pt_regs *regs;

	if (ctx->result || !making_begin(ctx, &making))
		return 0;
	regs = &making.thread->returned;
	if ((__u32)regs->rdx == CLOSE_RANGE_UNSHARE)
		close_range((__u32)regs->rdi, (__u32)regs->rsi);
	return 0;
}

#define SOL_SOCKET 1 /* include/linux/socket.h */
#define SCM_RIGHTS 1
#define SCM_PIDFD  4 /* one, which may be an error instead */

struct control { /* struct cmsghdr */
	__u64 length;
	__u32 level, type;
};

struct message { /* the middle of struct user_msghdr */
	__u64 control, control_length;
};

#define MESSAGE_CONTROL 32 /* where that is in it */
#define MESSAGE_BYTES   64 /* struct mmsghdr */

/*
 * Steps of a walk through messages: into a message, over one control header, or to one descriptor,
 * of which a header has 253 at most (SCM_MAX_FD).
 */
#define RECEIVE_STEPS 320
/* Of one recvmmsg(), in which control headers are looked for. */
#define RECEIVE_MESSAGES 64

/* The first message that has control headers; their number when none has. */
static __always_inline __u64 first_with_control(__u64 messages, __u64 count)
{
	struct message message;

	for (__u64 i = 0; i < RECEIVE_MESSAGES && i < count; i++) {
		if (!read_user(&message, sizeof(message), messages + i * MESSAGE_BYTES))
			break;
		if (message.control && message.control_length >= sizeof(struct control))
			return i;
	}
	return count;
}

/*
 * False: all is read, or the rest cannot be: memory that went away is not tried again for each descriptor.
 * What is known between steps lies in memory, where it has no history to verify.
 */
static __always_inline bool receive_step(struct making *making, struct lt_receiving *receiving)
{
	__u64 at = receiving->at, end = receiving->end;
	struct message message;
	struct control control;
	__u32 fd;

	if (at < receiving->rights_end) {
		receiving->at = at + sizeof(fd);
		if (!read_user(&fd, sizeof(fd), at))
			return false;
		if (fd < 1U << 31)
			made(making, fd, 0);
		return true;
	}
	at = (at + 7) & ~7ULL;
	if (at + sizeof(control) <= end) {
		if (!read_user(&control, sizeof(control), at))
			return false;
		if (control.length < sizeof(control) || control.length > end - at) {
			receiving->at = end; /* not what the kernel wrote */
			return true;
		}
		receiving->at = at + control.length;
		if (control.level == SOL_SOCKET &&
		    (control.type == SCM_RIGHTS || control.type == SCM_PIDFD)) {
			receiving->rights_end = at + (control.length & ~3ULL);
			receiving->at = at + sizeof(control);
		}
		return true;
	}
	if (receiving->next == receiving->count ||
	    !read_user(&message, sizeof(message),
		       receiving->messages + receiving->next * MESSAGE_BYTES))
		return false;
	receiving->next++;
	receiving->at = message.control;
	receiving->end = message.control + message.control_length;
	receiving->rights_end = 0;
	return true;
}

static __always_inline int received(const struct call_event *ctx, __u64 count_received)
{
	struct lt_receiving *receiving;
	struct making making;

	if (ctx->result < 0 || !making_begin(ctx, &making))
		return 0;
	receiving = &making.thread->receiving;
	receiving->count = count_received;
	receiving->messages = making.thread->returned.rsi + MESSAGE_CONTROL;
	receiving->next = first_with_control(receiving->messages, count_received);
	receiving->at = receiving->end = receiving->rights_end = 0;
	if (receiving->next == count_received)
		return 0;
	making_stack(&making);
	for (int i = 0; i < RECEIVE_STEPS; i++)
		if (!receive_step(&making, receiving))
			return 0;
	count(LT_COUNTER_RECEIVED_MISSED);
	return 0;
}

SEC("tracepoint")
int leave_recvmsg(struct call_event *ctx)
{
	return received(ctx, 1);
}

SEC("tracepoint")
int leave_recvmmsg(struct call_event *ctx)
{
	return received(ctx, ctx->result);
}

char LICENSE[] __weak SEC("license") = "GPL";
