/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs compiled in many ways (program.h), whole and broken. */
#include "unit/symbol/program.h"

#include <dlfcn.h>
#include <elf.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>

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

	write_file(fixture, "main.cc", cpp_source, strlen(cpp_source));
	shell(fixture, "g++ -g -O2 -o prog $PWD/main.cc");
	symbol = lookup_program(fixture, &run);
	assert_int_equal(symbol.frame_count, 2);
	check_frame(fixture, &symbol.frames[0], "shop::Cart<int>::put(int)", "main.cc",
		    run.lines[0], true);
	check_frame(fixture, &symbol.frames[1], "shop::Cart<int>::add(int)", "main.cc",
		    run.lines[1], false);
}

/* What has no linkage name: GCC gives none to what cannot be seen from outside of the file. */
static const char *const local_source =
	"#include <cstdio>\n"
	"static void *caller;\n"
	"static volatile int sink;\n"
	"__attribute__((noinline)) void record() { caller = __builtin_return_address(0); }\n"
	"namespace app { namespace {\n"
	"struct Cache {\n"
	"	__attribute__((noinline)) void grow(int by);\n"
	"	__attribute__((always_inline)) void put(int by) { record(); sink += by; }\n"
	"};\n"
	"void Cache::grow(int by)\n"
	"{\n"
	"	struct Local { __attribute__((always_inline)) void go(int by)\n"
	"		{ Cache().put(by); sink += by; } };\n"
	"	Local().go(by); sink += by;\n"
	"}\n"
	"} void run() { Cache().grow(3); sink += 1; } }\n"
	"int main()\n{\n"
	"	app::run();\n"
	"	unsigned long start, end, offset;\n"
	"	FILE *maps = fopen(\"/proc/self/maps\", \"r\");\n"
	"	char line[4096];\n"
	"	while (fgets(line, sizeof(line), maps))\n"
	"		if (sscanf(line, \"%lx-%lx %*s %lx\", &start, &end, &offset) == 3 &&\n"
	"		    start <= (unsigned long)caller && (unsigned long)caller < end)\n"
	"			printf(\"%lx %lx %lx %lx 0 0 0\\n\", start, end, offset,\n"
	"			       (unsigned long)caller);\n"
	"	return 0;\n}\n";

static void test_cpp_local(void **state)
{
	static const struct {
		const char *command, *inner, *middle, *outer;
	} builds[] = {
		{ "g++ -g -O2", "app::(anonymous namespace)::Cache::put",
		  "app::(anonymous namespace)::Cache::grow::Local::go",
		  "app::(anonymous namespace)::Cache::grow(int)" },
		/* Without a symbol table. */
		{ "g++ -g -O2 -fdebug-types-section -Wl,--retain-symbols-file=/dev/null",
		  "app::(anonymous namespace)::Cache::put",
		  "app::(anonymous namespace)::Cache::grow::Local::go",
		  "app::(anonymous namespace)::Cache::grow" },
		{ "clang++ -g -O2", "app::(anonymous namespace)::Cache::put(int)",
		  "app::(anonymous namespace)::Cache::grow(int)::Local::go(int)",
		  "app::(anonymous namespace)::Cache::grow(int)" },
	};
	struct fixture *fixture = *state;
	struct lt_event_symbol symbol;
	struct run run;

	write_file(fixture, "main.cc", local_source, strlen(local_source));
	for (size_t i = 0; i < sizeof(builds) / sizeof(*builds); i++) {
		print_message("%s\n", builds[i].command);
		shell(fixture, "rm -f prog && %s -o prog $PWD/main.cc", builds[i].command);
		symbol = lookup_program(fixture, &run);
		assert_int_equal(symbol.frame_count, 3);
		assert_string_equal(symbol.frames[0].function, builds[i].inner);
		assert_string_equal(symbol.frames[1].function, builds[i].middle);
		assert_string_equal(symbol.frames[2].function, builds[i].outer);
	}
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

/* In a container: there alone, by way of a link that means a file in there. */
static void test_target_root(void **state)
{
	const struct fixture *fixture = *state;
	struct lt_process process = { .pid = getpid(), .ns_pid = getpid() };
	char path[128];
	struct run run;

	shell(fixture, "gcc -g -O2 -Wl,--build-id=0x1234567890abcdef -o prog $PWD/main.c && "
		       "d=proc/root/usr/lib/debug/.build-id/12 && mkdir -p $d && "
		       "printf 'Name: prog\\nUid: 0 0 0 0\\n' >proc/status && "
		       "objcopy --only-keep-debug prog proc/root/dbg && "
		       "ln -s /dbg $d/34567890abcdef.debug && objcopy -S prog");
	assert_int_equal(lookup_program(fixture, &run).frame_count, 0);
	snprintf(path, sizeof(path), "%s/proc", fixture->dir);
	process.proc_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(process.proc_fd >= 0);
	assert_int_equal(lt_resolver_set_process(fixture->resolver, &process), 0);
	close(process.proc_fd);
	shell(fixture, "cp prog prog2 && mv prog2 prog"); /* else it is known already */
	check_full(fixture);
	shell(fixture, "gcc -O1 -g -Wl,--build-id=0x4321432143214321 -o proc/root/dbg main.c && "
		       "cp prog prog2 && mv prog2 prog");
	assert_int_equal(lookup_program(fixture, &run).frame_count, 0);
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

/* The module of our own that holds an address. */
static struct lt_event_module own_module(uint64_t address, char path[4096])
{
	_lt_fclose_ FILE *maps = fopen("/proc/self/maps", "r");
	struct lt_event_module module = { .path = path };
	char line[4096];

	assert_non_null(maps);
	do {
		assert_non_null(fgets(line, sizeof(line), maps));
		assert_true(sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %*s %4095s",
				   &module.start, &module.end, &module.file_offset, path) >= 3);
	} while (address < module.start || address >= module.end);
	return module;
}

static void test_own_libc(void **state)
{
	struct fixture *fixture = *state;
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	struct lt_event_symbol symbol = { .frame_count = 99 };
	struct lt_event_module module;
	char path[4096];
	uint64_t address;

	assert_non_null(libc);
	address = (uint64_t)(uintptr_t)dlsym(libc, "malloc");
	assert_true(address != 0);
	module = own_module(address, path);
	assert_int_equal(lt_resolver_add_module(fixture->resolver, &module,
						open(path, O_RDONLY | O_CLOEXEC)),
			 0);
	assert_int_equal(lt_resolver_lookup(fixture->resolver, address + 4, &symbol), 0);
	assert_true(symbol.frame_count > 0);
	/* "malloc" from .dynsym; "__libc_malloc" where libc's debug file is installed. */
	assert_non_null(strstr(symbol.frames[symbol.frame_count - 1].function, "malloc"));
	dlclose(libc);
}

static void test_vdso(void **state)
{
	struct fixture *fixture = *state;
	void *vdso = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
	struct lt_event_symbol symbol;
	struct lt_event_module module;
	char path[4096];
	uint64_t address;

	assert_non_null(vdso);
	address = (uint64_t)(uintptr_t)dlsym(vdso, "__vdso_gettimeofday");
	assert_true(address != 0);
	module = own_module(address, path);
	assert_string_equal(path, "[vdso]");
	assert_int_equal(lt_resolver_add_module(fixture->resolver, &module, -1), 0);
	assert_int_equal(lt_resolver_lookup(fixture->resolver, address, &symbol), 0);
	assert_int_equal(symbol.frame_count, 1);
	assert_non_null(strstr(symbol.frames[0].function, "gettimeofday"));
	/* As a target has it: elsewhere. */
	address += 0x10000000 - module.start;
	module.end += 0x10000000 - module.start;
	module.start = 0x10000000;
	assert_int_equal(lt_resolver_add_module(fixture->resolver, &module, -1), 0);
	assert_int_equal(lt_resolver_lookup(fixture->resolver, address, &symbol), 0);
	assert_int_equal(symbol.frame_count, 1);
	dlclose(vdso);
}

/* Files name their own code; the perf map, what no file names. */
static void test_jit(void **state)
{
	static const struct lt_event_module anonymous = { .start = 0x1000,
							  .end = 0x3000,
							  .path = "" };
	struct fixture *fixture = *state;
	struct lt_process process;
	struct lt_event_symbol symbol;
	char name[64], lines[256];
	struct run run;

	assert_int_equal(lt_process_open(getpid(), &process), 0);
	assert_int_equal(lt_resolver_set_process(fixture->resolver, &process), 0);
	lt_process_close(&process);
	shell(fixture, "gcc -g -O2 -o prog $PWD/main.c");
	run = run_program(fixture);
	add_program(fixture, &run, open_program(fixture));
	assert_int_equal(lt_resolver_add_module(fixture->resolver, &anonymous, -1), 0);
	check_unknown(fixture, 0x2000);

	snprintf(name, sizeof(name), "/tmp/perf-%d.map", (int)getpid());
	snprintf(lines, sizeof(lines),
		 "2000 100 JS:*add file:///srv/@shop/cart.js:7:3\n2800 10 Cart@add.cold\n"
		 "%" PRIx64 " 100 not me\n",
		 run.caller - 16);
	_lt_fclose_ FILE *file = fopen(name, "w");

	assert_non_null(file);
	assert_true(fputs(lines, file) >= 0 && !fflush(file));
	assert_int_equal(lt_resolver_lookup(fixture->resolver, 0x2000, &symbol), 0);
	assert_int_equal(symbol.frame_count, 1);
	assert_string_equal(symbol.frames[0].function, "add");
	assert_string_equal(symbol.frames[0].file, "/srv/@shop/cart.js");
	assert_int_equal(symbol.frames[0].line, 7);
	assert_int_equal(lt_resolver_lookup(fixture->resolver, 0x2800, &symbol), 0);
	assert_string_equal(symbol.frames[0].function, "Cart@add.cold");
	assert_int_equal(lt_resolver_lookup(fixture->resolver, run.caller - 1, &symbol), 0);
	assert_string_equal(symbol.frames[0].function, "inner");
	assert_int_equal(unlink(name), 0);
}

/* A map that names code of programs is another process's. */
static void test_stale_jit(void **state)
{
	struct lt_event_module unreadable = { .start = 0x1000, .end = 0x2000, .path = "/gone" };
	struct lt_event_module memory = { .start = UINT64_C(1) << LT_ADDRESS_BITS | 0x1000,
					  .end = UINT64_C(1) << LT_ADDRESS_BITS | 0x2000,
					  .path = "/memfd:jit (deleted)" };
	struct fixture *fixture = *state;
	struct lt_process process;
	struct lt_event_symbol symbol;
	char name[64];
	struct run run;
	int fd = memfd_create("jit", MFD_CLOEXEC);

	assert_int_equal(lt_process_open(getpid(), &process), 0);
	assert_int_equal(lt_resolver_set_process(fixture->resolver, &process), 0);
	lt_process_close(&process);
	snprintf(name, sizeof(name), "/tmp/perf-%d.map", (int)getpid());
	_lt_fclose_ FILE *file = fopen(name, "w");

	assert_non_null(file);
	assert_true(fputs("0 ffffffffffff stale\n", file) >= 0 && !fflush(file));
	shell(fixture, "gcc -O2 -s -o prog main.c");
	run = run_program(fixture);
	assert_int_equal(lt_resolver_lookup(fixture->resolver, run.caller - 1, &symbol), 0);
	assert_string_equal(symbol.frames[0].function, "stale");
	add_program(fixture, &run, open_program(fixture));
	check_unknown(fixture, run.caller - 1);
	assert_int_equal(lt_resolver_add_module(fixture->resolver, &unreadable, -1), 0);
	check_unknown(fixture, 0x1800);

	/* There later: code that a runtime made, in a file of memory that grows. */
	assert_int_equal(lt_resolver_add_module(fixture->resolver, &memory, dup(fd)), 0);
	assert_int_equal(write(fd, "code", 4), 4);
	assert_int_equal(lt_resolver_lookup(fixture->resolver, memory.start, &symbol), 0);
	assert_int_equal(symbol.frame_count, 1);
	assert_string_equal(symbol.frames[0].function, "stale");
	assert_int_equal(close(fd), 0);
	assert_int_equal(unlink(name), 0);
}

/* Adds the program at another address, with its build-id. */
static uint64_t add_moved(const struct fixture *fixture, struct run run, uint64_t start,
			  bool build_id)
{
	int fd = open_program(fixture);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	const void *id = NULL;
	ssize_t len = dwelf_elf_gnu_build_id(elf, &id);
	struct lt_event_module module = { .start = start,
					  .end = start + run.end - run.start,
					  .file_offset = run.offset,
					  .path = "/prog",
					  .build_id = id,
					  .build_id_len = build_id ? (uint32_t)len : 0 };

	assert_int_equal(len, 20);
	assert_int_equal(lt_resolver_add_module(fixture->resolver, &module, fd), 0);
	elf_end(elf);
	return start + run.caller - run.start - 1;
}

static void check_outermost(const struct fixture *fixture, uint64_t pc, const char *name)
{
	struct lt_event_symbol symbol;

	assert_int_equal(lt_resolver_lookup(fixture->resolver, pc, &symbol), 0);
	assert_true(symbol.frame_count > 0);
	assert_string_equal(symbol.frames[symbol.frame_count - 1].function, name);
}

/* A plug-in that is written over in place: the inode stays. */
static void test_replaced(void **state)
{
	struct fixture *fixture = *state;
	struct run run, other;
	uint64_t named, late, new;

	shell(fixture, "sed s/outer/other/ main.c >other.c && gcc -g -O2 -o other $PWD/other.c");
	for (int build_id = 0; build_id < 2; build_id++) {
		uint64_t base = build_id ? 0x50000000 : 0x10000000;

		shell(fixture, "rm -f prog && cp other prog");
		other = run_program(fixture);
		shell(fixture, "rm prog && gcc -g -O2 -o prog $PWD/main.c");
		run = run_program(fixture);
		named = add_moved(fixture, run, base, build_id);
		check_outermost(fixture, named, "outer");
		shell(fixture, "cp prog old && touch -d @1000 prog");
		late = add_moved(fixture, run, base + 0x10000000, build_id);
		check_outermost(fixture, late, "outer");
		shell(fixture, "cat other >prog");
		new = add_moved(fixture, other, base + 0x20000000, build_id);
		check_outermost(fixture, new, "other");
		check_outermost(fixture, named, "outer");
		check_outermost(fixture, late, "outer");
		/* Added, but not opened before it was written over. */
		shell(fixture, "rm prog && cp old prog && touch -d @1000 prog");
		late = add_moved(fixture, run, base + 0x30000000, build_id);
		shell(fixture, "cat other >prog");
		check_unknown(fixture, late);
		check_outermost(fixture, add_moved(fixture, other, base, build_id), "other");
		check_unknown(fixture, late);
		shell(fixture, "rm prog && cp old prog && touch -d @1000 prog");
		late = add_moved(fixture, run, base + 0x30000000, build_id);
		shell(fixture, "truncate -s 0 prog");
		check_unknown(fixture, late);
	}
}

/* Sets the size of .debug_line in prog to what no file has. */
static void enlarge_lines(const struct fixture *fixture)
{
	Elf64_Shdr section, names;
	char path[128], name[16];
	Elf64_Ehdr header;
	size_t index = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/prog", fixture->dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
	assert_int_equal(pread(fd, &names, sizeof(names),
			       (off_t)(header.e_shoff + header.e_shstrndx * sizeof(names))),
			 sizeof(names));
	do {
		assert_true(++index < header.e_shnum);
		assert_int_equal(pread(fd, &section, sizeof(section),
				       (off_t)(header.e_shoff + index * sizeof(section))),
				 sizeof(section));
		assert_true(pread(fd, name, sizeof(name),
				  (off_t)(names.sh_offset + section.sh_name)) > 0);
	} while (strncmp(name, ".debug_line", sizeof(".debug_line")));
	section.sh_size = 1U << 29;
	assert_int_equal(pwrite(fd, &section, sizeof(section),
				(off_t)(header.e_shoff + index * sizeof(section))),
			 sizeof(section));
	assert_int_equal(close(fd), 0);
}

static void test_large_debug_information(void **state)
{
	struct fixture *fixture = *state;
	int err_fd = dup(STDERR_FILENO), log_fd = memfd_create("log", MFD_CLOEXEC);
	char log[512] = "", expected[256];

	shell(fixture, "gcc -g -O2 -o prog main.c");
	enlarge_lines(fixture);
	assert_true(dup2(log_fd, STDERR_FILENO) >= 0);
	check_symbol_only(fixture);
	check_symbol_only(fixture);
	assert_true(dup2(err_fd, STDERR_FILENO) >= 0);
	assert_true(pread(log_fd, log, sizeof(log) - 1, 0) > 0);
	snprintf(expected, sizeof(expected),
		 "leaktrace: warning: debug information of %s/prog is too large: functions only\n",
		 fixture->dir);
	assert_string_equal(log, expected);
	close(err_fd);
	close(log_fd);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		PROGRAM_TEST(test_compilers),    PROGRAM_TEST(test_cpp),
		PROGRAM_TEST(test_cpp_local),    PROGRAM_TEST(test_stale_jit),
		PROGRAM_TEST(test_replaced),     PROGRAM_TEST(test_large_debug_information),
		PROGRAM_TEST(test_symbols_only), PROGRAM_TEST(test_nothing_known),
		PROGRAM_TEST(test_debuglink),    PROGRAM_TEST(test_foreign_debug_file),
		PROGRAM_TEST(test_split_dwarf),  PROGRAM_TEST(test_supplement),
		PROGRAM_TEST(test_own_libc),     PROGRAM_TEST(test_vdso),
		PROGRAM_TEST(test_jit),          PROGRAM_TEST(test_modules),
		PROGRAM_TEST(test_module_bound), PROGRAM_TEST(test_broken_files),
		PROGRAM_TEST(test_no_file),      PROGRAM_TEST(test_file_shortened_while_open),
		PROGRAM_TEST(test_target_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
