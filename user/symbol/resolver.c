/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symbol/resolver.h"

#include <errno.h>
#include <gelf.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "symbol/debugdata.h"
#include "symbol/debugfile.h"
#include "symbol/debuginfod.h"
#include "symbol/demangle.h"
#include "symbol/functions.h"
#include "symbol/lines.h"
#include "symbol/perfmap.h"
#include "symbol/vdso.h"

/* Debug sections held in memory at once; files beyond it are known by their symbols alone. */
#define MAX_DEBUG_BYTES (1ULL << 30)

/*
 * One ELF file, shared by all of its mappings.  Opened when a first address hits it.  Files are
 * read, not mapped: a target may shorten a mapped file and so kill its reader with SIGBUS.
 */
struct file {
	unsigned references;
	int fd;
	dev_t device;
	ino_t inode;
	char *path;
	bool opened;
	Elf *elf; /* NULL: not an ELF file */
	int debug_fd;
	Elf *debug_elf; /* NULL: no separate debug file */
	struct lt_buf mini_image;
	Elf *mini_elf; /* in it; NULL: no .gnu_debugdata, or no need of it */
	struct lt_functions *functions;
	struct lt_lines *lines;
	uint64_t debug_bytes; /* what it took from the budget */
};

struct module {
	uint64_t start, end, file_offset;
	struct file *file; /* NULL: nothing to read */
};

struct lt_resolver {
	struct module *modules; /* a later one takes the addresses of an earlier one */
	size_t count, capacity;
	uint64_t debug_budget_bytes;
	struct lt_perfmap *perfmap;                         /* NULL: no process given */
	struct lt_debuginfod *debuginfod;                   /* NULL: not to be asked */
	struct lt_source_frame frames[LT_MAX_INLINE_DEPTH]; /* the last result; strings owned */
	size_t frame_count;
};

static void put_file(struct file *file)
{
	if (!file || --file->references)
		return;
	lt_lines_close(file->lines);
	lt_functions_free(file->functions);
	elf_end(file->mini_elf);
	lt_buf_free(&file->mini_image);
	elf_end(file->debug_elf);
	elf_end(file->elf);
	lt_close_p(&file->debug_fd);
	lt_close_p(&file->fd);
	free(file->path);
	free(file);
}

LT_CLEANUP(struct file *, put_file)

static void free_strings(struct lt_source_frame *frames, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free((char *)frames[i].function);
		free((char *)frames[i].file);
	}
}

int lt_resolver_new(struct lt_resolver **resolver)
{
	struct lt_resolver *made;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOSYS;
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->debug_budget_bytes = MAX_DEBUG_BYTES;
	*resolver = made;
	return 0;
}

void lt_resolver_free(struct lt_resolver *resolver)
{
	if (!resolver)
		return;
	for (size_t i = 0; i < resolver->count; i++)
		put_file(resolver->modules[i].file);
	free_strings(resolver->frames, resolver->frame_count);
	lt_perfmap_free(resolver->perfmap);
	lt_debuginfod_free(resolver->debuginfod);
	free(resolver->modules);
	free(resolver);
}

int lt_resolver_set_process(struct lt_resolver *resolver, const struct lt_process *process)
{
	struct lt_perfmap *perfmap;
	int error = lt_perfmap_new(&perfmap, process);

	if (error)
		return error;
	lt_perfmap_free(resolver->perfmap);
	resolver->perfmap = perfmap;
	return 0;
}

int lt_resolver_set_debuginfod(struct lt_resolver *resolver, const char *urls, struct lt_buf *error)
{
	struct lt_debuginfod *debuginfod;
	int err = lt_debuginfod_new(&debuginfod, urls, error);

	if (err)
		return err;
	lt_debuginfod_free(resolver->debuginfod);
	resolver->debuginfod = debuginfod;
	return 0;
}

void lt_resolver_stop_network(struct lt_resolver *resolver)
{
	if (resolver->debuginfod)
		lt_debuginfod_stop(resolver->debuginfod);
}

static struct file *new_file(const char *path)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	*file = (struct file){ .references = 1, .fd = -1, .debug_fd = -1, .path = strdup(path) };
	if (file->path)
		return file;
	free(file);
	return NULL;
}

/* Takes a reference of the file that is known already, or makes a new one, which takes over *fd. */
static int get_file(struct lt_resolver *resolver, const char *path, int *fd, struct file **file)
{
	struct file *made;
	struct stat status;

	if (*fd < 0 || fstat(*fd, &status) || !S_ISREG(status.st_mode))
		return 0;
	for (size_t i = 0; i < resolver->count; i++) {
		struct file *known = resolver->modules[i].file;

		if (known && known->device == status.st_dev && known->inode == status.st_ino) {
			known->references++;
			*file = known;
			return 0;
		}
	}
	made = new_file(path);
	if (!made)
		return -ENOMEM;
	made->device = status.st_dev;
	made->inode = status.st_ino;
	made->fd = lt_take_fd(fd);
	*file = made;
	return 0;
}

/* NULL: not the vDSO, or not one that we know. */
static int get_vdso(const struct lt_event_module *module, struct file **file)
{
	Elf *elf = strcmp(module->path, "[vdso]") ? NULL
						  : lt_vdso_open(module->end - module->start);
	struct file *made = elf ? new_file(module->path) : NULL;

	if (!elf)
		return 0;
	if (!made) {
		elf_end(elf);
		return -ENOMEM;
	}
	made->elf = elf;
	made->opened = true;
	lt_functions_load(&made->functions, &elf, 1);
	*file = made;
	return 0;
}

/* Modules that a new one covers whole are gone. */
static void drop_covered(struct lt_resolver *resolver, const struct lt_event_module *by)
{
	size_t kept = 0;

	for (size_t i = 0; i < resolver->count; i++) {
		struct module *module = &resolver->modules[i];

		if (module->start < by->start || module->end > by->end) {
			resolver->modules[kept++] = *module;
			continue;
		}
		if (module->file && module->file->references == 1)
			resolver->debug_budget_bytes += module->file->debug_bytes;
		put_file(module->file);
	}
	resolver->count = kept;
}

int lt_resolver_add_module(struct lt_resolver *resolver, const struct lt_event_module *module,
			   int fd)
{
	_lt_close_ int owned_fd = fd;
	_lt_cleanup_(put_file_p) struct file *file = NULL;
	int error;

	if (module->start >= module->end)
		return -EINVAL;
	error = fd < 0 ? get_vdso(module, &file)
		       : get_file(resolver, module->path, &owned_fd, &file);
	if (error)
		return error;
	if (resolver->count == resolver->capacity) {
		size_t capacity = resolver->capacity ? 2 * resolver->capacity : 16;
		struct module *modules;

		modules = reallocarray(resolver->modules, capacity, sizeof(*modules));
		if (!modules)
			return -ENOMEM;
		resolver->modules = modules;
		resolver->capacity = capacity;
	}
	drop_covered(resolver, module);
	if (resolver->count >= LT_MAX_MODULES)
		return -E2BIG;
	resolver->modules[resolver->count++] = (struct module){
		.start = module->start,
		.end = module->end,
		.file_offset = module->file_offset,
		.file = lt_take_ptr(file),
	};
	return 0;
}

/* Relocatable files are not mapped to run, and libdw would have to relocate them. */
static Elf *take_program(Elf *elf)
{
	GElf_Ehdr header;

	if (elf && elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &header) &&
	    (header.e_type == ET_EXEC || header.e_type == ET_DYN))
		return elf;
	elf_end(elf);
	return NULL;
}

static Elf *open_elf(int fd)
{
	return take_program(elf_begin(fd, ELF_C_READ, NULL));
}

/* What cannot be opened stays NULL: the file is known less. */
static void open_file(struct lt_resolver *resolver, struct file *file)
{
	uint64_t *budget_bytes = &resolver->debug_budget_bytes, before = *budget_bytes;

	if (file->opened)
		return;
	file->opened = true;
	file->elf = open_elf(file->fd);
	if (!file->elf)
		return;
	if (!lt_lines_present(file->elf))
		file->debug_fd = lt_debugfile_open(file->elf, file->fd, file->path,
						   resolver->debuginfod);
	if (file->debug_fd >= 0)
		file->debug_elf = open_elf(file->debug_fd);
	else if (!lt_debugdata_read(file->elf, &file->mini_image, budget_bytes))
		file->mini_elf =
			take_program(elf_memory(file->mini_image.data, file->mini_image.len));
	lt_lines_open(&file->lines, file->debug_elf ? file->debug_elf : file->elf,
		      resolver->debuginfod, budget_bytes);
	file->debug_bytes = before - *budget_bytes;
	lt_functions_load(&file->functions, (Elf *[]){ file->elf, file->debug_elf, file->mini_elf },
			  3);
}

static const struct module *find_module(const struct lt_resolver *resolver, uint64_t pc)
{
	for (size_t i = resolver->count; i > 0; i--) {
		const struct module *module = &resolver->modules[i - 1];

		if (pc >= module->start && pc < module->end)
			return module;
	}
	return NULL;
}

/* File offset → virtual address, by the executable segment that holds it. */
static bool address_of(Elf *elf, uint64_t offset, uint64_t *address)
{
	size_t count;

	if (elf_getphdrnum(elf, &count))
		return false;
	for (size_t i = 0; i < count && i <= INT32_MAX; i++) {
		GElf_Phdr segment;

		if (!gelf_getphdr(elf, (int)i, &segment) || segment.p_type != PT_LOAD ||
		    !(segment.p_flags & PF_X) || offset - segment.p_offset >= segment.p_filesz)
			continue;
		*address = offset - segment.p_offset + segment.p_vaddr;
		return true;
	}
	return false;
}

static size_t lookup_raw(struct lt_resolver *resolver, uint64_t pc, struct lt_source_frame *frames)
{
	const struct module *module = find_module(resolver, pc);
	struct file *file = module ? module->file : NULL;
	const char *name = NULL;
	uint64_t address;
	size_t count = 0;

	if (!file)
		return 0;
	open_file(resolver, file);
	if (!file->elf ||
	    !address_of(file->elf, pc - module->start + module->file_offset, &address))
		return 0;
	if (file->lines)
		count = lt_lines_lookup(file->lines, address, frames);
	if (count && *frames[count - 1].function)
		return count;
	if (file->functions)
		name = lt_functions_name(file->functions, address);
	if (!count && name)
		frames[count++] = (struct lt_source_frame){ .file = "" };
	if (count)
		frames[count - 1].function = name ? name : "";
	return count;
}

/* Replaces borrowed strings by own ones. */
static int own_strings(struct lt_source_frame *frames, size_t count, bool mangled)
{
	for (size_t i = 0; i < count; i++) {
		frames[i].function = mangled ? lt_symbol_demangle(frames[i].function)
					     : strndup(frames[i].function, LT_MAX_NAME - 1);
		frames[i].file = strndup(frames[i].file, LT_MAX_NAME - 1);
		if (!frames[i].function || !frames[i].file) {
			free_strings(frames, i + 1);
			return -ENOMEM;
		}
	}
	return 0;
}

int lt_resolver_lookup(struct lt_resolver *resolver, uint64_t pc, struct lt_event_symbol *symbol)
{
	struct lt_source_frame frames[LT_MAX_INLINE_DEPTH];
	size_t count = lookup_raw(resolver, pc, frames);
	bool jit = !count && resolver->perfmap &&
		   lt_perfmap_lookup(resolver->perfmap, lt_address_plain(pc), &frames[0]);
	int error;

	count += jit;
	error = own_strings(frames, count, !jit);
	if (error)
		return error;
	free_strings(resolver->frames, resolver->frame_count);
	memcpy(resolver->frames, frames, count * sizeof(*frames));
	resolver->frame_count = count;
	*symbol = (struct lt_event_symbol){
		.pc = pc,
		.frames = resolver->frames,
		.frame_count = (uint32_t)count,
	};
	return 0;
}
