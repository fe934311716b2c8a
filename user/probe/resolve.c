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
#include "probe/returns.h"

/* Code that is read to choose a site.  glibc's largest function has 3 KiB, tcmalloc's 10. */
#define MAX_CODE_BYTES 65536
/* ... of a symbol without a size.  Its neighbours' code does no harm. */
#define UNSIZED_CODE_BYTES 4096
#define MAX_SIGNATURE      32
/* Of one file; a hostile one repeats a name at many addresses. */
#define MAX_SYMBOLS 256

struct context { /* of one lt_plan_make */
	const struct lt_process *process;
	const struct lt_maps *maps;
	struct lt_plan *plan;
	uint8_t code[MAX_CODE_BYTES];
};

struct found { /* one symbol that is in the family's table */
	size_t row;
	uint64_t address, size, file_offset;
	bool ifunc;
};

struct search { /* over the symbols of one image */
	const struct lt_family *family;
	struct found *found;
	size_t count, capacity;
};

/* Grows an array of the plan by one zeroed element. */
static void *append(void *array_slot, size_t *count, size_t element_size)
{
	void **slot = array_slot;
	char *array = reallocarray(*slot, *count + 1, element_size);

	if (!array)
		return NULL;
	*slot = array;
	return memset(array + element_size * (*count)++, 0, element_size);
}

__attribute__((format(printf, 3, 4))) static int skip(struct lt_plan *plan, const char *what,
						      const char *format, ...)
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
	skipped = what_copy && why_copy ? append(&plan->skips, &plan->skip_count, sizeof(*skipped))
					: NULL;
	if (!skipped) {
		free(why_copy);
		return -ENOMEM;
	}
	skipped->what = lt_take_ptr(what_copy);
	skipped->why = why_copy;
	return 0;
}

static int skip_allocator(struct lt_plan *plan, const char *path)
{
	int err = skip(plan, path,
		       "defines malloc and free, but belongs to no known allocator family");

	if (!err)
		plan->skips[plan->skip_count - 1].allocator = true;
	return err;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Families */

struct signature {
	const char *const *names;
	uint32_t seen; /* bit per name */
};

static int note_signature(void *context, const struct lt_image_symbol *symbol)
{
	struct signature *signature = context;

	for (size_t i = 0; !symbol->local && i < MAX_SIGNATURE && signature->names[i]; i++)
		if (!strcmp(symbol->name, signature->names[i]))
			signature->seen |= 1u << i;
	return 0;
}

static bool defines_all(const struct lt_image *image, const char *const *names)
{
	struct signature signature = { .names = names };
	uint32_t all = 0;

	for (size_t i = 0; i < MAX_SIGNATURE && names[i]; i++)
		all |= 1u << i;
	lt_image_each_function(image, note_signature, &signature);
	return signature.seen == all;
}

static bool name_matches(const struct lt_family *family, const char *name)
{
	if (!family->file_patterns)
		return true;
	for (const char *const *pattern = family->file_patterns; *pattern; pattern++)
		if (!fnmatch(*pattern, name, 0))
			return true;
	return false;
}

static const struct lt_family *family_of(const struct lt_image *image, const char *path)
{
	for (size_t i = 0; i < lt_family_count; i++)
		if (name_matches(&lt_families[i], base_name(path)) &&
		    defines_all(image, lt_families[i].signature))
			return &lt_families[i];
	return NULL;
}

/* Functions */

static int collect_symbol(void *context, const struct lt_image_symbol *symbol)
{
	struct search *search = context;
	struct found *found;

	for (size_t row = 0; !symbol->local && row < search->family->function_count; row++) {
		if (strcmp(symbol->name, search->family->functions[row].symbol))
			continue;
		/* Usually in .dynsym and .symtab; several versions of one name have several
		 * addresses. */
		for (size_t i = 0; i < search->count; i++)
			if (search->found[i].row == row &&
			    search->found[i].file_offset == symbol->file_offset)
				return 0;
		if (search->count >= MAX_SYMBOLS)
			return -E2BIG;
		found = append(&search->found, &search->count, sizeof(*found));
		if (!found)
			return -ENOMEM;
		*found = (struct found){ row, symbol->address, symbol->size, symbol->file_offset,
					 symbol->ifunc };
		return 0;
	}
	return 0;
}

static int compare_found(const void *a, const void *b)
{
	const struct found *left = a, *right = b;

	if (left->row != right->row)
		return left->row < right->row ? -1 : 1;
	return (left->file_offset > right->file_offset) - (left->file_offset < right->file_offset);
}

static bool is_mapped_executable(const struct lt_maps *maps, const struct lt_plan_file *file,
				 uint64_t file_offset)
{
	for (size_t i = 0; i < maps->count; i++) {
		const struct lt_mapping *m = &maps->entries[i];

		if (m->executable && m->inode == file->inode && m->device == file->device &&
		    file_offset - m->file_offset < m->end - m->start)
			return true;
	}
	return false;
}

/* The probe that is already at this place, else NULL. */
static struct lt_plan_probe *probe_at(struct lt_plan *plan, uint32_t file, uint64_t entry_offset)
{
	for (size_t i = 0; i < plan->probe_count; i++)
		if (plan->probes[i].file == file && plan->probes[i].entry_offset == entry_offset)
			return &plan->probes[i];
	return NULL;
}

static int add_alias(struct lt_plan_probe *probe, const char *symbol)
{
	char *aliases;

	if (asprintf(&aliases, "%s%s%s", probe->aliases, *probe->aliases ? "," : "", symbol) < 0)
		return -ENOMEM;
	free((char *)probe->aliases);
	probe->aliases = aliases;
	return 0;
}

static int add_probe(struct context *context, const struct lt_image *image, uint32_t file,
		     const struct lt_family_function *function, const struct found *found)
{
	const struct lt_op_info *op = &lt_op_table[function->op];
	size_t len = found->size ? found->size : UNSIZED_CODE_BYTES;
	struct lt_site_request request = {
		.code = context->code,
		.arguments = op->arguments,
		.null_is_noop = op->null_is_noop,
	};
	struct lt_plan_probe *probe;
	long got;
	char *aliases;

	got = lt_image_read(image, found->address, context->code,
			    len < sizeof(context->code) ? len : sizeof(context->code));
	if (got <= 0)
		return skip(context->plan, function->symbol, "its code cannot be read: %s",
			    got ? strerror((int)-got) : "beyond the end of the file");
	aliases = strdup("");
	probe = aliases ? append(&context->plan->probes, &context->plan->probe_count,
				 sizeof(*probe))
			: NULL;
	if (!probe) {
		free(aliases);
		return -ENOMEM;
	}
	request.code_len = (size_t)got;
	probe->file = file;
	probe->op = function->op;
	probe->symbol = function->symbol;
	probe->aliases = aliases;
	probe->entry_offset = found->file_offset;
	lt_site_choose(&request, &probe->choice);
	probe->file_offset = probe->entry_offset + probe->choice.offset;
	return 0;
}

/*
 * Probes at the returns of a function that may throw.  Two functions may share one, if both end in
 * a jump to a third.
 */
static int add_returns(struct context *context, uint32_t file, const char *symbol,
		       const struct lt_image *image, const struct lt_returns *returns)
{
	struct lt_plan *plan = context->plan;

	for (size_t i = 0; i < returns->count; i++) {
		struct lt_plan_probe *probe;
		uint64_t file_offset;
		char *aliases;

		if (!lt_image_offset_of(image, returns->addresses[i], &file_offset) ||
		    probe_at(plan, file, file_offset))
			continue;
		aliases = strdup("");
		probe = aliases ? append(&plan->probes, &plan->probe_count, sizeof(*probe)) : NULL;
		if (!probe) {
			free(aliases);
			return -ENOMEM;
		}
		*probe = (struct lt_plan_probe){
			.file = file,
			.op = LT_OP_RETURN,
			.symbol = symbol,
			.aliases = aliases,
			.entry_offset = file_offset,
			.file_offset = file_offset,
			.choice = { .instruction = "ret",
				    .reason = "one of its returns: it may throw, and no exception "
					      "passes a return probe" },
		};
	}
	return 0;
}

static int add_throwing(struct context *context, const struct lt_image *image, uint32_t file,
			const struct lt_family_function *function, const struct found *found)
{
	_lt_free_ struct lt_returns *returns = calloc(1, sizeof(*returns));
	int err;

	if (!returns)
		return -ENOMEM;
	err = lt_returns_find(image, context->plan->files[file].fd, found->address, returns);
	if (err == -ENOTSUP)
		return skip(context->plan, function->symbol, "may throw, but %s", returns->why);
	if (!err)
		err = add_probe(context, image, file, function, found);
	return err ? err : add_returns(context, file, function->symbol, image, returns);
}

/* The probe of a function that this one does nothing but jump to. */
static struct lt_plan_probe *probe_behind_jump(struct lt_plan *plan, uint32_t file,
					       const struct lt_image *image,
					       const struct found *found)
{
	struct {
		uint8_t opcode; /* jmp rel32 */
		int32_t distance;
	} __attribute__((packed)) jump;
	uint64_t file_offset;

	if (lt_image_read(image, found->address, &jump, sizeof(jump)) != sizeof(jump) ||
	    jump.opcode != 0xe9 ||
	    !lt_image_offset_of(image,
				found->address + sizeof(jump) + (uint64_t)(int64_t)jump.distance,
				&file_offset))
		return NULL;
	return probe_at(plan, file, file_offset);
}

static int add_function(struct context *context, const struct lt_image *image, uint32_t file,
			const struct found *found)
{
	const struct lt_plan_file *in = &context->plan->files[file];
	const struct lt_family_function *function = &in->family->functions[found->row];
	struct lt_plan_probe *same = probe_at(context->plan, file, found->file_offset);

	if (found->ifunc)
		return skip(context->plan, function->symbol,
			    "is an IFUNC in %s: its code is chosen at run time",
			    base_name(in->path));
	if (!is_mapped_executable(context->maps, in, found->file_offset))
		return skip(context->plan, function->symbol,
			    "lies outside of what the process maps executable of %s",
			    base_name(in->path));
	if (!same) {
		same = probe_behind_jump(context->plan, file, image, found);
		if (!same || same->op != function->op)
			return (function->op == LT_OP_NEW ? add_throwing : add_probe)(
				context, image, file, function, found);
	}
	if (same->op != function->op)
		return skip(context->plan, function->symbol,
			    "shares its code with %s, which does something else", same->symbol);
	return strcmp(same->symbol, function->symbol) ? add_alias(same, function->symbol) : 0;
}

static int add_functions(struct context *context, const struct lt_image *image, uint32_t file)
{
	const struct lt_plan_file *in = &context->plan->files[file];
	struct search search = { .family = in->family };
	_lt_free_ struct found *found = NULL;
	int err = lt_image_each_function(image, collect_symbol, &search);
	size_t next = 0;

	found = search.found;
	if (err == -E2BIG)
		err = skip(context->plan, base_name(in->path),
			   "more than %d allocator symbols: the rest is ignored", MAX_SYMBOLS);
	if (search.count)
		qsort(found, search.count, sizeof(*found), compare_found);
	for (size_t row = 0; !err && row < in->family->function_count; row++) {
		const struct lt_family_function *function = &in->family->functions[row];
		size_t before = next;

		for (; !err && next < search.count && found[next].row == row; next++)
			err = add_function(context, image, file, &found[next]);
		if (!err && next == before && !function->optional)
			err = skip(context->plan, function->symbol, "is not defined in %s",
				   base_name(in->path));
	}
	return err;
}

/* Files */

static int add_file(struct context *context, const struct lt_mapping *mapping,
		    const struct lt_image *image, int fd, const struct lt_family *family)
{
	struct lt_plan *plan = context->plan;
	_lt_free_ char *path = strdup(mapping->path);
	_lt_free_ char *open_path = NULL;
	_lt_close_ int own_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	struct lt_plan_file *file;

	if (own_fd < 0)
		return -errno;
	if (!path || asprintf(&open_path, "/proc/self/fd/%d", own_fd) < 0)
		return -ENOMEM;
	file = append(&plan->files, &plan->file_count, sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->family = family;
	file->path = lt_take_ptr(path);
	file->open_path = lt_take_ptr(open_path);
	file->fd = lt_take_fd(&own_fd);
	file->device = mapping->device;
	file->inode = mapping->inode;
	file->base = mapping->start - mapping->file_offset;
	file->build_id_len = lt_image_build_id(image, file->build_id);
	return add_functions(context, image, (uint32_t)plan->file_count - 1);
}

static int look_into(struct context *context, const struct lt_mapping *mapping, int fd)
{
	static const char *const allocator[] = { "malloc", "free", NULL };
	const struct lt_family *family;
	struct lt_image *image;
	int err = lt_image_open(&image, fd);

	if (err == -ENOEXEC)
		return 0; /* mapped data or code made at run time, by far: no allocator */
	if (err)
		return err == -ENOMEM ? err
				      : skip(context->plan, mapping->path, "cannot be read: %s",
					     strerror(-err));
	family = family_of(image, mapping->path);
	if (family)
		err = add_file(context, mapping, image, fd, family);
	else if (defines_all(image, allocator))
		err = skip_allocator(context->plan, mapping->path);
	lt_image_close(image);
	return err;
}

static int look_at(struct context *context, const struct lt_mapping *mapping)
{
	_lt_close_ int fd = lt_maps_open_file(context->process, mapping);

	if (fd == -ENOEXEC)
		return 0; /* no regular file */
	if (fd < 0)
		return skip(context->plan, mapping->path, "cannot be opened: %s", strerror(-fd));
	return look_into(context, mapping, fd);
}

static bool is_known(const struct lt_mapping *const *seen, size_t count,
		     const struct lt_mapping *mapping)
{
	for (size_t i = 0; i < count; i++)
		if (seen[i]->inode == mapping->inode && seen[i]->device == mapping->device)
			return true;
	return false;
}

static int look_at_all(struct context *context)
{
	const struct lt_maps *maps = context->maps;
	_lt_free_ const struct lt_mapping **seen = calloc(LT_MAX_MODULES, sizeof(*seen));
	size_t count = 0;
	int err = seen ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < maps->count; i++) {
		const struct lt_mapping *mapping = &maps->entries[i];

		if (!mapping->executable || !mapping->inode || mapping->path[0] != '/' ||
		    is_known(seen, count, mapping))
			continue;
		if (count == LT_MAX_MODULES)
			return skip(context->plan, mapping->path,
				    "more than %d files are mapped: the rest is ignored",
				    LT_MAX_MODULES);
		seen[count++] = mapping;
		err = look_at(context, mapping);
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

/* See lt_families: what the process allocates with comes first. */
static void put_in_use_first(struct lt_plan *plan)
{
	struct lt_plan_file first;
	uint32_t in_use = 0;

	for (uint32_t i = 1; i < plan->file_count; i++)
		if (plan->files[i].family < plan->files[in_use].family)
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

int lt_plan_make(const struct lt_process *process, const struct lt_maps *maps, struct lt_plan *plan)
{
	_lt_cleanup_(lt_plan_free) struct lt_plan made = { 0 };
	_lt_free_ struct context *context = calloc(1, sizeof(*context));
	int err;

	if (!context)
		return -ENOMEM;
	context->process = process;
	context->maps = maps;
	context->plan = &made;
	err = look_at_all(context);
	if (!err && !made.probe_count)
		err = process->bits32 ? skip(&made, process->exe, "32-bit programs are not traced")
				      : skip(&made, "allocator",
					     "none found among the files that the process maps");
	if (err)
		return err;
	put_in_use_first(&made);
	sort_by_op(&made);
	*plan = made;
	made = (struct lt_plan){ 0 };
	return plan->probe_count ? 0 : -ENOENT;
}

void lt_plan_free(struct lt_plan *plan)
{
	for (size_t i = 0; i < plan->file_count; i++) {
		free(plan->files[i].path);
		free(plan->files[i].open_path);
		lt_close_p(&plan->files[i].fd);
	}
	for (size_t i = 0; i < plan->probe_count; i++)
		free((char *)plan->probes[i].aliases);
	for (size_t i = 0; i < plan->skip_count; i++) {
		free(plan->skips[i].what);
		free(plan->skips[i].why);
	}
	free(plan->files);
	free(plan->probes);
	free(plan->skips);
	*plan = (struct lt_plan){ 0 };
}
