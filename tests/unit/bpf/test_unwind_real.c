/* SPDX-License-Identifier: GPL-2.0-or-later */
/* This program's own stacks, by tables of its own files, against libgcc's unwinder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <alloca.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <unwind.h>

#include "elf/ehframe.h"
#include "native/bpf_native.h"

#define TEXT __attribute__((noinline, noclone))

/* Registers as a return probe sees them: after the return of this function. */
void capture(struct pt_regs *regs);
__asm__(".pushsection .text\n"
	".globl capture\n"
	".type capture, @function\n"
	"capture: .cfi_startproc\n"
	"	mov %r15, 0(%rdi)\n"
	"	mov %r14, 8(%rdi)\n"
	"	mov %r13, 16(%rdi)\n"
	"	mov %r12, 24(%rdi)\n"
	"	mov %rbp, 32(%rdi)\n"
	"	mov %rbx, 40(%rdi)\n"
	"	mov (%rsp), %rax\n"
	"	mov %rax, 128(%rdi)\n"
	"	lea 8(%rsp), %rax\n"
	"	mov %rax, 152(%rdi)\n"
	"	ret\n"
	"	.cfi_endproc\n"
	"	.size capture, . - capture\n"
	".popsection\n");
_Static_assert(offsetof(struct pt_regs, rbp) == 32 && offsetof(struct pt_regs, rip) == 128 &&
		       offsetof(struct pt_regs, rsp) == 152,
	       "as capture() has them");

/* Tables put one behind the other, rules too. */
static struct {
	__u32 words, rules, ranges;
} placed;

static void place(const struct lt_unwind_table *table, __u64 bias, __u64 start, __u64 end)
{
	assert_true(placed.rules + table->rule_count <= LT_MAX_RULES);
	memcpy(native.rules + placed.rules, table->rules, table->rule_count * sizeof(__u64));
	for (__u32 i = 0; i < table->word_count; i++)
		native_set_word(placed.words + i,
				table->words[i] + (i > table->page_count ? placed.rules : 0));
	native.ranges[placed.ranges++] = (struct lt_code_range){
		.start = start,
		.end = end,
		.origin = table->origin + bias,
		.word = placed.words,
		.page_count = table->page_count,
		.source = LT_CODE_TABLE,
	};
	placed.words += table->word_count;
	placed.rules += table->rule_count;
}

static int build(const struct dl_phdr_info *info, struct lt_unwind_table *table)
{
	const char *path = info->dlpi_name[0] ? info->dlpi_name : "/proc/self/exe";
	uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
	int fd, error;

	if (vdso && info->dlpi_phdr == (void *)(vdso + ((ElfW(Ehdr) *)vdso)->e_phoff)) {
		size_t size = 0;

		for (int i = 0; i < info->dlpi_phnum; i++)
			if (info->dlpi_phdr[i].p_type == PT_LOAD)
				size = info->dlpi_phdr[i].p_offset + info->dlpi_phdr[i].p_filesz;
		/* Section headers are behind the segment, in its last page. */
		return lt_ehframe_build_memory((void *)vdso, (size + 4095) & ~4095UL, table);
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	error = lt_ehframe_build(fd, table);
	close(fd);
	return error;
}

static int place_object(struct dl_phdr_info *info, size_t size, void *data)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
		__u64 start = info->dlpi_addr + phdr->p_vaddr;
		struct lt_unwind_table table;

		if (phdr->p_type != PT_LOAD || !(phdr->p_flags & PF_X))
			continue;
		assert_int_equal(build(info, &table), 0);
		place(&table, info->dlpi_addr, start, start + phdr->p_memsz);
		lt_unwind_table_free(&table);
	}
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct lt_code_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int setup(void **state)
{
	native_reset();
	memset(&placed, 0, sizeof(placed));
	dl_iterate_phdr(place_object, NULL);
	qsort(native.ranges, placed.ranges, sizeof(native.ranges[0]), by_start);
	native.live = true;
	return 0;
}

static int teardown(void **state)
{
	native_free();
	return 0;
}

/* What libgcc finds, in the unwinder's terms. */
struct trace {
	__u64 frames[LT_MAX_FRAMES + 8];
	__u32 count;
};

static _Unwind_Reason_Code note(struct _Unwind_Context *context, void *data)
{
	struct trace *trace = data;
	int interrupted;
	__u64 ip = _Unwind_GetIPInfo(context, &interrupted);

	if (trace->count == LT_MAX_FRAMES + 8)
		return _URC_END_OF_STACK;
	if (interrupted) { /* behind it, as calls are; and its trampoline was not called */
		ip++;
		trace->frames[trace->count - 1]++;
	}
	trace->frames[trace->count++] = ip;
	return _URC_NO_REASON;
}

static struct {
	struct trace trace;
	struct pt_regs regs;
	__u32 end, count, unique;
	__u64 frames[LT_MAX_FRAMES];
	__u64 id, recalled;
} seen;

/* The two must be called by one function, for their frames but the first to be the same. */
static TEXT void look(void)
{
	struct lt_thread *thread = native.thread;

	seen.trace.count = 0;
	_Unwind_Backtrace(note, &seen.trace);
	capture(&seen.regs);
	thread->stack_end = 0;
	seen.id = stack_walk(&seen.regs, thread);
	seen.end = thread->stack.end;
	seen.count = thread->stack.frame_count;
	seen.unique = thread->walk.unique;
	memcpy(seen.frames, thread->frames, sizeof(seen.frames));
	seen.recalled = stack_recall(&seen.regs, thread);
	/* With the cache warm. */
	assert_int_equal(stack_walk(&seen.regs, thread), seen.id);
	assert_int_equal(thread->stack.frame_count, seen.count);
}

/* At least so many frames, from the innermost on, and all are libgcc's. */
static void expect_part(__u32 at_least, __u32 end)
{
	assert_int_equal(seen.end, end);
	assert_in_range(seen.count, at_least, seen.trace.count);
	assert_int_equal(seen.frames[0], seen.regs.rip);
	for (__u32 i = 1; i < seen.count; i++)
		assert_int_equal(seen.frames[i], seen.trace.frames[i]);
}

static void expect_whole(__u32 at_least)
{
	while (seen.trace.count && seen.trace.frames[seen.trace.count - 1] <= 1)
		seen.trace.count--; /* libgcc may tell of a frame at 0 behind the last */
	expect_part(at_least, LT_STACK_COMPLETE);
	assert_int_equal(seen.count, seen.trace.count);
	if (seen.recalled)
		assert_int_equal(seen.recalled, seen.id);
	seen.count = 0;
}

typedef void leaf(void);

static volatile int sink;

/* As distributions build programs. */
#define NO_FRAME_POINTER __attribute__((optimize("omit-frame-pointer")))

static NO_FRAME_POINTER TEXT void plain(leaf *then, int depth)
{
	volatile char room[40];

	room[depth] = 1;
	if (depth)
		plain(then, depth - 1);
	else
		then();
	sink += room[depth];
}

static TEXT void based(leaf *then, int depth)
{
	volatile char room[100];

	room[depth] = 1;
	if (depth)
		based(then, depth - 1);
	else
		then();
	sink += room[depth];
}

static NO_FRAME_POINTER TEXT void large(leaf *then, int depth)
{
	volatile char room[3000];

	room[depth] = 1;
	if (depth)
		large(then, depth - 1);
	else
		then();
	sink += room[depth];
}

static TEXT void with_alloca(leaf *then, int size)
{
	volatile char *room = alloca(size);

	room[size - 1] = 1;
	if (size > 64)
		with_alloca(then, size / 2);
	else
		then();
	sink += room[size - 1];
}

/* gcc finds its arguments by another register when it realigns, and keeps RSP for alloca. */
static TEXT void realigned(leaf *then, int size, long a, long b, long c, long d, long e)
{
	volatile char aligned[64] __attribute__((aligned(64)));
	volatile char *room = alloca(size);

	aligned[size % 64] = (char)(a + b + c + d + e);
	room[size - 1] = 1;
	if (size > 16)
		realigned(then, size / 2, a, b, c, d, e + 1);
	else
		then();
	sink += aligned[size % 64] + room[size - 1];
}

static void test_plain(void **state)
{
	look();
	expect_whole(4);
	plain(look, 20);
	expect_whole(24);
	plain(look, 39);
	expect_whole(43);
}

/* Words of a shallow stack are in one chunk, and no register but RBP was needed. */
static void test_recalled(void **state)
{
	plain(look, 3);
	expect_whole(7);
	/* Large frames of sanitizers may reach beyond the chunk. */
	assert_true(seen.unique || seen.recalled == seen.id);
}

static void test_frames_of_all_kinds(void **state)
{
	large(look, 5);
	expect_whole(9);
	with_alloca(look, 5000);
	expect_whole(10);
	based(look, 12);
	expect_whole(16);
}

/* Where it put RBP, no table of this form says: the walk gets out of it, and may end then. */
static void test_realigned(void **state)
{
	realigned(look, 100, 1, 2, 3, 4, 5);
	if (seen.end == LT_STACK_COMPLETE)
		expect_whole(6);
	else
		expect_part(3, LT_STACK_UNSUPPORTED);
}

static leaf *compare_then;
static int compared;

static int compare(const void *a, const void *b)
{
	if (compared++ == 0)
		plain(compare_then, 2);
	return *(const char *)a - *(const char *)b;
}

static void through_libc(leaf *then)
{
	char letters[] = "unwinding";

	compare_then = then;
	compared = 0;
	qsort(letters, sizeof(letters) - 1, 1, compare);
	assert_true(compared > 1);
}

static void test_through_libc(void **state)
{
	through_libc(look);
	expect_whole(8);
}

static void on_signal(int number)
{
	plain(look, 1);
}

static TEXT void raise_now(void)
{
	raise(SIGUSR1);
}

static TEXT void trap_now(void)
{
	__asm__ volatile("ud2\n	nop");
}

static void on_trap(int number, siginfo_t *info, void *context)
{
	plain(look, 1);
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

static void test_signals(void **state)
{
	static char alternate[256 << 10];
	stack_t stack = { .ss_sp = alternate, .ss_size = sizeof(alternate) }, before;
	struct sigaction action = { .sa_handler = on_signal }, old;

	for (int flags = 0; flags <= SA_ONSTACK; flags += SA_ONSTACK) {
		assert_int_equal(sigaltstack(&stack, &before), 0);
		action.sa_handler = on_signal;
		action.sa_flags = flags;
		assert_int_equal(sigaction(SIGUSR1, &action, &old), 0);
		plain(raise_now, 3);
		assert_int_equal(seen.unique, 1);
		expect_whole(10);
		sigaction(SIGUSR1, &old, NULL);

		action.sa_sigaction = on_trap;
		action.sa_flags = flags | SA_SIGINFO;
		assert_int_equal(sigaction(SIGILL, &action, &old), 0);
		large(trap_now, 3);
		expect_whole(10);
		sigaction(SIGILL, &old, NULL);
		sigaltstack(&before, NULL);
	}
}

static void *thread_main(void *data)
{
	through_libc(look);
	return NULL;
}

static void test_thread(void **state)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, thread_main, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	expect_whole(7);
}

/* Too deep: the innermost frames, and marked. */
static void test_too_deep(void **state)
{
	for (int depth = 0; depth < 30; depth += 10) {
		large(look, LT_MAX_FRAMES + depth - 20);
		if (seen.trace.count > LT_MAX_FRAMES)
			expect_part(LT_MAX_FRAMES, LT_STACK_LIMIT);
		else
			expect_whole(LT_MAX_FRAMES - 20);
	}
	assert_int_equal(seen.end, LT_STACK_LIMIT);
}

/* A file that is not known: what is told is a part of the truth, and marked. */
static void test_cut_off(void **state)
{
	struct lt_code_range ranges[64];
	int cut = 0;

	assert_true(placed.ranges <= 64);
	memcpy(ranges, native.ranges, sizeof(ranges));
	for (__u32 i = 0; i < placed.ranges; i++) {
		native.ranges[i].source = LT_CODE_PENDING;
		lt_code_generation += 2;
		through_libc(look);
		if (seen.end == LT_STACK_COMPLETE)
			expect_whole(8);
		else
			expect_part(1, LT_STACK_PENDING);
		cut += seen.end != LT_STACK_COMPLETE;
		memcpy(native.ranges, ranges, sizeof(ranges));
	}
	assert_true(cut >= 2); /* this program and libc */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_plain),        TEST(test_recalled),  TEST(test_frames_of_all_kinds),
		TEST(test_through_libc), TEST(test_realigned), TEST(test_signals),
		TEST(test_thread),       TEST(test_too_deep),  TEST(test_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
