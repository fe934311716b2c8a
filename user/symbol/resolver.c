/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symbol/resolver.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "elf/gofile.h"
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

/* Tells a file from another one, and from what is written over it in place. */
struct identity {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
	uint8_t build_id[LT_MAX_BUILD_ID];
	uint32_t build_id_len; /* 0: go by size and changed */
};

/*
 * One ELF file, shared by all of its mappings.  Opened when a first address hits it.  Files are
 * read, not mapped: a target may shorten a mapped file and so kill its reader with SIGBUS.
 */
struct file {
	unsigned references;
	int fd;
	struct identity identity; /* when it was added */
	char *path;
	bool opened;
	bool replaced; /* its content is, or may be, no longer what was mapped */
	Elf *elf;      /* NULL: not an ELF file */
	int debug_fd;
	Elf *debug_elf; /* NULL: no separate debug file */
	struct lt_buf mini_image;
	Elf *mini_elf;        /* in it; NULL: no .gnu_debugdata, or no need of it */
	struct lt_gofile *go; /* NULL: no Go in it */
	struct lt_functions *functions;
	struct lt_lines *lines;
	bool lines_looked_for;
	uint64_t debug_bytes; /* what it took from the budget */
};

struct module {
	uint64_t start, end, file_offset;
	struct file *file; /* NULL: nothing to read */
	bool named;        /* has a path in the file system, though there may be nothing to read */
};

struct lt_resolver {
	struct module *modules; /* a later one takes the addresses of an earlier one */
	size_t count, capacity;
	uint64_t debug_budget_bytes;
	struct lt_perfmap *perfmap; /* NULL: no process given */
	struct lt_debug_places places;
	struct lt_source_frame frames[LT_MAX_INLINE_DEPTH]; /* the last result; strings owned */
	size_t frame_count;
};

static void put_file(struct file *file)
{
	if (!file || --file->references)
		return;
	lt_gofile_close(file->go);
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
	made->places.root_fd = -1;
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
	lt_close_p(&resolver->places.root_fd);
	lt_debuginfod_free(resolver->places.server);
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
	lt_close_p(&resolver->places.root_fd);
	resolver->places.root_fd = openat(process->proc_fd, "root",
					  O_PATH | O_DIRECTORY | O_CLOEXEC);
	return 0;
}

int lt_resolver_set_debuginfod(struct lt_resolver *resolver, const char *urls, struct lt_buf *error)
{
	struct lt_debuginfod *debuginfod;
	int err = lt_debuginfod_new(&debuginfod, urls, error);

	if (err)
		return err;
	lt_debuginfod_free(resolver->places.server);
	resolver->places.server = debuginfod;
	return 0;
}

void lt_resolver_stop_network(struct lt_resolver *resolver)
{
	if (resolver->places.server)
		lt_debuginfod_stop(resolver->places.server);
}

static bool same_content(const struct identity *a, const struct identity *b)
{
	return a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec;
}

static bool same_build_id(const struct identity *a, const uint8_t *build_id, size_t len)
{
	return a->build_id_len == len && !memcmp(a->build_id, build_id, len);
}

static bool same_identity(const struct identity *a, const struct identity *b)
{
	return a->device == b->device && a->inode == b->inode &&
	       same_build_id(a, b->build_id, b->build_id_len) &&
	       (a->build_id_len || same_content(a, b));
}

/* What the inode itself tells; false if fd is no regular file. */
static bool identify(int fd, struct identity *identity)
{
	struct stat status;

	if (fd < 0 || fstat(fd, &status) || !S_ISREG(status.st_mode))
		return false;
	identity->device = status.st_dev;
	identity->inode = status.st_ino;
	identity->size = status.st_size;
	identity->changed = status.st_mtim;
	return true;
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
static int get_file(struct lt_resolver *resolver, const struct lt_event_module *module, int *fd,
		    struct file **file)
{
	struct identity identity = { .build_id_len = module->build_id_len };
	struct file *made;

	if (!identify(*fd, &identity))
		return 0;
	if (module->build_id_len)
		memcpy(identity.build_id, module->build_id, module->build_id_len);
	for (size_t i = 0; i < resolver->count; i++) {
		struct file *known = resolver->modules[i].file;

		if (known && same_identity(&known->identity, &identity)) {
			known->references++;
			*file = known;
			return 0;
		}
	}
	made = new_file(module->path);
	if (!made)
		return -ENOMEM;
	made->identity = identity;
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

	if (module->start >= module->end || module->build_id_len > LT_MAX_BUILD_ID)
		return -EINVAL;
	error = fd < 0 ? get_vdso(module, &file) : get_file(resolver, module, &owned_fd, &file);
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
		.named = module->path[0] == '/' && strncmp(module->path, "/memfd:", 7),
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

/*
 * By the build-id, which the linker makes of the content; else by size and time.  What never was a
 * program may change as it likes: JIT code in a memory file.
 */
static bool is_replaced(Elf *elf, const struct identity *was, const struct identity *is)
{
	const void *build_id;
	ssize_t len;

	if (!was->build_id_len)
		return elf && !same_content(was, is);
	len = elf ? dwelf_elf_gnu_build_id(elf, &build_id) : 0;
	return len <= 0 ||
	       !same_build_id(was, build_id, len < LT_MAX_BUILD_ID ? (size_t)len : LT_MAX_BUILD_ID);
}

static void load_lines(struct lt_resolver *resolver, struct file *file)
{
	uint64_t before = resolver->debug_budget_bytes;

	file->lines_looked_for = true;
	if (lt_lines_open(&file->lines, file->debug_elf ? file->debug_elf : file->elf,
			  &resolver->places, &resolver->debug_budget_bytes) == -E2BIG)
		lt_warn("debug information of %s is too large: functions only", file->path);
	file->debug_bytes += before - resolver->debug_budget_bytes;
}

/* Go's own table says all of Go's code: debug information is for what C code a program has. */
static void load_go(struct lt_resolver *resolver, struct file *file)
{
	const char *reason = NULL;
	size_t bytes;

	if (lt_gofile_open(&file->go, file->fd, &reason))
		return;
	bytes = lt_gofile_memory(file->go);
	if (bytes > resolver->debug_budget_bytes) {
		lt_debug("Go's tables of %s are too large: symbols only", file->path);
		lt_gofile_close(file->go);
		file->go = NULL;
		return;
	}
	resolver->debug_budget_bytes -= bytes;
	file->debug_bytes += bytes;
}

/* What cannot be opened stays NULL: the file is known less. */
static void load_file(struct lt_resolver *resolver, struct file *file)
{
	uint64_t *budget_bytes = &resolver->debug_budget_bytes, before;

	load_go(resolver, file);
	before = *budget_bytes;
	if (!lt_lines_present(file->elf))
		file->debug_fd = lt_debugfile_open(file->elf, file->fd, file->path,
						   &resolver->places);
	if (file->debug_fd >= 0)
		file->debug_elf = open_elf(file->debug_fd);
	else if (!lt_debugdata_read(file->elf, &file->mini_image, budget_bytes))
		file->mini_elf =
			take_program(elf_memory(file->mini_image.data, file->mini_image.len));
	file->debug_bytes += before - *budget_bytes;
	if (!file->go)
		load_lines(resolver, file);
	lt_functions_load(&file->functions, (Elf *[]){ file->elf, file->debug_elf, file->mini_elf },
			  3);
}

static void open_file(struct lt_resolver *resolver, struct file *file)
{
	struct identity before = { .size = 0 }, behind = { .size = 0 };

	if (file->opened)
		return;
	file->opened = true;
	file->elf = open_elf(file->fd);
	file->replaced = !identify(file->fd, &before) ||
			 is_replaced(file->elf, &file->identity, &before);
	if (file->elf && !file->replaced) {
		load_file(resolver, file);
		file->replaced = !identify(file->fd, &behind) || !same_content(&before, &behind);
	}
	if (file->replaced)
		lt_debug("%s was replaced: its old code stays unnamed", file->path);
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

/* As C++ and Rust compilers do it. */
static bool is_mangled(const char *name)
{
	return name[0] == '_' && (name[1] == 'Z' || name[1] == 'R');
}

static size_t lookup_go(const struct file *file, uint64_t address, struct lt_source_frame *frames)
{
	const struct lt_gopclntab *table = lt_gofile_pclntab(file->go);
	struct lt_go_function function;
	size_t count = 0;

	if (!lt_gopclntab_frames(table, address, frames, &count))
		return 0;
	if (!count && lt_gopclntab_find(table, address, &function))
		frames[count++] = (struct lt_source_frame){ .function = function.name,
							    .file = LT_WRAPPER_FILE };
	return count;
}

static size_t lookup_file(struct lt_resolver *resolver, const struct module *module, uint64_t pc,
			  struct lt_source_frame *frames)
{
	struct file *file = module->file;
	const char *name = NULL;
	uint64_t address;
	size_t count = 0;

	if (!address_of(file->elf, pc - module->start + module->file_offset, &address))
		return 0;
	if (file->go)
		count = lookup_go(file, address, frames);
	if (count)
		return count;
	if (!file->lines_looked_for)
		load_lines(resolver, file);
	if (file->lines)
		count = lt_lines_lookup(file->lines, address, frames);
	if (count && is_mangled(frames[count - 1].function))
		return count;
	if (file->functions)
		name = lt_functions_name(file->functions, address);
	if (!count && name)
		frames[count++] = (struct lt_source_frame){ .file = "", .function = "" };
	/* The linker's name of a C++ function tells more than the source's: overloads. */
	if (name && (!*frames[count - 1].function || is_mangled(name)))
		frames[count - 1].function = name;
	return count;
}

static bool lookup_jit(struct lt_resolver *resolver, uint64_t pc, struct lt_source_frame *frame)
{
	return resolver->perfmap &&
	       lt_perfmap_lookup(resolver->perfmap, lt_address_plain(pc), frame);
}

/*
 * Runtimes put JIT code into anonymous memory and into memory files, which hold no program; a perf
 * map that names the code of a program is an old one.
 */
static size_t lookup_raw(struct lt_resolver *resolver, uint64_t pc, struct lt_source_frame *frames,
			 bool *jit)
{
	const struct module *module = find_module(resolver, pc);
	struct file *file = module ? module->file : NULL;

	*jit = false;
	if (file)
		open_file(resolver, file);
	if (file && file->replaced)
		return 0;
	if (file && file->elf)
		return lookup_file(resolver, module, pc, frames);
	if (!module || !module->named || file)
		*jit = lookup_jit(resolver, pc, frames);
	return *jit;
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
	bool jit;
	size_t count = lookup_raw(resolver, pc, frames, &jit);
	int error = own_strings(frames, count, !jit);

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
