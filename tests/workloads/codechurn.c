// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Code that comes and goes.  Some threads generate functions, call through them, unmap them and
 * generate others at the same address; another loads two libraries in turn and calls through each,
 * and through generated code at the address where the last one was: in the first rounds it says
 * "holds" and stays in a piece of code until it hears "next"; the others are as fast as can be.
 * Built without frame pointers; the generated code has them, for it has no tables.
 *
 *	codechurn [HELD-ROUNDS [FAST-ROUNDS [THREADS]]]
 *
 * The truth tells besides how often code was followed by other code at its address.  What is
 * counted is checked at the end; a wrong count ends with status 2.
 */
#include <dlfcn.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <time.h>

#include "chain.h"

#define CODE_SIZE          4096
#define MAX_THREADS        16
#define DEFAULT_HELD       2
#define DEFAULT_FAST       300
#define DEFAULT_THREADS    2
#define GENERATOR_PAUSE_US 500
#define HOLD_PAUSE_MS      20

enum {
	CASE_shallow,
	CASE_nested,
	CASE_dl_a,
	CASE_dl_b,
	CASE_after_library,
	CASE_followed,
	CASE_followed_library,
	CASE_COUNT
};
static const char *const case_names[] = {
	"shallow", "nested", "dl_a", "dl_b", "after_library", "followed", "followed_library"
};
static atomic_ulong counts[CASE_COUNT];
static unsigned long held_rounds, fast_rounds;
static unsigned long loader_calls;
static atomic_ulong rounds_done;
static atomic_bool loader_is_done;

typedef void *(*function)(size_t size);
typedef void *(*generated)(function call, size_t size);

/* push %rbp; mov %rsp,%rbp; mov %rdi,%rax; mov %rsi,%rdi; call *%rax; pop %rbp; ret */
static const unsigned char shallow_code[] = { 0x55, 0x48, 0x89, 0xe5, 0x48, 0x89, 0xf8,
					      0x48, 0x89, 0xf7, 0xff, 0xd0, 0x5d, 0xc3 };
/*
 * push %rbp; mov %rsp,%rbp; sub $96,%rsp; mov %rdi,%rax; mov %rsi,%rdi; call inner; leave; ret
 * inner: push %rbp; mov %rsp,%rbp; sub $32,%rsp; call *%rax; leave; ret
 */
static const unsigned char nested_code[] = { 0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x60, 0x48,
					     0x89, 0xf8, 0x48, 0x89, 0xf7, 0xe8, 0x02, 0x00, 0x00,
					     0x00, 0xc9, 0xc3, 0x55, 0x48, 0x89, 0xe5, 0x48, 0x83,
					     0xec, 0x20, 0xff, 0xd0, 0xc9, 0xc3 };

static void *map_code(void *where, const unsigned char *code, size_t size)
{
	void *page = mmap(where, CODE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | (where ? MAP_FIXED_NOREPLACE : 0), -1, 0);

	if (page == MAP_FAILED)
		return NULL;
	memcpy(page, code, size);
	if (mprotect(page, CODE_SIZE, PROT_READ | PROT_EXEC))
		_exit(1);
	return page;
}

SITE static void *shallow_site(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	return p;
}

SITE static void *nested_site(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	return p;
}

SITE static void *after_site(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	return p;
}

static void finish(void *block, unsigned int which)
{
	if (!block)
		_exit(1);
	free(block);
	atomic_fetch_add(&counts[which], 1);
}

SITE static void call_shallow(void *code)
{
	finish(((generated)code)(shallow_site, CHAIN_SIZE(CASE_shallow)), CASE_shallow);
	CHAIN_LINK();
}

SITE static void call_nested(void *code)
{
	finish(((generated)code)(nested_site, CHAIN_SIZE(CASE_nested)), CASE_nested);
	CHAIN_LINK();
}

SITE static void call_after(function code)
{
	finish(((generated)(void *)code)(after_site, CHAIN_SIZE(CASE_after_library)),
	       CASE_after_library);
	CHAIN_LINK();
}

static void pause_us(long us)
{
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

static void *generator(void *unused)
{
	while (!loader_is_done) {
		void *code = map_code(NULL, shallow_code, sizeof(shallow_code)), *next;

		if (!code)
			_exit(1);
		call_shallow(code);
		munmap(code, CODE_SIZE);
		next = map_code(code, nested_code, sizeof(nested_code));
		if (!next) /* another thread was faster */
			next = map_code(NULL, nested_code, sizeof(nested_code));
		if (!next)
			_exit(1);
		if (next == code)
			atomic_fetch_add(&counts[CASE_followed], 1);
		call_nested(next);
		munmap(next, CODE_SIZE);
		atomic_fetch_add(&rounds_done, 1);
		pause_us(GENERATOR_PAUSE_US);
	}
	return NULL;
}

static char folder[PATH_MAX];

static void find_folder(void)
{
	ssize_t len = readlink("/proc/self/exe", folder, sizeof(folder) - 1);

	if (len < 0)
		_exit(1);
	folder[len] = '\0';
	*strrchr(folder, '/') = '\0';
}

static function load(const char *name, void **library)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	*library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!*library) {
		fprintf(stderr, "%s\n", dlerror());
		_exit(1);
	}
	return (function)dlsym(*library, "dl_enter");
}

SITE static void call_a(function enter)
{
	finish(enter(CHAIN_SIZE(CASE_dl_a)), CASE_dl_a);
	CHAIN_LINK();
}

SITE static void call_b(function enter)
{
	finish(enter(CHAIN_SIZE(CASE_dl_b)), CASE_dl_b);
	CHAIN_LINK();
}

/* The page of code that both libraries have; what was there last. */
static uintptr_t page_of(function enter)
{
	return (uintptr_t)enter & -(uintptr_t)CODE_SIZE;
}

/*
 * Once; or until we are told "next", which is when the tracer has had the time to learn what code
 * is there.
 */
SITE static void call_often(void (*call)(function), function code, bool hold)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	call(code);
	loader_calls++;
	if (hold) {
		say("holds\n");
		while (!poll(&input, 1, HOLD_PAUSE_MS)) {
			call(code);
			loader_calls++;
		}
		wait_for("next");
	}
	CHAIN_LINK();
}

/* dl_a, dl_b and generated code, each where the one before was, if nothing came between. */
SITE static void take_turns(bool hold)
{
	void *library, *code;
	function enter = load("dl_a.so", &library);
	uintptr_t page = page_of(enter);

	call_often(call_a, enter, hold);
	dlclose(library);
	enter = load("dl_b.so", &library);
	if (page_of(enter) == page)
		atomic_fetch_add(&counts[CASE_followed_library], 1);
	page = page_of(enter);
	call_often(call_b, enter, hold);
	dlclose(library);
	code = map_code((void *)page, shallow_code, sizeof(shallow_code));
	if (!code && hold)
		code = map_code(NULL, shallow_code, sizeof(shallow_code));
	if (code) {
		call_often(call_after, (function)code, hold);
		munmap(code, CODE_SIZE);
	}
	CHAIN_LINK();
}

static void *loader(void *unused)
{
	for (unsigned long i = 0; i < held_rounds; i++)
		take_turns(true);
	for (unsigned long i = 0; i < fast_rounds; i++)
		take_turns(false);
	loader_is_done = true;
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned long threads, totals[CASE_COUNT];
	pthread_t ids[MAX_THREADS + 1];

	held_rounds = argument(argc, argv, 1, DEFAULT_HELD);
	fast_rounds = argument(argc, argv, 2, DEFAULT_FAST);
	threads = argument(argc, argv, 3, DEFAULT_THREADS);
	if (threads > MAX_THREADS)
		_exit(1);
	find_folder();
	ready_and_go();
	for (unsigned long i = 0; i <= threads; i++)
		if (pthread_create(&ids[i], NULL, i ? generator : loader, NULL))
			_exit(1);
	for (unsigned long i = 0; i <= threads; i++)
		pthread_join(ids[i], NULL);
	for (unsigned int i = 0; i < CASE_COUNT; i++)
		totals[i] = counts[i];
	if (totals[CASE_shallow] != rounds_done || totals[CASE_nested] != rounds_done ||
	    totals[CASE_dl_a] + totals[CASE_dl_b] + totals[CASE_after_library] != loader_calls)
		return 2;
	chain_print(case_names, totals, CASE_COUNT);
	wait_for("quit");
	return 0;
}
