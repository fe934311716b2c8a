// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "elf/image.h"
#include "probe/goforks.h"

#define MAX 6

/* A program made here, in place of user/elf: is there a way from C to Go, and what does it import? */
static struct {
	bool from_c, no_image;
	struct lt_image_slot slots[MAX];
} made;

const struct lt_gopclntab *lt_gofile_pclntab(const struct lt_gofile *file)
{
	return NULL;
}

bool lt_gopclntab_named(const struct lt_gopclntab *table, const char *name,
			struct lt_go_function *function)
{
	return made.from_c && !strcmp(name, "crosscall2");
}

int lt_image_open(struct lt_image **image, int fd)
{
	*image = NULL;
	return made.no_image ? -ENOEXEC : 0;
}

void lt_image_close(struct lt_image *image)
{
}

int lt_image_each_slot(const struct lt_image *image,
		       int (*visit)(void *context, const struct lt_image_slot *slot), void *context)
{
	int found = 0;

	for (size_t i = 0; i < MAX && made.slots[i].address && !found; i++)
		found = visit(context, &made.slots[i]);
	return found;
}

#define OWN                                                                                        \
	{                                                                                          \
		.executable = true, .device = 1, .inode = 7, .path = "/srv/app"                    \
	}
#define CODE(file)                                                                                 \
	{                                                                                          \
		.executable = true, .device = 1, .inode = 8, .path = file                          \
	}
#define IMPORT(of)                                                                                 \
	{                                                                                          \
		.address = 8, .name = of                                                           \
	}

static const struct {
	const char *what;
	bool from_c, no_image, forks;
	struct lt_image_slot slots[MAX];
	struct lt_mapping maps[MAX];
} cases[] = {
	{ "no C code, whatever is mapped",
	  false,
	  true,
	  false,
	  { { 0 } },
	  { OWN, CODE("/lib/x.so") } },
	{ "the C library alone",
	  true,
	  false,
	  false,
	  { IMPORT("malloc"), IMPORT("getaddrinfo") },
	  { OWN, CODE("/usr/lib/libc.so.6"), CODE("/usr/lib/ld-linux-x86-64.so.2") } },
	{ "that of old glibc, with threads",
	  true,
	  false,
	  false,
	  { IMPORT("malloc") },
	  { OWN, CODE("/lib/libc-2.31.so"), CODE("/lib/libpthread-2.31.so"),
	    CODE("/lib/libnss_files-2.31.so"), CODE("/lib/ld-2.31.so") } },
	{ "musl's",
	  true,
	  false,
	  false,
	  { IMPORT("malloc") },
	  { OWN, CODE("/lib/ld-musl-x86_64.so.1") } },
	{ "it imports fork", true, false, true, { IMPORT("malloc"), IMPORT("fork") }, { OWN } },
	{ "... or daemon", true, false, true, { IMPORT("daemon") }, { OWN } },
	{ "... or what loads more code", true, false, true, { IMPORT("dlopen") }, { OWN } },
	{ "... or system calls by number", true, false, true, { IMPORT("syscall") }, { OWN } },
	{ "a name that begins so", true, false, false, { IMPORT("forkful") }, { OWN } },
	{ "another library's code",
	  true,
	  false,
	  true,
	  { IMPORT("malloc") },
	  { OWN, CODE("/usr/lib/libc.so.6"), CODE("/usr/lib/libfuse3.so.3") } },
	{ "a name that only ends so",
	  true,
	  false,
	  true,
	  { IMPORT("malloc") },
	  { OWN, CODE("/usr/lib/notlibc.so.6") } },
	{ "a library of Go in a program of C",
	  true,
	  false,
	  true,
	  { IMPORT("malloc") },
	  { CODE("/usr/bin/python3"), OWN } },
	{ "what is mapped, not executed",
	  true,
	  false,
	  false,
	  { IMPORT("malloc") },
	  { OWN, { .device = 1, .inode = 9, .path = "/var/data" } } },
	{ "code of no file",
	  true,
	  false,
	  false,
	  { IMPORT("malloc") },
	  { OWN, { .executable = true, .path = "[vdso]" } } },
	{ "linked statically: nothing is imported", true, false, true, { { 0 } }, { OWN } },
	{ "... and its own function's place",
	  true,
	  false,
	  true,
	  { { .address = 8, .name = "malloc", .function = 0x1000 } },
	  { OWN } },
	{ "... and resolvers without names",
	  true,
	  false,
	  true,
	  { { .address = 8, .resolver = 16 } },
	  { OWN } },
	{ "no ELF file", true, true, true, { IMPORT("malloc") }, { OWN } },
};

static void test_might_fork(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lt_mapping entries[MAX];
		struct lt_maps maps = { .entries = entries };
		size_t own = 0;

		made.from_c = cases[i].from_c;
		made.no_image = cases[i].no_image;
		memcpy(made.slots, cases[i].slots, sizeof(made.slots));
		memcpy(entries, cases[i].maps, sizeof(entries));
		while (maps.count < MAX && entries[maps.count].path)
			maps.count++;
		while (entries[own].inode != 7)
			own++;
		if (lt_go_might_fork(NULL, -1, &maps, &entries[own]) != cases[i].forks)
			fail_msg("%s", cases[i].what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_might_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
