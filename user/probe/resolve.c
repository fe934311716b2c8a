// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "elf/gofile.h"
#include "probe/planner.h"

#define MAX_ALLOCATOR_FILE   4096 /* PATH_MAX */
#define MAX_ALLOCATOR_PREFIX 63

LT_CLEANUP(struct lt_image *, lt_image_close)

void *lt_planner_append(void *array_slot, size_t *count, size_t element_size)
{
	void **slot = array_slot;
	char *array = reallocarray(*slot, *count + 1, element_size);

	if (!array)
		return NULL;
	*slot = array;
	return memset(array + element_size * (*count)++, 0, element_size);
}

int lt_planner_skip(struct lt_plan *plan, const char *what, const char *format, ...)
{
	_lt_free_ char *what_copy = strdup(what);
	struct lt_plan_skip *skipped;
	char why[256];
	va_list args;
	char *why_copy;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	why_copy = strdup(why);
	skipped = what_copy && why_copy
			  ? lt_planner_append(&plan->skips, &plan->skip_count, sizeof(*skipped))
			  : NULL;
	if (!skipped) {
		free(why_copy);
		return -ENOMEM;
	}
	skipped->what = lt_take_ptr(what_copy);
	skipped->why = why_copy;
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_executable_of(const struct lt_process *process, const struct lt_mapping *mapping)
{
	size_t len = strlen(mapping->path);

	return !strncmp(process->exe, mapping->path, len) &&
	       (!process->exe[len] || !strcmp(process->exe + len, " (deleted)"));
}

/* --allocator FILE:PREFIX */

/* Where the prefix begins; NULL: nonsense. */
static const char *prefix_in(const char *allocator)
{
	const char *colon = strrchr(allocator, ':');
	size_t len;

	if (!colon || colon == allocator || colon - allocator >= MAX_ALLOCATOR_FILE)
		return NULL;
	len = strspn(colon + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$");
	return colon[1 + len] || len > MAX_ALLOCATOR_PREFIX ? NULL : colon + 1;
}

bool lt_plan_allocator_valid(const char *text)
{
	return prefix_in(text);
}

static bool is_file_of(const char *allocator, const char *path)
{
	char pattern[MAX_ALLOCATOR_FILE];

	snprintf(pattern, sizeof(pattern), "%.*s", (int)(prefix_in(allocator) - 1 - allocator),
		 allocator);
	return !fnmatch(pattern, strchr(pattern, '/') ? path : base_name(path), 0);
}

/* Files */

struct file { /* in hand */
	const struct lt_mapping *mapping;
	struct lt_image *image;
	int fd;
	struct lt_symbols symbols;
};

static int add_file(struct lt_planner *planner, const struct file *from,
		    const struct lt_family *family, const char *prefix)
{
	struct lt_plan *plan = planner->plan;
	_lt_free_ char *path = strdup(from->mapping->path);
	_lt_free_ char *prefix_copy = strdup(prefix);
	_lt_free_ char *open_path = NULL;
	_lt_close_ int own_fd = fcntl(from->fd, F_DUPFD_CLOEXEC, 3);
	struct lt_planner_file in = {
		.index = (uint32_t)plan->file_count,
		.family = family,
		.prefix = prefix,
		.image = from->image,
		.symbols = &from->symbols,
		.is_executable = is_executable_of(planner->process, from->mapping),
	};
	struct lt_plan_file *file;

	if (own_fd < 0)
		return -errno;
	if (!path || !prefix_copy || asprintf(&open_path, "/proc/self/fd/%d", own_fd) < 0)
		return -ENOMEM;
	file = lt_planner_append(&plan->files, &plan->file_count, sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->family = family;
	file->prefix = lt_take_ptr(prefix_copy);
	file->path = lt_take_ptr(path);
	file->open_path = lt_take_ptr(open_path);
	file->fd = lt_take_fd(&own_fd);
	file->device = from->mapping->device;
	file->inode = from->mapping->inode;
	file->base = from->mapping->start - from->mapping->file_offset;
	file->build_id_len = lt_image_build_id(from->image, file->build_id);
	return lt_planner_add_functions(planner, &in);
}

/* As the tables know it: under each prefix that it is built with. */
static int add_families(struct lt_planner *planner, const struct file *file)
{
	static const char *const no_prefix[] = { "", NULL };
	int err = 0;

	for (size_t i = 0; i < lt_family_count && !err; i++) {
		const struct lt_family *family = &lt_families[i];
		const char *const *prefix = family->prefixes ? family->prefixes : no_prefix;

		for (; *prefix && !err; prefix++)
			if (lt_symbols_match(&file->symbols, family, *prefix))
				err = add_file(planner, file, family, *prefix);
	}
	return err;
}

/* As the user named it. */
static int add_named(struct lt_planner *planner, const struct file *file)
{
	const struct lt_plan_options *options = planner->options;
	int err = 0;

	for (size_t i = 0; i < options->allocator_count && !err; i++) {
		const char *allocator = options->allocators[i];
		char malloc_name[LT_MAX_FUNCTION_NAME], free_name[LT_MAX_FUNCTION_NAME];
		size_t count;

		if (!is_file_of(allocator, file->mapping->path))
			continue;
		lt_family_symbol(malloc_name, prefix_in(allocator), "malloc");
		lt_family_symbol(free_name, prefix_in(allocator), "free");
		if (!lt_symbols_named(&file->symbols, malloc_name, &count) &&
		    !lt_symbols_named(&file->symbols, free_name, &count))
			continue;
		planner->plan->matched |= 1u << i;
		err = add_file(planner, file, &lt_family_named, prefix_in(allocator));
	}
	return err;
}

static int stop(void *context, const struct lt_image_symbol *symbol)
{
	return 1;
}

/* What cannot be seen, and why. */
static int say_none(struct lt_planner *planner, const struct file *file)
{
	struct lt_plan *plan = planner->plan;
	const char *path = file->mapping->path;
	size_t mallocs, frees;
	const struct lt_symbol *malloc_symbol = lt_symbols_named(&file->symbols, "malloc",
								 &mallocs);
	const struct lt_symbol *free_symbol = lt_symbols_named(&file->symbols, "free", &frees);
	int err;

	if (malloc_symbol && free_symbol && !malloc_symbol->local && !free_symbol->local) {
		err = lt_planner_skip(plan, path,
				      "defines malloc and free, but belongs to no known allocator "
				      "family: --allocator %s: says that they are the usual ones",
				      base_name(path));
		if (!err)
			plan->skips[plan->skip_count - 1].allocator = true;
		return err;
	}
	if (is_executable_of(planner->process, file->mapping) &&
	    !lt_image_has_interpreter(file->image) &&
	    !lt_image_each_function(file->image, stop, NULL))
		return lt_planner_skip(plan, path,
				       "is linked statically and stripped: without symbols its "
				       "allocator cannot be found");
	return 0;
}

static int look_into(struct lt_planner *planner, const struct lt_mapping *mapping, int fd)
{
	_lt_cleanup_(lt_image_close_p) struct lt_image *image = NULL;
	_lt_cleanup_(lt_symbols_free) struct lt_symbols symbols = { 0 };
	size_t before = planner->plan->file_count;
	int err = lt_image_open(&image, fd);
	struct file file;

	if (err == -ENOEXEC)
		return 0; /* mapped data or code made at run time, by far: no allocator */
	/* Go moves stacks, and ends the process when it finds the address of a return probe on one. */
	if (!err && lt_gofile_present(fd))
		return lt_planner_skip(planner->plan, mapping->path,
				       "is a Go program: no return probe goes into it; of the "
				       "libraries that it maps the allocator is traced");
	if (!err)
		err = lt_symbols_find(image, &planner->names, &symbols);
	if (err)
		return err == -ENOMEM ? err
				      : lt_planner_skip(planner->plan, mapping->path,
							"cannot be read: %s", strerror(-err));
	file = (struct file){ mapping, image, fd, symbols };
	err = add_families(planner, &file);
	if (!err)
		err = add_named(planner, &file);
	if (!err && symbols.cut)
		err = lt_planner_skip(planner->plan, mapping->path,
				      "more than %d allocator symbols: the rest is ignored",
				      LT_MAX_SYMBOLS);
	return err || planner->plan->file_count > before ? err : say_none(planner, &file);
}

/* All names of the tables, in the spellings of all prefixes. */
static int gather_names(const struct lt_plan_options *options, struct lt_names *names)
{
	static const char *const no_prefix[] = { "", NULL };
	int err = 0;

	for (size_t i = 0; i < lt_family_count && !err; i++) {
		const char *const *prefix = lt_families[i].prefixes;

		for (prefix = prefix ? prefix : no_prefix; *prefix && !err; prefix++)
			err = lt_names_add(names, &lt_families[i], *prefix);
	}
	for (size_t i = 0; i < options->allocator_count && !err; i++)
		err = lt_names_add(names, &lt_family_named, prefix_in(options->allocators[i]));
	lt_names_sort(names);
	return err;
}

static int look_at(struct lt_planner *planner, const struct lt_mapping *mapping)
{
	_lt_close_ int fd = lt_maps_open_file(planner->process, mapping);
	int err = planner->names.count ? 0 : gather_names(planner->options, &planner->names);

	if (err)
		return err;
	if (fd == -ENOEXEC)
		return 0; /* no regular file */
	if (fd < 0)
		return lt_planner_skip(planner->plan, mapping->path, "cannot be opened: %s",
				       strerror(-fd));
	return look_into(planner, mapping, fd);
}

static bool is_known(const struct lt_plan *plan, const struct lt_mapping *mapping)
{
	for (size_t i = 0; i < plan->looked_count; i++)
		if (plan->looked[i].inode == mapping->inode &&
		    plan->looked[i].device == mapping->device)
			return true;
	return false;
}

static int look_at_all(struct lt_planner *planner)
{
	const struct lt_maps *maps = planner->maps;
	struct lt_plan *plan = planner->plan;
	int err = 0;

	for (size_t i = 0; !err && i < maps->count; i++) {
		const struct lt_mapping *mapping = &maps->entries[i];
		struct lt_plan_looked *looked;

		if (!mapping->executable || !mapping->inode || mapping->path[0] != '/' ||
		    is_known(plan, mapping))
			continue;
		if (plan->looked_count == LT_MAX_MODULES)
			return lt_planner_skip(plan, mapping->path,
					       "more than %d files are mapped: the rest is ignored",
					       LT_MAX_MODULES);
		looked = lt_planner_append(&plan->looked, &plan->looked_count, sizeof(*looked));
		if (!looked)
			return -ENOMEM;
		*looked = (struct lt_plan_looked){ mapping->device, mapping->inode };
		err = look_at(planner, mapping);
	}
	return err;
}

/* Stable: within one operation the order of the files and tables stays. */
static void sort_by_op(struct lt_plan *plan)
{
	for (size_t i = 1; i < plan->probe_count; i++) {
		struct lt_plan_probe probe = plan->probes[i];
		size_t at = i;

		for (; at && plan->probes[at - 1].op > probe.op; at--)
			plan->probes[at] = plan->probes[at - 1];
		plan->probes[at] = probe;
	}
}

static size_t rank(const struct lt_plan_file *file)
{
	return file->family == &lt_family_named ? lt_family_count
						: (size_t)(file->family - lt_families);
}

/* See lt_families: what the process allocates with comes first. */
static void put_in_use_first(struct lt_plan *plan)
{
	struct lt_plan_file first;
	uint32_t in_use = 0;

	for (uint32_t i = 1; i < plan->file_count; i++)
		if (rank(&plan->files[i]) < rank(&plan->files[in_use]))
			in_use = i;
	if (!in_use)
		return;
	first = plan->files[in_use];
	plan->files[in_use] = plan->files[0];
	plan->files[0] = first;
	for (size_t i = 0; i < plan->probe_count; i++)
		plan->probes[i].file = plan->probes[i].file == in_use ? 0
				       : plan->probes[i].file == 0    ? in_use
								      : plan->probes[i].file;
}

static int say_unmatched(struct lt_planner *planner)
{
	struct lt_plan *plan = planner->plan;
	int err = 0;

	for (size_t i = 0; i < planner->options->allocator_count && !err; i++) {
		const char *allocator = planner->options->allocators[i];

		if (plan->matched & 1u << i)
			continue;
		err = lt_planner_skip(plan, allocator,
				      "no file of that name is mapped that defines %smalloc or "
				      "%sfree",
				      prefix_in(allocator), prefix_in(allocator));
		if (err)
			break;
		plan->skips[plan->skip_count - 1].unmatched = true;
		plan->skips[plan->skip_count - 1].number = i;
	}
	return err;
}

static void planner_free(struct lt_planner *planner)
{
	lt_names_free(&planner->names);
	free(planner->led);
	free(planner);
}

LT_CLEANUP(struct lt_planner *, planner_free)

/* Adds to the plan what is in the files that it has not looked at. */
static int complete(const struct lt_process *process, const struct lt_maps *maps,
		    const struct lt_plan_options *options, struct lt_plan *plan)
{
	static const struct lt_plan_options no_options;
	_lt_cleanup_(planner_free_p) struct lt_planner *planner = calloc(1, sizeof(*planner));
	bool first = !plan->looked_count;
	int err;

	if (!planner)
		return -ENOMEM;
	planner->process = process;
	planner->maps = maps;
	planner->options = options ? options : &no_options;
	planner->plan = plan;
	err = look_at_all(planner);
	if (!err && first)
		err = say_unmatched(planner);
	if (err)
		return err;
	put_in_use_first(plan);
	sort_by_op(plan);
	return 0;
}

int lt_plan_more(const struct lt_process *process, const struct lt_maps *maps,
		 const struct lt_plan_options *options, const struct lt_plan *known,
		 struct lt_plan *more)
{
	_lt_cleanup_(lt_plan_free) struct lt_plan made = { .matched = known->matched };
	int err;

	made.looked = calloc(known->looked_count + 1, sizeof(*made.looked));
	if (!made.looked)
		return -ENOMEM;
	for (; made.looked_count < known->looked_count; made.looked_count++)
		made.looked[made.looked_count] = known->looked[made.looked_count];
	err = complete(process, maps, options, &made);
	if (err)
		return err;
	*more = made;
	made = (struct lt_plan){ 0 };
	return more->probe_count ? 0 : -ENOENT;
}

int lt_plan_make(const struct lt_process *process, const struct lt_maps *maps,
		 const struct lt_plan_options *options, struct lt_plan *plan)
{
	static const struct lt_plan nothing;

	return lt_plan_more(process, maps, options, &nothing, plan);
}

/* Room for more elements, with those that are there. */
static int reserve(void *array_slot, size_t count, size_t element_size)
{
	void **slot = array_slot, *grown = reallocarray(*slot, count ? count : 1, element_size);

	if (grown)
		*slot = grown;
	return grown ? 0 : -ENOMEM;
}

/* What the user named is there by now. */
static void drop_matched(struct lt_plan *plan, const struct lt_plan *more)
{
	size_t kept = 0;

	for (size_t i = 0; i < plan->skip_count; i++) {
		struct lt_plan_skip skip = plan->skips[i];

		if (skip.unmatched && more->matched & ~plan->matched & 1u << skip.number) {
			free(skip.what);
			free(skip.why);
		} else {
			plan->skips[kept++] = skip;
		}
	}
	plan->skip_count = kept;
}

int lt_plan_append(struct lt_plan *known, struct lt_plan *more)
{
	int err = reserve(&known->files, known->file_count + more->file_count,
			  sizeof(*known->files));

	if (!err)
		err = reserve(&known->probes, known->probe_count + more->probe_count,
			      sizeof(*known->probes));
	if (!err)
		err = reserve(&known->skips, known->skip_count + more->skip_count,
			      sizeof(*known->skips));
	if (err)
		return err;
	drop_matched(known, more);
	for (size_t i = 0; i < more->probe_count; i++) {
		more->probes[i].file += (uint32_t)known->file_count;
		known->probes[known->probe_count++] = more->probes[i];
	}
	for (size_t i = 0; i < more->file_count; i++)
		known->files[known->file_count++] = more->files[i];
	for (size_t i = 0; i < more->skip_count; i++)
		known->skips[known->skip_count++] = more->skips[i];
	sort_by_op(known);
	free(known->looked);
	known->looked = more->looked;
	known->looked_count = more->looked_count;
	known->matched = more->matched;
	more->looked = NULL;
	more->file_count = more->probe_count = more->skip_count = 0;
	lt_plan_free(more);
	return 0;
}

void lt_plan_free(struct lt_plan *plan)
{
	for (size_t i = 0; i < plan->file_count; i++) {
		free(plan->files[i].prefix);
		free(plan->files[i].path);
		free(plan->files[i].open_path);
		lt_close_p(&plan->files[i].fd);
	}
	for (size_t i = 0; i < plan->probe_count; i++) {
		free((char *)plan->probes[i].symbol);
		free((char *)plan->probes[i].aliases);
	}
	for (size_t i = 0; i < plan->skip_count; i++) {
		free(plan->skips[i].what);
		free(plan->skips[i].why);
	}
	free(plan->files);
	free(plan->probes);
	free(plan->skips);
	free(plan->looked);
	*plan = (struct lt_plan){ 0 };
}
