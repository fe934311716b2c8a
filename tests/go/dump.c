// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the library makes of a Go file, for comparison with Go's own tools:
 *	dump FILE			version and moduledata
 *	dump FILE functions		address, end, name, flags, start line
 *	dump FILE sp			runs of SP deltas of all functions
 *	dump FILE rules			the unwind table, a line for each change
 *	dump FILE frames [STEP]		frames at each STEP'th address of all functions
 *	dump FILE pcs <addresses	frames at addresses in hex, from the input
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf/gofile.h"
#include "elf/gounwind.h"

static const struct lt_gopclntab *table;

static void print_span(const char *name, const struct lt_go_span *span)
{
	printf("%s %#" PRIx64 "-%#" PRIx64 "\n", name, span->start, span->end);
}

static void print_file(const struct lt_gofile *file)
{
	const struct lt_gofile_info *info = lt_gofile_info(file);
	const struct lt_go_moduledata *module = &info->module;

	printf("version %s minor %u format %u wrapper %u\n", info->version, info->minor,
	       table->format, table->wrapper_id);
	printf("moduledata %#" PRIx64 " pclntab %#" PRIx64 "+%#" PRIx64 " gofunc %#" PRIx64 "\n",
	       module->address, module->pclntab, module->pclntab_size, module->gofunc);
	print_span("text", &module->text);
	print_span("noptrdata", &module->noptrdata);
	print_span("data", &module->data);
	print_span("bss", &module->bss);
	print_span("noptrbss", &module->noptrbss);
	printf("functions %" PRIu64 " funcdata %zu memory %zu\n", table->function_count,
	       table->source.funcdata_size, lt_gofile_memory(file));
}

static void print_frames(uint64_t pc)
{
	struct lt_source_frame frames[LT_MAX_INLINE_DEPTH];
	size_t count;

	if (!lt_gopclntab_frames(table, pc, frames, &count)) {
		printf("%" PRIx64 " -\n", pc);
		return;
	}
	printf("%" PRIx64, pc);
	for (size_t i = 0; i < count; i++)
		printf(" | %s %s:%u", frames[i].function, frames[i].file, frames[i].line);
	printf("\n");
}

static int print_run(void *context, uint64_t start, uint64_t end, int32_t delta)
{
	printf(" %" PRIx64 "-%" PRIx64 ":%d", start, end, delta);
	return 0;
}

static void print_function(const struct lt_go_function *function)
{
	printf("%" PRIx64 " %" PRIx64 " %s id %u flags %u line %u\n", function->entry,
	       function->end, function->name, function->id, function->flags, function->start_line);
}

static void print_all(const char *what, uint64_t step)
{
	struct lt_go_function function;

	for (uint64_t i = 0; i < table->function_count; i++) {
		if (!lt_gopclntab_at(table, i, &function)) {
			printf("function %" PRIu64 " does not hold up\n", i);
		} else if (!strcmp(what, "functions")) {
			print_function(&function);
		} else if (!strcmp(what, "sp")) {
			printf("%s", function.name);
			lt_gopclntab_each_sp_delta(table, &function, print_run, NULL);
			printf("\n");
		} else {
			for (uint64_t pc = function.entry; pc < function.end; pc += step)
				print_frames(pc);
		}
	}
}

static int print_rules(int fd)
{
	struct lt_unwind_table unwind;
	uint64_t last = UINT64_MAX;
	int err = lt_gounwind_build(fd, &unwind);

	if (err) {
		fprintf(stderr, "unwind table: %s\n", strerror(-err));
		return 1;
	}
	for (uint64_t i = 0; i < (uint64_t)unwind.page_count * LT_UNWIND_PAGE; i++) {
		uint64_t rule = lt_unwind_table_rule(&unwind, unwind.origin + i);

		if (rule != last)
			printf("%" PRIx64 " cfa %u bp %d offset %d\n", unwind.origin + i,
			       LT_RULE_CFA(rule), LT_RULE_BP(rule), LT_RULE_OFFSET(rule));
		last = rule;
	}
	lt_unwind_table_free(&unwind);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : "", *reason = "";
	struct lt_gofile *file;
	uint64_t pc;
	int fd, err;

	if (argc < 2)
		return 2;
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	err = fd < 0 ? -1 : lt_gofile_open(&file, fd, &reason);
	if (err) {
		fprintf(stderr, "%s: %s %s\n", argv[1], strerror(-err), reason);
		return 1;
	}
	table = lt_gofile_pclntab(file);
	if (!strcmp(what, "rules"))
		err = print_rules(fd);
	else if (!strcmp(what, "pcs"))
		while (scanf("%" SCNx64, &pc) == 1)
			print_frames(pc);
	else if (*what)
		print_all(what, argc > 3 ? strtoull(argv[3], NULL, 10) + !atoi(argv[3]) : 1);
	else
		print_file(file);
	lt_gofile_close(file);
	return err;
}
