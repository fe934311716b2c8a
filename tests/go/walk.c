// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * walk [-n WALKS] [-s SECONDS-BETWEEN] [-q] PID: the goroutines of a Go program in groups, as its own
 * goroutine?debug=2 shows them one by one: how many, what they do, the frames, who made them.  For tests,
 * which compare the two.  The counts of several walks are added up.
 */
#include <errno.h>
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "go/goroutines.h"
#include "go/program.h"
#include "leaktrace/events.h"

struct group {
	char *text;
	size_t count;
};

struct groups {
	struct group *items;
	size_t count;
};

static const char *const marks[LT_MARK_LIMIT] = {
#define LT_MARK(symbol, value, class, text) [value] = (text),
#include "leaktrace/marks.def"
#undef LT_MARK
};

static void fail(const char *what, int err)
{
	fprintf(stderr, "walk: %s: %s\n", what, strerror(-err));
	exit(1);
}

static void print_frames(struct lt_buf *text, const struct lt_go_program *program, uint64_t pc)
{
	const struct lt_go_module *module = lt_go_program_module(program, pc - 1);
	struct lt_source_frame frames[LT_MAX_INLINE_DEPTH];
	size_t count = 0;

	if (!module || !lt_gopclntab_frames(lt_gofile_pclntab(module->file), pc - 1 - module->bias,
					    frames, &count))
		lt_buf_printf(text, "\t? 0x%llx\n", (unsigned long long)pc);
	for (size_t i = 0; i < count; i++)
		lt_buf_printf(text, "\t%s %s:%u\n", frames[i].function, frames[i].file,
			      (unsigned int)frames[i].line);
}

/* As the runtime does: the line of the innermost frame, the name of the function it was inlined into. */
static void print_creator(struct lt_buf *text, const struct lt_go_program *program, uint64_t pc)
{
	const struct lt_go_module *module = lt_go_program_module(program, pc - 1);
	struct lt_source_frame frames[LT_MAX_INLINE_DEPTH];
	size_t count = 0;

	if (module &&
	    lt_gopclntab_frames(lt_gofile_pclntab(module->file), pc - 1 - module->bias, frames,
				&count) &&
	    count)
		lt_buf_printf(text, "\tcreated by %s %s:%u\n", frames[count - 1].function,
			      frames[0].file, (unsigned int)frames[0].line);
}

static char *text_of(const struct lt_go_program *program, const struct lt_goroutines *all,
		     const struct lt_goroutine *goroutine)
{
	const struct lt_go_stack *stack = &all->stacks[goroutine->stack];
	struct lt_buf text = { 0 };

	lt_buf_printf(&text, "[%s]%s%s\n", marks[goroutine->mark],
		      goroutine->runtime ? " runtime" : "", goroutine->cut ? " cut" : "");
	for (uint16_t i = 0; i < stack->frame_count; i++)
		print_frames(&text, program, stack->frames[i]);
	if (goroutine->created_pc)
		print_creator(&text, program, goroutine->created_pc);
	if (lt_buf_error(&text))
		fail("memory", lt_buf_error(&text));
	return text.data;
}

static int compare_groups(const void *a, const void *b)
{
	return strcmp(((const struct group *)a)->text, ((const struct group *)b)->text);
}

static int compare_goroutines(const void *a, const void *b)
{
	const struct lt_goroutine *x = *(const struct lt_goroutine *const *)a,
				  *y = *(const struct lt_goroutine *const *)b;
	const uint64_t of_x[] = { x->stack, x->mark, x->created_pc, x->runtime, x->cut },
		       of_y[] = { y->stack, y->mark, y->created_pc, y->runtime, y->cut };

	return memcmp(of_x, of_y, sizeof(of_x));
}

static void add_groups(struct groups *groups, const struct lt_go_program *program,
		       const struct lt_goroutines *all)
{
	const struct lt_goroutine **order = calloc(all->count + 1, sizeof(void *));

	groups->items = reallocarray(groups->items, groups->count + all->count + 1,
				     sizeof(*groups->items));
	if (!order || !groups->items)
		fail("memory", -ENOMEM);
	for (size_t i = 0; i < all->count; i++)
		order[i] = &all->items[i];
	qsort(order, all->count, sizeof(void *), compare_goroutines);
	for (size_t i = 0; i < all->count; i++) {
		if (!i || compare_goroutines(&order[i - 1], &order[i]))
			groups->items[groups->count++] =
				(struct group){ text_of(program, all, order[i]), 0 };
		groups->items[groups->count - 1].count++;
	}
	free(order);
}

static void print_groups(struct groups *groups)
{
	qsort(groups->items, groups->count, sizeof(*groups->items), compare_groups);
	for (size_t i = 0, count = 0; i < groups->count; i++) {
		count += groups->items[i].count;
		if (i + 1 < groups->count &&
		    !strcmp(groups->items[i].text, groups->items[i + 1].text))
			continue;
		printf("%zu %s\n", count, groups->items[i].text);
		count = 0;
	}
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static struct lt_go_program *open_program(pid_t pid, struct lt_process *process)
{
	struct lt_go_program *program = NULL;
	struct lt_buf error = { 0 };
	struct lt_maps maps = { 0 };
	double start;
	int err = lt_process_open(pid, process);

	if (!err)
		err = lt_maps_read(process, &maps);
	start = now();
	if (!err)
		err = lt_go_program_open(process, &maps, &program, &error);
	if (err)
		fail(error.data ? error.data : "program", err);
	fprintf(stderr, "%s, allgs at 0x%llx, %zu modules, found in %.1f ms\n", program->version,
		(unsigned long long)program->allgs, program->module_count, (now() - start) * 1e3);
	lt_maps_free(&maps);
	return program;
}

int main(int argc, char **argv)
{
	struct groups groups = { 0 };
	struct lt_process process;
	struct lt_go_program *program;
	struct lt_go_walker *walker;
	double pause = 0;
	long walks = 1;
	bool quiet = false;
	int option, err;

	while ((option = getopt(argc, argv, "n:s:q")) != -1) {
		if (option == 'n')
			walks = strtol(optarg, NULL, 10);
		else if (option == 's')
			pause = strtod(optarg, NULL);
		else
			quiet = true;
	}
	if (optind + 1 != argc)
		return 2;
	program = open_program((pid_t)strtol(argv[optind], NULL, 10), &process);
	err = lt_go_walker_new(&walker, program);
	for (long i = 0; !err && i < walks; i++) {
		const struct lt_goroutines *all;
		double start = now();

		err = lt_go_walk(walker, &all);
		if (err)
			break;
		fprintf(stderr,
			"%zu goroutines, %zu dead, %zu unsettled, %zu stacks, %zu calls, %.1f ms\n",
			all->count, all->dead, all->unsettled, all->stack_count, all->calls,
			(now() - start) * 1e3);
		if (!quiet)
			add_groups(&groups, program, all);
		usleep((useconds_t)(pause * 1e6));
	}
	if (err)
		fail("walk", err);
	print_groups(&groups);
	for (size_t i = 0; i < groups.count; i++)
		free(groups.items[i].text);
	free(groups.items);
	lt_go_walker_free(walker);
	lt_go_program_free(program);
	lt_process_close(&process);
	return 0;
}
