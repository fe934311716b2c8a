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

#define TEXT     0x401000ULL
#define WRAPPER  TEXT /* syscall.RawSyscall */
#define OTHER    (TEXT + 0x10)
#define FUNCTION (TEXT + 0x20) /* with the code in hand, up to the end of the text */

struct lt_gofile {
	struct lt_gofile_info info;
};

/* A program made here, in place of user/elf. */
static struct {
	bool from_c, no_image, unreadable;
	const char *imports[MAX];
	const char *function, *wrapper;
	uint8_t code[(2 << 20) + 64];
	uint64_t entry; /* of the function */
	struct lt_gofile file;
} made;

const struct lt_gofile_info *lt_gofile_info(const struct lt_gofile *file)
{
	return &file->info;
}

const struct lt_gopclntab *lt_gofile_pclntab(const struct lt_gofile *file)
{
	static const struct lt_gopclntab table = { .function_count = 3 };

	return &table;
}

bool lt_gopclntab_named(const struct lt_gopclntab *table, const char *name,
			struct lt_go_function *function)
{
	return made.from_c && !strcmp(name, "crosscall2");
}

bool lt_gopclntab_at(const struct lt_gopclntab *table, uint64_t index,
		     struct lt_go_function *function)
{
	const char *names[] = { made.wrapper, "main.other", made.function };

	*function = (struct lt_go_function){ .name = names[index], .entry = TEXT + index * 0x10 };
	return true;
}

bool lt_gopclntab_find(const struct lt_gopclntab *table, uint64_t pc,
		       struct lt_go_function *function)
{
	if (pc < made.entry || !lt_gopclntab_at(table, 2, function))
		return false;
	function->entry = made.entry;
	return true;
}

long lt_gofile_read(const struct lt_gofile *file, uint64_t address, void *to, size_t len)
{
	if (made.unreadable)
		return -EIO;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)to)[i] = address + i < FUNCTION ? 0xcc
							    : made.code[address + i - FUNCTION];
	return (long)len;
}

int lt_image_open(struct lt_image **image, int fd)
{
	*image = NULL;
	return made.no_image ? -ENOEXEC : 0;
}

void lt_image_close(struct lt_image *image)
{
}

int lt_image_each_import(const struct lt_image *image,
			 int (*visit)(void *context, const char *name), void *context)
{
	int found = 0;

	for (size_t i = 0; i < MAX && made.imports[i] && !found; i++)
		found = visit(context, made.imports[i]);
	return found;
}

static void make(const uint8_t *code, size_t len, size_t at)
{
	memset(made.code, 0x90, sizeof(made.code));
	memcpy(made.code + at, code, len);
	made.entry = FUNCTION + at;
	made.file.info.module.text = (struct lt_go_span){ TEXT, FUNCTION + at + len };
	made.wrapper = "syscall.RawSyscall";
	made.function = "main.spawn";
	made.unreadable = false;
}

#define OWN                                                                                        \
	{                                                                                          \
		.executable = true, .device = 1, .inode = 7, .path = "/srv/app"                    \
	}
#define CODE(file)                                                                                 \
	{                                                                                          \
		.executable = true, .device = 1, .inode = 8, .path = file                          \
	}
static const struct {
	const char *what;
	bool from_c, no_image, forks;
	const char *imports[MAX];
	struct lt_mapping maps[MAX];
} cases[] = {
	{ "no C code", false, false, false, { NULL }, { OWN } },
	{ "no C code, as PIE",
	  false,
	  false,
	  false,
	  { NULL },
	  { OWN, CODE("/lib/ld-linux-x86-64.so.2") } },
	{ "no C code of its own", false, false, true, { NULL }, { OWN, CODE("/lib/x.so") } },
	{ "no C code, but it imports dlsym", false, false, true, { "dlsym" }, { OWN } },
	{ "the C library alone",
	  true,
	  false,
	  false,
	  { "malloc", "getaddrinfo" },
	  { OWN, CODE("/usr/lib/libc.so.6"), CODE("/usr/lib/ld-linux-x86-64.so.2") } },
	{ "that of old glibc, with threads",
	  true,
	  false,
	  false,
	  { "malloc" },
	  { OWN, CODE("/lib/libc-2.31.so"), CODE("/lib/libpthread-2.31.so"),
	    CODE("/lib/libnss_files-2.31.so"), CODE("/lib/ld-2.31.so") } },
	{ "musl's", true, false, false, { "malloc" }, { OWN, CODE("/lib/ld-musl-x86_64.so.1") } },
	{ "it imports fork", true, false, true, { "malloc", "fork" }, { OWN } },
	{ "... or daemon", true, false, true, { "daemon" }, { OWN } },
	{ "... or what loads more code", true, false, true, { "dlopen" }, { OWN } },
	{ "... or system calls by number", true, false, true, { "syscall" }, { OWN } },
	{ "a name that begins so", true, false, false, { "forkful" }, { OWN } },
	{ "another library's code",
	  true,
	  false,
	  true,
	  { "malloc" },
	  { OWN, CODE("/usr/lib/libc.so.6"), CODE("/usr/lib/libfuse3.so.3") } },
	{ "a name that only ends so",
	  true,
	  false,
	  true,
	  { "malloc" },
	  { OWN, CODE("/usr/lib/notlibc.so.6") } },
	{ "names that only begin so",
	  true,
	  false,
	  true,
	  { "malloc" },
	  { OWN, CODE("/usr/lib/libc-client.so.2007") } },
	{ "... as well", true, false, true, { "malloc" }, { OWN, CODE("/usr/lib/libnss3.so") } },
	{ "... and", true, false, true, { "malloc" }, { OWN, CODE("/usr/lib/libcurl.so.4") } },
	{ "a library of Go in a program of C",
	  true,
	  false,
	  true,
	  { "malloc" },
	  { CODE("/usr/bin/python3"), OWN } },
	{ "what is mapped, not executed",
	  true,
	  false,
	  false,
	  { "malloc" },
	  { OWN, { .device = 1, .inode = 9, .path = "/var/data" } } },
	{ "code of no file",
	  true,
	  false,
	  false,
	  { "malloc" },
	  { OWN, { .executable = true, .path = "[vdso]" } } },
	{ "linked statically: nothing is imported", true, false, true, { NULL }, { OWN } },
	{ "no ELF file", true, true, true, { "malloc" }, { OWN } },
};

static void test_might_fork(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lt_mapping entries[MAX];
		struct lt_maps maps = { .entries = entries };
		size_t own = 0;

		make((const uint8_t[]){ 0xc3 }, 1, 0);
		made.from_c = cases[i].from_c;
		made.no_image = cases[i].no_image;
		memcpy(made.imports, cases[i].imports, sizeof(made.imports));
		memcpy(entries, cases[i].maps, sizeof(entries));
		while (maps.count < MAX && entries[maps.count].path)
			maps.count++;
		while (entries[own].inode != 7)
			own++;
		if (lt_go_might_fork(&made.file, -1, &maps, &entries[own]) != cases[i].forks)
			fail_msg("%s", cases[i].what);
	}
}

#define BYTES(...)      { __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ })
#define MOV_EAX(number) 0xb8, (number)&0xff, (number) >> 8, 0, 0
/* movq $NUMBER, (%rsp) */
#define STORE(number) 0x48, 0xc7, 0x04, 0x24, (number)&0xff, (number) >> 8, 0, 0
/* call rel32, at offset AT of the function */
#define CALL_OF(to, at)                                                                            \
	0xe8, (uint8_t)((to) - (FUNCTION + (at) + 5)),                                             \
		(uint8_t)(((to) - (FUNCTION + (at) + 5)) >> 8),                                    \
		(uint8_t)(((to) - (FUNCTION + (at) + 5)) >> 16),                                   \
		(uint8_t)(((to) - (FUNCTION + (at) + 5)) >> 24)

static const struct {
	const char *what;
	uint8_t code[32];
	size_t len;
	bool forks;
	const char *function, *wrapper; /* NULL: the usual */
} calls[] = {
	{ "fork", BYTES(MOV_EAX(57), CALL_OF(WRAPPER, 5)), true, NULL, NULL },
	{ "vfork", BYTES(MOV_EAX(58), CALL_OF(WRAPPER, 5)), true, NULL, NULL },
	{ "clone", BYTES(MOV_EAX(56), 0x90, CALL_OF(WRAPPER, 6)), true, NULL, NULL },
	{ "clone3", BYTES(MOV_EAX(435), CALL_OF(WRAPPER, 5)), true, NULL, NULL },
	{ "with arguments on the stack", BYTES(STORE(57), CALL_OF(WRAPPER, 8)), true, NULL, NULL },
	{ "write", BYTES(MOV_EAX(1), CALL_OF(WRAPPER, 5)), false, NULL, NULL },
	{ "the number behind the call", BYTES(CALL_OF(WRAPPER, 0), MOV_EAX(57)), false, NULL,
	  NULL },
	{ "another function is called", BYTES(MOV_EAX(57), CALL_OF(OTHER, 5)), false, NULL, NULL },
	{ "Go's own", BYTES(MOV_EAX(57), CALL_OF(WRAPPER, 5)), false, "syscall.forkExec", NULL },
	{ "another package's", BYTES(MOV_EAX(57), CALL_OF(WRAPPER, 5)), true, "syscalls.spawn",
	  NULL },
	{ "by golang.org/x/sys/unix", BYTES(MOV_EAX(57), CALL_OF(WRAPPER, 5)), true, NULL,
	  "golang.org/x/sys/unix.Syscall6" },
	{ "by what is no system call", BYTES(MOV_EAX(57), CALL_OF(WRAPPER, 5)), false, NULL,
	  "main.mySyscall" },
	{ "cut off", BYTES(MOV_EAX(57), 0xe8, 0xff), false, NULL, NULL },
};

static bool code_forks(void)
{
	struct lt_mapping own = OWN;
	struct lt_maps maps = { .entries = &own, .count = 1 };

	made.from_c = made.no_image = false;
	memset(made.imports, 0, sizeof(made.imports));
	return lt_go_might_fork(&made.file, -1, &maps, &own);
}

static void test_calls(void **state)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		make(calls[i].code, calls[i].len, 0);
		made.function = calls[i].function ?: made.function;
		made.wrapper = calls[i].wrapper ?: made.wrapper;
		if (code_forks() != calls[i].forks)
			fail_msg("%s", calls[i].what);
	}
	made.unreadable = true;
	assert_true(code_forks());
}

/* The text is read in parts: a call lies across their end, at each of its bytes. */
static void test_calls_across_parts(void **state)
{
	for (size_t at = (1 << 20) - 0x20 - 12; at < (1 << 20) - 0x20 + 2; at++) {
		uint8_t code[] = { MOV_EAX(57), CALL_OF(WRAPPER, at + 5) };

		make(code, sizeof(code), at);
		assert_true(code_forks());
		code[1] = 1; /* write */
		make(code, sizeof(code), at);
		assert_false(code_forks());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_might_fork),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_calls_across_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
