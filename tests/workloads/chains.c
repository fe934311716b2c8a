// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Calls of all shapes that compiled C and its C library make, without frame pointers.  Built with
 * -O2 -fomit-frame-pointer, sibling calls allowed, functions back to back.  Once it has loaded its
 * library it says "holds" and waits for the line "next".
 */
#include <alloca.h>
#include <dlfcn.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>

#include "chain.h"

#define RECURSION 200

/* clang-format off */
#define CASES(X) \
	X(constructor) X(deep) X(recursion) X(realigned) X(alloca) X(tail) X(noreturn) X(variadic) X(qsort) \
	X(once) X(thread) X(ifunc) X(lazy) X(resolver)
/* clang-format on */

#define CASE_NUMBER(name) CASE_##name,
#define CASE_NAME(name)   #name,
enum { CASES(CASE_NUMBER) CASE_atexit, CASE_COUNT };
static const char *const case_names[] = { CASES(CASE_NAME) "atexit" };
_Static_assert(CASE_constructor == CHAIN_CONSTRUCTOR, "what dl_ctor.c takes its size from");

/* deep: twelve frames, each of another size. */
#define DEEP(n, next)                                                                              \
	SITE static void deep_##n(void)                                                            \
	{                                                                                          \
		volatile char room[8 * n];                                                         \
                                                                                                   \
		room[0] = room[8 * n - 1] = n;                                                     \
		next;                                                                              \
		CHAIN_LINK();                                                                      \
	}
DEEP(12, CHAIN_KEEP(CASE_deep))
DEEP(11, deep_12())
DEEP(10, deep_11())
DEEP(9, deep_10())
DEEP(8, deep_9())
DEEP(7, deep_8())
DEEP(6, deep_7())
DEEP(5, deep_6())
DEEP(4, deep_5())
DEEP(3, deep_4())
DEEP(2, deep_3())
DEEP(1, deep_2())

static void case_deep(void)
{
	deep_1();
	CHAIN_LINK();
}

SITE static void recursion_step(int depth)
{
	if (depth == 0)
		CHAIN_KEEP(CASE_recursion);
	else
		recursion_step(depth - 1);
	CHAIN_LINK();
}

static void case_recursion(void)
{
	recursion_step(RECURSION);
	CHAIN_LINK();
}

SITE static void realigned_site(const char *vector, const char *room)
{
	KEEP(vector);
	KEEP(room);
	CHAIN_KEEP(CASE_realigned);
}

/*
 * More than 32 bytes of alignment, a frame of unknown size and arguments on the stack: GCC keeps
 * the address of the arguments in a register of its own, and the CFA is an expression.
 */
SITE static void realigned_frame(long a, long b, long c, long d, long e, long f, long size, long h)
{
	char vector[64] __attribute__((aligned(64)));
	char *room = alloca((size_t)size);

	memset(vector, (int)(a + b + c + d + e + f), sizeof(vector));
	memset(room, (int)h, (size_t)size);
	realigned_site(vector, room);
	CHAIN_LINK();
}

static void case_realigned(void)
{
	realigned_frame(1, 2, 3, 4, 5, 6, 777, 8);
	CHAIN_LINK();
}

SITE static void alloca_site(char *room)
{
	KEEP(room);
	CHAIN_KEEP(CASE_alloca);
}

SITE static void alloca_frame(size_t size)
{
	alloca_site(alloca(size));
	CHAIN_LINK();
}

static void case_alloca(void)
{
	alloca_frame(5000);
	CHAIN_LINK();
}

SITE static void tail_site(void)
{
	CHAIN_KEEP(CASE_tail);
}

SITE static void tail_jumps(void)
{
	tail_site(); /* not in the chain: it jumped */
}

static void case_tail(void)
{
	tail_jumps();
	CHAIN_LINK();
}

static jmp_buf noreturn_out;

SITE static _Noreturn void noreturn_site(void)
{
	CHAIN_KEEP(CASE_noreturn);
	longjmp(noreturn_out, 1);
}

/* Ends with the call: the return address is the first one of the function behind. */
SITE static _Noreturn void noreturn_last(void)
{
	noreturn_site();
}

SITE static void noreturn_behind(void)
{
	if (!setjmp(noreturn_out))
		noreturn_last();
	CHAIN_LINK();
}

static void case_noreturn(void)
{
	noreturn_behind();
	CHAIN_LINK();
}

SITE static void variadic_site(int count, ...)
{
	double sum = 0;
	va_list list;

	va_start(list, count);
	while (count--)
		sum += va_arg(list, double);
	va_end(list);
	if (sum > 0)
		CHAIN_KEEP(CASE_variadic);
}

static void case_variadic(void)
{
	variadic_site(3, 1.0, 2.0, 3.0);
	CHAIN_LINK();
}

SITE static int qsort_site(const void *a, const void *b)
{
	static int done;

	if (!done++)
		CHAIN_KEEP(CASE_qsort);
	return *(const int *)a - *(const int *)b;
}

static void case_qsort(void)
{
	int numbers[] = { 3, 1, 2 };

	qsort(numbers, 3, sizeof(numbers[0]), qsort_site);
	CHAIN_LINK();
}

SITE static void once_site(void)
{
	CHAIN_KEEP(CASE_once);
}

static void case_once(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, once_site);
	CHAIN_LINK();
}

SITE static void thread_site(void)
{
	CHAIN_KEEP(CASE_thread);
}

static void *thread_start(void *unused)
{
	thread_site();
	CHAIN_LINK();
	return NULL;
}

static void case_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, thread_start, NULL))
		_exit(1);
	pthread_join(thread, NULL);
}

/* Beside the program; its path must be known. */
SITE static void *open_library(void)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;
	void *library;

	if (len < 0)
		_exit(1);
	path[len] = '\0';
	slash = strrchr(path, '/');
	snprintf(slash, sizeof(path) - (size_t)(slash - path), "/dl_ctor.so");
	library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		_exit(1);
	}
	return library;
}

static void *library;

static void case_constructor(void)
{
	library = open_library();
}

SITE static void call_library(const char *name, size_t size)
{
	void (*call)(size_t) = (void (*)(size_t))dlsym(library, name);

	call(size);
	CHAIN_LINK();
}

/* A function that is chosen when the program starts. */
SITE static void ifunc_chosen(void)
{
	CHAIN_KEEP(CASE_ifunc);
}

static void (*ifunc_choose(void))(void)
{
	return ifunc_chosen;
}

void ifunc_site(void) __attribute__((ifunc("ifunc_choose")));

static void case_ifunc(void)
{
	ifunc_site();
	CHAIN_LINK();
}

/* Its first call of a function of its own goes through the linker, which then jumps there. */
static void case_lazy(void)
{
	call_library("dl_lazy", CHAIN_SIZE(CASE_lazy));
	CHAIN_LINK();
}

/* And the linker itself calls back, while it looks for the function. */
static void case_resolver(void)
{
	call_library("dl_choose", CHAIN_SIZE(CASE_resolver));
	CHAIN_LINK();
}

SITE static void atexit_site(void)
{
	CHAIN_KEEP(CASE_atexit);
}

#define CASE_RUN(name) case_##name,
static void (*const case_runs[])(void) = { CASES(CASE_RUN) };

int main(void)
{
	unsigned long counts[CASE_COUNT];

	atexit(atexit_site);
	ready_and_go();
	for (unsigned int i = 0; i < CASE_COUNT; i++) {
		if (i < CASE_atexit)
			case_runs[i]();
		counts[i] = 1;
	}
	chain_print(case_names, counts, CASE_COUNT);
	wait_for("quit");
	return 0;
}
