/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program that is compiled in a folder of the test's own.  It prints where it was loaded, a
 * return address deep inside of inlined functions and the lines of the calls.  Names are looked up
 * after its exit.
 */
#ifndef LT_TESTS_UNIT_SYMBOL_PROGRAM_H
#define LT_TESTS_UNIT_SYMBOL_PROGRAM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

struct fixture {
	char dir[64];
	struct lt_resolver *resolver;
};

/* Where a program ran, as it said itself. */
struct run {
	uint64_t start, end, offset, caller;
	uint32_t lines[3];
};

static inline void shell(const struct fixture *fixture, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static inline void shell(const struct fixture *fixture, const char *format, ...)
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

static inline void write_file(const struct fixture *fixture, const char *name, const void *data,
			      size_t len)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", fixture->dir, name);
	_lt_fclose_ FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
}

static inline int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	strcpy(fixture->dir, "/tmp/test_symbol.XXXXXX");
	assert_non_null(mkdtemp(fixture->dir));
	write_file(fixture, "main.c", c_source, strlen(c_source));
	assert_int_equal(lt_resolver_new(&fixture->resolver), 0);
	*state = fixture;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *fixture = *state;

	lt_resolver_free(fixture->resolver);
	shell(fixture, "rm -rf %s", fixture->dir);
	free(fixture);
	return 0;
}

static inline struct run run_program(const struct fixture *fixture)
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

static inline int open_program(const struct fixture *fixture)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/prog", fixture->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static inline void add_program(const struct fixture *fixture, const struct run *run, int fd)
{
	char path[128];
	struct lt_event_module module = {
		.start = run->start, .end = run->end, .file_offset = run->offset, .path = path
	};

	snprintf(path, sizeof(path), "%s/prog", fixture->dir);
	assert_int_equal(lt_resolver_add_module(fixture->resolver, &module, fd), 0);
}

/* The program in the folder runs, and its return address is looked up. */
static inline struct lt_event_symbol lookup_program(const struct fixture *fixture, struct run *run)
{
	struct lt_event_symbol symbol;

	*run = run_program(fixture);
	add_program(fixture, run, open_program(fixture));
	assert_int_equal(lt_resolver_lookup(fixture->resolver, run->caller - 1, &symbol), 0);
	assert_true(symbol.pc == run->caller - 1);
	return symbol;
}

static inline void check_frame(const struct fixture *fixture, const struct lt_source_frame *frame,
			       const char *function, const char *source, uint32_t line,
			       bool inlined)
{
	char path[128] = "";

	if (source)
		snprintf(path, sizeof(path), "%s/%s", fixture->dir, source);
	assert_string_equal(frame->function, function);
	assert_string_equal(frame->file, path);
	assert_int_equal(frame->line, line);
	assert_int_equal(frame->inlined, inlined);
}

static inline void check_full(const struct fixture *fixture)
{
	struct run run;
	struct lt_event_symbol symbol = lookup_program(fixture, &run);

	assert_int_equal(symbol.frame_count, 3);
	check_frame(fixture, &symbol.frames[0], "inner", "main.c", run.lines[0], true);
	check_frame(fixture, &symbol.frames[1], "middle", "main.c", run.lines[1], true);
	check_frame(fixture, &symbol.frames[2], "outer", "main.c", run.lines[2], false);
}

static inline void check_symbol_only(const struct fixture *fixture)
{
	struct run run;
	struct lt_event_symbol symbol = lookup_program(fixture, &run);

	assert_int_equal(symbol.frame_count, 1);
	check_frame(fixture, &symbol.frames[0], "outer", NULL, 0, false);
}

#define PROGRAM_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

#endif
