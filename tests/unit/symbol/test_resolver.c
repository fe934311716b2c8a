/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs are compiled here in many ways; each prints where it was loaded, a return address deep
 * inside of inlined functions and the lines of the calls.  Names are looked up after its exit.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "symbol/resolver.h"

static const char *const c_source =
	"#include <stdio.h>\n"
	"#define INLINE static inline __attribute__((always_inline))\n"
	"static void *caller;\n"
	"static volatile int sink;\n"
	"static int lines[3];\n"
	"__attribute__((noinline)) void record(void) { caller = __builtin_return_address(0); }\n"
	"INLINE void inner(void)\n{\n\trecord(); lines[0] = __LINE__;\n\tsink++;\n}\n"
	"INLINE void middle(void)\n{\n\tinner(); lines[1] = __LINE__;\n\tsink++;\n}\n"
	"__attribute__((noinline)) void outer(void)\n"
	"{\n\tif (sink < 9) { middle(); lines[2] = __LINE__; }\n\tsink++;\n}\n"
	"int main(void)\n{\n"
	"	unsigned long start, end, offset;\n"
	"	FILE *maps = fopen(\"/proc/self/maps\", \"r\");\n"
	"	char line[4096], r, x;\n"
	"	outer();\n"
	"	while (fgets(line, sizeof(line), maps))\n"
	"		if (sscanf(line, \"%lx-%lx %c%*c%c%*c %lx\", &start, &end, &r, &x, "
	"&offset) == 5 &&\n"
	"		    start <= (unsigned long)caller && (unsigned long)caller < end)\n"
	"			printf(\"%lx %lx %lx %lx %d %d %d\\n\", start, end, offset,\n"
	"			       (unsigned long)caller, lines[0], lines[1], lines[2]);\n"
	"	return 0;\n}\n";

static const char *const cpp_source =
	"#include <cstdio>\n"
	"namespace shop {\n"
	"template <typename T> struct Cart {\n"
	"	__attribute__((noinline)) void add(T item);\n"
	"	__attribute__((always_inline)) void put(T item) { record(); sink += item; "
	"lines[0] = __LINE__; }\n"
	"	static void record();\n"
	"	static int lines[3];\n"
	"	static volatile int sink;\n"
	"	static void *caller;\n"
	"};\n"
	"template <typename T> int Cart<T>::lines[3];\n"
	"template <typename T> volatile int Cart<T>::sink;\n"
	"template <typename T> void *Cart<T>::caller;\n"
	"template <typename T> __attribute__((noinline)) void Cart<T>::record()\n"
	"{ caller = __builtin_return_address(0); }\n"
	"template <typename T> void Cart<T>::add(T item)\n"
	"{ put(item); lines[1] = __LINE__; sink = sink + 1; }\n"
	"}\n"
	"int main()\n{\n"
	"	typedef shop::Cart<int> cart;\n"
	"	cart().add(3);\n"
	"	unsigned long start, end, offset;\n"
	"	FILE *maps = fopen(\"/proc/self/maps\", \"r\");\n"
	"	char line[4096];\n"
	"	while (fgets(line, sizeof(line), maps))\n"
	"		if (sscanf(line, \"%lx-%lx %*s %lx\", &start, &end, &offset) == 3 &&\n"
	"		    start <= (unsigned long)cart::caller && (unsigned long)cart::caller < "
	"end)\n"
	"			printf(\"%lx %lx %lx %lx %d %d 0\\n\", start, end, offset,\n"
	"			       (unsigned long)cart::caller, cart::lines[0], "
	"cart::lines[1]);\n"
	"	return 0;\n}\n";

struct fixture {
	char dir[64];
	struct lt_resolver *resolver;
};

/* Where a program ran, as it said itself. */
struct run {
	uint64_t start, end, offset, caller;
	uint32_t lines[3];
};

static void shell(const struct fixture *fixture, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void shell(const struct fixture *fixture, const char *format, ...)
{
	char command[2048];
	va_list arguments;
	int len = snprintf(command, sizeof(command), "cd %s && ", fixture->dir);

	va_start(arguments, format);
	len += vsnprintf(command + len, sizeof(command) - (size_t)len, format, arguments);
	va_end(arguments);
	assert_true((size_t)len < sizeof(command));
	if (system(command))
		fail_msg("%s", command);
}

static void write_file(const struct fixture *fixture, const char *name, const void *data,
		       size_t len)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", fixture->dir, name);
	_lt_fclose_ FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	strcpy(fixture->dir, "/tmp/test_resolver.XXXXXX");
	assert_non_null(mkdtemp(fixture->dir));
	write_file(fixture, "main.c", c_source, strlen(c_source));
	write_file(fixture, "main.cc", cpp_source, strlen(cpp_source));
	assert_int_equal(lt_resolver_new(&fixture->resolver), 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	lt_resolver_free(fixture->resolver);
	shell(fixture, "rm -rf %s", fixture->dir);
	free(fixture);
	return 0;
}

static struct run run_program(const struct fixture *fixture)
{
	char command[128];
	struct run run;
	FILE *output;

	snprintf(command, sizeof(command), "%s/prog", fixture->dir);
	output = popen(command, "r");
	assert_non_null(output);
	assert_int_equal(fscanf(output,
				"%" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNu32
				" %" SCNu32 " %" SCNu32,
				&run.start, &run.end, &run.offset, &run.caller, &run.lines[0],
				&run.lines[1], &run.lines[2]),
			 7);
	assert_int_equal(pclose(output), 0);
	return run;
}

static int open_program(const struct fixture *fixture)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/prog", fixture->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void add_program(const struct fixture *fixture, const struct run *run, int fd)
{
	char path[128];
	struct lt_event_module module = {
		.start = run->start, .end = run->end, .file_offset = run->offset, .path = path
	};

	snprintf(path, sizeof(path), "%s/prog", fixture->dir);
	assert_int_equal(lt_resolver_add_module(fixture->resolver, &module, fd), 0);
}

/* The program in the folder runs, and its return address is looked up. */
static struct lt_event_symbol lookup_program(const struct fixture *fixture, struct run *run)
{
	struct lt_event_symbol symbol;

	*run = run_program(fixture);
	add_program(fixture, run, open_program(fixture));
	assert_int_equal(lt_resolver_lookup(fixture->resolver, run->caller - 1, &symbol), 0);
	assert_true(symbol.pc == run->caller - 1);
	return symbol;
}

static void check_frame(const struct fixture *fixture, const struct lt_source_frame *frame,
			const char *function, const char *source, uint32_t line, bool inlined)
{
	char path[128] = "";

	if (source)
		snprintf(path, sizeof(path), "%s/%s", fixture->dir, source);
	assert_string_equal(frame->function, function);
	assert_string_equal(frame->file, path);
	assert_int_equal(frame->line, line);
	assert_int_equal(frame->inlined, inlined);
}

static void check_full(const struct fixture *fixture)
{
	struct run run;
	struct lt_event_symbol symbol = lookup_program(fixture, &run);

	assert_int_equal(symbol.frame_count, 3);
	check_frame(fixture, &symbol.frames[0], "inner", "main.c", run.lines[0], true);
	check_frame(fixture, &symbol.frames[1], "middle", "main.c", run.lines[1], true);
	check_frame(fixture, &symbol.frames[2], "outer", "main.c", run.lines[2], false);
}

static void check_symbol_only(const struct fixture *fixture)
{
	struct run run;
	struct lt_event_symbol symbol = lookup_program(fixture, &run);

	assert_int_equal(symbol.frame_count, 1);
	check_frame(fixture, &symbol.frames[0], "outer", NULL, 0, false);
}

static void test_compilers(void **state)
{
	static const char *const compilers[] = {
		"gcc -g -O2 -fPIE -pie",   "gcc -g -O2 -fno-pie -no-pie",
		"gcc -gdwarf-4 -O2",       "gcc -g -O1 -gz",
		"gcc -g -O2 -gz=zlib-gnu", "gcc -g -O2 -fdebug-types-section",
		"gcc -g -O2 -flto",        "clang -g -O2",
		"clang -gdwarf-4 -O2",
	};

	/* Each program replaces the one before: a new inode behind the same path. */
	for (size_t i = 0; i < sizeof(compilers) / sizeof(*compilers); i++) {
		print_message("%s\n", compilers[i]);
		shell(*state, "rm -f prog && %s -o prog $PWD/main.c", compilers[i]);
		check_full(*state);
	}
}

static void test_cpp(void **state)
{
	struct fixture *fixture = *state;
	struct lt_event_symbol symbol;
	struct run run;

	shell(fixture, "g++ -g -O2 -o prog $PWD/main.cc");
	symbol = lookup_program(fixture, &run);
	assert_int_equal(symbol.frame_count, 2);
	check_frame(fixture, &symbol.frames[0], "shop::Cart<int>::put(int)", "main.cc",
		    run.lines[0], true);
	check_frame(fixture, &symbol.frames[1], "shop::Cart<int>::add(int)", "main.cc",
		    run.lines[1], false);
}

static void test_symbols_only(void **state)
{
	shell(*state, "gcc -O2 -o prog main.c");
	check_symbol_only(*state);
	shell(*state, "rm prog && gcc -O2 -rdynamic -s -o prog main.c");
	check_symbol_only(*state);
}

static void test_nothing_known(void **state)
{
	struct fixture *fixture = *state;
	struct run run;

	shell(fixture, "gcc -O2 -s -o prog main.c");
	assert_int_equal(lookup_program(fixture, &run).frame_count, 0);
}

static void test_debuglink(void **state)
{
	static const char *const build_ids[] = { "sha1", "none" };
	static const char *const places[] = { ".", ".debug" };

	for (size_t i = 0; i < sizeof(build_ids) / sizeof(*build_ids); i++)
		for (size_t j = 0; j < sizeof(places) / sizeof(*places); j++) {
			shell(*state,
			      "rm -rf prog prog.debug .debug; mkdir .debug; "
			      "gcc -g -O2 -Wl,--build-id=%s -o prog $PWD/main.c && "
			      "objcopy --only-keep-debug prog prog.debug && "
			      "objcopy -S --add-gnu-debuglink=prog.debug prog && "
			      "if test %s != .; then mv prog.debug %s; fi",
			      build_ids[i], places[j], places[j]);
			check_full(*state);
		}
}

/* A debug file that is not the program's own must not lend it names. */
static void test_foreign_debug_file(void **state)
{
	static const char *const build_ids[] = { "sha1", "none" };

	for (size_t i = 0; i < sizeof(build_ids) / sizeof(*build_ids); i++) {
		shell(*state,
		      "rm -f prog; gcc -g -O2 -rdynamic -Wl,--build-id=%s -o prog main.c && "
		      "objcopy --only-keep-debug prog prog.debug && "
		      "objcopy -S --add-gnu-debuglink=prog.debug prog && "
		      "gcc -g -O1 -Wl,--build-id=%s -o other main.c && "
		      "objcopy --only-keep-debug other prog.debug",
		      build_ids[i], build_ids[i]);
		check_symbol_only(*state);
	}
	/* Neither may opening it block. */
	shell(*state, "rm prog.debug && mkfifo prog.debug && cp prog prog2 && mv prog2 prog");
	check_symbol_only(*state);
}

static void check_not_opened(const struct fixture *fixture, const char *name,
			     void (*check)(const struct fixture *fixture))
{
	_lt_close_ int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	char path[128], event[256];

	snprintf(path, sizeof(path), "%s/%s", fixture->dir, name);
	assert_true(inotify_add_watch(watch, path, IN_OPEN) >= 0);
	check(fixture);
	assert_int_equal(read(watch, event, sizeof(event)), -1);
	assert_int_equal(errno, EAGAIN);
}

static void check_line_and_symbol(const struct fixture *fixture)
{
	struct run run;
	struct lt_event_symbol symbol = lookup_program(fixture, &run);

	assert_int_equal(symbol.frame_count, 1);
	check_frame(fixture, &symbol.frames[0], "outer", "main.c", run.lines[0], false);
}

/* Paths inside of debug information are never followed. */
static void test_split_dwarf(void **state)
{
	static const char *const versions[] = { "4", "5" };

	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++) {
		shell(*state,
		      "rm -f prog; gcc -gdwarf-%s -gsplit-dwarf -O2 -c -o main.o $PWD/main.c && "
		      "gcc -o prog main.o",
		      versions[i]);
		check_not_opened(*state, "main.dwo", check_line_and_symbol);
	}
}

static void test_supplement(void **state)
{
	shell(*state, "gcc -g -O2 -o prog main.c && touch common && "
		      "printf '%%s\\0abcdefghijklmnopqrst' $PWD/common >link && "
		      "objcopy --add-section .gnu_debugaltlink=link prog");
	check_symbol_only(*state);
	/* The file named is looked at for its build-id, and not used. */
	shell(*state, "rm common && mkfifo common && cp prog prog2 && mv prog2 prog");
	check_symbol_only(*state);
}

static void test_own_libc(void **state)
{
	struct fixture *fixture = *state;
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	uint64_t address;
	_lt_fclose_ FILE *maps = fopen("/proc/self/maps", "r");
	char line[4096], path[4096];
	struct lt_event_module module = { .path = path };
	struct lt_event_symbol symbol = { .frame_count = 99 };

	assert_non_null(libc);
	address = (uint64_t)(uintptr_t)dlsym(libc, "malloc");
	assert_true(address != 0);
	assert_non_null(maps);
	do {
		assert_non_null(fgets(line, sizeof(line), maps));
		assert_true(sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %*s %4095s",
				   &module.start, &module.end, &module.file_offset, path) >= 3);
	} while (address < module.start || address >= module.end);
	assert_int_equal(lt_resolver_add_module(fixture->resolver, &module,
						open(path, O_RDONLY | O_CLOEXEC)),
			 0);
	assert_int_equal(lt_resolver_lookup(fixture->resolver, address + 4, &symbol), 0);
	assert_true(symbol.frame_count > 0);
	/* "malloc" from .dynsym; "__libc_malloc" where libc's debug file is installed. */
	assert_non_null(strstr(symbol.frames[symbol.frame_count - 1].function, "malloc"));
	dlclose(libc);
}

static void check_unknown(struct fixture *fixture, uint64_t pc)
{
	struct lt_event_symbol symbol = { .frame_count = 99 };

	assert_int_equal(lt_resolver_lookup(fixture->resolver, pc, &symbol), 0);
	assert_int_equal(symbol.frame_count, 0);
}

static void test_modules(void **state)
{
	struct fixture *fixture = *state;
	struct run run;
	struct lt_event_module vdso = { .start = 0x1000, .end = 0x3000, .path = "[vdso]" };
	struct lt_event_symbol symbol;
	int fd;

	check_unknown(fixture, 0x1000);
	assert_int_equal(lt_resolver_add_module(fixture->resolver, &vdso, -1), 0);
	check_unknown(fixture, 0x1000);
	vdso.end = vdso.start;
	assert_int_equal(lt_resolver_add_module(fixture->resolver, &vdso, -1), -EINVAL);

	shell(fixture, "gcc -g -O2 -o prog $PWD/main.c");
	check_full(fixture);
	run = run_program(fixture);
	/* A second mapping of the file shares the first one's descriptor; the new one is closed. */
	fd = open_program(fixture);
	run.caller += 0x10000000 - run.start;
	run.end += 0x10000000 - run.start;
	run.start = 0x10000000;
	add_program(fixture, &run, fd);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(lt_resolver_lookup(fixture->resolver, run.caller - 1, &symbol), 0);
	assert_int_equal(symbol.frame_count, 3);
	check_unknown(fixture, run.start - 1);
	check_unknown(fixture, run.end);
	/* What covers a module takes its addresses. */
	vdso = (struct lt_event_module){ .start = run.start, .end = run.end, .path = "" };
	assert_int_equal(lt_resolver_add_module(fixture->resolver, &vdso, -1), 0);
	check_unknown(fixture, run.caller - 1);
}

static void test_module_bound(void **state)
{
	struct fixture *fixture = *state;
	struct lt_event_module module = { .path = "" };

	for (uint64_t i = 0; i <= LT_MAX_MODULES; i++) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		assert_true(fd >= 0);
		module.start = (i + 1) << 12;
		module.end = (i + 2) << 12;
		assert_int_equal(lt_resolver_add_module(fixture->resolver, &module, fd),
				 i < LT_MAX_MODULES ? 0 : -E2BIG);
		assert_int_equal(fcntl(fd, F_GETFD), -1); /* not a file, or refused: closed */
	}
}

/* Adds data as a file, and looks around in it. */
static void poke(const void *data, size_t len, const struct run *run)
{
	struct lt_event_module module = {
		.start = run->start, .end = run->end, .file_offset = run->offset, .path = "/x"
	};
	struct lt_resolver *resolver;
	int fd = memfd_create("poke", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(lt_resolver_new(&resolver), 0);
	assert_int_equal(lt_resolver_add_module(resolver, &module, fd), 0);
	for (uint64_t pc = run->caller - 40; pc < run->caller + 40; pc += 13) {
		struct lt_event_symbol symbol;

		assert_int_equal(lt_resolver_lookup(resolver, pc, &symbol), 0);
		assert_true(symbol.frame_count <= LT_MAX_INLINE_DEPTH);
	}
	lt_resolver_free(resolver);
}

static void test_broken_files(void **state)
{
	struct fixture *fixture = *state;
	_lt_free_ unsigned char *data = NULL, *broken = NULL;
	uint64_t random = 88172645463325252u;
	struct run run;
	size_t len;
	int fd;

	shell(fixture, "gcc -g -O2 -o prog main.c");
	run = run_program(fixture);
	fd = open_program(fixture);
	len = (size_t)lseek(fd, 0, SEEK_END);
	data = malloc(len);
	broken = malloc(len);
	assert_non_null(data);
	assert_non_null(broken);
	assert_int_equal(pread(fd, data, len, 0), len);
	close(fd);
	for (size_t cut = 0; cut < len; cut += 1 + cut / 10)
		poke(data, cut, &run);
	for (int round = 0; round < 300; round++) { /* xorshift64 (Marsaglia): repeatable damage */
		memcpy(broken, data, len);
		for (int i = 0; i < 30; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			broken[random % len] = (unsigned char)(random >> 40);
		}
		poke(broken, len, &run);
	}
	memset(broken, 0xff, len);
	poke(broken, len, &run);
	memcpy(broken, data, 64);
	poke(broken, len, &run);
}

static void test_no_file(void **state)
{
	struct fixture *fixture = *state;
	struct lt_event_module module = { .start = 0x1000, .end = 0x2000, .path = "/tmp" };

	assert_int_equal(lt_resolver_add_module(fixture->resolver, &module,
						open(fixture->dir, O_RDONLY | O_CLOEXEC)),
			 0);
	check_unknown(fixture, 0x1800);
	write_file(fixture, "prog", "#!/bin/sh\n", 10);
	assert_int_equal(lt_resolver_add_module(fixture->resolver, &module, open_program(fixture)),
			 0);
	check_unknown(fixture, 0x1800);
}

/* A shortened file kills a reader that maps it. */
static void test_file_shortened_while_open(void **state)
{
	struct fixture *fixture = *state;
	struct lt_event_symbol symbol;
	char path[128];
	struct run run;

	shell(fixture, "gcc -g -O2 -o prog main.c");
	symbol = lookup_program(fixture, &run);
	assert_int_equal(symbol.frame_count, 3);
	snprintf(path, sizeof(path), "%s/prog", fixture->dir);
	assert_int_equal(truncate(path, 100), 0);
	for (uint64_t pc = run.start; pc < run.end; pc += 7)
		assert_int_equal(lt_resolver_lookup(fixture->resolver, pc, &symbol), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_compilers),    TEST(test_cpp),
		TEST(test_symbols_only), TEST(test_nothing_known),
		TEST(test_debuglink),    TEST(test_foreign_debug_file),
		TEST(test_split_dwarf),  TEST(test_supplement),
		TEST(test_own_libc),     TEST(test_modules),
		TEST(test_module_bound), TEST(test_broken_files),
		TEST(test_no_file),      TEST(test_file_shortened_while_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
