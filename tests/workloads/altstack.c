// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Allocations in signal handlers on an alternate stack: after a raise, after a fault at the first
 * instruction of a function, after a call of nothing, after a stack overflow, and from a timer at
 * whatever instruction it meets.  Built without frame pointers.
 *
 *	altstack [TIMER-SIGNALS]
 */
#include <alloca.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

#include "chain.h"

#define STACK_SIZE    (256 * 1024)
#define TIMER_US      1000
#define UD2_SIZE      2
#define DEFAULT_TIMER 300

enum { CASE_raised, CASE_first_instruction, CASE_nothing, CASE_overflow, CASE_timer, CASE_COUNT };
static const char *const case_names[] = { "raised", "first_instruction", "nothing", "overflow",
					  "timer" };
static unsigned long counts[CASE_COUNT];
static volatile sig_atomic_t timer_hits;
static sigjmp_buf way_out;

/*
 * The signal is taken with the program counter at its first byte, which lies right behind another
 * function: one byte earlier is that one's.
 */
void first_instruction(void);
__asm__(".pushsection .text\n"
	".type before_first_instruction, @function\n"
	"before_first_instruction:\n"
	"	.cfi_startproc\n"
	"	.cfi_def_cfa_offset 4096\n" /* never the right one */
	"	ud2\n"
	"	.cfi_endproc\n"
	"	.size before_first_instruction, . - before_first_instruction\n"
	".globl first_instruction\n"
	".type first_instruction, @function\n"
	"first_instruction:\n"
	"	.cfi_startproc\n"
	"	ud2\n"
	"	ret\n"
	"	.cfi_endproc\n"
	"	.size first_instruction, . - first_instruction\n"
	".popsection");

SITE static void handler_site(unsigned int which)
{
	void *p = malloc(CHAIN_SIZE(which));

	KEEP(p);
	counts[which]++;
}

static void on_raise(int number, siginfo_t *info, void *context)
{
	handler_site(CASE_raised);
	CHAIN_LINK();
}

static void on_illegal(int number, siginfo_t *info, void *context)
{
	handler_site(CASE_first_instruction);
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += UD2_SIZE;
}

static volatile unsigned int fault_case;

static void on_fault(int number, siginfo_t *info, void *context)
{
	handler_site(fault_case);
	siglongjmp(way_out, 1);
}

static void on_timer(int number, siginfo_t *info, void *context)
{
	handler_site(CASE_timer);
	timer_hits++;
}

static void on_signal(int number, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	if (sigaction(number, &action, NULL))
		_exit(1);
}

SITE static void raise_here(void)
{
	raise(SIGUSR1);
	CHAIN_LINK();
}

static void run_raised(void)
{
	raise_here();
	CHAIN_LINK();
}

static void run_first_instruction(void)
{
	first_instruction();
	CHAIN_LINK();
}

SITE static void call_nothing(void)
{
	void (*volatile nothing)(void) = NULL;

	if (!sigsetjmp(way_out, 1))
		nothing();
	CHAIN_LINK();
}

static void run_nothing(void)
{
	fault_case = CASE_nothing;
	call_nothing();
	CHAIN_LINK();
}

SITE static void overflow_step(unsigned int depth)
{
	volatile char room[4000];

	room[0] = room[sizeof(room) - 1] = 1;
	if (depth)
		overflow_step(depth - 1);
	CHAIN_LINK();
}

static void run_overflow(void)
{
	fault_case = CASE_overflow;
	if (!sigsetjmp(way_out, 1))
		overflow_step(UINT32_MAX);
	CHAIN_LINK();
}

/* Prologues and epilogues of several kinds, one within the other. */
SITE static uint64_t mix_leaf(uint64_t a)
{
	return a * 0x2545f4914f6cdd1dULL ^ a >> 29;
}

SITE static uint64_t mix_saves(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	uint64_t sum = mix_leaf(a);

	sum += mix_leaf(b + sum);
	sum += mix_leaf(c ^ sum);
	sum += mix_leaf(d - sum);
	return sum + a * b + c * d;
}

SITE static uint64_t mix_alloca(uint64_t a)
{
	size_t count = 8 + a % 64;
	uint64_t *room = alloca(count * sizeof(*room));

	for (size_t i = 0; i < count; i++)
		room[i] = a + i;
	KEEP(room);
	return mix_saves(room[0], room[1], room[count - 1], a);
}

SITE static uint64_t mix_room(uint64_t a)
{
	volatile uint64_t room[40];

	room[a % 40] = a;
	return mix_alloca(room[a % 40]) + mix_leaf(a);
}

static unsigned long wanted_hits = DEFAULT_TIMER;

SITE static uint64_t compute(void)
{
	uint64_t a = 1;

	while ((unsigned long)timer_hits < wanted_hits)
		a += mix_room(a);
	return a;
}

static void run_timer(void)
{
	struct itimerval every = { .it_interval.tv_usec = TIMER_US, .it_value.tv_usec = TIMER_US };
	struct itimerval never = { .it_value.tv_usec = 0 };
	uint64_t result;

	if (setitimer(ITIMER_REAL, &every, NULL))
		_exit(1);
	result = compute();
	KEEP(result);
	if (setitimer(ITIMER_REAL, &never, NULL))
		_exit(1);
}

int main(int argc, char **argv)
{
	static void (*const runs[])(void) = { run_raised, run_first_instruction, run_nothing,
					      run_overflow, run_timer };
	stack_t stack = { .ss_size = STACK_SIZE };

	wanted_hits = argument(argc, argv, 1, DEFAULT_TIMER);
	stack.ss_sp = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL))
		_exit(1);
	on_signal(SIGUSR1, on_raise);
	on_signal(SIGILL, on_illegal);
	on_signal(SIGSEGV, on_fault);
	on_signal(SIGALRM, on_timer);
	ready_and_go();
	for (unsigned int i = 0; i < CASE_COUNT; i++)
		runs[i]();
	chain_print(case_names, counts, CASE_COUNT);
	wait_for("quit");
	return 0;
}
