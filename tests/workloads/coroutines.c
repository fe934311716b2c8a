// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Allocations on stacks of the program's own making, each between guard pages: makecontext's, those
 * of Boost.Context, and two whose switch is assembly without unwind information.  Built without
 * frame pointers, but for what is said below.
 *
 *	coroutines [ROUNDS]
 *
 * "inherited" is begun by a function that has a frame pointer, on a stack that lies above, and the
 * register still points there: what follows it leaves the coroutine for another one's stack.
 */
#include <sys/mman.h>
#include <ucontext.h>

#include "chain.h"

#define COROUTINES     4
#define STACK_SIZE     (64 * 1024)
#define PAGE           4096
#define DEFAULT_ROUNDS 50

enum {
	CASE_context,
	CASE_leak,
	CASE_boost,
	CASE_switched,
	CASE_inherited,
	CASE_creator,
	CASE_COUNT
};
static const char *const case_names[] = { "context",  "leak",      "boost",
					  "switched", "inherited", "creator" };
static unsigned long counts[CASE_COUNT];
static unsigned long rounds;

/* The end of a stack between guard pages: the next byte faults. */
static char *stack_end(void)
{
	char *stack = mmap(NULL, STACK_SIZE + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0);

	if (stack == MAP_FAILED || mprotect(stack + PAGE, STACK_SIZE, PROT_READ | PROT_WRITE))
		_exit(1);
	return stack + PAGE + STACK_SIZE;
}

/* A block that lives until the stack has been left and entered again. */
#define BLOCK_OVER(which, leave)                                                                   \
	do {                                                                                       \
		void *block_ = malloc(CHAIN_SIZE(which));                                          \
                                                                                                   \
		KEEP(block_);                                                                      \
		if (!block_)                                                                       \
			_exit(1);                                                                  \
		counts[which]++;                                                                   \
		leave;                                                                             \
		free(block_);                                                                      \
	} while (0)

/* 1. makecontext and swapcontext */
static ucontext_t scheduler, contexts[COROUTINES];

SITE static void context_leak(void)
{
	void *p = malloc(CHAIN_SIZE(CASE_leak)); /* LEAK */

	KEEP(p);
	counts[CASE_leak]++;
}

SITE static void context_site(int self)
{
	BLOCK_OVER(CASE_context, swapcontext(&contexts[self], &scheduler));
}

SITE static void context_step(int self, int depth)
{
	if (depth)
		context_step(self, depth - 1);
	else
		context_site(self);
	CHAIN_LINK();
}

static void context_entry(int self)
{
	for (;;) {
		context_step(self, 2);
		context_leak();
	}
}

SITE static void make_context(int i)
{
	if (getcontext(&contexts[i]))
		_exit(1);
	contexts[i].uc_stack.ss_sp = stack_end() - STACK_SIZE;
	contexts[i].uc_stack.ss_size = STACK_SIZE;
	makecontext(&contexts[i], (void (*)(void))context_entry, 1, i);
}

static void run_contexts(void)
{
	for (int i = 0; i < COROUTINES; i++)
		make_context(i);
	for (unsigned long i = 0; i < rounds * COROUTINES; i++)
		swapcontext(&scheduler, &contexts[i % COROUTINES]);
}

/* 2. Boost.Context's C interface, which its C++ headers wrap */
struct transfer {
	void *from, *data;
};
struct transfer jump_fcontext(void *to, void *data);
void *make_fcontext(void *stack, size_t size, void (*entry)(struct transfer));

SITE static void boost_site(struct transfer *back)
{
	BLOCK_OVER(CASE_boost, *back = jump_fcontext(back->from, NULL));
}

SITE static void boost_step(struct transfer *back)
{
	boost_site(back);
	CHAIN_LINK();
}

static void boost_entry(struct transfer back)
{
	for (;;)
		boost_step(&back);
}

static void run_boost(void)
{
	void *contexts_[COROUTINES];

	for (int i = 0; i < COROUTINES; i++)
		contexts_[i] = make_fcontext(stack_end(), STACK_SIZE, boost_entry);
	for (unsigned long i = 0; i < rounds * COROUTINES; i++)
		contexts_[i % COROUTINES] = jump_fcontext(contexts_[i % COROUTINES], NULL).from;
}

/*
 * 3. A switch by hand.  coroutine_begin calls entry(argument) at the end of a new stack;
 * %rbp stays what it was.
 */
void coroutine_switch(void **from, void *to);
void coroutine_begin(void **from, char *stack, void (*entry)(void *), void *argument);
__asm__(".pushsection .text\n"
	".globl coroutine_switch\n"
	".type coroutine_switch, @function\n"
	"coroutine_switch:\n"
	"	push %rbp\n"
	"	push %rbx\n"
	"	push %r12\n"
	"	push %r13\n"
	"	push %r14\n"
	"	push %r15\n"
	"	mov %rsp, (%rdi)\n"
	"	mov %rsi, %rsp\n"
	"	pop %r15\n"
	"	pop %r14\n"
	"	pop %r13\n"
	"	pop %r12\n"
	"	pop %rbx\n"
	"	pop %rbp\n"
	"	ret\n"
	"	.size coroutine_switch, . - coroutine_switch\n"
	".globl coroutine_begin\n"
	".type coroutine_begin, @function\n"
	"coroutine_begin:\n"
	"	push %rbp\n"
	"	push %rbx\n"
	"	push %r12\n"
	"	push %r13\n"
	"	push %r14\n"
	"	push %r15\n"
	"	mov %rsp, (%rdi)\n"
	"	mov %rsi, %rsp\n"
	"	mov %rcx, %rdi\n"
	"	call *%rdx\n"
	"	ud2\n"
	"	.size coroutine_begin, . - coroutine_begin\n"
	".popsection");

struct coroutine {
	void *here, *back;
};

SITE static void switched_site(struct coroutine *self)
{
	BLOCK_OVER(CASE_switched, coroutine_switch(&self->here, self->back));
}

SITE static void switched_step(struct coroutine *self)
{
	switched_site(self);
	CHAIN_LINK();
}

static void switched_entry(void *self)
{
	for (;;)
		switched_step(self);
}

static void run_switched(void)
{
	static struct coroutine coroutines[COROUTINES];

	for (unsigned long i = 0; i < rounds * COROUTINES; i++) {
		struct coroutine *coroutine = &coroutines[i % COROUTINES];

		if (coroutine->here) {
			coroutine_switch(&coroutine->back, coroutine->here);
		} else {
			coroutine_begin(&coroutine->back, stack_end(), switched_entry, coroutine);
		}
	}
}

/* 4. The same, begun from a coroutine above that has frame pointers. */
static struct coroutine creator, inherited;
static char *inherited_stack;

SITE static void inherited_site(struct coroutine *self)
{
	BLOCK_OVER(CASE_inherited, coroutine_switch(&self->here, self->back));
}

static void inherited_entry(void *self)
{
	for (;;)
		inherited_site((struct coroutine *)self);
}

SITE __attribute__((optimize("no-omit-frame-pointer"))) static void creator_site(void)
{
	BLOCK_OVER(CASE_creator,
		   coroutine_begin(&inherited.back, inherited_stack, inherited_entry, &inherited));
}

__attribute__((optimize("no-omit-frame-pointer"))) static void creator_entry(void *unused)
{
	creator_site();
	for (unsigned long i = 1; i < rounds; i++)
		coroutine_switch(&inherited.back, inherited.here);
	coroutine_switch(&creator.here, creator.back);
}

static void run_inherited(void)
{
	char *upper = stack_end();

	inherited_stack = stack_end();
	if (inherited_stack > upper) {
		char *lower = upper;

		upper = inherited_stack;
		inherited_stack = lower;
	}
	coroutine_begin(&creator.back, upper, creator_entry, NULL);
}

int main(int argc, char **argv)
{
	rounds = argument(argc, argv, 1, DEFAULT_ROUNDS);
	ready_and_go();
	run_contexts();
	run_boost();
	run_switched();
	run_inherited();
	chain_print(case_names, counts, CASE_COUNT);
	wait_for("quit");
	return 0;
}
