// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/program.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "elf/image.h"
#include "go/allgs.h"
#include "go/figures.h"
#include "go/heap.h"
#include "go/remote.h"
#include "leaktrace/limits.h"

#define MAX_FILES  4096 /* executable mappings that are looked into */
#define MAX_BEFORE 256  /* mappings before one that are asked whether they are of the same file */

/* moduledata.text and etext, runtime/symtab.go: behind seven slices and two words since 1.16 */
#define TEXT_WORD     22
#define TEXT_WORD_15  12
#define LAST_OLD      15
#define CHECKED_WORDS (TEXT_WORD + 2)

#define OTHER_KINDS "what needs no Go can be traced: --kinds socket,fd,thread"

LT_CLEANUP(struct lt_image *, lt_image_close)
LT_CLEANUP(struct lt_gofile *, lt_gofile_close)
LT_CLEANUP(struct lt_go_program *, lt_go_program_free)

static bool same_file(const struct lt_mapping *a, uint64_t device, uint64_t inode)
{
	return a->inode == inode && a->device == device;
}

/* The next mapping of code from a file that had none before it. */
static const struct lt_mapping *next_file(const struct lt_maps *maps, size_t *index)
{
	while (*index < maps->count) {
		size_t before = *index < MAX_BEFORE ? 0 : *index - MAX_BEFORE;
		const struct lt_mapping *mapping = &maps->entries[(*index)++];

		if (!mapping->executable || !mapping->inode)
			continue;
		while (&maps->entries[before] != mapping &&
		       !(maps->entries[before].executable &&
			 same_file(&maps->entries[before], mapping->device, mapping->inode)))
			before++;
		if (&maps->entries[before] == mapping)
			return mapping;
	}
	return NULL;
}

bool lt_go_present(const struct lt_process *process, const struct lt_maps *maps)
{
	const struct lt_mapping *mapping;
	size_t index = 0, files = 0;

	while (files++ < MAX_FILES && (mapping = next_file(maps, &index))) {
		_lt_close_ int fd = lt_maps_open_file(process, mapping);

		if (fd >= 0 && lt_gofile_present(fd))
			return true;
	}
	return false;
}

static bool bias_of(int fd, const struct lt_mapping *mapping, uint64_t *bias)
{
	_lt_cleanup_(lt_image_close_p) struct lt_image *image = NULL;
	uint64_t address;

	if (lt_image_open(&image, fd) ||
	    !lt_image_code_address(image, mapping->file_offset, &address))
		return false;
	*bias = mapping->start - address;
	return true;
}

/* 1 if the file is a module; 0 if there is no Go in it. */
static int add_module(struct lt_go_program *program, const struct lt_mapping *mapping, int fd,
		      const char **reason)
{
	_lt_cleanup_(lt_gofile_close_p) struct lt_gofile *file = NULL;
	struct lt_go_module *modules;
	uint64_t bias;
	int err;

	err = lt_gofile_open(&file, fd, reason);
	if (err == -ENODATA)
		return 0;
	if (err == -E2BIG)
		*reason = "its tables are larger than what leaktrace reads";
	if (err)
		return err;
	if (!bias_of(fd, mapping, &bias)) {
		*reason = "its code is not mapped as its file says";
		return -ENOTSUP;
	}
	modules = reallocarray(program->modules, program->module_count + 1, sizeof(*modules));
	if (!modules)
		return -ENOMEM;
	program->modules = modules;
	modules[program->module_count++] = (struct lt_go_module){
		.file = lt_take_ptr(file),
		.bias = bias,
		.device = mapping->device,
		.inode = mapping->inode,
	};
	return 1;
}

static bool known(const struct lt_go_program *program, const struct lt_mapping *mapping)
{
	for (size_t i = 0; i < program->module_count; i++)
		if (same_file(mapping, program->modules[i].device, program->modules[i].inode))
			return true;
	return false;
}

/* All files with Go that are not modules yet; *reason: why one was left out, if one was. */
static int add_modules(struct lt_go_program *program, const struct lt_maps *maps,
		       const char **reason)
{
	const struct lt_mapping *mapping;
	size_t index = 0, files = 0;

	while (files++ < MAX_FILES && program->module_count < LT_MAX_GO_MODULES &&
	       (mapping = next_file(maps, &index))) {
		_lt_close_ int fd = -1;

		if (known(program, mapping))
			continue;
		fd = lt_maps_open_file(program->process, mapping);
		if (fd >= 0 && add_module(program, mapping, fd, reason) == -ENOMEM)
			return -ENOMEM;
	}
	return 0;
}

/* Are the linker's words of the module in memory those of its file?  -EAGAIN: not relocated yet. */
static int check_live(const struct lt_go_program *program, const struct lt_go_module *module)
{
	const struct lt_gofile_info *info = lt_gofile_info(module->file);
	size_t text = info->minor && info->minor <= LAST_OLD ? TEXT_WORD_15 : TEXT_WORD;
	uint64_t words[CHECKED_WORDS];
	int err = lt_remote_read(program->process->pid, info->module.address + module->bias, words,
				 sizeof(words));

	if (err)
		return err == -EFAULT ? -EBADMSG : err;
	if (words[0] == info->module.pclntab + module->bias &&
	    words[text] == info->module.text.start + module->bias &&
	    words[text + 1] == info->module.text.end + module->bias)
		return 0;
	return words[0] == info->module.pclntab || !words[0] ? -EAGAIN : -EBADMSG;
}

/* 0, -EAGAIN; -EBADMSG: what is in memory is not as the version has it; -ENOTSUP: version not known. */
static int find_runtime(struct lt_go_program *program, const struct lt_go_module *module,
			const struct lt_maps *maps)
{
	int err;

	program->layout = lt_go_layout_of(lt_gofile_info(module->file)->minor);
	if (!program->layout)
		return -ENOTSUP;
	err = check_live(program, module);
	return err ? err : lt_go_allgs_find(program, module, maps, &program->allgs);
}

/* As the file says, which may say anything. */
static void set_version(struct lt_go_program *program, const struct lt_go_module *module)
{
	const struct lt_gofile_info *info = lt_gofile_info(module->file);
	size_t len = 0;

	for (; len < sizeof(program->version) - 1 && isgraph((unsigned char)info->version[len]);
	     len++)
		program->version[len] = info->version[len];
	program->version[len] = '\0';
	if (!len)
		snprintf(program->version, sizeof(program->version),
			 info->minor ? "go1.%u" : "of unknown version", info->minor);
}

/* Of several modules that are not the runtime's, what says most. */
static int worse(int a, int b)
{
	static const int order[] = { -EAGAIN, -EBADMSG, -ENOTSUP };
	int rank_a = 0, rank_b = 0;

	for (int i = 0; i < 3; i++) {
		rank_a = a == order[i] ? i + 1 : rank_a;
		rank_b = b == order[i] ? i + 1 : rank_b;
	}
	return rank_a > rank_b ? a : b;
}

static int refuse(const struct lt_go_program *program, int err, struct lt_buf *error)
{
	if (err == -ENOTSUP)
		lt_buf_printf(error,
			      "the Go runtime %s of this program is not known to this leaktrace, "
			      "which knows Go " LT_GO_KNOWN_VERSIONS
			      ": use a newer leaktrace; or " OTHER_KINDS,
			      program->version);
	else
		lt_buf_printf(error,
			      "the Go runtime %s of this program is not laid out as Go of that "
			      "version is (was it built with another toolchain?), and is left "
			      "alone; " OTHER_KINDS,
			      program->version);
	return -ENOTSUP;
}

static int choose_runtime(struct lt_go_program *program, const struct lt_maps *maps,
			  struct lt_buf *error)
{
	int result = 0;

	for (size_t i = 0; i < program->module_count; i++) {
		struct lt_go_module module = program->modules[i];
		int err = find_runtime(program, &module, maps);

		if (!err) {
			program->modules[i] = program->modules[0];
			program->modules[0] = module;
			set_version(program, &module);
			return 0;
		}
		if (err != -EAGAIN && err != -EBADMSG && err != -ENOTSUP)
			return err;
		result = worse(err, result);
		if (result == err)
			set_version(program, &module);
	}
	return result == -EAGAIN ? result : refuse(program, result, error);
}

int lt_go_program_open(struct lt_process *process, const struct lt_maps *maps,
		       struct lt_go_program **result, struct lt_buf *error)
{
	_lt_cleanup_(lt_go_program_free_p) struct lt_go_program *program = calloc(1,
										  sizeof(*program));
	const char *reason = NULL;
	int err;

	if (!program)
		return -ENOMEM;
	program->process = process;
	err = add_modules(program, maps, &reason);
	if (err)
		return err;
	if (!program->module_count && reason) {
		lt_buf_printf(error, "its Go code cannot be read: %s; " OTHER_KINDS, reason);
		return -ENOTSUP;
	}
	if (!program->module_count)
		return -ENOENT;
	err = choose_runtime(program, maps, error);
	if (err)
		return err;
	*result = lt_take_ptr(program);
	return 0;
}

void lt_go_program_free(struct lt_go_program *program)
{
	if (!program)
		return;
	for (size_t i = 0; i < program->module_count; i++)
		lt_gofile_close(program->modules[i].file);
	free(program->modules);
	lt_go_heap_places_free(program->heap);
	lt_go_figure_places_free(program->figures);
	free(program);
}

int lt_go_program_update(struct lt_go_program *program, const struct lt_maps *maps)
{
	const char *reason = NULL;

	return add_modules(program, maps, &reason);
}

const struct lt_go_module *lt_go_program_module(const struct lt_go_program *program, uint64_t pc)
{
	for (size_t i = 0; i < program->module_count; i++) {
		const struct lt_go_module *module = &program->modules[i];
		const struct lt_go_span *text = &lt_gofile_info(module->file)->module.text;

		if (pc - module->bias >= text->start && pc - module->bias < text->end)
			return module;
	}
	return NULL;
}

bool lt_go_program_function(const struct lt_go_program *program, uint64_t pc,
			    struct lt_go_function *function)
{
	const struct lt_go_module *module = lt_go_program_module(program, pc);

	return module &&
	       lt_gopclntab_find(lt_gofile_pclntab(module->file), pc - module->bias, function);
}
