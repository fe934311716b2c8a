// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A runtime with a JIT compiler, as far as a tracer sees it: a code cache in anonymous memory,
 * and in it two functions with frame pointers and without tables: outer, and inner, which calls
 * malloc.  It is told what to do, line by line, and says "done" after each:
 *
 *	leak            allocates LEAK_COUNT blocks through the code, which stay
 *	map NAME        writes /tmp/perf-PID.map anew, in place, as OpenJDK's jcmd does
 *			(Compiler.perfmap): inner is called NAME, outer OUTER_NAME
 *	move            compiles the code to the next place in the cache; the old one is no code now
 *	quit
 */
#include <errno.h>
#include <sys/mman.h>

#include "truth.h"

#define CACHE_SIZE 65536
#define PLACE_SIZE 1024 /* for both functions */
#define LEAK_COUNT 100
#define LEAK_SIZE  777
#define OUTER_NAME "void App.serve()"
#define TRAP       0xcc /* int3: what HotSpot and V8 fill freed code with, too */

typedef void *(*allocator)(size_t size);
typedef void *(*generated)(allocator call, size_t size);

/* push %rbp; mov %rsp,%rbp; sub $96,%rsp; mov %rdi,%rax; mov %rsi,%rdi; call inner; leave; ret */
static const unsigned char outer_code[] = { 0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec,
					    0x60, 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7,
					    0xe8, 0x02, 0x00, 0x00, 0x00, 0xc9, 0xc3 };
/* push %rbp; mov %rsp,%rbp; sub $32,%rsp; call *%rax; leave; ret */
static const unsigned char inner_code[] = { 0x55, 0x48, 0x89, 0xe5, 0x48, 0x83,
					    0xec, 0x20, 0xff, 0xd0, 0xc9, 0xc3 };

static unsigned char *cache, *place;

static void compile(unsigned char *to)
{
	if (mprotect(cache, CACHE_SIZE, PROT_READ | PROT_WRITE))
		_exit(1);
	memset(cache, TRAP, CACHE_SIZE);
	memcpy(to, outer_code, sizeof(outer_code));
	memcpy(to + sizeof(outer_code), inner_code, sizeof(inner_code));
	if (mprotect(cache, CACHE_SIZE, PROT_READ | PROT_EXEC))
		_exit(1);
	place = to;
}

static void move(void)
{
	if (place + 2 * PLACE_SIZE > cache + CACHE_SIZE)
		_exit(1);
	compile(place + PLACE_SIZE);
}

SITE static void leak(void)
{
	for (int i = 0; i < LEAK_COUNT; i++) {
		void *block = ((generated)(void *)place)(malloc, LEAK_SIZE);

		KEEP(block);
		if (!block)
			_exit(1);
	}
}

static void write_line(FILE *map, const unsigned char *code, size_t size, const char *name)
{
	fprintf(map, "0x%016lx 0x%016zx %s\n", (unsigned long)code, size, name);
}

static void write_map(const char *name)
{
	char path[32];
	FILE *map;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	map = fopen(path, "w");
	if (!map) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		_exit(1);
	}
	write_line(map, place, sizeof(outer_code), OUTER_NAME);
	write_line(map, place + sizeof(outer_code), sizeof(inner_code), name);
	if (fclose(map))
		_exit(1);
}

SITE static void obey(const char *line)
{
	static const char map[] = "map ";

	if (!strcmp(line, "leak"))
		leak();
	else if (!strcmp(line, "move"))
		move();
	else if (!strncmp(line, map, sizeof(map) - 1))
		write_map(line + sizeof(map) - 1);
	else
		_exit(strcmp(line, "quit") != 0);
	say("done\n");
}

int main(void)
{
	char line[256];

	cache = mmap(NULL, CACHE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (cache == MAP_FAILED)
		return 1;
	compile(cache);
	say_ready();
	while (hear(line, sizeof(line)))
		obey(line);
	return 0;
}
